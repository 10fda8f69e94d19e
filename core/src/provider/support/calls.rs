//! The one layer through which every API call of a provider goes: it counts, paces and retries.
//!
//! Retries live here and nowhere else. A read is repeated while its error is transient; a mutation only when the error
//! vouches that nothing was applied; whatever else a provider can make idempotent (by the cloud's token) it runs as
//! [`CallClass::IdempotentMutation`]. All calls share one token bucket per account; reads leave a part of it
//! untouched, so that polling never starves a mutation. Where a [`Fence`] is installed, each attempt of a mutation passes
//! it right before it is sent. Each attempt leaves a line in the log.

use std::{
    collections::BTreeMap,
    future::Future,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep, timeout};

use super::call::{Answered, Call, CallClass, Ended, within_attempt};
use crate::{
    manifest::HumanDuration,
    provider::{Effect, Error, ErrorKind, Fence, Result},
};

/// How long after the time of an attempt it is given up here: the client's own timeout says more, and comes first.
const MARGIN: Duration = Duration::from_secs(5);

/// How long and how often a call is repeated.
#[derive(Debug, Clone, Copy)]
pub struct RetryPolicy {
    /// Attempts in all, the first included.
    pub attempts: u32,
    /// Time in all, from the first attempt: no attempt starts later, and one that runs then is given up.
    pub within: Duration,
    /// Time for each attempt; a client takes its timeout from here.
    pub attempt: Duration,
    /// The first pause; each further one doubles, up to `max_pause`, and each is drawn from its upper half.
    pub first_pause: Duration,
    /// The longest pause that Remint chooses itself. A cloud's own hint may be longer.
    pub max_pause: Duration,
}

impl Default for RetryPolicy {
    /// Eight attempts of a minute at most within five minutes, pausing from half a second to twenty seconds.
    fn default() -> Self {
        Self {
            attempts: 8,
            within: Duration::from_secs(300),
            attempt: Duration::from_secs(60),
            first_pause: Duration::from_millis(500),
            max_pause: Duration::from_secs(20),
        }
    }
}

impl RetryPolicy {
    /// The environment variable that shortens or lengthens [`within`](Self::within).
    pub const VARIABLE: &'static str = "REMINT_API_TIMEOUT";

    /// The default, with the time that the environment gives a call. An attempt takes no longer than that.
    ///
    /// # Errors
    ///
    /// `InvalidInput` when the variable is not a duration, or is zero.
    pub fn from_env(env: &BTreeMap<String, String>) -> Result<Self> {
        let default = Self::default();
        let Some(text) = env.get(Self::VARIABLE).map(|text| text.trim()).filter(|text| !text.is_empty()) else {
            return Ok(default);
        };
        let refuse = |why: String| {
            Error::new(ErrorKind::InvalidInput, "configure provider", format!("{}: {why}", Self::VARIABLE))
        };
        let HumanDuration(within) = text.parse().map_err(refuse)?;
        if within.is_zero() {
            return Err(refuse("a call needs some time".to_owned()));
        }
        Ok(Self { within, attempt: default.attempt.min(within), ..default })
    }
}

/// The rate that an account allows.
#[derive(Debug, Clone, Copy)]
pub struct RatePolicy {
    /// Calls that may be made at once.
    pub burst: u32,
    /// Calls a second in the long run.
    pub per_second: f64,
    /// Calls of the burst that only mutations may use.
    pub reserved_for_mutations: u32,
}

/// What was spent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct CallCount {
    /// Attempts that read.
    pub reads: u64,
    /// Attempts that change something.
    pub mutations: u64,
    /// How many of both were repetitions.
    pub retries: u64,
}

impl CallCount {
    /// All attempts.
    pub fn total(self) -> u64 {
        self.reads + self.mutations
    }

    /// What was spent since an earlier count.
    #[must_use]
    pub fn since(self, earlier: Self) -> Self {
        Self {
            reads: self.reads - earlier.reads,
            mutations: self.mutations - earlier.mutations,
            retries: self.retries - earlier.retries,
        }
    }
}

/// Counts, paces and retries the calls of one account. Clones share everything.
#[derive(Debug, Clone)]
pub struct Calls {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    retry: RetryPolicy,
    rate: RatePolicy,
    bucket: Mutex<Bucket>,
    reads: AtomicU64,
    mutations: AtomicU64,
    retries: AtomicU64,
    received: AtomicU64,
    fence: Mutex<Option<Arc<dyn Fence>>>,
}

#[derive(Debug)]
struct Bucket {
    tokens: f64,
    refilled: Instant,
}

impl Calls {
    /// A layer with a full bucket.
    pub fn new(rate: RatePolicy, retry: RetryPolicy) -> Self {
        let bucket = Bucket { tokens: f64::from(rate.burst), refilled: Instant::now() };
        let counter = || AtomicU64::new(0);
        Self {
            shared: Arc::new(Shared {
                retry,
                rate,
                bucket: Mutex::new(bucket),
                reads: counter(),
                mutations: counter(),
                retries: counter(),
                received: counter(),
                fence: Mutex::default(),
            }),
        }
    }

    /// Asks this fence from now on, before each attempt of a mutation, instead of the one before. Without any, mutations
    /// are sent unasked.
    pub fn fence(&self, fence: Arc<dyn Fence>) {
        *self.shared.fence.lock().unwrap_or_else(PoisonError::into_inner) = Some(fence);
    }

    /// Asks the fence, if there is one. For what else may only be written by whoever holds the lock.
    ///
    /// # Errors
    ///
    /// The fence's.
    pub async fn check_fence(&self) -> Result<()> {
        let fence = self.shared.fence.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match fence {
            Some(fence) => fence.check().await,
            None => Ok(()),
        }
    }

    /// What was spent so far.
    pub fn count(&self) -> CallCount {
        CallCount {
            reads: self.shared.reads.load(Ordering::Relaxed),
            mutations: self.shared.mutations.load(Ordering::Relaxed),
            retries: self.shared.retries.load(Ordering::Relaxed),
        }
    }

    /// How calls are repeated, and how long they may take.
    pub fn retry_policy(&self) -> &RetryPolicy {
        &self.shared.retry
    }

    /// Counts bytes of an answer; a provider's client calls it for each part that arrives.
    pub fn received(&self, bytes: usize) {
        self.shared.received.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// The bytes of all answers so far.
    pub fn bytes_received(&self) -> u64 {
        self.shared.received.load(Ordering::Relaxed)
    }

    /// Runs one API call, paced and repeated as its class allows. Its time begins when the rate first lets it through.
    ///
    /// An attempt that is given up is dropped: what it asked for may have been done.
    ///
    /// # Errors
    ///
    /// The last attempt's error, once repeating cannot help, is not allowed, or has used up attempts or time;
    /// [`LockLost`](ErrorKind::LockLost) when the fence refuses an attempt, with the effect of those before it.
    pub async fn run<T, F, Fut>(&self, what: impl Into<Call>, mut call: F) -> Result<T>
    where
        F: FnMut() -> Fut,
        Fut: Future<Output = Result<T>>,
    {
        let what = what.into();
        let class = what.class;
        let retry = &self.shared.retry;
        let mut attempt = 1;
        let mut effect = Effect::NotApplied;
        let mut last = None;
        self.take_token(class).await;
        let started = Instant::now();
        loop {
            if attempt > 1 {
                self.take_token(class).await;
            }
            if class != CallClass::Read {
                // Nothing may come between this and the call.
                self.check_fence().await.map_err(|refused| refused.with_effect(effect))?;
            }
            if attempt > 1 {
                self.shared.retries.fetch_add(1, Ordering::Relaxed);
            }
            self.counter(class).fetch_add(1, Ordering::Relaxed);
            let time = retry.attempt + MARGIN;
            let time = if last.is_some() { time.min(retry.within.saturating_sub(started.elapsed())) } else { time };
            let (answered, sent) = (Answered::default(), Instant::now());
            let result = timeout(time, within_attempt(Some(answered.clone()), call())).await;
            let result = result.unwrap_or_else(|_| Err(no_answer(class, time, last)));
            Ended::new(&what, &answered, &result, sent.elapsed(), attempt).log();
            let error = match result {
                Ok(value) => return Ok(value),
                Err(error) => error,
            };
            let pause = error.retry_after().unwrap_or_else(|| self.pause(attempt));
            if !may_repeat(class, &error) || attempt >= retry.attempts || started.elapsed() + pause > retry.within {
                return Err(error);
            }
            tracing::debug!(%error, ?pause, "repeating a call");
            if error.effect() != Effect::NotApplied {
                effect = Effect::Unknown;
            }
            sleep(pause).await;
            last = Some(error);
            attempt += 1;
        }
    }

    fn counter(&self, class: CallClass) -> &AtomicU64 {
        match class {
            CallClass::Read => &self.shared.reads,
            CallClass::Mutation | CallClass::IdempotentMutation => &self.shared.mutations,
        }
    }

    /// The pause before the attempt after `attempt`: exponential, drawn from its upper half.
    fn pause(&self, attempt: u32) -> Duration {
        let retry = &self.shared.retry;
        let doubled = retry.first_pause.saturating_mul(1 << (attempt - 1).min(16));
        doubled.min(retry.max_pause).mul_f64(crate::chance::within(0.5..=1.0))
    }

    async fn take_token(&self, class: CallClass) {
        let floor = match class {
            CallClass::Read => f64::from(self.shared.rate.reserved_for_mutations),
            CallClass::Mutation | CallClass::IdempotentMutation => 0.0,
        };
        while let Err(wait) = self.try_token(floor) {
            sleep(wait).await;
        }
    }

    fn try_token(&self, floor: f64) -> std::result::Result<(), Duration> {
        let rate = &self.shared.rate;
        let mut bucket = self.shared.bucket.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let refill = now.duration_since(bucket.refilled).as_secs_f64() * rate.per_second;
        bucket.tokens = (bucket.tokens + refill).min(f64::from(rate.burst));
        bucket.refilled = now;
        let missing = floor + 1.0 - bucket.tokens;
        if missing <= 0.0 {
            bucket.tokens -= 1.0;
            Ok(())
        } else {
            Err(Duration::from_secs_f64((missing / rate.per_second).max(0.001)))
        }
    }
}

/// The error of an attempt that was given up: the one before it says more.
fn no_answer(class: CallClass, time: Duration, last: Option<Error>) -> Error {
    let effect = if class == CallClass::Read { Effect::NotApplied } else { Effect::Unknown };
    let message = || format!("no complete answer within {} s", time.as_secs_f64().ceil());
    last.unwrap_or_else(|| Error::new(ErrorKind::Timeout, "call the API", message())).with_effect(effect)
}

fn may_repeat(class: CallClass, error: &Error) -> bool {
    match class {
        CallClass::Read | CallClass::IdempotentMutation => error.kind().is_transient(),
        CallClass::Mutation => error.is_safe_to_repeat(),
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::provider::{Effect, ErrorKind};

    const RATE: RatePolicy = RatePolicy { burst: 10, per_second: 1.0, reserved_for_mutations: 4 };

    async fn attempts(class: CallClass, kind: ErrorKind, effect: Effect) -> u32 {
        let calls = Calls::new(RatePolicy { burst: 100, ..RATE }, RetryPolicy::default());
        let tried = Cell::new(0);
        let result: Result<()> = calls
            .run(class, || {
                tried.set(tried.get() + 1);
                async { Err(Error::new(kind, "test", "").with_effect(effect)) }
            })
            .await;
        assert_eq!(result.unwrap_err().kind(), kind);
        assert_eq!(calls.count().total(), u64::from(tried.get()));
        assert_eq!(calls.count().retries, u64::from(tried.get() - 1));
        tried.get()
    }

    #[tokio::test(start_paused = true)]
    async fn repeats_only_what_the_class_and_the_effect_allow() {
        use CallClass::{IdempotentMutation, Mutation, Read};
        assert_eq!(attempts(Read, ErrorKind::Unavailable, Effect::NotApplied).await, 8);
        assert_eq!(attempts(Read, ErrorKind::NotFound, Effect::NotApplied).await, 1);
        assert_eq!(attempts(Mutation, ErrorKind::Unavailable, Effect::Unknown).await, 1);
        assert_eq!(attempts(Mutation, ErrorKind::RateLimited, Effect::NotApplied).await, 8);
        assert_eq!(attempts(IdempotentMutation, ErrorKind::Timeout, Effect::Unknown).await, 8);
    }

    /// Refuses from the given time on, or at once where there is none.
    #[derive(Debug)]
    struct Until(Option<Instant>);

    #[async_trait::async_trait]
    impl Fence for Until {
        async fn check(&self) -> Result<()> {
            match self.0 {
                Some(until) if Instant::now() < until => Ok(()),
                _ => Err(Error::new(ErrorKind::LockLost, "change anything", "")),
            }
        }
    }

    /// Repeats a call that fails with this effect, under a lease of a minute; gives the sent attempts and the error.
    async fn under_a_lease(class: CallClass, kind: ErrorKind, effect: Effect) -> (u32, Error, CallCount) {
        let calls = Calls::new(RatePolicy { burst: 100, ..RATE }, RetryPolicy::default());
        calls.fence(Arc::new(Until(Some(Instant::now() + Duration::from_secs(60)))));
        let sent = Cell::new(0);
        let result: Result<()> = calls
            .run(class, || {
                sent.set(sent.get() + 1);
                let error = Error::new(kind, "test", "").with_effect(effect);
                async move { Err(error.with_retry_after(Duration::from_secs(25))) }
            })
            .await;
        (sent.get(), result.unwrap_err(), calls.count())
    }

    #[tokio::test(start_paused = true)]
    async fn a_repeated_attempt_after_the_lease_is_not_sent() {
        use CallClass::{IdempotentMutation, Mutation, Read};
        let (sent, error, count) = under_a_lease(Mutation, ErrorKind::Busy, Effect::NotApplied).await;
        assert_eq!((sent, error.kind(), error.effect()), (3, ErrorKind::LockLost, Effect::NotApplied));
        assert_eq!((count.mutations, count.retries), (3, 2), "what was not sent does not count");
        let (sent, error, _) = under_a_lease(IdempotentMutation, ErrorKind::Timeout, Effect::Unknown).await;
        assert_eq!((sent, error.kind(), error.effect()), (3, ErrorKind::LockLost, Effect::Unknown));
        let (sent, error, _) = under_a_lease(Read, ErrorKind::Busy, Effect::NotApplied).await;
        assert_eq!((sent, error.kind()), (8, ErrorKind::Busy), "reads are not fenced");
    }

    #[tokio::test(start_paused = true)]
    async fn a_mutation_that_waits_for_its_turn_is_checked_after_that() {
        let calls =
            Calls::new(RatePolicy { burst: 1, per_second: 0.01, reserved_for_mutations: 0 }, RetryPolicy::default());
        calls.take_token(CallClass::Mutation).await;
        calls.fence(Arc::new(Until(Some(Instant::now() + Duration::from_secs(60)))));
        let result: Result<()> =
            calls.run(CallClass::Mutation, || async { Err(Error::new(ErrorKind::Unexpected, "sent", "")) }).await;
        assert_eq!(result.unwrap_err().kind(), ErrorKind::LockLost);
        assert_eq!(calls.count().total(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_clone_has_the_same_fence() {
        let calls = Calls::new(RATE, RetryPolicy::default());
        let earlier = calls.clone();
        calls.fence(Arc::new(Until(None)));
        let result: Result<()> =
            earlier.run(CallClass::Mutation, || async { Err(Error::new(ErrorKind::Unexpected, "sent", "")) }).await;
        assert_eq!(result.unwrap_err().effect(), Effect::NotApplied);
    }

    #[tokio::test(start_paused = true)]
    async fn waits_as_long_as_the_cloud_asks() {
        let calls = Calls::new(RATE, RetryPolicy::default());
        let tried = Cell::new(0);
        let started = Instant::now();
        let result = calls
            .run(CallClass::Read, || {
                tried.set(tried.get() + 1);
                let first = tried.get() == 1;
                async move {
                    if first {
                        let error = Error::new(ErrorKind::RateLimited, "test", "");
                        return Err(error.with_retry_after(Duration::from_secs(42)));
                    }
                    Ok(())
                }
            })
            .await;
        assert!(result.is_ok());
        assert_eq!(started.elapsed().as_secs(), 42);
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_has_a_deadline_beside_that_of_each_attempt() {
        use CallClass::{IdempotentMutation, Read};
        for (class, effect) in [(Read, Effect::NotApplied), (IdempotentMutation, Effect::Unknown)] {
            let calls = Calls::new(RatePolicy { burst: 100, ..RATE }, RetryPolicy::default());
            let started = Instant::now();
            // A client without a timeout of its own.
            let result: Result<()> = calls.run(class, std::future::pending).await;
            let error = result.unwrap_err();
            assert_eq!((error.kind(), error.effect()), (ErrorKind::Timeout, effect));
            assert_eq!(started.elapsed().as_secs(), 300);
            // One that gives up by itself: its error says what was called.
            let started = Instant::now();
            let result: Result<()> = calls
                .run(class, || async {
                    sleep(Duration::from_secs(60)).await;
                    Err(Error::new(ErrorKind::Timeout, "list instances", "no answer in time").with_effect(effect))
                })
                .await;
            let error = result.unwrap_err();
            assert_eq!((error.operation(), error.effect()), ("list instances", effect));
            assert!((295..=300).contains(&started.elapsed().as_secs()), "{:?}", started.elapsed());
        }
    }

    #[test]
    fn the_environment_gives_calls_their_time() {
        let policy =
            |text: &str| RetryPolicy::from_env(&BTreeMap::from([(RetryPolicy::VARIABLE.to_owned(), text.to_owned())]));
        let short = policy("20s").unwrap();
        assert_eq!((short.within.as_secs(), short.attempt.as_secs()), (20, 20));
        let long = policy("1h").unwrap();
        assert_eq!((long.within.as_secs(), long.attempt.as_secs()), (3600, 60));
        assert_eq!(policy("").unwrap().within.as_secs(), 300);
        for wrong in ["soon", "0s", "-5s"] {
            let error = policy(wrong).unwrap_err();
            assert!(error.to_string().contains(RetryPolicy::VARIABLE), "{error}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn reads_leave_the_reserve_to_mutations() {
        let calls = Calls::new(RATE, RetryPolicy::default());
        for _ in 0..6 {
            calls.take_token(CallClass::Read).await;
        }
        let started = Instant::now();
        for _ in 0..4 {
            calls.take_token(CallClass::Mutation).await;
        }
        assert_eq!(started.elapsed(), Duration::ZERO, "mutations need not wait while there is a reserve");
        calls.take_token(CallClass::Read).await;
        assert_eq!(started.elapsed().as_secs(), 5, "a read waits until the reserve is full again and one more");
    }
}
