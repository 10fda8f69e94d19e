//! Destruction, and what is left.

use remint_core::provider::{ErrorKind, InstanceId, LoadBalancerId, LoadBalancerState, LoadBalancers};

use super::{Fake, NAME, REGION, at, firewall, provider, spec};
use crate::testing::{lost, refusal};

const ONE: &str = "us-central1-a/one/11";
const GROUP: &str = "zones/us-central1-a/instanceGroups/remint-0a1b2c3d4e5f6071";

/// All deletions, in an order in which nothing is in use.
fn deletions() -> Vec<String> {
    let paths = [at("forwardingRules"), at("backendServices"), GROUP.to_owned(), at("healthChecks")];
    let firewalls = ["checks", "clients"].map(firewall);
    paths.into_iter().chain(firewalls).chain([at("addresses")]).map(|path| format!("DELETE {path}")).collect()
}

#[tokio::test]
async fn all_parts_go_and_the_address_last() {
    let (server, fake) = Fake::start().await;
    let gcp = provider(&server).await;
    fake.launch("us-central1-a", "one", "11");
    let made = gcp.ensure(&spec(&[80])).await.unwrap();
    gcp.attach(&made.id, &[InstanceId::new(ONE)]).await.unwrap();
    fake.mutations();
    for _ in 0..2 {
        LoadBalancers::destroy(&gcp, &made.id).await.unwrap();
    }
    assert_eq!(fake.mutations(), deletions());
    assert!(fake.paths().is_empty() && fake.one("zones/us-central1-a/instances/one").is_some());
    assert_eq!(LoadBalancers::get(&gcp, &made.id).await.unwrap_err().kind(), ErrorKind::NotFound);
    assert!(LoadBalancers::list(&gcp, "remint-").await.unwrap().is_empty());
    LoadBalancers::destroy(&gcp, &LoadBalancerId::new("no-such-balancer")).await.unwrap();
    // The next one of the name is another one, and the destruction of the first says nothing of it.
    let next = gcp.ensure(&spec(&[80])).await.unwrap();
    assert_ne!(next.id, made.id);
    LoadBalancers::destroy(&gcp, &made.id).await.unwrap();
    assert_eq!(LoadBalancers::get(&gcp, &next.id).await.unwrap(), next);
}

#[tokio::test]
async fn a_destruction_that_was_cut_shows_and_is_finished() {
    let (server, fake) = Fake::start().await;
    let gcp = provider(&server).await;
    fake.launch("us-central1-a", "one", "11");
    let cuts = [at("backendServices"), GROUP.to_owned(), at("healthChecks"), firewall("checks"), at("addresses")];
    for cut in cuts {
        let made = gcp.ensure(&spec(&[80])).await.unwrap();
        gcp.attach(&made.id, &[InstanceId::new(ONE)]).await.unwrap();
        fake.refuse("DELETE", &cut, refusal(403, "forbidden", "Not now"));
        let error = LoadBalancers::destroy(&gcp, &made.id).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Forbidden, "{cut}");
        let left = LoadBalancers::get(&gcp, &made.id).await.unwrap();
        assert_eq!(left.state, LoadBalancerState::Pending, "{cut}");
        fake.lose("DELETE", &cut, lost());
        LoadBalancers::destroy(&gcp, &made.id).await.unwrap();
        assert!(fake.paths().is_empty(), "{cut}: {:?}", fake.paths());
    }
}

#[tokio::test]
async fn what_is_still_needed_is_busy() {
    let (server, fake) = Fake::start().await;
    let gcp = provider(&server).await;
    let made = gcp.ensure(&spec(&[80])).await.unwrap();
    let rule = fake.one(&at("forwardingRules")).unwrap();
    // Somebody's own rule for the same service.
    fake.set(&format!("{REGION}/forwardingRules/theirs"), |one| {
        *one = rule;
        one["name"] = "theirs".into();
        one["description"] = "mine".into();
    });
    let error = LoadBalancers::destroy(&gcp, &made.id).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Busy, "{error}");
    assert!(fake.one(&format!("{REGION}/forwardingRules/theirs")).is_some());
    fake.forget(&format!("{REGION}/forwardingRules/theirs"));
    LoadBalancers::destroy(&gcp, &made.id).await.unwrap();
    assert!(fake.paths().is_empty());
}

#[tokio::test]
async fn parts_of_an_earlier_one_do_not_come_along() {
    let (server, fake) = Fake::start().await;
    let gcp = provider(&server).await;
    fake.launch("us-central1-a", "one", "11");
    let first = gcp.ensure(&spec(&[80])).await.unwrap();
    gcp.attach(&first.id, &[InstanceId::new(ONE)]).await.unwrap();
    // Its rule and its address were deleted by hand.
    fake.forget(&at("forwardingRules"));
    fake.forget(&at("addresses"));
    assert!(LoadBalancers::list(&gcp, NAME).await.unwrap().is_empty());
    let second = gcp.ensure(&spec(&[80])).await.unwrap();
    assert_eq!(second.state, LoadBalancerState::Active);
    assert!(gcp.members(&second.id).await.unwrap().is_empty());
    assert!(fake.one(GROUP).is_none());
    gcp.attach(&second.id, &[InstanceId::new(ONE)]).await.unwrap();
    // The same without another one: a repeated destruction finds them.
    fake.forget(&at("forwardingRules"));
    fake.forget(&at("addresses"));
    LoadBalancers::destroy(&gcp, &second.id).await.unwrap();
    assert!(fake.paths().is_empty(), "{:?}", fake.paths());
    // A group alone, which was created by a call that came late.
    let third = gcp.ensure(&spec(&[80])).await.unwrap();
    gcp.attach(&third.id, &[InstanceId::new(ONE)]).await.unwrap();
    let group = fake.one(GROUP).unwrap();
    LoadBalancers::destroy(&gcp, &third.id).await.unwrap();
    fake.launch("us-central1-a", "old", "12");
    let fourth = gcp.ensure(&spec(&[80])).await.unwrap();
    fake.set(GROUP, |one| *one = group);
    fake.join(GROUP, "old");
    gcp.attach(&fourth.id, &[InstanceId::new(ONE)]).await.unwrap();
    assert_eq!(fake.members(GROUP), ["one"]);
}
