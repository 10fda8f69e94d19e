//! Deletion: what is gone is really gone, and nothing else is.

use remint_core::provider::{Capability, ErrorKind, ImageId, InstanceState, PowerOp, RecordKind, Selector};

use super::{dns, table};
use crate::{Case, CaseContext, Cost, Failure, Setting, context::check, steps::refused};

pub(super) const CASES: &[Case] = table! {
    "deletion.instance", "a destroyed instance is really gone, and destroying it again is a success", instance;
    "deletion.instance_pending", "an instance can be destroyed while it is still being made", instance_pending;
    "deletion.instance_stopped", "an instance that is stopped can be destroyed", instance_stopped;
    "deletion.instance_neighbour", "destroying one leaves its neighbour alone", instance_neighbour, machines(2);
    "deletion.instance_keeps_image", "destroying an instance leaves the image that was captured from it",
        instance_keeps_image, machines(2);
    "deletion.instance_methods", "every method answers NotFound for an instance that is gone", instance_methods;
    "deletion.image", "a deleted image is really gone, and deleting it again is a success", image;
    "deletion.image_neighbour", "deleting one image leaves the other of the same instance alone", image_neighbour;
    "deletion.image_in_use", "an image from which an instance runs is deleted or kept, and the instance runs on",
        image_in_use, machines(2);
    "deletion.image_launch", "nothing launches from a deleted image", image_launch;
    "deletion.image_resolve", "a deleted image is not found by its id", image_resolve;
    "deletion.image_name_again", "a name can be captured again once its image is gone", image_name_again;
    "deletion.static_ip", "a released static IP is really gone, and releasing it again is a success", static_ip,
        needs(&[Capability::StaticIp]);
    "deletion.static_ip_methods", "every method answers NotFound for a static IP that was released", static_ip_methods,
        needs(&[Capability::StaticIp]);
    "deletion.static_ip_keeps_instance", "releasing a static IP leaves its instance running, with an address of its own",
        static_ip_keeps_instance, needs(&[Capability::StaticIp]);
    "deletion.static_ip_neighbour", "releasing one static IP leaves the other where it points", static_ip_neighbour,
        needs(&[Capability::StaticIp]), machines(2);
    "deletion.record_never", "removing what was never there is a success, and changes nothing", record_never,
        needs(&[Capability::Dns]), with(&[Setting::Zone]), costs(Cost::Cheap);
    "deletion.record_neighbours", "removing a record set leaves other kinds and longer names alone", record_neighbours,
        needs(&[Capability::Dns]), with(&[Setting::Zone]), costs(Cost::Cheap);
};

async fn instance(context: CaseContext) -> Result<(), Failure> {
    let instance = context.running("web").await?;
    let instances = context.instances();
    context.patiently("destroy", || instances.destroy(&instance.id)).await?;
    context.patiently("destroy again", || instances.destroy(&instance.id)).await?;
    context.gone(&instance.id).await?;
    instances.destroy(&instance.id).await?;
    refused(instances.get(&instance.id).await, &[ErrorKind::NotFound], "reading what is gone")?;
    let everything = instances.list(&Selector::all()).await?;
    check!(everything.iter().all(|other| other.id != instance.id), "it is gone, and among all that Remint made");
    Ok(())
}

async fn instance_pending(context: CaseContext) -> Result<(), Failure> {
    let made = context.launch(&context.spec("web").await?).await?;
    context.destroy(&made.id).await
}

async fn instance_stopped(context: CaseContext) -> Result<(), Failure> {
    let stopped = context.stopped("web").await?;
    context.destroy(&stopped.id).await
}

async fn instance_neighbour(context: CaseContext) -> Result<(), Failure> {
    let (one, two) = (context.running("one").await?, context.running("two").await?);
    context.destroy(&one.id).await?;
    let left = context.instances().get(&two.id).await?;
    check!(left.state == InstanceState::Running, "the neighbour is {}", left.state.as_str());
    check!(left == two, "the neighbour was {two:?}, and is {left:?}");
    Ok(())
}

async fn instance_keeps_image(context: CaseContext) -> Result<(), Failure> {
    let (builder, image) = context.image().await?;
    context.destroy(&builder.id).await?;
    let left = context.images().get(&image.id).await?;
    check!((&left.name, &left.labels) == (&image.name, &image.labels), "the image was {image:?}, and is {left:?}");
    let made = context.launch(&context.spec_from("web", &image.id)).await?;
    context.reaches(&made.id, InstanceState::Running).await?;
    Ok(())
}

async fn instance_methods(context: CaseContext) -> Result<(), Failure> {
    let former = context.former_instance().await?;
    let (instances, gone) = (context.instances(), &[ErrorKind::NotFound]);
    refused(instances.get(&former).await, gone, "reading what is gone")?;
    for op in [PowerOp::Start, PowerOp::Stop, PowerOp::ForceStop] {
        refused(instances.power(&former, op).await, gone, "switching what is gone")?;
    }
    let descriptor = context.provider().descriptor();
    if descriptor.has(Capability::InstanceRelabel) {
        refused(instances.label(&former, &context.labels()).await, gone, "labelling what is gone")?;
    }
    if descriptor.has(Capability::InstanceConsole) {
        refused(instances.console_output(&former).await, gone, "the console of what is gone")?;
    }
    Ok(())
}

async fn image(context: CaseContext) -> Result<(), Failure> {
    let (_, image) = context.image().await?;
    let images = context.images();
    context.patiently("delete", || images.delete(&image.id)).await?;
    context.patiently("delete again", || images.delete(&image.id)).await?;
    context.image_gone(&image.id).await?;
    let listed = images.list(&context.selector()).await?;
    check!(listed.is_empty(), "a deleted image is listed");
    images.delete(&image.id).await?;
    Ok(())
}

async fn image_neighbour(context: CaseContext) -> Result<(), Failure> {
    let (builder, one) = context.image().await?;
    context.reaches(&builder.id, InstanceState::Stopped).await?;
    let two = context.capture(&context.capture_spec("image-2", &builder.id)).await?;
    check!(one.id != two.id, "two names, one image: {}", one.id);
    context.delete_image(&one.id).await?;
    let left = context.images().list(&context.selector()).await?;
    check!(left.len() == 1 && left[0].id == two.id, "{} was deleted, and left is {left:?}", one.id);
    context.images().get(&two.id).await?;
    Ok(())
}

async fn image_in_use(context: CaseContext) -> Result<(), Failure> {
    let (_, image) = context.image().await?;
    let made = context.launch(&context.spec_from("web", &image.id)).await?;
    context.reaches(&made.id, InstanceState::Running).await?;
    match context.images().delete(&image.id).await {
        Ok(()) => context.image_gone(&image.id).await?,
        Err(error) => {
            refused::<()>(Err(error), &[ErrorKind::Conflict, ErrorKind::Busy], "deleting an image in use")?;
            context.images().get(&image.id).await?;
        }
    }
    context.reaches(&made.id, InstanceState::Running).await?;
    Ok(())
}

async fn image_launch(context: CaseContext) -> Result<(), Failure> {
    let (builder, image) = context.image().await?;
    context.delete_image(&image.id).await?;
    context.destroy(&builder.id).await?;
    let spec = context.spec_from("web", &image.id);
    context.launches_nothing(&spec, &[ErrorKind::InvalidInput, ErrorKind::NotFound]).await
}

async fn image_resolve(context: CaseContext) -> Result<(), Failure> {
    let (_, image) = context.image().await?;
    context.delete_image(&image.id).await?;
    let result = context.images().resolve(image.id.as_str(), &context.target().region).await;
    refused(result, &[ErrorKind::NotFound], "resolving what is gone")?;
    refused(context.images().get(&ImageId::new(image.id.as_str())).await, &[ErrorKind::NotFound], "reading it")?;
    Ok(())
}

async fn image_name_again(context: CaseContext) -> Result<(), Failure> {
    let (builder, first) = context.image().await?;
    context.delete_image(&first.id).await?;
    context.reaches(&builder.id, InstanceState::Stopped).await?;
    let second = context.capture(&context.capture_spec("image", &builder.id)).await?;
    check!(second.id != first.id, "image {} is gone, and capture returned it", first.id);
    context.images().get(&second.id).await?;
    Ok(())
}

async fn static_ip(context: CaseContext) -> Result<(), Failure> {
    let instance = context.running("web").await?;
    let ip = context.static_ip(&instance.id).await?;
    let ips = context.static_ips()?;
    for _ in 0..2 {
        context.patiently("release", || ips.release(&ip.id)).await?;
    }
    context.static_ip_gone(&ip.id).await?;
    refused(ips.assign(&ip.id, &instance.id).await, &[ErrorKind::NotFound], "assigning what is released")?;
    ips.release(&ip.id).await?;
    Ok(())
}

async fn static_ip_methods(context: CaseContext) -> Result<(), Failure> {
    let instance = context.running("web").await?;
    let ip = context.static_ip(&instance.id).await?;
    let (ips, kinds) = (context.static_ips()?, &[ErrorKind::NotFound]);
    context.patiently("release", || ips.release(&ip.id)).await?;
    context.static_ip_gone(&ip.id).await?;
    refused(ips.get(&ip.id).await, kinds, "reading an address that was released")?;
    refused(ips.assign(&ip.id, &instance.id).await, kinds, "assigning an address that was released")?;
    refused(ips.unassign(&ip.id).await, kinds, "taking away an address that was released")?;
    let listed = ips.list(&context.selector()).await?;
    check!(listed.is_empty(), "an address came back: {listed:?}");
    Ok(())
}

async fn static_ip_keeps_instance(context: CaseContext) -> Result<(), Failure> {
    let instance = context.running("web").await?;
    let ip = context.static_ip(&instance.id).await?;
    let ips = context.static_ips()?;
    context.patiently("release", || ips.release(&ip.id)).await?;
    context.static_ip_gone(&ip.id).await?;
    context.reaches(&instance.id, InstanceState::Running).await?;
    // Some clouds take an instance's own address away while a static IP points at it, and give it another one afterwards.
    let own = async || {
        let address = context.instances().get(&instance.id).await?.address;
        Ok(address.filter(|address| address.ip != ip.address.ip).map(drop))
    };
    context.until("the instance to have an address of its own", own).await
}

async fn static_ip_neighbour(context: CaseContext) -> Result<(), Failure> {
    let (one, two) = (context.running("one").await?, context.running("two").await?);
    let first = context.static_ip_named("one", &one.id).await?;
    let second = context.static_ip_named("two", &two.id).await?;
    let ips = context.static_ips()?;
    context.patiently("release", || ips.release(&first.id)).await?;
    context.static_ip_gone(&first.id).await?;
    let left = context.points_at(&second, Some(&two.id)).await?;
    check!(left.address == second.address, "the other's address was {:?}, and is {:?}", second.address, left.address);
    Ok(())
}

async fn record_never(context: CaseContext) -> Result<(), Failure> {
    let neighbour = dns::set(&context, "www", RecordKind::A, &["192.0.2.1"])?;
    context.dns()?.upsert(&neighbour).await?;
    let before = context.provider().calls().count();
    context.dns()?.remove(&neighbour.zone, &context.name("never"), RecordKind::A).await?;
    context.dns()?.remove(&neighbour.zone, &neighbour.name, RecordKind::Txt).await?;
    let spent = context.provider().calls().count().since(before);
    check!(spent.mutations == 0, "{} mutations to remove what is not there", spent.mutations);
    dns::stands(&context, &neighbour).await
}

async fn record_neighbours(context: CaseContext) -> Result<(), Failure> {
    let dns = context.dns()?;
    let record = dns::set(&context, "www", RecordKind::A, &["192.0.2.1"])?;
    let others = [
        dns::set(&context, "www", RecordKind::Txt, &["text"])?,
        dns::set(&context, "www2", RecordKind::A, &["192.0.2.2"])?,
        remint_core::provider::RecordSet {
            name: format!("a.{}", record.name),
            ..dns::set(&context, "www", RecordKind::A, &["192.0.2.3"])?
        },
    ];
    for other in others.iter().chain([&record]) {
        dns.upsert(other).await?;
    }
    dns.remove(&record.zone, &record.name, record.kind).await?;
    let left = dns.get(&record.zone, &record.name, record.kind).await?;
    check!(left.is_none(), "removed, and there: {left:?}");
    for other in &others {
        dns::stands(&context, other).await?;
    }
    Ok(())
}
