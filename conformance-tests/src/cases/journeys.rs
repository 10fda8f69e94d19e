//! Whole journeys: what `remint deploy` asks of a provider, from the first bake to the last thing cleaned.

use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::Duration,
};

use remint_core::provider::{
    Address, Capability, ErrorKind, Image, Instance, InstanceState, LaunchSpec, PowerOp, RecordKind, RecordSet,
    Selector, StaticIp, StaticIpSpec, label,
};
use tokio::{io::AsyncReadExt as _, net::TcpStream};

use super::{dns, table};
use crate::{
    Case, CaseContext, Failure, Setting,
    context::check,
    inside::{Keys, output},
};

const BOOTS: &[Setting] = &[Setting::Boots];

pub(super) const CASES: &[Case] = table! {
    "journeys.bake", "an image is baked: launched, provisioned, stopped, captured, and what it holds runs elsewhere",
        bake, with(BOOTS), machines(2), minutes(30);
    "journeys.replace", "a release replaces another behind its address, and is rolled back", replace,
        needs(&[Capability::StaticIp]), with(BOOTS), machines(4), minutes(30);
    "journeys.no_gap", "no connection is lost while the address moves back and forth", no_gap,
        needs(&[Capability::StaticIp, Capability::StaticIpReassign]), with(BOOTS), machines(2), minutes(20);
    "journeys.failed_release", "a release that fails before the switch leaves the old one serving", failed_release,
        needs(&[Capability::StaticIp]), machines(2), minutes(20);
    "journeys.resumed", "a deploy whose every step another process repeats ends with one of each", resumed,
        needs(&[Capability::StaticIp]), with(&[Setting::Another]), machines(2), minutes(30);
    "journeys.two_services", "cleaning one service up by its labels leaves the other whole", two_services, machines(2),
        minutes(20);
    "journeys.name_to_address", "a name follows the address of what serves it", name_to_address,
        needs(&[Capability::StaticIp, Capability::Dns]), with(&[Setting::Zone]), minutes(20);
    "journeys.parked", "a parked instance is started again and takes the address back", parked,
        needs(&[Capability::StaticIp]), machines(2), minutes(20);
    "journeys.clean", "after everything is taken away in reverse, no list holds anything of it", clean,
        needs(&[Capability::StaticIp]), machines(2), minutes(30);
};

/// An instance of a release, which lets its keys in.
async fn release(context: &CaseContext, number: u32, image: &Image, keys: &Keys) -> Result<Instance, Failure> {
    let mut spec = context.spec_from(&format!("r{number}-0"), &image.id);
    spec.labels = spec.labels.with(label::RELEASE, number.to_string());
    let instance = context.opened(&mut spec, keys, &[]).await?;
    context.boots_at(&instance, keys).await?;
    Ok(instance)
}

/// Points the address at an instance, and holds that connections meet it.
async fn switch(context: &CaseContext, ip: &StaticIp, to: &Instance, keys: &Keys) -> Result<(), Failure> {
    let ips = context.static_ips()?;
    context.patiently("assign", || ips.assign(&ip.id, &to.id)).await?;
    context.points_at(ip, Some(&to.id)).await?;
    context.login_once(&ip.address, keys).await
}

/// Bakes an image whose disk says which one it is.
async fn baked(context: &CaseContext, what: &str) -> Result<Image, Failure> {
    let keys = Keys::generate();
    let mut spec = context.spec(&format!("builder-{what}")).await?;
    spec.labels = spec.labels.with(label::ROLE, "builder");
    let builder = context.opened(&mut spec, &keys, &[]).await?;
    let machine = context.booted(builder.address.as_ref(), &keys).await?;
    output(&machine, &format!("echo {what} > /etc/baked && sync")).await?;
    drop(machine);
    context.patiently("stop", || context.instances().power(&builder.id, PowerOp::Stop)).await?;
    context.reaches(&builder.id, InstanceState::Stopped).await?;
    let mut spec = context.capture_spec(&format!("image-{what}"), &builder.id);
    spec.labels = spec.labels.with(label::FINGERPRINT, what);
    let image = context.capture(&spec).await?;
    context.destroy(&builder.id).await?;
    Ok(image)
}

async fn bake(context: CaseContext) -> Result<(), Failure> {
    let image = baked(&context, "one").await?;
    let found = context.images().list(&context.selector().with(label::FINGERPRINT, "one")).await?;
    check!(found.len() == 1 && found[0].id == image.id, "baked {}, and found by its fingerprint: {found:?}", image.id);
    let keys = Keys::generate();
    let instance = release(&context, 1, &image, &keys).await?;
    let machine = context.booted(instance.address.as_ref(), &keys).await?;
    let text = output(&machine, "cat /etc/baked").await?;
    check!(text == "one\n", "launched from image one, and its disk says {text:?}");
    check!(context.standing().await? == [instance.name], "standing: {:?}", context.standing().await?);
    Ok(())
}

async fn replace(context: CaseContext) -> Result<(), Failure> {
    let (one, two) = (baked(&context, "one").await?, baked(&context, "two").await?);
    let keys = [Keys::generate(), Keys::generate()];
    let first = release(&context, 1, &one, &keys[0]).await?;
    let ip = context.static_ip(&first.id).await?;
    switch(&context, &ip, &first, &keys[0]).await?;
    let second = release(&context, 2, &two, &keys[1]).await?;
    switch(&context, &ip, &second, &keys[1]).await?;
    serves(&context, &ip.address, &keys[1], "two").await?;
    // Back, at once: the old one still stands.
    switch(&context, &ip, &first, &keys[0]).await?;
    serves(&context, &ip.address, &keys[0], "one").await?;
    context.destroy(&second.id).await?;
    serves(&context, &ip.address, &keys[0], "one").await
}

async fn serves(context: &CaseContext, address: &Address, keys: &Keys, what: &str) -> Result<(), Failure> {
    let machine = context.booted(Some(address), keys).await?;
    let text = output(&machine, "cat /etc/baked").await?;
    check!(text.trim() == what, "the address serves image {:?}, and should serve {what}", text.trim());
    Ok(())
}

async fn no_gap(context: CaseContext) -> Result<(), Failure> {
    let keys = [Keys::generate(), Keys::generate()];
    let mut instances = Vec::new();
    for (what, keys) in ["one", "two"].iter().zip(&keys) {
        let mut spec = context.spec(what).await?;
        let instance = context.opened(&mut spec, keys, &[]).await?;
        context.boots_at(&instance, keys).await?;
        instances.push(instance);
    }
    let ip = context.static_ip(&instances[0].id).await?;
    switch(&context, &ip, &instances[0], &keys[0]).await?;
    let (over, made) = (AtomicBool::new(false), AtomicU64::new(0));
    let probe = async {
        while !over.load(Ordering::Relaxed) {
            greeted(&ip.address).await?;
            made.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok::<_, Failure>(())
    };
    let moves = async {
        let result = async {
            for (instance, keys) in instances.iter().zip(&keys).rev() {
                switch(&context, &ip, instance, keys).await?;
            }
            Ok::<_, Failure>(())
        };
        let result = result.await;
        over.store(true, Ordering::Relaxed);
        result
    };
    futures::try_join!(probe, moves)?;
    let made = made.load(Ordering::Relaxed);
    check!(made > 2, "only {made} connections were tried while the address moved: the case proves nothing");
    Ok(())
}

/// Connects, and holds that somebody says who they are.
async fn greeted(address: &Address) -> Result<(), Failure> {
    let endpoint = address.endpoint(22);
    let greeting = async {
        let mut stream = TcpStream::connect(endpoint).await?;
        let mut word = [0; 4];
        stream.read_exact(&mut word).await?;
        Ok::<_, std::io::Error>(word)
    };
    match tokio::time::timeout(Duration::from_secs(10), greeting).await {
        Ok(Ok(word)) if &word == b"SSH-" => Ok(()),
        Ok(Ok(word)) => Err(Failure::new(format!("{endpoint} says {:?}", String::from_utf8_lossy(&word)))),
        Ok(Err(error)) => Err(Failure::new(format!("a connection to {endpoint} was lost: {error}"))),
        Err(_) => Err(Failure::new(format!("a connection to {endpoint} got no answer"))),
    }
}

async fn failed_release(context: CaseContext) -> Result<(), Failure> {
    let old = context.running("r1-0").await?;
    let ip = context.static_ip(&old.id).await?;
    let new = context.launch(&context.spec("r2-0").await?).await?;
    // It never passes its gate: it goes before it has even started.
    context.destroy(&new.id).await?;
    let there = context.points_at(&ip, Some(&old.id)).await?;
    check!(there.address == ip.address, "the address changed from {:?} to {:?}", ip.address, there.address);
    let left = context.instances().get(&old.id).await?;
    // Its address may be the static IP now: some clouds take its own away.
    let same = (&left.id, left.state, &left.labels) == (&old.id, old.state, &old.labels);
    check!(same, "the old instance was {old:?}, and is {left:?}");
    check!(context.standing().await? == [old.name], "standing: {:?}", context.standing().await?);
    Ok(())
}

async fn resumed(context: CaseContext) -> Result<(), Failure> {
    // Each step is done by one process and done again by another one, as after a crash between any two of them.
    let spec = context.spec("r1-0").await?;
    let launch = async |spec: &LaunchSpec| {
        let here = context.another()?.instances().launch(spec).await?;
        let there = context.another()?.instances().launch(spec).await?;
        check!(here[0].id == there[0].id, "one name, two instances: {} and {}", here[0].id, there[0].id);
        context.reaches(&here[0].id, InstanceState::Running).await
    };
    let first = launch(&spec).await?;
    let make = StaticIpSpec { name: context.name("ip"), ..context.static_ip_spec(&first.id) };
    let mut made = Vec::new();
    for _ in 0..2 {
        let another = context.another()?;
        let ips = another.static_ips().ok_or_else(|| Failure::new("another client has no static IPs"))?;
        made.push(context.patiently("ensure", || ips.ensure(&make)).await?);
    }
    check!(made[0].id == made[1].id, "one instance, two addresses: {} and {}", made[0].id, made[1].id);
    let second = launch(&context.spec("r2-0").await?).await?;
    for _ in 0..2 {
        let another = context.another()?;
        let ips = another.static_ips().ok_or_else(|| Failure::new("another client has no static IPs"))?;
        context.patiently("assign", || ips.assign(&made[0].id, &second.id)).await?;
    }
    context.points_at(&made[0], Some(&second.id)).await?;
    for _ in 0..2 {
        let another = context.another()?;
        context.patiently("destroy", || another.instances().destroy(&first.id)).await?;
    }
    context.gone(&first.id).await?;
    check!(context.standing().await? == [second.name], "standing: {:?}", context.standing().await?);
    Ok(())
}

async fn two_services(context: CaseContext) -> Result<(), Failure> {
    let mut made = Vec::new();
    for env in ["blue", "blue-2"] {
        let mut spec = context.spec(&format!("{env}-0")).await?;
        spec.labels = spec.labels.with(label::ENV, env);
        let instance = context.launch(&spec).await?;
        made.push(context.reaches(&instance.id, InstanceState::Running).await?);
    }
    for instance in context.instances().list(&context.selector().with(label::ENV, "blue")).await? {
        context.destroy(&instance.id).await?;
    }
    let left = context.instances().list(&context.selector()).await?;
    check!(left.len() == 1 && left[0] == made[1], "blue was cleaned up, and left is {left:?}, not {:?}", made[1]);
    Ok(())
}

async fn name_to_address(context: CaseContext) -> Result<(), Failure> {
    let instance = context.running("web").await?;
    let ip = context.static_ip(&instance.id).await?;
    let first = dns::set(&context, "www", RecordKind::A, &["192.0.2.1"])?;
    context.dns()?.upsert(&first).await?;
    let served = RecordSet { values: vec![ip.address.ip.to_string()], ..first };
    context.dns()?.upsert(&served).await?;
    dns::stands(&context, &served).await?;
    let ips = context.static_ips()?;
    context.patiently("unassign", || ips.unassign(&ip.id)).await?;
    context.points_at(&ip, None).await?;
    dns::stands(&context, &served).await
}

async fn parked(context: CaseContext) -> Result<(), Failure> {
    let (old, new) = (context.running("r1-0").await?, context.running("r2-0").await?);
    let ip = context.static_ip(&old.id).await?;
    let ips = context.static_ips()?;
    context.patiently("assign", || ips.assign(&ip.id, &new.id)).await?;
    context.points_at(&ip, Some(&new.id)).await?;
    context.patiently("stop", || context.instances().power(&old.id, PowerOp::ForceStop)).await?;
    context.reaches(&old.id, InstanceState::Stopped).await?;
    context.points_at(&ip, Some(&new.id)).await?;
    context.patiently("start", || context.instances().power(&old.id, PowerOp::Start)).await?;
    context.reaches(&old.id, InstanceState::Running).await?;
    context.patiently("assign", || ips.assign(&ip.id, &old.id)).await?;
    let there = context.points_at(&ip, Some(&old.id)).await?;
    check!(there.address == ip.address, "the address changed from {:?} to {:?}", ip.address, there.address);
    Ok(())
}

async fn clean(context: CaseContext) -> Result<(), Failure> {
    let (builder, image) = context.image().await?;
    let made = context.launch(&context.spec_from("web", &image.id)).await?;
    let web = context.reaches(&made.id, InstanceState::Running).await?;
    let ip = context.static_ip(&web.id).await?;
    let ips = context.static_ips()?;
    context.patiently("release", || ips.release(&ip.id)).await?;
    context.static_ip_gone(&ip.id).await?;
    context.destroy(&web.id).await?;
    context.destroy(&builder.id).await?;
    context.delete_image(&image.id).await?;
    let instances = context.instances().list(&context.selector()).await?;
    let images = context.images().list(&context.selector()).await?;
    let ips = ips.list(&Selector::all()).await?;
    check!(instances.is_empty() && images.is_empty(), "all is gone, and listed are {instances:?}, {images:?}");
    check!(ips.iter().all(|other| other.id != ip.id), "the address is gone, and listed");
    for (id, kind) in [(&web.id, "web"), (&builder.id, "builder")] {
        let read = context.instances().get(id).await;
        check!(read.as_ref().is_err_and(|e| e.kind() == ErrorKind::NotFound), "{kind} is gone, and read: {read:?}");
    }
    Ok(())
}
