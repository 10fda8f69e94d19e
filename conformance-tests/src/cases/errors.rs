//! Errors and effects: what they say, and that they are true.

use remint_core::provider::{
    Capability, Effect, Error, ErrorKind, ImageId, InstanceId, InstanceState, PowerOp, RecordKind, RecordSet, Selector,
    StaticIpSpec,
};

use super::{dns, table};
use crate::{Case, CaseContext, Cost, Failure, LostReply, Refusal, Setting, context::check, steps::refused};

const STRANGER: &[Setting] = &[Setting::Stranger];
const REFUSALS: &[Setting] = &[Setting::LostReplies];
const REFUSALS_AND_ZONE: &[Setting] = &[Setting::LostReplies, Setting::Zone];

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
    "errors.stranger_dns", "refused credentials are Unauthenticated for DNS, too, and never NotFound", stranger_dns,
        needs(&[Capability::Dns]), with(&[Setting::Stranger, Setting::Zone]), costs(Cost::Cheap);
    "errors.stranger_login_keys", "refused credentials are Unauthenticated for login keys, too", stranger_login_keys,
        needs(&[Capability::LoginKey]), with(STRANGER), costs(Cost::Free);
    "errors.rate_limited_launch", "a launch that is turned away for the rate is repeated, and makes one instance",
        rate_limited_launch, with(REFUSALS);
    "errors.unavailable_launch", "a launch that met an outage says so or is repeated, and makes one instance",
        unavailable_launch, with(REFUSALS);
    "errors.unavailable_destroy", "a destruction that met an outage never claims to have happened",
        unavailable_destroy, with(REFUSALS);
    "errors.unavailable_power", "a stop that met an outage never claims to have happened", unavailable_power,
        with(REFUSALS);
    "errors.unavailable_capture", "a capture that met an outage makes one image once it is repeated",
        unavailable_capture, with(REFUSALS);
    "errors.unavailable_static_ip", "a static IP whose making met an outage is one address once it is repeated",
        unavailable_static_ip, needs(&[Capability::StaticIp]), with(REFUSALS);
    "errors.unavailable_assign", "a move that met an outage leaves the address where it was, or moves it",
        unavailable_assign, needs(&[Capability::StaticIp]), with(REFUSALS), machines(2);
    "errors.unavailable_record", "a record set that met an outage leaves the former one whole, or is set",
        unavailable_record, needs(&[Capability::Dns]), with(REFUSALS_AND_ZONE), costs(Cost::Cheap);
    "errors.bounded", "an outage that lasts is told in the end, and nothing was made", bounded, with(REFUSALS);
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

async fn rate_limited_launch(context: CaseContext) -> Result<(), Failure> {
    let spec = context.spec("web").await?;
    context.refuse_next(LostReply::Launch, Refusal::RateLimited, 2).await?;
    context.launch(&spec).await?;
    check!(context.standing().await? == spec.names, "standing: {:?}", context.standing().await?);
    context.has_lost(2).await
}

/// A call that met an outage has succeeded by repeating it, or says truthfully what it did.
fn truthful<T: std::fmt::Debug>(result: Result<T, Error>, what: &str) -> Result<bool, Failure> {
    match result {
        Ok(_) => Ok(true),
        Err(error) => {
            let kinds = [ErrorKind::Unavailable, ErrorKind::Timeout];
            check!(kinds.contains(&error.kind()), "{what} met an outage: {:?}: {error}", error.kind());
            check!(error.effect() != Effect::Applied, "{what} was turned away, and says that it was done: {error}");
            Ok(false)
        }
    }
}

async fn unavailable_launch(context: CaseContext) -> Result<(), Failure> {
    let spec = context.spec("web").await?;
    context.refuse_next(LostReply::Launch, Refusal::Unavailable, 1).await?;
    truthful(context.instances().launch(&spec).await, "a launch")?;
    let made = context.launch(&spec).await?;
    context.reaches(&made.id, InstanceState::Running).await?;
    check!(context.standing().await? == spec.names, "standing: {:?}", context.standing().await?);
    context.has_lost(1).await
}

async fn unavailable_destroy(context: CaseContext) -> Result<(), Failure> {
    let instance = context.running("web").await?;
    context.refuse_next(LostReply::Destroy, Refusal::Unavailable, 1).await?;
    if truthful(context.instances().destroy(&instance.id).await, "a destruction")? {
        context.gone(&instance.id).await?;
    }
    context.destroy(&instance.id).await?;
    context.has_lost(1).await
}

async fn unavailable_power(context: CaseContext) -> Result<(), Failure> {
    let instance = context.running("web").await?;
    let stop = || context.instances().power(&instance.id, PowerOp::ForceStop);
    context.refuse_next(LostReply::Power, Refusal::Unavailable, 1).await?;
    if truthful(stop().await, "a stop")? {
        context.reaches(&instance.id, InstanceState::Stopped).await?;
    }
    context.patiently("stop", stop).await?;
    context.reaches(&instance.id, InstanceState::Stopped).await?;
    context.has_lost(1).await
}

async fn unavailable_capture(context: CaseContext) -> Result<(), Failure> {
    let builder = context.stopped("builder").await?;
    let spec = context.capture_spec("image", &builder.id);
    context.refuse_next(LostReply::Capture, Refusal::Unavailable, 1).await?;
    match context.images().capture(&spec).await {
        Err(error) if error.kind() == ErrorKind::Busy => {}
        result => drop(truthful(result, "a capture")?),
    }
    let image = context.capture(&spec).await?;
    let listed = context.images().list(&context.selector()).await?;
    check!(listed.len() == 1 && listed[0].id == image.id, "images of one capture: {listed:?}");
    context.has_lost(1).await
}

async fn unavailable_static_ip(context: CaseContext) -> Result<(), Failure> {
    let instance = context.running("web").await?;
    let (ips, spec) = (context.static_ips()?, context.static_ip_spec(&instance.id));
    context.refuse_next(LostReply::EnsureStaticIp, Refusal::Unavailable, 1).await?;
    truthful(ips.ensure(&spec).await, "a static IP")?;
    context.static_ip(&instance.id).await?;
    let listed = ips.list(&context.selector()).await?;
    check!(listed.len() == 1, "one instance, several addresses: {listed:?}");
    context.has_lost(1).await
}

async fn unavailable_assign(context: CaseContext) -> Result<(), Failure> {
    let (one, two) = (context.running("one").await?, context.running("two").await?);
    let ip = context.static_ip(&one.id).await?;
    let ips = context.static_ips()?;
    context.refuse_next(LostReply::AssignStaticIp, Refusal::Unavailable, 1).await?;
    let goal = if truthful(ips.assign(&ip.id, &two.id).await, "a move")? { &two.id } else { &one.id };
    context.points_at(&ip, Some(goal)).await?;
    context.patiently("assign", || ips.assign(&ip.id, &two.id)).await?;
    context.points_at(&ip, Some(&two.id)).await?;
    context.has_lost(1).await
}

async fn unavailable_record(context: CaseContext) -> Result<(), Failure> {
    let former = dns::set(&context, "www", RecordKind::A, &["192.0.2.1", "192.0.2.2"])?;
    let dns = context.dns()?;
    dns.upsert(&former).await?;
    let other = RecordSet { values: vec!["192.0.2.3".to_owned(), "192.0.2.4".to_owned()], ..former.clone() };
    context.refuse_next(LostReply::UpsertRecord, Refusal::Unavailable, 1).await?;
    let stands = if truthful(dns.upsert(&other).await, "a record set")? { &other } else { &former };
    dns::stands(&context, stands).await?;
    dns.upsert(&other).await?;
    dns::stands(&context, &other).await?;
    context.has_lost(1).await
}

async fn bounded(context: CaseContext) -> Result<(), Failure> {
    let spec = context.spec("web").await?;
    // More often than any client repeats.
    context.refuse_next(LostReply::Launch, Refusal::Unavailable, 1000).await?;
    let done = truthful(context.instances().launch(&spec).await, "a launch")?;
    check!(!done, "every launch is turned away, and one succeeded");
    let standing = context.standing().await?;
    check!(standing.is_empty(), "every launch is turned away, and standing: {standing:?}");
    Ok(())
}
