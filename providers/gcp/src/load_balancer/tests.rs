//! Against a part of Compute Engine in memory.

use std::{net::Ipv4Addr, time::Duration};

use remint_core::provider::{
    Address, CheckProtocol, Effect, Endpoint, ErrorKind, Labels, Listener, ListenerProtocol, LoadBalancer,
    LoadBalancerSettings, LoadBalancerSpec, LoadBalancerState, LoadBalancers, MemberCheck, PortMap, Region, Selector,
    label,
};
use serde_json::{Value, json};
use wiremock::MockServer;

use self::fake::{Fake, REGION};
use crate::{
    ClientOptions, Config, Gcp,
    testing::{self, failed, lost, refusal, regional},
};

mod destroying;
mod fake;
mod members;

const ENV_ID: &str = "0a1b2c3d4e5f6071";
const NAME: &str = "remint-0a1b2c3d4e5f6071";

pub(super) fn settings(ports: &[u16], sources: &[&str]) -> LoadBalancerSettings {
    let listener =
        |port: &u16| Listener { port: *port, protocol: ListenerProtocol::Tcp, target_port: *port, certificate: None };
    let check = MemberCheck {
        protocol: CheckProtocol::Tcp,
        port: 22,
        interval: Duration::from_secs(5),
        timeout: Duration::from_secs(3),
        healthy: 2,
        unhealthy: 2,
    };
    LoadBalancerSettings {
        listeners: ports.iter().map(listener).collect(),
        check,
        drain: Some(Duration::from_secs(10)),
        sources: sources.iter().map(|net| net.parse().unwrap()).collect(),
    }
}

fn spec(ports: &[u16]) -> LoadBalancerSpec {
    let labels = Labels::new().with(label::SERVICE, "app").with(label::ENV_ID, ENV_ID);
    LoadBalancerSpec {
        name: NAME.to_owned(),
        labels,
        region: Region::new("us-central1-a"),
        settings: settings(ports, &[]),
    }
}

async fn provider(server: &MockServer) -> Gcp {
    let options = ClientOptions { config: Config::default(), ..testing::options(server) };
    Gcp::new(options).await.unwrap()
}

fn at(kind: &str) -> String {
    format!("{REGION}/{kind}/{NAME}")
}

fn firewall(what: &str) -> String {
    format!("global/firewalls/{NAME}-{what}")
}

/// All of them, as they are created: each after those that it needs.
fn creations() -> Vec<String> {
    let regional = ["addresses", "healthChecks", "backendServices"].map(|kind| format!("POST {REGION}/{kind}"));
    let firewalls = ["POST global/firewalls"; 2].map(str::to_owned);
    let rule = format!("POST {REGION}/forwardingRules");
    regional.into_iter().chain(firewalls).chain([rule]).collect()
}

#[tokio::test]
async fn one_is_created_once_and_shown_as_it_was_asked_for() {
    let (server, fake) = Fake::start().await;
    let gcp = provider(&server).await;
    let spec = spec(&[443, 80]);
    let made = gcp.ensure(&spec).await.unwrap();
    let rule = fake.bodies(&format!("POST {REGION}/forwardingRules")).remove(0);
    let service = fake.bodies(&format!("POST {REGION}/backendServices")).remove(0);
    assert_eq!(fake.mutations(), creations());
    let expected = LoadBalancer {
        id: remint_core::provider::LoadBalancerId::new(format!("us-central1/{NAME}/1")),
        name: NAME.to_owned(),
        state: LoadBalancerState::Active,
        endpoint: Some(Endpoint::Address(Address {
            ip: Ipv4Addr::new(203, 0, 113, 1).into(),
            ports: PortMap { through: 1023, offset: 20000 },
        })),
        region: Region::new("us-central1-a"),
        settings: LoadBalancerSettings { drain: None, ..settings(&[80, 443], &[]) },
    };
    assert_eq!(made, expected);
    assert_eq!((&rule["ports"], &rule["loadBalancingScheme"]), (&json!(["80", "443"]), &json!("EXTERNAL")));
    assert_eq!(rule["backendService"], format!("projects/mine/{}", at("backendServices")));
    assert_eq!(service["connectionDraining"], json!({"drainingTimeoutSec": 10}));
    assert_eq!(service["healthChecks"], json!([format!("projects/mine/{}", at("healthChecks"))]));
    assert_eq!((&service["protocol"], &service["loadBalancingScheme"]), (&json!("TCP"), &json!("EXTERNAL")));

    assert_eq!(gcp.ensure(&spec).await.unwrap(), made);
    assert_eq!(LoadBalancers::get(&gcp, &made.id).await.unwrap(), made);
    assert_eq!(LoadBalancers::list(&gcp, "remint-0a").await.unwrap(), [made]);
    assert!(LoadBalancers::list(&gcp, "0a").await.unwrap().is_empty());
    assert_eq!(fake.mutations(), Vec::<String>::new());
    // Its address is none of the static IPs.
    assert!(remint_core::provider::StaticIps::list(&gcp, &Selector::all()).await.unwrap().is_empty());
}

#[tokio::test]
async fn firewall_rules_let_probes_and_clients_in_and_hold_the_sources() {
    let (server, fake) = Fake::start().await;
    let gcp = provider(&server).await;
    let mut spec = spec(&[80]);
    gcp.ensure(&spec).await.unwrap();
    let checks = fake.one(&firewall("checks")).unwrap();
    assert_eq!(checks["sourceRanges"], json!(["35.191.0.0/16", "209.85.152.0/22", "209.85.204.0/22"]));
    assert_eq!(checks["allowed"], json!([{"IPProtocol": "tcp", "ports": ["22"]}]));
    let clients = fake.one(&firewall("clients")).unwrap();
    assert_eq!(
        (&clients["sourceRanges"], &clients["destinationRanges"]),
        (&json!(["0.0.0.0/0"]), &json!(["203.0.113.1/32"]))
    );
    for rule in [&checks, &clients] {
        assert_eq!(rule["targetTags"], json!([format!("remint-{ENV_ID}-tcp-22")]));
        assert!(rule["description"].as_str().unwrap().contains(ENV_ID));
    }
    fake.mutations();
    spec.settings.sources = settings(&[], &["192.0.2.0/24", "198.51.100.7/32"]).sources;
    let now = gcp.ensure(&spec).await.unwrap();
    assert!(now.settings.is_as(&spec.settings), "{now:?}");
    // First those who stay, then nobody else.
    assert_eq!(fake.mutations(), [format!("PATCH {}", firewall("clients")), "POST global/firewalls".to_owned()]);
    let others = fake.one(&firewall("others")).unwrap();
    assert_eq!((&others["denied"], &others["sourceRanges"]), (&json!([{"IPProtocol": "tcp"}]), &json!(["0.0.0.0/0"])));
    assert!(others["priority"].as_i64() > fake.one(&firewall("clients")).unwrap()["priority"].as_i64());
    // Without the rule that keeps others out, nobody is kept out, and that is what is shown.
    fake.forget(&firewall("others"));
    assert!(LoadBalancers::get(&gcp, &now.id).await.unwrap().settings.sources.is_empty());
    gcp.ensure(&spec).await.unwrap();
    spec.settings.sources.clear();
    let now = gcp.ensure(&spec).await.unwrap();
    assert!(now.settings.sources.is_empty() && fake.one(&firewall("others")).is_none());
    assert_eq!(fake.one(&firewall("clients")).unwrap()["sourceRanges"], json!(["0.0.0.0/0"]));

    let without = testing::provider(&server).await;
    let name = "remint-1a1b2c3d4e5f6071";
    let open = LoadBalancerSpec { name: name.to_owned(), ..spec.clone() };
    assert_eq!(without.ensure(&open).await.unwrap().state, LoadBalancerState::Active);
    assert!(!fake.paths().iter().any(|path| path.starts_with(&format!("global/firewalls/{name}"))));
    for what in ["checks", "clients", "others"] {
        let path = format!("global/firewalls/{name}-{what}");
        fake.refuse("GET", &path, refusal(403, "forbidden", "Required 'compute.firewalls.get' permission"));
    }
    for balancer in LoadBalancers::list(&without, name).await.unwrap() {
        LoadBalancers::destroy(&without, &balancer.id).await.unwrap();
    }
    assert!(!fake.paths().iter().any(|path| path.contains(name)), "{:?}", fake.paths());
}

#[tokio::test]
async fn what_google_cannot_do_is_refused_before_anything_is_asked() {
    let (server, _) = Fake::start().await;
    let gcp = provider(&server).await;
    type Change = fn(&mut LoadBalancerSettings);
    let changes: [(Change, ErrorKind); 10] = [
        (|now| now.listeners[0].protocol = ListenerProtocol::Http, ErrorKind::Unsupported),
        (|now| now.listeners[0].target_port = 8080, ErrorKind::Unsupported),
        (|now| now.listeners = settings(&[1, 2, 3, 4, 5, 6], &[]).listeners, ErrorKind::InvalidInput),
        (|now| now.check.interval = Duration::from_secs(301), ErrorKind::InvalidInput),
        (|now| now.check.timeout = Duration::from_secs(6), ErrorKind::InvalidInput),
        (|now| now.check.healthy = 11, ErrorKind::InvalidInput),
        (|now| now.check.unhealthy = 0, ErrorKind::InvalidInput),
        (|now| now.drain = Some(Duration::from_secs(3601)), ErrorKind::InvalidInput),
        (|now| now.sources = settings(&[], &["2001:db8::/32"]).sources, ErrorKind::InvalidInput),
        (|now| now.listeners.clear(), ErrorKind::InvalidInput),
    ];
    for (change, kind) in changes {
        let mut spec = spec(&[80]);
        change(&mut spec.settings);
        let error = gcp.ensure(&spec).await.unwrap_err();
        assert_eq!((error.kind(), error.effect()), (kind, Effect::NotApplied), "{error}");
    }
    let without = testing::provider(&server).await;
    let closed = LoadBalancerSpec { settings: settings(&[80], &["192.0.2.0/24"]), ..spec(&[80]) };
    assert_eq!(without.ensure(&closed).await.unwrap_err().kind(), ErrorKind::InvalidInput);
    for (name, region) in [("remint-a-", "us-central1-a"), (NAME, "us-central1")] {
        let other = LoadBalancerSpec { name: name.to_owned(), region: Region::new(region), ..spec(&[80]) };
        assert_eq!(gcp.ensure(&other).await.unwrap_err().kind(), ErrorKind::InvalidInput, "{name} {region}");
    }
    assert!(testing::asked(&server).await.is_empty());
    let most = LoadBalancerSpec { settings: settings(&[1, 2, 3, 4, 5], &[]), ..spec(&[80]) };
    assert!(gcp.ensure(&most).await.unwrap().settings.is_as(&most.settings));
}

#[tokio::test]
async fn settings_change_in_place_and_only_other_ports_need_another_rule() {
    let (server, fake) = Fake::start().await;
    let gcp = provider(&server).await;
    let mut spec = spec(&[80]);
    let made = gcp.ensure(&spec).await.unwrap();
    let backends =
        json!([{"group": "projects/mine/zones/us-central1-a/instanceGroups/x", "balancingMode": "CONNECTION"}]);
    fake.set(&at("backendServices"), |service| service["backends"] = backends.clone());
    fake.mutations();

    spec.settings.check.protocol = CheckProtocol::Http { path: "/health".to_owned() };
    assert!(gcp.ensure(&spec).await.unwrap().settings.is_as(&spec.settings));
    assert_eq!(fake.mutations(), [format!("PUT {}", at("healthChecks"))]);
    let check = fake.one(&at("healthChecks")).unwrap();
    assert_eq!((&check["type"], &check["tcpHealthCheck"]), (&json!("HTTP"), &Value::Null));
    assert!(check["description"].as_str().unwrap().contains(ENV_ID), "{check}");

    spec.settings.drain = Some(Duration::from_secs(60));
    // Somebody else is faster.
    fake.refuse("PATCH", &at("backendServices"), refusal(412, "conditionNotMet", "Invalid fingerprint"));
    gcp.ensure(&spec).await.unwrap();
    assert_eq!(fake.mutations(), [format!("PATCH {}", at("backendServices"))]);
    let service = fake.one(&at("backendServices")).unwrap();
    assert_eq!((&service["connectionDraining"]["drainingTimeoutSec"], &service["backends"]), (&json!(60), &backends));

    spec.settings.listeners = settings(&[80, 443], &[]).listeners;
    spec.settings.check.port = 81;
    let now = gcp.ensure(&spec).await.unwrap();
    assert_eq!((&now.id, &now.endpoint, &now.state), (&made.id, &made.endpoint, &LoadBalancerState::Active));
    assert!(now.settings.is_as(&spec.settings), "{now:?}");
    // The rule is the last to go, and the first to come back.
    let expected = [
        format!("PUT {}", at("healthChecks")),
        format!("PATCH {}", firewall("checks")),
        format!("PATCH {}", firewall("clients")),
        format!("DELETE {}", at("forwardingRules")),
        format!("POST {REGION}/forwardingRules"),
    ];
    assert_eq!(fake.mutations(), expected);
}

#[tokio::test]
async fn what_somebody_changed_by_hand_shows_and_is_set_right() {
    let (server, fake) = Fake::start().await;
    let gcp = provider(&server).await;
    let spec = spec(&[80]);
    let made = gcp.ensure(&spec).await.unwrap();
    type Change = fn(&mut Value);
    let changes: [(String, Change); 6] = [
        (at("forwardingRules"), |rule| rule["ports"] = json!(["80-82"])),
        (at("forwardingRules"), |rule| rule["IPAddress"] = json!("203.0.113.99")),
        (at("healthChecks"), |check| check["unhealthyThreshold"] = json!(5)),
        (at("healthChecks"), |check| check["tcpHealthCheck"]["request"] = json!("hello")),
        (firewall("clients"), |rule| rule["disabled"] = json!(true)),
        (at("backendServices"), |service| service["healthChecks"] = json!([])),
    ];
    for (path, change) in changes {
        fake.set(&path, change);
        fake.mutations();
        let again = gcp.ensure(&spec).await.unwrap();
        assert_eq!(again, made, "{path}");
        assert!(!fake.mutations().is_empty(), "{path}");
    }
    fake.set(&at("forwardingRules"), |rule| rule["ports"] = json!(["8080"]));
    let now = LoadBalancers::get(&gcp, &made.id).await.unwrap();
    assert_eq!(now.settings.listeners, settings(&[8080], &[]).listeners);
}

#[tokio::test]
async fn a_creation_that_was_cut_shows_and_is_completed() {
    let (server, fake) = Fake::start().await;
    let gcp = provider(&server).await;
    let spec = spec(&[80]);
    for cut in ["healthChecks", "backendServices", "forwardingRules"] {
        let path = format!("{REGION}/{cut}");
        fake.refuse("POST", &path, refusal(403, "quotaExceeded", "Quota exceeded"));
        let error = gcp.ensure(&spec).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Quota, "{cut}: {error}");
        let listed = LoadBalancers::list(&gcp, NAME).await.unwrap();
        assert_eq!((listed.len(), &listed[0].state), (1, &LoadBalancerState::Pending), "{cut}");
        assert!(listed[0].endpoint.is_some());
        let done = gcp.ensure(&spec).await.unwrap();
        assert_eq!((&done.id, done.state), (&listed[0].id, LoadBalancerState::Active), "{cut}");
        LoadBalancers::destroy(&gcp, &done.id).await.unwrap();
        assert!(fake.paths().is_empty());
    }
}

#[tokio::test]
async fn an_operation_that_fails_is_an_error_although_it_was_accepted() {
    let (server, fake) = Fake::start().await;
    let gcp = provider(&server).await;
    let answer = failed(regional("op-7", "DONE"), "QUOTA_EXCEEDED", "Quota 'FORWARDING_RULES' exceeded. Limit: 15.0");
    fake.refuse("POST", &format!("{REGION}/forwardingRules"), testing::json(answer));
    let error = gcp.ensure(&spec(&[80])).await.unwrap_err();
    assert_eq!((error.kind(), error.effect()), (ErrorKind::Quota, Effect::Applied), "{error}");
    assert!(error.to_string().contains("forwarding rule"), "{error}");
    let constraint = "constraints/compute.restrictLoadBalancerCreationForTypes";
    let message = format!("Constraint {constraint} violated for project 7421");
    fake.refuse("POST", &format!("{REGION}/forwardingRules"), refusal(412, "conditionNotMet", &message));
    let error = gcp.ensure(&spec(&[80])).await.unwrap_err();
    assert_eq!((error.kind(), error.effect()), (ErrorKind::Forbidden, Effect::NotApplied), "{error}");
    assert!(error.hint().unwrap().contains("allow EXTERNAL_NETWORK_TCP_UDP"), "{error:?}");
}

#[tokio::test]
async fn lost_replies_leave_one_of_each() {
    let (server, fake) = Fake::start().await;
    let gcp = provider(&server).await;
    for path in ["addresses", "healthChecks", "backendServices", "forwardingRules"] {
        fake.lose("POST", &format!("{REGION}/{path}"), lost());
    }
    fake.lose("POST", "global/firewalls", lost());
    let made = gcp.ensure(&spec(&[80])).await.unwrap();
    assert_eq!(made.state, LoadBalancerState::Active);
    let expected: Vec<String> = ["checks", "clients"]
        .map(firewall)
        .into_iter()
        .chain(["addresses", "backendServices", "forwardingRules", "healthChecks"].map(at))
        .collect();
    assert_eq!(fake.paths(), expected);
}

#[tokio::test]
async fn what_is_somebody_elses_is_a_conflict_and_stays() {
    let kinds = ["addresses", "healthChecks", "backendServices", "forwardingRules"].map(at);
    for path in kinds.into_iter().chain(["checks", "clients", "others"].map(firewall)) {
        let (server, fake) = Fake::start().await;
        let gcp = provider(&server).await;
        fake.set(&path, |one| {
            *one = json!({"name": one["name"], "id": "77", "description": "mine", "region": "https://x/regions/us-central1"});
        });
        let before = fake.one(&path);
        let error = gcp.ensure(&spec(&[80])).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict, "{path}: {error}");
        assert!(error.hint().is_some(), "{path}");
        for balancer in LoadBalancers::list(&gcp, NAME).await.unwrap() {
            LoadBalancers::destroy(&gcp, &balancer.id).await.unwrap();
        }
        assert_eq!((fake.one(&path), fake.paths()), (before, vec![path]));
    }
}

#[tokio::test]
async fn a_name_in_another_region_is_a_conflict_and_one_in_another_zone_is_the_same() {
    let (server, fake) = Fake::start().await;
    let gcp = provider(&server).await;
    let made = gcp.ensure(&spec(&[80])).await.unwrap();
    fake.mutations();
    let elsewhere = |zone| LoadBalancerSpec { region: Region::new(zone), ..spec(&[80]) };
    let error = gcp.ensure(&elsewhere("europe-west3-a")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(error.hint().unwrap().contains("us-central1-a"), "{error:?}");
    assert_eq!(gcp.ensure(&elsewhere("us-central1-b")).await.unwrap(), made);
    assert_eq!(fake.mutations(), Vec::<String>::new());
}

#[tokio::test]
async fn calls_for_one_name_at_the_same_time_create_one() {
    let (server, fake) = Fake::start().await;
    let (one, two) = (provider(&server).await, provider(&server).await);
    let spec = spec(&[80]);
    let all = futures::future::join_all([one.ensure(&spec), one.ensure(&spec), two.ensure(&spec), two.ensure(&spec)]);
    for result in all.await {
        let found = result.map(|made| made.id.to_string());
        assert!(
            matches!(&found, Ok(id) if id.ends_with("/1")) || found.is_err_and(|error| error.kind() == ErrorKind::Busy)
        );
    }
    assert_eq!(one.ensure(&spec).await.unwrap().state, LoadBalancerState::Active);
    assert_eq!(fake.paths().len(), 6);
}

#[tokio::test]
async fn the_address_has_the_labels_of_the_options() {
    let (server, fake) = Fake::start().await;
    let config = Config { labels: [("team".to_owned(), "web".to_owned())].into(), ..Config::default() };
    let gcp = Gcp::new(ClientOptions { config, ..testing::options(&server) }).await.unwrap();
    fake.refuse("POST", &format!("{}/setLabels", at("addresses")), testing::json(regional("op-1", "DONE")));
    gcp.ensure(&spec(&[80])).await.unwrap();
    let sent =
        testing::requests(&server, "POST", &format!("/compute/v1/projects/mine/{}/setLabels", at("addresses"))).await;
    assert_eq!(sent[0].body_json::<Value>().unwrap()["labels"], json!({"team": "web"}));
}
