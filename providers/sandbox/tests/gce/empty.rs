//! What clients read first, whether or not there is anything: lists that are always empty, and a family's image in a zone.

use remint_sandbox::gce::PROJECT;
use reqwest::Method;
use serde_json::json;

use crate::client::{REGION, World, ZONE};

#[tokio::test]
async fn lists_of_what_nothing_makes_are_empty() {
    let world = World::new().await;
    for below in
        ["global/snapshots", "global/healthChecks", "global/addresses", "global/urlMaps", "global/instanceTemplates"]
    {
        assert_eq!(world.get(below).await.get("items"), None, "{below}");
        assert_eq!(world.refused(Method::GET, &format!("{below}/x"), None).await, (404, "notFound".to_owned()));
        assert_eq!(world.refused(Method::POST, below, Some(&json!({ "name": "x" }))).await.0, 501, "{below}");
    }
    for (place, kind) in [
        (format!("regions/{REGION}"), "routers"),
        (format!("regions/{REGION}"), "targetPools"),
        (format!("regions/{REGION}"), "resourcePolicies"),
        (format!("zones/{ZONE}"), "instanceGroups"),
        (format!("zones/{ZONE}"), "instanceGroupManagers"),
        (format!("zones/{ZONE}"), "reservations"),
    ] {
        assert_eq!(world.get(&format!("{place}/{kind}")).await.get("items"), None, "{kind}");
        let all = world.get(&format!("aggregated/{kind}")).await;
        assert_eq!(all["items"][&place]["warning"]["code"], "NO_RESULTS_ON_PAGE", "{kind}");
    }
    let kinds = world.get(&format!("zones/{ZONE}/diskTypes")).await;
    assert_eq!(kinds["items"].as_array().unwrap().len(), 4);
    assert_eq!(world.get(&format!("zones/{ZONE}/diskTypes/pd-ssd")).await["name"], "pd-ssd");
}

#[tokio::test]
async fn a_zone_has_no_dnssec() {
    let world = World::new().await;
    let dns = async |method: Method, below: &str, body: Option<&serde_json::Value>| {
        world.bare(method, &format!("/dns/v1/projects/{PROJECT}/{below}"), Some(&world.token), body).await
    };
    let zone =
        json!({ "name": "zone", "dnsName": "example.test.", "description": "", "dnssecConfig": { "state": "off" } });
    let (status, zone) = dns(Method::POST, "managedZones", Some(&zone)).await;
    assert_eq!((status, &zone["dnssecConfig"]["state"]), (200, &json!("off")), "{zone}");
    for (below, name) in [
        ("managedZones/zone/dnsKeys", "dnsKeys"),
        ("managedZones/zone/operations", "operations"),
        ("policies", "policies"),
        ("responsePolicies", "responsePolicies"),
    ] {
        let (status, list) = dns(Method::GET, below, None).await;
        assert_eq!((status, &list[name]), (200, &json!([])), "{below}: {list}");
    }
    assert_eq!(dns(Method::GET, "managedZones/other/dnsKeys", None).await.0, 404);
    let signed =
        json!({ "name": "other", "dnsName": "example.org.", "description": "", "dnssecConfig": { "state": "on" } });
    assert_eq!(dns(Method::POST, "managedZones", Some(&signed)).await.0, 501);
}

/// What `gcloud compute instances create --image-family` asks first.
#[tokio::test]
async fn the_image_of_a_family_is_shown_for_any_zone() {
    let world = World::new().await;
    for zone in ["-", ZONE] {
        let path = format!("/compute/v1/projects/ubuntu-os-cloud/zones/{zone}/imageFamilyViews/ubuntu-2404-lts-amd64");
        let (status, view) = world.bare(Method::GET, &path, Some(&world.token), None).await;
        assert_eq!((status, &view["image"]["family"]), (200, &json!("ubuntu-2404-lts-amd64")), "{view}");
    }
    let path = "/compute/v1/projects/ubuntu-os-cloud/zones/-/imageFamilyViews/other";
    assert_eq!(world.bare(Method::GET, path, Some(&world.token), None).await.0, 404);
}
