//! Calls that the cloud turns away for an outage or for the rate: what becomes of them, and what is told.

use remint_core::provider::{
    Capability, Effect, Error, ErrorKind, InstanceState, PowerOp, RecordKind, RecordSet, label,
};

use super::{dns, login_keys::public_key, table};
use crate::{Case, CaseContext, Cost, Failure, LostReply, Refusal, Setting, context::check};

const REFUSALS: &[Setting] = &[Setting::LostReplies];
const REFUSALS_AND_ZONE: &[Setting] = &[Setting::LostReplies, Setting::Zone];
const REFUSALS_AND_REGION: &[Setting] = &[Setting::LostReplies, Setting::SecondRegion];
const STATIC_IP: &[Capability] = &[Capability::StaticIp];
const COPY: &[Capability] = &[Capability::ImageCopyRegions];
const RELABEL: &[Capability] = &[Capability::InstanceRelabel];

/// More often than any client repeats.
const LASTING: u64 = 1000;

pub(super) const CASES: &[Case] = table! {
    "outages.launch", "a launch that met an outage says so or is repeated, and makes one instance", launch,
        with(REFUSALS);
    "outages.destroy", "a destruction that met an outage never claims to have happened", destroy, with(REFUSALS);
    "outages.power", "a stop that met an outage never claims to have happened", power, with(REFUSALS);
    "outages.label", "labels that met an outage are there, or the former ones are", relabel, needs(RELABEL),
        with(REFUSALS);
    "outages.capture", "a capture that met an outage makes one image once it is repeated", capture, with(REFUSALS),
        minutes(30);
    "outages.copy", "a copy that met an outage is one copy once it is repeated", copy, needs(COPY),
        with(REFUSALS_AND_REGION), minutes(90);
    "outages.delete_image", "a deletion that met an outage has happened, or the image is still whole", delete_image,
        with(REFUSALS), minutes(30);
    "outages.static_ip", "a static IP whose making met an outage is one address once it is repeated", static_ip,
        needs(STATIC_IP), with(REFUSALS);
    "outages.assign", "a move that met an outage leaves the address where it was, or moves it", assign,
        needs(STATIC_IP), with(REFUSALS), machines(2);
    "outages.release", "a release that met an outage never claims to have happened", release, needs(STATIC_IP),
        with(REFUSALS);
    "outages.record", "a record set that met an outage leaves the former one whole, or is set", record,
        needs(&[Capability::Dns]), with(REFUSALS_AND_ZONE), costs(Cost::Cheap);
    "outages.remove_record", "a removal that met an outage has happened, or the record set is still whole",
        remove_record, needs(&[Capability::Dns]), with(REFUSALS_AND_ZONE), costs(Cost::Cheap);
    "outages.login_key", "a registration that met an outage is one key once it is repeated", login_key,
        needs(&[Capability::LoginKey]), with(REFUSALS), costs(Cost::Cheap);
    "outages.lasting_launch", "an outage that outlasts a launch is reported, and nothing is launched until it is over", lasting_launch,
        with(REFUSALS);
    "outages.lasting_power", "an outage that outlasts a stop is reported, and the instance runs on", lasting_power,
        with(REFUSALS);
    "outages.lasting_label", "an outage that outlasts labels is reported, and the former ones stay", lasting_label,
        needs(RELABEL), with(REFUSALS);
    "outages.lasting_capture", "while an outage lasts a capture says so, and once it is over there is one image", lasting_capture,
        with(REFUSALS), minutes(30);
    "outages.lasting_copy", "an outage that outlasts a copy is reported, and the image stays where it was", lasting_copy,
        needs(COPY), with(REFUSALS_AND_REGION), minutes(30);
    "outages.lasting_static_ip", "an outage that outlasts the making of a static IP is reported, and there is none",
        lasting_static_ip, needs(STATIC_IP), with(REFUSALS);
    "outages.lasting_assign", "an outage that outlasts a move is reported, and the address points where it did",
        lasting_assign, needs(STATIC_IP), with(REFUSALS), machines(2);
    "outages.lasting_login_key", "an outage that outlasts a registration is reported, and no key is registered",
        lasting_login_key, needs(&[Capability::LoginKey]), with(REFUSALS), costs(Cost::Cheap);
    "outages.rate_launch", "a launch that is turned away for the rate is repeated, and makes one instance",
        rate_launch, with(REFUSALS);
    "outages.rate_destroy", "a destruction that is turned away for the rate is repeated, and destroys", rate_destroy,
        with(REFUSALS);
    "outages.rate_power", "a stop that is turned away for the rate is repeated, and stops", rate_power, with(REFUSALS);
    "outages.rate_capture", "a capture that is turned away for the rate is repeated, and makes one image",
        rate_capture, with(REFUSALS), minutes(30);
    "outages.rate_static_ip", "a static IP that is turned away for the rate is made once", rate_static_ip,
        needs(STATIC_IP), with(REFUSALS);
    "outages.rate_assign", "a move that is turned away for the rate is repeated, and the address moves", rate_assign,
        needs(STATIC_IP), with(REFUSALS), machines(2);
    "outages.rate_record", "a record set that is turned away for the rate is set once", rate_record,
        needs(&[Capability::Dns]), with(REFUSALS_AND_ZONE), costs(Cost::Cheap);
};

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

/// The same of an outage that does not end: there is no success to be told.
fn told<T: std::fmt::Debug>(result: Result<T, Error>, what: &str) -> Result<(), Failure> {
    let done = truthful(result, what)?;
    check!(!done, "{what} is turned away each time, and succeeded");
    Ok(())
}

async fn launch(context: CaseContext) -> Result<(), Failure> {
    let spec = context.spec("web").await?;
    context.refuse_next(LostReply::Launch, Refusal::Unavailable, 1).await?;
    truthful(context.instances().launch(&spec).await, "a launch")?;
    let made = context.launch(&spec).await?;
    context.reaches(&made.id, InstanceState::Running).await?;
    check!(context.standing().await? == spec.names, "standing: {:?}", context.standing().await?);
    context.has_lost(1).await
}

async fn destroy(context: CaseContext) -> Result<(), Failure> {
    let instance = context.running("web").await?;
    context.refuse_next(LostReply::Destroy, Refusal::Unavailable, 1).await?;
    if truthful(context.instances().destroy(&instance.id).await, "a destruction")? {
        context.gone(&instance.id).await?;
    }
    context.destroy(&instance.id).await?;
    context.has_lost(1).await
}

async fn power(context: CaseContext) -> Result<(), Failure> {
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

async fn capture(context: CaseContext) -> Result<(), Failure> {
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

async fn static_ip(context: CaseContext) -> Result<(), Failure> {
    let instance = context.running("web").await?;
    let (ips, spec) = (context.static_ips()?, context.static_ip_spec(&instance.id));
    context.refuse_next(LostReply::EnsureStaticIp, Refusal::Unavailable, 1).await?;
    truthful(ips.ensure(&spec).await, "a static IP")?;
    context.static_ip(&instance.id).await?;
    let listed = ips.list(&context.selector()).await?;
    check!(listed.len() == 1, "one instance, several addresses: {listed:?}");
    context.has_lost(1).await
}

async fn assign(context: CaseContext) -> Result<(), Failure> {
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

async fn record(context: CaseContext) -> Result<(), Failure> {
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

async fn relabel(context: CaseContext) -> Result<(), Failure> {
    let instance = context.running("web").await?;
    let more = context.labels().with(label::ROLE, "parked");
    context.refuse_next(LostReply::Label, Refusal::Unavailable, 1).await?;
    let done = truthful(context.instances().label(&instance.id, &more).await, "labelling")?;
    let now = context.instances().get(&instance.id).await?;
    let wanted = if done { &more } else { &instance.labels };
    check!(now.labels == *wanted, "the labels should be {wanted:?}, and are {:?}", now.labels);
    context.instances().label(&instance.id, &more).await?;
    let now = context.instances().get(&instance.id).await?;
    check!(now.labels == more, "labelled {more:?}, has {:?}", now.labels);
    context.has_lost(1).await
}

async fn copy(context: CaseContext) -> Result<(), Failure> {
    let (_, image) = context.image().await?;
    let second = context.second_region()?;
    context.refuse_next(LostReply::CopyImage, Refusal::Unavailable, 1).await?;
    if !truthful(context.images().copy(&image.id, second).await, "a copy")? {
        let now = context.images().get(&image.id).await?;
        check!(now.regions == image.regions, "a copy was turned away, and the image is in {}", now.regions);
    }
    context.copied(&image.id, second).await?;
    context.has_lost(1).await
}

async fn delete_image(context: CaseContext) -> Result<(), Failure> {
    let (_, image) = context.image().await?;
    context.refuse_next(LostReply::DeleteImage, Refusal::Unavailable, 1).await?;
    if truthful(context.images().delete(&image.id).await, "a deletion")? {
        context.image_gone(&image.id).await?;
    } else {
        let now = context.images().get(&image.id).await?;
        check!(now == image, "its deletion was turned away; it was {image:?}, and is {now:?}");
    }
    context.delete_image(&image.id).await?;
    context.has_lost(1).await
}

async fn release(context: CaseContext) -> Result<(), Failure> {
    let instance = context.running("web").await?;
    let ip = context.static_ip(&instance.id).await?;
    let ips = context.static_ips()?;
    context.refuse_next(LostReply::ReleaseStaticIp, Refusal::Unavailable, 1).await?;
    if truthful(ips.release(&ip.id).await, "a release")? {
        context.static_ip_gone(&ip.id).await?;
    } else {
        let now = ips.get(&ip.id).await?;
        check!(now.address == ip.address, "its release was turned away, and the address is {:?}", now.address);
    }
    context.patiently("release", || ips.release(&ip.id)).await?;
    context.static_ip_gone(&ip.id).await?;
    context.has_lost(1).await
}

async fn remove_record(context: CaseContext) -> Result<(), Failure> {
    let record = dns::set(&context, "www", RecordKind::A, &["192.0.2.1", "192.0.2.2"])?;
    let dns = context.dns()?;
    dns.upsert(&record).await?;
    context.refuse_next(LostReply::RemoveRecord, Refusal::Unavailable, 1).await?;
    if truthful(dns.remove(&record.zone, &record.name, record.kind).await, "a removal")? {
        dns::absent(&context, &record).await?;
    } else {
        dns::stands(&context, &record).await?;
    }
    dns.remove(&record.zone, &record.name, record.kind).await?;
    dns::absent(&context, &record).await?;
    context.has_lost(1).await
}

async fn login_key(context: CaseContext) -> Result<(), Failure> {
    let (name, line) = (context.name("key"), public_key(&context));
    let keys = context.login_keys()?;
    context.refuse_next(LostReply::EnsureLoginKey, Refusal::Unavailable, 1).await?;
    truthful(keys.ensure(&name, &line).await, "a registration")?;
    let key = keys.ensure(&name, &line).await?;
    let listed = keys.list(&context.prefix()).await?;
    check!(listed == [key], "one key was registered, and listed are {listed:?}");
    context.has_lost(1).await
}

async fn lasting_launch(context: CaseContext) -> Result<(), Failure> {
    let spec = context.spec("web").await?;
    context.refuse_next(LostReply::Launch, Refusal::Unavailable, LASTING).await?;
    told(context.instances().launch(&spec).await, "a launch")?;
    let standing = context.standing().await?;
    check!(standing.is_empty(), "every launch is turned away, and standing: {standing:?}");
    context.recover().await?;
    context.launch(&spec).await?;
    check!(context.standing().await? == spec.names, "standing: {:?}", context.standing().await?);
    Ok(())
}

async fn lasting_power(context: CaseContext) -> Result<(), Failure> {
    let instance = context.running("web").await?;
    context.refuse_next(LostReply::Power, Refusal::Unavailable, LASTING).await?;
    told(context.instances().power(&instance.id, PowerOp::ForceStop).await, "a stop")?;
    let now = context.instances().get(&instance.id).await?;
    check!(now.state == InstanceState::Running, "no stop was let through, and it is {}", now.state.as_str());
    context.recover().await?;
    context.patiently("stop", || context.instances().power(&instance.id, PowerOp::ForceStop)).await?;
    context.reaches(&instance.id, InstanceState::Stopped).await?;
    Ok(())
}

async fn lasting_label(context: CaseContext) -> Result<(), Failure> {
    let instance = context.running("web").await?;
    let more = context.labels().with(label::ROLE, "parked");
    context.refuse_next(LostReply::Label, Refusal::Unavailable, LASTING).await?;
    told(context.instances().label(&instance.id, &more).await, "labelling")?;
    let now = context.instances().get(&instance.id).await?;
    check!(now.labels == instance.labels, "no label was let through, and the labels are {:?}", now.labels);
    context.recover().await?;
    context.instances().label(&instance.id, &more).await?;
    let now = context.instances().get(&instance.id).await?;
    check!(now.labels == more, "labelled {more:?}, has {:?}", now.labels);
    Ok(())
}

async fn lasting_capture(context: CaseContext) -> Result<(), Failure> {
    let builder = context.stopped("builder").await?;
    let spec = context.capture_spec("image", &builder.id);
    context.refuse_next(LostReply::Capture, Refusal::Unavailable, LASTING).await?;
    told(context.images().capture(&spec).await, "a capture")?;
    let listed = context.images().list(&context.selector()).await?;
    check!(listed.is_empty(), "no capture was let through, and images are {listed:?}");
    context.recover().await?;
    let image = context.capture(&spec).await?;
    let listed = context.images().list(&context.selector()).await?;
    check!(listed.len() == 1 && listed[0].id == image.id, "images of one capture: {listed:?}");
    Ok(())
}

async fn lasting_copy(context: CaseContext) -> Result<(), Failure> {
    let (_, image) = context.image().await?;
    context.refuse_next(LostReply::CopyImage, Refusal::Unavailable, LASTING).await?;
    let second = context.second_region()?;
    told(context.images().copy(&image.id, second).await, "a copy")?;
    let now = context.images().get(&image.id).await?;
    check!(now.regions == image.regions, "no copy was let through, and the image is in {}", now.regions);
    context.recover().await?;
    context.copied(&image.id, second).await?;
    Ok(())
}

async fn lasting_static_ip(context: CaseContext) -> Result<(), Failure> {
    let instance = context.running("web").await?;
    let (ips, spec) = (context.static_ips()?, context.static_ip_spec(&instance.id));
    context.refuse_next(LostReply::EnsureStaticIp, Refusal::Unavailable, LASTING).await?;
    told(ips.ensure(&spec).await, "a static IP")?;
    let listed = ips.list(&context.selector()).await?;
    check!(listed.is_empty(), "none was let through, and static IPs are {listed:?}");
    context.recover().await?;
    context.static_ip(&instance.id).await?;
    Ok(())
}

async fn lasting_assign(context: CaseContext) -> Result<(), Failure> {
    let (one, two) = (context.running("one").await?, context.running("two").await?);
    let ip = context.static_ip(&one.id).await?;
    let ips = context.static_ips()?;
    context.refuse_next(LostReply::AssignStaticIp, Refusal::Unavailable, LASTING).await?;
    told(ips.assign(&ip.id, &two.id).await, "a move")?;
    context.points_at(&ip, Some(&one.id)).await?;
    context.recover().await?;
    context.patiently("assign", || ips.assign(&ip.id, &two.id)).await?;
    context.points_at(&ip, Some(&two.id)).await?;
    Ok(())
}

async fn lasting_login_key(context: CaseContext) -> Result<(), Failure> {
    let keys = context.login_keys()?;
    context.refuse_next(LostReply::EnsureLoginKey, Refusal::Unavailable, LASTING).await?;
    let (name, line) = (context.name("key"), public_key(&context));
    told(keys.ensure(&name, &line).await, "a registration")?;
    let listed = keys.list(&context.prefix()).await?;
    check!(listed.is_empty(), "none was let through, and keys are {listed:?}");
    context.recover().await?;
    let key = keys.ensure(&name, &line).await?;
    let listed = keys.list(&context.prefix()).await?;
    check!(listed == [key], "one key was registered, and listed are {listed:?}");
    Ok(())
}

async fn rate_launch(context: CaseContext) -> Result<(), Failure> {
    let spec = context.spec("web").await?;
    context.refuse_next(LostReply::Launch, Refusal::RateLimited, 2).await?;
    context.launch(&spec).await?;
    check!(context.standing().await? == spec.names, "standing: {:?}", context.standing().await?);
    context.has_lost(2).await
}

async fn rate_destroy(context: CaseContext) -> Result<(), Failure> {
    let instance = context.running("web").await?;
    context.refuse_next(LostReply::Destroy, Refusal::RateLimited, 2).await?;
    context.destroy(&instance.id).await?;
    context.has_lost(2).await
}

async fn rate_power(context: CaseContext) -> Result<(), Failure> {
    let instance = context.running("web").await?;
    context.refuse_next(LostReply::Power, Refusal::RateLimited, 2).await?;
    context.patiently("stop", || context.instances().power(&instance.id, PowerOp::ForceStop)).await?;
    context.reaches(&instance.id, InstanceState::Stopped).await?;
    context.has_lost(2).await
}

async fn rate_capture(context: CaseContext) -> Result<(), Failure> {
    let builder = context.stopped("builder").await?;
    context.refuse_next(LostReply::Capture, Refusal::RateLimited, 2).await?;
    let image = context.capture(&context.capture_spec("image", &builder.id)).await?;
    let listed = context.images().list(&context.selector()).await?;
    check!(listed.len() == 1 && listed[0].id == image.id, "images of one capture: {listed:?}");
    context.has_lost(2).await
}

async fn rate_static_ip(context: CaseContext) -> Result<(), Failure> {
    let instance = context.running("web").await?;
    context.refuse_next(LostReply::EnsureStaticIp, Refusal::RateLimited, 2).await?;
    context.static_ip(&instance.id).await?;
    let listed = context.static_ips()?.list(&context.selector()).await?;
    check!(listed.len() == 1, "one instance, several addresses: {listed:?}");
    context.has_lost(2).await
}

async fn rate_assign(context: CaseContext) -> Result<(), Failure> {
    let (one, two) = (context.running("one").await?, context.running("two").await?);
    let ip = context.static_ip(&one.id).await?;
    context.refuse_next(LostReply::AssignStaticIp, Refusal::RateLimited, 2).await?;
    let ips = context.static_ips()?;
    context.patiently("assign", || ips.assign(&ip.id, &two.id)).await?;
    context.points_at(&ip, Some(&two.id)).await?;
    context.has_lost(2).await
}

async fn rate_record(context: CaseContext) -> Result<(), Failure> {
    let record = dns::set(&context, "www", RecordKind::A, &["192.0.2.1"])?;
    context.refuse_next(LostReply::UpsertRecord, Refusal::RateLimited, 2).await?;
    context.dns()?.upsert(&record).await?;
    dns::stands(&context, &record).await?;
    context.has_lost(2).await
}
