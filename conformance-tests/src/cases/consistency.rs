//! Consistency: what a call returned is there at once, and a second client finds what the first one made.

use remint_core::provider::{
    Capability, CaptureProgress, ErrorKind, ImageState, InstanceState, PowerOp, RecordKind, Selector, label,
};

use super::{dns, table};
use crate::{Case, CaseContext, Cost, Failure, Setting, context::check};

const ANOTHER: &[Setting] = &[Setting::Another];

pub(super) const CASES: &[Case] = table! {
    "consistency.read_at_once", "what launch returned can be read by its id at once", read_at_once;
    "consistency.listed_at_once", "what launch returned is listed right after, by each of its labels", listed_at_once;
    "consistency.listed_while_stopped", "an instance is listed whatever its state", listed_while_stopped;
    "consistency.image_at_once", "a capture that is done is listed and read at once", image_at_once;
    "consistency.image_not_before", "an image that is not done is not available", image_not_before;
    "consistency.static_ip_at_once", "a static IP is listed and read right after it was ensured", static_ip_at_once,
        needs(&[Capability::StaticIp]);
    "consistency.load_balancer_at_once", "a load balancer is listed and read right after it was ensured",
        load_balancer_at_once, needs(&[Capability::LoadBalancer]), costs(Cost::Billable), minutes(20);
    "consistency.load_balancer_elsewhere", "a load balancer that another client ensures is the same one",
        load_balancer_elsewhere, needs(&[Capability::LoadBalancer]), with(ANOTHER), costs(Cost::Billable), minutes(20);
    "consistency.record_at_once", "a record set is read right after it was set, and not after it was removed",
        record_at_once, needs(&[Capability::Dns]), with(&[Setting::Zone]), costs(Cost::Cheap);
    "consistency.launch_elsewhere", "a launch that another client repeats is the same instance", launch_elsewhere,
        with(ANOTHER);
    "consistency.capture_elsewhere", "a capture that another client goes on with is one image", capture_elsewhere,
        with(ANOTHER);
    "consistency.static_ip_elsewhere", "a static IP that another client ensures is the same one", static_ip_elsewhere,
        needs(&[Capability::StaticIp]), with(ANOTHER);
    "consistency.labels_elsewhere", "another client reads the labels that this one wrote", labels_elsewhere,
        needs(&[Capability::InstanceRelabel]), with(ANOTHER);
    "consistency.destroyed_elsewhere", "what another client destroyed is NotFound here, and its name is free",
        destroyed_elsewhere, with(ANOTHER), machines(2);
    "consistency.many", "a list holds all of many", many, machines(24);
};

async fn read_at_once(context: CaseContext) -> Result<(), Failure> {
    let made = context.launch(&context.spec("web").await?).await?;
    let read = context.instances().get(&made.id).await?;
    check!((&read.id, &read.name) == (&made.id, &made.name), "launched {made:?}, read {read:?}");
    Ok(())
}

async fn listed_at_once(context: CaseContext) -> Result<(), Failure> {
    let spec = context.spec("web").await?;
    let made = context.launch(&spec).await?;
    for (key, value) in spec.labels.iter() {
        let listed = context.instances().list(&context.selector().with(key, value)).await?;
        check!(listed.iter().any(|instance| instance.id == made.id), "{} is not listed by {key}={value}", made.id);
    }
    Ok(())
}

async fn listed_while_stopped(context: CaseContext) -> Result<(), Failure> {
    let stopped = context.stopped("web").await?;
    check!(context.standing().await? == [stopped.name], "standing: {:?}", context.standing().await?);
    Ok(())
}

async fn image_at_once(context: CaseContext) -> Result<(), Failure> {
    let (_, image) = context.image().await?;
    let listed = context.images().list(&context.selector()).await?;
    check!(listed.len() == 1 && listed[0].id == image.id, "captured {}, and listed: {listed:?}", image.id);
    let read = context.images().get(&image.id).await?;
    check!((&read.name, &read.labels) == (&image.name, &image.labels), "captured {image:?}, read {read:?}");
    Ok(())
}

async fn image_not_before(context: CaseContext) -> Result<(), Failure> {
    let builder = context.stopped("builder").await?;
    let spec = context.capture_spec("image", &builder.id);
    let look = async || {
        let progress = context.images().capture(&spec).await;
        let listed = context.images().list(&context.selector()).await?;
        match progress {
            Ok(CaptureProgress::Done(image)) => {
                let there = listed.iter().any(|other| other.id == image.id && other.state == ImageState::Available);
                check!(there, "done, and not listed as available: {listed:?}");
                Ok(Some(()))
            }
            Ok(CaptureProgress::Pending) => Ok(None),
            Err(error) if error.kind() == ErrorKind::Busy => Ok(None),
            Err(error) => Err(error.into()),
        }
    };
    context.until("the image to be captured", look).await
}

async fn static_ip_at_once(context: CaseContext) -> Result<(), Failure> {
    let instance = context.running("web").await?;
    let ips = context.static_ips()?;
    let spec = context.static_ip_spec(&instance.id);
    let made = context.patiently("ensure", || ips.ensure(&spec)).await?;
    let read = ips.get(&made.id).await?;
    check!(read.address == made.address, "made with {:?}, read with {:?}", made.address, read.address);
    let listed = ips.list(&Selector::all()).await?;
    check!(listed.iter().any(|ip| ip.id == made.id), "{} was made and is not listed", made.id);
    Ok(())
}

async fn record_at_once(context: CaseContext) -> Result<(), Failure> {
    let record = dns::set(&context, "www", RecordKind::A, &["192.0.2.1"])?;
    for _ in 0..3 {
        context.dns()?.upsert(&record).await?;
        dns::stands(&context, &record).await?;
        context.dns()?.remove(&record.zone, &record.name, record.kind).await?;
        let left = context.dns()?.get(&record.zone, &record.name, record.kind).await?;
        check!(left.is_none(), "removed, and there: {left:?}");
    }
    Ok(())
}

async fn launch_elsewhere(context: CaseContext) -> Result<(), Failure> {
    let spec = context.spec("web").await?;
    let here = context.launch(&spec).await?;
    for _ in 0..3 {
        let there = context.another()?.instances().launch(&spec).await?;
        check!(there.len() == 1 && there[0].id == here.id, "one name: {} here, and there {there:?}", here.id);
    }
    check!(context.standing().await? == spec.names, "standing: {:?}", context.standing().await?);
    Ok(())
}

async fn capture_elsewhere(context: CaseContext) -> Result<(), Failure> {
    let builder = context.stopped("builder").await?;
    let spec = context.capture_spec("image", &builder.id);
    // Begun here; each further look is another client's first.
    match context.images().capture(&spec).await {
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::Busy => {}
        Err(error) => return Err(error.into()),
    }
    let look = async || match context.another()?.images().capture(&spec).await {
        Ok(CaptureProgress::Done(image)) => Ok(Some(image)),
        Ok(CaptureProgress::Pending) => Ok(None),
        Err(error) if error.kind() == ErrorKind::Busy => Ok(None),
        Err(error) => Err(error.into()),
    };
    let image = context.until("another client to see the capture done", look).await?;
    let here = context.capture(&spec).await?;
    check!(here.id == image.id, "one name, two images: {} here, {} there", here.id, image.id);
    let listed = context.images().list(&context.selector()).await?;
    check!(listed.len() == 1 && listed[0].labels == spec.labels, "images of one capture: {listed:?}");
    Ok(())
}

async fn static_ip_elsewhere(context: CaseContext) -> Result<(), Failure> {
    let instance = context.running("web").await?;
    let here = context.static_ip(&instance.id).await?;
    let another = context.another()?;
    let ips = another.static_ips().ok_or_else(|| Failure::new("another client has no static IPs"))?;
    let spec = context.static_ip_spec(&instance.id);
    let there = context.patiently("ensure", || ips.ensure(&spec)).await?;
    check!(there.id == here.id, "one instance, two addresses: {} here, {} there", here.id, there.id);
    Ok(())
}

async fn labels_elsewhere(context: CaseContext) -> Result<(), Failure> {
    let instance = context.running("web").await?;
    let more = context.labels().with(label::ROLE, "parked");
    context.instances().label(&instance.id, &more).await?;
    let there = context.another()?.instances().list(&context.selector().with(label::ROLE, "parked")).await?;
    check!(there.len() == 1 && there[0].labels == more, "labelled {more:?}, listed elsewhere: {there:?}");
    Ok(())
}

async fn destroyed_elsewhere(context: CaseContext) -> Result<(), Failure> {
    let spec = context.spec("web").await?;
    let first = context.launch(&spec).await?;
    context.reaches(&first.id, InstanceState::Running).await?;
    let another = context.another()?;
    context.patiently("stop", || another.instances().power(&first.id, PowerOp::ForceStop)).await?;
    context.patiently("destroy", || another.instances().destroy(&first.id)).await?;
    context.gone(&first.id).await?;
    let second = context.launch(&spec).await?;
    check!(second.id != first.id, "instance {} is gone, and was returned by launch", first.id);
    Ok(())
}

async fn many(context: CaseContext) -> Result<(), Failure> {
    let batch = context.provider().descriptor().limits.launch_batch;
    let mut spec = context.spec("web").await?;
    let names: Vec<String> = (0..24).map(|number| context.name(&format!("web-{number:02}"))).collect();
    for some in names.chunks(batch) {
        spec.names = some.to_vec();
        context.instances().launch(&spec).await?;
    }
    let standing = context.standing().await?;
    check!(standing == names, "{} were launched, {} are listed", names.len(), standing.len());
    Ok(())
}

async fn load_balancer_at_once(context: CaseContext) -> Result<(), Failure> {
    let (balancers, spec) = (context.load_balancers()?, context.balancer_spec("web"));
    let made = balancers.ensure(&spec).await?;
    let read = balancers.get(&made.id).await?;
    check!((&read.name, &read.region) == (&made.name, &made.region), "created {made:?}, read {read:?}");
    let listed = context.only_balancer(&spec.name).await?;
    check!(listed.id == made.id, "created {}, and listed {}", made.id, listed.id);
    let members = context.members(&made.id).await?;
    check!(members.is_empty(), "it was just created, and has the members {members:?}");
    Ok(())
}

async fn load_balancer_elsewhere(context: CaseContext) -> Result<(), Failure> {
    let spec = context.balancer_spec("web");
    let here = context.balanced(&spec).await?;
    let another = context.another()?;
    let missing = || Failure::new("another client has no load balancers");
    let balancers = another.load_balancers().ok_or_else(missing)?;
    let there = context.patiently("ensure", || balancers.ensure(&spec)).await?;
    check!(there.id == here.id, "one name, two load balancers: {} here, {} there", here.id, there.id);
    context.patiently("destroy", || balancers.destroy(&there.id)).await?;
    context.balancer_gone(&here.id).await?;
    let again = context.balanced(&spec).await?;
    check!(again.id != here.id, "load balancer {} is gone, and was returned by ensure", here.id);
    Ok(())
}
