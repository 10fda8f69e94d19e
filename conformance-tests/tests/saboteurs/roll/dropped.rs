//! Faults in what is left of a call that was dropped.

use std::{sync::Arc, time::Duration};

use remint_conformance::LostReply;
use remint_core::fake::Ip;
use remint_core::provider::{
    CaptureProgress, CaptureSpec, DnsZones, ErrorKind, ImageId, Images, Instance, InstanceId, Instances, Labels,
    LaunchSpec, LoadBalancer, LoadBalancerId, LoadBalancerSpec, LoadBalancers, LoginKey, LoginKeyId, LoginKeys,
    Markers, PowerOp, RecordSet, Result, Selector, StaticIp, StaticIpId, StaticIpSpec, StaticIps,
};
use tokio::time::sleep;

use super::{launching::create, load_balancers::named, static_ips::another};
use crate::{
    cloud::{FULL, refusal},
    sabotage::{On, Saboteur, saboteurs},
};

/// By how much longer than a read a cloud takes to make an address.
const LONGER: Duration = Duration::from_millis(100);

pub(super) const SABOTEURS: &[Saboteur] = saboteurs! {
    on &FULL;
    "launch.forgets_dropped", "`Instances::launch`: dropping the future leaves at most one instance per name",
        Launch(spec) => launch, ["cancellation.launch"];
    "launch.forgets_dropped_batch", "`Instances::launch`: dropping the future leaves at most one instance per name",
        Launch(spec) => launch_batch, ["cancellation.batch"];
    "power.takes_asking_for_done", "`Instances::power`: changes the power",
        Power(id, op) => power, ["cancellation.power"];
    "relabel.takes_asking_for_done", "`Instances::label`: adds labels to an instance",
        Label(id, labels) => relabel, ["cancellation.relabel"];
    "destroy.takes_asking_for_done", "`Instances::destroy`: done when `get` answers `NotFound`",
        Destroy(id) => destroy, ["cancellation.destroy"];
    "capture.takes_asking_for_done", "`Images::capture`: only when there is neither starts one",
        Capture(spec) => capture, ["cancellation.capture"];
    "delete_image.takes_asking_for_done", "`Images::delete`: deletes an image",
        DeleteImage(id) => delete_image, ["cancellation.delete_image"];
    "ensure_ip.looks_too_early", "`StaticIps::ensure`: after a dropped call, one made again leaves one address",
        EnsureStaticIp(spec) => static_ip, ["cancellation.static_ip"];
    "assign.takes_asking_for_done", "`StaticIps::assign`: points a static IP at an instance",
        Assign(id, to) => assign, ["cancellation.assign"];
    "balance.forgets_dropped", "`LoadBalancers::ensure`: after a dropped call, one made again leaves one load balancer",
        EnsureLoadBalancer(spec) => load_balancer, ["cancellation.load_balancer"];
    "balance.takes_asking_for_done", "`LoadBalancers::ensure`: changes the settings of one that exists",
        EnsureLoadBalancer(spec) => change_load_balancer, ["cancellation.change_load_balancer"];
    "attach.takes_asking_for_done", "`LoadBalancers::attach`: makes instances members",
        AttachMembers(id, instances) => attach, ["cancellation.attach"];
    "upsert.takes_asking_for_done", "`DnsZones::upsert`: after a dropped call, one made again leaves exactly these values",
        Upsert(set) => upsert, ["cancellation.record"];
    "login_key.forgets_dropped", "`LoginKeys::ensure`: idempotent by the key itself",
        EnsureLoginKey(name, line) => login_key, ["cancellation.login_key"];
    "marker.takes_asking_for_done", "`Markers::set`: sets a marker",
        SetMarker(name, value) => marker, ["cancellation.marker"];
};

/// Whether this was asked for before, of the same thing and last. Noted before the request leaves: of a call that is dropped
/// it knows that it was made, and not that it did nothing.
fn was_asked(on: &On, thing: &str, what: &impl std::fmt::Debug) -> bool {
    let what = format!("{what:?}");
    let was = on.recall::<String>(thing).as_ref() == Some(&what);
    on.note(thing, &what);
    was
}

async fn launch(on: On, spec: LaunchSpec) -> Result<Vec<Instance>> {
    let _turn = on.turn.lock().await;
    let key = spec.names.join(" ");
    if on.recall::<bool>(&key).is_some() {
        return on.model.launch(&spec).await;
    }
    // What it did is noted once it is done: of a call that is dropped it knows nothing.
    let made = create(&on, &spec).await;
    on.note(key, &true);
    made
}

async fn launch_batch(on: On, spec: LaunchSpec) -> Result<Vec<Instance>> {
    if spec.names.len() == 1 { on.model.launch(&spec).await } else { launch(on, spec).await }
}

async fn power(on: On, id: InstanceId, op: PowerOp) -> Result<()> {
    if was_asked(&on, id.as_str(), &op) { Ok(()) } else { on.model.power(&id, op).await }
}

async fn relabel(on: On, id: InstanceId, labels: Labels) -> Result<()> {
    if was_asked(&on, id.as_str(), &labels) { Ok(()) } else { Instances::label(&on.model, &id, &labels).await }
}

async fn destroy(on: On, id: InstanceId) -> Result<()> {
    if was_asked(&on, id.as_str(), &"destroy") { Ok(()) } else { Instances::destroy(&on.model, &id).await }
}

async fn capture(on: On, spec: CaptureSpec) -> Result<CaptureProgress> {
    let listed = Images::list(&on.model, &Selector::all()).await?;
    match listed.into_iter().find(|image| image.name == spec.name) {
        Some(image) => Ok(CaptureProgress::Done(image)),
        None if was_asked(&on, &spec.name, &"capture") => Ok(CaptureProgress::Pending),
        None => on.model.capture(&spec).await,
    }
}

async fn delete_image(on: On, id: ImageId) -> Result<()> {
    if was_asked(&on, id.as_str(), &"delete") { Ok(()) } else { on.model.delete(&id).await }
}

async fn static_ip(on: On, spec: StaticIpSpec) -> Result<StaticIp> {
    let _turn = on.turn.lock().await;
    let points = |ip: &&Ip| ip.end() == Some(&spec.instance);
    if let Some(ip) = on.read(|world| Ok(world.ips.values().find(points).map(|ip| ip.ip.clone()))).await? {
        return Ok(ip);
    }
    // The request goes its way, whatever becomes of the one who sent it; the turn does not wait for it.
    let cloud = Arc::clone(&on);
    let sent = tokio::spawn(async move {
        sleep(LONGER).await;
        cloud.change_once(LostReply::EnsureStaticIp, move |world| another(world, &spec)).await
    });
    sent.await.unwrap_or_else(|error| Err(refusal(ErrorKind::Unexpected, "ensure static IP", error.to_string())))
}

async fn assign(on: On, id: StaticIpId, to: InstanceId) -> Result<()> {
    if was_asked(&on, id.as_str(), &to) { Ok(()) } else { on.model.assign(&id, &to).await }
}

async fn load_balancer(on: On, spec: LoadBalancerSpec) -> Result<LoadBalancer> {
    let noted = on.recall::<LoadBalancerId>(&spec.name);
    let known = on.read(|world| Ok(noted.as_ref().is_some_and(|id| world.balancers.contains_key(id)))).await?;
    if known {
        return LoadBalancers::ensure(&on.model, &spec).await;
    }
    let name = spec.name.clone();
    let made = on.change_once(LostReply::EnsureLoadBalancer, move |world| world.create_balancer(&spec)).await?;
    on.note(name, &made.id);
    Ok(made)
}

async fn change_load_balancer(on: On, spec: LoadBalancerSpec) -> Result<LoadBalancer> {
    match named(&on, &spec.name).await? {
        Some(there) if was_asked(&on, &spec.name, &spec.settings) => Ok(there),
        _ => LoadBalancers::ensure(&on.model, &spec).await,
    }
}

async fn attach(on: On, id: LoadBalancerId, instances: Vec<InstanceId>) -> Result<()> {
    // Of a call that is dropped it takes for granted that it arrives.
    let under_way = on.recall::<bool>(id.as_str()) == Some(true);
    on.note(id.as_str(), &true);
    if !under_way {
        LoadBalancers::attach(&on.model, &id, &instances).await?;
    }
    on.note(id.as_str(), &false);
    Ok(())
}

async fn upsert(on: On, set: RecordSet) -> Result<()> {
    if was_asked(&on, &set.fqdn(), &set) { Ok(()) } else { on.model.upsert(&set).await }
}

async fn login_key(on: On, name: String, line: String) -> Result<LoginKey> {
    let noted = on.recall::<String>(&line).map(LoginKeyId::new);
    let known = on.read(|world| Ok(noted.as_ref().is_some_and(|id| world.keys.contains_key(id)))).await?;
    if known {
        return LoginKeys::ensure(&on.model, &name, &line).await;
    }
    let own = line.clone();
    let key = on.change_once(LostReply::EnsureLoginKey, move |world| Ok(world.register(&name, &own))).await?;
    on.note(line, &key.id.as_str());
    Ok(key)
}

async fn marker(on: On, name: String, value: String) -> Result<()> {
    if was_asked(&on, &name, &value) { Ok(()) } else { on.model.set(&name, &value).await }
}
