//! What a sandbox finds again after it was killed.

use remint_sandbox::machine::Power;
use serde_json::json;

use super::sandbox::{Sandbox, TOKEN, droplet};

#[tokio::test]
async fn everything_is_there_again_and_the_edge_is_told() {
    let mut sandbox = Sandbox::start().await;
    let id = sandbox.droplet("web").await;
    let made = sandbox.post("/v2/reserved_ips", json!({ "droplet_id": id })).await;
    sandbox.done(&made["links"]["actions"][0]).await;
    sandbox.post("/v2/domains", json!({ "name": "example.com" })).await;
    sandbox.act(id, json!({ "type": "snapshot", "name": "app" })).await;
    let paths = ["/v2/account", "/v2/droplets", "/v2/images", "/v2/reserved_ips", "/v2/domains", "/v2/actions"];
    let mut before = Vec::new();
    for path in paths {
        let body = sandbox.get(path).await;
        before.push((path, body));
    }
    let targets = std::mem::take(&mut *sandbox.edge.targets.lock().unwrap());
    sandbox.edge.zones.lock().unwrap().clear();
    sandbox.restart().await;
    for (path, body) in before {
        assert_eq!(sandbox.get(path).await, body, "{path}");
    }
    assert_eq!(*sandbox.edge.targets.lock().unwrap(), targets);
    assert!(sandbox.edge.zones.lock().unwrap().contains_key("example.com"));
    let next = sandbox.post("/v2/droplets", droplet("next")).await["droplet"]["id"].as_u64().unwrap();
    assert!(next > id);
    sandbox.finish();
}

#[tokio::test]
async fn what_was_in_flight_is_done_again() {
    let mut sandbox = Sandbox::start().await;
    let id = sandbox.droplet("builder").await;
    sandbox.machines.gate.hold();
    let created = sandbox.post("/v2/droplets", droplet("web")).await;
    let snapshot =
        sandbox.post(&format!("/v2/droplets/{id}/actions"), json!({ "type": "snapshot", "name": "s" })).await;
    // As if the machine had been made before the kill, and nobody had recorded it.
    let half = created["droplet"]["id"].as_u64().unwrap();
    let spec = sandbox.machines.table.lock().unwrap()[&id].clone();
    sandbox.machines.table.lock().unwrap().insert(half, spec);
    sandbox.restart().await;
    sandbox.machines.gate.open();
    assert_eq!(sandbox.done(&snapshot["action"]).await, "completed");
    assert_eq!(sandbox.done(&created["links"]["actions"][0]).await, "completed");
    let web = sandbox.get(&format!("/v2/droplets/{half}")).await;
    assert_eq!((&web["droplet"]["status"], &web["droplet"]["locked"]), (&json!("active"), &json!(false)));
    assert_eq!(sandbox.machines.table.lock().unwrap()[&half].0.name, "web");
    assert_eq!(sandbox.get("/v2/snapshots").await["meta"]["total"], 1);
    sandbox.finish();
}

#[tokio::test]
async fn machines_and_droplets_agree_again() {
    let mut sandbox = Sandbox::start().await;
    let (on, off, lost) = (sandbox.droplet("on").await, sandbox.droplet("off").await, sandbox.droplet("lost").await);
    sandbox.act(off, json!({ "type": "power_off" })).await;
    let spec = sandbox.machines.table.lock().unwrap()[&on].0.clone();
    sandbox.server.take().unwrap().stop().await;
    // The host went down: simulated machines lost their power, one its disk, and one belongs to nobody.
    sandbox.machines.set_power(on, Power::Off);
    {
        let mut table = sandbox.machines.table.lock().unwrap();
        table.remove(&lost);
        table.insert(5, (spec, Power::On));
    }
    sandbox.restart().await;
    for (id, status) in [(on, "active"), (off, "off"), (lost, "off")] {
        assert_eq!(sandbox.get(&format!("/v2/droplets/{id}")).await["droplet"]["status"], status, "{id}");
    }
    let powers: Vec<(u64, Power)> =
        sandbox.machines.table.lock().unwrap().iter().map(|(id, (_, power))| (*id, *power)).collect();
    assert_eq!(powers, [(on, Power::On), (off, Power::Off)]);
    let failed = sandbox.post(&format!("/v2/droplets/{lost}/actions"), json!({ "type": "power_on" })).await;
    assert_eq!(sandbox.done(&failed["action"]).await, "errored");
    sandbox.finish();
}

/// Keeps the sandbox from writing its state: a folder is where the new file would be.
fn block(sandbox: &Sandbox) -> std::path::PathBuf {
    let folder = sandbox.dir.path().join("cloud.json.next");
    std::fs::create_dir(&folder).unwrap();
    folder
}

#[tokio::test]
async fn what_was_answered_is_what_a_restart_finds() {
    let mut sandbox = Sandbox::start().await;
    let account = sandbox.get("/v2/account").await;
    sandbox.restart().await;
    assert_eq!(sandbox.get("/v2/account").await, account, "also what was made up at the start");

    sandbox.post("/v2/domains", json!({ "name": "before.example" })).await;
    let blocked = block(&sandbox);
    let calls = [
        ("/v2/domains", json!({ "name": "lost.example" })),
        ("/v2/tags", json!({ "name": "lost" })),
        ("/v2/reserved_ips", json!({ "region": "fra1" })),
        ("/v2/droplets", droplet("lost")),
    ];
    for (path, body) in calls.clone() {
        let answer = sandbox.raw(reqwest::Method::POST, path, Some(body), TOKEN).await;
        assert_eq!(answer.status(), 500, "{path}");
    }
    assert_eq!(sandbox.raw(reqwest::Method::DELETE, "/v2/domains/before.example", None, TOKEN).await.status(), 500);
    for restart in [false, true] {
        if restart {
            std::fs::remove_dir(&blocked).unwrap();
            sandbox.restart().await;
        }
        for ((path, _), count) in calls.iter().zip([1, 0, 0, 0]) {
            assert_eq!(sandbox.get(path).await["meta"]["total"], count, "{path}, restarted: {restart}");
        }
    }
    for (path, body) in calls {
        sandbox.post(path, body).await;
    }
    sandbox.finish();
}

#[tokio::test]
async fn what_has_happened_is_recorded_once_that_is_possible() {
    let sandbox = Sandbox::start().await;
    sandbox.machines.gate.hold();
    let created = sandbox.post("/v2/droplets", droplet("web")).await;
    let blocked = block(&sandbox);
    sandbox.machines.gate.open();
    let id = created["droplet"]["id"].as_u64().unwrap();
    while !sandbox.machines.table.lock().unwrap().contains_key(&id) {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    let shown = sandbox.get(&format!("/v2/droplets/{id}")).await;
    assert_eq!(shown["droplet"]["status"], "new", "what is not on the disk is not shown");
    std::fs::remove_dir(blocked).unwrap();
    assert_eq!(sandbox.done(&created["links"]["actions"][0]).await, "completed");
    sandbox.finish();
}

/// The state files of `state-of-before` are those of a sandbox in which DigitalOcean's, Amazon's and Google's own kits had each made an
/// instance, and the first two an image, a static IP and a zone, when the state had DigitalOcean's words.
#[tokio::test]
async fn the_state_of_a_sandbox_from_before_is_opened_and_is_the_same_after_it_was_written() {
    let mut sandbox = Sandbox::start().await;
    let made = sandbox.droplet("web").await;
    let (spec, power) = sandbox.machines.table.lock().unwrap().remove(&made).unwrap();
    let before = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/api/state-of-before");
    for (file, id) in
        [("cloud.json", 100_000_005), ("ec2/cloud.json", 2_000_000_005), ("gce/cloud.json", 3_000_000_006)]
    {
        std::fs::copy(before.join(file), sandbox.dir.path().join(file)).unwrap();
        let spec = remint_sandbox::machine::MachineSpec { id, ..spec.clone() };
        sandbox.machines.table.lock().unwrap().insert(id, (spec, power));
    }
    sandbox.restart().await;
    let paths = [
        "/v2/droplets",
        "/v2/snapshots",
        "/v2/reserved_ips",
        "/v2/domains",
        "/v2/actions",
        "/v2/droplets/100000005/actions",
    ];
    let mut shown = Vec::new();
    for path in paths {
        shown.push(sandbox.get(path).await);
    }
    assert_eq!(shown[0]["droplets"][0]["name"], "web-1");
    assert_eq!(shown[0]["droplets"][0]["tags"], json!(["web"]));
    assert_eq!(shown[1]["snapshots"][0]["name"], "of-before");
    assert_eq!(shown[2]["reserved_ips"][0]["droplet"]["id"], 100_000_005);
    assert_eq!(shown[3]["domains"][0]["name"], "example.com");
    let kinds: Vec<_> = shown[4]["actions"].as_array().unwrap().iter().map(|action| &action["resource_type"]).collect();
    assert!(kinds.contains(&&json!("droplet")) && kinds.contains(&&json!("reserved_ip")), "{kinds:?}");
    let accounts = sandbox.get("/sandbox/v1/status").await["accounts"].clone();
    for (api, there) in [("digitalocean", 1), ("ec2", 1), ("gce", 0)] {
        let account = &accounts[api];
        assert_eq!(account["droplets"], 1, "{api}");
        for what in ["snapshots", "reserved_ips", "zones"] {
            assert_eq!(account[what], there, "{what} of {api}");
        }
    }
    assert_eq!(sandbox.machines.table.lock().unwrap().len(), 3, "no machine was taken for an orphan");
    // Written, and read again.
    sandbox.post("/v2/tags", json!({ "name": "new" })).await;
    sandbox.restart().await;
    for (path, body) in paths.iter().zip(&shown) {
        assert_eq!(sandbox.get(path).await, *body, "{path}");
    }
    assert_eq!(sandbox.get("/sandbox/v1/status").await["accounts"], accounts);
    sandbox.finish();
}
