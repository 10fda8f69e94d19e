//! Changes that go with a fingerprint: somebody else's may come between reading and writing. Then all is read once more.

use std::time::Duration;

/// How often a change is tried before somebody else's has won.
pub(crate) const ROUNDS: u32 = 8;

/// The most that the first pause is long; each further one may be as much longer.
const STEP_MS: u32 = 100;

/// Waits before the round that follows this one, for a time that is drawn: those who collided do not meet again.
pub(crate) async fn part(round: u32) {
    let drawn = uuid::Uuid::new_v4().as_u128() % u128::from(STEP_MS * round.max(1));
    tokio::time::sleep(Duration::from_millis(u64::try_from(drawn).unwrap_or_default())).await;
}
