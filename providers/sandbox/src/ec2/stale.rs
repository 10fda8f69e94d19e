//! Answers that lag behind: what was made last is not seen yet.

use jiff::Timestamp;

tokio::task_local! {
    static STALE: ();
}

/// Runs a request that does not see what was made last: the instances of the last launch, the last image, snapshot or
/// address. For fault rules.
pub(crate) async fn with_stale_view<T>(request: impl Future<Output = T>) -> T {
    STALE.scope((), request).await
}

/// What a request sees of some things, each with the moment at which it was made.
pub(super) fn seen<T>(things: Vec<T>, made_at: impl Fn(&T) -> Timestamp) -> Vec<T> {
    if STALE.try_with(|()| ()).is_err() {
        return things;
    }
    let last = things.iter().map(&made_at).max();
    things.into_iter().filter(|thing| Some(made_at(thing)) != last).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_a_stale_view_lacks_the_last() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let things = vec![1, 3, 2, 3];
        assert_eq!(seen(things.clone(), |second| at(*second)), things);
        let stale = with_stale_view(async { seen(things, |second| at(*second)) }).await;
        assert_eq!(stale, [1, 2]);
    }
}
