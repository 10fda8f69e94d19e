use remint_core::provider::{CaptureProgress, CaptureSpec, Effect, ErrorKind, Images, Labels, Region, Selector, label};
use wiremock::MockServer;

use crate::{
    memory::Offer,
    testing::{
        actions, drop_once_asked, ec2, field, forms, image, images, instance, instances, launcher, provider, refusal,
        serve, serve_late,
    },
};

const ORIGINAL: &str = "ami-00000001";
const COPY: &str = "ami-00000002";
const INSTANCE: &str = "i-0123456789abcdef0";

fn labels() -> [(&'static str, &'static str); 1] {
    [(label::SERVICE, "app")]
}

fn capture_spec() -> CaptureSpec {
    CaptureSpec {
        instance: INSTANCE.into(),
        name: "app-0123456789ab".into(),
        labels: Labels::new().with(label::SERVICE, "app"),
    }
}

fn original_with_copy() -> String {
    image(ORIGINAL, "available", "snap-1", &[labels()[0], ("remint:copy:us-west-2", "yes")])
}

fn copy(state: &str) -> String {
    let source = [("remint:source", ORIGINAL), ("remint:source-region", "us-east-1")];
    image(COPY, state, "snap-2", &[labels()[0], source[0], source[1]])
}

#[tokio::test]
async fn an_image_is_in_a_region_once_its_copy_is_available() {
    let server = MockServer::start().await;
    let answers =
        [original_with_copy(), copy("pending"), original_with_copy(), copy("available"), original_with_copy()];
    serve(&server, "DescribeImages", answers.iter().map(|item| images(std::slice::from_ref(item))).collect()).await;
    let aws = provider(&server);
    let there = Region::from("us-west-2");
    assert!(!aws.get(&ORIGINAL.into()).await.unwrap().regions.contains(&there));
    assert!(aws.get(&ORIGINAL.into()).await.unwrap().regions.contains(&there));
    let listed = aws.list(&Selector::all()).await.unwrap();
    assert!(listed.len() == 1 && listed[0].regions.contains(&there), "{listed:?}");
    assert_eq!(actions(&server).await.len(), 5, "a copy that was seen available is not looked at again");
}

#[tokio::test]
async fn a_base_image_is_for_the_architecture_of_the_size() {
    let of = |id: &str, architecture: &str| {
        let architecture = format!("<architecture>{architecture}</architecture><imageState>");
        image(id, "available", "snap-1", &[]).replace("<imageState>", &architecture)
    };
    let aws_with = |server: &MockServer, size: &str, architecture: &str| {
        let mut aws = launcher(server);
        let known = aws.memory.lock().offers.values().next().unwrap().clone();
        let offer = Offer { architectures: vec![architecture.to_owned()], ..known };
        aws.memory.lock().offers.insert((size.to_owned(), "us-east-1".into()), offer);
        aws.settings.size = Some(size.into());
        aws
    };
    let (x86, arm) = (of("ami-0000000a", "x86_64"), of("ami-0000000b", "arm64"));
    let region = Region::from("us-east-1");
    let pattern = "136693071363/debian-12-*";
    let server = MockServer::start().await;
    serve(&server, "DescribeImages", vec![images(&[x86.clone(), arm.clone()])]).await;
    for (size, architecture, id) in [("t3.small", "x86_64", "ami-0000000a"), ("t4g.small", "arm64", "ami-0000000b")] {
        let found = aws_with(&server, size, architecture).resolve(pattern, &region).await.unwrap();
        assert_eq!(found.id.as_str(), id);
    }
    assert_eq!(provider(&server).resolve(pattern, &region).await.unwrap().id.as_str(), "ami-0000000a");

    let server = MockServer::start().await;
    serve(&server, "DescribeImages", vec![images(&[x86])]).await;
    for base in [pattern, "ami-0000000a"] {
        let error = aws_with(&server, "t4g.small", "arm64").resolve(base, &region).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert_eq!(error.message(), "the image is for x86_64, and size t4g.small runs arm64");
        assert!(error.hint().unwrap().contains("base image for arm64"), "{error:?}");
    }
}

#[tokio::test]
async fn a_failed_copy_is_told() {
    let server = MockServer::start().await;
    serve(&server, "DescribeImages", vec![images(&[original_with_copy()]), images(&[copy("failed")])]).await;
    let error = provider(&server).get(&ORIGINAL.into()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unexpected);
    assert!(error.message().contains("us-west-2"), "{error}");
}

#[tokio::test]
async fn a_copy_is_noted_at_the_original_before_it_is_asked_for() {
    let server = MockServer::start().await;
    let original = image(ORIGINAL, "available", "snap-1", &labels());
    serve(&server, "DescribeImages", vec![images(&[original]), images(&[])]).await;
    serve(&server, "CreateTags", vec![ec2("CreateTags", "<return>true</return>")]).await;
    serve(&server, "CopyImage", vec![ec2("CopyImage", &format!("<imageId>{COPY}</imageId>"))]).await;
    provider(&server).copy(&ORIGINAL.into(), &"us-west-2".into()).await.unwrap();
    assert_eq!(actions(&server).await, ["DescribeImages", "DescribeImages", "CreateTags", "CopyImage"]);
    let form = forms(&server, "CopyImage").await.remove(0);
    assert_eq!(field(&form, "SourceImageId").as_deref(), Some(ORIGINAL));
    assert!(field(&form, "ClientToken").is_some() && form.contains("remint%3Asource"), "{form}");
}

#[tokio::test]
async fn a_deletion_takes_copies_and_snapshots_with_it() {
    let server = MockServer::start().await;
    serve(&server, "DescribeImages", vec![images(&[original_with_copy()]), images(&[copy("available")])]).await;
    let deleted = |id: &str| {
        format!(
            "<return>true</return><deleteSnapshotResultSet><item><snapshotId>{id}</snapshotId>\
             <returnCode>success</returnCode></item></deleteSnapshotResultSet>"
        )
    };
    // The first takes its snapshot along, the second leaves it.
    let answers = vec![ec2("DeregisterImage", &deleted("snap-2")), ec2("DeregisterImage", "<return>true</return>")];
    serve(&server, "DeregisterImage", answers).await;
    serve(&server, "DeleteSnapshot", vec![ec2("DeleteSnapshot", "<return>true</return>")]).await;
    provider(&server).delete(&ORIGINAL.into()).await.unwrap();
    let sent = forms(&server, "DeregisterImage").await;
    let sent: Vec<_> = sent.iter().filter_map(|form| field(form, "ImageId")).collect();
    assert_eq!(sent, [COPY, ORIGINAL], "the original last: its tags say where the copies are");
    let snapshots = forms(&server, "DeleteSnapshot").await;
    assert_eq!(snapshots.iter().filter_map(|form| field(form, "SnapshotId")).collect::<Vec<_>>(), ["snap-1"]);
}

#[tokio::test]
async fn a_capture_whose_reply_is_lost_finds_its_image_by_name() {
    let server = MockServer::start().await;
    serve(&server, "DescribeInstances", vec![instances(&[instance(INSTANCE, "b", "stopped", "")])]).await;
    let made = image(ORIGINAL, "available", "snap-1", &labels());
    serve(&server, "DescribeImages", vec![images(&[]), images(&[]), images(&[made])]).await;
    let answers = vec![
        refusal(503, "Unavailable", ""),
        refusal(400, "InvalidAMIName.Duplicate", "AMI name app-0123456789ab is already in use"),
    ];
    serve(&server, "CreateImage", answers).await;
    let aws = provider(&server);
    let lost = aws.capture(&capture_spec()).await.unwrap_err();
    assert_eq!((lost.kind(), lost.effect()), (ErrorKind::Unavailable, Effect::Unknown));
    let CaptureProgress::Done(image) = aws.capture(&capture_spec()).await.unwrap() else { panic!("it is there") };
    assert_eq!(image.id.as_str(), ORIGINAL);
    assert_eq!(forms(&server, "CreateImage").await.len(), 2, "a name cannot be taken twice");
}

#[tokio::test]
async fn an_image_that_is_being_asked_for_by_a_dropped_call_is_the_one_of_the_next() {
    let server = MockServer::start().await;
    serve(&server, "DescribeInstances", vec![instances(&[instance(INSTANCE, "b", "stopped", "")])]).await;
    let order = ec2("CreateImage", &format!("<imageId>{ORIGINAL}</imageId>"));
    let made = image(ORIGINAL, "available", "snap-1", &labels());
    serve_late(&server, ("CreateImage", order), ("DescribeImages", images(&[]), images(&[made]))).await;
    let aws = provider(&server);
    drop_once_asked(&server, "CreateImage", aws.capture(&capture_spec())).await;
    let CaptureProgress::Done(image) = aws.capture(&capture_spec()).await.unwrap() else { panic!("it is there") };
    assert_eq!((image.id.as_str(), forms(&server, "CreateImage").await.len()), (ORIGINAL, 1));
}

#[tokio::test]
async fn a_failed_capture_frees_its_name() {
    let server = MockServer::start().await;
    serve(&server, "DescribeInstances", vec![instances(&[instance(INSTANCE, "b", "stopped", "")])]).await;
    serve(&server, "DescribeImages", vec![images(&[image(ORIGINAL, "failed", "snap-1", &labels())])]).await;
    serve(&server, "DeregisterImage", vec![ec2("DeregisterImage", "<return>true</return>")]).await;
    serve(&server, "DeleteSnapshot", vec![refusal(400, "InvalidSnapshot.NotFound", "gone")]).await;
    let error = provider(&server).capture(&capture_spec()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unexpected);
    assert_eq!(forms(&server, "DeregisterImage").await.len(), 1);
}

#[tokio::test]
async fn of_several_images_of_a_name_the_newest_x86_one_is_meant() {
    let server = MockServer::start().await;
    let item = |id: &str, day: u32, architecture: &str| {
        image(id, "available", "snap-1", &[])
            .replace("2026-11-25", &format!("2026-11-{day}"))
            .replace("<rootDeviceName>", &format!("<architecture>{architecture}</architecture><rootDeviceName>"))
    };
    let all =
        [item("ami-0000000a", 10, "x86_64"), item("ami-0000000b", 12, "x86_64"), item("ami-0000000c", 14, "arm64")];
    serve(&server, "DescribeImages", vec![images(&all)]).await;
    let base = "136693071363/debian-12-*";
    let found = provider(&server).resolve(base, &"us-east-1".into()).await.unwrap();
    assert_eq!((found.id.as_str(), found.name.as_str(), found.min_disk_gib), ("ami-0000000b", base, 8));
    let form = forms(&server, "DescribeImages").await.remove(0);
    assert!(form.contains("debian-12-%2A"), "a pattern is passed on as one: {form}");
}
