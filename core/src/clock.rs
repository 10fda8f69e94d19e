//! The two clocks that decide something: the wall clock, which other hosts have too, and one that counts suspend.
//!
//! In unit tests both follow tokio's clock, from a fixed start, so that a test whose time is paused, and a simulation, see the
//! same times in each run.

pub(crate) use clocks::{boottime, wall};

#[cfg(not(test))]
mod clocks {
    use std::time::Duration;

    use jiff::Timestamp;

    /// What time it is. Jumps when somebody sets the clock.
    pub(crate) fn wall() -> Timestamp {
        Timestamp::now()
    }

    /// The time since the machine started, suspend included. Never jumps.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    pub(crate) fn boottime() -> Duration {
        let now = nix::time::clock_gettime(nix::time::ClockId::CLOCK_BOOTTIME);
        now.map_or_else(|_| monotonic(), Duration::from)
    }

    /// The time since this was first asked. Never jumps; whether it counts suspend is up to the system.
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    pub(crate) fn boottime() -> Duration {
        monotonic()
    }

    fn monotonic() -> Duration {
        static START: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
        START.get_or_init(std::time::Instant::now).elapsed()
    }
}

#[cfg(test)]
pub(crate) use clocks::skewed;

#[cfg(test)]
mod clocks {
    use std::{
        cell::Cell,
        collections::HashMap,
        sync::{Mutex, PoisonError},
        time::Duration,
    };

    use jiff::{SignedDuration, Timestamp};
    use tokio::{runtime, time::Instant};

    /// When every runtime's time begins: 2026-11-28 12:00:00 UTC.
    const START: i64 = 1_795_867_200;

    thread_local! {
        /// By how many milliseconds the wall clock of this thread's process is wrong.
        static SKEW: Cell<i64> = const { Cell::new(0) };
    }

    pub(crate) fn wall() -> Timestamp {
        let start = Timestamp::from_second(START).unwrap();
        let right = SignedDuration::try_from(elapsed()).unwrap();
        start.checked_add(right + SignedDuration::from_millis(SKEW.get())).unwrap()
    }

    /// Does something with a wall clock that is wrong by so many milliseconds. The other clock is not: it only measures.
    pub(crate) fn skewed<T>(millis: i64, work: impl FnOnce() -> T) -> T {
        struct Back(i64);
        impl Drop for Back {
            fn drop(&mut self) {
                SKEW.set(self.0);
            }
        }
        let _back = Back(SKEW.replace(millis));
        work()
    }

    pub(crate) fn boottime() -> Duration {
        // A machine has been up for a while.
        Duration::from_secs(3600) + elapsed()
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{boottime, skewed, wall};

    #[tokio::test(start_paused = true)]
    async fn a_wrong_wall_clock_is_wrong_for_its_process_only() {
        let right = wall();
        assert_eq!(skewed(-5000, wall).duration_since(right).as_secs(), -5);
        assert_eq!(skewed(-5000, || skewed(7000, wall)).duration_since(right).as_secs(), 7);
        assert_eq!((wall(), skewed(7000, boottime)), (right, boottime()));
    }

    #[tokio::test(start_paused = true)]
    async fn both_clocks_follow_the_paused_time_of_a_test() {
        let (wall_before, boot_before) = (wall(), boottime());
        assert_eq!(wall_before.to_string(), "2026-11-28T12:00:00Z");
        tokio::time::sleep(Duration::from_secs(70)).await;
        assert_eq!(wall().duration_since(wall_before).as_secs(), 70);
        assert_eq!(boottime() - boot_before, Duration::from_secs(70));
    }
}
