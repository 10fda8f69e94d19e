//! What the commands of one machine may take of the sandbox: memory, work and time.
//!
//! Memory is counted where a script decides how much there is: variables, arguments, words, pipes, what a substitution
//! holds, and what is parsed. A [`Charge`] is taken for each and given back when it is dropped, and the job that finds the
//! machine's memory full is killed, as the kernel would. The count may be passed by as much as one command makes at once,
//! which is bounded by [`HELD`]. Files are not counted here: the disk has limits of its own.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::Instant,
};

/// What all commands of one machine may hold together, in bytes.
pub(super) const MEMORY: usize = 128 << 20;

/// What one command may be given, print, or put into a pipe or substitution, in bytes.
pub(super) const HELD: usize = 32 << 20;

/// How many commands and loop turns one job may take.
pub(super) const STEPS: u64 = 200_000;

/// How many characters one job may look at for each of those steps, while it expands words, matches patterns, and reads and writes
/// text: few steps may be a lot of work, too.
const EFFORT: u64 = 1 << 10;

/// How long one job may take, waiting included.
pub(super) const TIME: Duration = Duration::from_secs(3600);

/// How many jobs one machine may run at once.
const JOBS: usize = 64;

/// How large a script may be, in bytes.
const SCRIPT: usize = 1 << 20;

/// How much memory a parsed script takes at most, for each byte of its text.
const PARSED: usize = 64;

/// A limit that a job has met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Limit {
    Steps,
    Effort,
    Time,
    Memory,
    Script,
}

impl Limit {
    /// The signal that the job ends by, named without `SIG`.
    pub(super) fn signal(self) -> &'static str {
        match self {
            Self::Steps | Self::Effort | Self::Time => "XCPU",
            Self::Memory | Self::Script => "KILL",
        }
    }

    /// What standard error says of it.
    pub(super) fn message(self) -> String {
        match self {
            Self::Steps => {
                format!("stopped after {STEPS} commands: this simulated machine runs no longer scripts")
            }
            Self::Effort => {
                let most = STEPS * EFFORT;
                format!("stopped after looking at {most} characters: this simulated machine runs no larger scripts")
            }
            Self::Time => {
                format!("stopped after {} s: this simulated machine runs nothing for longer", TIME.as_secs())
            }
            Self::Memory => {
                format!("killed: this simulated machine has {} MiB of memory for its commands", MEMORY >> 20)
            }
            Self::Script => format!("killed: this simulated machine runs scripts of at most {} KiB", SCRIPT >> 10),
        }
    }
}

/// The limits of one machine, shared by all of its jobs.
#[derive(Debug, Clone)]
pub(crate) struct Limits {
    memory: Arc<Memory>,
    jobs: Arc<Semaphore>,
    steps: u64,
}

#[derive(Debug)]
struct Memory {
    used: AtomicUsize,
    most: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self::new(MEMORY, STEPS)
    }
}

impl Limits {
    /// Those of a machine with so much memory, for jobs of so many steps.
    pub(crate) fn new(most: usize, steps: u64) -> Self {
        let memory = Arc::new(Memory { used: AtomicUsize::default(), most });
        Self { memory, jobs: Arc::new(Semaphore::new(JOBS)), steps }
    }

    /// The work of a job that begins now.
    pub(super) fn work(&self) -> Work {
        Work { counts: Arc::default(), steps: self.steps, until: Instant::now() + TIME }
    }

    /// Room for one more job, for as long as the permit lives.
    pub(super) fn job(&self) -> Option<OwnedSemaphorePermit> {
        self.jobs.clone().try_acquire_owned().ok()
    }

    /// Waits until no job runs, also none in the background.
    #[cfg(test)]
    pub(crate) async fn idle(&self) {
        // The semaphore is never closed.
        self.jobs.acquire_many(JOBS as u32).await.ok();
    }

    /// Counts memory for as long as the charge lives.
    pub(super) fn charge(&self, bytes: usize) -> Charge {
        let mut charge = Charge { memory: self.memory.clone(), bytes: 0 };
        charge.set(bytes);
        charge
    }

    /// Counts what a script takes once it is parsed.
    pub(super) fn script(&self, text: &str) -> Result<Charge, Limit> {
        if text.len() > SCRIPT {
            return Err(Limit::Script);
        }
        let charge = self.charge(parsed(text.len()));
        self.check().map(|()| charge)
    }

    /// Whether the memory holds what is counted.
    pub(super) fn check(&self) -> Result<(), Limit> {
        if self.held() > self.memory.most { Err(Limit::Memory) } else { Ok(()) }
    }

    /// What is counted, in bytes.
    pub(crate) fn held(&self) -> usize {
        self.memory.used.load(Ordering::Relaxed)
    }
}

/// What a text takes once it is parsed.
pub(super) fn parsed(text: usize) -> usize {
    text.saturating_mul(PARSED)
}

/// Counted memory.
#[derive(Debug)]
pub(crate) struct Charge {
    memory: Arc<Memory>,
    bytes: usize,
}

impl Charge {
    /// Counts another amount in place of the one before.
    pub(super) fn set(&mut self, bytes: usize) {
        self.memory.used.fetch_add(bytes, Ordering::Relaxed);
        self.memory.used.fetch_sub(self.bytes, Ordering::Relaxed);
        self.bytes = bytes;
    }

    /// Counts more.
    pub(super) fn grow(&mut self, bytes: usize) {
        self.set(self.bytes.saturating_add(bytes));
    }

    /// Whether the machine's memory holds what is counted.
    pub(super) fn fits(&self) -> bool {
        self.memory.used.load(Ordering::Relaxed) <= self.memory.most
    }
}

impl Clone for Charge {
    fn clone(&self) -> Self {
        self.memory.used.fetch_add(self.bytes, Ordering::Relaxed);
        Self { memory: self.memory.clone(), bytes: self.bytes }
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.memory.used.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// The work of one job, shared by its subshells.
#[derive(Debug, Clone)]
pub(super) struct Work {
    counts: Arc<Counts>,
    steps: u64,
    until: Instant,
}

#[derive(Debug, Default)]
struct Counts {
    steps: AtomicU64,
    effort: AtomicU64,
}

impl Work {
    /// Counts a command or a turn of a loop; gives how many there were before.
    pub(super) fn step(&self) -> Result<u64, Limit> {
        let steps = self.counts.steps.fetch_add(1, Ordering::Relaxed);
        if steps >= self.steps {
            return Err(Limit::Steps);
        }
        if Instant::now() > self.until {
            return Err(Limit::Time);
        }
        Ok(steps)
    }

    /// Counts characters that are looked at.
    pub(super) fn effort(&self, characters: usize) -> Result<(), Limit> {
        let characters = characters as u64;
        let effort = self.counts.effort.fetch_add(characters, Ordering::Relaxed).saturating_add(characters);
        if effort > self.steps * EFFORT { Err(Limit::Effort) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn charges_are_given_back() {
        let limits = Limits::default();
        let mut one = limits.charge(10);
        let other = one.clone();
        one.grow(5);
        assert_eq!(limits.held(), 25);
        one.set(1);
        drop(other);
        assert_eq!(limits.held(), 1);
        drop(one);
        assert_eq!(limits.held(), 0);
        assert_eq!(limits.script(&"x".repeat(SCRIPT + 1)).unwrap_err(), Limit::Script);
        let _full = limits.charge(MEMORY);
        assert_eq!(limits.script("x").unwrap_err(), Limit::Memory);
    }

    #[test]
    fn work_has_an_end() {
        let work = Limits::new(MEMORY, 2).work();
        assert_eq!(work.step(), Ok(0));
        assert_eq!(work.clone().step(), Ok(1));
        assert_eq!(work.step(), Err(Limit::Steps));
        assert_eq!(work.effort(2048), Ok(()));
        assert_eq!(work.effort(1), Err(Limit::Effort));
    }
}
