//! Droplets: create, lock, power, rename, resize, destroy.

use remint_sandbox::machine::Power;
use reqwest::Method;
use serde_json::json;

use super::sandbox::{Sandbox, droplet};

#[tokio::test]
async fn a_droplet_is_new_and_locked_then_active_and_at_last_gone() {
    let sandbox = Sandbox::start().await;
    sandbox.machines.gate.hold();
    let mut body = droplet("web-1");
    body["tags"] = json!(["env:test"]);
    body["user_data"] = json!("#cloud-config\n");
    let created = sandbox.post("/v2/droplets", body).await;
    let id = created["droplet"]["id"].as_u64().unwrap();
    let path = format!("/v2/droplets/{id}");
    assert_eq!(created["droplet"]["status"], "new");
    assert_eq!(created["droplet"]["locked"], true);
    assert_eq!(created["droplet"]["networks"]["v4"], json!([]));
    assert_eq!(created["links"]["actions"][0]["rel"], "create");
    let busy = "Droplet already has a pending event.";
    assert_eq!(sandbox.refused(&format!("{path}/actions"), json!({ "type": "power_off" })).await, busy);
    assert_eq!(sandbox.delete(&path).await, 422);

    sandbox.machines.gate.open();
    let active = sandbox.until(&path, |_, body| body["droplet"]["status"] == "active").await;
    assert_eq!(active["droplet"]["locked"], false);
    assert_eq!(active["droplet"]["networks"]["v4"][0]["ip_address"], "127.7.0.10");
    assert_eq!(active["droplet"]["networks"]["v4"][0]["type"], "public");
    let (spec, power) = sandbox.machines.table.lock().unwrap()[&id].clone();
    assert_eq!((power, spec.user_data.as_deref(), spec.open), (Power::On, Some("#cloud-config\n"), vec![8080]));
    let file = std::fs::read_to_string(sandbox.dir.path().join("cloud.json")).unwrap();
    assert!(!file.contains("cloud-config"), "user data stays in the state file after it was used");

    assert_eq!(sandbox.get("/v2/droplets?tag_name=ENV:test").await["meta"]["total"], 1);
    assert_eq!(sandbox.get("/v2/droplets?name=WEB-1").await["meta"]["total"], 1);
    assert_eq!(sandbox.get("/v2/droplets?name=web").await["meta"]["total"], 0);
    assert_eq!(sandbox.call(Method::GET, "/v2/droplets?name=a&tag_name=b", None).await.0, 400);

    assert_eq!(sandbox.delete(&path).await, 204);
    sandbox.until(&path, |status, _| status == 404).await;
    assert!(sandbox.machines.table.lock().unwrap().is_empty());
    assert_eq!(sandbox.delete(&path).await, 404);
    sandbox.finish();
}

#[tokio::test]
async fn a_completed_shutdown_only_sent_the_command() {
    let sandbox = Sandbox::start().await;
    let id = sandbox.droplet("web").await;
    let path = format!("/v2/droplets/{id}");
    sandbox.act(id, json!({ "type": "shutdown" })).await;
    assert_eq!(sandbox.get(&path).await["droplet"]["status"], "active");
    sandbox.machines.set_power(id, Power::Off);
    sandbox.until(&path, |_, body| body["droplet"]["status"] == "off").await;
    let actions = format!("{path}/actions");
    assert!(sandbox.refused(&actions, json!({ "type": "reboot" })).await.contains("off"));
    sandbox.act(id, json!({ "type": "power_on" })).await;
    assert_eq!(sandbox.get(&path).await["droplet"]["status"], "active");
    assert!(sandbox.refused(&actions, json!({ "type": "power_on" })).await.contains("already"));
    sandbox.act(id, json!({ "type": "power_off" })).await;
    assert_eq!(sandbox.get(&path).await["droplet"]["status"], "off");
    assert_eq!(sandbox.machines.table.lock().unwrap()[&id].1, Power::Off);
    sandbox.finish();
}

#[tokio::test]
async fn the_other_actions() {
    let sandbox = Sandbox::start().await;
    let id = sandbox.droplet("web").await;
    let path = format!("/v2/droplets/{id}");
    let actions = format!("{path}/actions");
    for kind in ["reboot", "power_cycle"] {
        sandbox.act(id, json!({ "type": kind })).await;
    }
    sandbox.act(id, json!({ "type": "rename", "name": "web-2" })).await;
    sandbox.act(id, json!({ "type": "rebuild", "image": "ubuntu-24-04-x64" })).await;
    let resize = json!({ "type": "resize", "size": "s-1vcpu-2gb", "disk": true });
    assert!(sandbox.refused(&actions, resize.clone()).await.contains("powered off"));
    sandbox.act(id, json!({ "type": "power_off" })).await;
    sandbox.act(id, resize).await;
    let shrink = sandbox.refused(&actions, json!({ "type": "resize", "size": "s-1vcpu-1gb" })).await;
    assert!(shrink.contains("smaller disk"));
    let now = sandbox.get(&path).await["droplet"].clone();
    assert_eq!((&now["name"], &now["disk"], &now["memory"]), (&json!("web-2"), &json!(50), &json!(2048)));
    assert_eq!(now["image"]["slug"], "ubuntu-24-04-x64");
    assert_eq!(sandbox.machines.table.lock().unwrap()[&id].0.disk_gib, 50);
    for kind in ["enable_backups", "enable_ipv6", "password_reset"] {
        assert_eq!(sandbox.call(Method::POST, &actions, Some(json!({ "type": kind }))).await.0, 501, "{kind}");
    }
    sandbox.refused(&actions, json!({ "type": "explode" })).await;
    let list = sandbox.get(&actions).await;
    assert_eq!(list["actions"][0]["type"], "resize");
    let one = list["actions"][0]["id"].clone();
    assert_eq!(sandbox.get(&format!("{actions}/{one}")).await["action"]["status"], "completed");
    assert_eq!(sandbox.get("/v2/actions").await["meta"]["total"], list["meta"]["total"]);
    let console = format!("/sandbox/v1/droplets/{id}/console");
    let console = sandbox.raw(Method::GET, &console, None, super::sandbox::TOKEN).await;
    assert!(console.headers()["content-type"].to_str().unwrap().starts_with("text/plain"));
    assert_eq!(console.text().await.unwrap(), format!("console of {id}\n"));
    sandbox.finish();
}

#[tokio::test]
async fn bad_creations_change_nothing() {
    let sandbox = Sandbox::start().await;
    for (field, value, words) in [
        ("size", json!("s-1"), "invalid size"),
        ("region", json!("mars1"), "invalid region"),
        ("image", json!("debian-1"), "invalid image"),
        ("image", json!(5), "invalid image"),
        ("name", json!("no spaces"), "hostname"),
        ("tags", json!(["no spaces"]), "Tag names"),
        ("user_data", json!("x".repeat(65_537)), "User data"),
        ("ssh_keys", json!([1]), "invalid key"),
        ("vpc_uuid", json!("none"), "VPC"),
    ] {
        let mut body = droplet("web");
        body[field] = value;
        let message = sandbox.refused("/v2/droplets", body).await;
        assert!(message.contains(words), "{field}: {message}");
    }
    let mut many = droplet("web");
    many.as_object_mut().unwrap().remove("name");
    many["names"] = (0..11).map(|n| format!("web-{n}")).collect();
    assert!(sandbox.refused("/v2/droplets", many.clone()).await.contains("up to 10"));
    assert_eq!(sandbox.get("/v2/droplets").await["meta"]["total"], 0);
    assert_eq!(sandbox.get("/v2/tags").await["meta"]["total"], 0);

    many["names"] = (0..10).map(|n| format!("web-{n}")).collect();
    let created = sandbox.post("/v2/droplets", many.clone()).await;
    assert_eq!(created["droplets"].as_array().unwrap().len(), 10);
    assert_eq!(created["links"]["actions"].as_array().unwrap().len(), 10);
    sandbox.post("/v2/droplets", many.clone()).await;
    assert!(sandbox.refused("/v2/droplets", many).await.contains("exceed your droplet limit"));
    sandbox.finish();
}

#[tokio::test]
async fn a_droplet_that_cannot_be_placed_vanishes() {
    let sandbox = Sandbox::start().await;
    *sandbox.machines.broken.lock().unwrap() = true;
    let created = sandbox.post("/v2/droplets", droplet("web")).await;
    sandbox.until(&format!("/v2/droplets/{}", created["droplet"]["id"]), |status, _| status == 404).await;
    assert_eq!(sandbox.done(&created["links"]["actions"][0]).await, "errored");
    sandbox.finish();
}
