//! Taking turns, where a cloud has no idempotency of its own.

use std::{
    collections::{BTreeSet, HashMap},
    future::Future,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::OwnedMutexGuard;

use super::call::within_attempt;

/// Lets calls of one process that look before they create take turns, by what they would create. Without it, two that
/// look at the same time both find nothing, and both create.
///
/// It says nothing of other processes: there the environment's lock keeps two deploys apart.
#[derive(Debug, Default)]
pub struct Turns(Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>);

/// A turn. It ends when this is dropped, and no call that it [covers](Self::cover) is under way.
#[derive(Debug)]
pub struct Turn(Arc<Vec<OwnedMutexGuard<()>>>);

impl Turn {
    /// Makes a call to its end, also when the caller is dropped meanwhile. A cloud may carry out what was asked after the
    /// one who asked is gone: who takes the next turn must not look before that, and then ask again.
    ///
    /// # Panics
    ///
    /// When the call does.
    pub async fn cover<T: Send + 'static>(&self, call: impl Future<Output = T> + Send + 'static) -> T {
        let held = Arc::clone(&self.0);
        let attempt = super::call::attempt();
        let covered = tokio::spawn(async move {
            let result = within_attempt(attempt, call).await;
            drop(held);
            result
        });
        match covered.await {
            Ok(result) => result,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                // The runtime is ending, and with it the caller.
                Err(_) => std::future::pending().await,
            },
        }
    }
}

impl Turns {
    /// Waits for the turn of all these keys at once. Calls whose keys have nothing in common do not wait for each other;
    /// keys are taken in order, so that none wait for each other for ever.
    pub async fn take<K: Into<String>>(&self, keys: impl IntoIterator<Item = K>) -> Turn {
        let keys: BTreeSet<String> = keys.into_iter().map(Into::into).collect();
        let locks: Vec<_> = {
            let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            // Those that nobody holds or waits for.
            all.retain(|_, lock| Arc::strong_count(lock) > 1);
            keys.into_iter().map(|key| Arc::clone(all.entry(key).or_default())).collect()
        };
        let mut held = Vec::with_capacity(locks.len());
        for lock in locks {
            held.push(lock.lock_owned().await);
        }
        Turn(Arc::new(held))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_shares_a_key_waits_and_who_does_not_goes_on() {
        let turns = Turns::default();
        let first = turns.take(["a", "b"]).await;
        let soon = |keys: Vec<&'static str>| tokio::time::timeout(Duration::from_secs(1), turns.take(keys));
        assert!(soon(vec!["c", "b"]).await.is_err(), "b is taken");
        assert!(soon(vec!["c"]).await.is_ok(), "what waited for b does not hold c");
        drop(first);
        assert!(soon(vec!["b", "a"]).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_covered_call_outlives_its_caller_and_the_turn_lasts_as_long() {
        let turns = Turns::default();
        let (answer, answered) = tokio::sync::oneshot::channel();
        let caller = async {
            let turn = turns.take(["a"]).await;
            turn.cover(async {
                tokio::time::sleep(Duration::from_secs(5)).await;
                answer.send(()).unwrap();
            })
            .await;
        };
        assert!(tokio::time::timeout(Duration::from_secs(1), caller).await.is_err(), "the caller is dropped");
        let soon = || tokio::time::timeout(Duration::from_secs(3), turns.take(["a"]));
        assert!(soon().await.is_err(), "the call is under way still");
        assert!(soon().await.is_ok(), "and then it is not");
        answered.await.unwrap();
    }

    #[tokio::test]
    async fn a_covered_call_answers_its_caller() {
        let turns = Turns::default();
        let turn = turns.take(["a"]).await;
        assert_eq!(turn.cover(async { 1 }).await, 1);
        assert_eq!(turn.cover(async { 2 }).await, 2, "one turn covers many calls");
    }

    #[tokio::test]
    async fn turns_that_are_over_are_forgotten() {
        let turns = Turns::default();
        for number in 0..100 {
            drop(turns.take([number.to_string()]).await);
        }
        assert!(turns.0.lock().unwrap().len() <= 1);
    }
}
