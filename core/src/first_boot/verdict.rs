//! Whether Remint accepts it.

use super::report::{Failed, Report};
use crate::{manifest::CloudInitRule, remote::Exit};

/// The modules that do what Remint's own part of the user data says: keys, logins, files, the host's name.
const OWN: [&str; 6] = ["ssh", "users_groups", "set_passwords", "write_files", "set_hostname", "update_hostname"];
/// Writes the script of `runcmd`.
const RUNCMD: &str = "runcmd";
/// Runs that script, and the user's own.
const SCRIPTS: &str = "scripts_user";
/// The shell's status for a command that does not exist.
const NO_SUCH_COMMAND: u32 = 127;

/// How many failed modules a message describes.
const SHOWN: usize = 8;

/// What a first boot is judged by.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Expected {
    /// The manifest's rule.
    pub(crate) rule: CloudInitRule,
    /// Remint's own part has commands, by `runcmd`: for `[config]`'s `restart`, or its `owner`.
    pub(crate) commands: bool,
}

/// What a first boot comes to.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// Nothing failed.
    Clean,
    /// It is accepted, and the user should know this of it. May be empty: cloud-init does not always say what.
    Warned(Vec<String>),
    /// It is not.
    Failed(Failure),
}

/// A first boot that is not accepted.
#[derive(Debug)]
pub(crate) struct Failure {
    /// What failed, as a fragment.
    pub(crate) summary: String,
    /// What to do about it.
    pub(crate) hint: String,
    /// Lines of cloud-init's logs.
    pub(crate) log: Vec<String>,
}

/// The warning of an accepted first boot, for a machine's name.
pub(crate) fn warning(machine: &str, told: &[String]) -> String {
    let what = if told.is_empty() { "it does not say which".to_owned() } else { told.join("; ") };
    format!("cloud-init finished with warnings on {machine}: {what}")
}

/// Judges what cloud-init says.
pub(super) fn judge(exit: &Exit, report: &Report, expected: Expected) -> Verdict {
    let failed = &report.failed;
    let (own, others): (Vec<&Failed>, Vec<&Failed>) =
        failed.iter().partition(|failed| is_own(failed, expected.commands));
    let in_order: Vec<&Failed> = own.iter().chain(&others).copied().collect();
    let failure = |summary: String, hint: &str| {
        Verdict::Failed(Failure { summary, hint: hint.to_owned(), log: report.log.clone() })
    };
    if *exit == Exit::Status(NO_SUCH_COMMAND) {
        return failure("there is no `cloud-init` command".to_owned(), "use an image with cloud-init");
    }
    if !own.is_empty() {
        let hint = "Remint's own part of the user data needs this; the log is shown below. Check `[config]` and what \
                    `instance.user_data` sets of the same";
        if !report.own.is_empty() {
            return failure(report.own.join("; "), "correct `[config]`; the log is shown below");
        }
        return failure(modules(&in_order), hint);
    }
    let is_recoverable = *exit == Exit::Status(2);
    if !report.unnamed.is_empty() || failed.is_empty() && !is_recoverable {
        let what = report.unnamed.iter().chain(&report.warnings).cloned().collect::<Vec<_>>().join("; ");
        let summary = if what.is_empty() { exit.to_string() } else { format!("{exit}: {what}") };
        return failure(summary, "the log is shown below; check the image and the parts in `instance.user_data`");
    }
    if !failed.is_empty() && expected.rule == CloudInitRule::Strict {
        let hint = "the log is shown below; check `instance.user_data` and the image. Where such a failure does no harm, \
                    `[instance] cloud_init = \"lenient\"` makes a warning of it";
        return failure(modules(&in_order), hint);
    }
    let others = failed.iter().take(SHOWN).map(described);
    let told: Vec<String> = others.chain(report.warnings.iter().cloned()).collect();
    // Status 2 with lists that hold nothing but deprecations is what a correct machine says.
    if told.is_empty() && report.is_known { Verdict::Clean } else { Verdict::Warned(told) }
}

fn is_own(failed: &Failed, commands: bool) -> bool {
    match failed.key().as_str() {
        RUNCMD => commands,
        // `Runparts: 1 failures (runcmd) in 2 attempted commands` names the scripts that failed.
        SCRIPTS => commands && (failed.reason.contains(RUNCMD) || !failed.reason.contains("Runparts")),
        key => OWN.contains(&key),
    }
}

fn described(failed: &Failed) -> String {
    if failed.reason.is_empty() {
        format!("module {} failed", failed.module)
    } else {
        format!("module {} failed: {}", failed.module, failed.reason)
    }
}

/// What is Remint's own comes first: it must not be cut off.
fn modules(failed: &[&Failed]) -> String {
    let mut told: Vec<String> = failed.iter().take(SHOWN).map(|failed| described(failed)).collect();
    if let Some(more @ 1..) = failed.len().checked_sub(SHOWN) {
        told.push(format!("and {more} more"));
    }
    told.join("; ")
}

#[cfg(test)]
#[path = "verdict_tests.rs"]
mod tests;
