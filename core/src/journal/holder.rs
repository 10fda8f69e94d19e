//! Who holds a lock.

use std::{fmt, os::unix::fs::MetadataExt as _};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::ci::{self, CiJob};

/// A process that holds, or wants, the lock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// `USER` or `LOGNAME`, else the name in `/etc/passwd`; `unknown` where there is none.
    pub user: String,
    /// The machine's host name, else `HOSTNAME`; `unknown` where there is neither.
    pub host: String,
    /// The process id. It means something at `place` only.
    pub pid: u32,
    /// What tells whether a process id means the same here and there: the boot and the process namespace. `None` where
    /// the system does not tell.
    #[serde(default)]
    pub place: Option<String>,
    /// When the process began, in the system's ticks: a process id is used again one day.
    #[serde(default)]
    pub started: Option<u64>,
    /// Drawn by each run of the command; it distinguishes two runs of one process.
    pub run: Uuid,
    /// The command that it runs, without `remint`: `deploy`.
    pub command: String,
    /// The CI job that it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ci: Option<CiJob>,
}

impl Holder {
    /// This process, as its environment and `/proc` describe it.
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
            ci: CiJob::current(),
        }
    }

    /// `user@host`.
    pub(crate) fn at(&self) -> String {
        format!("{}@{}", self.user, self.host)
    }

    /// Who it is and from where, for people: `user@host`, and the CI job.
    pub(crate) fn author(&self) -> String {
        ci::who(&self.at(), self.ci.as_ref())
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (who, command) = (self.author(), ci::line(&self.command));
        write!(f, "{who} (process {}, `remint {command}`)", self.pid)
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

/// What `/proc` shows of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Seen {
    /// Nothing: it does not exist, or belongs to another user and is hidden.
    Nothing,
    /// It has ended, and its parent has not asked for it yet.
    Zombie,
    /// It exists, running or suspended, and began then.
    Since(u64),
}

/// Reads field 22 of `/proc/PID/stat`. The second field, the program's name, may hold anything, but ends at the last `)`.
fn see(pid: u32) -> Seen {
    let stat = read(&format!("/proc/{pid}/stat")).unwrap_or_default();
    let mut fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields).split_whitespace();
    match fields.next() {
        Some("Z" | "X") => Seen::Zombie,
        _ => fields.nth(18).and_then(|field| field.parse().ok()).map_or(Seen::Nothing, Seen::Since),
    }
}

fn started(pid: u32) -> Option<u64> {
    if let Seen::Since(ticks) = see(pid) { Some(ticks) } else { None }
}

/// Whether a process of this id exists, also one of another user.
fn exists(pid: u32) -> bool {
    let Ok(pid) = i32::try_from(pid) else { return false };
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), None) != Err(nix::errno::Errno::ESRCH)
}

/// What is known of the process that holds a lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProcessState {
    /// It exists on this host, running or suspended.
    Alive,
    /// It ran on this host, and is gone.
    Dead,
    /// It runs, or ran, on another host or in another container: nothing can be seen from here.
    Unknown,
}

/// Tells whether a holder lives.
///
/// A seam: the journal asks the system, and a simulation answers for processes of its own.
pub trait Liveness: Send + Sync + fmt::Debug {
    /// What is known of this process now. `Dead` is for ever; whoever is not sure says `Unknown`.
    fn of(&self, holder: &Holder) -> ProcessState;
}

/// Asks `/proc`.
#[derive(Debug, Clone, Copy)]
pub(super) struct ThisHost;

impl Liveness for ThisHost {
    fn of(&self, holder: &Holder) -> ProcessState {
        let here = place();
        // Without them, a process id says nothing: it is used again one day, and means something else elsewhere.
        if here.is_none() || here != holder.place || holder.started.is_none() {
            return ProcessState::Unknown;
        }
        match see(holder.pid) {
            Seen::Since(ticks) if Some(ticks) == holder.started => ProcessState::Alive,
            // `/proc` may be mounted so that users see only their own processes.
            Seen::Nothing if exists(holder.pid) => ProcessState::Unknown,
            _ => ProcessState::Dead,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_runs_is_alive_and_one_that_has_ended_is_dead() {
        let here = Holder::current(Uuid::nil(), "deploy");
        assert_eq!(ThisHost.of(&here), ProcessState::Alive);
        assert!(here.started.is_some());
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let started = started(child.id());
        let holder = Holder { pid: child.id(), started, ..here.clone() };
        assert_eq!(ThisHost.of(&holder), ProcessState::Alive);
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(ThisHost.of(&holder), ProcessState::Dead);
        let reused = Holder { started: Some(1), ..here.clone() };
        assert_eq!(ThisHost.of(&reused), ProcessState::Dead, "another process has the id now");
    }

    #[test]
    fn of_another_host_and_of_a_holder_without_a_start_nothing_is_known() {
        let here = Holder::current(Uuid::nil(), "deploy");
        let elsewhere = Holder { place: Some("another kernel".to_owned()), ..here.clone() };
        assert_eq!(ThisHost.of(&elsewhere), ProcessState::Unknown);
        assert_eq!(ThisHost.of(&Holder { place: None, ..here.clone() }), ProcessState::Unknown);
        assert_eq!(ThisHost.of(&Holder { started: None, ..here }), ProcessState::Unknown);
    }

    #[test]
    fn a_suspended_process_is_alive_and_a_zombie_is_dead() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let pid = child.id();
        let holder = Holder { pid, started: started(pid), ..Holder::current(Uuid::nil(), "deploy") };
        let child_pid = nix::unistd::Pid::from_raw(i32::try_from(pid).unwrap());
        nix::sys::signal::kill(child_pid, nix::sys::signal::SIGSTOP).unwrap();
        assert_eq!(ThisHost.of(&holder), ProcessState::Alive);
        nix::sys::signal::kill(child_pid, nix::sys::signal::SIGKILL).unwrap();
        // It becomes a zombie, which its parent has not asked for yet.
        while see(pid) != Seen::Zombie {
            std::thread::yield_now();
        }
        assert_eq!(ThisHost.of(&holder), ProcessState::Dead);
        child.wait().unwrap();
    }
}
