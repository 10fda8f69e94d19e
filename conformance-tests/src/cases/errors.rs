//! Errors and effects: what they say, and that they are true.

use remint_core::provider::{
    Capability, Error, ErrorKind, ImageId, InstanceId, PowerOp, RecordKind, RecordSet, Selector, StaticIpSpec, label,
};

use super::{dns, table};
use crate::{Case, CaseContext, Cost, Failure, Setting, context::check, steps::refused};

const STRANGER: &[Setting] = &[Setting::Stranger];

pub(super) const CASES: &[Case] = table! {
    "errors.words", "an error is a fragment that names operation and resource, and ends without a period", words,
        costs(Cost::Free);
    "errors.request_id", "an error that the cloud gave carries the cloud's request id", request_id, extended();
    "errors.stranger_images", "refused credentials are Unauthenticated for images, too", stranger_images,
        with(STRANGER), costs(Cost::Free);
    "errors.stranger_mutations", "refused credentials are Unauthenticated for every mutation of an instance",
        stranger_mutations, with(STRANGER);
    "errors.stranger_static_ips", "refused credentials are Unauthenticated for static IPs, too", stranger_static_ips,
        needs(&[Capability::StaticIp]), with(STRANGER);
    "errors.stranger_load_balancers", "refused credentials are Unauthenticated for load balancers, too",
        stranger_load_balancers, needs(&[Capability::LoadBalancer]), with(STRANGER), minutes(20);
    "errors.stranger_dns", "refused credentials are Unauthenticated for DNS, too, and never NotFound", stranger_dns,
        needs(&[Capability::Dns]), with(&[Setting::Stranger, Setting::Zone]), costs(Cost::Cheap);
    "errors.stranger_login_keys", "refused credentials are Unauthenticated for login keys, too", stranger_login_keys,
        needs(&[Capability::LoginKey]), with(STRANGER), costs(Cost::Free);
    "errors.stranger_launch", "refused credentials are Unauthenticated for a launch, and nothing is launched",
        stranger_launch, with(STRANGER), machines(2);
    "errors.stranger_shape", "refused credentials are Unauthenticated for sizes, too, and never InvalidInput",
        stranger_shape, with(STRANGER), costs(Cost::Free);
    "errors.stranger_label", "refused credentials are Unauthenticated for labels, and the labels stay", stranger_label,
        needs(&[Capability::InstanceRelabel]), with(STRANGER);
    "errors.stranger_console", "refused credentials are Unauthenticated for the console, too", stranger_console,
        needs(&[Capability::InstanceConsole]), with(STRANGER);
    "errors.stranger_copy", "refused credentials are Unauthenticated for a copy, and nothing is copied", stranger_copy,
        needs(&[Capability::ImageCopyRegions]), with(&[Setting::Stranger, Setting::SecondRegion]), minutes(30);
    "errors.stranger_delete", "refused credentials are Unauthenticated for a deletion, and the image stays",
        stranger_delete, with(STRANGER), minutes(30);
    "errors.stranger_markers", "refused credentials are Unauthenticated for markers, and what was set stays",
        stranger_markers, needs(&[Capability::Marker]), with(STRANGER), costs(Cost::Cheap);
};

async fn words(context: CaseContext) -> Result<(), Failure> {
    let id = "999999999";
    let instance = context.instances().get(&InstanceId::new(id)).await;
    let image = context.images().get(&ImageId::new(id)).await;
    let kinds = &[ErrorKind::NotFound];
    let errors = [
        refused(instance, kinds, "an instance that never was")?,
        refused(image, kinds, "an image that never was")?,
        refused(
            context.images().resolve("no-such-image", &context.target().region).await,
            kinds,
            "a base image that never was",
        )?,
    ];
    for error in &errors {
        let text = error.to_string();
        check!(!error.operation().is_empty(), "no operation: {text}");
        check!(!text.ends_with(['.', '\n']), "it ends with a period or a line break: {text:?}");
        check!(!text.contains('\n'), "it has several lines: {text:?}");
        let first = text.chars().next().unwrap_or('X');
        check!(!first.is_uppercase(), "it is no fragment: {text:?}");
        if let Some(source) = std::error::Error::source(error) {
            let source = source.to_string();
            check!(source.is_empty() || !text.contains(&source), "it repeats its source: {text:?}");
        }
    }
    for (error, what) in errors.iter().zip([id, id, "no-such-image"]) {
        check!(error.to_string().contains(what), "it does not name {what}: {error}");
    }
    Ok(())
}

async fn request_id(context: CaseContext) -> Result<(), Failure> {
    // Nonsense may be refused without asking the cloud; an id that it gave may not.
    let former = context.former_instance().await?;
    let error = refused(context.instances().get(&former).await, &[ErrorKind::NotFound], "an instance that is gone")?;
    let source = std::iter::successors(Some(&error as &dyn std::error::Error), |error| error.source());
    let has = source.filter_map(|error| error.downcast_ref::<Error>()).any(|error| error.request_id().is_some());
    check!(has, "no request id: {error}");
    Ok(())
}

fn unauthenticated<T: std::fmt::Debug>(result: Result<T, Error>, what: &str) -> Result<(), Failure> {
    refused(result, &[ErrorKind::Unauthenticated], what).map(drop)
}

async fn stranger_images(context: CaseContext) -> Result<(), Failure> {
    let stranger = context.stranger()?;
    let (target, images) = (context.target(), stranger.images());
    unauthenticated(images.resolve(&target.base_image, &target.region).await, "resolving a base image")?;
    unauthenticated(images.list(&context.selector()).await, "listing images")?;
    unauthenticated(images.get(&ImageId::new("999999999")).await, "reading an image")?;
    unauthenticated(images.delete(&ImageId::new("999999999")).await, "deleting an image")
}

async fn stranger_mutations(context: CaseContext) -> Result<(), Failure> {
    let instance = context.running("web").await?;
    let stranger = context.stranger()?;
    let instances = stranger.instances();
    unauthenticated(instances.get(&instance.id).await, "reading an instance")?;
    for op in [PowerOp::ForceStop, PowerOp::Stop] {
        unauthenticated(instances.power(&instance.id, op).await, "stopping")?;
    }
    unauthenticated(instances.destroy(&instance.id).await, "destroying")?;
    let spec = context.capture_spec("image", &instance.id);
    unauthenticated(stranger.images().capture(&spec).await, "capturing")?;
    let now = context.instances().get(&instance.id).await?;
    check!(now == instance, "it was {instance:?}, and is {now:?}");
    Ok(())
}

async fn stranger_static_ips(context: CaseContext) -> Result<(), Failure> {
    let instance = context.running("web").await?;
    let ip = context.static_ip(&instance.id).await?;
    let stranger = context.stranger()?;
    let ips = stranger.static_ips().ok_or_else(|| Failure::new("no static IPs with refused credentials"))?;
    unauthenticated(ips.list(&Selector::all()).await, "listing static IPs")?;
    unauthenticated(ips.get(&ip.id).await, "reading a static IP")?;
    let spec = StaticIpSpec { name: context.name("other"), ..context.static_ip_spec(&instance.id) };
    unauthenticated(ips.ensure(&spec).await, "making a static IP")?;
    unauthenticated(ips.unassign(&ip.id).await, "taking a static IP away")?;
    unauthenticated(ips.release(&ip.id).await, "releasing a static IP")?;
    context.points_at(&ip, Some(&instance.id)).await?;
    Ok(())
}

async fn stranger_load_balancers(context: CaseContext) -> Result<(), Failure> {
    let (balancer, web) = (context.balancer("web").await?, context.running("web").await?);
    let (id, ids) = (&balancer.id, [web.id]);
    context.attached(id, &ids).await?;
    let stranger = context.stranger()?;
    let missing = || Failure::new("no load balancers with refused credentials");
    let balancers = stranger.load_balancers().ok_or_else(missing)?;
    unauthenticated(balancers.list(&context.balancer_prefix()).await, "listing load balancers")?;
    unauthenticated(balancers.get(id).await, "reading a load balancer")?;
    unauthenticated(balancers.members(id).await, "listing members")?;
    unauthenticated(balancers.ensure(&context.balancer_spec("other")).await, "creating a load balancer")?;
    unauthenticated(balancers.attach(id, &ids).await, "attaching a member")?;
    unauthenticated(balancers.detach(id, &ids).await, "detaching a member")?;
    unauthenticated(balancers.destroy(id).await, "destroying a load balancer")?;
    context.has_members(id, &ids).await
}

async fn stranger_dns(context: CaseContext) -> Result<(), Failure> {
    let record = dns::set(&context, "www", RecordKind::A, &["192.0.2.1"])?;
    context.dns()?.upsert(&record).await?;
    let stranger = context.stranger()?;
    let zones = stranger.dns_zones().ok_or_else(|| Failure::new("no zones with refused credentials"))?;
    unauthenticated(zones.zone(&record.zone).await, "finding a zone")?;
    unauthenticated(zones.get(&record.zone, &record.name, record.kind).await, "reading a record")?;
    let other = RecordSet { values: vec!["192.0.2.2".to_owned()], ..record.clone() };
    unauthenticated(zones.upsert(&other).await, "setting a record")?;
    unauthenticated(zones.remove(&record.zone, &record.name, record.kind).await, "removing a record")?;
    dns::stands(&context, &record).await
}

async fn stranger_login_keys(context: CaseContext) -> Result<(), Failure> {
    let stranger = context.stranger()?;
    let keys = stranger.login_keys().ok_or_else(|| Failure::new("no login keys with refused credentials"))?;
    unauthenticated(keys.list(&context.prefix()).await, "listing keys")?;
    let line = super::login_keys::public_key(&context);
    unauthenticated(keys.ensure(&context.name("key"), &line).await, "registering a key")?;
    unauthenticated(keys.remove(&"999999999".into()).await, "removing a key")
}

async fn stranger_launch(context: CaseContext) -> Result<(), Failure> {
    let spec = context.spec("web").await?;
    unauthenticated(context.stranger()?.instances().launch(&spec).await, "launching")?;
    // What it made all the same, lists show by the time that another one runs.
    let other = context.running("other").await?;
    let standing = context.standing().await?;
    check!(standing == [other.name], "it was refused, and standing: {standing:?}");
    Ok(())
}

async fn stranger_shape(context: CaseContext) -> Result<(), Failure> {
    let (target, stranger) = (context.target(), context.stranger()?);
    unauthenticated(stranger.instances().shape(&target.size, &target.region).await, "looking a size up")?;
    // Not even what is wrong anyway is told.
    unauthenticated(stranger.instances().shape(&"no-such-size".into(), &target.region).await, "looking a size up")
}

async fn stranger_label(context: CaseContext) -> Result<(), Failure> {
    let instance = context.running("web").await?;
    let more = context.labels().with(label::ROLE, "parked");
    unauthenticated(context.stranger()?.instances().label(&instance.id, &more).await, "labelling")?;
    let now = context.instances().get(&instance.id).await?;
    check!(now.labels == instance.labels, "it was refused, and the labels became {:?}", now.labels);
    Ok(())
}

async fn stranger_console(context: CaseContext) -> Result<(), Failure> {
    let instance = context.running("web").await?;
    unauthenticated(context.stranger()?.instances().console_output(&instance.id).await, "reading the console")
}

async fn stranger_copy(context: CaseContext) -> Result<(), Failure> {
    let (_, image) = context.image().await?;
    let second = context.second_region()?;
    unauthenticated(context.stranger()?.images().copy(&image.id, second).await, "copying an image")?;
    let now = context.images().get(&image.id).await?;
    check!(now.regions == image.regions, "it was refused, and the image is in {}", now.regions);
    Ok(())
}

async fn stranger_delete(context: CaseContext) -> Result<(), Failure> {
    let (_, image) = context.image().await?;
    unauthenticated(context.stranger()?.images().delete(&image.id).await, "deleting an image")?;
    let now = context.images().get(&image.id).await?;
    check!(now == image, "it was {image:?}, and is {now:?}");
    Ok(())
}

async fn stranger_markers(context: CaseContext) -> Result<(), Failure> {
    let name = context.name("mark");
    context.markers()?.set(&name, "on").await?;
    let stranger = context.stranger()?;
    let markers = stranger.markers().ok_or_else(|| Failure::new("no markers with refused credentials"))?;
    unauthenticated(markers.get(&name).await, "reading a marker")?;
    unauthenticated(markers.set(&name, "off").await, "setting a marker")?;
    unauthenticated(markers.remove(&name).await, "removing a marker")?;
    let read = context.markers()?.get(&name).await?;
    check!(read.as_deref() == Some("on"), "it was refused, and the marker is {read:?}");
    Ok(())
}
