use std::sync::{Arc, Mutex};

use tokio::time::Instant;

use super::*;
use crate::provider::support::{Calls, Turns};

const LAG: Duration = Duration::from_secs(30);

/// A cloud with things of one name.
#[derive(Debug, Default)]
struct Cloud {
    /// When each was created.
    things: Vec<Instant>,
    looks: u32,
    creates: u32,
    /// How late its list shows what was created.
    lag: Duration,
}

type Shared = Arc<Mutex<Cloud>>;

/// What a create call does.
#[derive(Debug, Clone, Copy)]
struct Answer {
    creates: bool,
    /// Nothing: it answers.
    error: Option<(ErrorKind, Effect)>,
}

const MADE: Answer = Answer { creates: true, error: None };
const LOST_AFTER: Answer = Answer { creates: true, error: Some((ErrorKind::Timeout, Effect::Unknown)) };
const LOST_BEFORE: Answer = Answer { creates: false, ..LOST_AFTER };

fn refused(kind: ErrorKind) -> Answer {
    Answer { creates: false, error: Some((kind, Effect::NotApplied)) }
}

fn look(cloud: &Shared) -> Result<Seen<usize>> {
    let mut cloud = cloud.lock().unwrap();
    cloud.looks += 1;
    let lag = cloud.lag;
    Ok(cloud.things.iter().position(|at| at.elapsed() >= lag).into())
}

fn create(cloud: &Shared, answers: &[Answer]) -> Result<usize> {
    let mut cloud = cloud.lock().unwrap();
    let answer = answers[(cloud.creates as usize).min(answers.len() - 1)];
    cloud.creates += 1;
    if answer.creates {
        cloud.things.push(Instant::now());
    }
    match answer.error {
        None => Ok(cloud.things.len() - 1),
        Some((kind, effect)) => {
            Err(Error::new(kind, "create thing", "as the cloud says").with_effect(effect).with_code("Said"))
        }
    }
}

fn call() -> Call {
    Call::mutation("create thing").about("app")
}

/// Creates with these answers; gives looks, create calls and things as well.
async fn once(cloud: &Shared, most: u32, answers: &[Answer]) -> (Result<usize>, [usize; 3]) {
    let call = call();
    let once = CreateOnce::new(&call, LAG).creates(most);
    let result = once.run(|| async { look(cloud) }, |()| async { create(cloud, answers) }).await;
    let cloud = cloud.lock().unwrap();
    (result, [cloud.looks as usize, cloud.creates as usize, cloud.things.len()])
}

fn lagging(seconds: u64) -> Shared {
    Arc::new(Mutex::new(Cloud { lag: Duration::from_secs(seconds), ..Cloud::default() }))
}

#[tokio::test(start_paused = true)]
async fn what_exists_is_not_created() {
    let cloud = lagging(0);
    let (first, counts) = once(&cloud, 3, &[MADE]).await;
    assert_eq!((first.unwrap(), counts), (0, [1, 1, 1]));
    let (again, counts) = once(&cloud, 3, &[MADE]).await;
    assert_eq!((again.unwrap(), counts), (0, [2, 1, 1]));
}

#[tokio::test(start_paused = true)]
async fn what_a_lost_reply_has_created_is_found_however_late_the_list_is() {
    for (lag, looks) in [(0, 2), (5, 3), (29, 5)] {
        let (found, counts) = once(&lagging(lag), 3, &[LOST_AFTER]).await;
        assert_eq!((found.unwrap(), counts), (0, [looks, 1, 1]), "lag of {lag} s");
    }
}

#[tokio::test(start_paused = true)]
async fn what_never_shows_is_an_error_that_says_so_and_is_not_created_twice() {
    let (lost, counts) = once(&lagging(0), 1, &[LOST_BEFORE]).await;
    let error = lost.unwrap_err();
    assert_eq!((error.kind(), error.effect(), counts), (ErrorKind::Timeout, Effect::Unknown, [5, 1, 0]));
    let text = "create thing: timed out: Said: as the cloud says; its effect has not shown within 30 s";
    assert_eq!(error.to_string(), text);
    // Too late for the lag that the provider knows of: two would be worse than none.
    let (late, counts) = once(&lagging(300), 1, &[LOST_AFTER]).await;
    assert_eq!((late.unwrap_err().effect(), counts), (Effect::Unknown, [5, 1, 1]));
}

#[tokio::test(start_paused = true)]
async fn it_is_created_again_only_where_that_is_allowed_and_the_whole_lag_has_passed() {
    let started = Instant::now();
    let (made, counts) = once(&lagging(0), 2, &[LOST_BEFORE, MADE]).await;
    assert_eq!((made.unwrap(), counts, started.elapsed()), (0, [5, 2, 1], LAG));
    let (lost, counts) = once(&lagging(0), 3, &[LOST_BEFORE]).await;
    assert_eq!((lost.unwrap_err().effect(), counts), (Effect::Unknown, [13, 3, 0]));
}

#[tokio::test(start_paused = true)]
async fn what_the_cloud_says_to_have_created_is_never_created_again() {
    let applied = Answer { creates: false, error: Some((ErrorKind::Unexpected, Effect::Applied)) };
    let (lost, counts) = once(&lagging(0), 3, &[applied, MADE]).await;
    assert_eq!((lost.unwrap_err().effect(), counts), (Effect::Applied, [5, 1, 0]));
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_returned_without_a_look() {
    for kind in [ErrorKind::Quota, ErrorKind::InvalidInput, ErrorKind::Capacity] {
        let (result, counts) = once(&lagging(0), 3, &[refused(kind)]).await;
        let error = result.unwrap_err();
        assert_eq!((error.kind(), counts), (kind, [1, 1, 0]));
        assert_eq!(error.message(), "as the cloud says");
    }
    let lock = Answer { creates: false, error: Some((ErrorKind::LockLost, Effect::Unknown)) };
    let (result, counts) = once(&lagging(0), 3, &[lock]).await;
    assert_eq!((result.unwrap_err().kind(), counts), (ErrorKind::LockLost, [1, 1, 0]), "nothing more can be sent");
}

#[tokio::test(start_paused = true)]
async fn a_name_that_is_taken_is_looked_for() {
    let taken = Answer { creates: true, ..refused(ErrorKind::Conflict) };
    let (found, counts) = once(&lagging(5), 3, &[taken]).await;
    assert_eq!((found.unwrap(), counts), (0, [4, 1, 1]), "somebody else was faster, and the list lags");
    let (result, counts) = once(&lagging(0), 3, &[refused(ErrorKind::Conflict)]).await;
    let error = result.unwrap_err();
    assert_eq!((error.kind(), error.effect(), counts), (ErrorKind::Conflict, Effect::NotApplied, [6, 1, 0]));
}

#[tokio::test(start_paused = true)]
async fn what_is_unclear_is_waited_for_and_nothing_is_created_meanwhile() {
    let busy = || Error::new(ErrorKind::Busy, "create thing", "one is on its way");
    let (call, looks) = (&call(), &Mutex::new(0));
    let once = |clear_after: u32| {
        let look = move || async move {
            let mut looks = looks.lock().unwrap();
            *looks += 1;
            Ok(if *looks > clear_after { Seen::There("it") } else { Seen::Unclear(busy()) })
        };
        CreateOnce::new(call, LAG).run(look, |()| async { Ok("another") })
    };
    assert_eq!(once(3).await.unwrap(), "it");
    *looks.lock().unwrap() = 0;
    assert_eq!(once(99).await.unwrap_err().kind(), ErrorKind::Busy);
}

#[tokio::test(start_paused = true)]
async fn an_error_of_a_look_has_the_effect_of_the_call_before() {
    let call = call();
    let failing = || async { Err::<Seen<()>, _>(Error::new(ErrorKind::Unavailable, "list things", "")) };
    let lost = |()| async { Err(Error::new(ErrorKind::Timeout, "create thing", "").with_effect(Effect::Unknown)) };
    let once = CreateOnce::new(&call, LAG);
    let error = once.run_from(Seen::Missing(()), failing, lost).await.unwrap_err();
    assert_eq!((error.operation(), error.effect()), ("list things", Effect::Unknown));
    assert_eq!(once.run(failing, lost).await.unwrap_err().effect(), Effect::NotApplied, "nothing was sent");
}

/// The decision is the same whatever the cloud writes.
#[tokio::test(start_paused = true)]
async fn texts_decide_nothing() {
    let call = call();
    for text in ["", "it already exists", "timed out", "Busy: try again"] {
        let creates = Mutex::new(0);
        let create = |()| async {
            *creates.lock().unwrap() += 1;
            Err::<(), _>(Error::new(ErrorKind::InvalidInput, "create thing", text).with_code("Invalid"))
        };
        let error =
            CreateOnce::new(&call, LAG).creates(3).run(|| async { Ok(Seen::Missing(())) }, create).await.unwrap_err();
        assert_eq!(
            (error.kind(), error.code(), *creates.lock().unwrap()),
            (ErrorKind::InvalidInput, Some("Invalid"), 1)
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_is_dropped_leaves_its_turn_to_the_request() {
    let (cloud, turns, call) = (lagging(0), Turns::default(), call());
    let creating = || async {
        let turn = turns.take(["app"]).await;
        let create = |()| {
            let cloud = Arc::clone(&cloud);
            turn.cover(async move {
                sleep(Duration::from_secs(5)).await;
                create(&cloud, &[MADE])
            })
        };
        CreateOnce::new(&call, LAG).creates(3).run(|| async { look(&cloud) }, create).await
    };
    assert!(tokio::time::timeout(Duration::from_secs(1), creating()).await.is_err(), "the caller is dropped");
    assert_eq!(creating().await.unwrap(), 0, "the next one looks after the request has ended");
    let cloud = cloud.lock().unwrap();
    assert_eq!((cloud.creates, cloud.things.len()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_request_with_a_token_is_repeated_by_the_call_layer_before_anything_is_looked_for() {
    let (cloud, call) = (lagging(0), Call::idempotent("create thing"));
    let calls = Calls::new(
        crate::provider::RatePolicy { burst: 100, per_second: 1.0, reserved_for_mutations: 0 },
        crate::provider::RetryPolicy::default(),
    );
    let create = |()| calls.run(&call, || async { create(&cloud, &[LOST_BEFORE, LOST_BEFORE, MADE]) });
    let made = CreateOnce::new(&call, LAG).run(|| async { look(&cloud) }, create).await;
    let cloud = cloud.lock().unwrap();
    assert_eq!((made.unwrap(), cloud.looks, cloud.creates, calls.count().retries), (0, 1, 3, 2));
}
