//! Static addresses, and what leads from them to instances.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tokio::{io::AsyncReadExt as _, net::TcpStream};

use crate::client::{REGION, World, ZONE, instance, until};

const ADDRESSES: &str = "regions/us-central1/addresses";
const RULES: &str = "regions/us-central1/forwardingRules";
const TARGETS: &str = "zones/us-central1-a/targetInstances";

/// The host key's fingerprint would tell more; the machines' banners are alike, so who answers is told by the log-in's
/// reach alone: whether SSH answers at an address.
async fn ssh_answers(world: &World, ip: &str) -> bool {
    let port = world.sandbox.ports().resolve(22);
    let read = async {
        let mut stream = TcpStream::connect((ip, port)).await.ok()?;
        let mut banner = [0; 4];
        stream.read_exact(&mut banner).await.ok()?;
        (&banner == b"SSH-").then_some(())
    };
    tokio::time::timeout(Duration::from_secs(5), read).await.ok().flatten().is_some()
}

async fn reserve(world: &World, name: &str) -> String {
    world.change(Method::POST, ADDRESSES, Some(&json!({ "name": name, "labels": { "a": "b" } }))).await;
    let address = world.get(&format!("{ADDRESSES}/{name}")).await;
    assert_eq!((&address["status"], &address["labels"]["a"]), (&json!("RESERVED"), &json!("b")), "{address}");
    address["address"].as_str().unwrap().to_owned()
}

async fn target(world: &World, name: &str, instance: &str) {
    let body = json!({ "name": name, "instance": format!("zones/{ZONE}/instances/{instance}"), "natPolicy": "NO_NAT" });
    world.change(Method::POST, TARGETS, Some(&body)).await;
}

fn pointing_at(target: &str) -> Value {
    json!({ "target": format!("{TARGETS}/{target}") })
}

#[tokio::test]
async fn a_forwarding_rule_leads_to_an_instance_and_moves_in_one_call() {
    let world = World::new().await;
    for name in ["one", "two"] {
        world.launch(name, &json!({})).await;
        target(&world, name, name).await;
    }
    let ip = reserve(&world, "web").await;
    let mut rule =
        json!({ "name": "web", "IPAddress": ip, "IPProtocol": "TCP", "portRange": "1-65535", "labels": { "a": "b" } });
    rule.as_object_mut().unwrap().extend(pointing_at("one").as_object().unwrap().clone());
    world.change(Method::POST, RULES, Some(&rule)).await;
    until("the address answers", async || ssh_answers(&world, &ip).await).await;
    let shown = world.get(&format!("{RULES}/web")).await;
    assert_eq!((&shown["IPAddress"], &shown["portRange"]), (&json!(ip), &json!("1-65535")));
    let address = world.get(&format!("{ADDRESSES}/web")).await;
    assert_eq!(address["status"], "IN_USE");
    assert!(address["users"][0].as_str().unwrap().ends_with("/forwardingRules/web"));
    let mut other = rule.clone();
    other["name"] = "other".into();
    let conflict = world.refused(Method::POST, RULES, Some(&other)).await;
    assert_eq!(conflict, (400, "invalid".to_owned()));

    let moved = world.change(Method::POST, &format!("{RULES}/web/setTarget"), Some(&pointing_at("two"))).await;
    assert!(moved["region"].as_str().unwrap().ends_with(REGION));
    assert!(world.get(&format!("{RULES}/web")).await["target"].as_str().unwrap().ends_with("/targetInstances/two"));
    // Where it leads to now is what is left when the other is off.
    world.change(Method::POST, &format!("zones/{ZONE}/instances/one/stop"), None).await;
    assert!(ssh_answers(&world, &ip).await);
    world.change(Method::POST, &format!("zones/{ZONE}/instances/two/stop"), None).await;
    assert!(!ssh_answers(&world, &ip).await);

    for (path, by) in [(format!("{ADDRESSES}/web"), "the rule"), (format!("{TARGETS}/two"), "the rule")] {
        let refused = world.refused(Method::DELETE, &path, None).await;
        assert_eq!(refused, (400, "resourceInUseByAnotherResource".to_owned()), "{path} is used by {by}");
    }
    let stale = world.refused(Method::POST, &format!("{RULES}/web/setLabels"), Some(&json!({ "labels": {} }))).await;
    assert_eq!(stale.0, 412);
    for path in [format!("{RULES}/web"), format!("{ADDRESSES}/web"), format!("{TARGETS}/one"), format!("{TARGETS}/two")]
    {
        world.change(Method::DELETE, &path, None).await;
        assert_eq!(world.refused(Method::GET, &path, None).await, (404, "notFound".to_owned()));
    }
}

#[tokio::test]
async fn a_move_that_is_doomed_leaves_the_address_where_it_was() {
    let world = World::new().await;
    for name in ["one", "two"] {
        world.launch(name, &json!({})).await;
        target(&world, name, name).await;
    }
    let mut rule = pointing_at("one");
    rule["name"] = "web".into();
    let doom = |path: &str| {
        let rule = json!({ "method": "POST", "path": path, "fault": "action_errored" });
        world.sandbox.add_fault(serde_json::from_value(rule).unwrap()).unwrap();
    };
    doom("*/forwardingRules");
    let failed = world.operate(Method::POST, RULES, Some(&rule)).await;
    assert!(failed["error"].is_object(), "{failed}");
    assert!(world.get(RULES).await.get("items").is_none());
    world.change(Method::POST, RULES, Some(&rule)).await;
    doom("*/setTarget");
    let failed = world.operate(Method::POST, &format!("{RULES}/web/setTarget"), Some(&pointing_at("two"))).await;
    assert!(failed["error"].is_object(), "{failed}");
    let shown = world.get(&format!("{RULES}/web")).await;
    assert!(shown["target"].as_str().unwrap().ends_with("/targetInstances/one"));
    world.change(Method::POST, &format!("zones/{ZONE}/instances/two/stop"), None).await;
    assert!(ssh_answers(&world, shown["IPAddress"].as_str().unwrap()).await);
    let all = world.get("aggregated/forwardingRules").await;
    assert_eq!(all["items"]["regions/us-central1"]["forwardingRules"][0]["name"], "web");
    world.change(Method::DELETE, &format!("{RULES}/web"), None).await;
}

#[tokio::test]
async fn a_static_address_of_an_access_config_leads_to_the_instance() {
    let world = World::new().await;
    let ip = reserve(&world, "web").await;
    let access = json!([{ "type": "ONE_TO_ONE_NAT", "name": "External NAT", "natIP": ip }]);
    let shown = world.launch("web", &json!({ "networkInterfaces": [{ "accessConfigs": access }] })).await;
    assert_eq!(shown["networkInterfaces"][0]["accessConfigs"][0]["natIP"], json!(ip));
    until("the address answers", async || ssh_answers(&world, &ip).await).await;
    assert_eq!(world.get(&format!("{ADDRESSES}/web")).await["status"], "IN_USE");
    let at = format!("zones/{ZONE}/instances/web");
    let body = instance("other", &json!({ "networkInterfaces": [{ "accessConfigs": access }] }));
    let taken = world.refused(Method::POST, &format!("zones/{ZONE}/instances"), Some(&body)).await;
    assert_eq!(taken, (400, "externalIpAddressInUse".to_owned()));

    let nic = "networkInterface=nic0";
    world.change(Method::POST, &format!("{at}/deleteAccessConfig?{nic}&accessConfig=External%20NAT"), None).await;
    assert!(!ssh_answers(&world, &ip).await);
    assert!(world.get(&at).await["networkInterfaces"][0].get("accessConfigs").is_none());
    assert_eq!(world.get(&format!("{ADDRESSES}/web")).await["status"], "RESERVED");
    world.change(Method::POST, &format!("{at}/addAccessConfig?{nic}"), Some(&json!({ "natIP": ip }))).await;
    assert!(ssh_answers(&world, &ip).await);
    assert_eq!(world.refused(Method::POST, &format!("{at}/addAccessConfig?{nic}"), Some(&json!({}))).await.0, 400);
    world.change(Method::DELETE, &at, None).await;
    world.change(Method::DELETE, &format!("{ADDRESSES}/web"), None).await;
}

#[tokio::test]
async fn a_region_has_eight_static_addresses() {
    let world = World::new().await;
    for n in 0..8 {
        reserve(&world, &format!("a{n}")).await;
    }
    let ninth = world.refused(Method::POST, ADDRESSES, Some(&json!({ "name": "a8" }))).await;
    assert_eq!(ninth, (403, "quotaExceeded".to_owned()));
    world.change(Method::POST, "regions/us-east1/addresses", Some(&json!({ "name": "a8" }))).await;
    let quotas = world.get("regions/us-central1").await["quotas"].clone();
    let quota = quotas.as_array().unwrap().iter().find(|quota| quota["metric"] == "STATIC_ADDRESSES").unwrap().clone();
    assert_eq!((&quota["limit"], &quota["usage"]), (&json!(8.0), &json!(8.0)));
    let all = world.get("aggregated/addresses?maxResults=500").await;
    assert_eq!(all["items"]["regions/us-central1"]["addresses"].as_array().unwrap().len(), 8);
    assert_eq!(world.refused(Method::POST, ADDRESSES, Some(&json!({ "name": "a0" }))).await.0, 409);
    let ip = world.get(&format!("{ADDRESSES}/a0")).await["address"].clone();
    world.change(Method::DELETE, &format!("{ADDRESSES}/a0"), None).await;
    // The next one has another address: one that was in use comes again last.
    world.change(Method::POST, ADDRESSES, Some(&json!({ "name": "a8" }))).await;
    assert_ne!(world.get(&format!("{ADDRESSES}/a8")).await["address"], ip);
}
