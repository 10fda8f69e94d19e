//! Cancellation: a call whose future was dropped at any moment, and that is made again, has made at most one.
//!
//! Each case measures how long the call takes, then drops it at several parts of that time, and asks again.

use std::{future::Future, time::Duration};

use remint_core::provider::{Capability, CaptureProgress, Error, ErrorKind, InstanceState, PowerOp, RecordKind, label};
use tokio::time::Instant;

use super::{dns, login_keys::public_key, markers, table};
use crate::{Case, CaseContext, Cost, Failure, Setting, context::check};

/// At which parts of the time that the call takes it is dropped.
const PARTS: [f64; 4] = [0.1, 0.4, 0.7, 0.95];

pub(super) const CASES: &[Case] = table! {
    "cancellation.launch", "a launch that is dropped and repeated leaves one instance", launch, machines(5);
    "cancellation.batch", "a launch of several that is dropped and repeated leaves one of each", batch,
        needs(&[Capability::InstanceLaunchBatch]), machines(10);
    "cancellation.power", "a stop that is dropped and repeated stops", power;
    "cancellation.relabel", "labels that are dropped and repeated stand", relabel,
        needs(&[Capability::InstanceRelabel]);
    "cancellation.destroy", "a destruction that is dropped and repeated destroys", destroy, machines(5);
    "cancellation.capture", "a capture that is dropped and repeated leaves one image", capture;
    "cancellation.delete_image", "a deletion that is dropped and repeated deletes", delete_image;
    "cancellation.static_ip", "a static IP whose making is dropped and repeated is one address", static_ip,
        needs(&[Capability::StaticIp]);
    "cancellation.assign", "a move that is dropped and repeated ends where it should", assign,
        needs(&[Capability::StaticIp]), machines(2);
    "cancellation.record", "a record set whose call is dropped and repeated exists once", record,
        needs(&[Capability::Dns]), with(&[Setting::Zone]), costs(Cost::Cheap);
    "cancellation.login_key", "a registration that is dropped and repeated is one", login_key,
        needs(&[Capability::LoginKey]), costs(Cost::Cheap);
    "cancellation.marker", "a marker whose setting is dropped and repeated is set", marker,
        needs(&[Capability::Marker]), costs(Cost::Cheap);
    "cancellation.load_balancer", "a load balancer whose creation is dropped and repeated is one", load_balancer,
        needs(&[Capability::LoadBalancer]), costs(Cost::Billable), minutes(40);
    "cancellation.change_load_balancer", "a change of settings that is dropped and repeated is made", change_load_balancer,
        needs(&[Capability::LoadBalancer]), costs(Cost::Billable), minutes(40);
    "cancellation.attach", "members whose attaching or detaching is dropped and repeated end as they should", attach,
        needs(&[Capability::LoadBalancer]), minutes(30);
};

/// How long a call took.
async fn timed<T>(call: impl Future<Output = Result<T, Error>>) -> Result<(T, Duration), Failure> {
    let started = Instant::now();
    let value = call.await?;
    Ok((value, started.elapsed()))
}

/// Drops a call at a part of the time that it takes; what it answers in time is of no interest.
async fn dropped<T>(call: impl Future<Output = Result<T, Error>>, took: Duration, part: f64) {
    drop(tokio::time::timeout(took.mul_f64(part), call).await);
}

async fn launch(context: CaseContext) -> Result<(), Failure> {
    let spec = context.spec("web").await?;
    let (_, took) = timed(context.instances().launch(&spec)).await?;
    let mut names = spec.names.clone();
    for (part, what) in PARTS.into_iter().zip(["a", "b", "c", "d"]) {
        let spec = context.spec(what).await?;
        dropped(context.instances().launch(&spec), took, part).await;
        context.patiently("launch", || context.instances().launch(&spec)).await?;
        names.extend(spec.names);
    }
    names.sort();
    let standing = context.standing().await?;
    check!(standing == names, "asked for {names:?}, standing: {standing:?}");
    Ok(())
}

async fn batch(context: CaseContext) -> Result<(), Failure> {
    let mut spec = context.spec("web").await?;
    let mut names = Vec::new();
    let mut took = Duration::ZERO;
    for (part, what) in [0.0].into_iter().chain(PARTS).zip(["a", "b", "c", "d", "e"]) {
        spec.names = [1, 2].map(|number| context.name(&format!("{what}-{number}"))).to_vec();
        names.extend(spec.names.clone());
        if part > 0.0 {
            dropped(context.instances().launch(&spec), took, part).await;
        }
        let (_, time) = timed(context.instances().launch(&spec)).await?;
        took = took.max(time);
    }
    let standing = context.standing().await?;
    check!(standing == names, "asked for {names:?}, standing: {standing:?}");
    Ok(())
}

async fn power(context: CaseContext) -> Result<(), Failure> {
    let instance = context.running("web").await?;
    let power = |op| context.instances().power(&instance.id, op);
    let (_, took) = timed(power(PowerOp::ForceStop)).await?;
    let mut goal = InstanceState::Stopped;
    for part in PARTS {
        context.reaches(&instance.id, goal).await?;
        let op = if goal == InstanceState::Stopped { PowerOp::Start } else { PowerOp::ForceStop };
        goal = if goal == InstanceState::Stopped { InstanceState::Running } else { InstanceState::Stopped };
        dropped(power(op), took, part).await;
        context.patiently("power", || power(op)).await?;
    }
    context.reaches(&instance.id, goal).await?;
    Ok(())
}

async fn relabel(context: CaseContext) -> Result<(), Failure> {
    let instance = context.running("web").await?;
    let more = |value: &str| context.labels().with(label::ROLE, value).with(label::ENV, value);
    let (_, took) = timed(context.instances().label(&instance.id, &more("first"))).await?;
    for (part, value) in PARTS.into_iter().zip(["a", "b", "c", "d"]) {
        let labels = more(value);
        dropped(context.instances().label(&instance.id, &labels), took, part).await;
        context.instances().label(&instance.id, &labels).await?;
        let now = context.instances().get(&instance.id).await?;
        check!(now.labels == labels, "labelled {labels:?}, has {:?}", now.labels);
    }
    Ok(())
}

async fn destroy(context: CaseContext) -> Result<(), Failure> {
    let first = context.running("web").await?;
    let (_, took) = timed(context.instances().destroy(&first.id)).await?;
    for (part, what) in PARTS.into_iter().zip(["a", "b", "c", "d"]) {
        let instance = context.running(what).await?;
        dropped(context.instances().destroy(&instance.id), took, part).await;
        context.destroy(&instance.id).await?;
    }
    context.gone(&first.id).await
}

async fn capture(context: CaseContext) -> Result<(), Failure> {
    let builder = context.stopped("builder").await?;
    let first = context.capture_spec("image", &builder.id);
    let started = Instant::now();
    context.images().capture(&first).await?;
    let took = started.elapsed();
    context.capture(&first).await?;
    for (part, what) in PARTS.into_iter().zip(["a", "b", "c", "d"]) {
        context.reaches(&builder.id, InstanceState::Stopped).await?;
        let spec = context.capture_spec(what, &builder.id);
        let look = async || {
            // Every look is dropped once, so that each of the steps of a capture is.
            dropped(context.images().capture(&spec), took, part).await;
            match context.images().capture(&spec).await {
                Ok(CaptureProgress::Done(image)) => Ok(Some(image)),
                Ok(CaptureProgress::Pending) => Ok(None),
                Err(error) if error.kind() == ErrorKind::Busy => Ok(None),
                Err(error) => Err(error.into()),
            }
        };
        let image = context.until(format!("image {} to be captured", spec.name), look).await?;
        check!(image.labels == spec.labels, "captured with {:?}, not {:?}", image.labels, spec.labels);
        let listed = context.images().list(&context.selector()).await?;
        let named = listed.iter().filter(|image| image.name == spec.name).count();
        check!(named == 1, "{named} images of one capture: {listed:?}");
    }
    Ok(())
}

async fn delete_image(context: CaseContext) -> Result<(), Failure> {
    let (builder, first) = context.image().await?;
    let (_, took) = timed(context.images().delete(&first.id)).await?;
    for (part, what) in PARTS.into_iter().zip(["a", "b", "c", "d"]) {
        context.reaches(&builder.id, InstanceState::Stopped).await?;
        let image = context.capture(&context.capture_spec(what, &builder.id)).await?;
        dropped(context.images().delete(&image.id), took, part).await;
        context.patiently("delete", || context.images().delete(&image.id)).await?;
        context.image_gone(&image.id).await?;
    }
    Ok(())
}

async fn static_ip(context: CaseContext) -> Result<(), Failure> {
    let (ips, instance) = (context.static_ips()?, context.running("web").await?);
    let mut spec = context.static_ip_spec(&instance.id);
    let (mut made, took) = timed(ips.ensure(&spec)).await?;
    for (part, what) in PARTS.into_iter().zip(["a", "b", "c", "d"]) {
        context.patiently("release", || ips.release(&made.id)).await?;
        context.static_ip_gone(&made.id).await?;
        spec.name = context.name(&format!("ip-{what}"));
        dropped(ips.ensure(&spec), took, part).await;
        made = context.patiently("ensure", || ips.ensure(&spec)).await?;
        context.points_at(&made, Some(&instance.id)).await?;
        let ours = ips.list(&context.selector()).await?;
        check!(ours.len() == 1, "one instance, and {} addresses: {ours:?}", ours.len());
    }
    Ok(())
}

async fn assign(context: CaseContext) -> Result<(), Failure> {
    let (one, two) = (context.running("one").await?, context.running("two").await?);
    let ip = context.static_ip(&one.id).await?;
    let ips = context.static_ips()?;
    let (_, took) = timed(ips.assign(&ip.id, &two.id)).await?;
    context.points_at(&ip, Some(&two.id)).await?;
    for (part, to) in PARTS.into_iter().zip([&one.id, &two.id].into_iter().cycle()) {
        dropped(ips.assign(&ip.id, to), took, part).await;
        context.patiently("assign", || ips.assign(&ip.id, to)).await?;
        context.points_at(&ip, Some(to)).await?;
    }
    Ok(())
}

async fn record(context: CaseContext) -> Result<(), Failure> {
    let mut record = dns::set(&context, "www", RecordKind::A, &["192.0.2.1"])?;
    let dns = context.dns()?;
    let (_, took) = timed(dns.upsert(&record)).await?;
    for (part, number) in PARTS.into_iter().zip(2..) {
        record.values = [number, number + 100].map(|last| format!("192.0.2.{last}")).to_vec();
        dropped(dns.upsert(&record), took, part).await;
        dns.upsert(&record).await?;
        dns::stands(&context, &record).await?;
    }
    Ok(())
}

async fn login_key(context: CaseContext) -> Result<(), Failure> {
    let (name, line) = (context.name("key"), public_key(&context));
    let keys = context.login_keys()?;
    let (mut key, took) = timed(keys.ensure(&name, &line)).await?;
    for part in PARTS {
        keys.remove(&key.id).await?;
        dropped(keys.ensure(&name, &line), took, part).await;
        key = keys.ensure(&name, &line).await?;
        let listed = keys.list(&context.prefix()).await?;
        check!(listed == [key.clone()], "one key, registered as {listed:?}");
    }
    Ok(())
}

async fn marker(context: CaseContext) -> Result<(), Failure> {
    let name = markers::name(&context, "mark");
    let markers = context.markers()?;
    let (_, took) = timed(markers.set(&name, "first")).await?;
    for (part, value) in PARTS.into_iter().zip(["a", "b", "c", "d"]) {
        dropped(markers.set(&name, value), took, part).await;
        markers.set(&name, value).await?;
        let read = markers.get(&name).await?;
        check!(read.as_deref() == Some(value), "set to {value}, and read as {read:?}");
    }
    Ok(())
}

async fn load_balancer(context: CaseContext) -> Result<(), Failure> {
    let balancers = context.load_balancers()?;
    let (_, took) = timed(balancers.ensure(&context.balancer_spec("web"))).await?;
    for (part, what) in PARTS.into_iter().zip(["a", "b", "c", "d"]) {
        let spec = context.balancer_spec(what);
        dropped(balancers.ensure(&spec), took, part).await;
        let made = context.balanced(&spec).await?;
        let only = context.only_balancer(&spec.name).await?;
        check!(only.id == made.id, "one name, two load balancers: {} and {}", made.id, only.id);
        context.unbalanced(&made.id).await?;
    }
    Ok(())
}

async fn change_load_balancer(context: CaseContext) -> Result<(), Failure> {
    let (balancers, mut spec) = (context.load_balancers()?, context.balancer_spec("web"));
    let made = context.balanced(&spec).await?;
    spec.settings.check.healthy = 3;
    let (_, took) = timed(balancers.ensure(&spec)).await?;
    for (part, unhealthy) in PARTS.into_iter().zip(3..) {
        context.is_set_up(&made.id, &spec.settings).await?;
        spec.settings.check.unhealthy = unhealthy;
        dropped(balancers.ensure(&spec), took, part).await;
        let now = context.balanced(&spec).await?;
        check!(now.id == made.id, "one name, two load balancers: {} and {}", made.id, now.id);
    }
    Ok(())
}

async fn attach(context: CaseContext) -> Result<(), Failure> {
    let (balancer, web) = (context.balancer("web").await?, context.running("web").await?);
    let (balancers, ids) = (context.load_balancers()?, [web.id]);
    let (_, took) = timed(balancers.attach(&balancer.id, &ids)).await?;
    context.has_members(&balancer.id, &ids).await?;
    for part in PARTS {
        dropped(balancers.detach(&balancer.id, &ids), took, part).await;
        context.patiently("detach", || balancers.detach(&balancer.id, &ids)).await?;
        context.has_members(&balancer.id, &[]).await?;
        dropped(balancers.attach(&balancer.id, &ids), took, part).await;
        context.attached(&balancer.id, &ids).await?;
    }
    Ok(())
}
