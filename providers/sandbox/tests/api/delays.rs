//! What takes time: drawn from the seed, recorded, and served.

use remint_sandbox::cloud::Profile;
use reqwest::Method;
use serde_json::{Value, json};

use super::sandbox::{Sandbox, TOKEN, droplet};

async fn delays(sandbox: &Sandbox) -> Vec<(String, String, f64)> {
    let answer = sandbox.raw(Method::GET, "/sandbox/v1/delays", None, TOKEN).await;
    let delays: Vec<Value> = answer.json().await.unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    delays.iter().map(|d| (text(&d["kind"]), text(&d["resource"]), d["seconds"].as_f64().unwrap())).collect()
}

#[tokio::test]
async fn delays_come_from_the_seed_and_are_told() {
    let mut seen = Vec::new();
    for names in [["one", "two"], ["two", "one"]] {
        let sandbox = Sandbox::with(Profile::Realistic, 1000.0).await;
        for name in names {
            let id = sandbox.droplet(name).await;
            sandbox.act(id, json!({ "type": "snapshot", "name": name })).await;
        }
        let drawn = delays(&sandbox).await;
        let of = |kind: &str| drawn.iter().filter(|d| d.0 == kind).map(|d| d.2).collect::<Vec<f64>>();
        assert_eq!((of("create").len(), of("boot").len(), of("snapshot").len()), (2, 2, 2));
        assert!(of("create").iter().all(|seconds| (0.020..=0.040).contains(seconds)), "{drawn:?}");
        assert!(of("snapshot").iter().all(|seconds| (0.060..=0.180).contains(seconds)), "{drawn:?}");
        let boot = sandbox.machines.table.lock().unwrap().values().next().unwrap().0.boot_delay;
        assert!((15..=30).contains(&boot.as_millis()), "{boot:?}");
        sandbox.finish();
        seen.push(drawn);
    }
    assert_eq!(seen[0], seen[1]);
}

#[tokio::test]
async fn the_address_is_shown_before_the_droplet_is_active() {
    let sandbox = Sandbox::with(Profile::Realistic, 1000.0).await;
    // Held, so that the droplet is still new whenever the test looks.
    sandbox.machines.gate.hold();
    let created = sandbox.post("/v2/droplets", droplet("web")).await;
    let path = format!("/v2/droplets/{}", created["droplet"]["id"]);
    let shown = sandbox.until(&path, |_, body| body["droplet"]["networks"]["v4"] != json!([])).await;
    assert_eq!((&shown["droplet"]["status"], &shown["droplet"]["locked"]), (&json!("new"), &json!(true)));
    sandbox.machines.gate.open();
    sandbox.until(&path, |_, body| body["droplet"]["status"] == "active").await;
    sandbox.finish();
}

#[tokio::test]
async fn a_doomed_action_ends_errored_and_did_nothing() {
    let sandbox = Sandbox::start().await;
    let id = sandbox.droplet("web").await;
    *sandbox.edge.dooming.lock().unwrap() = true;
    let path = format!("/v2/droplets/{id}");
    let begun = sandbox.post(&format!("{path}/actions"), json!({ "type": "snapshot", "name": "s" })).await;
    assert_eq!(sandbox.done(&begun["action"]).await, "errored");
    let vanishing = sandbox.post("/v2/droplets", droplet("other")).await;
    assert_eq!(sandbox.done(&vanishing["links"]["actions"][0]).await, "errored");
    assert_eq!(sandbox.get("/v2/droplets").await["meta"]["total"], 1);
    *sandbox.edge.dooming.lock().unwrap() = false;
    assert_eq!(sandbox.get("/v2/snapshots").await["meta"]["total"], 0);
    assert_eq!(sandbox.get(&path).await["droplet"]["locked"], false);
    assert_eq!(sandbox.machines.table.lock().unwrap().len(), 1);
    sandbox.finish();
}
