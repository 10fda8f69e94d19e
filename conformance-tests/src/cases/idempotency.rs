//! Each mutating call ten times over makes one.

use remint_core::provider::{Capability, InstanceState, Labels, PowerOp, RecordKind, Regions, label};

use super::{dns, login_keys::public_key, markers, table};
use crate::{Case, CaseContext, Cost, Failure, Setting, context::check};

pub(super) const CASES: &[Case] = table! {
    "idempotency.launch", "ten launches of a name are one instance", launch;
    "idempotency.launch_running", "a launch of a name that runs changes nothing", launch_running;
    "idempotency.capture", "captures over and over of a name are one image", capture;
    "idempotency.static_ip", "ten static IPs for an instance are one", static_ip, needs(&[Capability::StaticIp]);
    "idempotency.assign", "assigning to where it points changes nothing", assign, needs(&[Capability::StaticIp]);
    "idempotency.batch", "ten launches of a batch are one of each name", batch,
        needs(&[Capability::InstanceLaunchBatch]), machines(3);
    "idempotency.power", "ten stops and ten starts are one of each", power;
    "idempotency.label", "the same labels ten times over are one, and select once", label_again,
        needs(&[Capability::InstanceRelabel]);
    "idempotency.destroy", "ten destructions of one instance are one", destroy;
    "idempotency.delete_image", "ten deletions of one image are one", delete_image;
    "idempotency.copy", "ten copies to a region are one", copy, needs(&[Capability::ImageCopyRegions]),
        with(&[Setting::SecondRegion]), minutes(90);
    "idempotency.unassign", "taking away what points nowhere changes nothing", unassign,
        needs(&[Capability::StaticIp]);
    "idempotency.release", "ten releases of one static IP are one", release, needs(&[Capability::StaticIp]);
    "idempotency.remove_record", "ten removals of one record set are one", remove_record,
        needs(&[Capability::Dns]), with(&[Setting::Zone]), costs(Cost::Cheap);
    "idempotency.login_key", "ten registrations of a key are one, and ten removals too", login_key,
        needs(&[Capability::LoginKey]), costs(Cost::Cheap);
    "idempotency.marker", "a marker that has the value is left alone", marker,
        needs(&[Capability::Marker]), costs(Cost::Cheap);
    "idempotency.load_balancer", "ten load balancers of a name are one, and one that is as asked is left alone",
        load_balancer, needs(&[Capability::LoadBalancer]), costs(Cost::Billable), minutes(20);
    "idempotency.detach", "ten detachings of a member are one, and ten destructions of a load balancer", detach,
        needs(&[Capability::LoadBalancer]), minutes(20);
    "idempotency.record", "an existing record set is left alone", record,
        needs(&[Capability::Dns]), with(&[Setting::Zone]), costs(Cost::Cheap);
};

async fn launch(context: CaseContext) -> Result<(), Failure> {
    let spec = context.spec("web").await?;
    let first = context.launch(&spec).await?;
    for _ in 1..10 {
        let again = context.launch(&spec).await?;
        check!(again.id == first.id, "one name, two instances: {} and {}", first.id, again.id);
    }
    let standing = context.standing().await?;
    check!(standing == spec.names, "standing: {standing:?}");
    Ok(())
}

async fn launch_running(context: CaseContext) -> Result<(), Failure> {
    let spec = context.spec("web").await?;
    let first = context.launch(&spec).await?;
    let running = context.reaches(&first.id, InstanceState::Running).await?;
    let before = context.provider().calls().count();
    let again = context.launch(&spec).await?;
    let spent = context.provider().calls().count().since(before);
    check!(again == running, "it was {running:?}, and is {again:?}");
    check!(spent.mutations == 0, "{} mutations for what exists", spent.mutations);
    Ok(())
}

async fn capture(context: CaseContext) -> Result<(), Failure> {
    let instance = context.stopped("builder").await?;
    let spec = context.capture_spec("image", &instance.id);
    let first = context.capture(&spec).await?;
    for _ in 0..5 {
        let again = context.capture(&spec).await?;
        check!(again.id == first.id, "one name, two images: {} and {}", first.id, again.id);
    }
    let listed = context.images().list(&context.selector()).await?;
    check!(listed.len() == 1, "{} images of one capture", listed.len());
    Ok(())
}

async fn static_ip(context: CaseContext) -> Result<(), Failure> {
    let instance = context.running("web").await?;
    let first = context.static_ip(&instance.id).await?;
    for _ in 1..10 {
        let again = context.static_ip(&instance.id).await?;
        check!(again.id == first.id, "one instance, two addresses: {} and {}", first.id, again.id);
    }
    let listed = context.static_ips()?.list(&context.selector()).await?;
    check!(listed.len() == 1, "{} addresses", listed.len());
    Ok(())
}

async fn assign(context: CaseContext) -> Result<(), Failure> {
    let instance = context.running("web").await?;
    let ip = context.static_ip(&instance.id).await?;
    let before = context.provider().calls().count();
    for _ in 0..5 {
        context.static_ips()?.assign(&ip.id, &instance.id).await?;
    }
    let spent = context.provider().calls().count().since(before);
    check!(spent.mutations == 0, "{} mutations for what exists", spent.mutations);
    context.points_at(&ip, Some(&instance.id)).await?;
    Ok(())
}

async fn record(context: CaseContext) -> Result<(), Failure> {
    let record = dns::set(&context, "www", RecordKind::A, &["192.0.2.1", "192.0.2.2"])?;
    context.dns()?.upsert(&record).await?;
    let before = context.provider().calls().count();
    for _ in 0..10 {
        context.dns()?.upsert(&record).await?;
    }
    let spent = context.provider().calls().count().since(before);
    check!(spent.mutations == 0, "{} mutations for what exists", spent.mutations);
    dns::stands(&context, &record).await
}

async fn batch(context: CaseContext) -> Result<(), Failure> {
    let mut spec = context.spec("a").await?;
    spec.names = ["c", "a", "b"].map(|what| context.name(what)).to_vec();
    let first = context.instances().launch(&spec).await?;
    for _ in 1..10 {
        let again = context.instances().launch(&spec).await?;
        let same = first.len() == again.len() && first.iter().zip(&again).all(|(one, two)| one.id == two.id);
        check!(same, "launched {first:?}, and again {again:?}");
    }
    check!(context.standing().await?.len() == 3, "standing: {:?}", context.standing().await?);
    Ok(())
}

async fn power(context: CaseContext) -> Result<(), Failure> {
    let instance = context.running("web").await?;
    for (op, state) in [(PowerOp::ForceStop, InstanceState::Stopped), (PowerOp::Start, InstanceState::Running)] {
        for _ in 0..10 {
            context.patiently("power", || context.instances().power(&instance.id, op)).await?;
        }
        context.reaches(&instance.id, state).await?;
    }
    Ok(())
}

async fn label_again(context: CaseContext) -> Result<(), Failure> {
    let instance = context.running("web").await?;
    let more = Labels::new().with(label::ROLE, "parked");
    for _ in 0..10 {
        context.instances().label(&instance.id, &more).await?;
    }
    let wanted = instance.labels.with(label::ROLE, "parked");
    let now = context.instances().get(&instance.id).await?;
    check!(now.labels == wanted, "labelled {wanted:?}, has {:?}", now.labels);
    Ok(())
}

async fn destroy(context: CaseContext) -> Result<(), Failure> {
    let instance = context.running("web").await?;
    for _ in 0..10 {
        context.patiently("destroy", || context.instances().destroy(&instance.id)).await?;
    }
    context.gone(&instance.id).await
}

async fn delete_image(context: CaseContext) -> Result<(), Failure> {
    let (_, image) = context.image().await?;
    for _ in 0..10 {
        context.patiently("delete", || context.images().delete(&image.id)).await?;
    }
    context.image_gone(&image.id).await
}

async fn copy(context: CaseContext) -> Result<(), Failure> {
    let (_, image) = context.image().await?;
    let second = context.second_region()?;
    for _ in 0..10 {
        context.patiently("copy", || context.images().copy(&image.id, second)).await?;
    }
    let copied = context.copied(&image.id, second).await?;
    if let Regions::Only(regions) = &copied.regions {
        let there = regions.iter().filter(|region| *region == second).count();
        check!(there == 1, "copied to {second}, and is in {regions:?}");
    }
    let before = context.provider().calls().count();
    context.images().copy(&image.id, second).await?;
    let spent = context.provider().calls().count().since(before);
    check!(spent.mutations == 0, "{} mutations for what is there", spent.mutations);
    Ok(())
}

async fn unassign(context: CaseContext) -> Result<(), Failure> {
    let instance = context.running("web").await?;
    let ip = context.static_ip(&instance.id).await?;
    let ips = context.static_ips()?;
    context.patiently("unassign", || ips.unassign(&ip.id)).await?;
    context.points_at(&ip, None).await?;
    let before = context.provider().calls().count();
    for _ in 0..5 {
        ips.unassign(&ip.id).await?;
    }
    let spent = context.provider().calls().count().since(before);
    check!(spent.mutations == 0, "{} mutations for what points nowhere", spent.mutations);
    context.points_at(&ip, None).await?;
    Ok(())
}

async fn release(context: CaseContext) -> Result<(), Failure> {
    let instance = context.running("web").await?;
    let ip = context.static_ip(&instance.id).await?;
    let ips = context.static_ips()?;
    for _ in 0..10 {
        context.patiently("release", || ips.release(&ip.id)).await?;
    }
    context.static_ip_gone(&ip.id).await
}

async fn remove_record(context: CaseContext) -> Result<(), Failure> {
    let record = dns::set(&context, "www", RecordKind::A, &["192.0.2.1", "192.0.2.2"])?;
    let dns = context.dns()?;
    dns.upsert(&record).await?;
    dns.remove(&record.zone, &record.name, record.kind).await?;
    let before = context.provider().calls().count();
    for _ in 1..10 {
        dns.remove(&record.zone, &record.name, record.kind).await?;
    }
    let spent = context.provider().calls().count().since(before);
    check!(spent.mutations == 0, "{} mutations for what is gone", spent.mutations);
    Ok(())
}

async fn login_key(context: CaseContext) -> Result<(), Failure> {
    let (name, line) = (context.name("key"), public_key(&context));
    let keys = context.login_keys()?;
    let first = keys.ensure(&name, &line).await?;
    for _ in 1..10 {
        let again = keys.ensure(&name, &line).await?;
        check!(again.id == first.id, "one key, two registrations: {} and {}", first.id, again.id);
    }
    for _ in 0..10 {
        keys.remove(&first.id).await?;
    }
    let listed = keys.list(&context.prefix()).await?;
    check!(listed.is_empty(), "removed, and listed: {listed:?}");
    Ok(())
}

async fn marker(context: CaseContext) -> Result<(), Failure> {
    let name = markers::name(&context, "mark");
    let markers = context.markers()?;
    markers.set(&name, "on").await?;
    let before = context.provider().calls().count();
    for _ in 1..10 {
        markers.set(&name, "on").await?;
    }
    let spent = context.provider().calls().count().since(before);
    check!(spent.mutations == 0, "{} mutations for what exists", spent.mutations);
    let read = markers.get(&name).await?;
    check!(read.as_deref() == Some("on"), "set, and read as {read:?}");
    Ok(())
}

async fn load_balancer(context: CaseContext) -> Result<(), Failure> {
    let (balancers, spec) = (context.load_balancers()?, context.balancer_spec("web"));
    let first = context.patiently("ensure", || balancers.ensure(&spec)).await?;
    for _ in 1..10 {
        let again = context.patiently("ensure", || balancers.ensure(&spec)).await?;
        check!(again.id == first.id, "one name, two load balancers: {} and {}", first.id, again.id);
    }
    let made = context.is_set_up(&first.id, &spec.settings).await?;
    let before = context.provider().calls().count();
    let again = balancers.ensure(&spec).await?;
    let spent = context.provider().calls().count().since(before);
    check!(spent.mutations == 0, "{} mutations for what is as asked", spent.mutations);
    check!(again == made, "it was {made:?}, and is {again:?}");
    let only = context.only_balancer(&spec.name).await?;
    check!(only == made, "it was {made:?}, and is listed as {only:?}");
    Ok(())
}

async fn detach(context: CaseContext) -> Result<(), Failure> {
    let (balancer, web) = (context.balancer("web").await?, context.running("web").await?);
    let (balancers, ids) = (context.load_balancers()?, [web.id]);
    context.attached(&balancer.id, &ids).await?;
    for _ in 0..10 {
        context.patiently("detach", || balancers.detach(&balancer.id, &ids)).await?;
    }
    context.has_members(&balancer.id, &[]).await?;
    for _ in 0..10 {
        context.patiently("destroy", || balancers.destroy(&balancer.id)).await?;
    }
    context.balancer_gone(&balancer.id).await
}
