//! Images, and disks that outlive their instance.

use reqwest::Method;
use serde_json::{Value, json};

use crate::client::{DEBIAN, UBUNTU, World, ZONE, instance, until};

const IMAGES: &str = "global/images";

fn from_disk(name: &str, disk: &str, others: &Value) -> Value {
    let mut body = json!({ "name": name, "sourceDisk": format!("zones/{ZONE}/disks/{disk}") });
    body.as_object_mut().unwrap().extend(others.as_object().unwrap().clone());
    body
}

#[tokio::test]
async fn an_image_is_taken_of_a_stopped_instance_and_launches_others() {
    let world = World::new().await;
    world.launch("builder", &json!({})).await;
    let body = from_disk("web-1", "builder", &json!({ "family": "web", "labels": { "remint_fingerprint": "abc" } }));
    let busy = world.refused(Method::POST, IMAGES, Some(&body)).await;
    assert_eq!(busy, (400, "resourceInUseByAnotherResource".to_owned()));
    world.change(Method::POST, &format!("zones/{ZONE}/instances/builder/stop"), None).await;
    let done = world.change(Method::POST, IMAGES, Some(&body)).await;
    assert!(done.get("zone").is_none() && done["selfLink"].as_str().unwrap().contains("/global/operations/"), "{done}");
    let image = world.get(&format!("{IMAGES}/web-1")).await;
    assert_eq!(
        (&image["status"], &image["family"], &image["diskSizeGb"]),
        (&json!("READY"), &json!("web"), &json!("10"))
    );
    assert_eq!(world.refused(Method::POST, IMAGES, Some(&body)).await, (409, "alreadyExists".to_owned()));

    // The newest of a family that is not deprecated.
    world.change(Method::POST, IMAGES, Some(&from_disk("web-2", "builder", &json!({ "family": "web" })))).await;
    assert_eq!(world.get(&format!("{IMAGES}/family/web")).await["name"], "web-2");
    let state = json!({ "state": "DEPRECATED" });
    world.change(Method::POST, &format!("{IMAGES}/web-2/deprecate"), Some(&state)).await;
    assert_eq!(world.get(&format!("{IMAGES}/family/web")).await["name"], "web-1");
    let found = world.get(&format!("{IMAGES}?filter=labels.remint_fingerprint%3Dabc")).await;
    assert_eq!(found["items"].as_array().unwrap().len(), 1);

    let disks = json!([{ "boot": true, "autoDelete": true, "initializeParams": { "sourceImage": "global/images/family/web" } }]);
    world.launch("web", &json!({ "disks": disks })).await;
    let disk = world.get(&format!("zones/{ZONE}/disks/web")).await;
    assert!(disk["sourceImage"].as_str().unwrap().ends_with("/global/images/web-1"), "{disk}");
    let smaller =
        json!([{ "boot": true, "initializeParams": { "sourceImage": "global/images/web-1", "diskSizeGb": 5 } }]);
    let refused = world
        .refused(Method::POST, &format!("zones/{ZONE}/instances"), Some(&instance("x", &json!({ "disks": smaller }))))
        .await;
    assert_eq!(refused, (400, "invalid".to_owned()));

    let labels = json!({ "labels": { "a": "b" }, "labelFingerprint": image["labelFingerprint"] });
    world.change(Method::POST, &format!("{IMAGES}/web-1/setLabels"), Some(&labels)).await;
    assert_eq!(world.refused(Method::POST, &format!("{IMAGES}/web-1/setLabels"), Some(&labels)).await.0, 412);
    for name in ["web-1", "web-2"] {
        world.change(Method::DELETE, &format!("{IMAGES}/{name}"), None).await;
        assert_eq!(world.refused(Method::GET, &format!("{IMAGES}/{name}"), None).await, (404, "notFound".to_owned()));
    }
    assert_eq!(world.get(&format!("zones/{ZONE}/instances/web")).await["status"], "RUNNING");
}

#[tokio::test]
async fn public_images_are_found_by_name_and_family_and_cannot_be_changed() {
    let world = World::new().await;
    let at = |below: &str| format!("/compute/v1/projects/debian-cloud/global/images{below}");
    let get = async |below: &str| world.bare(Method::GET, &at(below), Some(&world.token), None).await;
    let (status, family) = get("/family/debian-12").await;
    assert_eq!((status, &family["name"]), (200, &json!("debian-12-bookworm-v20260101")), "{family}");
    assert_eq!(get("/debian-12-bookworm-v20260101").await.1["family"], "debian-12");
    assert_eq!(get("/family/debian-3").await.0, 404);
    let (_, list) = get("").await;
    assert_eq!(list["items"].as_array().unwrap().len(), 2, "{list}");
    let (status, _) = world.bare(Method::DELETE, &at("/debian-12-bookworm-v20260101"), Some(&world.token), None).await;
    assert_eq!(status, 403);
    assert_eq!(world.refused(Method::GET, "global/images/debian-12-bookworm-v20260101", None).await.0, 404);
    let (status, ubuntu) = world.bare(Method::GET, &format!("/compute/v1/{UBUNTU}"), Some(&world.token), None).await;
    assert_eq!((status, &ubuntu["name"]), (200, &json!("ubuntu-2404-noble-amd64-v20260101")), "{ubuntu}");
    assert_ne!(ubuntu["id"], family["id"]);
    world.launch("web", &json!({})).await;
    let disk = world.get(&format!("zones/{ZONE}/disks/web")).await;
    assert_eq!((&disk["sourceImage"], &disk["sourceImageId"]), (&ubuntu["selfLink"], &ubuntu["id"]));
}

#[tokio::test]
async fn user_data_is_refused_where_google_would_ignore_it() {
    let world = World::new().await;
    let with_data = |name: &str, disk: Value| {
        let metadata = json!({ "items": [{ "key": "user-data", "value": "#cloud-config\n" }] });
        instance(name, &json!({ "disks": [disk], "metadata": metadata }))
    };
    let from = |image: &str| json!({ "boot": true, "autoDelete": true, "initializeParams": { "sourceImage": image } });
    let instances = format!("zones/{ZONE}/instances");
    let named =
        "https://www.googleapis.com/compute/v1/projects/debian-cloud/global/images/debian-12-bookworm-v20260101";
    for image in [DEBIAN, named, "projects/debian-cloud/global/images/family/debian-13"] {
        let (status, answer) = world.call(Method::POST, &instances, Some(&with_data("web", from(image)))).await;
        let message = answer["error"]["message"].as_str().unwrap();
        assert!(status == 400 && message.contains("have no cloud-init"), "{image}: {answer}");
        assert!(message.contains("ignores its user data") && message.contains("ubuntu-2404-lts-amd64"), "{answer}");
    }
    // A disk that no instance had yet is still the public image.
    let disks = format!("zones/{ZONE}/disks");
    world.change(Method::POST, &disks, Some(&json!({ "name": "data", "sourceImage": DEBIAN }))).await;
    let existing = json!({ "boot": true, "source": format!("{disks}/data") });
    assert_eq!(world.refused(Method::POST, &instances, Some(&with_data("web", existing.clone()))).await.0, 400);
    assert!(world.get(&instances).await.get("items").is_none(), "nothing was made");

    // Without user data it is an image like any other, and whoever used it may have given it cloud-init.
    world.launch("builder", &json!({ "disks": [existing] })).await;
    world.change(Method::POST, &format!("{instances}/builder/stop"), None).await;
    world.change(Method::POST, IMAGES, Some(&from_disk("mine", "data", &json!({})))).await;
    world.change(Method::POST, &instances, Some(&with_data("of-mine", from("global/images/mine")))).await;
    world.change(Method::DELETE, &format!("{instances}/builder"), None).await;
    let kept = json!({ "boot": true, "source": format!("{disks}/data") });
    world.change(Method::POST, &instances, Some(&with_data("of-data", kept))).await;
    world.change(Method::POST, &instances, Some(&with_data("of-ubuntu", from(UBUNTU)))).await;
}

#[tokio::test]
async fn a_disk_that_is_kept_makes_an_image_and_another_instance() {
    let world = World::new().await;
    let disks = json!([{
        "boot": true,
        "autoDelete": false,
        "initializeParams": { "sourceImage": DEBIAN, "diskName": "data" },
    }]);
    world.launch("one", &json!({ "disks": disks })).await;
    let at = format!("zones/{ZONE}/disks/data");
    let busy = world.refused(Method::DELETE, &at, None).await;
    assert_eq!(busy, (400, "resourceInUseByAnotherResource".to_owned()));
    world.change(Method::DELETE, &format!("zones/{ZONE}/instances/one"), None).await;
    assert!(world.get(&at).await.get("users").is_none());
    world.change(Method::POST, IMAGES, Some(&from_disk("of-data", "data", &json!({})))).await;
    assert_eq!(world.get(&format!("{IMAGES}/of-data")).await["status"], "READY");

    let disks = json!([{ "boot": true, "autoDelete": true, "source": at }]);
    world.launch("two", &json!({ "disks": disks })).await;
    assert!(world.get(&at).await["users"][0].as_str().unwrap().ends_with("/instances/two"));
    // The image was the disk's data, and stays when the disk goes.
    world.change(Method::DELETE, &format!("zones/{ZONE}/instances/two"), None).await;
    assert_eq!(world.refused(Method::GET, &at, None).await.0, 404);
    let disks =
        json!([{ "boot": true, "autoDelete": true, "initializeParams": { "sourceImage": "global/images/of-data" } }]);
    world.launch("three", &json!({ "disks": disks })).await;
    world.change(Method::DELETE, &format!("{IMAGES}/of-data"), None).await;

    let body = json!({ "name": "spare", "sourceImage": DEBIAN, "sizeGb": "12" });
    world.change(Method::POST, &format!("zones/{ZONE}/disks"), Some(&body)).await;
    assert_eq!(world.get(&format!("zones/{ZONE}/disks/spare")).await["sizeGb"], "12");
    world.change(Method::DELETE, &format!("zones/{ZONE}/disks/spare"), None).await;
}

#[tokio::test]
async fn an_image_that_cannot_be_taken_is_left_failed() {
    let world = World::new().await;
    world.launch("builder", &json!({})).await;
    let rule = json!({ "method": "POST", "path": "*/global/images", "fault": "action_errored" });
    world.sandbox.add_fault(serde_json::from_value(rule).unwrap()).unwrap();
    let body = from_disk("web", "builder", &json!({}));
    let failed = world.operate(Method::POST, &format!("{IMAGES}?forceCreate=true"), Some(&body)).await;
    assert_eq!(failed["error"]["errors"][0]["code"], "INTERNAL_ERROR", "{failed}");
    assert_eq!(world.get(&format!("{IMAGES}/web")).await["status"], "FAILED");
    world.change(Method::DELETE, &format!("{IMAGES}/web"), None).await;
    until("the image is gone", async || world.get(IMAGES).await.get("items").is_none()).await;
}
