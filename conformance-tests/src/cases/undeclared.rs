//! What is not declared answers `Unsupported` and changes nothing. Run for those capabilities that a provider lacks.

use remint_core::provider::{Capability, Endpoint, ErrorKind, ListenerProtocol, LoadBalancerSpec, RecordKind, label};

use crate::{Case, CaseContext, Cost, Failure, Setting, context::check, steps::refused};

/// A probe for each capability: that its concern is `None`, or that its method is refused.
pub const PROBES: &[(Capability, Case)] = &[
    (
        Capability::StaticIp,
        Case::new("undeclared.static_ip", "there are no static IPs", |c| Box::pin(no_static_ips(c))).costs(Cost::Free),
    ),
    (
        Capability::LoadBalancer,
        Case::new("undeclared.load_balancer", "there are no load balancers", |c| Box::pin(no_load_balancers(c)))
            .costs(Cost::Free),
    ),
    (
        Capability::LoadBalancerHttp,
        Case::new("undeclared.load_balancer.http", "a port that understands requests is Unsupported", |c| {
            Box::pin(http_listener(c))
        })
        .costs(Cost::Free),
    ),
    (
        Capability::LoadBalancerTargetPort,
        Case::new("undeclared.load_balancer.target_port", "a port that leads to another one is Unsupported", |c| {
            Box::pin(other_port(c))
        })
        .costs(Cost::Free),
    ),
    (
        Capability::LoadBalancerDrain,
        Case::new("undeclared.load_balancer.drain", "no drain time is reported", |c| Box::pin(no_drain(c)))
            .costs(Cost::Billable)
            .minutes(20),
    ),
    (
        Capability::LoadBalancerAddress,
        Case::new("undeclared.load_balancer.address", "a load balancer has a host name", |c| Box::pin(host_name(c)))
            .costs(Cost::Billable)
            .minutes(20),
    ),
    (
        Capability::DnsAlias,
        Case::new("undeclared.dns.alias", "a host name as an address is InvalidInput, and sets nothing", |c| {
            Box::pin(no_alias(c))
        })
        .costs(Cost::Free)
        .with(&[Setting::Zone]),
    ),
    (Capability::Dns, Case::new("undeclared.dns", "there are no zones", |c| Box::pin(no_zones(c))).costs(Cost::Free)),
    (
        Capability::LoginKey,
        Case::new("undeclared.login_key", "there are no login keys", |c| Box::pin(no_login_keys(c))).costs(Cost::Free),
    ),
    (
        Capability::Marker,
        Case::new("undeclared.account.marker", "there are no markers", |c| Box::pin(no_markers(c))).costs(Cost::Free),
    ),
    (
        Capability::Strays,
        Case::new("undeclared.strays", "there are no strays", |c| Box::pin(no_strays(c))).costs(Cost::Free),
    ),
    (
        Capability::StaticIpLabels,
        Case::new("undeclared.static_ip.labels", "labelling an address is Unsupported", |c| Box::pin(label_ip(c))),
    ),
    (
        Capability::InstanceLaunchBatch,
        Case::new("undeclared.instance.launch_batch", "two names in a call launch none", |c| Box::pin(no_batch(c)))
            .costs(Cost::Free),
    ),
    (
        Capability::InstanceConsole,
        Case::new("undeclared.instance.console_output", "consoles are Unsupported", |c| Box::pin(console(c))),
    ),
    (
        Capability::InstanceRelabel,
        Case::new("undeclared.instance.relabel", "relabelling is Unsupported", |c| Box::pin(relabel(c))),
    ),
    (
        Capability::ImageCopyRegions,
        Case::new("undeclared.image.copy_regions", "copying images is Unsupported", |c| Box::pin(copy(c))),
    ),
];

async fn no_static_ips(context: CaseContext) -> Result<(), Failure> {
    check!(context.provider().static_ips().is_none(), "static IPs are not declared, and there");
    Ok(())
}

async fn no_load_balancers(context: CaseContext) -> Result<(), Failure> {
    check!(context.provider().load_balancers().is_none(), "load balancers are not declared, and there");
    Ok(())
}

/// Holds that a load balancer is `Unsupported`, and not created.
async fn balances_not(context: &CaseContext, spec: &LoadBalancerSpec, what: &str) -> Result<(), Failure> {
    refused(context.load_balancers()?.ensure(spec).await, &[ErrorKind::Unsupported], what)?;
    context.balances_nothing().await
}

async fn http_listener(context: CaseContext) -> Result<(), Failure> {
    if context.provider().load_balancers().is_none() {
        return Ok(());
    }
    let mut spec = context.balancer_spec("web");
    spec.settings.listeners[0].protocol = ListenerProtocol::Http;
    balances_not(&context, &spec, "a port that understands requests").await?;
    spec.settings.listeners[0].protocol = ListenerProtocol::Https;
    spec.settings.listeners[0].certificate = Some(context.name("cert"));
    balances_not(&context, &spec, "a port that ends TLS").await
}

async fn other_port(context: CaseContext) -> Result<(), Failure> {
    if context.provider().load_balancers().is_none() {
        return Ok(());
    }
    let mut spec = context.balancer_spec("web");
    spec.settings.listeners[0].target_port = 8080;
    balances_not(&context, &spec, "a port that leads to another one").await
}

async fn no_drain(context: CaseContext) -> Result<(), Failure> {
    if context.provider().load_balancers().is_none() {
        return Ok(());
    }
    let made = context.balancer("web").await?;
    check!(made.settings.drain.is_none(), "no drain time is declared, and {:?} is shown", made.settings.drain);
    Ok(())
}

async fn host_name(context: CaseContext) -> Result<(), Failure> {
    if context.provider().load_balancers().is_none() {
        return Ok(());
    }
    let made = context.balancer("web").await?;
    check!(
        matches!(made.endpoint, Some(Endpoint::Host { .. })),
        "no address is declared, and {:?} is shown",
        made.endpoint
    );
    Ok(())
}

async fn no_alias(context: CaseContext) -> Result<(), Failure> {
    let Some(zones) = context.provider().dns_zones() else { return Ok(()) };
    let record = super::dns::set(&context, "www", RecordKind::A, &["host.example.org"])?;
    refused(zones.upsert(&record).await, &[ErrorKind::InvalidInput], "a host name as an address")?;
    let found = zones.get(&record.zone, &record.name, record.kind).await?;
    check!(found.is_none(), "refused, and set: {found:?}");
    Ok(())
}

async fn no_zones(context: CaseContext) -> Result<(), Failure> {
    check!(context.provider().dns_zones().is_none(), "zones are not declared, and there");
    Ok(())
}

async fn no_login_keys(context: CaseContext) -> Result<(), Failure> {
    check!(context.provider().login_keys().is_none(), "login keys are not declared, and there");
    Ok(())
}

async fn no_markers(context: CaseContext) -> Result<(), Failure> {
    check!(context.provider().markers().is_none(), "markers are not declared, and there");
    Ok(())
}

async fn no_strays(context: CaseContext) -> Result<(), Failure> {
    check!(context.provider().strays().is_none(), "strays are not declared, and there");
    Ok(())
}

async fn label_ip(context: CaseContext) -> Result<(), Failure> {
    let Some(ips) = context.provider().static_ips() else { return Ok(()) };
    let instance = context.running("web").await?;
    let ip = context.static_ip(&instance.id).await?;
    let more = context.labels().with(label::RELEASE, "7");
    refused(ips.label(&ip.id, &more).await, &[ErrorKind::Unsupported], "labelling an address")?;
    let now = ips.get(&ip.id).await?;
    check!(now == ip, "unsupported, and {ip:?} became {now:?}");
    Ok(())
}

async fn no_batch(context: CaseContext) -> Result<(), Failure> {
    let mut spec = context.spec("one").await?;
    spec.names.push(context.name("two"));
    context.launches_nothing(&spec, &[ErrorKind::InvalidInput, ErrorKind::Unsupported]).await
}

async fn console(context: CaseContext) -> Result<(), Failure> {
    let instance = context.running("web").await?;
    let result = context.instances().console_output(&instance.id).await;
    refused(result, &[ErrorKind::Unsupported], "reading a console")?;
    Ok(())
}

async fn relabel(context: CaseContext) -> Result<(), Failure> {
    let instance = context.running("web").await?;
    let more = context.labels().with(label::ROLE, "parked");
    refused(context.instances().label(&instance.id, &more).await, &[ErrorKind::Unsupported], "relabelling")?;
    let now = context.instances().get(&instance.id).await?;
    check!(now.labels == instance.labels, "unsupported, and its labels became {:?}", now.labels);
    Ok(())
}

async fn copy(context: CaseContext) -> Result<(), Failure> {
    let (_, image) = context.image().await?;
    let elsewhere = context.target().second_region.clone().unwrap_or_else(|| context.target().region.clone());
    refused(context.images().copy(&image.id, &elsewhere).await, &[ErrorKind::Unsupported], "copying an image")?;
    let now = context.images().get(&image.id).await?;
    check!(now.regions == image.regions, "unsupported, and it is in {:?}", now.regions);
    Ok(())
}
