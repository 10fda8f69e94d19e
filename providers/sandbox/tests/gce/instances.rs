//! Instances, their operations and their disks.

use remint_sandbox::embedded::Options;
use reqwest::Method;
use serde_json::{Value, json};

use crate::client::{World, ZONE, instance, until};

const INSTANCES: &str = "zones/us-central1-a/instances";

#[tokio::test]
async fn an_instance_lives_and_its_operations_tell() {
    let world = World::new().await;
    let others = json!({
        "labels": { "remint_service": "web" },
        "metadata": { "items": [{ "key": "user-data", "value": "#cloud-config\n" }] },
        "tags": { "items": ["http"] },
        "description": "one",
    });
    let (status, operation) = world.call(Method::POST, INSTANCES, Some(&instance("web-1", &others))).await;
    assert_eq!((status, &operation["operationType"]), (200, &json!("insert")), "{operation}");
    assert!(operation["id"].as_str().unwrap().parse::<u64>().is_ok());
    assert!(operation["name"].as_str().unwrap().starts_with("operation-"));
    assert!(operation["targetLink"].as_str().unwrap().ends_with("/zones/us-central1-a/instances/web-1"));
    assert!(operation.get("endTime").is_none());
    let done = world.wait(&operation).await;
    assert!(done.get("error").is_none() && done["endTime"].is_string(), "{done}");

    let shown = world.get(&format!("{INSTANCES}/web-1")).await;
    assert_eq!((&shown["status"], &shown["labels"]["remint_service"]), (&json!("RUNNING"), &json!("web")));
    assert_eq!(shown["id"], done["targetId"]);
    let number = shown["id"].as_str().unwrap();
    assert_eq!(world.get(&format!("{INSTANCES}/{number}")).await, shown, "its number is as good as its name");
    assert!(shown["networkInterfaces"][0]["accessConfigs"][0]["natIP"].as_str().unwrap().starts_with("127."));
    assert_eq!(shown["disks"][0]["diskSizeGb"], "10");
    assert_eq!(shown["metadata"]["items"][0]["key"], "user-data");
    assert!(world.get(&format!("zones/{ZONE}/disks/web-1")).await["users"][0].as_str().unwrap().ends_with("/web-1"));

    let stopped = world.change(Method::POST, &format!("{INSTANCES}/{number}/stop"), None).await;
    assert!(stopped["targetLink"].as_str().unwrap().ends_with("/instances/web-1"), "{stopped}");
    assert_eq!(world.get(&format!("{INSTANCES}/web-1")).await["status"], "TERMINATED");
    // Stopping what is stopped is a success.
    world.change(Method::POST, &format!("{INSTANCES}/web-1/stop"), None).await;
    world.change(Method::POST, &format!("{INSTANCES}/web-1/start"), None).await;
    assert_eq!(world.get(&format!("{INSTANCES}/web-1")).await["status"], "RUNNING");
    world.change(Method::POST, &format!("{INSTANCES}/web-1/reset"), None).await;

    world.change(Method::DELETE, &format!("{INSTANCES}/web-1"), None).await;
    assert_eq!(world.refused(Method::GET, &format!("{INSTANCES}/web-1"), None).await, (404, "notFound".to_owned()));
    assert_eq!(world.refused(Method::GET, &format!("zones/{ZONE}/disks/web-1"), None).await.0, 404);
    let operations = world.get(&format!("zones/{ZONE}/operations?filter=operationType%3Ddelete")).await;
    assert_eq!(operations["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_request_id_makes_one_instance_of_two_calls() {
    let world = World::new().await;
    let path = format!("{INSTANCES}?requestId=8f5cbd2f-3fd5-4d44-9d5a-5a2b1a0d2c11&%24alt=json");
    let (_, first) = world.call(Method::POST, &path, Some(&instance("web", &json!({})))).await;
    let (status, second) = world.call(Method::POST, &path, Some(&instance("web", &json!({})))).await;
    assert_eq!((status, &second["name"]), (200, &first["name"]));
    world.wait(&first).await;
    let (status, third) = world.call(Method::POST, &path, Some(&instance("web", &json!({})))).await;
    assert_eq!((status, &third["name"], &third["status"]), (200, &first["name"], &json!("DONE")));
    assert_eq!(world.get(INSTANCES).await["items"].as_array().unwrap().len(), 1);
    let again = world.refused(Method::POST, INSTANCES, Some(&instance("web", &json!({})))).await;
    assert_eq!(again, (409, "alreadyExists".to_owned()));
}

#[tokio::test]
async fn what_is_wrong_with_an_instance_is_refused_before_anything_is_made() {
    let world = World::new().await;
    let disk = |source: &str| json!([{ "boot": true, "initializeParams": { "sourceImage": source } }]);
    for (name, others, code, reason) in [
        ("Web", json!({}), 400, "invalid"),
        ("web", json!({ "labels": { "Upper": "x" } }), 400, "invalid"),
        ("web", json!({ "machineType": "zones/us-central1-a/machineTypes/huge" }), 400, "invalid"),
        ("web", json!({ "machineType": "zones/us-central1-b/machineTypes/e2-micro" }), 400, "invalid"),
        ("web", json!({ "machineType": "" }), 400, "required"),
        ("web", json!({ "disks": [] }), 400, "required"),
        ("web", json!({ "disks": disk("projects/debian-cloud/global/images/family/debian-3") }), 404, "notFound"),
        ("web", json!({ "disks": disk("global/images/mine") }), 404, "notFound"),
        ("web", json!({ "networkInterfaces": [] }), 400, "required"),
        ("web", json!({ "networkInterfaces": [{ "network": "global/networks/other" }] }), 400, "invalid"),
        (
            "web",
            json!({ "metadata": { "items": [{ "key": "startup-script", "value": "true" }] } }),
            501,
            "notImplemented",
        ),
        ("web", json!({ "metadata": { "items": [{ "key": "a" }, { "key": "a" }] } }), 400, "invalid"),
        ("web", json!({ "guestAccelerators": [{}] }), 501, "notImplemented"),
    ] {
        let refused = world.refused(Method::POST, INSTANCES, Some(&instance(name, &others))).await;
        assert_eq!(refused, (code, reason.to_owned()), "{name} {others}");
    }
    let bad_id =
        world.refused(Method::POST, &format!("{INSTANCES}?requestId=7"), Some(&instance("web", &json!({})))).await;
    assert_eq!(bad_id.0, 400);
    assert!(world.get(INSTANCES).await.get("items").is_none());
    assert!(world.get(&format!("zones/{ZONE}/operations")).await.get("items").is_none());
}

#[tokio::test]
async fn lists_are_filtered_and_come_in_pages() {
    let world = World::new().await;
    for (name, service) in [("a", "web"), ("b", "web"), ("c", "db")] {
        world.launch(name, &json!({ "labels": { "remint_service": service, "n": name } })).await;
    }
    let names = |list: &Value| -> Vec<String> {
        list["items"].as_array().into_iter().flatten().map(|item| item["name"].as_str().unwrap().to_owned()).collect()
    };
    let list = async |query: &str| world.get(&format!("{INSTANCES}?{query}")).await;
    assert_eq!(names(&list("filter=labels.remint_service%3Dweb").await), ["a", "b"]);
    assert_eq!(names(&list("filter=labels.remint_service%3Dweb%20AND%20labels.n%3Db").await), ["b"]);
    assert_eq!(names(&list("filter=name%20eq%20%22a%7Cc%22").await), ["a", "c"]);
    let first = list("maxResults=2").await;
    assert_eq!(names(&first), ["a", "b"]);
    let next = list(&format!("maxResults=2&pageToken={}", first["nextPageToken"].as_str().unwrap())).await;
    assert_eq!((names(&next), next.get("nextPageToken")), (vec!["c".to_owned()], None));
    let all = world.get("aggregated/instances?filter=labels.remint_service%3Ddb").await;
    assert_eq!(all["items"]["zones/us-central1-a"]["instances"][0]["name"], "c");
    assert_eq!(all["items"]["zones/europe-west3-a"]["warning"]["code"], "NO_RESULTS_ON_PAGE");
    assert_eq!(world.refused(Method::GET, &format!("{INSTANCES}?filter=%28"), None).await.1, "invalid");
}

#[tokio::test]
async fn labels_metadata_and_tags_change_by_their_fingerprints() {
    let world = World::new().await;
    let before = world.launch("web", &json!({ "labels": { "a": "1" } })).await;
    let path = |verb: &str| format!("{INSTANCES}/web/{verb}");
    let labels = |fingerprint: &Value| json!({ "labels": { "a": "2" }, "labelFingerprint": fingerprint });
    world.change(Method::POST, &path("setLabels"), Some(&labels(&before["labelFingerprint"]))).await;
    // The fingerprint is not the current one any more.
    let stale = world.refused(Method::POST, &path("setLabels"), Some(&labels(&before["labelFingerprint"]))).await;
    assert_eq!(stale, (412, "conditionNotMet".to_owned()));
    let items = json!([{ "key": "k", "value": "v" }]);
    let metadata = json!({ "items": items, "fingerprint": before["metadata"]["fingerprint"] });
    world.change(Method::POST, &path("setMetadata"), Some(&metadata)).await;
    assert_eq!(world.refused(Method::POST, &path("setMetadata"), Some(&metadata)).await.0, 412);
    let tags = json!({ "items": ["http"], "fingerprint": before["tags"]["fingerprint"] });
    world.change(Method::POST, &path("setTags"), Some(&tags)).await;
    let after = world.get(&format!("{INSTANCES}/web")).await;
    assert_eq!((&after["labels"], &after["metadata"]["items"]), (&json!({ "a": "2" }), &items));
    assert_eq!(after["tags"]["items"], json!(["http"]));

    world.change(Method::POST, &path("setDeletionProtection?deletionProtection=true"), None).await;
    let refused = world.refused(Method::DELETE, &format!("{INSTANCES}/web"), None).await;
    assert_eq!(refused, (400, "invalidResourceUsage".to_owned()));
    world.change(Method::POST, &path("setDeletionProtection?deletionProtection=false"), None).await;
    world.change(Method::DELETE, &format!("{INSTANCES}/web"), None).await;
}

#[tokio::test]
async fn an_instance_that_is_one_too_many_fails_as_an_operation() {
    let limits = remint_sandbox::cloud::AccountLimits { instances: 1, static_ips: 3 };
    let world = World::with(Options { limits, ..Options::default() }).await;
    world.launch("one", &json!({})).await;
    let failed = world.operate(Method::POST, INSTANCES, Some(&instance("two", &json!({})))).await;
    assert_eq!(
        (&failed["httpErrorStatusCode"], &failed["error"]["errors"][0]["code"]),
        (&json!(403), &json!("QUOTA_EXCEEDED"))
    );
    assert_eq!(world.refused(Method::GET, &format!("{INSTANCES}/two"), None).await.0, 404);
}

#[tokio::test]
async fn what_a_fault_rule_dooms_ends_with_an_error_and_changes_nothing() {
    let world = World::new().await;
    let doom = |path: &str| {
        let rule = json!({ "method": "POST", "path": path, "fault": "action_errored" });
        world.sandbox.add_fault(serde_json::from_value(rule).unwrap()).unwrap();
    };
    doom("*/instances");
    let failed = world.operate(Method::POST, INSTANCES, Some(&instance("web", &json!({})))).await;
    let code = &failed["error"]["errors"][0]["code"];
    assert_eq!((&failed["httpErrorStatusCode"], code), (&json!(503), &json!("ZONE_RESOURCE_POOL_EXHAUSTED")));
    until("the instance is gone", async || world.get(INSTANCES).await.get("items").is_none()).await;
    assert!(world.get(&format!("zones/{ZONE}/disks")).await.get("items").is_none());

    let before = world.launch("web", &json!({})).await;
    doom("*/setLabels");
    let labels = json!({ "labels": { "a": "b" }, "labelFingerprint": before["labelFingerprint"] });
    let failed = world.operate(Method::POST, &format!("{INSTANCES}/web/setLabels"), Some(&labels)).await;
    assert_eq!(failed["error"]["errors"][0]["code"], "INTERNAL_ERROR");
    assert!(world.get(&format!("{INSTANCES}/web")).await.get("labels").is_none());

    for (fault, code, reason) in [("rate_limited", 403, "rateLimitExceeded"), ("server_error", 503, "backendError")] {
        let rule = json!({ "method": "GET", "path": "*/instances/web", "fault": fault });
        world.sandbox.add_fault(serde_json::from_value(rule).unwrap()).unwrap();
        let refused = world.refused(Method::GET, &format!("{INSTANCES}/web"), None).await;
        assert_eq!(refused, (code, reason.to_owned()));
    }
}
