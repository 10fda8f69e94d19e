//! Members.

use remint_core::provider::{Error, ErrorKind, InstanceId, LoadBalancer, LoadBalancers, MemberHealth};
use serde_json::json;
use wiremock::MockServer;

use super::{Fake, NAME, at, provider, spec};
use crate::{
    Gcp,
    testing::{self, refusal},
};

fn group(zone: &str) -> String {
    format!("zones/{zone}/instanceGroups/{NAME}")
}

fn ids(all: &[&str]) -> Vec<InstanceId> {
    all.iter().map(|id| InstanceId::new(*id)).collect()
}

const ONE: &str = "us-central1-a/one/11";
const TWO: &str = "us-central1-a/two/12";
const FAR: &str = "us-central1-f/far/13";

async fn with_instances() -> (MockServer, Fake, Gcp, LoadBalancer) {
    let (server, fake) = Fake::start().await;
    let gcp = provider(&server).await;
    let made = gcp.ensure(&spec(&[80])).await.unwrap();
    for (zone, name, number) in [
        ("us-central1-a", "one", "11"),
        ("us-central1-a", "two", "12"),
        ("us-central1-f", "far", "13"),
        ("europe-west3-a", "else", "14"),
    ] {
        fake.launch(zone, name, number);
    }
    fake.mutations();
    (server, fake, gcp, made)
}

async fn members(gcp: &Gcp, made: &LoadBalancer) -> Vec<(String, MemberHealth)> {
    let all = gcp.members(&made.id).await.unwrap();
    let mut all: Vec<_> = all.into_iter().map(|member| (member.instance.to_string(), member.health)).collect();
    all.sort_by(|one, two| one.0.cmp(&two.0));
    all
}

#[tokio::test]
async fn members_are_added_zone_by_zone_and_once() {
    let (_server, fake, gcp, made) = with_instances().await;
    assert!(members(&gcp, &made).await.is_empty());
    gcp.attach(&made.id, &ids(&[ONE, FAR, ONE])).await.unwrap();
    let backends = format!("PATCH {}", at("backendServices"));
    let in_zone = |zone: &str| {
        let add = format!("POST {}/addInstances", group(zone));
        [format!("POST zones/{zone}/instanceGroups"), add, backends.clone()]
    };
    let created = fake.bodies("POST zones/us-central1-f/instanceGroups").remove(0);
    assert_eq!(created["network"], "global/networks/default");
    assert_eq!(fake.mutations(), ["us-central1-a", "us-central1-f"].map(in_zone).concat());
    let service = fake.one(&at("backendServices")).unwrap();
    let backend = |zone: &str| json!({"group": format!("https://www.googleapis.com/compute/v1/projects/mine/{}", group(zone)), "balancingMode": "CONNECTION"});
    assert_eq!(service["backends"], json!([backend("us-central1-a"), backend("us-central1-f")]));

    gcp.attach(&made.id, &ids(&[FAR, ONE])).await.unwrap();
    assert_eq!(fake.mutations(), Vec::<String>::new());
    gcp.attach(&made.id, &ids(&[ONE, TWO])).await.unwrap();
    assert_eq!(fake.mutations(), [format!("POST {}/addInstances", group("us-central1-a"))]);
    assert_eq!(fake.members(&group("us-central1-a")), ["one", "two"]);
    // Its settings change, and its members stay.
    gcp.ensure(&spec(&[81])).await.unwrap();
    assert_eq!(members(&gcp, &made).await.len(), 3);
}

#[tokio::test]
async fn who_is_gone_or_elsewhere_becomes_no_member() {
    let (_server, fake, gcp, made) = with_instances().await;
    let kinds = [
        ("us-central1-a/one/99", ErrorKind::NotFound),
        ("no-such-instance", ErrorKind::NotFound),
        ("europe-west3-a/else/14", ErrorKind::InvalidInput),
    ];
    for (id, kind) in kinds {
        let error = gcp.attach(&made.id, &ids(&[ONE, id])).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{id}");
    }
    assert_eq!(fake.mutations(), Vec::<String>::new());
    let nobody = remint_core::provider::LoadBalancerId::new(format!("us-central1/{NAME}/9"));
    let kind = |result: Result<(), Error>| result.unwrap_err().kind();
    assert_eq!(kind(gcp.attach(&nobody, &ids(&[ONE])).await), ErrorKind::NotFound);
    assert_eq!(kind(gcp.detach(&nobody, &ids(&[ONE])).await), ErrorKind::NotFound);
    assert_eq!(kind(gcp.members(&nobody).await.map(drop)), ErrorKind::NotFound);
    assert_eq!(kind(LoadBalancers::get(&gcp, &nobody).await.map(drop)), ErrorKind::NotFound);
    // One whose creation was cut takes no members yet.
    fake.forget(&at("forwardingRules"));
    fake.forget(&at("backendServices"));
    let error = gcp.attach(&made.id, &ids(&[ONE])).await.unwrap_err();
    assert_eq!((error.kind(), error.hint()), (ErrorKind::Conflict, Some("deploy again, which completes it")));
}

#[tokio::test]
async fn somebody_else_may_be_faster() {
    let (_server, fake, gcp, made) = with_instances().await;
    fake.rival(&group("us-central1-a"), "one");
    gcp.attach(&made.id, &ids(&[ONE, TWO])).await.unwrap();
    assert_eq!(fake.members(&group("us-central1-a")), ["one", "two"]);
    fake.rival(&group("us-central1-a"), "one");
    gcp.detach(&made.id, &ids(&[ONE, TWO])).await.unwrap();
    assert!(fake.members(&group("us-central1-a")).is_empty());
    // One that is behind another load balancer is asked for once.
    fake.mutations();
    let add = format!("{}/addInstances", group("us-central1-a"));
    let message = "instance may belong to at most one load-balanced instance group";
    fake.refuse("POST", &add, refusal(400, "instanceInMultipleLoadBalancedIgs", message));
    fake.refuse("POST", &add, refusal(400, "instanceInMultipleLoadBalancedIgs", message));
    let error = gcp.attach(&made.id, &ids(&[ONE])).await.unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Conflict, Some("instanceInMultipleLoadBalancedIgs")));
    assert!(gcp.attach(&made.id, &ids(&[ONE])).await.is_err(), "it was asked for more than once");
    gcp.attach(&made.id, &ids(&[ONE])).await.unwrap();
}

#[tokio::test]
async fn those_that_leave_are_members_only_where_they_are() {
    let (_server, fake, gcp, made) = with_instances().await;
    gcp.detach(&made.id, &ids(&[ONE, FAR])).await.unwrap();
    gcp.attach(&made.id, &ids(&[ONE, FAR])).await.unwrap();
    fake.mutations();
    let others = ["no-such-instance", "us-central1-a/one/99", TWO, "europe-west3-a/else/14", "us-central1-b/one/11"];
    gcp.detach(&made.id, &ids(&others)).await.unwrap();
    assert_eq!(fake.mutations(), Vec::<String>::new());
    for _ in 0..2 {
        gcp.detach(&made.id, &ids(&["us-central1-a/one/99", ONE, TWO])).await.unwrap();
    }
    assert_eq!(fake.mutations(), [format!("POST {}/removeInstances", group("us-central1-a"))]);
    assert_eq!(members(&gcp, &made).await, [(FAR.to_owned(), MemberHealth::Initial)]);
}

#[tokio::test]
async fn one_that_still_gets_connections_is_shown() {
    let (_server, fake, gcp, made) = with_instances().await;
    gcp.attach(&made.id, &ids(&[ONE])).await.unwrap();
    fake.checked("one", "HEALTHY");
    fake.leaving(&["one"]);
    gcp.detach(&made.id, &ids(&[ONE])).await.unwrap();
    assert!(fake.members(&group("us-central1-a")).is_empty());
    assert_eq!(members(&gcp, &made).await, [(ONE.to_owned(), MemberHealth::InService)]);
    fake.leaving(&[]);
    assert!(members(&gcp, &made).await.is_empty());
}

#[tokio::test]
async fn the_checks_and_the_machine_say_what_a_member_is() {
    let (server, fake, gcp, made) = with_instances().await;
    gcp.attach(&made.id, &ids(&[ONE, TWO, FAR])).await.unwrap();
    fake.checked("one", "HEALTHY");
    fake.checked("far", "UNHEALTHY");
    let out = |why: &str| MemberHealth::OutOfService(why.to_owned());
    let health = |all: Vec<(String, MemberHealth)>| all.into_iter().map(|(_, health)| health).collect::<Vec<_>>();
    let now = health(members(&gcp, &made).await);
    assert_eq!(now, [MemberHealth::InService, MemberHealth::Initial, out("its check fails")]);
    for (status, expected) in [("TERMINATED", out("the instance is terminated")), ("STAGING", MemberHealth::Initial)] {
        fake.set("zones/us-central1-a/instances/one", |one| one["status"] = status.into());
        assert_eq!(health(members(&gcp, &made).await)[0], expected);
    }
    fake.checked("two", "SOMETHING");
    assert_eq!(health(members(&gcp, &made).await)[1], MemberHealth::Unknown);
    // Those that somebody else attached are shown, too, at the same number of calls.
    let before = testing::asked(&server).await.len();
    members(&gcp, &made).await;
    let between = testing::asked(&server).await.len();
    for number in 20..40 {
        fake.launch("us-central1-a", &format!("more-{number}"), &number.to_string());
        fake.join(&group("us-central1-a"), &format!("more-{number}"));
    }
    assert_eq!(members(&gcp, &made).await.len(), 23);
    assert_eq!(testing::asked(&server).await.len() - between, between - before);
}
