//! Faults of a provider that declares nothing: what it lacks must answer `Unsupported` and change nothing.

use remint_conformance::LostReply;
use remint_core::provider::{
    Capability, Descriptor, DnsZones, Error, ErrorKind, ImageId, Instance, InstanceId, Instances, Labels, LaunchSpec,
    Listener, ListenerProtocol, LoadBalancer, LoadBalancerSpec, LoadBalancers, RecordSet, Region, Regions, Result,
};

use crate::{
    cloud::{HOME, MODEST, WHOLE, refusal},
    sabotage::{Fault, On, Saboteur, saboteurs},
};

pub(super) const SABOTEURS: &[Saboteur] = saboteurs! {
    on &MODEST;
    "undeclared.static_ips_there", "`Provider::static_ips`: there exactly when `StaticIp` is declared",
        = Fault::With(Capability::StaticIp), ["undeclared.static_ip"];
    "undeclared.load_balancers_there", "`Provider::load_balancers`: there exactly when `LoadBalancer` is declared",
        = Fault::With(Capability::LoadBalancer), ["undeclared.load_balancer"];
    "undeclared.zones_there", "`Provider::dns_zones`: there exactly when `Dns` is declared",
        = Fault::With(Capability::Dns), ["undeclared.dns"];
    "undeclared.login_keys_there", "`Provider::login_keys`: there exactly when `LoginKey` is declared",
        = Fault::With(Capability::LoginKey), ["undeclared.login_key"];
    "undeclared.markers_there", "`Provider::markers`: there exactly when `Marker` is declared",
        = Fault::With(Capability::Marker), ["undeclared.account.marker"];
    "undeclared.strays_there", "`Provider::strays`: there exactly when `Strays` is declared",
        = Fault::With(Capability::Strays), ["undeclared.strays"];
    "undeclared.batch_launches", "`Capability::InstanceLaunchBatch`: one call launches several",
        Launch(spec) => batch_launches, ["undeclared.instance.launch_batch"];
    "undeclared.console_answers", "`Instances::console_output`: `Unsupported`",
        Console(id) => console_answers, ["undeclared.instance.console_output"];
    "undeclared.label_applies", "`ErrorKind::Unsupported`: and nothing is changed",
        Label(id, labels) => label_applies, ["undeclared.instance.relabel"];
    "undeclared.copy_applies", "`ErrorKind::Unsupported`: and nothing is changed",
        CopyImage(id, region) => copy_applies, ["undeclared.image.copy_regions"];
    "undeclared.copy_is_invalid", "`Images::copy`: `Unsupported`",
        CopyImage(id, region) => copy_is_invalid, ["undeclared.image.copy_regions"];
};

/// Load balancers that pass everything through.
static PASSING: Descriptor =
    Descriptor { capabilities: &[Capability::InstanceLaunchBatch, Capability::LoadBalancer], ..WHOLE };

pub(super) const PASSING_BALANCERS: &[Saboteur] = saboteurs! {
    on &PASSING;
    "undeclared.http_listens", "`Capability::LoadBalancerHttp`: a load balancer understands HTTP",
        EnsureLoadBalancer(spec) => http_listens, ["undeclared.load_balancer.http"];
    "undeclared.other_port_leads", "`Capability::LoadBalancerTargetPort`: sends connections to another port",
        EnsureLoadBalancer(spec) => other_port_leads, ["undeclared.load_balancer.target_port"];
    "undeclared.other_port_is_invalid", "`LoadBalancers::ensure`: `Unsupported`",
        EnsureLoadBalancer(spec) => other_port_is_invalid, ["undeclared.load_balancer.target_port"];
    "undeclared.drain_is_told", "`LoadBalancerSettings::drain`: `None` where the cloud has no such setting",
        EnsureLoadBalancer(spec) => drain_is_told, ["undeclared.load_balancer.drain"];
};

/// Zones without aliases.
static PLAIN_ZONES: Descriptor = Descriptor { capabilities: &[Capability::Dns], ..WHOLE };

pub(super) const ZONES: &[Saboteur] = saboteurs! {
    on &PLAIN_ZONES;
    "undeclared.alias_is_kept", "`Capability::DnsAlias`: a record set of addresses may be an alias",
        Upsert(set) => alias_is_kept, ["undeclared.dns.alias"];
};

async fn alias_is_kept(on: On, set: RecordSet) -> Result<()> {
    if set.alias().is_some() {
        return on.change(LostReply::UpsertRecord, move |world| world.put(&set)).await;
    }
    on.model.upsert(&set).await
}

/// Takes what it does not declare, where it is asked for this.
async fn takes(on: On, spec: LoadBalancerSpec, what: impl Fn(&Listener) -> bool) -> Result<LoadBalancer> {
    if spec.settings.listeners.iter().any(what) {
        return on.change(LostReply::EnsureLoadBalancer, move |world| world.ensure_balancer(&spec)).await;
    }
    LoadBalancers::ensure(&on.model, &spec).await
}

async fn http_listens(on: On, spec: LoadBalancerSpec) -> Result<LoadBalancer> {
    takes(on, spec, |listener| listener.protocol != ListenerProtocol::Tcp).await
}

async fn other_port_leads(on: On, spec: LoadBalancerSpec) -> Result<LoadBalancer> {
    takes(on, spec, |listener| listener.target_port != listener.port).await
}

async fn other_port_is_invalid(on: On, spec: LoadBalancerSpec) -> Result<LoadBalancer> {
    LoadBalancers::ensure(&on.model, &spec).await.map_err(|error| match error.kind() {
        ErrorKind::Unsupported => refusal(ErrorKind::InvalidInput, "ensure load balancer", "no such port"),
        _ => error,
    })
}

async fn drain_is_told(on: On, spec: LoadBalancerSpec) -> Result<LoadBalancer> {
    let drain = spec.settings.drain;
    let id = LoadBalancers::ensure(&on.model, &spec).await?.id;
    on.change(None, move |world| {
        let there = world.balancer_mut("set up", &id)?;
        there.balancer.settings.drain = drain;
        Ok(there.balancer.clone())
    })
    .await
}

async fn batch_launches(on: On, spec: LaunchSpec) -> Result<Vec<Instance>> {
    // A loop, and no batch: should it end in the middle, some are made.
    let mut launched = Vec::new();
    for name in &spec.names {
        let one = LaunchSpec { names: vec![name.clone()], ..spec.clone() };
        launched.extend(on.model.launch(&one).await?);
    }
    Ok(launched)
}

async fn console_answers(on: On, id: InstanceId) -> Result<String> {
    Instances::get(&on.model, &id).await?;
    Ok(String::new())
}

async fn label_applies(on: On, id: InstanceId, labels: Labels) -> Result<()> {
    on.change(None, move |world| world.label(&id, &labels)).await?;
    Err(Error::unsupported("label", Capability::InstanceRelabel))
}

async fn copy_applies(on: On, id: ImageId, region: Region) -> Result<()> {
    on.change(None, move |world| {
        world.image_mut("copy image", &id)?.regions = Regions::Only(vec![HOME.into(), region.clone()]);
        Ok(())
    })
    .await?;
    Err(Error::unsupported("copy image", Capability::ImageCopyRegions))
}

async fn copy_is_invalid(_: On, _: ImageId, _: Region) -> Result<()> {
    Err(refusal(ErrorKind::InvalidInput, "copy image", "images stay where they are"))
}
