//! Images and snapshots.

use reqwest::Method;
use serde_json::json;

use super::sandbox::{Sandbox, droplet};

#[tokio::test]
async fn a_snapshot_is_found_under_its_droplet_and_can_be_launched() {
    let sandbox = Sandbox::start().await;
    let id = sandbox.droplet("builder").await;
    let actions = format!("/v2/droplets/{id}/actions");
    sandbox.machines.gate.hold();
    let begun = sandbox.post(&actions, json!({ "type": "snapshot", "name": "app" })).await;
    assert_eq!(begun["action"]["status"], "in-progress");
    assert_eq!(begun["action"]["resource_id"], id);
    assert_eq!(sandbox.refused(&actions, json!({ "type": "reboot" })).await, "Droplet already has a pending event.");
    assert_eq!(sandbox.get(&format!("/v2/droplets/{id}/snapshots")).await["meta"]["total"], 0);
    sandbox.machines.gate.open();
    assert_eq!(sandbox.done(&begun["action"]).await, "completed");
    sandbox.act(id, json!({ "type": "snapshot", "name": "app" })).await;

    let snapshots = sandbox.get(&format!("/v2/droplets/{id}/snapshots")).await;
    assert_eq!((&snapshots["meta"]["total"], &snapshots["snapshots"][1]["name"]), (&json!(2), &json!("app")));
    let image = snapshots["snapshots"][0]["id"].as_u64().unwrap();
    assert_eq!(sandbox.get(&format!("/v2/snapshots/{image}")).await["snapshot"]["resource_id"], id.to_string());
    assert_eq!(sandbox.get("/v2/snapshots?resource_type=droplet").await["meta"]["total"], 2);
    assert_eq!(sandbox.get("/v2/snapshots?resource_type=volume").await["meta"]["total"], 0);
    assert_eq!(sandbox.get("/v2/images?private=true").await["meta"]["total"], 2);
    assert_eq!(sandbox.get("/v2/images?type=distribution").await["meta"]["total"], 2);
    assert_eq!(sandbox.get("/v2/images?name=app").await["meta"]["total"], 2);
    assert_eq!(sandbox.get("/v2/images/debian-12-x64").await["image"]["distribution"], "Debian");

    let mut body = droplet("web");
    body["image"] = json!("app");
    assert!(sandbox.refused("/v2/droplets", body.clone()).await.contains("invalid image"));
    body["image"] = json!(image);
    body["size"] = json!("s-1vcpu-512mb-10gb");
    assert!(sandbox.refused("/v2/droplets", body.clone()).await.contains("smaller disk"));
    body["size"] = json!("s-1vcpu-1gb");
    body["region"] = json!("nyc3");
    assert!(sandbox.refused("/v2/droplets", body.clone()).await.contains("not available in the selected region"));
    let path = format!("/v2/images/{image}");
    let moved = sandbox.post(&format!("{path}/actions"), json!({ "type": "transfer", "region": "nyc3" })).await;
    assert_eq!(sandbox.done(&moved).await, "completed");
    assert!(
        sandbox
            .refused(&format!("{path}/actions"), json!({ "type": "transfer", "region": "nyc3" }))
            .await
            .contains("already")
    );
    assert_eq!(sandbox.get(&format!("{path}/actions")).await["actions"][0]["type"], "transfer");
    sandbox.get(&format!("{path}/actions/{}", moved["id"])).await;
    body["image"] = json!(image.to_string());
    sandbox.post("/v2/droplets", body).await;

    let (status, renamed) = sandbox.call(Method::PUT, &path, Some(json!({ "name": "app-2" }))).await;
    assert_eq!((status, &renamed["image"]["name"]), (200, &json!("app-2")));
    assert_eq!(sandbox.delete(&path).await, 204);
    assert_eq!(sandbox.call(Method::GET, &path, None).await.0, 404);
    let disk = remint_sandbox::machine::DiskImage(format!("snapshot-{image}"));
    assert!(!sandbox.machines.images.lock().unwrap().contains(&disk));
    let public = sandbox.get("/v2/images/debian-12-x64").await["image"]["id"].clone();
    assert_eq!(sandbox.delete(&format!("/v2/images/{public}")).await, 403);
    sandbox.finish();
}
