//! Each mutating call ten times over makes one.

use remint_core::provider::{Capability, InstanceState, RecordKind};

use super::{dns, table};
use crate::{Case, CaseContext, Cost, Failure, Setting, context::check};

pub(super) const CASES: &[Case] = table! {
    "idempotency.launch", "ten launches of a name are one instance", launch;
    "idempotency.launch_running", "a launch of a name that runs changes nothing", launch_running;
    "idempotency.capture", "captures over and over of a name are one image", capture;
    "idempotency.static_ip", "ten static IPs for an instance are one", static_ip, needs(&[Capability::StaticIp]);
    "idempotency.assign", "assigning to where it points changes nothing", assign, needs(&[Capability::StaticIp]);
    "idempotency.record", "a record set that stands is left alone", record,
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
    check!(spent.mutations == 0, "{} mutations for what stands", spent.mutations);
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
    check!(spent.mutations == 0, "{} mutations for what stands", spent.mutations);
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
    check!(spent.mutations == 0, "{} mutations for what stands", spent.mutations);
    dns::stands(&context, &record).await
}
