//! The life of a simulated process: it runs, is suspended for a while, or is dead, together with all its tasks.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, Ordering},
    },
    task::{Context, Poll, Waker},
    time::Duration,
};

use futures::future::BoxFuture;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{chance, clock, fake::Dice, spawn::Wrap};

/// What befalls a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Blow {
    /// It is gone, as by SIGKILL.
    Kill,
    /// It stands still for so long, as by SIGSTOP, a debugger, or a laptop that sleeps.
    Suspend(Duration),
    /// Its user presses Ctrl-C.
    Interrupt,
}

/// Something that befalls a process in the middle of what it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fuse {
    /// After so many steps: requests, writes to the store, and commands on machines.
    pub(super) steps: u32,
    /// And so much later, when a request may be under way.
    pub(super) delay: Duration,
    pub(super) blow: Blow,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Running,
    Suspended,
    Dead,
}

#[derive(Debug)]
struct Vital {
    mode: Mode,
    /// Whoever is to be polled once it runs again, or is dead.
    wakers: Vec<Waker>,
    fuse: Option<Fuse>,
    ended_at: Option<Instant>,
    killed: bool,
}

/// The wall clock of a host: by how many milliseconds it is wrong.
#[derive(Debug, Default)]
pub(super) struct HostClock {
    skew: AtomicI64,
    /// The most that it ever was ahead.
    most: AtomicI64,
}

impl HostClock {
    fn skew(&self) -> i64 {
        self.skew.load(Ordering::Relaxed)
    }

    pub(super) fn most(&self) -> i64 {
        self.most.load(Ordering::Relaxed)
    }

    pub(super) fn set(&self, skew: i64) {
        self.skew.store(skew, Ordering::Relaxed);
        self.most.fetch_max(skew, Ordering::Relaxed);
    }
}

pub(super) struct Life {
    vital: Mutex<Vital>,
    cancel: CancellationToken,
    clock: Arc<HostClock>,
    /// What it draws itself, as names and pauses.
    dice: Mutex<Dice>,
    /// Is told of every blow.
    told: Box<dyn Fn(Blow) + Send + Sync>,
}

impl fmt::Debug for Life {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Life").field("vital", &self.vital).finish_non_exhaustive()
    }
}

impl Life {
    /// A process that `cancel` interrupts, on a host with this clock.
    pub(super) fn new(
        cancel: CancellationToken,
        (clock, dice): (Arc<HostClock>, Dice),
        fuse: Option<Fuse>,
        told: impl Fn(Blow) + Send + Sync + 'static,
    ) -> Arc<Self> {
        let vital = Vital { mode: Mode::Running, wakers: Vec::new(), fuse, ended_at: None, killed: false };
        Arc::new(Self { vital: Mutex::new(vital), cancel, clock, dice: Mutex::new(dice), told: Box::new(told) })
    }

    pub(super) fn clock(&self) -> &HostClock {
        &self.clock
    }

    /// One turn of the process, by its own clock and with its own dice.
    fn turn_of<T>(&self, work: impl FnOnce() -> T) -> T {
        let mut dice = self.dice.lock().unwrap().clone();
        let value = clock::skewed(self.clock.skew(), || chance::seeded::with(&mut dice, work));
        *self.dice.lock().unwrap() = dice;
        value
    }

    /// Whether it exists, running or suspended.
    pub(super) fn is_alive(&self) -> bool {
        self.vital.lock().unwrap().mode != Mode::Dead
    }

    /// Whether it did not end by itself.
    pub(super) fn is_killed(&self) -> bool {
        self.vital.lock().unwrap().killed
    }

    pub(super) fn is_suspended(&self) -> bool {
        self.vital.lock().unwrap().mode == Mode::Suspended
    }

    pub(super) fn ended_at(&self) -> Option<Instant> {
        self.vital.lock().unwrap().ended_at
    }

    /// Lets something befall it.
    pub(super) fn strike(self: &Arc<Self>, blow: Blow) {
        if !self.is_alive() {
            return;
        }
        (self.told)(blow);
        match blow {
            Blow::Kill => {
                self.turn(Mode::Dead);
                self.vital.lock().unwrap().killed = true;
            }
            Blow::Interrupt => self.cancel.cancel(),
            Blow::Suspend(time) => {
                self.turn(Mode::Suspended);
                let life = Arc::clone(self);
                tokio::spawn(async move {
                    tokio::time::sleep(time).await;
                    life.resume();
                });
            }
        }
    }

    pub(super) fn resume(&self) {
        if self.is_suspended() {
            self.turn(Mode::Running);
        }
    }

    /// A moment at which the fuse may have burnt down; says whether it has.
    pub(super) fn step(self: &Arc<Self>) -> bool {
        let fuse = {
            let mut vital = self.vital.lock().unwrap();
            match &mut vital.fuse {
                Some(fuse) if fuse.steps > 0 => {
                    fuse.steps -= 1;
                    return false;
                }
                fuse => fuse.take(),
            }
        };
        let Some(Fuse { delay, blow, .. }) = fuse else { return false };
        if delay.is_zero() {
            self.strike(blow);
            return true;
        }
        let life = Arc::clone(self);
        tokio::spawn(async move {
            tokio::time::sleep(delay).await;
            life.strike(blow);
        });
        false
    }

    /// The process ends by itself, and its tasks with it.
    pub(super) fn end(&self) {
        self.turn(Mode::Dead);
    }

    fn turn(&self, mode: Mode) {
        let mut vital = self.vital.lock().unwrap();
        if vital.mode == Mode::Dead {
            return;
        }
        vital.mode = mode;
        if mode == Mode::Dead {
            vital.ended_at = Some(Instant::now());
        }
        let wakers = std::mem::take(&mut vital.wakers);
        drop(vital);
        wakers.into_iter().for_each(Waker::wake);
    }

    /// A future of this process: it makes way only while the process runs. `None` when the process died first.
    pub(super) fn hold<F: Future>(self: &Arc<Self>, future: F) -> Held<F> {
        Held { life: Arc::clone(self), future: Some(Box::pin(future)) }
    }

    /// Holds every task that the process spawns.
    pub(super) fn wrap(self: &Arc<Self>) -> Wrap {
        let life = Arc::clone(self);
        Arc::new(move |task: BoxFuture<'static, ()>| {
            let held = life.hold(task);
            Box::pin(async move {
                held.await;
            })
        })
    }
}

pub(super) struct Held<F> {
    life: Arc<Life>,
    future: Option<Pin<Box<F>>>,
}

impl<F: Future> Future for Held<F> {
    type Output = Option<F::Output>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let mode = {
            let mut vital = this.life.vital.lock().unwrap();
            // One that runs is woken, too, when it is killed while it waits.
            vital.wakers.retain(|waker| !waker.will_wake(cx.waker()));
            vital.wakers.push(cx.waker().clone());
            vital.mode
        };
        let Some(future) = &mut this.future else { return Poll::Ready(None) };
        match mode {
            Mode::Running => this.life.turn_of(|| future.as_mut().poll(cx)).map(|value| {
                this.future = None;
                Some(value)
            }),
            Mode::Suspended => Poll::Pending,
            Mode::Dead => {
                this.future = None;
                Poll::Ready(None)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::sleep;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_process_stands_still_while_it_is_suspended_and_ends_when_it_is_killed() {
        let host = || (Arc::default(), Dice::new(1));
        let life = Life::new(CancellationToken::new(), host(), None, |_| ());
        let started = Instant::now();
        let task = tokio::spawn(life.hold(async move {
            for _ in 0..3 {
                sleep(Duration::from_secs(1)).await;
            }
            started.elapsed()
        }));
        sleep(Duration::from_millis(1500)).await;
        life.strike(Blow::Suspend(Duration::from_secs(70)));
        assert!(life.is_suspended() && life.is_alive());
        // The second sleep has ended meanwhile.
        assert_eq!(task.await.unwrap().unwrap().as_secs(), 72);

        let fuse = Fuse { steps: 2, delay: Duration::ZERO, blow: Blow::Kill };
        let life = Life::new(CancellationToken::new(), host(), Some(fuse), |_| ());
        let task = tokio::spawn(life.hold(std::future::pending::<()>()));
        sleep(Duration::from_secs(1)).await;
        assert!(!life.step() && !life.step() && life.step());
        assert_eq!(task.await.unwrap(), None);
        assert!(!life.is_alive());
    }
}
