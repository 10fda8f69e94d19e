//! Reserved IPs, and floating IPs as the same thing.

use std::net::Ipv4Addr;

use reqwest::Method;
use serde_json::json;

use super::sandbox::{Sandbox, droplet};

#[tokio::test]
async fn an_address_moves_in_one_action_and_outlives_its_droplet() {
    let sandbox = Sandbox::start().await;
    let (first, second) = (sandbox.droplet("one").await, sandbox.droplet("two").await);
    let made = sandbox.post("/v2/reserved_ips", json!({ "droplet_id": first })).await;
    let ip = made["reserved_ip"]["ip"].as_str().unwrap().to_owned();
    assert_eq!(ip, "127.7.128.10");
    assert_eq!(sandbox.done(&made["links"]["actions"][0]).await, "completed");
    assert_eq!(sandbox.edge.target(&ip), Some(Ipv4Addr::new(127, 7, 0, 10)));

    let path = format!("/v2/reserved_ips/{ip}");
    let actions = format!("{path}/actions");
    sandbox.edge.gate.hold();
    let moving = sandbox.post(&actions, json!({ "type": "assign", "droplet_id": second })).await;
    assert_eq!((&moving["action"]["type"], &moving["action"]["status"]), (&json!("assign_ip"), &json!("in-progress")));
    assert_eq!(sandbox.get(&path).await["reserved_ip"]["locked"], true);
    let locked = sandbox.refused(&actions, json!({ "type": "unassign" })).await;
    assert!(locked.contains("pending event"), "{locked}");
    assert_eq!(sandbox.delete(&path).await, 422);
    sandbox.edge.gate.open();
    assert_eq!(sandbox.done(&moving["action"]).await, "completed");
    assert_eq!(sandbox.edge.target(&ip), Some(Ipv4Addr::new(127, 7, 0, 11)));
    assert_eq!(sandbox.get(&path).await["reserved_ip"]["droplet"]["id"], second);
    assert_eq!(sandbox.get(&actions).await["meta"]["total"], 2);
    sandbox.get(&format!("{actions}/{}", moving["action"]["id"])).await;

    let floating = sandbox.get(&format!("/v2/floating_ips/{ip}")).await;
    assert_eq!(floating["floating_ip"]["droplet"]["id"], second);
    assert_eq!(sandbox.get("/v2/floating_ips").await["meta"]["total"], 1);
    sandbox.delete(&format!("/v2/droplets/{second}")).await;
    sandbox.until(&format!("/v2/droplets/{second}"), |status, _| status == 404).await;
    assert_eq!(sandbox.get(&path).await["reserved_ip"]["droplet"], json!(null));
    sandbox.until(&path, |_, _| sandbox.edge.target(&ip).is_none()).await;
    let floating = format!("/v2/floating_ips/{ip}/actions");
    let back = sandbox.post(&floating, json!({ "type": "assign", "droplet_id": first })).await;
    assert_eq!(back["action"]["resource_type"], "floating_ip");
    assert_eq!(sandbox.done(&back["action"]).await, "completed");
    let off = sandbox.post(&actions, json!({ "type": "unassign" })).await;
    assert_eq!(sandbox.done(&off["action"]).await, "completed");
    assert_eq!(sandbox.edge.target(&ip), None);
    assert_eq!(sandbox.delete(&path).await, 204);
    assert!(sandbox.edge.targets.lock().unwrap().is_empty());
    assert_eq!(sandbox.call(Method::GET, &path, None).await.0, 404);
    sandbox.finish();
}

#[tokio::test]
async fn the_rules() {
    let sandbox = Sandbox::start().await;
    let here = sandbox.droplet("here").await;
    let mut body = droplet("there");
    body["region"] = json!("nyc3");
    let there = sandbox.post("/v2/droplets", body).await["droplet"]["id"].clone();
    sandbox.until(&format!("/v2/droplets/{there}"), |_, body| body["droplet"]["locked"] == false).await;
    let mut ips = Vec::new();
    for _ in 0..3 {
        let made = sandbox.post("/v2/reserved_ips", json!({ "region": "fra1" })).await;
        ips.push(format!("/v2/reserved_ips/{}/actions", made["reserved_ip"]["ip"].as_str().unwrap()));
    }
    assert!(sandbox.refused("/v2/reserved_ips", json!({ "region": "fra1" })).await.contains("limit of 3"));
    assert!(sandbox.refused("/v2/reserved_ips", json!({ "region": "mars" })).await.contains("region"));
    let assign = |droplet: &serde_json::Value| json!({ "type": "assign", "droplet_id": droplet });
    assert!(sandbox.refused(&ips[0], assign(&there)).await.contains("same region"));
    assert!(sandbox.refused(&ips[0], assign(&json!(1))).await.contains("does not exist"));
    assert!(sandbox.refused(&ips[0], json!({ "type": "unassign" })).await.contains("not assigned"));
    let begun = sandbox.post(&ips[0], assign(&json!(here))).await;
    assert!(sandbox.refused(&ips[1], assign(&json!(here))).await.contains("already has a reserved IP"));
    sandbox.done(&begun["action"]).await;
    assert!(sandbox.refused(&ips[0], assign(&json!(here))).await.contains("already assigned"));
    sandbox.machines.gate.hold();
    sandbox.post(&format!("/v2/droplets/{there}/actions"), json!({ "type": "snapshot" })).await;
    assert_eq!(sandbox.refused(&ips[1], assign(&there)).await, "Droplet already has a pending event.");
    sandbox.machines.gate.open();
    sandbox.finish();
}
