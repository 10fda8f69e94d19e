use std::{sync::Arc, time::Duration};

use futures::future::join_all;
use tokio::time::Instant;

use super::{Observed, Wait, WatchError, Watcher};
use crate::{
    fake::{FakeCloud, Pace},
    provider::{
        ErrorKind, InstanceId, InstanceState, Instances, Labels, LaunchSpec, Provider, Selector, StaticIps, label,
    },
};

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn selector() -> Selector {
    Selector::all().with(label::SERVICE, "app")
}

async fn launch(cloud: &FakeCloud, count: usize) -> Vec<InstanceId> {
    let labels = Labels::new().with(label::SERVICE, "app");
    let image = cloud.add_image(labels.clone());
    let spec = LaunchSpec {
        names: (0..count).map(|n| format!("app-{n}")).collect(),
        new_names: false,
        image: image.id,
        size: "small".into(),
        region: "here".into(),
        labels,
        user_data: None,
        login_keys: Vec::new(),
    };
    cloud.launch(&spec).await.unwrap().into_iter().map(|instance| instance.id).collect()
}

async fn looks_for(waiters: usize) -> (u64, Duration) {
    let cloud = FakeCloud::new(Pace::default());
    let watcher = Watcher::new(Arc::clone(&cloud) as Arc<dyn Provider>);
    let ids = launch(&cloud, waiters).await;
    let started = Instant::now();
    let wait = Wait::new("to be running").first(seconds(20));
    let selector = selector();
    let all = ids
        .iter()
        .map(|id| watcher.instance(&selector, id, wait.clone(), |instance| instance.state == InstanceState::Running));
    for seen in join_all(all).await {
        assert_eq!(seen.unwrap().state, InstanceState::Running);
    }
    (cloud.count("list instances"), started.elapsed())
}

#[tokio::test(start_paused = true)]
async fn the_number_of_looks_does_not_grow_with_the_number_of_waiters() {
    // From 20 s to 30 s in steps of a tenth, each 0.9 to 1.1 of it: between 4 and 7 looks, however many wait.
    for waiters in [1, 2, 200] {
        let (looks, elapsed) = looks_for(waiters).await;
        assert!((4..=7).contains(&looks), "{waiters} waiters looked {looks} times");
        assert!(elapsed >= seconds(30) && elapsed <= seconds(34), "{elapsed:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_timeout_names_the_last_status() {
    let cloud = FakeCloud::new(Pace { launch: seconds(1000), ..Pace::default() });
    let watcher = Watcher::new(Arc::clone(&cloud) as Arc<dyn Provider>);
    let ids = launch(&cloud, 1).await;
    let wait = Wait::new("to be running");
    let error = watcher.instance(&selector(), &ids[0], wait, |i| i.state == InstanceState::Running).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "timed out after 300 s waiting for instance app-0 to be running (last status: pending)"
    );
}

#[tokio::test(start_paused = true)]
async fn transient_errors_are_tolerated_and_told_at_the_end() {
    let cloud = FakeCloud::new(Pace::default());
    let watcher = Watcher::new(Arc::clone(&cloud) as Arc<dyn Provider>);
    let ids = launch(&cloud, 1).await;
    cloud.fail("list instances", Some(ErrorKind::Unavailable));
    let running = |i: &crate::provider::Instance| i.state == InstanceState::Running;
    let wait = Wait::new("to be running").timeout(seconds(60));
    let error = watcher.instance(&selector(), &ids[0], wait.clone(), running).await.unwrap_err();
    assert_eq!(error.provider_error().unwrap().kind(), ErrorKind::Unavailable);
    assert!(cloud.count("list instances") > 5);

    cloud.fail("list instances", Some(ErrorKind::Unauthenticated));
    let error = watcher.instance(&selector(), &ids[0], wait.clone(), running).await.unwrap_err();
    assert!(matches!(error, WatchError::Refused { .. }), "{error}");

    cloud.fail("list instances", None);
    watcher.instance(&selector(), &ids[0], wait, running).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_instance_that_vanishes_is_told_as_gone_and_one_that_was_destroyed_is_waited_for() {
    let cloud = FakeCloud::new(Pace::default());
    let watcher = Watcher::new(Arc::clone(&cloud) as Arc<dyn Provider>);
    let ids = launch(&cloud, 1).await;
    cloud.destroy(&ids[0]).await.unwrap();
    let wait = Wait::new("to be gone");
    watcher.instance_gone(&selector(), &ids[0], wait.clone()).await.unwrap();
    assert!(cloud.standing().is_empty());
    let error = watcher.instance(&selector(), &ids[0], wait, |_| true).await.unwrap_err();
    assert!(matches!(error, WatchError::Gone { .. }), "{error}");
}

#[tokio::test(start_paused = true)]
async fn many_that_are_destroyed_are_gone_by_lists_alone_once_lists_have_long_shown_them() {
    for (known_for, destroyed, asked) in [(seconds(3600), 5, 0), (seconds(3600), 2, 2), (seconds(0), 5, 5)] {
        let cloud = FakeCloud::new(Pace::default());
        let watcher = Watcher::new(Arc::clone(&cloud) as Arc<dyn Provider>);
        let ids = launch(&cloud, destroyed).await;
        tokio::time::sleep(seconds(60)).await;
        watcher.note_listed(&Instances::list(&*cloud, &selector()).await.unwrap());
        tokio::time::sleep(known_for).await;
        for id in &ids {
            cloud.destroy(id).await.unwrap();
        }
        let selector = selector();
        let wait = Wait::new("to be gone").first(seconds(3));
        for gone in join_all(ids.iter().map(|id| watcher.instance_gone(&selector, id, wait.clone()))).await {
            gone.unwrap();
        }
        assert!(cloud.standing().is_empty());
        assert_eq!(cloud.count("get instance"), asked, "{known_for:?} {destroyed}");
        assert!(cloud.count("list instances") < 20, "{}", cloud.count("list instances"));
    }
}

#[tokio::test(start_paused = true)]
async fn static_ips_that_move_side_by_side_share_their_looks() {
    let cloud = FakeCloud::new(Pace::default());
    let watcher = Watcher::new(Arc::clone(&cloud) as Arc<dyn Provider>);
    let instances = launch(&cloud, 3).await;
    let mut moves = Vec::new();
    for instance in &instances {
        let ip = cloud.add_static_ip(None);
        cloud.assign(&ip.id, instance).await.unwrap();
        moves.push((ip.id, instance.clone()));
    }
    let wait = Wait::new("to be assigned").first(seconds(5));
    let all = moves
        .iter()
        .map(|(ip, to)| watcher.static_ip(ip, wait.clone(), move |ip| !ip.busy && ip.assigned_to.as_ref() == Some(to)));
    for seen in join_all(all).await {
        seen.unwrap();
    }
    assert_eq!(cloud.count("get static IP"), 0);
    assert!((6..=10).contains(&cloud.count("list static IPs")), "{}", cloud.count("list static IPs"));
}

#[tokio::test(start_paused = true)]
async fn a_waiter_that_is_dropped_holds_nobody_up() {
    let cloud = FakeCloud::new(Pace::default());
    let watcher = Watcher::new(Arc::clone(&cloud) as Arc<dyn Provider>);
    let ids = launch(&cloud, 2).await;
    let selector = selector();
    let wait = Wait::new("to be running");
    let running = |i: &crate::provider::Instance| i.state == InstanceState::Running;
    let first = tokio::time::timeout(seconds(7), watcher.instance(&selector, &ids[0], wait.clone(), running));
    let (first, second) = tokio::join!(first, watcher.instance(&selector, &ids[1], wait.clone(), running));
    assert!(first.is_err());
    second.unwrap();
}

#[tokio::test(start_paused = true)]
async fn whatever_else_is_looked_at_keeps_the_schedule() {
    let cloud = FakeCloud::new(Pace::default());
    let watcher = Watcher::new(cloud as Arc<dyn Provider>);
    let started = Instant::now();
    let mut looks = 0;
    let wait = Wait::new("to be captured").first(seconds(60)).timeout(seconds(600));
    let seen = watcher.poll("image app", wait, || {
        looks += 1;
        let done = started.elapsed() >= seconds(120);
        async move { Ok(if done { Observed::Done(7) } else { Observed::NotYet("pending".to_owned()) }) }
    });
    assert_eq!(seen.await.unwrap(), 7);
    assert!((7..=10).contains(&looks), "{looks}");
}

#[tokio::test(start_paused = true)]
async fn the_long_part_of_a_run_is_seldom_looked_at_and_ends_little_later() {
    let cloud = FakeCloud::new(Pace::default());
    let watcher = Watcher::new(cloud as Arc<dyn Provider>);
    for takes in [60, 61, 90, 120, 180] {
        let run = Instant::now();
        tokio::time::advance(seconds(50)).await;
        let began = Instant::now();
        let mut looks = 0;
        let wait = Wait::new("to be captured").first(seconds(60)).of_run(run).timeout(seconds(600));
        let look = || {
            looks += 1;
            let done = began.elapsed() >= seconds(takes);
            async move { Ok(if done { Observed::Done(()) } else { Observed::NotYet("pending".to_owned()) }) }
        };
        watcher.poll("image app", wait, look).await.unwrap();
        let late = run.elapsed().as_secs_f64() / (50 + takes) as f64;
        assert!(late < 1.09, "{late} after {takes} s");
        assert!(looks <= 10, "{looks} looks in {takes} s");
    }
}

#[tokio::test(start_paused = true)]
async fn a_short_part_of_a_run_takes_few_looks_and_ends_little_later() {
    let cloud = FakeCloud::new(Pace::default());
    let watcher = Watcher::new(cloud as Arc<dyn Provider>);
    // What a static IP takes to move, at best, on average, and at worst, behind a launch of a minute.
    for takes in [5, 10, 15] {
        let run = Instant::now();
        tokio::time::advance(seconds(60)).await;
        let began = Instant::now();
        let mut looks = 0;
        let look = || {
            looks += 1;
            let done = began.elapsed() >= seconds(takes);
            async move { Ok(if done { Observed::Done(()) } else { Observed::NotYet("moving".to_owned()) }) }
        };
        watcher.poll("static IP", Wait::new("to move").first(seconds(5)).short_part(run), look).await.unwrap();
        let late = run.elapsed().as_secs_f64() / (60 + takes) as f64;
        assert!(late < 1.06, "{late} after {takes} s");
        assert!(looks <= 5, "{looks} looks in {takes} s");
    }
}

#[tokio::test(start_paused = true)]
async fn no_pause_of_a_run_of_hours_is_longer_than_the_longest() {
    let cloud = FakeCloud::new(Pace::default());
    let watcher = Watcher::new(cloud as Arc<dyn Provider>);
    for share in [Wait::of_run as fn(Wait, Instant) -> Wait, Wait::short_part] {
        let run = Instant::now();
        tokio::time::advance(seconds(3 * 3600)).await;
        let began = Instant::now();
        let wait = share(Wait::new("to be stopped"), run).first(seconds(5)).timeout(seconds(600));
        watcher.poll("builder", wait, || async { Ok(Observed::Done(())) }).await.unwrap();
        assert!(began.elapsed() <= seconds(5 + 30), "{:?}", began.elapsed());
    }
}
