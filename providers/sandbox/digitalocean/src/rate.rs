//! The API's rate limits, as DigitalOcean has them: 5,000 requests an hour, of which at most 250 within a minute, and ten
//! listings of the account's keys within a minute.
//!
//! Each request expires by itself, an hour (a minute) after it was made; there are no fixed windows. A request that is
//! refused is not counted. A sandbox that runs faster than the world has windows that are shorter by the same factor, so
//! that a client that waits a hundredth as long also may ask a hundred times as often.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, Method, header},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use sha2::{Digest as _, Sha256};
use tokio::time::Instant;

use remint_sandbox_cloud::ApiError;

const HOUR: Duration = Duration::from_secs(3600);
const MINUTE: Duration = Duration::from_secs(60);

/// Requests an hour.
pub const HOURLY: usize = 5000;
/// Requests a minute.
pub const BURST: usize = 250;
/// Listings of the account's keys a minute.
pub const KEY_LISTINGS: usize = 10;

/// What is counted apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `GET /v2/account/keys`, which has a limit of its own.
    KeyListing,
    /// Everything else.
    Other,
}

/// What a request is answered with, beside its own answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    /// How many more requests this hour takes.
    pub remaining: usize,
    /// In how long the oldest request of the hour expires.
    pub reset: Duration,
    /// Why the request is refused, where it is.
    pub refused: Option<Refused>,
}

/// Which limit refused a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// The hour's. The API does not say when to come back, other than by `ratelimit-reset`.
    Hourly,
    /// A minute's; there is room again after this time.
    Burst(Duration),
}

/// The requests of each token within the last hour and minute.
#[derive(Debug)]
pub struct RateLimits {
    enforced: bool,
    hour: Duration,
    minute: Duration,
    tokens: Mutex<HashMap<[u8; 32], Windows>>,
}

#[derive(Debug, Default)]
struct Windows {
    hour: VecDeque<Instant>,
    key_listings: VecDeque<Instant>,
}

impl RateLimits {
    /// The limits, with windows that are shorter by the factor `speed`. Not enforced, they are only told.
    pub fn new(speed: f64, enforced: bool) -> Self {
        let speed = if speed.is_finite() && speed > 0.0 { speed } else { 1.0 };
        Self { enforced, hour: HOUR.div_f64(speed), minute: MINUTE.div_f64(speed), tokens: Mutex::default() }
    }

    /// Counts a request, or refuses it.
    pub fn take(&self, token: &str, kind: Kind) -> Verdict {
        let now = Instant::now();
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        let windows = tokens.entry(Sha256::digest(token).into()).or_default();
        expire(&mut windows.hour, self.hour, now);
        expire(&mut windows.key_listings, self.minute, now);
        let refused = self.refuse(windows, kind, now).filter(|_| self.enforced);
        if refused.is_none() {
            windows.hour.push_back(now);
            if kind == Kind::KeyListing {
                windows.key_listings.push_back(now);
            }
        }
        let oldest = windows.hour.front().map_or(now, |first| *first);
        Verdict {
            remaining: HOURLY.saturating_sub(windows.hour.len()),
            reset: (oldest + self.hour).saturating_duration_since(now),
            refused,
        }
    }

    fn refuse(&self, windows: &Windows, kind: Kind, now: Instant) -> Option<Refused> {
        if windows.hour.len() >= HOURLY {
            return Some(Refused::Hourly);
        }
        let burst = nth_last(&windows.hour, BURST);
        let keys = nth_last(&windows.key_listings, KEY_LISTINGS).filter(|_| kind == Kind::KeyListing);
        let room = burst.into_iter().chain(keys).map(|at| (at + self.minute).saturating_duration_since(now)).max()?;
        (room > Duration::ZERO).then_some(Refused::Burst(room))
    }
}

fn expire(window: &mut VecDeque<Instant>, length: Duration, now: Instant) {
    while window.front().is_some_and(|at| now.saturating_duration_since(*at) >= length) {
        window.pop_front();
    }
}

/// The request after whose expiry there is room for one more.
fn nth_last(window: &VecDeque<Instant>, limit: usize) -> Option<Instant> {
    window.len().checked_sub(limit).and_then(|index| window.get(index)).copied()
}

/// Refuses what is over a limit, and tells all others how much is left.
pub async fn layer(State(limits): State<Arc<RateLimits>>, request: Request, next: Next) -> Response {
    let token = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let lists_keys = request.method() == Method::GET && request.uri().path() == "/v2/account/keys";
    let verdict = limits.take(token, if lists_keys { Kind::KeyListing } else { Kind::Other });
    let mut response = match verdict.refused {
        None => next.run(request).await,
        Some(_) => ApiError::too_many_requests().into_response(),
    };
    let headers = response.headers_mut();
    if let Some(Refused::Burst(after)) = verdict.refused {
        set(headers, "retry-after", whole_seconds(after));
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    set(headers, "ratelimit-limit", HOURLY as u64);
    set(headers, "ratelimit-remaining", verdict.remaining as u64);
    set(headers, "ratelimit-reset", whole_seconds(now + verdict.reset));
    response
}

fn set(headers: &mut HeaderMap, name: &'static str, value: u64) {
    headers.insert(name, HeaderValue::from(value));
}

/// Rounded up: whoever comes back after the whole seconds finds room.
fn whole_seconds(time: Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take_many(limits: &RateLimits, count: usize) {
        for _ in 0..count {
            assert_eq!(limits.take("token", Kind::Other).refused, None);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_burst_is_refused_until_its_first_requests_are_a_minute_old() {
        let limits = RateLimits::new(1.0, true);
        take_many(&limits, 100);
        tokio::time::advance(Duration::from_secs(20)).await;
        take_many(&limits, 150);
        let refused = limits.take("token", Kind::Other);
        assert_eq!(refused.refused, Some(Refused::Burst(Duration::from_secs(40))));
        assert_eq!(refused.remaining, HOURLY - 250);
        assert_eq!(limits.take("another token", Kind::Other).refused, None);

        tokio::time::advance(Duration::from_secs(40)).await;
        take_many(&limits, 100);
        assert_eq!(limits.take("token", Kind::Other).refused, Some(Refused::Burst(Duration::from_secs(20))));
    }

    #[tokio::test(start_paused = true)]
    async fn the_hour_slides_and_says_when_its_oldest_request_expires() {
        let limits = RateLimits::new(1.0, true);
        for _ in 0..20 {
            take_many(&limits, 250);
            tokio::time::advance(MINUTE).await;
        }
        let refused = limits.take("token", Kind::Other);
        assert_eq!(refused.refused, Some(Refused::Hourly));
        assert_eq!((refused.remaining, refused.reset), (0, MINUTE * 40));
        tokio::time::advance(MINUTE * 40).await;
        take_many(&limits, 250);
        assert_eq!(limits.take("token", Kind::Other).refused, Some(Refused::Hourly));
    }

    #[tokio::test(start_paused = true)]
    async fn keys_are_listed_ten_times_a_minute() {
        let limits = RateLimits::new(1.0, true);
        for _ in 0..10 {
            assert_eq!(limits.take("token", Kind::KeyListing).refused, None);
        }
        assert_eq!(limits.take("token", Kind::KeyListing).refused, Some(Refused::Burst(MINUTE)));
        assert_eq!(limits.take("token", Kind::Other).refused, None);
        tokio::time::advance(MINUTE).await;
        assert_eq!(limits.take("token", Kind::KeyListing).refused, None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_fast_sandbox_has_short_windows_and_a_lenient_one_none() {
        let limits = RateLimits::new(100.0, true);
        take_many(&limits, 250);
        assert_eq!(limits.take("token", Kind::Other).refused, Some(Refused::Burst(Duration::from_millis(600))));
        tokio::time::advance(Duration::from_millis(600)).await;
        take_many(&limits, 250);
        take_many(&RateLimits::new(1.0, false), HOURLY + 1);
    }
}
