use std::time::Duration;

use remint_core::provider::{
    CaptureProgress, Effect, InstanceId, InstanceState, Instances, Labels, PowerOp, Provider, label,
};
use serde_json::{Value, json};
use wiremock::{MockServer, ResponseTemplate};

use super::*;
use crate::testing::{self, serve};

const NAME: &str = "app-abcdef-run1";
const ACTIONS: &str = "/v2/droplets/7/actions";
const SNAPSHOTS: &str = "/v2/droplets/7/snapshots";

fn spec() -> CaptureSpec {
    let labels = Labels::new().with(label::SERVICE, "app").with(label::ROLE, "image");
    CaptureSpec { instance: InstanceId::new("7"), name: NAME.to_owned(), labels }
}

fn body(id: u64, tags: &[&str], regions: &[&str]) -> Value {
    json!({"id": id, "name": NAME, "type": "snapshot", "public": false, "slug": null, "regions": regions, "tags": tags,
        "created_at": "2026-11-23T08:00:00Z", "min_disk_size": 25, "size_gigabytes": 1.5, "status": "available",
        "error_message": ""})
}

fn droplet(status: &str, snapshots: &[u64]) -> ResponseTemplate {
    let mut droplet = testing::droplet(7, "builder", status, &[]);
    droplet["snapshot_ids"] = json!(snapshots);
    testing::json(json!({ "droplet": droplet }))
}

fn action(status: &str) -> Value {
    json!({"id": 900, "status": status, "type": "snapshot", "completed_at": null, "region_slug": "nyc3"})
}

fn one_action(status: &str) -> ResponseTemplate {
    testing::json(json!({ "action": action(status) }))
}

fn actions(all: &[Value]) -> ResponseTemplate {
    testing::json(json!({"actions": all, "links": {}}))
}

fn snapshots(names: &[(u64, &str)]) -> ResponseTemplate {
    let all: Vec<_> = names.iter().map(|(id, name)| json!({"id": id, "name": name})).collect();
    testing::json(json!({"snapshots": all, "links": {}}))
}

async fn serve_image(server: &MockServer) {
    serve(server, "GET", "/v2/images/55", vec![testing::json(json!({"image": body(55, &["web"], &["nyc3"])}))]).await;
    for tag in ["remint:service:app", "remint:role:image"] {
        serve(server, "POST", &format!("/v2/tags/{tag}/resources"), vec![ResponseTemplate::new(204)]).await;
    }
}

async fn starts(server: &MockServer) -> usize {
    testing::bodies(server, "POST", ACTIONS).await.len()
}

fn assert_done(progress: CaptureProgress) -> Image {
    match progress {
        CaptureProgress::Done(image) => image,
        CaptureProgress::Pending => panic!("still pending"),
    }
}

fn assert_lost(progress: Result<CaptureProgress>) {
    let error = progress.unwrap_err();
    assert_eq!((error.kind(), error.effect()), (ErrorKind::Unavailable, Effect::Unknown));
}

#[tokio::test]
async fn a_capture_is_started_once_observed_by_one_call_and_labelled() {
    let server = MockServer::start().await;
    serve(&server, "GET", "/v2/droplets/7", vec![droplet("off", &[])]).await;
    serve(&server, "GET", ACTIONS, vec![actions(&[])]).await;
    serve(&server, "POST", ACTIONS, vec![one_action("in-progress")]).await;
    serve(&server, "GET", "/v2/actions/900", vec![one_action("in-progress"), one_action("completed")]).await;
    // The list lags behind the action, and shows others.
    let lagging = vec![snapshots(&[(54, "other")]), snapshots(&[(54, "other"), (55, NAME)])];
    serve(&server, "GET", SNAPSHOTS, lagging).await;
    serve_image(&server).await;
    serve(&server, "GET", "/v2/images", vec![testing::json(json!({"images": [], "links": {}}))]).await;

    let cloud = testing::provider(&server);
    let mut totals = Vec::new();
    for _ in 0..3 {
        assert_eq!(cloud.capture(&spec()).await.unwrap(), CaptureProgress::Pending);
        totals.push(cloud.calls().count().total());
    }
    assert_eq!(totals, [3, 4, 6]);
    let image = assert_done(cloud.capture(&spec()).await.unwrap());
    assert_eq!((image.id.as_str(), &image.labels), ("55", &spec().labels));
    assert_eq!((image.min_disk_gib, image.size_bytes), (25, Some(1_500_000_000)));
    assert_eq!(cloud.calls().count().total(), 10);
    assert_eq!(testing::bodies(&server, "POST", ACTIONS).await, [json!({"type": "snapshot", "name": NAME})]);
    let listed = Images::list(&cloud, &Selector::all().with(label::ROLE, "image")).await.unwrap();
    assert_eq!(listed, [image], "the image is listed although the API's list lags");
}

#[tokio::test]
async fn a_droplet_made_and_seen_stopped_here_is_captured_by_one_call_and_only_once() {
    let server = MockServer::start().await;
    let shown = |status: &str| testing::droplet(7, "builder", status, &["remint:service:app"]);
    let listed = |all: Value| testing::json(json!({"droplets": all, "links": {}}));
    serve(&server, "GET", "/v2/droplets", vec![listed(json!([])), listed(json!([shown("off")]))]).await;
    serve(&server, "POST", "/v2/droplets", vec![testing::json(json!({ "droplet": shown("new") }))]).await;
    serve(&server, "POST", "/v2/droplets/7/actions", vec![one_action("in-progress")]).await;
    serve(&server, "GET", "/v2/actions/900", vec![one_action("completed")]).await;
    serve(&server, "GET", SNAPSHOTS, vec![snapshots(&[(55, NAME)])]).await;
    serve(&server, "GET", "/v2/droplets/7", vec![droplet("off", &[55])]).await;
    serve_image(&server).await;

    let cloud = testing::provider(&server);
    let labels = Labels::new().with(label::SERVICE, "app");
    let launch = remint_core::provider::LaunchSpec {
        names: vec!["builder".to_owned()],
        new_names: false,
        image: "debian-12-x64".into(),
        size: "s-1vcpu-1gb".into(),
        region: "nyc3".into(),
        labels: labels.clone(),
        user_data: None,
        login_keys: Vec::new(),
    };
    cloud.launch(&launch).await.unwrap();
    cloud.power(&InstanceId::new("7"), PowerOp::Stop).await.unwrap();
    let stopped = Instances::list(&cloud, &Selector(labels.0)).await.unwrap();
    assert_eq!(stopped[0].state, InstanceState::Stopped);
    assert_eq!(cloud.capture(&spec()).await.unwrap(), CaptureProgress::Pending);
    let asked = testing::asked(&server).await;
    let looked = asked.iter().filter(|call| call.starts_with("GET /v2/droplets/7"));
    assert_eq!(looked.count(), 0, "{asked:?}");
    let image = assert_done(cloud.capture(&spec()).await.unwrap());
    let again = assert_done(cloud.capture(&spec()).await.unwrap());
    assert_eq!(again.id, image.id, "a capture that is there is found");
    let kinds: Vec<_> =
        testing::bodies(&server, "POST", ACTIONS).await.iter().map(|body| body["type"].clone()).collect();
    assert_eq!(kinds, ["shutdown", "snapshot"]);
}

#[tokio::test]
async fn an_errored_snapshot_is_an_error_and_the_next_call_starts_afresh() {
    let server = MockServer::start().await;
    serve(&server, "GET", "/v2/droplets/7", vec![droplet("off", &[])]).await;
    serve(&server, "GET", ACTIONS, vec![actions(&[]), actions(&[action("errored")])]).await;
    serve(&server, "POST", ACTIONS, vec![one_action("in-progress")]).await;
    serve(&server, "GET", "/v2/actions/900", vec![one_action("errored")]).await;
    let cloud = testing::provider(&server);
    cloud.capture(&spec()).await.unwrap();
    let error = cloud.capture(&spec()).await.unwrap_err();
    assert_eq!((error.kind(), error.effect()), (ErrorKind::Unexpected, Effect::NotApplied));
    assert!(error.message().contains("ended in error"), "{error}");
    assert_eq!(cloud.capture(&spec()).await.unwrap(), CaptureProgress::Pending);
    assert_eq!(starts(&server).await, 2);
}

#[tokio::test]
async fn a_capture_whose_reply_is_lost_is_not_started_twice() {
    let server = MockServer::start().await;
    serve(&server, "GET", "/v2/droplets/7", vec![droplet("off", &[])]).await;
    // It does not show at once either.
    serve(&server, "GET", ACTIONS, vec![actions(&[]), actions(&[]), actions(&[action("in-progress")])]).await;
    serve(&server, "POST", ACTIONS, vec![testing::lost()]).await;
    serve(&server, "GET", "/v2/actions/900", vec![one_action("completed")]).await;
    serve(&server, "GET", SNAPSHOTS, vec![snapshots(&[(55, NAME)])]).await;
    serve_image(&server).await;
    let settle = Duration::from_secs(30);
    let options = crate::ClientOptions { settle, ..testing::options(server.uri().parse().unwrap()) };
    let cloud = DigitalOcean::new(options).unwrap();
    assert_lost(cloud.capture(&spec()).await);
    for _ in 0..2 {
        assert_eq!(cloud.capture(&spec()).await.unwrap(), CaptureProgress::Pending);
    }
    assert_done(cloud.capture(&spec()).await.unwrap());
    assert_eq!(starts(&server).await, 1);
}

#[tokio::test]
async fn a_capture_that_was_lost_for_good_is_started_again() {
    let server = MockServer::start().await;
    serve(&server, "GET", "/v2/droplets/7", vec![droplet("off", &[])]).await;
    serve(&server, "GET", ACTIONS, vec![actions(&[])]).await;
    serve(&server, "POST", ACTIONS, vec![testing::lost(), one_action("in-progress")]).await;
    let options = crate::ClientOptions { settle: Duration::ZERO, ..testing::options(server.uri().parse().unwrap()) };
    let cloud = DigitalOcean::new(options).unwrap();
    assert_lost(cloud.capture(&spec()).await);
    assert_eq!(cloud.capture(&spec()).await.unwrap(), CaptureProgress::Pending);
    assert_eq!(starts(&server).await, 2);
}

#[tokio::test]
async fn an_image_from_before_a_crash_is_found_by_name_and_labelled() {
    for gone in [false, true] {
        let server = MockServer::start().await;
        let standing = if gone { testing::status(404, json!({})) } else { droplet("off", &[55]) };
        serve(&server, "GET", "/v2/droplets/7", vec![standing]).await;
        serve(&server, "GET", SNAPSHOTS, vec![snapshots(&[(55, NAME)])]).await;
        serve(&server, "GET", "/v2/snapshots", vec![account_snapshots(&[(54, "other", 7), (55, NAME, 7)])]).await;
        serve_image(&server).await;
        let image = assert_done(testing::provider(&server).capture(&spec()).await.unwrap());
        assert_eq!(image.labels, spec().labels);
        assert_eq!(starts(&server).await, 0);
    }
}

fn account_snapshots(all: &[(u64, &str, u64)]) -> ResponseTemplate {
    let snapshot = |(id, name, droplet): &(u64, &str, u64)| {
        json!({"id": id.to_string(), "name": name, "resource_id": droplet.to_string(), "resource_type": "droplet",
            "regions": ["nyc3"], "tags": []})
    };
    testing::json(json!({"snapshots": all.iter().map(snapshot).collect::<Vec<_>>(), "links": {}}))
}

/// The droplet is gone: its own lists answer 404.
async fn serve_gone(server: &MockServer) {
    serve(server, "GET", "/v2/droplets/7", vec![testing::status(404, json!({}))]).await;
    serve(server, "GET", SNAPSHOTS, vec![testing::status(404, json!({}))]).await;
}

#[tokio::test]
async fn a_capture_whose_droplet_is_gone_is_waited_for_while_it_runs_or_has_just_ended() {
    let server = MockServer::start().await;
    serve_gone(&server).await;
    let shown = vec![account_snapshots(&[]), account_snapshots(&[]), account_snapshots(&[(55, NAME, 7)])];
    serve(&server, "GET", "/v2/snapshots", shown).await;
    let (mut running, mut other) = (action("in-progress"), action("in-progress"));
    (running["resource_id"], other["resource_id"]) = (json!(7), json!(8));
    serve(&server, "GET", "/v2/actions", vec![actions(&[other, running])]).await;
    serve(&server, "GET", "/v2/actions/900", vec![one_action("completed")]).await;
    serve_image(&server).await;
    let cloud = testing::provider(&server);
    for _ in 0..2 {
        assert_eq!(cloud.capture(&spec()).await.unwrap(), CaptureProgress::Pending);
    }
    assert_done(cloud.capture(&spec()).await.unwrap());
    assert_eq!(starts(&server).await, 0);
}

#[tokio::test]
async fn a_droplet_that_is_gone_and_was_never_captured_is_not_found() {
    let server = MockServer::start().await;
    serve_gone(&server).await;
    serve(&server, "GET", "/v2/snapshots", vec![account_snapshots(&[(54, "other", 7)])]).await;
    let (mut ended, mut others) = (action("completed"), action("in-progress"));
    (ended["resource_id"], others["resource_id"]) = (json!(7), json!(8));
    ended["completed_at"] = json!("2026-11-23T08:00:00Z");
    serve(&server, "GET", "/v2/actions", vec![actions(&[others, ended])]).await;
    let error = testing::provider(&server).capture(&spec()).await.unwrap_err();
    assert_eq!((error.kind(), error.effect()), (ErrorKind::NotFound, Effect::NotApplied), "{error}");
}

#[tokio::test]
async fn an_image_of_this_name_that_is_of_another_droplet_is_left_alone() {
    let server = MockServer::start().await;
    serve_gone(&server).await;
    serve(&server, "GET", "/v2/snapshots", vec![account_snapshots(&[(55, NAME, 8)])]).await;
    let error = testing::provider(&server).capture(&spec()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
    assert!(!testing::asked(&server).await.iter().any(|call| call.starts_with("POST")));
}

#[tokio::test]
async fn a_new_label_is_attached_before_the_old_one_of_its_key_goes() {
    let server = MockServer::start().await;
    let tags = ["remint:role:image", "remint:service:app", "web"];
    serve(&server, "GET", "/v2/images/55", vec![testing::json(json!({"image": body(55, &tags, &["nyc3"])}))]).await;
    let (new, old) = ("/v2/tags/remint:role:checked/resources", "/v2/tags/remint:role:image/resources");
    serve(&server, "POST", new, vec![testing::status(204, json!({}))]).await;
    serve(&server, "DELETE", old, vec![testing::status(204, json!({}))]).await;
    let cloud = testing::provider(&server);
    Images::label(&cloud, &ImageId::new("55"), &Labels::new().with(label::ROLE, "checked")).await.unwrap();
    let resources = json!({"resources": [{"resource_id": "55", "resource_type": "image"}]});
    assert_eq!(testing::bodies(&server, "POST", new).await, [resources]);
    let calls = ["GET /v2/images/55".to_owned(), format!("POST {new}"), format!("DELETE {old}")];
    assert_eq!(testing::asked(&server).await, calls);
}

#[tokio::test]
async fn a_snapshot_that_was_completed_just_before_a_crash_is_waited_for() {
    let server = MockServer::start().await;
    serve(&server, "GET", "/v2/droplets/7", vec![droplet("off", &[])]).await;
    let mut finished = action("completed");
    finished["completed_at"] = json!(jiff::Timestamp::now().to_string());
    serve(&server, "GET", ACTIONS, vec![actions(&[finished])]).await;
    serve(&server, "GET", SNAPSHOTS, vec![snapshots(&[(55, NAME)])]).await;
    serve_image(&server).await;
    let cloud = testing::provider(&server);
    assert_eq!(cloud.capture(&spec()).await.unwrap(), CaptureProgress::Pending);
    assert_done(cloud.capture(&spec()).await.unwrap());
    assert_eq!(starts(&server).await, 0);
}

#[tokio::test]
async fn only_a_stopped_idle_droplet_is_captured() {
    for (status, kind) in [("active", ErrorKind::Conflict), ("new", ErrorKind::Busy)] {
        let server = MockServer::start().await;
        serve(&server, "GET", "/v2/droplets/7", vec![droplet(status, &[])]).await;
        serve(&server, "GET", ACTIONS, vec![actions(&[])]).await;
        assert_eq!(testing::provider(&server).capture(&spec()).await.unwrap_err().kind(), kind);
        assert_eq!(starts(&server).await, 0);
    }
}

#[tokio::test]
async fn a_base_image_is_resolved_or_refused_with_what_there_is() {
    let server = MockServer::start().await;
    let mut base = body(12, &[], &["nyc3"]);
    base["public"] = json!(true);
    base["slug"] = json!("debian-12-x64");
    serve(&server, "GET", "/v2/images/debian-12-x64", vec![testing::json(json!({ "image": base }))]).await;
    serve(&server, "GET", "/v2/images", vec![testing::json(json!({"images": [base], "links": {}}))]).await;
    let cloud = testing::provider(&server);
    let found = cloud.resolve("debian-12-x64", &Region::new("nyc3")).await.unwrap();
    assert_eq!((found.id.as_str(), found.name.as_str()), ("12", "debian-12-x64"));
    let error = cloud.resolve("debian-12-x64", &Region::new("fra1")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.message().contains("nyc3"), "{error}");
    let error = cloud.resolve("debian-12", &Region::new("nyc3")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.hint().unwrap().contains("debian-12-x64"), "{error}");
}

#[tokio::test]
async fn a_copy_is_started_once_and_its_failure_shows() {
    let server = MockServer::start().await;
    let here = testing::json(json!({"image": body(55, &[], &["nyc3"])}));
    serve(&server, "GET", "/v2/images/55", vec![here]).await;
    let transfer = |status: &str| json!({"id": 901, "status": status, "type": "transfer", "region_slug": "fra1"});
    let path = "/v2/images/55/actions";
    serve(&server, "GET", path, vec![actions(&[]), actions(&[transfer("in-progress")])]).await;
    serve(&server, "POST", path, vec![testing::lost()]).await;
    serve(&server, "GET", "/v2/actions/901", vec![testing::json(json!({"action": transfer("errored")}))]).await;
    let (cloud, id) = (testing::provider(&server), ImageId::new("55"));
    cloud.copy(&id, &Region::new("nyc3")).await.unwrap();
    assert_eq!(testing::bodies(&server, "POST", path).await.len(), 0, "it is there already");
    cloud.copy(&id, &Region::new("fra1")).await.unwrap();
    assert_eq!(testing::bodies(&server, "POST", path).await, [json!({"type": "transfer", "region": "fra1"})]);
    let error = Images::get(&cloud, &id).await.unwrap_err();
    assert!(error.message().contains("fra1, ended in error"), "{error}");
    assert!(Images::get(&cloud, &id).await.is_ok(), "it is told once");
}

#[tokio::test]
async fn a_copy_that_ended_while_it_was_asked_for_is_a_success() {
    let server = MockServer::start().await;
    let in_regions = |regions: &[&str]| testing::json(json!({"image": body(55, &[], regions)}));
    serve(&server, "GET", "/v2/images/55", vec![in_regions(&["nyc3"]), in_regions(&["nyc3", "fra1"])]).await;
    let path = "/v2/images/55/actions";
    serve(&server, "GET", path, vec![actions(&[])]).await;
    let refused = json!({"id": "unprocessable_entity", "message": "Image is already available in that region."});
    serve(&server, "POST", path, vec![testing::status(422, refused)]).await;
    testing::provider(&server).copy(&ImageId::new("55"), &Region::new("fra1")).await.unwrap();
    assert_eq!(testing::bodies(&server, "POST", path).await.len(), 1);
}

#[tokio::test]
async fn a_copy_to_an_unknown_region_is_refused_once() {
    let server = MockServer::start().await;
    let here = testing::json(json!({"image": body(55, &[], &["nyc3"])}));
    serve(&server, "GET", "/v2/images/55", vec![here]).await;
    let path = "/v2/images/55/actions";
    serve(&server, "GET", path, vec![actions(&[])]).await;
    let refused = json!({"id": "unprocessable_entity", "message": "You specified an invalid region."});
    serve(&server, "POST", path, vec![testing::status(422, refused)]).await;
    let error = testing::provider(&server).copy(&ImageId::new("55"), &Region::new("mars1")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert_eq!(testing::bodies(&server, "POST", path).await.len(), 1);
}

#[tokio::test]
async fn deleting_an_image_that_is_gone_is_a_success() {
    let server = MockServer::start().await;
    serve(&server, "DELETE", "/v2/images/55", vec![testing::status(404, json!({}))]).await;
    Images::delete(&testing::provider(&server), &ImageId::new("55")).await.unwrap();
}
