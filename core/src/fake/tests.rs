use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::time::{sleep, timeout};

use super::{Actor, Catalogue, Dice, FakeCloud, Fault, Faults, Flavour, Pace, Rates, World};
use crate::provider::{
    CaptureProgress, CaptureSpec, DnsZones, Effect, ErrorKind, Images, InstanceState, Instances, Labels, LaunchSpec,
    PowerOp, Provider, RecordKind, RecordSet, RetryPolicy, Selector, StaticIpSpec, StaticIps, label,
};

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn once() -> RetryPolicy {
    RetryPolicy { attempts: 1, ..RetryPolicy::default() }
}

fn world(rates: Rates, flavour: Flavour) -> (Arc<World>, Arc<FakeCloud>) {
    let world = World::new(Pace::default(), flavour);
    world.set_faults(Faults::new(&mut Dice::new(1), rates));
    let cloud = FakeCloud::client(Arc::clone(&world), Actor("one".to_owned()), once(), Arc::default());
    (world, cloud)
}

fn spec(cloud: &FakeCloud) -> LaunchSpec {
    let image = cloud.add_image(Labels::new());
    LaunchSpec { image: image.id, ..named("app") }
}

#[tokio::test(start_paused = true)]
async fn what_a_dropped_caller_asked_for_happens_all_the_same() {
    let (_, cloud) = world(Rates::none().with(Fault::Late, 1.0), Flavour::default());
    let spec = spec(&cloud);
    let dropped = timeout(seconds(1) / 2, cloud.launch(&spec)).await;
    assert!(dropped.is_err() && cloud.standing().is_empty(), "nothing has happened yet");
    sleep(seconds(10)).await;
    assert_eq!(cloud.standing().len(), 1);
    // The same again, late once more, finds it.
    assert_eq!(cloud.launch(&spec).await.unwrap()[0].id, cloud.standing()[0].id);
}

#[tokio::test(start_paused = true)]
async fn a_lost_reply_leaves_the_effect_unknown_and_the_call_layer_repeats_what_is_idempotent() {
    let (world, cloud) = world(Rates::none().with(Fault::Lost, 1.0), Flavour::default());
    let spec = spec(&cloud);
    let error = cloud.launch(&spec).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Timeout | ErrorKind::Unavailable), "{error}");
    assert_eq!(error.effect(), Effect::Unknown);
    assert_eq!(cloud.standing().len(), 1);

    world.set_faults(Faults::new(&mut Dice::new(2), Rates::none().with(Fault::Lost, 0.5)));
    let patient =
        FakeCloud::client(Arc::clone(&world), Actor("two".to_owned()), RetryPolicy::default(), Arc::default());
    let before = patient.calls().count().mutations;
    for name in ["a", "b", "c", "d", "e", "f"] {
        patient.launch(&LaunchSpec { names: vec![name.to_owned()], ..spec.clone() }).await.unwrap();
    }
    assert!(patient.calls().count().mutations > before + 6, "some were repeated");
    assert_eq!(cloud.standing().len(), 7);
}

#[tokio::test(start_paused = true)]
async fn a_list_lags_behind_others_and_never_behind_oneself() {
    let (world, cloud) = world(Rates::none().with(Fault::StaleList, 1.0), Flavour::default());
    let other = FakeCloud::client(Arc::clone(&world), Actor("other".to_owned()), once(), Arc::default());
    let spec = spec(&cloud);
    sleep(seconds(60)).await;
    let id = cloud.launch(&spec).await.unwrap()[0].id.clone();
    let seen = async |cloud: &FakeCloud| Instances::list(cloud, &Selector::all()).await.unwrap().len();
    assert_eq!(seen(&cloud).await, 1);
    let mut lags = false;
    for _ in 0..8 {
        lags |= seen(&other).await == 0;
    }
    assert!(lags);
    assert_eq!(Instances::get(&*other, &id).await.unwrap().id, id, "asked by its id, it is there");
    sleep(seconds(6)).await;
    assert_eq!(seen(&other).await, 1);
}

#[tokio::test(start_paused = true)]
async fn whoever_watches_is_told_of_every_change_with_its_moments() {
    let (world, cloud) = world(Rates::none().with(Fault::Late, 1.0), Flavour::default());
    let spec = spec(&cloud);
    let told = Arc::new(Mutex::new(Vec::new()));
    let notes = Arc::clone(&told);
    world.watch(move |change| {
        assert!(change.called <= change.began && change.began <= change.sent && change.sent <= change.at);
        let (before, after) = (change.before.machines.len(), change.after.machines.len());
        let actor = change.actor.map_or("nobody".to_owned(), ToString::to_string);
        notes.lock().unwrap().push(format!("{actor}: {} {before} {after}", change.operation));
    });
    let id = cloud.launch(&spec).await.unwrap()[0].id.clone();
    sleep(seconds(31)).await;
    cloud.destroy(&id).await.unwrap();
    cloud.destroy(&id).await.unwrap();
    sleep(seconds(4)).await;
    assert!(cloud.standing().is_empty());
    cloud.add_instance("by hand", Labels::new());
    let expected = ["one: launch 0 1", "nobody: time 1 1", "one: destroy 1 1", "nobody: time 1 0"];
    let told = told.lock().unwrap();
    assert_eq!(told[..4], expected);
    assert_eq!(told[4..], ["nobody: by hand 0 1"], "the second destroy has changed nothing");
}

fn ip_spec(name: &str, id: &str, instance: &crate::provider::Instance) -> StaticIpSpec {
    StaticIpSpec {
        name: name.to_owned(),
        labels: Labels::new().with(label::SERVICE, "app").with(label::ENV_ID, id),
        region: "here".into(),
        instance: instance.id.clone(),
    }
}

#[tokio::test(start_paused = true)]
async fn an_address_without_labels_is_found_by_its_instance_which_has_one_at_most() {
    let (_, cloud) = world(Rates::none(), Flavour::default());
    let (one, two) = (cloud.add_instance("one", Labels::new()), cloud.add_instance("two", Labels::new()));
    let made = cloud.ensure(&ip_spec("app", "a", &one)).await.unwrap();
    assert_eq!(cloud.ensure(&ip_spec("other", "b", &one)).await.unwrap().id, made.id);
    let other = cloud.add_static_ip(None);
    let error = cloud.assign(&other.id, &one.id).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert_eq!(cloud.assign(&made.id, &two.id).await.unwrap_err().kind(), ErrorKind::Busy);
    sleep(seconds(11)).await;
    cloud.assign(&made.id, &two.id).await.unwrap();
    sleep(seconds(11)).await;
    assert_eq!(StaticIps::get(&*cloud, &made.id).await.unwrap().assigned_to, Some(two.id));
    cloud.assign(&other.id, &one.id).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_address_with_labels_is_found_by_its_name_and_the_ids_on_it() {
    let (_, cloud) = world(Rates::none(), Flavour { labelled_ips: true, ..Flavour::default() });
    let (one, two) = (cloud.add_instance("one", Labels::new()), cloud.add_instance("two", Labels::new()));
    let made = cloud.ensure(&ip_spec("app", "a", &one)).await.unwrap();
    assert_eq!(cloud.ensure(&ip_spec("app", "a", &one)).await.unwrap().id, made.id);
    let foreign = cloud.ensure(&ip_spec("app", "b", &two)).await.unwrap();
    assert_ne!(foreign.id, made.id, "the same name, and another id");
    sleep(seconds(11)).await;
    let points = Selector::all().with(label::ENV_ID, "a");
    let found = StaticIps::list(&*cloud, &points).await.unwrap();
    assert_eq!(found.iter().map(|ip| (&ip.id, &ip.assigned_to)).collect::<Vec<_>>(), [(&made.id, &Some(one.id))]);
}

#[tokio::test(start_paused = true)]
async fn a_move_that_is_accepted_and_not_carried_out_ends_where_it_began() {
    let (_, cloud) = world(Rates::none().with(Fault::NotDone, 1.0), Flavour::default());
    let one = cloud.add_instance("one", Labels::new());
    let ip = cloud.add_static_ip(None);
    cloud.assign(&ip.id, &one.id).await.unwrap();
    assert!(StaticIps::get(&*cloud, &ip.id).await.unwrap().busy);
    sleep(seconds(11)).await;
    let seen = StaticIps::get(&*cloud, &ip.id).await.unwrap();
    assert!(!seen.busy && seen.assigned_to.is_none());
}

#[tokio::test(start_paused = true)]
async fn the_same_seed_gives_the_same_times() {
    let run = async || {
        let often = [Fault::Unavailable, Fault::Busy, Fault::Lost, Fault::Late];
        let rates = often.into_iter().fold(Rates::none(), |rates, fault| rates.with(fault, 0.2));
        let (_, cloud) = world(rates, Flavour::default());
        let started = tokio::time::Instant::now();
        let mut times = Vec::new();
        for value in 0..20 {
            let set = RecordSet {
                zone: "example.org".to_owned(),
                name: "www".to_owned(),
                kind: RecordKind::A,
                ttl: seconds(60),
                values: vec![value.to_string()],
            };
            times.push((cloud.upsert(&set).await.is_ok(), started.elapsed()));
        }
        times
    };
    assert_eq!(run().await, run().await);
}

#[tokio::test(start_paused = true)]
async fn a_fault_that_is_left_out_changes_no_other_one() {
    let rates = Rates::none().with(Fault::Unavailable, 0.3);
    let refused = async |skip: &[&str]| {
        let world = World::new(Pace::default(), Flavour::default());
        let sites = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&sites);
        let skip = skip.iter().map(|&site| site.to_owned()).collect();
        let faults = Faults::new(&mut Dice::new(5), rates.clone()).skip(skip);
        world.set_faults(faults.report(move |site, _| noted.lock().unwrap().push(site.to_string())));
        let cloud = FakeCloud::client(Arc::clone(&world), Actor("one".to_owned()), once(), Arc::default());
        for _ in 0..20 {
            let _ = cloud.account().await;
        }
        std::mem::take(&mut *sites.lock().unwrap())
    };
    let all = refused(&[]).await;
    assert!(all.len() > 2, "{all:?}");
    let mut others = all.clone();
    let left_out = others.remove(1);
    assert_eq!(refused(&[&left_out]).await, others);
}

#[tokio::test(start_paused = true)]
async fn what_was_accepted_may_end_in_an_error_or_come_to_nothing() {
    let (world, cloud) = world(Rates::none().with(Fault::Fails, 1.0), Flavour::default());
    let spec = spec(&cloud);
    let id = cloud.launch(&spec).await.unwrap()[0].id.clone();
    sleep(seconds(31)).await;
    assert!(cloud.standing().is_empty(), "its launch has failed");

    world.set_faults(Faults::new(&mut Dice::new(1), Rates::none().with(Fault::NotDone, 1.0)));
    let again = cloud.launch(&spec).await.unwrap()[0].id.clone();
    assert_ne!(again, id);
    sleep(seconds(31)).await;
    cloud.destroy(&again).await.unwrap();
    assert_eq!(cloud.standing()[0].state, InstanceState::Destroying);
    sleep(seconds(31)).await;
    assert_eq!(cloud.standing()[0].state, InstanceState::Running);

    world.set_faults(Faults::new(&mut Dice::new(1), Rates::none().with(Fault::Fails, 1.0)));
    let capture = CaptureSpec { instance: again, name: "app-1".to_owned(), labels: Labels::new() };
    assert_eq!(cloud.capture(&capture).await.unwrap(), CaptureProgress::Pending);
    sleep(seconds(91)).await;
    assert_eq!(cloud.capture(&capture).await.unwrap_err().kind(), ErrorKind::Unexpected);
    // The next call starts afresh.
    assert_eq!(cloud.capture(&capture).await.unwrap(), CaptureProgress::Pending);
}

/// A client of a cloud with all habits.
fn exacting() -> (Arc<World>, FakeCloud) {
    let pace = Pace { power: seconds(8), copy: seconds(20), travel: seconds(1), lag: seconds(30), ..Pace::default() };
    let catalogue = Catalogue { static_ips: Some(1), ..Catalogue::default() };
    let flavour = Flavour {
        labelled_ips: true,
        strict: true,
        checks: true,
        looks_first: true,
        request_ids: true,
        page: 2,
        catalogue,
        ..Flavour::default()
    };
    let world = World::new(pace, flavour);
    let cloud = FakeCloud::connect(&world, Actor("one".to_owned()));
    (world, cloud)
}

fn named(name: &str) -> LaunchSpec {
    LaunchSpec {
        names: vec![name.to_owned()],
        new_names: false,
        image: "debian".into(),
        size: "small".into(),
        region: "here".into(),
        labels: Labels::new().with(label::SERVICE, "app"),
        user_data: None,
        login_keys: Vec::new(),
    }
}

#[tokio::test(start_paused = true)]
async fn a_list_has_all_pages_and_shows_what_was_just_launched_to_its_launcher_alone() {
    let (world, cloud) = exacting();
    let other = FakeCloud::connect(&world, Actor("other".to_owned()));
    for name in ["a", "b", "c", "d", "e"] {
        cloud.launch(&named(name)).await.unwrap();
    }
    sleep(seconds(30)).await;
    let reads = cloud.calls().count().reads;
    assert_eq!(Instances::list(&cloud, &Selector::all()).await.unwrap().len(), 5);
    assert_eq!(cloud.calls().count().reads, reads + 3);
    let last = cloud.launch(&named("f")).await.unwrap();
    assert!(Instances::list(&cloud, &Selector::all()).await.unwrap().contains(&last[0]));
    assert_eq!(Instances::list(&other, &Selector::all()).await.unwrap().len(), 5);
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_looks_first_changes_nothing_that_is_as_it_should_be() {
    let (world, cloud) = exacting();
    let launched = cloud.launch(&named("a")).await.unwrap();
    let (mutations, state) = (cloud.calls().count().mutations, world.state());
    assert_eq!(cloud.launch(&named("a")).await.unwrap()[0].id, launched[0].id);
    assert_eq!((cloud.calls().count().mutations, world.state()), (mutations, state));
}

#[tokio::test(start_paused = true)]
async fn a_request_is_turned_away_and_a_reply_is_lost_as_often_as_asked() {
    let (world, cloud) = exacting();
    world.refuse_next("launch", ErrorKind::RateLimited, 2);
    world.lose_next("launch");
    cloud.launch(&named("a")).await.unwrap();
    assert_eq!((cloud.calls().count().mutations, world.hits()), (4, 3));
    assert_eq!(world.state().machines.len(), 1, "the reply was lost, and not the request");
    world.refuse_next("launch", ErrorKind::Unavailable, 100);
    let error = cloud.launch(&named("b")).await.unwrap_err();
    assert_eq!((error.kind(), error.effect()), (ErrorKind::Unavailable, Effect::Unknown));
    assert!(error.request_id().is_some());
    world.recover();
    cloud.launch(&named("b")).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn power_takes_its_time_and_a_cloud_at_work_is_busy() {
    let (world, cloud) = exacting();
    let impatient = FakeCloud::connect(&world, Actor("impatient".to_owned())).repeating(once());
    let id = cloud.launch(&named("a")).await.unwrap()[0].id.clone();
    assert_eq!(impatient.power(&id, PowerOp::Stop).await.unwrap_err().kind(), ErrorKind::Busy);
    sleep(seconds(31)).await;
    cloud.power(&id, PowerOp::Stop).await.unwrap();
    let state = async || Instances::get(&cloud, &id).await.unwrap().state;
    assert_eq!(state().await, InstanceState::Stopping);
    sleep(seconds(8)).await;
    assert_eq!(state().await, InstanceState::Stopped);
    cloud.power(&id, PowerOp::Start).await.unwrap();
    assert_eq!(state().await, InstanceState::Pending);
    sleep(seconds(8)).await;
    assert_eq!(state().await, InstanceState::Running);
}

#[tokio::test(start_paused = true)]
async fn what_the_account_does_not_have_is_refused() {
    let (world, cloud) = exacting();
    let kind = async |spec: LaunchSpec| cloud.launch(&spec).await.unwrap_err().kind();
    assert_eq!(kind(LaunchSpec { names: vec!["No name".to_owned()], ..named("a") }).await, ErrorKind::InvalidInput);
    assert_eq!(kind(LaunchSpec { region: "nowhere".into(), ..named("a") }).await, ErrorKind::InvalidInput);
    assert_eq!(kind(LaunchSpec { image: "windows".into(), ..named("a") }).await, ErrorKind::InvalidInput);
    let stranger = FakeCloud::connect(&world, Actor("nobody".to_owned())).refused();
    assert_eq!(stranger.launch(&named("a")).await.unwrap_err().kind(), ErrorKind::Unauthenticated);
    let (one, two) = (cloud.launch(&named("a")).await.unwrap(), cloud.launch(&named("b")).await.unwrap());
    StaticIps::ensure(&cloud, &ip_spec("a", "1", &one[0])).await.unwrap();
    let error = StaticIps::ensure(&cloud, &ip_spec("b", "2", &two[0])).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Quota);
    assert_eq!(world.state().ips.len(), 1);
}
