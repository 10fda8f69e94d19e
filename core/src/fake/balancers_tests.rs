use std::{sync::Arc, time::Duration};

use tokio::time::sleep;

use super::{Actor, Balancing, Catalogue, Dice, FakeCloud, Fault, Faults, Flavour, Pace, Rates, World};
use crate::provider::{
    CheckProtocol, Effect, Endpoint, ErrorKind, InstanceId, Instances, Labels, Listener, ListenerProtocol,
    LoadBalancer, LoadBalancerId, LoadBalancerSettings, LoadBalancerSpec, LoadBalancerState, LoadBalancers,
    MemberCheck, MemberHealth, Provider, RetryPolicy, label,
};

pub(super) fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub(super) fn client(world: &Arc<World>, name: &str) -> Arc<FakeCloud> {
    let once = RetryPolicy { attempts: 1, ..RetryPolicy::default() };
    FakeCloud::client(Arc::clone(world), Actor(name.to_owned()), once, Arc::default())
}

pub(super) fn world(flavour: Flavour) -> (Arc<World>, Arc<FakeCloud>) {
    let world = World::new(Pace::default(), flavour);
    let cloud = client(&world, "one");
    (world, cloud)
}

pub(super) fn suffering(fault: Fault) -> (Arc<World>, Arc<FakeCloud>) {
    let (world, cloud) = world(Flavour::default());
    world.set_faults(Faults::new(&mut Dice::new(1), Rates::none().with(fault, 1.0)));
    (world, cloud)
}

pub(super) fn habits(balancing: Balancing) -> Flavour {
    Flavour { balancing, ..Flavour::default() }
}

pub(super) fn tcp(port: u16) -> Listener {
    Listener { port, protocol: ListenerProtocol::Tcp, target_port: port, certificate: None }
}

/// In service after 30 s, and out of service after 20 s.
pub(super) fn spec(name: &str) -> LoadBalancerSpec {
    let check = MemberCheck {
        protocol: CheckProtocol::Http { path: "/up".to_owned() },
        port: 80,
        interval: seconds(10),
        timeout: seconds(5),
        healthy: 3,
        unhealthy: 2,
    };
    LoadBalancerSpec {
        name: name.to_owned(),
        labels: Labels::new().with(label::SERVICE, "app"),
        region: "here".into(),
        settings: LoadBalancerSettings {
            listeners: vec![tcp(80)],
            check,
            drain: Some(seconds(40)),
            sources: Vec::new(),
        },
    }
}

/// One that takes connections, and an instance that is no member yet.
pub(super) async fn active(cloud: &FakeCloud) -> (LoadBalancerId, InstanceId) {
    let made = cloud.ensure(&spec("remint-1")).await.unwrap();
    sleep(seconds(61)).await;
    (made.id, cloud.add_instance("one", Labels::new()).id)
}

/// The same with the instance in service.
pub(super) async fn serving(cloud: &FakeCloud) -> (LoadBalancerId, InstanceId) {
    let (id, one) = active(cloud).await;
    cloud.attach(&id, std::slice::from_ref(&one)).await.unwrap();
    sleep(seconds(31)).await;
    (id, one)
}

pub(super) async fn get(cloud: &FakeCloud, id: &LoadBalancerId) -> LoadBalancer {
    LoadBalancers::get(cloud, id).await.unwrap()
}

/// What a member is, in words; nothing where it is none.
pub(super) async fn health(cloud: &FakeCloud, id: &LoadBalancerId, instance: &InstanceId) -> Option<&'static str> {
    let members = cloud.members(id).await.unwrap();
    assert_eq!(members, cloud.member_list(id));
    members.into_iter().find(|member| member.instance == *instance).map(|member| match member.health {
        MemberHealth::Initial => "initial",
        MemberHealth::InService => "in service",
        MemberHealth::OutOfService(reason) => {
            assert!(!reason.is_empty());
            "out of service"
        }
        MemberHealth::Draining => "draining",
        MemberHealth::Unknown => "unknown",
    })
}

/// Where ten connections go to, each once.
pub(super) fn connect(cloud: &FakeCloud, balancer: &LoadBalancer, port: u16) -> Vec<InstanceId> {
    let Some(Endpoint::Address(address)) = &balancer.endpoint else { panic!("{balancer:?}") };
    let mut found: Vec<_> = (0..10).filter_map(|_| cloud.world().leads_to(address.endpoint(port))).collect();
    found.sort();
    found.dedup();
    found
}

#[tokio::test(start_paused = true)]
async fn it_is_found_by_its_name_and_takes_connections_when_it_is_active() {
    let (_, cloud) = world(Flavour::default());
    let made = cloud.ensure(&spec("remint-1")).await.unwrap();
    assert_eq!((&made.state, &made.endpoint), (&LoadBalancerState::Pending, &None));
    assert_eq!(cloud.ensure(&spec("remint-1")).await.unwrap(), made);
    assert_ne!(cloud.ensure(&spec("remint-2")).await.unwrap().id, made.id);
    cloud.ensure(&spec("other-1")).await.unwrap();
    sleep(seconds(59)).await;
    assert_eq!(get(&cloud, &made.id).await, made);
    sleep(seconds(2)).await;
    let seen = get(&cloud, &made.id).await;
    assert_eq!(seen.state, LoadBalancerState::Active);
    assert!(matches!(seen.endpoint, Some(Endpoint::Address(_))), "{seen:?}");
    let mut listed = LoadBalancers::list(&*cloud, "remint-").await.unwrap();
    listed.sort_by(|one, other| one.name.cmp(&other.name));
    assert_eq!(listed.iter().map(|one| one.name.as_str()).collect::<Vec<_>>(), ["remint-1", "remint-2"]);
    assert_eq!(listed[0], seen);
    let elsewhere = LoadBalancerSpec { region: "there".into(), ..spec("remint-1") };
    assert_eq!(cloud.ensure(&elsewhere).await.unwrap_err().kind(), ErrorKind::Conflict);
    let unknown = LoadBalancers::get(&*cloud, &"lb-0".into()).await.unwrap_err();
    assert_eq!(unknown.kind(), ErrorKind::NotFound);
}

#[tokio::test(start_paused = true)]
async fn a_change_of_settings_keeps_members_and_connections_and_the_cloud_is_busy_until_it_is_done() {
    let (_, cloud) = world(Flavour::default());
    let (id, one) = serving(&cloud).await;
    let before = get(&cloud, &id).await;
    let mut wanted = spec("remint-1");
    wanted.settings.listeners.push(tcp(443));
    let changed = cloud.ensure(&wanted).await.unwrap();
    assert_eq!((&changed.id, &changed.state, &changed.settings), (&id, &LoadBalancerState::Pending, &wanted.settings));
    assert_eq!(connect(&cloud, &changed, 80), std::slice::from_ref(&one));
    assert_eq!(cloud.ensure(&wanted).await.unwrap(), changed, "it is on its way already");
    let two = cloud.add_instance("two", Labels::new()).id;
    for error in [
        cloud.ensure(&spec("remint-1")).await.map(drop),
        cloud.attach(&id, std::slice::from_ref(&two)).await,
        cloud.detach(&id, std::slice::from_ref(&one)).await,
        LoadBalancers::destroy(&*cloud, &id).await,
    ] {
        assert_eq!(error.unwrap_err().kind(), ErrorKind::Busy);
    }
    cloud.attach(&id, std::slice::from_ref(&one)).await.unwrap();
    cloud.detach(&id, &[two]).await.unwrap();
    sleep(seconds(16)).await;
    let after = get(&cloud, &id).await;
    assert_eq!((after.state.clone(), &after.endpoint), (LoadBalancerState::Active, &before.endpoint));
    assert_eq!(connect(&cloud, &after, 443), std::slice::from_ref(&one));
    assert_eq!(health(&cloud, &id, &one).await, Some("in service"));
}

#[tokio::test(start_paused = true)]
async fn what_passes_everything_through_refuses_the_rest_and_a_named_one_has_a_host() {
    let (_, cloud) = world(habits(Balancing { passes_through: true, named: true, ..Balancing::default() }));
    let mut http = spec("remint-1");
    http.settings.listeners[0].protocol = ListenerProtocol::Http;
    let mut other_port = spec("remint-1");
    other_port.settings.listeners[0].target_port = 8080;
    for (spec, needed) in [(http, "load_balancer.http"), (other_port, "load_balancer.target_port")] {
        let error = cloud.ensure(&spec).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.to_string().contains(needed), "{error}");
        cloud.balance(Balancing::default());
        let made = cloud.ensure(&LoadBalancerSpec { name: needed.to_owned(), ..spec }).await.unwrap();
        cloud.by_hand("deleted", |state| state.delete_balancer(&made.id));
        cloud.balance(Balancing { passes_through: true, named: true, ..Balancing::default() });
    }
    assert!(cloud.balancer_list().is_empty());
    let (id, _) = active(&cloud).await;
    let endpoint = get(&cloud, &id).await.endpoint;
    assert!(
        matches!(&endpoint, Some(Endpoint::Host { name, addresses }) if name.starts_with(id.as_str()) && addresses.len() == 1),
        "{endpoint:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_destroyed_balancer_takes_no_connections_is_gone_after_a_while_and_leaves_its_members() {
    let (_, cloud) = world(Flavour::default());
    let (id, one) = serving(&cloud).await;
    let balancer = get(&cloud, &id).await;
    LoadBalancers::destroy(&*cloud, &id).await.unwrap();
    LoadBalancers::destroy(&*cloud, &id).await.unwrap();
    assert!(connect(&cloud, &balancer, 80).is_empty());
    assert_eq!(get(&cloud, &id).await.state, LoadBalancerState::Pending);
    assert_eq!(cloud.ensure(&spec("remint-1")).await.unwrap_err().kind(), ErrorKind::Busy);
    sleep(seconds(4)).await;
    assert_eq!(LoadBalancers::get(&*cloud, &id).await.unwrap_err().kind(), ErrorKind::NotFound);
    LoadBalancers::destroy(&*cloud, &id).await.unwrap();
    assert_eq!(Instances::get(&*cloud, &one).await.unwrap().id, one);
    assert_ne!(cloud.ensure(&spec("remint-1")).await.unwrap().id, id);
}

#[tokio::test(start_paused = true)]
async fn an_exacting_cloud_refuses_what_it_cannot_do_before_it_changes_anything() {
    let catalogue = Catalogue { load_balancers: Some(1), certificates: &["mine"], ..Catalogue::default() };
    let (_, cloud) = world(Flavour { strict: true, checks: true, catalogue, ..Flavour::default() });
    let bad: [fn(&mut LoadBalancerSpec); 14] = [
        |spec| spec.name = "Remint".to_owned(),
        |spec| spec.name = "r".repeat(33),
        |spec| spec.name.clear(),
        |spec| spec.region = "nowhere".into(),
        |spec| spec.settings.listeners.clear(),
        |spec| spec.settings.listeners.push(tcp(80)),
        |spec| spec.settings.listeners[0] = tcp(0),
        |spec| spec.settings.listeners[0].certificate = Some("mine".to_owned()),
        |spec| spec.settings.listeners[0].protocol = ListenerProtocol::Https,
        |spec| {
            spec.settings.listeners[0].protocol = ListenerProtocol::Https;
            spec.settings.listeners[0].certificate = Some("yours".to_owned());
        },
        |spec| spec.settings.check.protocol = CheckProtocol::Http { path: "up".to_owned() },
        |spec| spec.settings.check.interval = Duration::from_millis(1500),
        |spec| spec.settings.check.healthy = 0,
        |spec| spec.settings.check.port = 0,
    ];
    for (number, make_bad) in bad.into_iter().enumerate() {
        let mut spec = spec("remint-1");
        make_bad(&mut spec);
        let error = cloud.ensure(&spec).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{number}: {error}");
    }
    assert!(cloud.balancer_list().is_empty());
    let mut good = spec("remint-1");
    good.settings.listeners[0].protocol = ListenerProtocol::Https;
    good.settings.listeners[0].certificate = Some("mine".to_owned());
    cloud.ensure(&good).await.unwrap();
    assert_eq!(cloud.ensure(&spec("remint-2")).await.unwrap_err().kind(), ErrorKind::Quota);
    let quotas = cloud.account().await.unwrap().quotas;
    assert_eq!(
        quotas.iter().map(|quota| (quota.what.as_str(), quota.limit)).collect::<Vec<_>>(),
        [("load_balancers", 1)]
    );
}

#[tokio::test(start_paused = true)]
async fn a_list_has_all_pages() {
    let (_, cloud) = world(Flavour { page: 2, ..Flavour::default() });
    for number in 0..5 {
        cloud.ensure(&spec(&format!("remint-{number}"))).await.unwrap();
    }
    let reads = cloud.calls().count().reads;
    assert_eq!(LoadBalancers::list(&*cloud, "remint-").await.unwrap().len(), 5);
    assert_eq!(cloud.calls().count().reads, reads + 3);
}

#[tokio::test(start_paused = true)]
async fn a_lost_reply_leaves_one_and_its_effect_is_unknown() {
    let (world, cloud) = world(Flavour::default());
    world.lose_next("ensure load balancer");
    assert_eq!(cloud.ensure(&spec("remint-1")).await.unwrap_err().effect(), Effect::Unknown);
    cloud.ensure(&spec("remint-1")).await.unwrap();
    assert_eq!(cloud.balancer_list().len(), 1);
    sleep(seconds(61)).await;
    let (id, one) = (cloud.balancer_list()[0].id.clone(), cloud.add_instance("one", Labels::new()).id);
    world.lose_next("attach members");
    assert_eq!(cloud.attach(&id, std::slice::from_ref(&one)).await.unwrap_err().effect(), Effect::Unknown);
    assert_eq!(health(&cloud, &id, &one).await, Some("initial"));
    world.lose_next("detach members");
    assert_eq!(cloud.detach(&id, std::slice::from_ref(&one)).await.unwrap_err().effect(), Effect::Unknown);
    assert_eq!(health(&cloud, &id, &one).await, Some("draining"));
    world.lose_next("destroy load balancer");
    assert_eq!(LoadBalancers::destroy(&*cloud, &id).await.unwrap_err().effect(), Effect::Unknown);
    sleep(seconds(4)).await;
    assert!(cloud.balancer_list().is_empty());
    world.refuse_next("list members", ErrorKind::RateLimited, 1);
    assert_eq!(cloud.members(&id).await.unwrap_err().kind(), ErrorKind::RateLimited);
}

#[tokio::test(start_paused = true)]
async fn what_is_accepted_may_come_to_nothing_or_fail() {
    let (world, cloud) = suffering(Fault::NotDone);
    let (id, one) = active(&cloud).await;
    cloud.attach(&id, std::slice::from_ref(&one)).await.unwrap();
    assert_eq!(cloud.members(&id).await.unwrap(), []);
    world.calm();
    cloud.attach(&id, std::slice::from_ref(&one)).await.unwrap();
    sleep(seconds(31)).await;
    world.set_faults(Faults::new(&mut Dice::new(1), Rates::none().with(Fault::NotDone, 1.0)));
    cloud.detach(&id, std::slice::from_ref(&one)).await.unwrap();
    assert_eq!(health(&cloud, &id, &one).await, Some("in service"));
    LoadBalancers::destroy(&*cloud, &id).await.unwrap();
    assert_eq!(get(&cloud, &id).await.state, LoadBalancerState::Pending);
    sleep(seconds(4)).await;
    let stays = get(&cloud, &id).await;
    assert_eq!(stays.state, LoadBalancerState::Active);
    assert_eq!(connect(&cloud, &stays, 80), [one]);

    let (world, cloud) = suffering(Fault::Fails);
    let (id, one) = active(&cloud).await;
    let failed = get(&cloud, &id).await;
    assert!(matches!(&failed.state, LoadBalancerState::Failed(reason) if !reason.is_empty()), "{failed:?}");
    assert_eq!(cloud.ensure(&spec("remint-1")).await.unwrap(), failed);
    assert_eq!(failed.endpoint, None);
    world.calm();
    cloud.attach(&id, &[one]).await.unwrap();
    LoadBalancers::destroy(&*cloud, &id).await.unwrap();
    sleep(seconds(4)).await;
    assert!(cloud.balancer_list().is_empty());
}

#[tokio::test(start_paused = true)]
async fn quota_and_capacity_are_told_at_its_creation() {
    for (fault, kind) in [(Fault::Quota, ErrorKind::Quota), (Fault::Capacity, ErrorKind::Capacity)] {
        let (_, cloud) = suffering(fault);
        assert_eq!(cloud.ensure(&spec("remint-1")).await.unwrap_err().kind(), kind);
        assert!(cloud.balancer_list().is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn people_change_load_balancers_by_hand() {
    let (_, cloud) = world(Flavour::default());
    let (id, one) = serving(&cloud).await;
    let foreign = cloud.add_instance("foreign", Labels::new()).id;
    cloud.by_hand("a foreign member", |state| state.add_member(&id, &foreign));
    cloud.by_hand("one of ours is detached", |state| state.take_member(&id, &one));
    sleep(seconds(31)).await;
    assert_eq!(health(&cloud, &id, &foreign).await, Some("in service"));
    assert_eq!(health(&cloud, &id, &one).await, None);
    cloud.by_hand("other settings", |state| state.change_balancer(&id, |settings| settings.listeners[0].port = 81));
    let changed = get(&cloud, &id).await;
    assert_eq!(connect(&cloud, &changed, 81), [foreign]);
    assert_eq!(cloud.ensure(&spec("remint-1")).await.unwrap().settings, spec("remint-1").settings, "set right again");
    let same_name = cloud.by_hand("one of the same name", |state| state.add_balancer("remint-1"));
    let listed = LoadBalancers::list(&*cloud, "remint-1").await.unwrap();
    assert_eq!(listed.len(), 2);
    assert!(listed.contains(&same_name) && same_name.state == LoadBalancerState::Active);
    cloud.by_hand("it is deleted", |state| state.delete_balancer(&id));
    assert_eq!(LoadBalancers::get(&*cloud, &id).await.unwrap_err().kind(), ErrorKind::NotFound);
}
