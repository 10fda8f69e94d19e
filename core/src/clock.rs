//! What time it is. In unit tests it follows tokio's clock, from a fixed start.

#[cfg(not(test))]
use jiff::Timestamp;

/// What time it is. Jumps when somebody sets the clock.
#[cfg(not(test))]
pub(crate) fn wall() -> Timestamp {
    Timestamp::now()
}

#[cfg(test)]
pub(crate) use clocks::wall;

#[cfg(test)]
mod clocks {
    use std::{
        collections::HashMap,
        sync::{Mutex, PoisonError},
        time::Duration,
    };

    use jiff::{SignedDuration, Timestamp};
    use tokio::{runtime, time::Instant};

    /// When every runtime's time begins: 2026-11-28 12:00:00 UTC.
    const START: i64 = 1_795_867_200;

    pub(crate) fn wall() -> Timestamp {
        let start = Timestamp::from_second(START).unwrap();
        start.checked_add(SignedDuration::try_from(elapsed()).unwrap()).unwrap()
    }

    /// The time since this runtime's clock was first asked; of another runtime, nothing is known here.
    fn elapsed() -> Duration {
        static STARTS: Mutex<Option<HashMap<Option<runtime::Id>, Instant>>> = Mutex::new(None);
        let now = Instant::now();
        let runtime = runtime::Handle::try_current().ok().map(|handle| handle.id());
        let mut starts = STARTS.lock().unwrap_or_else(PoisonError::into_inner);
        let start = *starts.get_or_insert_default().entry(runtime).or_insert(now);
        now.saturating_duration_since(start)
    }
}
