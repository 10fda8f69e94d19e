//! What a machine of the fake cloud answers over SSH.

use std::{collections::BTreeMap, time::Duration};

use crate::remote::{Command, Completed, Exit, PublicKey};

/// Root's file of login keys.
pub(crate) const LOGIN_KEYS: &str = "/root/.ssh/authorized_keys";

/// What `sshd -T` prints, as far as anybody asks.
const SETTINGS: &[&str] = &[
    "port 22",
    "permitrootlogin prohibit-password",
    "pubkeyauthentication yes",
    "passwordauthentication no",
    "hostkey /etc/ssh/ssh_host_ed25519_key",
    "authorizedkeysfile .ssh/authorized_keys",
];

/// What the engine runs on a machine, as far as it matters to one that is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Task<'a> {
    /// Waits for the end of the first boot.
    FirstBoot,
    /// Something of the manifest's: a step of the recipe, or the command before the switch.
    Own(&'a str),
    /// Replaces the host key by this one.
    HostKey(&'a str),
    /// Shows the end of the log.
    Log,
    /// Removes what is the builder's own, or looks for what is left of it.
    Seal,
    /// Prepares the machine or asks it something.
    Other,
}

impl<'a> Task<'a> {
    pub(crate) fn of(command: &'a Command) -> Self {
        let lines = command.lines();
        let starts = |all: &[&str]| all.iter().any(|start| lines.starts_with(start));
        if starts(&["cloud-init status --wait"]) {
            return Self::FirstBoot;
        }
        if starts(&["# Gives the machine another host key"]) {
            return Self::HostKey(command.variable("PUBLIC").unwrap_or_default());
        }
        if starts(&["# The end of the journal of units"]) {
            return Self::Log;
        }
        if starts(&["r=${REMINT_ROOT-}"]) {
            return Self::Seal;
        }
        let other = starts(&["if test -d /etc/apt/apt.conf.d", "sync || true"]);
        if other || command.variable("REMINT_MARK").is_some() { Self::Other } else { Self::Own(lines) }
    }
}

/// A machine from inside.
#[derive(Debug)]
pub(crate) struct Guest {
    pub(crate) host_key: String,
    files: BTreeMap<String, Vec<u8>>,
}

impl Guest {
    /// As user data makes it: it shows a host key, and lets one key in.
    pub(crate) fn new(host_key: &PublicKey, login: &PublicKey) -> Self {
        let files = BTreeMap::from([(LOGIN_KEYS.to_owned(), format!("{login}\n").into_bytes())]);
        Self { host_key: host_key.line(), files }
    }

    pub(crate) fn write(&mut self, path: &str, content: &[u8]) {
        self.files.insert(path.to_owned(), content.to_owned());
    }

    pub(crate) fn read(&self, path: &str) -> Vec<u8> {
        self.files.get(path).cloned().unwrap_or_default()
    }

    /// What a question about its logins is answered: each block after the mark that the question names.
    pub(crate) fn logins(&self, command: &Command) -> Vec<String> {
        let Some(mark) = command.variable("REMINT_MARK") else { return Vec::new() };
        let blocks: Vec<(&str, Vec<String>)> = if command.lines().contains("echo \"$mark users\"") {
            vec![
                ("users", vec!["root:x:0:0:root:/root:/bin/bash".to_owned()]),
                ("passwords", Vec::new()),
                ("server", vec!["/usr/sbin/sshd".to_owned()]),
                ("config", vec!["/etc/ssh/sshd_config".to_owned()]),
                ("processes", vec!["sshd sshd: /usr/sbin/sshd -D [listener]".to_owned()]),
            ]
        } else if command.lines().contains("sshd -T") {
            vec![("0", SETTINGS.iter().map(|line| (*line).to_owned()).collect())]
        } else if command.lines().contains("$mark 0 pattern") {
            vec![("0 pattern", Vec::new())]
        } else {
            vec![("0", String::from_utf8_lossy(&self.read(LOGIN_KEYS)).lines().map(str::to_owned).collect())]
        };
        let lines = |(title, lines): (&str, Vec<String>)| [vec![format!("{mark} {title}")], lines].concat();
        blocks.into_iter().flat_map(lines).collect()
    }
}

/// A command that ended well.
pub(crate) fn success(tail: Vec<String>, elapsed: Duration) -> Completed {
    Completed { exit: Exit::Status(0), tail, elapsed }
}
