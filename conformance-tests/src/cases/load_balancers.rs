//! Load balancers themselves: created, set up, changed in place, listed, refused, destroyed. Their members are in `members`.

use remint_core::provider::{
    Capability, CheckProtocol, Endpoint, ErrorKind, InstanceState, Listener, ListenerProtocol, LoadBalancerId,
    LoadBalancerSpec, LoadBalancerState,
};

use super::table;
use crate::{
    Case, CaseContext, Cost, Failure, Setting,
    balancing::{SSH, WEB, tcp},
    context::check,
    steps::refused,
};

const BALANCER: &[Capability] = &[Capability::LoadBalancer];
const HTTP: &[Capability] = &[Capability::LoadBalancer, Capability::LoadBalancerHttp];
const TARGET_PORT: &[Capability] = &[Capability::LoadBalancer, Capability::LoadBalancerTargetPort];
const DRAIN: &[Capability] = &[Capability::LoadBalancer, Capability::LoadBalancerDrain];

pub(super) const CASES: &[Case] = table! {
    "load_balancers.ensure", "a load balancer becomes active with an endpoint, as it was asked for, and is listed", ensure,
        needs(BALANCER), costs(Cost::Billable), minutes(20);
    "load_balancers.endpoint", "clients connect to an address or to a host name, as is declared, and a host name has addresses",
        endpoint, needs(BALANCER), costs(Cost::Billable), minutes(20);
    "load_balancers.settings", "settings change in place: it keeps its id, its endpoint and its members", settings,
        needs(BALANCER), minutes(20);
    "load_balancers.change_at_once", "a change right after the creation is accepted or Busy, and is made once repeated",
        change_at_once, needs(BALANCER), costs(Cost::Billable), minutes(20);
    "load_balancers.checks", "checks of a path are set up as asked, and changed to connections", checks,
        needs(BALANCER), costs(Cost::Billable), minutes(20);
    "load_balancers.sources", "who may connect is set up as asked, and everybody again", sources,
        needs(BALANCER), costs(Cost::Billable), minutes(20);
    "load_balancers.http", "a port that understands requests is set up as asked", http,
        needs(HTTP), costs(Cost::Billable), minutes(20);
    "load_balancers.target_port", "a port that leads to another one is set up as asked", target_port,
        needs(TARGET_PORT), costs(Cost::Billable), minutes(20);
    "load_balancers.drain", "the drain time is set up as asked, and changed in place", drain,
        needs(DRAIN), costs(Cost::Billable), minutes(20);
    "load_balancers.neighbour", "changing or destroying one leaves the other and its members alone", neighbour,
        needs(BALANCER), minutes(30);
    "load_balancers.list_prefix", "a list by prefix holds the load balancers whose names begin with it, and no others",
        list_prefix, needs(BALANCER), costs(Cost::Billable), minutes(20);
    "load_balancers.other_region", "a name that exists in another region is Conflict, and stays as it is", other_region,
        needs(BALANCER), with(&[Setting::SecondRegion]), costs(Cost::Billable), minutes(20);
    "load_balancers.refused", "settings that no load balancer has are InvalidInput, and nothing is created", not_possible,
        needs(BALANCER), costs(Cost::Billable);
    "load_balancers.refused_change", "a change to settings that no load balancer has leaves it as it is", refused_change,
        needs(BALANCER), costs(Cost::Billable), minutes(20);
    "load_balancers.unknown_certificate", "a certificate that does not exist is InvalidInput, and nothing is created",
        unknown_certificate, needs(HTTP), costs(Cost::Billable);
    "load_balancers.nonsense", "load balancers that never were are NotFound, whatever is asked of them", nonsense,
        needs(BALANCER), machines(1);
    "load_balancers.destroy", "a destroyed one is really gone, and destroying it again is a success", destroy,
        needs(BALANCER), minutes(20);
    "load_balancers.destroy_at_once", "one can be destroyed while the cloud is still building it", destroy_at_once,
        needs(BALANCER), costs(Cost::Billable), minutes(20);
    "load_balancers.keeps_members", "destroying one leaves its members running, as they were", keeps_members,
        needs(BALANCER), minutes(20);
    "load_balancers.name_again", "one that is created again under its name has none of the former members", name_again,
        needs(BALANCER), minutes(30);
};

async fn ensure(context: CaseContext) -> Result<(), Failure> {
    let spec = context.balancer_spec("web");
    let made = context.balanced(&spec).await?;
    check!(made.name == spec.name, "asked for the name {}, got {}", spec.name, made.name);
    check!(made.region == spec.region, "asked for {}, got {}", spec.region, made.region);
    check!(made.endpoint.is_some(), "it is active, and has no endpoint");
    let listed = context.only_balancer(&spec.name).await?;
    check!(listed == made, "read as {made:?}, and listed as {listed:?}");
    let members = context.members(&made.id).await?;
    check!(members.is_empty(), "it was just created, and has the members {members:?}");
    Ok(())
}

async fn endpoint(context: CaseContext) -> Result<(), Failure> {
    let balancer = context.balancer("web").await?;
    let stays = context.provider().descriptor().has(Capability::LoadBalancerAddress);
    match &balancer.endpoint {
        Some(Endpoint::Host { name, addresses }) => {
            check!(!stays, "the host name {name}, where {} is declared", Capability::LoadBalancerAddress);
            check!(name.contains('.') && !name.ends_with('.'), "`{name}` is no host name, or has a final dot");
            check!(!addresses.is_empty(), "{name} has no addresses");
        }
        // That this is declared is asked by the probe for what is not.
        Some(Endpoint::Address(_)) => {}
        None => return Err(Failure::new("it takes connections, and has no endpoint")),
    }
    Ok(())
}

async fn settings(context: CaseContext) -> Result<(), Failure> {
    let (spec, web) = (context.balancer_spec("web"), context.running("web").await?);
    let made = context.balanced(&spec).await?;
    context.attached(&made.id, std::slice::from_ref(&web.id)).await?;
    let mut other = spec.clone();
    other.settings.listeners = vec![tcp(8080), tcp(WEB)];
    other.settings.check.port = WEB;
    other.settings.check.unhealthy = 3;
    for wanted in [&other, &spec] {
        let now = context.balanced(wanted).await?;
        check!(now.id == made.id, "its settings were changed, and its id from {} to {}", made.id, now.id);
        check!(now.endpoint == made.endpoint, "its endpoint was {:?}, and is {:?}", made.endpoint, now.endpoint);
        context.has_members(&made.id, std::slice::from_ref(&web.id)).await?;
    }
    context.only_balancer(&spec.name).await.map(drop)
}

async fn change_at_once(context: CaseContext) -> Result<(), Failure> {
    let (balancers, mut spec) = (context.load_balancers()?, context.balancer_spec("web"));
    let made = balancers.ensure(&spec).await?;
    spec.settings.check.healthy = 3;
    if let Err(error) = balancers.ensure(&spec).await {
        refused::<()>(Err(error), &[ErrorKind::Busy], "a change right after the creation")?;
    }
    let now = context.balanced(&spec).await?;
    check!(now.id == made.id, "one name, two load balancers: {} and {}", made.id, now.id);
    Ok(())
}

/// Sets it up like each of these, one after the other, and holds that it stays the same one.
async fn set_up(context: &CaseContext, all: &[LoadBalancerSpec]) -> Result<(), Failure> {
    let mut first = None;
    for spec in all {
        let now = context.balanced(spec).await?;
        let id = first.get_or_insert_with(|| now.id.clone());
        check!(now.id == *id, "its settings were changed, and its id from {id} to {}", now.id);
        let listed = context.only_balancer(&spec.name).await?;
        check!(listed.settings.is_as(&spec.settings), "asked for {:?}, listed: {:?}", spec.settings, listed.settings);
    }
    Ok(())
}

async fn checks(context: CaseContext) -> Result<(), Failure> {
    let connection = context.balancer_spec("web");
    let path = |path: &str| {
        let mut spec = connection.clone();
        spec.settings.check.protocol = CheckProtocol::Http { path: path.to_owned() };
        spec.settings.check.port = WEB;
        spec
    };
    set_up(&context, &[path("/health"), path("/ready/now"), connection.clone()]).await
}

async fn sources(context: CaseContext) -> Result<(), Failure> {
    let everybody = context.balancer_spec("web");
    let mut some = everybody.clone();
    for net in ["192.0.2.0/24", "198.51.100.7/32"] {
        some.settings.sources.push(net.parse().map_err(|_| Failure::new(format!("{net} is no network")))?);
    }
    set_up(&context, &[some, everybody]).await
}

async fn http(context: CaseContext) -> Result<(), Failure> {
    let mut spec = context.balancer_spec("web");
    spec.settings.listeners[0].protocol = ListenerProtocol::Http;
    // Where requests are understood, some clouds check nothing but requests.
    spec.settings.check.protocol = CheckProtocol::Http { path: "/health".to_owned() };
    spec.settings.check.port = WEB;
    set_up(&context, &[spec]).await
}

async fn target_port(context: CaseContext) -> Result<(), Failure> {
    let mut spec = context.balancer_spec("web");
    spec.settings.listeners[0].target_port = 8080;
    set_up(&context, &[spec]).await
}

async fn drain(context: CaseContext) -> Result<(), Failure> {
    let spec = context.balancer_spec("web");
    let mut longer = spec.clone();
    longer.settings.drain = spec.settings.drain.map(|time| time * 2);
    for wanted in [&spec, &longer] {
        let now = context.balanced(wanted).await?;
        let (asked, told) = (wanted.settings.drain, now.settings.drain);
        check!(told == asked, "asked for a drain time of {asked:?}, told {told:?}");
    }
    Ok(())
}

async fn neighbour(context: CaseContext) -> Result<(), Failure> {
    let web = context.running("web").await?;
    let (mut first, second) = (context.balancer_spec("one"), context.balancer_spec("two"));
    let one = context.balanced(&first).await?;
    let two = context.balanced(&second).await?;
    check!(one.id != two.id && one.endpoint != two.endpoint, "two names, one load balancer: {one:?}");
    context.attached(&two.id, std::slice::from_ref(&web.id)).await?;
    first.settings.check.healthy = 3;
    context.balanced(&first).await?;
    context.unbalanced(&one.id).await?;
    let left = context.only_balancer(&second.name).await?;
    check!(left == two, "the other was {two:?}, and is {left:?}");
    context.has_members(&two.id, std::slice::from_ref(&web.id)).await
}

async fn list_prefix(context: CaseContext) -> Result<(), Failure> {
    let balancers = context.load_balancers()?;
    let mut made = Vec::new();
    for what in ["a", "ab", "b"] {
        made.push(balancers.ensure(&context.balancer_spec(what)).await?.id);
    }
    let all = context.balancer_prefix();
    let cases = [
        (all.clone(), vec![0, 1, 2]),
        (format!("{all}a"), vec![0, 1]),
        (format!("{all}ab"), vec![1]),
        (format!("{all}c"), vec![]),
        // Names contain it, and do not begin with it.
        (context.prefix(), vec![]),
    ];
    for (prefix, wanted) in cases {
        let mut wanted: Vec<_> = wanted.into_iter().map(|place: usize| made[place].clone()).collect();
        let mut found: Vec<_> = balancers.list(&prefix).await?.into_iter().map(|balancer| balancer.id).collect();
        wanted.sort();
        found.sort();
        check!(found == wanted, "`{prefix}` finds {found:?}, not {wanted:?}");
    }
    Ok(())
}

async fn other_region(context: CaseContext) -> Result<(), Failure> {
    let (balancers, spec) = (context.load_balancers()?, context.balancer_spec("web"));
    let made = context.balanced(&spec).await?;
    let elsewhere = LoadBalancerSpec { region: context.second_region()?.clone(), ..spec.clone() };
    refused(balancers.ensure(&elsewhere).await, &[ErrorKind::Conflict], "the same name in another region")?;
    let now = context.only_balancer(&spec.name).await?;
    check!(now == made, "refused, and {made:?} became {now:?}");
    Ok(())
}

/// Settings that no cloud can hold, each with what is wrong.
fn impossible(context: &CaseContext) -> Vec<(&'static str, LoadBalancerSpec)> {
    let spec = context.balancer_spec("web");
    let with = |listeners: Vec<Listener>| {
        let mut spec = spec.clone();
        spec.settings.listeners = listeners;
        spec
    };
    let mut no_checks = spec.clone();
    no_checks.settings.check.healthy = 0;
    let mut no_port = spec.clone();
    no_port.settings.check.port = 0;
    vec![
        ("no port at all", with(Vec::new())),
        ("a port twice", with(vec![tcp(WEB), tcp(SSH), tcp(WEB)])),
        ("port 0", with(vec![tcp(0)])),
        ("a healthy member after no check", no_checks),
        ("a check of port 0", no_port),
    ]
}

async fn not_possible(context: CaseContext) -> Result<(), Failure> {
    let balancers = context.load_balancers()?;
    balancers.accepts(&context.balancer_spec("web"))?;
    for (what, spec) in impossible(&context) {
        refused(balancers.accepts(&spec), &[ErrorKind::InvalidInput], what)?;
        refused(balancers.ensure(&spec).await, &[ErrorKind::InvalidInput], what)?;
    }
    context.balances_nothing().await
}

async fn refused_change(context: CaseContext) -> Result<(), Failure> {
    let (balancers, spec) = (context.load_balancers()?, context.balancer_spec("web"));
    let made = context.balanced(&spec).await?;
    for (what, change) in impossible(&context) {
        refused(balancers.ensure(&change).await, &[ErrorKind::InvalidInput], what)?;
        let now = balancers.get(&made.id).await?;
        check!(now == made, "refused for {what}, and {made:?} became {now:?}");
    }
    Ok(())
}

async fn unknown_certificate(context: CaseContext) -> Result<(), Failure> {
    let balancers = context.load_balancers()?;
    let unknown = context.name("cert");
    for certificate in [None, Some(unknown)] {
        let mut spec = context.balancer_spec("web");
        let listener = Listener { protocol: ListenerProtocol::Https, certificate: certificate.clone(), ..tcp(443) };
        spec.settings.listeners.push(listener);
        let what = format!("the certificate {certificate:?}");
        refused(balancers.ensure(&spec).await, &[ErrorKind::InvalidInput], &what)?;
    }
    context.balances_nothing().await
}

/// Holds that every method answers `NotFound` for an id.
async fn is_unknown(context: &CaseContext, id: &LoadBalancerId) -> Result<(), Failure> {
    let web = context.running("web").await?;
    let (balancers, kinds) = (context.load_balancers()?, &[ErrorKind::NotFound]);
    let instances = std::slice::from_ref(&web.id);
    refused(balancers.get(id).await, kinds, "reading what is not there")?;
    refused(balancers.members(id).await, kinds, "listing members of what is not there")?;
    refused(balancers.attach(id, instances).await, kinds, "attaching to what is not there")?;
    refused(balancers.detach(id, instances).await, kinds, "detaching from what is not there")?;
    Ok(())
}

async fn nonsense(context: CaseContext) -> Result<(), Failure> {
    for id in ["no-such-balancer", "00000000-0000-4000-8000-000000000000", "../account"] {
        is_unknown(&context, &LoadBalancerId::new(id)).await?;
    }
    context.balances_nothing().await
}

async fn destroy(context: CaseContext) -> Result<(), Failure> {
    let (balancers, made) = (context.load_balancers()?, context.balancer("web").await?);
    for _ in 0..2 {
        context.patiently("destroy", || balancers.destroy(&made.id)).await?;
    }
    context.balancer_gone(&made.id).await?;
    balancers.destroy(&made.id).await?;
    is_unknown(&context, &made.id).await?;
    context.balances_nothing().await
}

async fn destroy_at_once(context: CaseContext) -> Result<(), Failure> {
    let made = context.load_balancers()?.ensure(&context.balancer_spec("web")).await?;
    context.unbalanced(&made.id).await
}

async fn keeps_members(context: CaseContext) -> Result<(), Failure> {
    let (web, balancer) = (context.running("web").await?, context.balancer("web").await?);
    context.attached(&balancer.id, std::slice::from_ref(&web.id)).await?;
    context.unbalanced(&balancer.id).await?;
    let now = context.reaches(&web.id, InstanceState::Running).await?;
    check!(now == web, "the member was {web:?}, and is {now:?}");
    Ok(())
}

async fn name_again(context: CaseContext) -> Result<(), Failure> {
    let (web, first) = (context.running("web").await?, context.balancer("web").await?);
    context.attached(&first.id, std::slice::from_ref(&web.id)).await?;
    context.unbalanced(&first.id).await?;
    let second = context.balancer("web").await?;
    check!(second.state == LoadBalancerState::Active, "it is {:?}", second.state);
    // Members that come by themselves come within a few looks.
    for _ in 0..5 {
        let members = context.members(&second.id).await?;
        check!(members.is_empty(), "it is a new one, and has the members {members:?}");
        tokio::time::sleep(context.target().poll).await;
    }
    context.attached(&second.id, std::slice::from_ref(&web.id)).await
}
