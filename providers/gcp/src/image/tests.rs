use remint_core::provider::{InstanceId, Provider, label};
use serde_json::{Value, json};
use wiremock::MockServer;

use super::*;
use crate::testing::{self, PROJECT, ZONE, failed, missing, operation, query, refusal, requests, serve};

const DEBIAN: &str = "/compute/v1/projects/debian-cloud/global/images";

fn spec() -> CaptureSpec {
    CaptureSpec {
        instance: InstanceId::new("us-central1-a/app-bake/7421"),
        name: "app-0123456789ab".to_owned(),
        labels: Labels::new().with(label::SERVICE, "app").with(label::FINGERPRINT, "0123456789abcdef".repeat(4)),
    }
}

fn own(what: &str) -> String {
    format!("{PROJECT}/global/images{what}")
}

fn captured(status: &str) -> Value {
    let labels = labelling::to_wire("test", &spec().labels).unwrap();
    json!({"id": "77", "name": spec().name, "status": status, "labels": labels, "diskSizeGb": "10", "archiveSizeBytes": "123456",
        "selfLink": format!("https://www.googleapis.com{PROJECT}/global/images/{}", spec().name)})
}

async fn serve_builder(server: &MockServer, status: &str) {
    let disk = format!("https://www.googleapis.com{ZONE}/disks/app-bake");
    let body = json!({"id": "7421", "name": "app-bake", "status": status, "zone": format!("https://www.googleapis.com{ZONE}"),
        "disks": [{"boot": true, "source": disk}]});
    serve(server, "GET", &format!("{ZONE}/instances/7421"), vec![testing::json(body)]).await;
}

fn global(name: &str, status: &str) -> Value {
    json!({"name": name, "status": status})
}

async fn serve_zone(server: &MockServer) {
    serve(server, "GET", ZONE, vec![testing::json(json!({"name": "us-central1-a"}))]).await;
}

#[tokio::test]
async fn a_family_is_its_newest_image() {
    let server = MockServer::start().await;
    serve_zone(&server).await;
    let newest = json!({"id": "12", "name": "debian-12-bookworm-v20260101", "family": "debian-12", "status": "READY", "diskSizeGb": "10",
        "labels": {"remint-service": "theirs"},
        "selfLink": "https://www.googleapis.com/compute/v1/projects/debian-cloud/global/images/debian-12-bookworm-v20260101"});
    serve(&server, "GET", &format!("{DEBIAN}/family/debian-12"), vec![testing::json(newest.clone())]).await;
    serve(&server, "GET", &format!("{DEBIAN}/debian-12-bookworm-v20260101"), vec![testing::json(newest)]).await;
    let list =
        json!({"items": [{"name": "debian-12-bookworm-v20260101", "family": "debian-12"}, {"name": "debian-11"}]});
    serve(&server, "GET", DEBIAN, vec![testing::json(list)]).await;
    let gcp = testing::provider(&server).await;
    let zone = Region::new("us-central1-a");
    let image = gcp.resolve("debian-cloud/debian-12", &zone).await.unwrap();
    assert_eq!(
        (image.id.as_str(), image.name.as_str()),
        ("debian-cloud/debian-12-bookworm-v20260101/12", "debian-cloud/debian-12")
    );
    assert!(image.labels.0.is_empty() && image.regions.contains(&Region::new("anywhere")));
    let named = gcp.resolve("debian-cloud/debian-12-bookworm-v20260101", &zone).await.unwrap();
    assert_eq!(named.id, image.id);
    let error = gcp.resolve("debian-cloud/debian-13", &zone).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.hint().unwrap().contains("debian-cloud/debian-12, "), "{error:?}");
}

#[tokio::test]
async fn a_capture_is_started_once_and_observed() {
    let server = MockServer::start().await;
    let name = own("/app-0123456789ab");
    serve(
        &server,
        "GET",
        &name,
        vec![missing(), missing(), testing::json(captured("PENDING")), testing::json(captured("READY"))],
    )
    .await;
    serve_builder(&server, "TERMINATED").await;
    serve(&server, "POST", &own(""), vec![testing::lost(), testing::json(global("op-1", "RUNNING"))]).await;
    serve(&server, "GET", &format!("{PROJECT}/global/operations/op-1"), vec![testing::json(global("op-1", "RUNNING"))])
        .await;
    let gcp = testing::provider(&server).await;
    for _ in 0..3 {
        assert_eq!(gcp.capture(&spec()).await.unwrap(), CaptureProgress::Pending);
    }
    let CaptureProgress::Done(image) = gcp.capture(&spec()).await.unwrap() else { panic!("not done") };
    assert_eq!(image.id.as_str(), "mine/app-0123456789ab/77");
    assert_eq!((image.labels, image.min_disk_gib, image.size_bytes), (spec().labels, 10, Some(123_456)));
    let sent = requests(&server, "POST", &own("")).await;
    assert_eq!((sent.len(), query(&sent[0], "requestId")), (2, query(&sent[1], "requestId")), "the lost one again");
    let body: Value = sent[0].body_json().unwrap();
    assert_eq!(body["sourceDisk"], "projects/mine/zones/us-central1-a/disks/app-bake");
    assert_eq!(body["family"], "remint-app");
}

#[tokio::test]
async fn a_capture_that_fails_is_told_and_started_afresh() {
    let server = MockServer::start().await;
    serve(&server, "GET", &own("/app-0123456789ab"), vec![missing()]).await;
    serve_builder(&server, "TERMINATED").await;
    serve(&server, "POST", &own(""), vec![testing::json(global("op-1", "RUNNING"))]).await;
    let broken = failed(operation("op-1", "DONE"), "INTERNAL_ERROR", "Internal error. Please try again");
    let answers = [global("op-1", "RUNNING"), broken, global("op-1", "RUNNING")].map(testing::json).to_vec();
    serve(&server, "GET", &format!("{PROJECT}/global/operations/op-1"), answers).await;
    let gcp = testing::provider(&server).await;
    assert_eq!(gcp.capture(&spec()).await.unwrap(), CaptureProgress::Pending);
    let error = gcp.capture(&spec()).await.unwrap_err();
    assert_eq!((error.kind(), error.effect()), (ErrorKind::Unexpected, remint_core::provider::Effect::NotApplied));
    assert!(error.message().contains("Internal error"), "{error}");
    assert_eq!(gcp.capture(&spec()).await.unwrap(), CaptureProgress::Pending);
    assert_eq!(requests(&server, "POST", &own("")).await.len(), 2);
}

#[tokio::test]
async fn only_a_stopped_instance_is_captured_and_only_under_a_free_name() {
    for (status, kind) in [("RUNNING", ErrorKind::Conflict), ("STOPPING", ErrorKind::Busy)] {
        let server = MockServer::start().await;
        serve_builder(&server, status).await;
        serve(&server, "GET", &own("/app-0123456789ab"), vec![missing()]).await;
        let gcp = testing::provider(&server).await;
        assert_eq!(gcp.capture(&spec()).await.unwrap_err().kind(), kind);
        assert_eq!(gcp.calls().count().mutations, 0);
    }
    let server = MockServer::start().await;
    serve(&server, "GET", &own("/app-0123456789ab"), vec![testing::json(captured("READY"))]).await;
    let mut theirs = spec();
    theirs.labels = theirs.labels.with(label::SERVICE, "other");
    let gcp = testing::provider(&server).await;
    assert_eq!(gcp.capture(&theirs).await.unwrap_err().kind(), ErrorKind::Conflict);
}

#[tokio::test]
async fn an_image_is_deleted_once_and_images_of_others_are_not_listed() {
    let server = MockServer::start().await;
    let name = own("/77");
    serve(&server, "DELETE", &name, vec![testing::json(global("op-1", "DONE")), missing()]).await;
    let theirs = json!({"name": "theirs", "status": "READY"});
    let items = json!({"items": [captured("READY"), captured("DELETING"), theirs]});
    serve(&server, "GET", &own(""), vec![testing::json(items)]).await;
    let gcp = testing::provider(&server).await;
    assert_eq!(gcp.list(&Selector::all()).await.unwrap().len(), 1);
    let sent = requests(&server, "GET", &own("")).await;
    assert_eq!(query(&sent[0], "filter"), "(labels.managed-by = \"remint\")");
    let id = ImageId::new("mine/app-0123456789ab/77");
    gcp.delete(&id).await.unwrap();
    gcp.delete(&id).await.unwrap();
    let refused = gcp.copy(&id, &Region::new("us-east1-b")).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unsupported);
    assert_eq!(gcp.get(&ImageId::new("no such thing")).await.unwrap_err().kind(), ErrorKind::NotFound);
    let used = refusal(400, "resourceInUseByAnotherResource", "The image is in use");
    serve(&server, "DELETE", &own("/used"), vec![used]).await;
    assert_eq!(gcp.delete(&ImageId::new("mine/used")).await.unwrap_err().kind(), ErrorKind::Conflict);
}
