//! Who holds a lock.

use std::{fmt, os::unix::fs::MetadataExt as _};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A process that holds, or wants, the lock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// The user's name.
    pub user: String,
    /// The machine's name.
    pub host: String,
    /// The process.
    pub pid: u32,
    /// What tells whether a process id means the same here and there: the boot and the process namespace. `None` where
    /// the system does not tell.
    #[serde(default)]
    pub place: Option<String>,
    /// When the process began, in the system's ticks: a process id is used again one day.
    #[serde(default)]
    pub started: Option<u64>,
    /// The run.
    pub run: Uuid,
    /// What it does: `deploy`.
    pub command: String,
}

impl Holder {
    /// This process.
    pub fn current(run: Uuid, command: &str) -> Self {
        let variable = |names: &[&str]| names.iter().find_map(|name| std::env::var(name).ok());
        let host = read("/proc/sys/kernel/hostname").or_else(|| variable(&["HOSTNAME"]));
        let pid = std::process::id();
        Self {
            user: variable(&["USER", "LOGNAME"]).or_else(user).unwrap_or_else(|| "unknown".to_owned()),
            host: host.unwrap_or_else(|| "unknown".to_owned()),
            pid,
            place: place(),
            started: started(pid),
            run,
            command: command.to_owned(),
        }
    }

    /// Whether this process is known to be dead: it ran under this very kernel, and runs no more.
    pub(super) fn is_dead(&self) -> bool {
        #[cfg(test)]
        if let Some(dead) = crate::sim::is_dead(self) {
            return dead;
        }
        let here = place();
        here.is_some() && here == self.place && self.started.is_some() && started(self.pid) != self.started
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{} (process {}, `remint {}`)", self.user, self.host, self.pid, self.command)
    }
}

fn read(path: &str) -> Option<String> {
    std::fs::read_to_string(path).ok().map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
}

/// The name of the user whom this process runs as; a container or a service manager often sets no `USER`.
fn user() -> Option<String> {
    let id = std::fs::metadata("/proc/self").ok()?.uid().to_string();
    let accounts = read("/etc/passwd").unwrap_or_default();
    let name = |line: &str| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)? == id).then(|| name.to_owned())
    };
    Some(accounts.lines().find_map(name).unwrap_or(id))
}

fn place() -> Option<String> {
    let boot = read("/proc/sys/kernel/random/boot_id")?;
    let namespace = std::fs::read_link("/proc/self/ns/pid").ok()?;
    Some(format!("{boot} {}", namespace.display()))
}

/// Field 22 of `/proc/PID/stat`; the second field, the program's name, may hold anything, but ends at the last `)`.
fn started(pid: u32) -> Option<u64> {
    let stat = read(&format!("/proc/{pid}/stat"))?;
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace();
    // A zombie holds nothing any more.
    if fields.next()? == "Z" {
        return None;
    }
    fields.nth(18)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_runs_is_alive_and_one_that_has_ended_is_dead() {
        let here = Holder::current(Uuid::nil(), "deploy");
        assert!(!here.is_dead());
        assert!(here.started.is_some());
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let started = started(child.id());
        let holder = Holder { pid: child.id(), started, ..here.clone() };
        assert!(!holder.is_dead());
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(holder.is_dead());
        assert!(Holder { started: Some(1), ..here.clone() }.is_dead(), "another process has the id now");
        let elsewhere = Some("another kernel".to_owned());
        assert!(!Holder { place: elsewhere, ..holder }.is_dead(), "of another machine, nothing is known");
    }
}
