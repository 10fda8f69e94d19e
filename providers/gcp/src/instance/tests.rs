use remint_core::provider::{Provider, label};
use secrecy::SecretString;
use serde_json::{Value, json};
use wiremock::MockServer;

use super::*;
use crate::{
    ClientOptions, Config,
    testing::{self, PROJECT, ZONE, asked, failed, missing, operation, query, refusal, requests, serve},
};

const ID: &str = "us-central1-a/app-0/7421";

fn spec() -> LaunchSpec {
    LaunchSpec {
        names: vec!["app-0".to_owned()],
        new_names: false,
        image: ImageId::new("debian-cloud/debian-12-bookworm-v20260101"),
        size: SizeName::new("e2-small"),
        region: Region::new("us-central1-a"),
        labels: Labels::new().with(label::SERVICE, "app").with(label::ROLE, "instance"),
        user_data: Some(SecretString::from("#cloud-config")),
        login_keys: Vec::new(),
    }
}

/// An instance as the API shows it.
fn body(number: &str, status: &str) -> Value {
    json!({"id": number, "name": "app-0", "status": status, "zone": format!("https://www.googleapis.com{ZONE}"),
        "machineType": format!("https://www.googleapis.com{ZONE}/machineTypes/e2-small"),
        "creationTimestamp": "2026-11-23T00:00:00.123-08:00", "labelFingerprint": "YWJj",
        "labels": {"managed-by": "remint", "remint-service": "app", "remint-role": "instance", "team": "web"},
        "metadata": {"items": [{"key": "remint-image", "value": "debian-cloud/debian-12-bookworm-v20260101"}]},
        "networkInterfaces": [{"networkIP": "10.0.0.2", "accessConfigs": [{"natIP": "203.0.113.7"}]}]})
}

fn route(what: &str) -> String {
    format!("{ZONE}/{what}")
}

/// Serves an instance by its name, and by its number.
async fn serve_instance(server: &MockServer, answers: Vec<wiremock::ResponseTemplate>) {
    serve(server, "GET", &route("instances/app-0"), answers.clone()).await;
    serve(server, "GET", &route("instances/7421"), answers).await;
}

fn listed(instances: &[Value]) -> wiremock::ResponseTemplate {
    testing::json(
        json!({"items": {"zones/us-central1-a": {"instances": instances}, "zones/us-east1-b": {"warning": {}}}}),
    )
}

#[tokio::test]
async fn a_launch_looks_inserts_and_looks_whether_it_failed() {
    let server = MockServer::start().await;
    serve_instance(&server, vec![missing()]).await;
    serve(&server, "POST", &route("instances"), vec![testing::json(operation("op-1", "RUNNING"))]).await;
    serve(&server, "GET", &route("operations/op-1"), vec![testing::json(operation("op-1", "RUNNING"))]).await;
    let gcp = testing::provider(&server).await;
    let made = gcp.launch(&spec()).await.unwrap().remove(0);
    assert_eq!((made.id.as_str(), made.state), (ID, InstanceState::Pending));
    assert_eq!(made.labels, spec().labels);
    assert_eq!(gcp.calls().count().total(), 3);

    let sent: Value = requests(&server, "POST", &route("instances")).await[0].body_json().unwrap();
    assert_eq!(sent["machineType"], "zones/us-central1-a/machineTypes/e2-small");
    assert_eq!(sent["labels"]["remint-service"], "app");
    let boot = &sent["disks"][0]["initializeParams"];
    assert_eq!(boot["sourceImage"], "projects/debian-cloud/global/images/debian-12-bookworm-v20260101");
    let items = sent["metadata"]["items"].as_array().unwrap();
    assert!(items.contains(&json!({"key": "user-data", "value": "#cloud-config"})), "{items:?}");
    assert!(items.contains(&json!({"key": "block-project-ssh-keys", "value": "TRUE"})), "{items:?}");
    assert!(items.contains(&json!({"key": "enable-oslogin", "value": "FALSE"})), "{items:?}");
    assert_eq!(sent["networkInterfaces"][0]["accessConfigs"][0]["type"], "ONE_TO_ONE_NAT");

    // The list lags behind: the instance is in it all the same, and never missing.
    serve(&server, "GET", &format!("{PROJECT}/aggregated/instances"), vec![listed(&[])]).await;
    let all = gcp.list(&Selector::all().with(label::SERVICE, "app")).await.unwrap();
    assert_eq!(all.as_slice(), std::slice::from_ref(&made));
    assert_eq!(gcp.get(&made.id).await.unwrap(), made);
    assert_eq!(gcp.launch(&spec()).await.unwrap(), [made], "and not launched twice");
    assert_eq!(requests(&server, "POST", &route("instances")).await.len(), 1);
}

#[tokio::test]
async fn an_instance_that_stands_is_returned_and_one_with_other_labels_is_a_conflict() {
    let server = MockServer::start().await;
    serve_instance(&server, vec![testing::json(body("7421", "RUNNING"))]).await;
    let gcp = testing::provider(&server).await;
    let standing = gcp.launch(&spec()).await.unwrap().remove(0);
    assert_eq!((standing.state, standing.busy), (InstanceState::Running, false));
    assert_eq!(standing.address.unwrap().endpoint(22).to_string(), "203.0.113.7:20022");
    assert_eq!(standing.created_at.unwrap().to_string(), "2026-11-23T08:00:00.123Z");
    assert_eq!(standing.image, Some(spec().image));

    let mut other = spec();
    other.labels = other.labels.with(label::ROLE, "builder");
    let error = gcp.launch(&other).await.unwrap_err();
    assert_eq!((error.kind(), error.effect()), (ErrorKind::Conflict, Effect::NotApplied));
    assert_eq!(gcp.calls().count().mutations, 0);
}

#[tokio::test]
async fn a_lost_reply_is_asked_for_again_with_the_same_request_id() {
    let server = MockServer::start().await;
    serve_instance(&server, vec![missing()]).await;
    let answers = vec![testing::lost(), testing::json(operation("op-1", "DONE"))];
    serve(&server, "POST", &route("instances"), answers).await;
    testing::provider(&server).await.launch(&spec()).await.unwrap();
    let sent = requests(&server, "POST", &route("instances")).await;
    let ids: Vec<String> = sent.iter().map(|request| query(request, "requestId")).collect();
    assert!(ids.len() == 2 && ids[0] == ids[1] && ids[0].len() == 36, "{ids:?}");
}

#[tokio::test]
async fn a_name_that_was_taken_meanwhile_is_looked_up() {
    let server = MockServer::start().await;
    serve_instance(&server, vec![missing(), testing::json(body("7421", "STAGING"))]).await;
    let taken = refusal(409, "alreadyExists", "The resource 'app-0' already exists");
    serve(&server, "POST", &route("instances"), vec![taken]).await;
    let made = testing::provider(&server).await.launch(&spec()).await.unwrap().remove(0);
    assert_eq!((made.id.as_str(), made.state, made.busy), (ID, InstanceState::Pending, true));
}

#[tokio::test]
async fn a_launch_that_was_accepted_and_refused_is_an_error() {
    let server = MockServer::start().await;
    serve_instance(&server, vec![missing()]).await;
    serve(&server, "POST", &route("instances"), vec![testing::json(operation("op-1", "PENDING"))]).await;
    let refused =
        failed(operation("op-1", "DONE"), "QUOTA_EXCEEDED", "Quota 'CPUS' exceeded. Limit: 8.0 in region us-central1.");
    let answers =
        vec![testing::json(refused.clone()), testing::json(operation("op-1", "RUNNING")), testing::json(refused)];
    serve(&server, "GET", &route("operations/op-1"), answers).await;
    serve(&server, "GET", &format!("{PROJECT}/aggregated/instances"), vec![listed(&[])]).await;
    let gcp = testing::provider(&server).await;
    let error = gcp.launch(&spec()).await.unwrap_err();
    assert_eq!((error.kind(), error.effect()), (ErrorKind::Quota, Effect::NotApplied));
    assert!(error.message().contains("Limit: 8.0"), "{error}");

    // One that fails later is told by the next list, and is gone then.
    let made = gcp.launch(&spec()).await.unwrap().remove(0);
    let error = gcp.list(&Selector::all()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Quota);
    assert!(gcp.list(&Selector::all()).await.unwrap().is_empty());
    assert_eq!(gcp.get(&made.id).await.unwrap_err().kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn what_google_would_refuse_is_refused_before_anything_is_asked() {
    let server = MockServer::start().await;
    let gcp = testing::provider(&server).await;
    let wrong: [fn(&mut LaunchSpec); 7] = [
        |spec| spec.names = vec!["7app".into()],
        |spec| spec.names = vec!["a".into(), "b".into()],
        |spec| spec.user_data = Some("x".repeat(256 * 1024 + 1).into()),
        |spec| spec.labels = Labels::new(),
        |spec| spec.labels = Labels::new().with("service", "app"),
        |spec| spec.region = Region::new("../x"),
        |spec| spec.login_keys = vec!["5".into()],
    ];
    for change in wrong {
        let mut spec = spec();
        change(&mut spec);
        let error = gcp.launch(&spec).await.unwrap_err();
        assert_eq!((error.kind(), error.effect()), (ErrorKind::InvalidInput, Effect::NotApplied), "{error}");
    }
    assert!(asked(&server).await.is_empty());
}

#[tokio::test]
async fn a_namesake_of_what_is_gone_is_not_touched() {
    let server = MockServer::start().await;
    serve(&server, "GET", &route("instances/app-0"), vec![testing::json(body("8000", "RUNNING"))]).await;
    serve(&server, "GET", &route("targetInstances"), vec![testing::json(json!({}))]).await;
    let gcp = testing::provider(&server).await;
    let gone = InstanceId::new(ID);
    assert_eq!(gcp.get(&gone).await.unwrap_err().kind(), ErrorKind::NotFound);
    gcp.destroy(&gone).await.unwrap();
    let deletions: Vec<String> = asked(&server).await.into_iter().filter(|line| line.starts_with("DELETE")).collect();
    assert_eq!(deletions, [format!("DELETE {ZONE}/instances/7421")]);
}

#[tokio::test]
async fn an_instance_that_is_being_destroyed_says_so() {
    let server = MockServer::start().await;
    serve_instance(&server, vec![testing::json(body("7421", "STOPPING"))]).await;
    serve(&server, "GET", &route("targetInstances"), vec![testing::json(json!({}))]).await;
    serve(&server, "DELETE", &route("instances/7421"), vec![testing::json(operation("op-2", "RUNNING"))]).await;
    serve(&server, "GET", &route("operations/op-2"), vec![testing::json(operation("op-2", "RUNNING"))]).await;
    let gcp = testing::provider(&server).await;
    let id = InstanceId::new(ID);
    assert_eq!(gcp.get(&id).await.unwrap().state, InstanceState::Stopping);
    gcp.destroy(&id).await.unwrap();
    gcp.destroy(&id).await.unwrap();
    assert_eq!(gcp.get(&id).await.unwrap().state, InstanceState::Destroying);
    assert_eq!(requests(&server, "DELETE", &route("instances/7421")).await.len(), 1);
    assert_eq!(gcp.launch(&spec()).await.unwrap_err().kind(), ErrorKind::Busy);
}

#[tokio::test]
async fn power_is_switched_where_it_is_not_as_asked() {
    let server = MockServer::start().await;
    let states = ["RUNNING", "STOPPING", "STOPPING", "TERMINATED", "TERMINATED"];
    serve_instance(&server, states.map(|status| testing::json(body("7421", status))).to_vec()).await;
    serve(&server, "POST", &route("instances/7421/stop"), vec![testing::json(operation("op-1", "DONE"))]).await;
    serve(&server, "POST", &route("instances/7421/start"), vec![testing::json(operation("op-1", "DONE"))]).await;
    let gcp = testing::provider(&server).await;
    let id = InstanceId::new(ID);
    gcp.power(&id, PowerOp::ForceStop).await.unwrap();
    gcp.power(&id, PowerOp::Stop).await.unwrap();
    assert_eq!(gcp.power(&id, PowerOp::Start).await.unwrap_err().kind(), ErrorKind::Busy);
    gcp.power(&id, PowerOp::Stop).await.unwrap();
    gcp.power(&id, PowerOp::Start).await.unwrap();
    let stops = requests(&server, "POST", &route("instances/7421/stop")).await;
    assert_eq!((stops.len(), query(&stops[0], "noGracefulShutdown").as_str()), (1, "true"));
    assert_eq!(requests(&server, "POST", &route("instances/7421/start")).await.len(), 1);
}

#[tokio::test]
async fn labels_are_merged_and_set_again_when_they_changed_meanwhile() {
    let server = MockServer::start().await;
    serve_instance(&server, vec![testing::json(body("7421", "RUNNING"))]).await;
    let answers = vec![
        refusal(412, "conditionNotMet", "Labels fingerprint either invalid or resource labels have changed"),
        testing::json(operation("op-1", "RUNNING")),
    ];
    serve(&server, "POST", &route("instances/7421/setLabels"), answers).await;
    serve(&server, "GET", &route("operations/op-1"), vec![testing::json(operation("op-1", "DONE"))]).await;
    let gcp = testing::provider(&server).await;
    gcp.label(&InstanceId::new(ID), &Labels::new().with(label::TOUCHED, "2026-11-23T08:00:00Z")).await.unwrap();
    let sent = requests(&server, "POST", &route("instances/7421/setLabels")).await;
    assert_eq!(sent.len(), 2);
    let body: Value = sent[1].body_json().unwrap();
    assert_eq!(body["labelFingerprint"], "YWJj");
    assert_eq!(
        body["labels"],
        json!({"managed-by": "remint", "remint-service": "app", "remint-role": "instance",
        "team": "web", "remint-touched": "2026-11-23_5408_3a00_3a00_5a"})
    );
    gcp.label(&InstanceId::new(ID), &Labels::new().with(label::ROLE, "instance")).await.unwrap();
    assert_eq!(requests(&server, "POST", &route("instances/7421/setLabels")).await.len(), 2, "they are there already");
}

#[tokio::test]
async fn all_pages_are_listed_and_the_api_filters() {
    let server = MockServer::start().await;
    let mut first = json!({"items": {"zones/us-central1-a": {"instances": [body("1", "RUNNING")]}}});
    first["nextPageToken"] = "two".into();
    let list = format!("{PROJECT}/aggregated/instances");
    serve(&server, "GET", &list, vec![testing::json(first), listed(&[body("2", "RUNNING")])]).await;
    let gcp = testing::provider(&server).await;
    let selector = Selector::all().with(label::SERVICE, "app");
    assert_eq!(gcp.list(&selector).await.unwrap().len(), 2);
    let sent = requests(&server, "GET", &list).await;
    assert_eq!(query(&sent[0], "filter"), "(labels.remint-service = \"app\")");
    assert_eq!(query(&sent[1], "pageToken"), "two");
}

#[tokio::test]
async fn missing_firewall_rules_are_made_once() {
    let server = MockServer::start().await;
    serve_instance(&server, vec![testing::json(body("7421", "RUNNING"))]).await;
    let list = testing::json(json!({"items": [{"name": "remint-default-tcp-22"}]}));
    serve(&server, "GET", &format!("{PROJECT}/global/firewalls"), vec![list]).await;
    let done = testing::json(json!({"name": "op-9", "status": "DONE"}));
    serve(&server, "POST", &format!("{PROJECT}/global/firewalls"), vec![done]).await;
    let options =
        ClientOptions { config: Config::default(), service_ports: vec![443, 22], ..testing::options(&server) };
    let gcp = Gcp::new(options).await.unwrap();
    for _ in 0..2 {
        gcp.launch(&spec()).await.unwrap();
    }
    let sent = requests(&server, "POST", &format!("{PROJECT}/global/firewalls")).await;
    assert_eq!(sent.len(), 1);
    let rule: Value = sent[0].body_json().unwrap();
    assert_eq!(rule["name"], "remint-default-tcp-443");
    assert_eq!(rule["targetTags"], json!(["remint-tcp-443"]));
    assert_eq!(rule["allowed"], json!([{"IPProtocol": "tcp", "ports": ["443"]}]));
}

#[tokio::test]
async fn an_environment_has_firewall_rules_of_its_own_which_say_so() {
    const ID: &str = "0a1b2c3d4e5f6071";
    let server = MockServer::start().await;
    serve(&server, "GET", &route("instances/app-7-0"), vec![missing()]).await;
    let done = testing::json(operation("op-1", "DONE"));
    serve(&server, "POST", &route("instances"), vec![done]).await;
    let list = testing::json(json!({"items": [{"name": "remint-default-tcp-22"}]}));
    serve(&server, "GET", &format!("{PROJECT}/global/firewalls"), vec![list]).await;
    let done = testing::json(json!({"name": "op-9", "status": "DONE"}));
    serve(&server, "POST", &format!("{PROJECT}/global/firewalls"), vec![done]).await;
    let network = "a-network-whose-name-is-rather-long".to_owned();
    for (network, name) in [
        ("default".to_owned(), format!("remint-{ID}-default-tcp-22")),
        (network, format!("remint-{ID}-e62b9f3a1c-tcp-22")),
    ] {
        let config = Config { network, ..Config::default() };
        let gcp = Gcp::new(ClientOptions { config, ..testing::options(&server) }).await.unwrap();
        let mut spec = spec();
        spec.labels = spec.labels.with(label::ENV_ID, ID);
        drop(gcp.launch(&spec).await.unwrap());
        let sent = requests(&server, "POST", &format!("{PROJECT}/global/firewalls")).await;
        let rule: Value = sent.last().unwrap().body_json().unwrap();
        let made = rule["name"].as_str().unwrap();
        assert_eq!((made.len(), made.starts_with("remint-0a1b2c3d4e5f6071-")), (name.len(), true), "{made}");
        assert_eq!(rule["targetTags"], json!([format!("remint-{ID}-tcp-22")]));
        assert!(rule["description"].as_str().unwrap().contains(ID), "{rule}");
    }
    let sent = requests(&server, "POST", &route("instances")).await;
    let instance: Value = sent[0].body_json().unwrap();
    assert_eq!(instance["tags"]["items"], json!([format!("remint-{ID}-tcp-22")]));
}

#[tokio::test]
async fn an_unknown_size_or_zone_has_a_hint() {
    let server = MockServer::start().await;
    let small = json!({"name": "e2-small", "guestCpus": 2, "memoryMb": 2048, "maximumPersistentDisksSizeGb": "3072"});
    serve(&server, "GET", &route("machineTypes/e2-small"), vec![testing::json(small)]).await;
    serve(&server, "GET", &route("machineTypes/e2-smallx"), vec![missing()]).await;
    serve(&server, "GET", &route("machineTypes"), vec![testing::json(json!({"items": [{"name": "e2-small"}]}))]).await;
    let zones = json!({"items": [{"name": "us-central1-a"}]});
    serve(&server, "GET", &format!("{PROJECT}/zones"), vec![testing::json(zones)]).await;
    serve(&server, "GET", ZONE, vec![testing::json(json!({"name": "us-central1-a"}))]).await;
    let gcp = testing::provider(&server).await;
    let zone = Region::new("us-central1-a");
    let shape = gcp.shape(&SizeName::new("e2-small"), &zone).await.unwrap();
    assert_eq!((shape.vcpus, shape.memory_mib, shape.disk_gib), (2, 2048, 3072));
    let error = gcp.shape(&SizeName::new("e2-smallx"), &zone).await.unwrap_err();
    assert_eq!((error.kind(), error.hint()), (ErrorKind::InvalidInput, Some("sizes in us-central1-a: e2-small")));
    let error = gcp.shape(&SizeName::new("e2-small"), &Region::new("us-central1-ax")).await.unwrap_err();
    assert_eq!((error.kind(), error.hint()), (ErrorKind::InvalidInput, Some("zones: us-central1-a")));
}

#[tokio::test]
async fn withdrawn_user_data_leaves_the_other_metadata_and_its_fingerprint_goes_along() {
    let server = MockServer::start().await;
    let mut with_data = body("7421", "RUNNING");
    with_data["metadata"]["fingerprint"] = json!("ZmluZ2Vy");
    let items = with_data["metadata"]["items"].as_array_mut().unwrap();
    items.push(json!({"key": "user-data", "value": "#cloud-config secret"}));
    serve_instance(&server, vec![testing::json(with_data), testing::json(body("7421", "RUNNING"))]).await;
    let done = vec![testing::json(operation("op-1", "DONE"))];
    serve(&server, "POST", &route("instances/7421/setMetadata"), done).await;
    let gcp = testing::provider(&server).await;
    let id = InstanceId::new(ID);
    assert!(gcp.withdraw_user_data(&id).await.unwrap());
    // Once more: there is nothing left to remove, and nothing is sent.
    assert!(gcp.withdraw_user_data(&id).await.unwrap());
    let sent = requests(&server, "POST", &route("instances/7421/setMetadata")).await;
    assert_eq!(sent.len(), 1);
    let sent: Value = sent[0].body_json().unwrap();
    assert_eq!(sent["fingerprint"], "ZmluZ2Vy");
    let image = json!({"key": "remint-image", "value": "debian-cloud/debian-12-bookworm-v20260101"});
    assert_eq!(sent["items"], json!([image]));
}
