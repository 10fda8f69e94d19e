use remint_core::provider::ServiceId;
use serde_json::{Value, json};
use wiremock::{MockServer, ResponseTemplate};

use super::*;
use crate::testing::{self, serve};

const SERVICE: &str = "0a1b2c3d4e5f6071";

fn owner() -> Owner {
    Owner { service: ServiceId::from(SERVICE), environment: None }
}

fn snapshot(id: u64, name: &str, droplet: u64, tags: &[&str]) -> Value {
    json!({"id": id.to_string(), "name": name, "resource_id": droplet.to_string(), "resource_type": "droplet",
        "created_at": "2026-11-28T08:00:00Z", "regions": ["nyc3"], "tags": tags})
}

fn gone() -> ResponseTemplate {
    testing::status(404, json!({"id": "not_found", "message": "not found"}))
}

async fn serve_droplets(server: &MockServer) {
    serve(server, "GET", "/v2/droplets/7", vec![gone()]).await;
    let standing = testing::droplet(8, "builder", "off", &[]);
    serve(server, "GET", "/v2/droplets/8", vec![testing::json(json!({ "droplet": standing }))]).await;
}

#[tokio::test]
async fn only_what_nobody_labelled_and_carries_the_id_is_a_stray() {
    let server = MockServer::start().await;
    serve_droplets(&server).await;
    let all = [
        snapshot(1, "app-0123456789ab-0a1b2c3d", 7, &[]),
        snapshot(2, "app-0123456789ab-0a1b2c3d", 7, &["remint:service-id:0a1b2c3d4e5f6071"]),
        snapshot(3, "app-0123456789ab-0a1b2c3d", 7, &["remint:service-id:ffffffffffffffff"]),
        snapshot(4, "app-0123456789ab-ffffffff", 7, &[]),
        snapshot(5, "app-0123456789ab-0a1b2c3d", 8, &[]),
        snapshot(6, "0a1b2c3d", 7, &[]),
        snapshot(7, "app-0123456789ab-0a1b2c3d", 7, &["remint:service:app", "web"]),
    ];
    serve(&server, "GET", "/v2/snapshots", vec![testing::json(json!({"snapshots": all, "links": {}}))]).await;
    let found = Strays::list(&testing::provider(&server), &owner()).await.unwrap();
    let ids: Vec<_> = found.iter().map(|stray| stray.id.as_str()).collect();
    assert_eq!(ids, ["1", "7"], "one without labels, and one with a part of them");
    assert_eq!(found[0].created_at.unwrap().to_string(), "2026-11-28T08:00:00Z");
}

#[tokio::test]
async fn a_stray_is_looked_at_again_before_it_is_deleted() {
    let ours = "app-0123456789ab-0a1b2c3d";
    let labelled: &[&str] = &["remint:service-id:0a1b2c3d4e5f6071"];
    let stray = |id: &str| Stray {
        kind: StrayKind::Image,
        id: StrayId::new(id),
        name: ours.to_owned(),
        region: None,
        created_at: None,
        why: String::new(),
    };
    for (now, deleted) in [
        (snapshot(1, ours, 7, &[]), true),
        (snapshot(1, ours, 7, labelled), false),
        (snapshot(1, ours, 8, &[]), false),
        (snapshot(1, "renamed", 7, &[]), false),
    ] {
        let server = MockServer::start().await;
        serve_droplets(&server).await;
        serve(&server, "GET", "/v2/snapshots/1", vec![testing::json(json!({ "snapshot": now }))]).await;
        serve(&server, "DELETE", "/v2/images/1", vec![testing::status(204, json!({}))]).await;
        let result = Strays::remove(&testing::provider(&server), &owner(), &stray("1")).await;
        let calls = testing::asked(&server).await;
        assert_eq!(calls.contains(&"DELETE /v2/images/1".to_owned()), deleted, "{now}: {calls:?}");
        match deleted {
            true => result.unwrap(),
            false => assert_eq!(result.unwrap_err().kind(), ErrorKind::Conflict, "{now}"),
        }
    }
    let server = MockServer::start().await;
    serve(&server, "GET", "/v2/snapshots/1", vec![gone()]).await;
    Strays::remove(&testing::provider(&server), &owner(), &stray("1")).await.unwrap();
}
