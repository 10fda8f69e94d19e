use remint_core::provider::{Provider, label};
use serde_json::{Value, json};
use wiremock::{MockServer, ResponseTemplate};

use super::*;
use crate::testing::{
    self, PROJECT, REGION, ZONE, asked, failed, missing, operation, refusal, regional, requests, serve,
};

const ID: &str = "us-central1/app-prod";

fn labels() -> Labels {
    Labels::new().with(label::SERVICE, "app").with(label::ENV, "Prod")
}

fn instance(number: &str) -> InstanceId {
    InstanceId::new(format!("us-central1-a/app-{number}/{number}"))
}

fn spec(number: &str) -> StaticIpSpec {
    let region = Region::new("us-central1-a");
    StaticIpSpec { name: "app-prod".to_owned(), labels: labels(), region, instance: instance(number) }
}

fn address_path() -> AddressPath {
    AddressPath::parse("test", &StaticIpId::new(ID)).unwrap()
}

fn target_name(number: &str) -> String {
    address_path().target_name(&InstancePath::parse("test", &instance(number)).unwrap())
}

fn description() -> String {
    Description { labels: labels(), zone: "us-central1-a".to_owned() }.to_text("test").unwrap()
}

fn address(users: &[&str]) -> Value {
    json!({"name": "app-prod", "address": "203.0.113.9", "description": description(), "users": users,
        "region": format!("https://www.googleapis.com{REGION}"), "addressType": "EXTERNAL"})
}

fn rule(number: &str) -> Value {
    json!({"name": "app-prod", "IPAddress": "203.0.113.9", "description": description(),
        "region": format!("https://www.googleapis.com{REGION}"),
        "target": format!("https://www.googleapis.com{ZONE}/targetInstances/{}", target_name(number))})
}

fn target(number: &str) -> Value {
    json!({"name": target_name(number), "description": format!("remint {ID} {}", instance(number)),
        "instance": format!("https://www.googleapis.com{ZONE}/instances/app-{number}")})
}

fn here(what: &str) -> String {
    format!("{REGION}/{what}")
}

async fn serve_instances(server: &MockServer) {
    for number in ["1", "2"] {
        let body = json!({"id": number, "name": format!("app-{number}"), "status": "RUNNING"});
        serve(server, "GET", &format!("{ZONE}/instances/{number}"), vec![testing::json(body)]).await;
        let route = format!("{ZONE}/targetInstances/{}", target_name(number));
        serve(server, "GET", &route, vec![testing::json(target(number))]).await;
        serve(server, "DELETE", &route, vec![testing::json(operation("op-3", "DONE"))]).await;
    }
}

fn done() -> ResponseTemplate {
    testing::json(operation("op-1", "DONE"))
}

#[tokio::test]
async fn an_address_is_made_with_a_target_and_a_rule() {
    let server = MockServer::start().await;
    serve_instances(&server).await;
    serve(&server, "GET", &here("forwardingRules/app-prod"), vec![missing(), testing::json(rule("1"))]).await;
    serve(&server, "POST", &here("addresses"), vec![testing::json(regional("op-a", "RUNNING"))]).await;
    serve(&server, "GET", &here("operations/op-a"), vec![testing::json(regional("op-a", "DONE"))]).await;
    serve(&server, "GET", &here("addresses/app-prod"), vec![testing::json(address(&[]))]).await;
    serve(&server, "POST", &format!("{ZONE}/targetInstances"), vec![done()]).await;
    serve(&server, "POST", &here("forwardingRules"), vec![testing::json(regional("op-r", "RUNNING"))]).await;
    serve(&server, "GET", &here("operations/op-r"), vec![testing::json(regional("op-r", "RUNNING"))]).await;
    let gcp = testing::provider(&server).await;
    let made = gcp.ensure(&spec("1")).await.unwrap();
    assert_eq!((made.id.as_str(), made.assigned_to, made.busy), (ID, None, true), "it is on its way");
    assert_eq!(made.address.endpoint(443).to_string(), "203.0.113.9:20443");
    let sent: Value = requests(&server, "POST", &here("forwardingRules")).await[0].body_json().unwrap();
    assert_eq!(sent["IPAddress"], "projects/mine/regions/us-central1/addresses/app-prod");
    assert_eq!((&sent["IPProtocol"], &sent["portRange"]), (&json!("TCP"), &json!("1-65535")));
    assert!(sent["target"].as_str().unwrap().ends_with(&target_name("1")), "{sent}");

    let mutations = gcp.calls().count().mutations;
    let again = gcp.ensure(&spec("1")).await.unwrap();
    assert_eq!((again.assigned_to, again.busy), (Some(instance("1")), false));
    assert_eq!((again.labels, again.region.as_str()), (labels(), "us-central1-a"));
    assert_eq!(gcp.calls().count().mutations, mutations, "it stands");

    let mut theirs = spec("1");
    theirs.labels = theirs.labels.with(label::ENV, "staging");
    assert_eq!(gcp.ensure(&theirs).await.unwrap_err().kind(), ErrorKind::Conflict);
}

#[tokio::test]
async fn a_move_is_one_call_and_is_seen_until_it_has_happened() {
    let server = MockServer::start().await;
    serve_instances(&server).await;
    let rules =
        vec![testing::json(rule("1")), testing::json(rule("1")), testing::json(rule("1")), testing::json(rule("2"))];
    serve(&server, "GET", &here("forwardingRules/app-prod"), rules).await;
    serve(&server, "POST", &format!("{ZONE}/targetInstances"), vec![done()]).await;
    let set = here("forwardingRules/app-prod/setTarget");
    serve(&server, "POST", &set, vec![testing::lost(), testing::json(regional("op-s", "RUNNING"))]).await;
    serve(&server, "GET", &here("operations/op-s"), vec![testing::json(regional("op-s", "RUNNING"))]).await;
    let gcp = testing::provider(&server).await;
    let id = StaticIpId::new(ID);
    gcp.assign(&id, &instance("2")).await.unwrap();
    gcp.assign(&id, &instance("2")).await.unwrap();
    assert_eq!(requests(&server, "POST", &set).await.len(), 2, "the lost one, and one more");
    let moving = gcp.get(&id).await.unwrap();
    assert_eq!((moving.assigned_to, moving.busy), (Some(instance("1")), true));
    let moved = gcp.get(&id).await.unwrap();
    assert_eq!((moved.assigned_to, moved.busy), (Some(instance("2")), false));
    gcp.assign(&id, &instance("2")).await.unwrap();
    assert_eq!(requests(&server, "POST", &set).await.len(), 2, "it points there");
}

#[tokio::test]
async fn a_move_that_fails_is_told() {
    let server = MockServer::start().await;
    serve_instances(&server).await;
    serve(&server, "GET", &here("forwardingRules/app-prod"), vec![testing::json(rule("1"))]).await;
    serve(&server, "POST", &format!("{ZONE}/targetInstances"), vec![done()]).await;
    let moving = testing::json(regional("op-s", "RUNNING"));
    serve(&server, "POST", &here("forwardingRules/app-prod/setTarget"), vec![moving.clone()]).await;
    let not_ready = failed(regional("op-s", "DONE"), "RESOURCE_NOT_READY", "The resource is not ready");
    serve(&server, "GET", &here("operations/op-s"), vec![moving, testing::json(not_ready)]).await;
    let gcp = testing::provider(&server).await;
    let id = StaticIpId::new(ID);
    gcp.assign(&id, &instance("2")).await.unwrap();
    assert_eq!(gcp.get(&id).await.unwrap_err().kind(), ErrorKind::Busy);
    let standing = gcp.get(&id).await.unwrap();
    assert_eq!((standing.assigned_to, standing.busy), (Some(instance("1")), false));
}

#[tokio::test]
async fn an_instance_that_is_gone_or_far_away_gets_no_address() {
    let server = MockServer::start().await;
    serve(&server, "GET", &here("forwardingRules/app-prod"), vec![testing::json(rule("1"))]).await;
    let gcp = testing::provider(&server).await;
    let gone = instance("3");
    assert_eq!(gcp.ensure(&spec("3")).await.unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(gcp.assign(&StaticIpId::new(ID), &gone).await.unwrap_err().kind(), ErrorKind::NotFound);
    let far = InstanceId::new("europe-west3-a/app-1/1");
    let error = gcp.assign(&StaticIpId::new(ID), &far).await.unwrap_err();
    assert_eq!((error.kind(), error.effect()), (ErrorKind::InvalidInput, Effect::NotApplied));
    assert_eq!(gcp.calls().count().mutations, 0);
}

#[tokio::test]
async fn taking_an_address_away_leaves_neither_rule_nor_target() {
    let server = MockServer::start().await;
    serve_instances(&server).await;
    serve(&server, "GET", &here("forwardingRules/app-prod"), vec![testing::json(rule("1")), missing()]).await;
    serve(&server, "DELETE", &here("forwardingRules/app-prod"), vec![testing::json(regional("op-d", "RUNNING"))]).await;
    serve(&server, "GET", &here("operations/op-d"), vec![testing::json(regional("op-d", "DONE"))]).await;
    serve(&server, "GET", &here("addresses/app-prod"), vec![testing::json(address(&[]))]).await;
    let gcp = testing::provider(&server).await;
    let id = StaticIpId::new(ID);
    gcp.unassign(&id).await.unwrap();
    gcp.unassign(&id).await.unwrap();
    assert_eq!(gcp.get(&id).await.unwrap().assigned_to, None);
    let deletions: Vec<String> = asked(&server).await.into_iter().filter(|line| line.starts_with("DELETE")).collect();
    let target = format!("DELETE {ZONE}/targetInstances/{}", target_name("1"));
    assert_eq!(deletions, [format!("DELETE {}", here("forwardingRules/app-prod")), target]);
}

#[tokio::test]
async fn a_release_takes_rule_targets_and_address_in_this_order() {
    let server = MockServer::start().await;
    serve_instances(&server).await;
    serve(&server, "DELETE", &here("forwardingRules/app-prod"), vec![testing::json(regional("op-d", "DONE"))]).await;
    let theirs = json!({"name": "theirs", "description": format!("remint us-central1/other {}", instance("1"))});
    let targets = json!({"items": {"zones/us-central1-a": {"targetInstances": [target("1"), target("2"), theirs]}}});
    serve(&server, "GET", &format!("{PROJECT}/aggregated/targetInstances"), vec![testing::json(targets)]).await;
    let busy = refusal(400, "resourceInUseByAnotherResource", "The address resource is already being used");
    serve(&server, "DELETE", &here("addresses/app-prod"), vec![busy, testing::json(regional("op-d", "DONE"))]).await;
    let gcp = testing::provider(&server).await;
    let id = StaticIpId::new(ID);
    assert_eq!(gcp.release(&id).await.unwrap_err().kind(), ErrorKind::Busy);
    gcp.release(&id).await.unwrap();
    let deletions: Vec<String> = asked(&server).await.into_iter().filter(|line| line.starts_with("DELETE")).collect();
    assert_eq!(deletions.len(), 8);
    assert!(deletions[4].contains("forwardingRules") && deletions[5].contains("targetInstances"), "{deletions:?}");
    assert!(deletions[7].ends_with("addresses/app-prod"), "{deletions:?}");
    assert!(!deletions.iter().any(|line| line.contains("theirs")), "{deletions:?}");
}

#[tokio::test]
async fn destroying_an_instance_takes_its_targets_and_the_rule_that_uses_one() {
    let server = MockServer::start().await;
    let targets = testing::json(json!({"items": [target("1"), target("2")]}));
    serve(&server, "GET", &format!("{ZONE}/targetInstances"), vec![targets]).await;
    let used = refusal(400, "resourceInUseByAnotherResource", "The target_instance resource is already being used");
    let route = format!("{ZONE}/targetInstances/{}", target_name("1"));
    serve(&server, "DELETE", &route, vec![used, done()]).await;
    serve(&server, "DELETE", &here("forwardingRules/app-prod"), vec![testing::json(regional("op-d", "DONE"))]).await;
    serve(&server, "DELETE", &format!("{ZONE}/instances/1"), vec![done()]).await;
    testing::provider(&server).await.instances().destroy(&instance("1")).await.unwrap();
    let deletions: Vec<String> = asked(&server).await.into_iter().filter(|line| line.starts_with("DELETE")).collect();
    let rule = format!("DELETE {}", here("forwardingRules/app-prod"));
    let expected = [format!("DELETE {route}"), rule, format!("DELETE {route}"), format!("DELETE {ZONE}/instances/1")];
    assert_eq!(deletions, expected);
}

#[tokio::test]
async fn addresses_are_listed_by_their_labels_and_all_of_the_users_without() {
    let server = MockServer::start().await;
    serve_instances(&server).await;
    let theirs = json!({"name": "theirs", "address": "203.0.113.10", "addressType": "EXTERNAL",
        "region": format!("https://www.googleapis.com{REGION}")});
    let inside = json!({"name": "inside", "address": "10.0.0.9", "addressType": "INTERNAL",
        "region": format!("https://www.googleapis.com{REGION}")});
    let world = json!({"name": "world", "address": "203.0.113.11", "addressType": "EXTERNAL"});
    let items = json!({"regions/us-central1": {"addresses": [address(&["rule"]), theirs, inside]}, "global": {"addresses": [world]}});
    serve(&server, "GET", &format!("{PROJECT}/aggregated/addresses"), vec![testing::json(json!({ "items": items }))])
        .await;
    let rules = json!({"items": {"regions/us-central1": {"forwardingRules": [rule("2")]}}});
    serve(&server, "GET", &format!("{PROJECT}/aggregated/forwardingRules"), vec![testing::json(rules)]).await;
    let gcp = testing::provider(&server).await;
    let ours = gcp.list(&Selector::all().with(label::ENV, "Prod")).await.unwrap();
    assert_eq!(ours.len(), 1);
    assert_eq!((ours[0].id.as_str(), ours[0].assigned_to.clone()), (ID, Some(instance("2"))));
    let all = gcp.list(&Selector::all()).await.unwrap();
    let ips: Vec<String> = all.iter().map(|ip| ip.address.ip.to_string()).collect();
    assert_eq!(ips, ["203.0.113.9", "203.0.113.10"]);
    assert!(gcp.list(&Selector::all().with(label::ENV, "other")).await.unwrap().is_empty());
}

const ENVIRONMENT: &str = "0a1b2c3d4e5f6071";

fn labelled(mut resource: Value) -> Value {
    resource["labels"] = json!({"remint-env-id": ENVIRONMENT, "remint-release": "2", "managed-by": "remint"});
    resource["labelFingerprint"] = json!("YQ==");
    resource
}

#[tokio::test]
async fn labels_that_are_added_later_go_on_the_address_and_on_its_rule() {
    let server = MockServer::start().await;
    let (stale, set) = (refusal(412, "conditionNotMet", "Labels fingerprint either invalid"), regional("op-1", "DONE"));
    let labels = json!({"team": "web"});
    let mut before = address(&[]);
    (before["labels"], before["labelFingerprint"]) = (labels, json!("Yg=="));
    serve(&server, "GET", &here("addresses/app-prod"), vec![testing::json(before)]).await;
    serve(&server, "GET", &here("forwardingRules/app-prod"), vec![testing::json(rule("1"))]).await;
    let routes = [here("addresses/app-prod/setLabels"), here("forwardingRules/app-prod/setLabels")];
    serve(&server, "POST", &routes[0], vec![stale, testing::json(set.clone())]).await;
    serve(&server, "POST", &routes[1], vec![testing::json(set)]).await;
    let gcp = testing::provider(&server).await;
    let more = Labels::new().with(label::ENV_ID, ENVIRONMENT);
    StaticIps::label(&gcp, &StaticIpId::new(ID), &more).await.unwrap();
    let sent = requests(&server, "POST", &routes[0]).await;
    assert_eq!(sent.len(), 2, "somebody else's labels came between");
    let body: Value = sent[1].body_json().unwrap();
    let wanted = json!({"team": "web", "remint-env-id": ENVIRONMENT, "managed-by": "remint"});
    assert_eq!((&body["labels"], &body["labelFingerprint"]), (&wanted, &json!("Yg==")));
    assert_eq!(requests(&server, "POST", &routes[1]).await.len(), 1);
}

#[tokio::test]
async fn an_address_is_proven_by_its_labels_whatever_its_release() {
    let server = MockServer::start().await;
    serve_instances(&server).await;
    serve(&server, "GET", &here("forwardingRules/app-prod"), vec![testing::json(labelled(rule("1")))]).await;
    let gcp = testing::provider(&server).await;
    let ours = |id: &str, release: &str| {
        let labels = labels().with(label::ENV_ID, id).with(label::RELEASE, release);
        StaticIpSpec { labels, ..spec("1") }
    };
    let found = gcp.ensure(&ours(ENVIRONMENT, "7")).await.unwrap();
    assert_eq!(found.labels.get(label::RELEASE), Some("2"));
    let error = gcp.ensure(&ours("ffffffffffffffff", "2")).await.unwrap_err();
    assert_eq!((error.kind(), error.effect()), (ErrorKind::Conflict, Effect::NotApplied), "{error}");
    assert_eq!(gcp.calls().count().mutations, 0);
}

#[tokio::test]
async fn a_rule_that_is_made_anew_and_its_target_say_whose_they_are() {
    let server = MockServer::start().await;
    serve_instances(&server).await;
    serve(&server, "GET", &here("forwardingRules/app-prod"), vec![missing()]).await;
    serve(&server, "GET", &here("addresses/app-prod"), vec![testing::json(labelled(address(&[])))]).await;
    serve(&server, "POST", &format!("{ZONE}/targetInstances"), vec![done()]).await;
    serve(&server, "POST", &here("forwardingRules"), vec![testing::json(regional("op-r", "DONE"))]).await;
    testing::provider(&server).await.assign(&StaticIpId::new(ID), &instance("1")).await.unwrap();
    let sent: Value = requests(&server, "POST", &format!("{ZONE}/targetInstances")).await[0].body_json().unwrap();
    assert_eq!(sent["description"], format!("remint {ID} {} {ENVIRONMENT}", instance("1")));
    let target: model::TargetInstance =
        model::TargetInstance::new().set_description(sent["description"].as_str().unwrap());
    assert!(target::stands_for(&target).is_some());
    let sent: Value = requests(&server, "POST", &here("forwardingRules")).await[0].body_json().unwrap();
    let written = Description::from_text(sent["description"].as_str()).unwrap();
    assert_eq!(written.labels.get(label::ENV_ID), Some(ENVIRONMENT));
}
