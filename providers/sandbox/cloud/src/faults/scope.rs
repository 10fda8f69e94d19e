//! What a fault rule does to all that one request does: answers that lag behind, and actions that will fail.

use std::time::Duration;

use jiff::Timestamp;

tokio::task_local! {
    static STALE: Duration;
    static DOOMED: ();
}

/// Runs a request that does not see what was made last: the instances of the last launch, the last image, snapshot or
/// address, unless they are older than `within`. For fault rules.
pub(super) async fn with_stale_view<T>(within: Duration, request: impl Future<Output = T>) -> T {
    STALE.scope(within, request).await
}

/// What a request sees of some things, each with the moment at which it was made.
pub fn seen<T>(things: Vec<T>, made_at: impl Fn(&T) -> Timestamp) -> Vec<T> {
    let Ok(within) = STALE.try_with(|within| *within) else { return things };
    let age = |at: Timestamp| Duration::try_from(Timestamp::now().duration_since(at)).unwrap_or_default();
    let last = things.iter().map(&made_at).max().filter(|last| age(*last) <= within);
    things.into_iter().filter(|thing| Some(made_at(thing)) != last).collect()
}

/// Runs a request whose actions are all to end `errored`, after their usual time and without having done anything; an
/// instance whose creation is doomed vanishes. For fault rules.
pub async fn with_doomed_actions<T>(request: impl Future<Output = T>) -> T {
    DOOMED.scope((), request).await
}

/// Whether what the request under way begins is to fail.
pub fn will_fail() -> bool {
    DOOMED.try_with(|()| ()).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_a_stale_view_lacks_the_last() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let things = vec![1, 3, 2, 3];
        assert_eq!(seen(things.clone(), |second| at(*second)), things);
        let view = async |within| with_stale_view(within, async { seen(things.clone(), |second| at(*second)) }).await;
        assert_eq!(view(Duration::MAX).await, [1, 2]);
        assert_eq!(view(Duration::from_secs(5)).await, things, "it was made long ago");
    }
}
