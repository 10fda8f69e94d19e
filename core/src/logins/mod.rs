//! Who can log in to a machine, as the machine itself says.
//!
//! The gate and the bake ask the same questions: which SSH servers run and with which configuration (`sshd -T`, and what its
//! `Match` blocks change), which users have keys in the files that this configuration names, which have passwords. What lets in
//! anybody but those of `[access]` is a finding, in words. What would keep Remint itself out is another kind of finding, for
//! the bake alone.
//!
//! The scripts only collect facts; every judgement is made here, by pure functions. A machine that cannot be asked is a
//! finding too: nothing passes because a question had no answer.

mod config;
mod facts;
mod judge;
mod keys;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use facts::Facts;
pub(crate) use keys::{KeyFile, access_file};

use crate::remote::{RemoteError, Session};

/// What a machine says about its logins.
#[derive(Debug, Default)]
pub(crate) struct Audit {
    /// What lets in somebody else than `[access]` and Remint: one line of text each.
    pub(crate) found: Vec<String>,
    /// What would keep Remint out of an instance of this image.
    pub(crate) locked_out: Vec<String>,
    /// Root's files of login keys that hold Remint's own key: they are Remint's to write. The first gets the keys of
    /// `[access]`, the others get none.
    pub(crate) own_files: Vec<KeyFile>,
}

/// Asks a machine. `login` is Remint's own login key of this run, `access` are the keys of the manifest's `[access]`.
///
/// # Errors
///
/// The connection's.
pub(crate) async fn audit(session: &dyn Session, login: &str, access: &[String]) -> Result<Audit, RemoteError> {
    let facts = match Facts::collect(session).await? {
        Ok(facts) => facts,
        Err(reason) => {
            let found = vec![format!("it is not known who may log in: {reason}")];
            return Ok(Audit { found: found.clone(), locked_out: found, own_files: Vec::new() });
        }
    };
    Ok(judge(&facts, login, access))
}

fn judge(facts: &Facts, login: &str, access: &[String]) -> Audit {
    let mut found = judge::configuration(facts);
    found.extend(judge::passwords(facts));
    let (keys, own_files) = keys::judge(facts, login, access);
    found.extend(keys);
    found.extend(facts.host_trust.iter().map(|file| format!("{file} trusts other hosts to log in")));
    // Several servers and blocks may say the same.
    let mut seen = BTreeSet::new();
    found.retain(|line| seen.insert(line.clone()));
    Audit { found, locked_out: judge::locked_out(facts), own_files }
}
