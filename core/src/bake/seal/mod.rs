//! The seal: what belongs to the builder alone is removed, and then looked for.
//!
//! [`TABLE`] says what that is. The script that removes it, the one that looks for it before the builder is stopped, the proof
//! on a captured disk from outside ([`examine`]) and the page of the book are all made from the table.

mod outside;
mod script;
mod table;
#[cfg(test)]
mod tests;

use std::{fmt::Write as _, time::Duration};

pub use outside::examine;
pub use table::{Sealed, TABLE};

use super::BakeError;
use crate::{machine::Machine, remote::Command};

/// How long each of the scripts may take.
const WITHIN: Duration = Duration::from_secs(300);

/// Seals the builder. After this nobody can log in to it again.
pub(super) async fn seal(builder: &Machine) -> Result<(), BakeError> {
    builder.progress("sealing");
    let session = builder.session();
    let sealed = session.exec(&Command::shell(script::seal()).timeout(WITHIN), &mut |_, _| {}).await;
    let sealed = sealed.map_err(BakeError::remote("sealing the builder"))?;
    if !sealed.exit.is_success() {
        return Err(BakeError::Seal { reason: sealed.exit.to_string(), tail: sealed.tail });
    }
    let (checked, text) = session
        .capture(&Command::shell(script::check()).timeout(WITHIN))
        .await
        .map_err(BakeError::remote("checking the sealed builder"))?;
    if !checked.exit.is_success() {
        return Err(BakeError::Seal { reason: format!("the check: {}", checked.exit), tail: checked.tail });
    }
    let found: Vec<_> = text.lines().map(str::to_owned).collect();
    if !found.is_empty() {
        return Err(BakeError::Leftovers { found });
    }
    // The last writes must be on the disk before the power may be cut. A machine without `sync` has no disk to wait for.
    let synced = session.exec(&Command::shell("sync || true").timeout(WITHIN), &mut |_, _| {}).await;
    synced.map(drop).map_err(BakeError::remote("writing the builder's disk"))
}

/// The table as the book shows it.
pub fn markdown() -> String {
    let mut out = "| what | why | where |\n|---|---|---|\n".to_owned();
    for row in TABLE {
        let gone = row.gone.iter().map(|path| format!("`{path}`"));
        let emptied = row.emptied.iter().map(|path| format!("`{path}` (emptied)"));
        let lines = row.lines.iter().map(|(file, start, _)| format!("`{start}…` in `{file}`"));
        let places: Vec<_> = gone.chain(emptied).chain(lines).collect();
        _ = writeln!(out, "| {} | {} | {} |", row.what, row.why, places.join(", "));
    }
    out
}
