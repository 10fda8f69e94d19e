//! Tags and what is done by tag.

use reqwest::Method;
use serde_json::json;

use super::sandbox::{Sandbox, droplet};

#[tokio::test]
async fn tags_are_made_by_droplets_but_not_by_tagging() {
    let sandbox = Sandbox::start().await;
    let mut body = droplet("web");
    body["tags"] = json!(["blue"]);
    let id = sandbox.post("/v2/droplets", body).await["droplet"]["id"].as_u64().unwrap();
    sandbox.until(&format!("/v2/droplets/{id}"), |_, body| body["droplet"]["locked"] == false).await;
    assert_eq!(sandbox.get("/v2/tags/blue").await["tag"]["resources"]["droplets"]["count"], 1);

    sandbox.act(id, json!({ "type": "snapshot", "name": "s" })).await;
    let image = sandbox.get("/v2/images?private=true").await["images"][0]["id"].clone();
    let resources = json!({ "resources": [{ "resource_id": image.to_string(), "resource_type": "image" }] });
    let tagging = |tag: &str| format!("/v2/tags/{tag}/resources");
    assert_eq!(sandbox.call(Method::POST, &tagging("green"), Some(resources.clone())).await.0, 404);
    sandbox.post("/v2/tags", json!({ "name": "green" })).await;
    assert_eq!(sandbox.call(Method::POST, &tagging("green"), Some(resources.clone())).await.0, 204);
    let none = json!({ "resources": [{ "resource_id": "1", "resource_type": "droplet" }] });
    assert_eq!(sandbox.call(Method::POST, &tagging("green"), Some(none)).await.0, 404);
    assert_eq!(sandbox.get("/v2/images?tag_name=green").await["images"][0]["id"], image);
    assert_eq!(sandbox.call(Method::DELETE, &tagging("green"), Some(resources)).await.0, 204);
    assert_eq!(sandbox.get("/v2/images?tag_name=green").await["meta"]["total"], 0);
    assert!(sandbox.refused("/v2/tags", json!({ "name": "a b" })).await.contains("Tag names"));
    assert_eq!(sandbox.delete("/v2/tags/blue").await, 204);
    assert_eq!(sandbox.get(&format!("/v2/droplets/{id}")).await["droplet"]["tags"], json!([]));
    sandbox.finish();
}

#[tokio::test]
async fn actions_and_deletion_by_tag() {
    let sandbox = Sandbox::start().await;
    let mut body = droplet("web");
    body.as_object_mut().unwrap().remove("name");
    body["names"] = json!(["web-1", "web-2"]);
    body["tags"] = json!(["web"]);
    sandbox.post("/v2/droplets", body).await;
    let other = sandbox.droplet("db").await;
    let all_are = |status: &'static str| {
        move |_: u16, body: &serde_json::Value| {
            body["droplets"].as_array().unwrap().iter().all(|d| d["status"] == status && d["locked"] == false)
        }
    };
    sandbox.until("/v2/droplets?tag_name=web", all_are("active")).await;
    let off = sandbox.post("/v2/droplets/actions?tag_name=web", json!({ "type": "power_off" })).await;
    assert_eq!(off["actions"].as_array().unwrap().len(), 2);
    sandbox.until("/v2/droplets?tag_name=web", all_are("off")).await;
    assert_eq!(sandbox.get(&format!("/v2/droplets/{other}")).await["droplet"]["status"], "active");
    assert_eq!(sandbox.delete("/v2/droplets").await, 400);
    assert_eq!(sandbox.delete("/v2/droplets?tag_name=nobody").await, 404);
    assert_eq!(sandbox.delete("/v2/droplets?tag_name=web").await, 204);
    let left = sandbox.until("/v2/droplets", |_, body| body["meta"]["total"] == 1).await;
    assert_eq!(left["droplets"][0]["id"], other);
    sandbox.finish();
}
