//! What requests say: booleans and numbers in whatever form Google takes them, and nothing that is dropped.

use remint_sandbox::gce::PROJECT;
use reqwest::Method;
use serde_json::{Value, json};

use crate::client::{REGION, UBUNTU, World, ZONE, instance};

/// gcloud's `--no-deletion-protection` sends `False`.
#[tokio::test]
async fn booleans_of_a_query_are_read_as_google_reads_them() {
    let world = World::new().await;
    world.launch("web", &json!({})).await;
    let web = format!("zones/{ZONE}/instances/web");
    for (text, on) in [("True", true), ("False", false), ("1", true), ("0", false), ("", true), ("no", false)] {
        world.change(Method::POST, &format!("{web}/setDeletionProtection?deletionProtection={text}"), None).await;
        assert_eq!(world.get(&web).await["deletionProtection"], json!(on), "{text}");
    }
    for call in ["setDeletionProtection?deletionProtection=maybe", "stop?noGracefulShutdown=maybe"] {
        let refused = world.refused(Method::POST, &format!("{web}/{call}"), None).await;
        assert_eq!(refused, (400, "invalid".to_owned()), "{call}");
    }
    let image = json!({ "name": "web-1", "sourceDisk": format!("zones/{ZONE}/disks/web") });
    let image = Some(&image);
    let running = world.refused(Method::POST, "global/images?forceCreate=False", image).await;
    assert_eq!(running, (400, "resourceInUseByAnotherResource".to_owned()));
    world.change(Method::POST, "global/images?forceCreate=True", image).await;
}

#[tokio::test]
async fn numbers_and_booleans_of_a_body_may_be_text() {
    let world = World::new().await;
    let shown = world.launch("web", &json!({ "canIpForward": "true", "deletionProtection": "False" })).await;
    assert_eq!((&shown["canIpForward"], &shown["deletionProtection"]), (&json!(true), &json!(false)));
    let rule = json!({ "name": "http", "priority": "900", "disabled": "True", "allowed": [{ "IPProtocol": "tcp" }] });
    world.change(Method::POST, "global/firewalls", Some(&rule)).await;
    let shown = world.get("global/firewalls/http").await;
    assert_eq!((&shown["priority"], &shown["disabled"]), (&json!(900), &json!(true)));

    let zones = format!("/dns/v1/projects/{PROJECT}/managedZones");
    let post = async |path: &str, body: Value| world.bare(Method::POST, path, Some(&world.token), Some(&body)).await;
    let zone = json!({ "name": "zone", "dnsName": "example.test.", "description": "" });
    assert_eq!(post(&zones, zone).await.0, 200);
    let set = |ttl: Value| json!({ "additions": [{ "name": "www.example.test.", "type": "A", "ttl": ttl, "rrdatas": ["192.0.2.1"] }] });
    let (status, change) = post(&format!("{zones}/zone/changes"), set(json!("300"))).await;
    assert_eq!((status, &change["additions"][0]["ttl"]), (200, &json!(300)), "{change}");
    let (status, refused) = post(&format!("{zones}/zone/changes"), set(json!("soon"))).await;
    assert_eq!(status, 400, "{refused}");
    assert!(refused["error"]["message"].as_str().unwrap().contains("additions[0].ttl"), "{refused}");
}

/// Everything that the sandbox would drop is refused, with the field's name.
#[tokio::test]
async fn what_would_be_dropped_is_refused() {
    let world = World::new().await;
    let instances = format!("zones/{ZONE}/instances");
    let disk = |more: Value| with(json!({ "boot": true, "initializeParams": { "sourceImage": UBUNTU } }), more);
    let params = |more: Value| disk(json!({ "initializeParams": with(json!({ "sourceImage": UBUNTU }), more) }));
    let access = |more: Value| json!([{ "accessConfigs": [more] }]);
    for (field, others) in [
        ("minCpuPlatform", json!({ "minCpuPlatform": "Intel Skylake" })),
        ("resourcePolicies", json!({ "resourcePolicies": ["projects/p/regions/r/resourcePolicies/daily"] })),
        ("guestAccelerators", json!({ "guestAccelerators": [{ "acceleratorCount": 1 }] })),
        ("hostname", json!({ "hostname": "web.example.test" })),
        ("shieldedInstanceConfig", json!({ "shieldedInstanceConfig": { "enableVtpm": true } })),
        ("advancedMachineFeatures", json!({ "advancedMachineFeatures": { "threadsPerCore": 1 } })),
        ("scheduling.maxRunDuration", json!({ "scheduling": { "maxRunDuration": { "seconds": "60" } } })),
        ("reservations", json!({ "reservationAffinity": { "consumeReservationType": "SPECIFIC_RESERVATION" } })),
        ("networkInterfaces[0].nicType", json!({ "networkInterfaces": [{ "nicType": "GVNIC" }] })),
        ("networkInterfaces[0].networkIP", json!({ "networkInterfaces": [{ "networkIP": "10.128.0.5" }] })),
        (
            "networkInterfaces[0].aliasIpRanges",
            json!({ "networkInterfaces": [{ "aliasIpRanges": [{ "ipCidrRange": "/24" }] }] }),
        ),
        ("IPv6", json!({ "networkInterfaces": [{ "stackType": "IPV4_IPV6" }] })),
        (
            "accessConfigs[0].publicPtrDomainName",
            json!({ "networkInterfaces": access(json!({ "publicPtrDomainName": "x." })) }),
        ),
        ("disks[0].diskEncryptionKey", json!({ "disks": [disk(json!({ "diskEncryptionKey": { "rawKey": "x" } }))] })),
        ("persistent", json!({ "disks": [disk(json!({ "type": "SCRATCH" }))] })),
        ("only read", json!({ "disks": [disk(json!({ "mode": "READ_ONLY" }))] })),
        ("initializeParams.resourcePolicies", json!({ "disks": [params(json!({ "resourcePolicies": ["daily"] }))] })),
        ("initializeParams.provisionedIops", json!({ "disks": [params(json!({ "provisionedIops": "3000" }))] })),
        ("X86_64", json!({ "disks": [params(json!({ "architecture": "ARM64" }))] })),
    ] {
        let (status, answer) = world.call(Method::POST, &instances, Some(&instance("web", &others))).await;
        let error = &answer["error"];
        assert_eq!((status, &error["errors"][0]["reason"]), (501, &json!("notImplemented")), "{field}: {answer}");
        assert!(error["message"].as_str().unwrap().contains(field), "{field}: {error}");
    }
    assert_eq!(world.get(&instances).await.get("items"), None);

    for (below, body) in [
        (format!("zones/{ZONE}/disks"), json!({ "name": "x", "sourceImage": UBUNTU, "resourcePolicies": ["daily"] })),
        ("global/images".to_owned(), json!({ "name": "x", "sourceDisk": "x", "storageLocations": ["eu"] })),
        (format!("regions/{REGION}/addresses"), json!({ "name": "x", "purpose": "VPC_PEERING" })),
        (format!("regions/{REGION}/forwardingRules"), json!({ "name": "x", "target": "x", "serviceLabel": "x" })),
        (format!("zones/{ZONE}/targetInstances"), json!({ "name": "x", "instance": "x", "network": "x" })),
        (
            "global/firewalls".to_owned(),
            json!({ "name": "x", "allowed": [{ "IPProtocol": "tcp" }], "logConfig": { "enable": true } }),
        ),
    ] {
        let refused = world.refused(Method::POST, &below, Some(&body)).await;
        assert_eq!(refused, (501, "notImplemented".to_owned()), "{below}");
    }
    let zones = format!("/dns/v1/projects/{PROJECT}/managedZones");
    let zone = json!({ "name": "z", "dnsName": "example.test.", "description": "", "peeringConfig": { "targetNetwork": { "networkUrl": "x" } } });
    assert_eq!(world.bare(Method::POST, &zones, Some(&world.token), Some(&zone)).await.0, 501);
}

/// What a client says that is so anyway, and what it sends back of an answer, is no reason to refuse.
#[tokio::test]
async fn what_is_usual_is_let_through() {
    let world = World::new().await;
    let disk = json!({
        "kind": "compute#attachedDisk", "type": "PERSISTENT", "mode": "READ_WRITE", "interface": "SCSI", "index": 0,
        "boot": true, "autoDelete": true, "guestOsFeatures": [], "licenses": [],
        "initializeParams": { "sourceImage": UBUNTU, "architecture": "X86_64", "resourcePolicies": [] },
    });
    let others = json!({
        "kind": "compute#instance", "zone": format!("zones/{ZONE}"), "minCpuPlatform": "", "hostname": null,
        "displayDevice": { "enableDisplay": false }, "confidentialInstanceConfig": { "enableConfidentialCompute": false },
        "reservationAffinity": { "consumeReservationType": "ANY_RESERVATION" },
        "scheduling": { "automaticRestart": true, "preemptible": false, "onHostMaintenance": "TERMINATE" },
        "serviceAccounts": [{ "email": "default", "scopes": ["https://www.googleapis.com/auth/cloud-platform"] }],
        "disks": [disk], "networkInterfaces": [{ "name": "nic0", "stackType": "IPV4_ONLY" }],
    });
    let shown = world.launch("web", &others).await;
    assert_eq!(shown["scheduling"]["onHostMaintenance"], "TERMINATE");
    assert_eq!(shown["scheduling"]["provisioningModel"], "STANDARD");
    assert_eq!(shown["serviceAccounts"][0]["email"], "default");
    let rule = json!({ "name": "http", "allowed": [{ "IPProtocol": "tcp", "ports": ["80"] }], "logConfig": { "enable": false } });
    world.change(Method::POST, "global/firewalls", Some(&rule)).await;
    let shown = world.get("global/firewalls/http").await;
    world.change(Method::PUT, "global/firewalls/http", Some(&shown)).await;
    assert_eq!(world.get("global/firewalls/http").await, shown, "what was shown may be sent back");
}

/// The fields of both, the second's where they are in both.
fn with(mut one: Value, other: Value) -> Value {
    one.as_object_mut().unwrap().extend(other.as_object().unwrap().clone());
    one
}
