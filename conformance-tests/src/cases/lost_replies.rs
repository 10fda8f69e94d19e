//! Each mutating call once more after its reply was lost: one resource, or none too many.

use remint_core::provider::{
    Capability, Effect, Error, ErrorKind, InstanceState, PowerOp, RecordKind, Selector, label,
};

use super::{dns, login_keys::public_key, table};
use crate::{Case, CaseContext, Cost, Failure, LostReply, Setting, context::check};

const LOST: &[Setting] = &[Setting::LostReplies];
const LOST_AND_ZONE: &[Setting] = &[Setting::LostReplies, Setting::Zone];
const LOST_AND_REGION: &[Setting] = &[Setting::LostReplies, Setting::SecondRegion];

pub(super) const CASES: &[Case] = table! {
    "lost_replies.launch", "a launch whose reply is lost makes one instance", launch, with(LOST);
    "lost_replies.batch", "a launch of several whose reply is lost makes one of each", batch,
        needs(&[Capability::InstanceLaunchBatch]), with(LOST), machines(3);
    "lost_replies.power", "a stop whose reply is lost stops", power, with(LOST);
    "lost_replies.label", "labels whose reply is lost are there", relabel,
        needs(&[Capability::InstanceRelabel]), with(LOST);
    "lost_replies.destroy", "a destruction whose reply is lost has happened", destroy, with(LOST);
    "lost_replies.capture", "a capture whose reply is lost makes one image", capture, with(LOST);
    "lost_replies.copy", "a copy whose reply is lost is one copy", copy,
        needs(&[Capability::ImageCopyRegions]), with(LOST_AND_REGION), minutes(90);
    "lost_replies.delete_image", "a deletion whose reply is lost has happened", delete_image, with(LOST);
    "lost_replies.static_ip", "a static IP whose reply is lost is one address", static_ip,
        needs(&[Capability::StaticIp]), with(LOST);
    "lost_replies.assign", "a move whose reply is lost has happened", assign,
        needs(&[Capability::StaticIp]), with(LOST), machines(2);
    "lost_replies.release", "a release whose reply is lost has happened", release,
        needs(&[Capability::StaticIp]), with(LOST);
    "lost_replies.record", "a record whose reply is lost exists once", record,
        needs(&[Capability::Dns]), with(LOST_AND_ZONE), costs(Cost::Cheap);
    "lost_replies.remove_record", "a removal whose reply is lost has happened", remove_record,
        needs(&[Capability::Dns]), with(LOST_AND_ZONE), costs(Cost::Cheap);
    "lost_replies.login_key", "a key whose reply is lost is registered once", login_key,
        needs(&[Capability::LoginKey]), with(LOST), costs(Cost::Cheap);
    "lost_replies.load_balancer", "a load balancer whose reply is lost is one", load_balancer,
        needs(&[Capability::LoadBalancer]), with(LOST), costs(Cost::Billable), minutes(20);
    "lost_replies.attach", "members whose reply is lost are attached", attach,
        needs(&[Capability::LoadBalancer]), with(LOST), minutes(20);
    "lost_replies.detach", "members whose detaching lost its reply are gone", detach,
        needs(&[Capability::LoadBalancer]), with(LOST), machines(2), minutes(20);
    "lost_replies.destroy_load_balancer", "a load balancer whose destruction lost its reply is gone",
        destroy_load_balancer, needs(&[Capability::LoadBalancer]), with(LOST), costs(Cost::Billable), minutes(20);
};

/// The first call may succeed, having settled the loss itself, or must own up that it does not know.
fn owns_up<T>(result: Result<T, Error>) -> Result<(), Failure> {
    match result {
        Err(error) if error.effect() == Effect::NotApplied && error.kind() != ErrorKind::Busy => {
            Err(Failure::new(format!("the reply was lost, and it says that nothing was done: {error}")))
        }
        _ => Ok(()),
    }
}

async fn launch(context: CaseContext) -> Result<(), Failure> {
    let spec = context.spec("web").await?;
    context.lose_next(LostReply::Launch).await?;
    owns_up(context.instances().launch(&spec).await)?;
    let made = context.launch(&spec).await?;
    context.reaches(&made.id, InstanceState::Running).await?;
    let standing = context.standing().await?;
    check!(standing == spec.names, "standing: {standing:?}");
    context.has_lost(1).await
}

async fn batch(context: CaseContext) -> Result<(), Failure> {
    let mut spec = context.spec("a").await?;
    for what in ["b", "c"] {
        spec.names.extend(context.spec(what).await?.names);
    }
    context.lose_next(LostReply::Launch).await?;
    owns_up(context.instances().launch(&spec).await)?;
    context.instances().launch(&spec).await?;
    let standing = context.standing().await?;
    check!(standing == spec.names, "standing: {standing:?}");
    context.has_lost(1).await
}

async fn power(context: CaseContext) -> Result<(), Failure> {
    let instance = context.running("web").await?;
    let instances = context.instances();
    context.lose_next(LostReply::Power).await?;
    owns_up(instances.power(&instance.id, PowerOp::ForceStop).await)?;
    context.patiently("stop", || instances.power(&instance.id, PowerOp::ForceStop)).await?;
    context.reaches(&instance.id, InstanceState::Stopped).await?;
    context.has_lost(1).await
}

async fn relabel(context: CaseContext) -> Result<(), Failure> {
    let instance = context.running("web").await?;
    let more = context.labels().with(label::ROLE, "parked");
    context.lose_next(LostReply::Label).await?;
    owns_up(context.instances().label(&instance.id, &more).await)?;
    context.instances().label(&instance.id, &more).await?;
    let now = context.instances().get(&instance.id).await?;
    check!(now.labels == more, "labelled {more:?}, has {:?}", now.labels);
    context.has_lost(1).await
}

async fn destroy(context: CaseContext) -> Result<(), Failure> {
    let instance = context.running("web").await?;
    context.lose_next(LostReply::Destroy).await?;
    owns_up(context.instances().destroy(&instance.id).await)?;
    context.destroy(&instance.id).await?;
    context.has_lost(1).await
}

async fn capture(context: CaseContext) -> Result<(), Failure> {
    let instance = context.stopped("builder").await?;
    let spec = context.capture_spec("image", &instance.id);
    context.lose_next(LostReply::Capture).await?;
    owns_up(context.images().capture(&spec).await)?;
    let image = context.capture(&spec).await?;
    let listed = context.images().list(&context.selector()).await?;
    check!(listed.len() == 1 && listed[0].id == image.id, "images of one capture: {listed:?}");
    context.has_lost(1).await
}

async fn copy(context: CaseContext) -> Result<(), Failure> {
    let (_, image) = context.image().await?;
    let second = context.target().second_region.clone().ok_or_else(|| Failure::new("no second region"))?;
    let images = context.images();
    context.lose_next(LostReply::CopyImage).await?;
    owns_up(images.copy(&image.id, &second).await)?;
    context.patiently("copy", || images.copy(&image.id, &second)).await?;
    let arrived = async || Ok(images.get(&image.id).await?.regions.contains(&second).then_some(()));
    context.until(format!("the image to be in {second}"), arrived).await?;
    context.has_lost(1).await
}

async fn delete_image(context: CaseContext) -> Result<(), Failure> {
    let (_, image) = context.image().await?;
    let images = context.images();
    context.lose_next(LostReply::DeleteImage).await?;
    owns_up(images.delete(&image.id).await)?;
    context.patiently("delete", || images.delete(&image.id)).await?;
    let unlisted = async || Ok(images.list(&context.selector()).await?.is_empty().then_some(()));
    context.until("the image to be gone", unlisted).await?;
    context.has_lost(1).await
}

async fn static_ip(context: CaseContext) -> Result<(), Failure> {
    let instance = context.running("web").await?;
    let before = context.static_ips()?.list(&Selector::all()).await?.len();
    context.lose_next(LostReply::EnsureStaticIp).await?;
    owns_up(context.static_ips()?.ensure(&context.static_ip_spec(&instance.id)).await)?;
    context.static_ip(&instance.id).await?;
    let after = context.static_ips()?.list(&Selector::all()).await?.len();
    check!(after == before + 1, "{} addresses were made for one instance", after - before);
    context.has_lost(1).await
}

async fn assign(context: CaseContext) -> Result<(), Failure> {
    let (one, two) = (context.running("one").await?, context.running("two").await?);
    let ip = context.static_ip(&one.id).await?;
    let ips = context.static_ips()?;
    context.lose_next(LostReply::AssignStaticIp).await?;
    owns_up(ips.assign(&ip.id, &two.id).await)?;
    context.patiently("assign", || ips.assign(&ip.id, &two.id)).await?;
    context.points_at(&ip, Some(&two.id)).await?;
    context.has_lost(1).await
}

async fn release(context: CaseContext) -> Result<(), Failure> {
    let instance = context.running("web").await?;
    let ip = context.static_ip(&instance.id).await?;
    let ips = context.static_ips()?;
    context.lose_next(LostReply::ReleaseStaticIp).await?;
    owns_up(ips.release(&ip.id).await)?;
    context.patiently("release", || ips.release(&ip.id)).await?;
    let unlisted = async || Ok(ips.list(&Selector::all()).await?.iter().all(|other| other.id != ip.id).then_some(()));
    context.until("the static IP to be gone", unlisted).await?;
    context.has_lost(1).await
}

async fn record(context: CaseContext) -> Result<(), Failure> {
    let record = dns::set(&context, "www", RecordKind::A, &["192.0.2.1"])?;
    context.lose_next(LostReply::UpsertRecord).await?;
    owns_up(context.dns()?.upsert(&record).await)?;
    context.dns()?.upsert(&record).await?;
    dns::stands(&context, &record).await?;
    context.has_lost(1).await
}

async fn remove_record(context: CaseContext) -> Result<(), Failure> {
    let record = dns::set(&context, "www", RecordKind::A, &["192.0.2.1"])?;
    let dns = context.dns()?;
    dns.upsert(&record).await?;
    context.lose_next(LostReply::RemoveRecord).await?;
    owns_up(dns.remove(&record.zone, &record.name, record.kind).await)?;
    dns.remove(&record.zone, &record.name, record.kind).await?;
    let left = dns.get(&record.zone, &record.name, record.kind).await?;
    check!(left.is_none(), "removed, and there: {left:?}");
    context.has_lost(1).await
}

async fn login_key(context: CaseContext) -> Result<(), Failure> {
    let name = context.name("key");
    let line = public_key(&context);
    let keys = context.login_keys()?;
    context.lose_next(LostReply::EnsureLoginKey).await?;
    owns_up(keys.ensure(&name, &line).await)?;
    let key = keys.ensure(&name, &line).await?;
    let listed = keys.list(&context.prefix()).await?;
    check!(listed == [key], "listed: {listed:?}");
    context.has_lost(1).await
}

async fn load_balancer(context: CaseContext) -> Result<(), Failure> {
    let (balancers, spec) = (context.load_balancers()?, context.balancer_spec("web"));
    context.lose_next(LostReply::EnsureLoadBalancer).await?;
    owns_up(balancers.ensure(&spec).await)?;
    let made = context.balanced(&spec).await?;
    let only = context.only_balancer(&spec.name).await?;
    check!(only.id == made.id, "one name, two load balancers: {} and {}", made.id, only.id);
    context.has_lost(1).await
}

async fn attach(context: CaseContext) -> Result<(), Failure> {
    let (balancer, web) = (context.balancer("web").await?, context.running("web").await?);
    let ids = [web.id];
    context.lose_next(LostReply::AttachMembers).await?;
    owns_up(context.load_balancers()?.attach(&balancer.id, &ids).await)?;
    context.attached(&balancer.id, &ids).await?;
    context.has_lost(1).await
}

async fn detach(context: CaseContext) -> Result<(), Failure> {
    let balancer = context.balancer("web").await?;
    let (one, two) = (context.running("one").await?, context.running("two").await?);
    let balancers = context.load_balancers()?;
    context.attached(&balancer.id, &[one.id.clone(), two.id.clone()]).await?;
    let ids = [one.id];
    context.lose_next(LostReply::DetachMembers).await?;
    owns_up(balancers.detach(&balancer.id, &ids).await)?;
    context.patiently("detach", || balancers.detach(&balancer.id, &ids)).await?;
    context.has_members(&balancer.id, &[two.id]).await?;
    context.has_lost(1).await
}

async fn destroy_load_balancer(context: CaseContext) -> Result<(), Failure> {
    let balancer = context.balancer("web").await?;
    context.lose_next(LostReply::DestroyLoadBalancer).await?;
    owns_up(context.load_balancers()?.destroy(&balancer.id).await)?;
    context.unbalanced(&balancer.id).await?;
    context.has_lost(1).await
}
