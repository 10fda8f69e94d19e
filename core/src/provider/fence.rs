//! What a mutation asks before it is sent: may this run still change anything?

use async_trait::async_trait;

use super::Result;

/// Tells whether the caller still has the right to change anything, as the holder of a lock has.
///
/// [`Calls`](super::Calls) asks before each attempt of a mutation, as the last thing before the request. So a run that lost
/// its lock sends nothing more but the one request that had passed its check: nothing can call that back.
#[async_trait]
pub trait Fence: Send + Sync + std::fmt::Debug {
    /// Fails when nothing may be changed any more.
    ///
    /// - *Behaviour*: what is checked last is checked without waiting for anything after it, by a clock that counts
    ///   suspend. May be called concurrently.
    /// - *Errors*: [`LockLost`](super::ErrorKind::LockLost), with the cause as its source; also when the lock cannot be
    ///   looked at. Once it has failed because the lock is lost, it fails for ever.
    async fn check(&self) -> Result<()>;
}
