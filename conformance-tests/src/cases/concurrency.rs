//! Concurrency: calls at the same time are as good as calls one after the other.

use futures::future::{join_all, try_join_all};
use remint_core::provider::{
    Capability, CaptureProgress, Error, ErrorKind, InstanceState, Labels, PowerOp, RecordKind, label,
};

use super::{dns, login_keys::public_key, markers, table};
use crate::{Case, CaseContext, Cost, Failure, Setting, context::check};

const ZONE: &[Setting] = &[Setting::Zone];

pub(super) const CASES: &[Case] = table! {
    "concurrency.launch", "parallel launches of one name make one instance", launch, machines(3);
    "concurrency.launch_others", "parallel launches of different names make one of each", launch_others, machines(4);
    "concurrency.launch_overlap", "parallel launches of overlapping batches make one of each name", launch_overlap,
        needs(&[Capability::InstanceLaunchBatch]), machines(3);
    "concurrency.power", "parallel stops stop", power;
    "concurrency.relabel", "labels of different keys that are written in parallel all stand", relabel,
        needs(&[Capability::InstanceRelabel]);
    "concurrency.image_labels", "labels that are added to an image at the same time all stand", image_labels;
    "concurrency.destroy", "parallel destructions of one instance all succeed, or are asked to try again later", destroy;
    "concurrency.capture", "parallel captures under one name make one image", capture;
    "concurrency.delete_image", "parallel deletions of one image all succeed, or are asked to try again later", delete_image;
    "concurrency.static_ip", "parallel calls for the static IP of one instance make one address", static_ip,
        needs(&[Capability::StaticIp]);
    "concurrency.static_ip_others", "parallel calls for two instances make an address for each", static_ip_others,
        needs(&[Capability::StaticIp]), machines(2);
    "concurrency.assign", "parallel moves to two instances end at one of them", assign,
        needs(&[Capability::StaticIp]), machines(2);
    "concurrency.load_balancer", "parallel calls for a load balancer of one name create one", load_balancer,
        needs(&[Capability::LoadBalancer]), costs(Cost::Billable), minutes(20);
    "concurrency.members", "instances that are attached in parallel are all members", attach,
        needs(&[Capability::LoadBalancer]), machines(3), minutes(20);
    "concurrency.record", "parallel upserts of one record set leave it once", record,
        needs(&[Capability::Dns]), with(ZONE), costs(Cost::Cheap);
    "concurrency.record_others", "parallel upserts of different names all stand", record_others,
        needs(&[Capability::Dns]), with(ZONE), costs(Cost::Cheap);
    "concurrency.record_kinds", "parallel upserts of different kinds at one name all stand", record_kinds,
        needs(&[Capability::Dns]), with(ZONE), costs(Cost::Cheap);
    "concurrency.login_key", "parallel registrations of one key register it once", login_key,
        needs(&[Capability::LoginKey]), costs(Cost::Cheap);
    "concurrency.markers", "markers of different names that are set in parallel all stand", set_markers,
        needs(&[Capability::Marker]), costs(Cost::Cheap);
    "concurrency.list", "lists during launches and destructions never fail, and never hold what was not asked for",
        list, machines(4);
};

/// Whoever is told to come back does.
fn settled<T>(results: Vec<Result<T, Error>>) -> Result<Vec<T>, Failure> {
    let (mut done, mut turned_away) = (Vec::new(), 0);
    for result in results {
        match result {
            Ok(value) => done.push(value),
            Err(error) if error.kind() == ErrorKind::Busy => turned_away += 1,
            Err(error) => return Err(error.into()),
        }
    }
    check!(!done.is_empty(), "all {turned_away} calls were asked to try again later");
    Ok(done)
}

async fn launch(context: CaseContext) -> Result<(), Failure> {
    // More than once: it is a matter of moments.
    let mut names = Vec::new();
    for what in ["a", "b", "c"] {
        let spec = context.spec(what).await?;
        let launched = settled(join_all((0..6).map(|_| context.instances().launch(&spec))).await)?;
        let first = launched[0][0].id.clone();
        for instances in &launched {
            check!(instances.len() == 1 && instances[0].id == first, "one name, several instances: {launched:?}");
        }
        names.extend(spec.names);
        let standing = context.standing().await?;
        check!(standing == names, "each name was launched six times at once; standing: {standing:?}");
    }
    Ok(())
}

async fn launch_others(context: CaseContext) -> Result<(), Failure> {
    let mut specs = Vec::new();
    for what in ["a", "b", "c", "d"] {
        specs.push(context.spec(what).await?);
    }
    try_join_all(specs.iter().map(|spec| context.instances().launch(spec))).await?;
    let wanted: Vec<_> = specs.iter().flat_map(|spec| spec.names.clone()).collect();
    let standing = context.standing().await?;
    check!(standing == wanted, "asked for {wanted:?}, standing: {standing:?}");
    Ok(())
}

async fn launch_overlap(context: CaseContext) -> Result<(), Failure> {
    let spec = context.spec("a").await?;
    let names = ["a", "b", "c"].map(|what| context.name(what));
    let batches = [[0, 1], [1, 2], [2, 0]].map(|[one, two]| {
        let names = vec![names[one].clone(), names[two].clone()];
        remint_core::provider::LaunchSpec { names, ..spec.clone() }
    });
    settled(join_all(batches.iter().map(|batch| context.instances().launch(batch))).await)?;
    for batch in &batches {
        context.patiently("launch", || context.instances().launch(batch)).await?;
    }
    let standing = context.standing().await?;
    check!(standing == names, "asked for {names:?}, standing: {standing:?}");
    Ok(())
}

async fn power(context: CaseContext) -> Result<(), Failure> {
    let instance = context.running("web").await?;
    let stop = || context.instances().power(&instance.id, PowerOp::ForceStop);
    settled(join_all((0..4).map(|_| stop())).await)?;
    context.patiently("stop", stop).await?;
    context.reaches(&instance.id, InstanceState::Stopped).await?;
    Ok(())
}

async fn relabel(context: CaseContext) -> Result<(), Failure> {
    let instance = context.running("web").await?;
    let mut wanted = instance.labels.clone();
    let labels: Vec<_> = ["one", "two", "three", "four"]
        .map(|what| {
            let key = format!("remint:parallel-{what}");
            wanted = std::mem::take(&mut wanted).with(&key, what);
            remint_core::provider::Labels::new().with(&key, what)
        })
        .into();
    for result in join_all(labels.iter().map(|more| context.instances().label(&instance.id, more))).await {
        result?;
    }
    let now = context.instances().get(&instance.id).await?;
    check!(now.labels == wanted, "labelled {wanted:?}, has {:?}", now.labels);
    Ok(())
}

async fn image_labels(context: CaseContext) -> Result<(), Failure> {
    let (_, image) = context.image().await?;
    let keys = ["one", "two", "three", "four"].map(|what| format!("remint:parallel-{what}"));
    let labels: Vec<_> = keys.iter().map(|key| Labels::new().with(key, "text")).collect();
    for result in join_all(labels.iter().map(|more| context.images().label(&image.id, more))).await {
        result?;
    }
    let wanted = keys.iter().fold(image.labels.clone(), |labels, key| labels.with(key, "text"));
    let now = context.images().get(&image.id).await?;
    check!(now.labels == wanted, "labelled {wanted:?}, has {:?}", now.labels);
    Ok(())
}

async fn destroy(context: CaseContext) -> Result<(), Failure> {
    let instance = context.running("web").await?;
    let destroy = || context.instances().destroy(&instance.id);
    settled(join_all((0..4).map(|_| destroy())).await)?;
    context.destroy(&instance.id).await
}

async fn capture(context: CaseContext) -> Result<(), Failure> {
    let builder = context.stopped("builder").await?;
    let spec = context.capture_spec("image", &builder.id);
    let look = async || {
        let results = join_all((0..4).map(|_| context.images().capture(&spec))).await;
        let mut ids = Vec::new();
        for result in results {
            match result {
                Ok(CaptureProgress::Done(image)) => ids.push(image.id),
                Ok(CaptureProgress::Pending) => {}
                Err(error) if error.kind() == ErrorKind::Busy => {}
                Err(error) => return Err(error.into()),
            }
        }
        ids.dedup();
        check!(ids.len() < 2, "one name, several images: {ids:?}");
        Ok(ids.pop())
    };
    let id = context.until("the image to be captured", look).await?;
    context.capture(&spec).await?;
    let listed = context.images().list(&context.selector()).await?;
    check!(listed.len() == 1 && listed[0].id == id, "images of one capture: {listed:?}");
    Ok(())
}

async fn delete_image(context: CaseContext) -> Result<(), Failure> {
    let (_, image) = context.image().await?;
    let delete = || context.images().delete(&image.id);
    settled(join_all((0..4).map(|_| delete())).await)?;
    context.patiently("delete", delete).await?;
    context.image_gone(&image.id).await
}

async fn static_ip(context: CaseContext) -> Result<(), Failure> {
    let instance = context.running("web").await?;
    let (ips, spec) = (context.static_ips()?, context.static_ip_spec(&instance.id));
    let made = settled(join_all((0..5).map(|_| ips.ensure(&spec))).await)?;
    check!(made.iter().all(|ip| ip.id == made[0].id), "one instance, several addresses: {made:?}");
    context.static_ip(&instance.id).await?;
    let listed = ips.list(&context.selector()).await?;
    check!(listed.len() == 1, "one instance, several addresses: {listed:?}");
    Ok(())
}

async fn static_ip_others(context: CaseContext) -> Result<(), Failure> {
    let (one, two) = (context.running("one").await?, context.running("two").await?);
    let (first, second) =
        futures::try_join!(context.static_ip_named("one", &one.id), context.static_ip_named("two", &two.id))?;
    check!(first.id != second.id, "two instances, one address: {}", first.id);
    check!(first.address != second.address, "two static IPs, one address: {:?}", first.address);
    Ok(())
}

async fn assign(context: CaseContext) -> Result<(), Failure> {
    let (one, two) = (context.running("one").await?, context.running("two").await?);
    let ip = context.static_ip(&one.id).await?;
    let ips = context.static_ips()?;
    settled(join_all([&two.id, &one.id, &two.id].map(|to| ips.assign(&ip.id, to))).await)?;
    let look = async || {
        let now = ips.get(&ip.id).await?;
        Ok((!now.busy && now.assigned_to.is_some()).then_some(now))
    };
    let now = context.until("the static IP to rest", look).await?;
    let at = now.assigned_to.as_ref();
    check!(at == Some(&one.id) || at == Some(&two.id), "moved to one of two, it points at {at:?}");
    Ok(())
}

async fn record(context: CaseContext) -> Result<(), Failure> {
    let record = dns::set(&context, "www", RecordKind::A, &["192.0.2.1", "192.0.2.2"])?;
    let dns = context.dns()?;
    settled(join_all((0..5).map(|_| dns.upsert(&record))).await)?;
    dns::stands(&context, &record).await
}

async fn record_others(context: CaseContext) -> Result<(), Failure> {
    let mut records = Vec::new();
    for number in 1..=8 {
        let value = format!("192.0.2.{number}");
        records.push(dns::set(&context, &format!("www-{number}"), RecordKind::A, &[&value])?);
    }
    let dns = context.dns()?;
    try_join_all(records.iter().map(|record| dns.upsert(record))).await?;
    for record in &records {
        dns::stands(&context, record).await?;
    }
    Ok(())
}

async fn record_kinds(context: CaseContext) -> Result<(), Failure> {
    let records = [
        dns::set(&context, "www", RecordKind::A, &["192.0.2.1"])?,
        dns::set(&context, "www", RecordKind::Aaaa, &["2001:db8::1"])?,
        dns::set(&context, "www", RecordKind::Txt, &["one"])?,
    ];
    let dns = context.dns()?;
    try_join_all(records.iter().map(|record| dns.upsert(record))).await?;
    for record in &records {
        dns::stands(&context, record).await?;
    }
    Ok(())
}

async fn login_key(context: CaseContext) -> Result<(), Failure> {
    let (name, line) = (context.name("key"), public_key(&context));
    let keys = context.login_keys()?;
    let made = settled(join_all((0..5).map(|_| keys.ensure(&name, &line))).await)?;
    check!(made.iter().all(|key| key.id == made[0].id), "one key, several registrations: {made:?}");
    let listed = keys.list(&context.prefix()).await?;
    check!(listed.len() == 1, "one key, several registrations: {listed:?}");
    Ok(())
}

async fn set_markers(context: CaseContext) -> Result<(), Failure> {
    let names = ["one", "two", "three", "four"].map(|what| markers::name(&context, what));
    let markers = context.markers()?;
    try_join_all(names.iter().map(|name| markers.set(name, "on"))).await?;
    for name in &names {
        let read = markers.get(name).await?;
        check!(read.as_deref() == Some("on"), "{name} was set together with others, and is {read:?}");
    }
    Ok(())
}

async fn list(context: CaseContext) -> Result<(), Failure> {
    let mut specs = Vec::new();
    for what in ["a", "b", "c", "d"] {
        specs.push(context.spec(what).await?);
    }
    let selector = context.selector().with(label::ROLE, "instance");
    let come_and_go = async {
        for spec in &specs {
            let made = context.launch(spec).await?;
            context.destroy(&made.id).await?;
        }
        Ok::<_, Failure>(())
    };
    let lists = async {
        for _ in 0..30 {
            let listed = context.instances().list(&selector).await?;
            let asked = |name: &String| specs.iter().any(|spec| spec.names.contains(name));
            check!(listed.iter().all(|instance| asked(&instance.name)), "others are listed: {listed:?}");
            tokio::time::sleep(context.target().poll).await;
        }
        Ok(())
    };
    futures::try_join!(come_and_go, lists)?;
    let left = context.instances().list(&selector).await?;
    check!(left.is_empty(), "all are destroyed, and listed: {left:?}");
    Ok(())
}

async fn load_balancer(context: CaseContext) -> Result<(), Failure> {
    let (balancers, spec) = (context.load_balancers()?, context.balancer_spec("web"));
    let made = settled(join_all((0..5).map(|_| balancers.ensure(&spec))).await)?;
    check!(made.iter().all(|other| other.id == made[0].id), "one name, several load balancers: {made:?}");
    context.balanced(&spec).await?;
    let only = context.only_balancer(&spec.name).await?;
    check!(only.id == made[0].id, "one name, several load balancers: {made:?} and {only:?}");
    Ok(())
}

async fn attach(context: CaseContext) -> Result<(), Failure> {
    let balancer = context.balancer("web").await?;
    let mut ids = Vec::new();
    for what in ["one", "two", "three"] {
        ids.push(context.running(what).await?.id);
    }
    let (balancers, balancer) = (context.load_balancers()?, &balancer.id);
    let attach = |id| context.patiently("attach", move || balancers.attach(balancer, std::slice::from_ref(id)));
    try_join_all(ids.iter().map(attach)).await?;
    context.has_members(balancer, &ids).await
}
