use remint_core::provider::{Effect, Provider, label};
use serde_json::{Value, json};
use wiremock::{MockServer, ResponseTemplate};

use super::*;
use crate::testing::{self, serve};

const IPS: &str = "/v2/reserved_ips";
const IP: &str = "/v2/reserved_ips/198.51.100.1";
const ACTIONS: &str = "/v2/reserved_ips/198.51.100.1/actions";

fn spec() -> StaticIpSpec {
    StaticIpSpec {
        name: "app-production".to_owned(),
        labels: Labels::new(),
        region: Region::new("nyc3"),
        instance: InstanceId::new("7"),
    }
}

fn reserved(ip: &str, droplet: Option<u64>, locked: bool) -> Value {
    let droplet = droplet.map(|id| testing::droplet(id, "app-0", "active", &["remint:service:app"]));
    json!({"ip": ip, "region": {"slug": "nyc3"}, "droplet": droplet, "locked": locked})
}

fn one(droplet: Option<u64>, locked: bool) -> ResponseTemplate {
    testing::json(json!({"reserved_ip": reserved("198.51.100.1", droplet, locked)}))
}

fn listed(all: &[Value]) -> ResponseTemplate {
    testing::json(json!({"reserved_ips": all, "links": {}}))
}

async fn posts(server: &MockServer, route: &str) -> usize {
    testing::bodies(server, "POST", route).await.len()
}

#[tokio::test]
async fn the_address_of_an_instance_is_found_again() {
    let server = MockServer::start().await;
    let all = [reserved("198.51.100.9", None, false), reserved("198.51.100.1", Some(7), false)];
    serve(&server, "GET", IPS, vec![listed(&all)]).await;
    let ip = testing::provider(&server).ensure(&spec()).await.unwrap();
    assert_eq!((ip.id.as_str(), ip.assigned_to), ("198.51.100.1", Some(InstanceId::new("7"))));
    assert_eq!(ip.address.endpoint(80).to_string(), "198.51.100.1:20080");
    assert_eq!(posts(&server, IPS).await, 0);
}

#[tokio::test]
async fn an_address_whose_reply_is_lost_is_not_reserved_twice() {
    let server = MockServer::start().await;
    let on_its_way = listed(&[reserved("198.51.100.1", None, true)]);
    let there = listed(&[reserved("198.51.100.1", Some(7), true)]);
    serve(&server, "GET", IPS, vec![listed(&[]), listed(&[]), on_its_way, there]).await;
    serve(&server, "POST", IPS, vec![testing::lost()]).await;
    let ip = testing::provider(&server).ensure(&spec()).await.unwrap();
    assert_eq!((ip.id.as_str(), ip.busy), ("198.51.100.1", true));
    assert_eq!(testing::bodies(&server, "POST", IPS).await, [json!({"droplet_id": 7})]);
}

#[tokio::test]
async fn an_address_that_does_not_show_its_droplet_yet_is_not_reserved_twice() {
    let server = MockServer::start().await;
    let on_its_way = reserved("198.51.100.1", None, true);
    serve(&server, "GET", IPS, vec![listed(&[]), listed(std::slice::from_ref(&on_its_way))]).await;
    let made = testing::status(202, json!({ "reserved_ip": on_its_way }));
    serve(&server, "POST", IPS, vec![made]).await;
    let cloud = testing::provider(&server);
    let first = cloud.ensure(&spec()).await.unwrap();
    assert_eq!(cloud.ensure(&spec()).await.unwrap(), first);
    let stranger = testing::provider(&server).ensure(&spec()).await.unwrap_err();
    assert_eq!(stranger.kind(), ErrorKind::Busy, "after a crash nobody can tell whose it is yet");
    assert_eq!(posts(&server, IPS).await, 1);
}

#[tokio::test]
async fn a_reached_quota_says_the_limit() {
    let server = MockServer::start().await;
    serve(&server, "GET", IPS, vec![listed(&[])]).await;
    let refused = testing::refusal("You have reached your account's reserved IP limit.");
    serve(&server, "POST", IPS, vec![testing::status(422, refused)]).await;
    let account = json!({"account": {"uuid": "u", "email": "a@example.com", "status": "active", "droplet_limit": 25,
        "floating_ip_limit": 3}});
    serve(&server, "GET", "/v2/account", vec![testing::json(account)]).await;
    let error = testing::provider(&server).ensure(&spec()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Quota);
    assert!(error.message().contains("the account's limit is 3 reserved IPs"), "{error}");
}

#[tokio::test]
async fn an_address_moves_in_one_action_after_the_pending_one() {
    let server = MockServer::start().await;
    serve(&server, "GET", IP, vec![one(Some(6), false), one(Some(6), true), one(Some(7), false)]).await;
    let busy = testing::status(422, testing::refusal("Reserved IP already has a pending event."));
    let accepted = testing::status(201, json!({"action": {"id": 44, "status": "in-progress"}}));
    serve(&server, "POST", ACTIONS, vec![busy, accepted]).await;
    let (cloud, id) = (testing::provider(&server), StaticIpId::new("198.51.100.1"));
    cloud.assign(&id, &InstanceId::new("7")).await.unwrap();
    let moving = StaticIps::get(&cloud, &id).await.unwrap();
    assert_eq!((moving.assigned_to, moving.busy), (Some(InstanceId::new("6")), true));
    let moved = StaticIps::get(&cloud, &id).await.unwrap();
    assert_eq!((moved.assigned_to, moved.busy), (Some(InstanceId::new("7")), false));
    assert_eq!(posts(&server, ACTIONS).await, 2);
    cloud.assign(&id, &InstanceId::new("7")).await.unwrap();
    assert_eq!(posts(&server, ACTIONS).await, 2, "it points there already");
    assert_eq!(cloud.calls().count().total(), 6);
}

#[tokio::test]
async fn an_assignment_whose_reply_is_lost_is_looked_for() {
    let server = MockServer::start().await;
    serve(&server, "GET", IP, vec![one(Some(6), false), one(Some(6), true)]).await;
    serve(&server, "POST", ACTIONS, vec![testing::lost()]).await;
    let cloud = testing::provider(&server);
    cloud.assign(&StaticIpId::new("198.51.100.1"), &InstanceId::new("7")).await.unwrap();
    assert_eq!(posts(&server, ACTIONS).await, 1);
}

#[tokio::test]
async fn an_errored_assignment_is_an_error() {
    let server = MockServer::start().await;
    serve(&server, "GET", IP, vec![one(Some(6), false)]).await;
    let action = |status: &str| testing::json(json!({"action": {"id": 44, "status": status}}));
    serve(&server, "POST", ACTIONS, vec![action("in-progress")]).await;
    serve(&server, "GET", "/v2/actions/44", vec![action("in-progress"), action("errored")]).await;
    let (cloud, id) = (testing::provider(&server), StaticIpId::new("198.51.100.1"));
    cloud.assign(&id, &InstanceId::new("7")).await.unwrap();
    assert!(StaticIps::get(&cloud, &id).await.unwrap().busy, "the lock lags behind the action");
    let error = StaticIps::get(&cloud, &id).await.unwrap_err();
    assert!(error.message().contains("ended in error"), "{error}");
}

#[tokio::test]
async fn addresses_are_listed_by_the_labels_of_their_instance() {
    let server = MockServer::start().await;
    let all = [reserved("198.51.100.9", None, false), reserved("198.51.100.1", Some(7), false)];
    serve(&server, "GET", IPS, vec![listed(&all)]).await;
    let cloud = testing::provider(&server);
    assert_eq!(StaticIps::list(&cloud, &Selector::all()).await.unwrap().len(), 2);
    let of_app = StaticIps::list(&cloud, &Selector::all().with(label::SERVICE, "app")).await.unwrap();
    assert_eq!(of_app.iter().map(|ip| ip.id.as_str()).collect::<Vec<_>>(), ["198.51.100.1"]);
}

#[tokio::test]
async fn releasing_is_done_when_gone_and_busy_while_refused() {
    let server = MockServer::start().await;
    serve(&server, "DELETE", IP, vec![testing::status(404, json!({}))]).await;
    let locked = testing::status(422, testing::refusal("cannot be deleted"));
    serve(&server, "DELETE", "/v2/reserved_ips/198.51.100.2", vec![locked]).await;
    let cloud = testing::provider(&server);
    cloud.release(&StaticIpId::new("198.51.100.1")).await.unwrap();
    let error = cloud.release(&StaticIpId::new("198.51.100.2")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Busy);
}

#[tokio::test]
async fn a_droplet_that_the_token_may_not_see_is_no_free_address() {
    let server = MockServer::start().await;
    let mut hidden = reserved("198.51.100.1", Some(7), false);
    hidden.as_object_mut().unwrap().remove("droplet");
    serve(&server, "GET", IPS, vec![listed(std::slice::from_ref(&hidden))]).await;
    serve(&server, "GET", IP, vec![testing::json(json!({ "reserved_ip": hidden }))]).await;
    let cloud = testing::provider(&server);
    let id = StaticIpId::new("198.51.100.1");
    for error in [
        StaticIps::get(&cloud, &id).await.unwrap_err(),
        StaticIps::list(&cloud, &Selector::all()).await.unwrap_err(),
        cloud.ensure(&spec()).await.unwrap_err(),
        cloud.assign(&id, &InstanceId::new("8")).await.unwrap_err(),
    ] {
        assert_eq!((error.kind(), error.effect()), (ErrorKind::Forbidden, Effect::NotApplied), "{error:?}");
        assert!(error.message().contains("`droplet:read`"), "{error}");
    }
    assert!(testing::asked(&server).await.iter().all(|call| call.starts_with("GET")), "nothing is changed");
}
