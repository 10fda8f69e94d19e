//! Why a step failed, as far as what it wrote tells, and what to do about it.
//!
//! The programs' own messages name what they saw, which is often not the cause: "not found" of a script that is there is said when
//! its interpreter is not. The texts are those of dash, bash, apt, GNU's tools and Linux in the C locale.

use std::time::Duration;

use crate::remote::{Command, Exit, quote};

/// What failed. The keys that a hint names must exist there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind<'a> {
    /// A `script` step; the path of the script on the builder.
    Script(&'a str),
    /// The lines of a `shell` step.
    Lines,
    /// A `verify` command.
    Verify,
}

/// How it failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Failure {
    /// It ended.
    Exit(Exit),
    /// It was killed when its time was over.
    Timeout,
    /// The connection broke.
    Lost,
}

/// Asks a builder for what a failed command did not say, where that may tell the cause: a line for each thing.
pub(super) fn question(kind: Kind<'_>, failure: &Failure, tail: &[String]) -> Option<Command> {
    let killed = is_killed(failure) || says(tail, &["Killed"]);
    let lines = match (kind, failure) {
        (Kind::Script(path), Failure::Exit(Exit::Status(126))) => {
            let folder = path.rsplit_once('/').map_or("/", |(folder, _)| folder);
            let say = quote(&format!("{NOEXEC} {folder}"));
            format!("case \",$(findmnt -n -o OPTIONS -T {}),\" in *,noexec,*) echo {say} ;; esac", quote(path))
        }
        _ if killed => format!(
            "{{ dmesg 2>/dev/null || journalctl -k -n 1000 -o cat 2>/dev/null; }} | grep -i '{OUT_OF_MEMORY}' | tail -n 1 | sed 's/^/the \
             kernel: /'"
        ),
        _ => return None,
    };
    Some(Command::shell(lines).timeout(Duration::from_secs(10)))
}

const NOEXEC: &str = "mounted noexec: the file system of";
/// The kernel's words when it kills a process for its memory (`mm/oom_kill.c`), which it says with a capital letter or not.
const OUT_OF_MEMORY: &str = "out of memory: killed process";

fn is_killed(failure: &Failure) -> bool {
    match failure {
        Failure::Exit(Exit::Signal(signal)) => signal == "KILL",
        Failure::Exit(Exit::Status(status)) => *status == 137,
        Failure::Timeout | Failure::Lost => false,
    }
}

fn says(tail: &[String], texts: &[&str]) -> bool {
    tail.iter().any(|line| texts.iter().any(|text| line.contains(text)))
}

/// What to do about a failure; `tail` are the last lines, with the answer to [`question`] among them.
pub(super) fn hint(kind: Kind<'_>, failure: &Failure, tail: &[String]) -> String {
    let step = if kind == Kind::Verify { "command" } else { "step" };
    match failure {
        Failure::Timeout => {
            return format!("give the {step} a longer `timeout`, or look at its last lines for what it waits for");
        }
        Failure::Lost if kind == Kind::Verify => {
            return "the command broke the connection: it must not reboot the machine or restart its network"
                .to_owned();
        }
        Failure::Lost => return "if the step reboots the machine, say so with `expect_reboot = true`".to_owned(),
        Failure::Exit(_) => {}
    }
    if let Some(told) = by_output(kind, failure, tail) {
        return told;
    }
    match kind {
        Kind::Verify => "correct the command, or the step that makes what it looks for".to_owned(),
        _ => "correct the step; one that fails now and then, such as a download, is repeated with `retries`".to_owned(),
    }
}

fn by_output(kind: Kind<'_>, failure: &Failure, tail: &[String]) -> Option<String> {
    let status = match failure {
        Failure::Exit(Exit::Status(status)) => Some(*status),
        _ => None,
    };
    let out_of_memory = tail.iter().any(|line| line.to_lowercase().contains(OUT_OF_MEMORY));
    if out_of_memory || is_killed(failure) {
        let certain = if out_of_memory {
            "the builder ran out of memory"
        } else {
            "it was killed, most often for lack of memory"
        };
        return Some(format!("{certain}: choose a larger `builder_size`, or let it run fewer jobs at once"));
    }
    if says(tail, &["No space left on device", "You don't have enough free space in", "not enough free disk space"]) {
        return Some(
            "the builder's disk is full: choose a larger `builder_size`, or remove what is not needed".to_owned(),
        );
    }
    if says(
        tail,
        &["Could not get lock", "Unable to acquire the dpkg frontend lock", "dpkg frontend lock was locked by another"],
    ) {
        return Some(
            "another process holds apt's lock, for longer than apt waits on a builder (300 s): stop what holds it, as the message \
             names it, before this step"
                .to_owned(),
        );
    }
    if says(tail, &["\\r'", "\\r\u{2019}", "$'\\r'", "\r"]) || says(tail, &["/env: \u{2018}bash", "^M"]) {
        return Some(
            "lines end with CR LF, so that the CR becomes a part of the command: write Unix line ends".to_owned(),
        );
    }
    if says(tail, &["\u{feff}"]) {
        return Some("the file begins with a byte order mark: save it as UTF-8 without one".to_owned());
    }
    if let Kind::Script(path) = kind {
        if says(tail, &[NOEXEC]) {
            return Some("set `[image] script_folder` to a folder on a file system that runs programs".to_owned());
        }
        let missing = |line: &String| {
            line.contains(path)
                && (line.ends_with(&format!("{path}: not found"))
                    || line.contains("bad interpreter")
                    || line.ends_with("cannot execute: required file not found"))
        };
        if status == Some(127) && tail.iter().any(missing) {
            return Some(
                "the script is there, and the interpreter that its first line names is not: install it in an earlier step, or correct \
                 the line (Unix line ends, too)"
                    .to_owned(),
            );
        }
    }
    if says(tail, &["bash: not found", "bash: command not found", "bash: No such file"]) {
        return Some("the builder has no bash: install it in an earlier step, or write for `sh`".to_owned());
    }
    if says(tail, &DASH) {
        return Some(match kind {
            Kind::Lines => "these are words of bash, and `sh` ran them: set `shell = \"bash\"` in the step".to_owned(),
            Kind::Script(_) => {
                "these are words of bash, and `sh` ran them: let the script begin with `#!/bin/bash`".to_owned()
            }
            Kind::Verify => "these are words of bash, and `sh` ran them: write `bash -c '…'`".to_owned(),
        });
    }
    if tail.iter().any(|line| line.ends_with(": parameter not set") || line.ends_with(": unbound variable")) {
        return Some(match kind {
            Kind::Verify => "a variable is not set, which `sh -eu` takes for an error: write `${NAME:-}` where it may be".to_owned(),
            _ => "a variable is not set, which `-u` takes for an error: set it in `env`, or write `${NAME:-}` where it may be".to_owned(),
        });
    }
    None
}

/// What dash says of words that only bash knows.
const DASH: [&str; 13] = [
    "[[: not found",
    "source: not found",
    "shopt: not found",
    "declare: not found",
    "typeset: not found",
    "mapfile: not found",
    "readarray: not found",
    "pushd: not found",
    "function: not found",
    "Bad substitution",
    "Illegal option -o pipefail",
    "Syntax error: \"(\" unexpected",
    "Syntax error: redirection unexpected",
];

#[cfg(test)]
mod tests {
    use schemars::schema_for;

    use super::*;
    use crate::manifest::{RunOptions, ScriptProvisioner, ShellProvisioner, VerifyCommand};

    const SCRIPT: Kind<'_> = Kind::Script("/var/lib/remint/remint-step-1");

    /// Outputs as machines wrote them: what ran, how it ended, its last line, and what the hint must name.
    const RECORDED: [(Kind<'_>, u32, &str, &str); 24] = [
        (Kind::Lines, 2, "sh: 4: NAME: parameter not set", "`env`"),
        (Kind::Verify, 2, "sh: 4: NAME: parameter not set", "`${NAME:-}`"),
        (Kind::Lines, 1, "bash: line 4: NAME: unbound variable", "`${NAME:-}`"),
        (Kind::Lines, 127, "sh: 3: [[: not found", "`shell = \"bash\"`"),
        (Kind::Verify, 127, "sh: 3: [[: not found", "`bash -c"),
        (SCRIPT, 127, "/var/lib/remint/remint-step-1: 2: source: not found", "`#!/bin/bash`"),
        (Kind::Lines, 2, "sh: 3: Bad substitution", "bash"),
        (Kind::Lines, 2, "sh: 3: Syntax error: \"(\" unexpected", "bash"),
        (Kind::Lines, 2, "sh: 3: set: Illegal option -o pipefail", "bash"),
        (SCRIPT, 127, "sh: 7: /var/lib/remint/remint-step-1: not found", "interpreter"),
        (
            SCRIPT,
            127,
            "bash: line 7: /var/lib/remint/remint-step-1: cannot execute: required file not found",
            "interpreter",
        ),
        (SCRIPT, 126, "/var/lib/remint/remint-step-1: /opt/x: bad interpreter: Permission denied", "correct the step"),
        (SCRIPT, 126, "mounted noexec: the file system of /tmp", "`[image] script_folder`"),
        (SCRIPT, 127, "/usr/bin/env: 'bash\\r': No such file or directory", "CR LF"),
        (SCRIPT, 127, "/var/lib/remint/remint-step-1: line 2: $'\\r': command not found", "CR LF"),
        (SCRIPT, 127, "/var/lib/remint/remint-step-1: 1: \u{feff}#!/bin/sh: not found", "byte order mark"),
        (Kind::Lines, 1, "cp: error writing '/opt/x': No space left on device", "`builder_size`"),
        (Kind::Lines, 100, "E: You don't have enough free space in /var/cache/apt/archives/.", "`builder_size`"),
        (Kind::Lines, 137, "Killed", "`builder_size`"),
        (
            Kind::Lines,
            2,
            "the kernel: [   61.1] Out of memory: Killed process 812 (cc1plus) total-vm:91kB",
            "ran out of memory",
        ),
        (
            Kind::Lines,
            100,
            "E: Could not get lock /var/lib/dpkg/lock-frontend. It is held by process 1234 (apt-get)",
            "apt's lock",
        ),
        (
            Kind::Lines,
            100,
            "E: Could not get lock /var/lib/apt/lists/lock. It is held by process 640 (apt-get)",
            "apt's lock",
        ),
        (Kind::Lines, 127, "bash: line 1: bash: command not found", "no bash"),
        (Kind::Lines, 3, "something else", "`retries`"),
    ];

    #[test]
    fn messages_of_machines_are_explained() {
        for (kind, status, line, names) in RECORDED {
            let told = hint(kind, &Failure::Exit(Exit::Status(status)), &[line.to_owned()]);
            assert!(told.contains(names), "{line}: {told}");
        }
        let killed = hint(Kind::Verify, &Failure::Exit(Exit::Signal("KILL".into())), &[]);
        assert!(killed.contains("`builder_size`"), "{killed}");
        assert!(hint(Kind::Lines, &Failure::Timeout, &[]).contains("`timeout`"));
        assert!(hint(SCRIPT, &Failure::Lost, &[]).contains("`expect_reboot = true`"));
    }

    #[test]
    fn only_what_may_tell_more_is_asked_for() {
        let exit = |status| Failure::Exit(Exit::Status(status));
        assert!(question(Kind::Lines, &exit(1), &["x".into()]).is_none());
        assert!(question(Kind::Lines, &exit(126), &[]).is_none());
        for (kind, failure, tail) in
            [(SCRIPT, exit(126), ""), (Kind::Lines, exit(137), ""), (Kind::Lines, exit(2), "Killed")]
        {
            assert!(question(kind, &failure, &[tail.to_owned()]).is_some());
        }
    }

    fn keys(schema: schemars::Schema) -> Vec<String> {
        let value = schema.to_value();
        value["properties"].as_object().unwrap().keys().cloned().collect()
    }

    /// A hint that names a key is only of use where that key exists.
    #[test]
    fn hints_name_keys_that_exist_there() {
        let run = keys(schema_for!(RunOptions));
        let verify = keys(schema_for!(VerifyCommand));
        let of = |kind| match kind {
            Kind::Script(_) => [keys(schema_for!(ScriptProvisioner)), run.clone()].concat(),
            Kind::Lines => [keys(schema_for!(ShellProvisioner)), run.clone()].concat(),
            Kind::Verify => verify.clone(),
        };
        let every = [of(SCRIPT), of(Kind::Lines), of(Kind::Verify)].concat();
        let failures = RECORDED.iter().map(|(_, status, line, _)| (Failure::Exit(Exit::Status(*status)), *line));
        for (failure, line) in failures.chain([(Failure::Timeout, ""), (Failure::Lost, "")]) {
            for kind in [SCRIPT, Kind::Lines, Kind::Verify] {
                let told = hint(kind, &failure, &[line.to_owned()]);
                for quoted in told.split('`').skip(1).step_by(2) {
                    let key = quoted.split([' ', '=']).next().unwrap_or_default().to_owned();
                    assert!(!every.contains(&key) || of(kind).contains(&key), "{kind:?} has no `{key}`: {told}");
                }
            }
        }
    }
}
