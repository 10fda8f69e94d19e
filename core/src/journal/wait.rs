//! Waiting for the lock, looking at it, and taking it away.

use std::time::Duration;

use serde::Serialize;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::{Holder, Journal, JournalError, LockGuard, LockRecord, ProcessState, Runs, lock::Take, lock_record};
use crate::{
    clock,
    events::{Event, Events},
    manifest::HumanDuration,
};

/// The pauses between two looks begin with this, and double.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// They grow up to this.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// What the line on the terminal is called.
const TASK: &str = "lock";

/// The lock that counts, and what is known of its holder.
#[derive(Debug, Clone, Serialize)]
pub struct LockStatus {
    /// The object with the highest number in `lock/`.
    pub lock: LockRecord,
    /// What is known of its holder's process.
    pub process: ProcessState,
    /// Whether it keeps others out.
    pub held: bool,
}

impl Journal {
    /// Takes the lock. Where somebody else has it, waits for as long as this, and reports whom it waits for.
    ///
    /// What reading the journal has ignored is reported, too.
    ///
    /// # Errors
    ///
    /// [`JournalError::Held`] when somebody else has it then; [`JournalError::Interrupted`] when `cancel` is cancelled while it
    /// waits.
    pub async fn lock_within(
        &self,
        holder: Holder,
        wait: Option<Duration>,
        events: &Events,
        cancel: &CancellationToken,
    ) -> Result<LockGuard, JournalError> {
        let started = Instant::now();
        let mut waiting: Option<Holder> = None;
        let mut pause = FIRST_PAUSE;
        let ended = loop {
            let taken = self.lock(holder.clone()).await;
            for note in self.take_notes() {
                events.warn(note);
            }
            let left = wait.unwrap_or_default().saturating_sub(started.elapsed());
            match &taken {
                Err(error @ JournalError::Held { holder, .. }) if !left.is_zero() => {
                    let message = format!("waiting for {holder}");
                    match &waiting {
                        None => {
                            let limit = HumanDuration(wait.unwrap_or_default());
                            events.info(format!("{error}; waiting up to {limit} for it"));
                            events.emit(Event::TaskStarted { task: TASK.to_owned(), message });
                        }
                        Some(former) if former != &**holder => {
                            events.emit(Event::TaskProgress { task: TASK.to_owned(), message });
                        }
                        Some(_) => {}
                    }
                    waiting = Some((**holder).clone());
                }
                _ => break taken,
            }
            // Only between two looks: a lock that was taken by then would be left behind.
            if cancel.run_until_cancelled(sleep(pause.min(left))).await.is_none() {
                break Err(JournalError::Interrupted(self.environment.to_string()));
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        };
        if waiting.is_some() {
            let (task, elapsed) = (TASK.to_owned(), started.elapsed());
            events.emit(match &ended {
                Ok(_) => Event::TaskFinished { task, message: "taken".to_owned(), elapsed },
                Err(JournalError::Held { holder, .. }) => {
                    Event::TaskFailed { task, message: format!("{holder} still has it") }
                }
                Err(error) => Event::TaskFailed { task, message: error.to_string() },
            });
        }
        ended
    }

    /// The lock that counts, held or not; none before the first.
    ///
    /// # Errors
    ///
    /// The store's; [`JournalError::Damaged`].
    pub async fn lock_status(&self) -> Result<Option<LockStatus>, JournalError> {
        let at = clock::wall();
        let Some(lock) = lock_record::latest(&self.store, &self.environment).await? else { return Ok(None) };
        let process = self.liveness.of(&lock.holder);
        Ok(Some(LockStatus { held: lock.is_held(process, at), lock, process }))
    }

    /// The runs that the journal knows.
    ///
    /// # Errors
    ///
    /// The store's; [`JournalError::Damaged`].
    pub(crate) async fn known_runs(&self) -> Result<Runs, JournalError> {
        let latest = lock_record::latest(&self.store, &self.environment).await?;
        Ok(latest.map_or_else(Runs::default, |lock| lock.known_runs()))
    }

    /// Takes the lock of this number away from its holder, and gives it back. The former holder changes nothing more, but for
    /// requests that it has sent already; what it left behind is for the next command that locks.
    ///
    /// # Errors
    ///
    /// [`JournalError::Held`] when its holder is alive on this host, or another run has the lock by now.
    pub async fn release_lock(&self, token: u64, holder: Holder) -> Result<(), JournalError> {
        self.take(holder, Take::From(token)).await?.release_unsettled().await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use object_store::memory::InMemory;
    use uuid::Uuid;

    use super::*;
    use crate::journal::{Entry, Phase, tests::record};

    fn holder(command: &str) -> Holder {
        Holder::current(Uuid::now_v7(), command)
    }

    fn far() -> Holder {
        Holder { host: "elsewhere".to_owned(), place: None, ..holder("deploy") }
    }

    fn listening() -> (Events, Arc<Mutex<Vec<String>>>) {
        let heard = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&heard);
        (Events::new(move |event| sink.lock().unwrap().push(format!("{event:?}"))), heard)
    }

    #[tokio::test(start_paused = true)]
    async fn a_run_waits_for_the_holder_and_names_it() {
        let journal = Journal::over(Arc::new(InMemory::new()), "production");
        let held = journal.lock(holder("deploy")).await.unwrap();
        tokio::spawn(async move {
            sleep(Duration::from_secs(70)).await;
            held.release().await.unwrap();
        });
        let (events, heard) = listening();
        let wait = Some(Duration::from_secs(300));
        let started = Instant::now();
        let lock = journal.lock_within(holder("bake"), wait, &events, &CancellationToken::new()).await.unwrap();
        assert!(!lock.took_over());
        assert!((70..=72).contains(&started.elapsed().as_secs()), "{:?}", started.elapsed());
        let heard = heard.lock().unwrap();
        assert_eq!(heard.len(), 3, "{heard:?}");
        assert!(heard[0].contains("`remint deploy`") && heard[0].contains("waiting up to 5m for it"), "{heard:?}");
        assert!(heard[1].starts_with("TaskStarted") && heard[2].starts_with("TaskFinished"), "{heard:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_that_is_over_ends_with_the_holder() {
        let journal = Journal::over(Arc::new(InMemory::new()), "production");
        let _held = journal.lock(holder("deploy")).await.unwrap();
        let (events, heard) = listening();
        let started = Instant::now();
        let wait = Some(Duration::from_secs(5));
        let error = journal.lock_within(holder("bake"), wait, &events, &CancellationToken::new()).await.unwrap_err();
        assert!(matches!(error, JournalError::Held { .. }), "{error}");
        assert_eq!(started.elapsed().as_secs(), 5);
        assert!(heard.lock().unwrap().last().unwrap().contains("still has it"));
        let none = journal.lock_within(holder("bake"), None, &Events::silent(), &CancellationToken::new()).await;
        assert!(matches!(none, Err(JournalError::Held { .. })));
        assert_eq!(started.elapsed().as_secs(), 5, "without a wait it fails at once");
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_can_be_interrupted() {
        let journal = Journal::over(Arc::new(InMemory::new()), "production");
        let _held = journal.lock(holder("deploy")).await.unwrap();
        let cancel = CancellationToken::new();
        let stop = cancel.clone();
        tokio::spawn(async move {
            sleep(Duration::from_millis(1_100)).await;
            stop.cancel();
        });
        let wait = Some(Duration::from_secs(300));
        let started = Instant::now();
        let error = journal.lock_within(holder("bake"), wait, &Events::silent(), &cancel).await.unwrap_err();
        assert!(matches!(error, JournalError::Interrupted(_)), "{error}");
        assert_eq!(started.elapsed().as_millis(), 1_100);
    }

    #[tokio::test(start_paused = true)]
    async fn a_lock_can_be_taken_away_from_another_host_and_its_holder_is_fenced_off() {
        let journal = Journal::over(Arc::new(InMemory::new()), "production");
        let far = journal.lock(far()).await.unwrap();
        let mut release = journal.create(&far, record(1)).await.unwrap();
        let status = journal.lock_status().await.unwrap().unwrap();
        assert_eq!((status.held, status.process, status.lock.token), (true, ProcessState::Unknown, 1));
        journal.release_lock(1, holder("lock release")).await.unwrap();
        assert!(!journal.lock_status().await.unwrap().unwrap().held);
        let entry = Entry::Phase { phase: Phase::Launching };
        let error = journal.append(&far, &mut release, entry).await.unwrap_err();
        assert!(matches!(error, JournalError::Lost { .. }), "{error}");
        assert!(far.fence().check().await.is_err());
        let next = journal.lock(holder("deploy")).await.unwrap();
        assert!(next.took_over(), "the next command cleans up after the former holder");
    }

    #[tokio::test(start_paused = true)]
    async fn a_lock_is_not_taken_away_from_a_holder_who_lives_here_nor_from_another_one() {
        let journal = Journal::over(Arc::new(InMemory::new()), "production");
        let held = journal.lock(holder("deploy")).await.unwrap();
        let error = journal.release_lock(1, holder("lock release")).await.unwrap_err();
        assert!(matches!(error, JournalError::Held { process: ProcessState::Alive, .. }), "{error}");
        held.release().await.unwrap();
        let other = journal.lock(far()).await.unwrap();
        let error = journal.release_lock(1, holder("lock release")).await.unwrap_err();
        assert!(matches!(error, JournalError::Held { .. }), "{error}");
        other.fence().check().await.unwrap();
    }
}
