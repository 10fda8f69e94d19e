//! Members of load balancers: attached, checked, detached, and where connections go.

use remint_core::provider::{
    Capability, Endpoint, ErrorKind, Instance, InstanceId, InstanceState, LoadBalancer, MemberHealth, PowerOp,
};
use tokio::time::Instant;

use super::table;
use crate::{
    Case, CaseContext, Failure, Setting,
    balancing::{SSH, tcp},
    context::check,
    inside::Keys,
    steps::refused,
};

const BALANCER: &[Capability] = &[Capability::LoadBalancer];
/// Discard (RFC 863): no machine of a case serves it.
const CLOSED: u16 = 9;

pub(super) const CASES: &[Case] = table! {
    "members.attach", "attached instances are members, each once, and attaching them again changes nothing", attach,
        needs(BALANCER), machines(2), minutes(20);
    "members.attach_unknown", "an instance that is gone or never was is NotFound, and members stay", attach_unknown,
        needs(BALANCER), machines(2), minutes(20);
    "members.attach_other_region", "an instance in another region is InvalidInput, and does not become a member",
        attach_other_region, needs(BALANCER), with(&[Setting::SecondRegion]), minutes(20);
    "members.detach", "a detached instance is no member, and runs on; the others stay, and a second time is a success",
        detach, needs(BALANCER), machines(2), minutes(20);
    "members.detach_others", "detaching instances that are no members, or gone, is a success, and members stay",
        detach_others, needs(BALANCER), machines(3), minutes(20);
    "members.attach_again", "an instance that was detached becomes a member again", attach_again,
        needs(BALANCER), minutes(20);
    "members.in_service", "an instance that answers the check is put in service", in_service,
        needs(BALANCER), machines(2), minutes(30);
    "members.closed_port", "an instance that does not answer the check is never in service", closed_port,
        needs(BALANCER), with(&[Setting::Boots]), minutes(30);
    "members.stopped", "an instance that stops is out of service, and in service again once it is started", stopped,
        needs(BALANCER), minutes(30);
    "members.destroyed", "a destroyed instance leaves the members, and the others stay", destroyed,
        needs(BALANCER), machines(2), minutes(20);
    "members.calls", "members cost as many calls for three as for one", calls,
        needs(BALANCER), machines(3), minutes(30);
    "members.reaches", "connections meet a member in service, and after it is detached only the other one", reaches,
        needs(BALANCER), with(&[Setting::Boots]), machines(2), minutes(30);
};

async fn attach(context: CaseContext) -> Result<(), Failure> {
    let balancer = context.balancer("web").await?;
    let ids = [context.running("one").await?.id, context.running("two").await?.id];
    let balancers = context.load_balancers()?;
    context.attached(&balancer.id, &ids[..1]).await?;
    context.attached(&balancer.id, &ids).await?;
    let before = context.provider().calls().count();
    for _ in 0..3 {
        balancers.attach(&balancer.id, &ids).await?;
    }
    let spent = context.provider().calls().count().since(before);
    check!(spent.mutations == 0, "{} mutations for what exists", spent.mutations);
    context.has_members(&balancer.id, &ids).await
}

async fn attach_unknown(context: CaseContext) -> Result<(), Failure> {
    let (balancer, web) = (context.balancer("web").await?, context.running("web").await?);
    context.attached(&balancer.id, std::slice::from_ref(&web.id)).await?;
    let (balancers, former) = (context.load_balancers()?, context.former_instance().await?);
    for id in [former, InstanceId::new("no-such-instance")] {
        let result = balancers.attach(&balancer.id, std::slice::from_ref(&id)).await;
        refused(result, &[ErrorKind::NotFound], "attaching what is not there")?;
    }
    context.has_members(&balancer.id, &[web.id]).await
}

async fn attach_other_region(context: CaseContext) -> Result<(), Failure> {
    let balancer = context.balancer("web").await?;
    let mut spec = context.spec("two").await?;
    spec.region = context.second_region()?.clone();
    spec.image = context.images().resolve(&context.target().base_image, &spec.region).await?.id;
    let made = context.launch(&spec).await?;
    let two = context.reaches(&made.id, InstanceState::Running).await?;
    let balancers = context.load_balancers()?;
    // Also by a client that did not launch it.
    let another = context.target().another.as_ref().map(|connect| connect());
    let others = another.as_ref().and_then(|provider| provider.load_balancers());
    for balancers in [Some(balancers), others].into_iter().flatten() {
        let result = balancers.attach(&balancer.id, std::slice::from_ref(&two.id)).await;
        refused(result, &[ErrorKind::InvalidInput], "an instance in another region")?;
    }
    context.has_members(&balancer.id, &[]).await
}

async fn detach(context: CaseContext) -> Result<(), Failure> {
    let balancer = context.balancer("web").await?;
    let (one, two) = (context.running("one").await?, context.running("two").await?);
    let balancers = context.load_balancers()?;
    context.attached(&balancer.id, &[one.id.clone(), two.id.clone()]).await?;
    for _ in 0..2 {
        context.patiently("detach", || balancers.detach(&balancer.id, std::slice::from_ref(&one.id))).await?;
        context.has_members(&balancer.id, std::slice::from_ref(&two.id)).await?;
    }
    let now = context.reaches(&one.id, InstanceState::Running).await?;
    check!(now == one, "the member was {one:?}, and is {now:?}");
    // One that drains is shown until its connections have ended; without any, that is soon.
    let left = async || Ok(context.health(&balancer.id, &one.id).await?.is_none().then_some(()));
    context.until("the detached instance to leave the members", left).await
}

async fn detach_others(context: CaseContext) -> Result<(), Failure> {
    let balancer = context.balancer("web").await?;
    let (one, two) = (context.running("one").await?, context.running("two").await?);
    let former = context.former_instance().await?;
    let balancers = context.load_balancers()?;
    context.attached(&balancer.id, std::slice::from_ref(&one.id)).await?;
    let nobody = InstanceId::new("no-such-instance");
    let others = [two.id.clone(), former.clone(), nobody];
    for other in &others {
        context.patiently("detach", || balancers.detach(&balancer.id, std::slice::from_ref(other))).await?;
    }
    context.patiently("detach", || balancers.detach(&balancer.id, &others)).await?;
    context.has_members(&balancer.id, std::slice::from_ref(&one.id)).await?;
    // A member among them goes, whatever becomes of the others.
    let all = [former, one.id, two.id];
    context.patiently("detach", || balancers.detach(&balancer.id, &all)).await?;
    context.has_members(&balancer.id, &[]).await
}

async fn attach_again(context: CaseContext) -> Result<(), Failure> {
    let (balancer, web) = (context.balancer("web").await?, context.running("web").await?);
    let (balancers, ids) = (context.load_balancers()?, [web.id]);
    for _ in 0..2 {
        context.attached(&balancer.id, &ids).await?;
        context.patiently("detach", || balancers.detach(&balancer.id, &ids)).await?;
        context.has_members(&balancer.id, &[]).await?;
    }
    context.attached(&balancer.id, &ids).await
}

async fn in_service(context: CaseContext) -> Result<(), Failure> {
    let balancer = context.balancer("web").await?;
    let ids = [context.running("one").await?.id, context.running("two").await?.id];
    context.attached(&balancer.id, &ids).await?;
    for id in &ids {
        context.in_service(&balancer.id, id).await?;
    }
    Ok(())
}

async fn closed_port(context: CaseContext) -> Result<(), Failure> {
    let mut spec = context.balancer_spec("web");
    spec.settings.check.port = CLOSED;
    let keys = Keys::generate();
    let web = context.opened(&mut context.spec("web").await?, &keys, &[]).await?;
    context.boots_at(&web, &keys).await?;
    let balancer = context.balanced(&spec).await?;
    context.attached(&balancer.id, std::slice::from_ref(&web.id)).await?;
    let (long, since) = (spec.settings.check.passes_within() * 3, Instant::now());
    let look = async || {
        let health = context.health(&balancer.id, &web.id).await?;
        check!(health != Some(MemberHealth::InService), "nothing answers at port {CLOSED}, and it is in service");
        let out = matches!(health, Some(MemberHealth::OutOfService(_)));
        Ok((out || since.elapsed() >= long).then_some(()))
    };
    context.until("the checks to have failed", look).await
}

async fn stopped(context: CaseContext) -> Result<(), Failure> {
    let (balancer, web) = (context.balancer("web").await?, context.running("web").await?);
    context.attached(&balancer.id, std::slice::from_ref(&web.id)).await?;
    context.in_service(&balancer.id, &web.id).await?;
    let power = |op| context.instances().power(&web.id, op);
    context.patiently("stop", || power(PowerOp::ForceStop)).await?;
    context.reaches(&web.id, InstanceState::Stopped).await?;
    let out = async || {
        let health = context.health(&balancer.id, &web.id).await?;
        Ok(matches!(health, Some(MemberHealth::OutOfService(_))).then_some(()))
    };
    context.until("the stopped instance to be out of service", out).await?;
    context.patiently("start", || power(PowerOp::Start)).await?;
    context.reaches(&web.id, InstanceState::Running).await?;
    context.in_service(&balancer.id, &web.id).await
}

async fn destroyed(context: CaseContext) -> Result<(), Failure> {
    let balancer = context.balancer("web").await?;
    let (one, two) = (context.running("one").await?, context.running("two").await?);
    context.attached(&balancer.id, &[one.id.clone(), two.id.clone()]).await?;
    context.destroy(&one.id).await?;
    context.has_members(&balancer.id, &[two.id]).await
}

async fn calls(context: CaseContext) -> Result<(), Failure> {
    let balancer = context.balancer("web").await?;
    let mut ids = Vec::new();
    let mut costs = Vec::new();
    for what in ["one", "two", "three"] {
        ids.push(context.running(what).await?.id);
        context.attached(&balancer.id, &ids).await?;
        for id in &ids {
            context.in_service(&balancer.id, id).await?;
        }
        let before = context.provider().calls().count();
        context.members(&balancer.id).await?;
        let spent = context.provider().calls().count().since(before);
        check!(spent.mutations == 0, "listing members was counted as {spent:?}");
        costs.push(spent.reads - spent.retries);
    }
    check!(costs[2] <= costs[0], "one, two and three members cost {costs:?} calls");
    Ok(())
}

/// Who is met at a port of the load balancer, by the keys of the machines.
async fn meets(context: &CaseContext, balancer: &LoadBalancer, keys: &Keys) -> Result<bool, Failure> {
    let Some(address) = balancer.endpoint.as_ref().and_then(Endpoint::address) else {
        return Err(Failure::new(format!("no address to connect to: {:?}", balancer.endpoint)));
    };
    Ok(context.login_once(address, keys).await.is_ok())
}

async fn reaches(context: CaseContext) -> Result<(), Failure> {
    let mut spec = context.balancer_spec("web");
    spec.settings.listeners = vec![tcp(SSH)];
    let balancer = context.balanced(&spec).await?;
    let balancers = context.load_balancers()?;
    let keys = [Keys::generate(), Keys::generate()];
    let mut all: Vec<Instance> = Vec::new();
    for (what, keys) in ["one", "two"].iter().zip(&keys) {
        let instance = context.opened(&mut context.spec(what).await?, keys, &[]).await?;
        context.boots_at(&instance, keys).await?;
        all.push(instance);
    }
    // A new load balancer may take connections a little later than it says.
    context.attached(&balancer.id, std::slice::from_ref(&all[0].id)).await?;
    context.in_service(&balancer.id, &all[0].id).await?;
    let met = async || Ok(meets(&context, &balancer, &keys[0]).await?.then_some(()));
    context.until("a connection to meet the member in service", met).await?;
    context.attached(&balancer.id, &[all[0].id.clone(), all[1].id.clone()]).await?;
    context.in_service(&balancer.id, &all[1].id).await?;
    let met = async || Ok(meets(&context, &balancer, &keys[1]).await?.then_some(()));
    context.until("a connection to meet the second member", met).await?;
    context.patiently("detach", || balancers.detach(&balancer.id, std::slice::from_ref(&all[0].id))).await?;
    context.has_members(&balancer.id, std::slice::from_ref(&all[1].id)).await?;
    for _ in 0..6 {
        let other = meets(&context, &balancer, &keys[0]).await?;
        check!(!other, "a new connection met an instance that is no member any more");
    }
    check!(meets(&context, &balancer, &keys[1]).await?, "no connection meets the member that is left");
    Ok(())
}
