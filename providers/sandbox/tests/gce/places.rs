//! What there is to choose from, the project, and firewall rules.

use remint_sandbox::gce::PROJECT;
use reqwest::Method;
use serde_json::json;

use crate::client::World;

#[tokio::test]
async fn zones_regions_machine_types_and_networks_are_listed_and_shown() {
    let world = World::new().await;
    assert_eq!(world.get("zones").await["items"].as_array().unwrap().len(), 4);
    assert!(world.get("zones/us-central1-b").await["region"].as_str().unwrap().ends_with("/regions/us-central1"));
    assert_eq!(world.get("regions").await["items"].as_array().unwrap().len(), 3);
    assert_eq!(world.get("regions/us-central1").await["zones"].as_array().unwrap().len(), 2);
    assert_eq!(world.get("zones/us-east1-b/machineTypes/e2-small").await["memoryMb"], 2048);
    let all = world.get("aggregated/machineTypes").await;
    assert_eq!(all["items"]["zones/us-east1-b"]["machineTypes"].as_array().unwrap().len(), 3, "{all}");
    assert_eq!(world.get("global/networks/default").await["name"], "default");
    assert_eq!(world.get("regions/us-east1/subnetworks/default").await["purpose"], "PRIVATE");
    for missing in ["zones/mars-a", "regions/mars", "zones/us-east1-b/machineTypes/huge", "global/networks/other"] {
        assert_eq!(world.refused(Method::GET, missing, None).await, (404, "notFound".to_owned()), "{missing}");
    }
}

#[tokio::test]
async fn the_projects_metadata_changes_by_its_fingerprint() {
    let world = World::new().await;
    let before = world.get("").await;
    assert_eq!(before["name"], PROJECT);
    let body = json!({
        "items": [{ "key": "remint-conformance", "value": "yes" }],
        "fingerprint": before["commonInstanceMetadata"]["fingerprint"],
    });
    world.change(Method::POST, "setCommonInstanceMetadata", Some(&body)).await;
    assert_eq!(world.get("").await["commonInstanceMetadata"]["items"], body["items"]);
    let stale = world.refused(Method::POST, "setCommonInstanceMetadata", Some(&body)).await;
    assert_eq!(stale, (412, "conditionNotMet".to_owned()));
}

#[tokio::test]
async fn firewall_rules_are_kept() {
    let world = World::new().await;
    let body =
        json!({ "name": "web", "allowed": [{ "IPProtocol": "tcp", "ports": ["22", "80"] }], "targetTags": ["web"] });
    world.change(Method::POST, "global/firewalls", Some(&body)).await;
    assert_eq!(world.refused(Method::POST, "global/firewalls", Some(&body)).await.0, 409);
    world.change(Method::PATCH, "global/firewalls/web", Some(&json!({ "sourceRanges": ["10.0.0.0/8"] }))).await;
    let rule = world.get("global/firewalls/web").await;
    assert_eq!((&rule["sourceRanges"], &rule["targetTags"]), (&json!(["10.0.0.0/8"]), &json!(["web"])));
    assert_eq!((&rule["allowed"], &rule["direction"]), (&body["allowed"], &json!("INGRESS")));
    world.change(Method::DELETE, "global/firewalls/web", None).await;
    assert!(world.get("global/firewalls").await.get("items").is_none());
}
