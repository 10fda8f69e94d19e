//! Images and snapshots.

use super::account::{Account, REGION};

async fn bake(account: &Account, name: &str) -> (String, String) {
    let id = account.instance(&[]).await;
    account.call("StopInstances", &[("InstanceId.1", &id)]).await.good();
    account.until(&id, "stopped").await;
    let made = [
        ("InstanceId", id.as_str()),
        ("Name", name),
        ("TagSpecification.1.ResourceType", "image"),
        ("TagSpecification.1.Tag.1.Key", "baked"),
        ("TagSpecification.1.Tag.1.Value", "yes"),
        ("TagSpecification.2.ResourceType", "snapshot"),
        ("TagSpecification.2.Tag.1.Key", "baked"),
        ("TagSpecification.2.Tag.1.Value", "yes"),
    ];
    let image = account.call("CreateImage", &made).await.good().get("imageId").unwrap();
    (id, image)
}

async fn available(account: &Account, image: &str) -> super::account::Answer {
    account
        .wait("DescribeImages", &[("ImageId.1", image)], |answer| {
            answer.get("imageState").as_deref() == Some("available")
        })
        .await
}

#[tokio::test]
async fn an_image_is_taken_launched_and_deregistered_with_its_snapshot() {
    let account = Account::start().await;
    let (instance, image) = bake(&account, "app-1").await;
    let described = available(&account, &image).await;
    let snapshot = described.get("snapshotId").unwrap();
    assert_eq!(described.get("sourceInstanceId").unwrap(), instance);
    let own = [("Owner.1", "self"), ("Filter.1.Name", "tag:baked"), ("Filter.1.Value.1", "yes")];
    assert_eq!(account.call("DescribeImages", &own).await.all("imageId"), std::slice::from_ref(&image));
    let again = [("InstanceId", instance.as_str()), ("Name", "app-1")];
    let duplicate = account.call("CreateImage", &again).await;
    assert!(duplicate.code() == "InvalidAMIName.Duplicate" && duplicate.text.contains(&image), "{duplicate:?}");
    let bad = [("InstanceId", instance.as_str()), ("Name", "a:b")];
    assert_eq!(account.call("CreateImage", &bad).await.code(), "InvalidAMIName.Malformed");

    let status = account.call("DescribeSnapshots", &[("Owner.1", "self")]).await.good();
    assert_eq!(
        (status.all("snapshotId"), status.get("status").unwrap()),
        (vec![snapshot.clone()], "completed".to_owned())
    );
    assert_eq!(account.call("DeleteSnapshot", &[("SnapshotId", &snapshot)]).await.code(), "InvalidSnapshot.InUse");
    let launch = [("ImageId", image.as_str()), ("MinCount", "1"), ("MaxCount", "1")];
    let second = account.call("RunInstances", &launch).await.good().get("instanceId").unwrap();
    account.until(&second, "running").await;

    account.call("DeregisterImage", &[("ImageId", &image)]).await.good();
    assert_eq!(account.call("DescribeImages", &[("ImageId.1", &image)]).await.code(), "InvalidAMIID.NotFound");
    assert_eq!(account.call("RunInstances", &launch).await.code(), "InvalidAMIID.NotFound");
    account.call("DeleteSnapshot", &[("SnapshotId", &snapshot)]).await.good();
    assert_eq!(account.call("DescribeSnapshots", &[]).await.all("snapshotId").len(), 0);
    account.until(&second, "running").await;

    let (_, other) = bake(&account, "app-2").await;
    available(&account, &other).await;
    let whole = [("ImageId", other.as_str()), ("DeleteAssociatedSnapshots", "true")];
    let gone = account.call("DeregisterImage", &whole).await.good();
    assert_eq!(gone.get("returnCode").unwrap(), "success");
    assert_eq!(account.call("DescribeSnapshots", &[]).await.all("snapshotId").len(), 0);
}

#[tokio::test]
async fn a_copy_is_an_image_of_its_own_in_another_region() {
    let account = Account::start().await;
    let (_, image) = bake(&account, "app").await;
    available(&account, &image).await;
    let copy = [("SourceImageId", image.as_str()), ("SourceRegion", REGION), ("Name", "app")];
    let copied = account.call_in("eu-central-1", "CopyImage", &copy).await.good().get("imageId").unwrap();
    assert_ne!(copied, image);
    assert_eq!(account.call("DescribeImages", &[("ImageId.1", &copied)]).await.code(), "InvalidAMIID.NotFound");
    let there = account.call_in("eu-central-1", "DescribeImages", &[("ImageId.1", &copied)]).await.good();
    assert_eq!(there.get("imageState").unwrap(), "available");
    assert_eq!(account.call_in("eu-central-1", "CopyImage", &copy).await.code(), "InvalidAMIName.Duplicate");
    // The original's end is not the copy's.
    let whole = [("ImageId", image.as_str()), ("DeleteAssociatedSnapshots", "true")];
    account.call("DeregisterImage", &whole).await.good();
    let launch = [("ImageId", copied.as_str()), ("MinCount", "1"), ("MaxCount", "1")];
    let launched = account.call_in("eu-central-1", "RunInstances", &launch).await.good().get("instanceId").unwrap();
    for _ in 0..1000 {
        let seen = account.call_in("eu-central-1", "DescribeInstances", &[("InstanceId.1", &launched)]).await.good();
        if seen.text.contains("<name>running</name>") {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("{launched} never ran");
}

#[tokio::test]
async fn an_image_of_a_running_instance_reboots_it_or_not() {
    let account = Account::start().await;
    let id = account.instance(&[]).await;
    let boots = async || {
        let answer = account.call("GetConsoleOutput", &[("InstanceId", &id)]).await.good();
        let output = answer.get("output").unwrap_or_default();
        use base64::{Engine as _, engine::general_purpose::STANDARD};
        String::from_utf8(STANDARD.decode(output).unwrap()).unwrap().matches("Linux version").count()
    };
    let first = [("InstanceId", id.as_str()), ("Name", "without"), ("NoReboot", "true")];
    let image = account.call("CreateImage", &first).await.good().get("imageId").unwrap();
    available(&account, &image).await;
    assert_eq!(boots().await, 1);
    account.until(&id, "running").await;
    let second = [("InstanceId", id.as_str()), ("Name", "with")];
    let image = account.call("CreateImage", &second).await.good().get("imageId").unwrap();
    available(&account, &image).await;
    for _ in 0..1000 {
        if boots().await == 2 {
            account.until(&id, "running").await;
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("it was not rebooted");
}

#[tokio::test]
async fn public_images_are_found_by_owner_name_and_parameter() {
    let account = Account::start().await;
    let image = account.debian(REGION).await;
    assert_ne!(account.debian("us-west-2").await, image, "an image's id is regional");
    let (status, body) =
        account.parameters("GetParameter", r#"{"Name":"/aws/service/debian/release/12/latest/amd64"}"#).await;
    assert_eq!((status, body["Parameter"]["Value"].as_str()), (200, Some(image.as_str())), "{body}");
    let described = account.call("DescribeImages", &[("ImageId.1", &image)]).await.good();
    assert_eq!(described.get("name").unwrap(), "debian-12-amd64-20260101-0000");
    assert_eq!(described.get("isPublic").unwrap(), "true");
    assert_eq!(account.call("DeregisterImage", &[("ImageId", &image)]).await.code(), "InvalidAMIID.NotFound");
    assert_eq!(account.call("DescribeImages", &[("Owner.1", "self")]).await.all("imageId").len(), 0);
}
