//! Static IPs: ensure, move, take away, release.

use remint_core::provider::{
    Capability, EnvironmentId, ErrorKind, InstanceId, InstanceState, Labels, Selector, StaticIp, StaticIpId,
    StaticIpSpec, label,
};

use super::table;
use crate::{Case, CaseContext, Failure, Setting, context::check, inside::Keys, steps::refused};

pub(super) const CASES: &[Case] = table! {
    "static_ips.ensure", "a static IP points at its instance, and is listed", ensure, needs(&[Capability::StaticIp]);
    "static_ips.assign", "a static IP moves, keeps its address, and moves back", assign,
        needs(&[Capability::StaticIp]), machines(2);
    "static_ips.reassign", "a static IP that moves in one call points somewhere at every moment",
        reassign, needs(&[Capability::StaticIp, Capability::StaticIpReassign]), machines(2);
    "static_ips.unassign", "a static IP that is taken away is kept, and taking it away again is a success",
        unassign, needs(&[Capability::StaticIp]);
    "static_ips.outlives", "a static IP outlives its instance and points at another", outlives,
        needs(&[Capability::StaticIp]), machines(2);
    "static_ips.unknown", "an instance that is gone gets no static IP, and one that has it keeps it",
        unknown, needs(&[Capability::StaticIp]), machines(2), secluded();
    "static_ips.quota", "one more than the account may have is Quota, with the limit in the message",
        quota, needs(&[Capability::StaticIp]), with(&[Setting::StaticIpLimit]), machines(10);
    "static_ips.distinct", "two instances get two addresses, and neither is an instance's own", distinct,
        needs(&[Capability::StaticIp]), machines(2);
    "static_ips.reaches", "connections to the address meet the instance that it points at, before and after a move",
        reaches, needs(&[Capability::StaticIp]), with(&[Setting::Boots]), machines(2);
    "static_ips.other_region", "an instance in another region is InvalidInput, and the address stays where it points",
        other_region, needs(&[Capability::StaticIp]), with(&[Setting::SecondRegion]), machines(2);
    "static_ips.nonsense", "addresses that were never the account's are NotFound, whatever is asked of them",
        nonsense, needs(&[Capability::StaticIp]);
    "static_ips.told_alike", "a move that is reported as done is the same in a list", told_alike,
        needs(&[Capability::StaticIp]), machines(2);
    "static_ips.list_selects", "a list by labels holds the addresses of this run only", list_selects,
        needs(&[Capability::StaticIp]), machines(2);
    "static_ips.another_environment", "an address of another environment is never taken for this one's, whatever its name",
        another_environment, needs(LABELLED), machines(2);
    "static_ips.another_at_instance", "an address of another environment that points at the instance is left there",
        another_at_instance, needs(LABELLED);
    "static_ips.later_release", "the address that an earlier release made is found by a later one, and moves", later_release,
        needs(LABELLED), machines(2);
    "static_ips.label", "labels are added to an address, and stay on it wherever it moves", label_added,
        needs(LABELLED), machines(2);
    "static_ips.label_refused", "a label that is none is InvalidInput, and the address keeps those that it has",
        label_refused, needs(LABELLED);
    "static_ips.label_unknown", "addresses that were released or never were get no labels", label_unknown, needs(LABELLED);
};

const LABELLED: &[Capability] = &[Capability::StaticIp, Capability::StaticIpLabels];

async fn ensure(context: CaseContext) -> Result<(), Failure> {
    let instance = context.running("web").await?;
    let ip = context.static_ip(&instance.id).await?;
    check!(ip.region == instance.region, "it is in {}, the instance in {}", ip.region, instance.region);
    let listed = context.static_ips()?.list(&Selector::all()).await?;
    check!(listed.iter().any(|other| other.id == ip.id && other.address == ip.address), "it is not listed");
    let ours = context.static_ips()?.list(&context.selector()).await?;
    check!(ours.len() == 1 && ours[0].id == ip.id, "listed by labels: {ours:?}");
    Ok(())
}

async fn assign(context: CaseContext) -> Result<(), Failure> {
    let (one, two) = (context.running("one").await?, context.running("two").await?);
    let ip = context.static_ip(&one.id).await?;
    let ips = context.static_ips()?;
    for to in [&two.id, &one.id] {
        context.patiently("assign", || ips.assign(&ip.id, to)).await?;
        let there = context.points_at(&ip, Some(to)).await?;
        check!(there.address == ip.address, "the address changed from {:?} to {:?}", ip.address, there.address);
    }
    Ok(())
}

async fn reassign(context: CaseContext) -> Result<(), Failure> {
    let (one, two) = (context.running("one").await?, context.running("two").await?);
    let ip = context.static_ip(&one.id).await?;
    let ips = context.static_ips()?;
    context.patiently("assign", || ips.assign(&ip.id, &two.id)).await?;
    let look = async || {
        let now = ips.get(&ip.id).await?;
        check!(now.assigned_to.is_some(), "it points nowhere while it moves");
        Ok((now.assigned_to.as_ref() == Some(&two.id) && !now.busy).then_some(()))
    };
    context.until("the static IP to move", look).await
}

async fn unassign(context: CaseContext) -> Result<(), Failure> {
    let instance = context.running("web").await?;
    let ip = context.static_ip(&instance.id).await?;
    let ips = context.static_ips()?;
    for _ in 0..2 {
        context.patiently("unassign", || ips.unassign(&ip.id)).await?;
        context.points_at(&ip, None).await?;
    }
    context.patiently("assign", || ips.assign(&ip.id, &instance.id)).await?;
    context.points_at(&ip, Some(&instance.id)).await?;
    Ok(())
}

async fn outlives(context: CaseContext) -> Result<(), Failure> {
    let one = context.running("one").await?;
    let ip = context.static_ip(&one.id).await?;
    context.destroy(&one.id).await?;
    context.points_at(&ip, None).await?;
    let two = context.running("two").await?;
    let ips = context.static_ips()?;
    context.patiently("assign", || ips.assign(&ip.id, &two.id)).await?;
    let there = context.points_at(&ip, Some(&two.id)).await?;
    check!(there.address == ip.address, "the address changed");
    Ok(())
}

async fn unknown(context: CaseContext) -> Result<(), Failure> {
    let former = context.former_instance().await?;
    let ips = context.static_ips()?;
    let spec = context.static_ip_spec(&former);
    let before = ips.list(&Selector::all()).await?.len();
    refused(ips.ensure(&spec).await, &[ErrorKind::NotFound], "a static IP for what is gone")?;
    check!(ips.list(&Selector::all()).await?.len() == before, "a static IP was made all the same");
    let instance = context.running("web").await?;
    let ip = context.static_ip(&instance.id).await?;
    refused(ips.assign(&ip.id, &former).await, &[ErrorKind::NotFound], "assigning to what is gone")?;
    context.points_at(&ip, Some(&instance.id)).await?;
    Ok(())
}

async fn quota(context: CaseContext) -> Result<(), Failure> {
    let limit = context.target().static_ip_limit.unwrap_or_default();
    let ips = context.static_ips()?;
    for number in 0..=limit {
        let instance = context.running(&format!("web-{number}")).await?;
        let name = context.name(&format!("ip-{number}"));
        let spec = StaticIpSpec { name, ..context.static_ip_spec(&instance.id) };
        match ips.ensure(&spec).await {
            Ok(_) => {}
            Err(error) => {
                let error = refused::<()>(Err(error), &[ErrorKind::Quota], "one static IP too many")?;
                check!(error.message().contains(&limit.to_string()), "the message does not say {limit}: {error}");
                check!(error.hint().is_some(), "it does not say what to do: {error}");
                return Ok(());
            }
        }
    }
    Err(Failure::new(format!("{} static IPs were made; {limit} is the limit", limit + 1)))
}

async fn distinct(context: CaseContext) -> Result<(), Failure> {
    let (one, two) = (context.running("one").await?, context.running("two").await?);
    let first = context.static_ip_named("one", &one.id).await?;
    let second = context.static_ip_named("two", &two.id).await?;
    check!(first.id != second.id && first.address != second.address, "two instances, one address: {first:?}");
    for instance in [&one, &two] {
        // As it was before: some clouds take an instance's own address away while a static IP points at it.
        let own = instance.address.as_ref().map(|address| address.ip);
        let taken = [first.address.ip, second.address.ip].into_iter().any(|ip| Some(ip) == own);
        check!(!taken, "the static IP is the own address of instance {}, which goes with it", instance.id);
    }
    context.points_at(&first, Some(&one.id)).await?;
    Ok(())
}

async fn reaches(context: CaseContext) -> Result<(), Failure> {
    let keys = [Keys::generate(), Keys::generate()];
    let mut instances = Vec::new();
    for (what, keys) in ["one", "two"].iter().zip(&keys) {
        let mut spec = context.spec(what).await?;
        instances.push(context.opened(&mut spec, keys, &[]).await?);
    }
    let ip = context.static_ip(&instances[0].id).await?;
    context.login(Some(&ip.address), &keys[0]).await?;
    let ips = context.static_ips()?;
    context.patiently("assign", || ips.assign(&ip.id, &instances[1].id)).await?;
    context.points_at(&ip, Some(&instances[1].id)).await?;
    // It says that it has moved: the first connection has to meet the other machine.
    context.boots_at(&instances[1], &keys[1]).await?;
    let met = context.login_once(&ip.address, &keys[1]).await;
    check!(met.is_ok(), "moved, and a connection meets another machine: {met:?}");
    Ok(())
}

async fn other_region(context: CaseContext) -> Result<(), Failure> {
    let one = context.running("one").await?;
    let ip = context.static_ip(&one.id).await?;
    let mut spec = context.spec("two").await?;
    spec.region = context.second_region()?.clone();
    spec.image = context.images().resolve(&context.target().base_image, &spec.region).await?.id;
    let made = context.launch(&spec).await?;
    let two = context.reaches(&made.id, InstanceState::Running).await?;
    let result = context.static_ips()?.assign(&ip.id, &two.id).await;
    refused(result, &[ErrorKind::InvalidInput], "an instance in another region")?;
    context.points_at(&ip, Some(&one.id)).await?;
    Ok(())
}

async fn nonsense(context: CaseContext) -> Result<(), Failure> {
    let instance = context.running("web").await?;
    let (ips, kinds) = (context.static_ips()?, &[ErrorKind::NotFound]);
    for id in ["192.0.2.77", "no-such-address", "../account"] {
        let id = StaticIpId::new(id);
        refused(ips.get(&id).await, kinds, "reading an address that never was")?;
        refused(ips.assign(&id, &instance.id).await, kinds, "assigning an address that never was")?;
        refused(ips.unassign(&id).await, kinds, "taking away an address that never was")?;
    }
    Ok(())
}

async fn list_selects(context: CaseContext) -> Result<(), Failure> {
    let (one, two) = (context.running("one").await?, context.running("two").await?);
    let first = context.static_ip_named("one", &one.id).await?;
    let second = context.static_ip_named("two", &two.id).await?;
    let mut ours: Vec<_> = context.static_ips()?.list(&context.selector()).await?;
    ours.sort_by(|a, b| a.id.cmp(&b.id));
    let mut wanted = [first.id, second.id];
    wanted.sort();
    let found: Vec<_> = ours.iter().map(|ip| ip.id.clone()).collect();
    check!(found == wanted, "made {wanted:?}, listed {found:?}");
    let others = context.selector().with(label::RUN, "another-run");
    let listed = context.static_ips()?.list(&others).await?;
    check!(listed.is_empty(), "another run's labels find {listed:?}");
    Ok(())
}

async fn told_alike(context: CaseContext) -> Result<(), Failure> {
    let (one, two) = (context.running("one").await?, context.running("two").await?);
    let ip = context.static_ip(&one.id).await?;
    let ips = context.static_ips()?;
    for to in [&two.id, &one.id] {
        context.patiently("assign", || ips.assign(&ip.id, to)).await?;
        context.points_at(&ip, Some(to)).await?;
        let listed = ips.list(&Selector::all()).await?;
        let told = listed.iter().find(|other| other.id == ip.id);
        let alike = told.is_some_and(|told| told.assigned_to.as_ref() == Some(to) && !told.busy);
        check!(alike, "read as moved to {to}, and listed as {told:?}");
    }
    Ok(())
}

/// What a static IP of a name is made with by an environment.
fn of(context: &CaseContext, environment: &EnvironmentId, what: &str, instance: &InstanceId) -> StaticIpSpec {
    let spec = context.static_ip_spec(instance);
    let labels = spec.labels.with(label::ENV, "production").with(label::ENV_ID, environment.as_str());
    StaticIpSpec { name: context.name(what), labels, ..spec }
}

async fn made(context: &CaseContext, spec: &StaticIpSpec) -> Result<StaticIp, Failure> {
    let ips = context.static_ips()?;
    let made = context.patiently("ensure a static IP", || ips.ensure(spec)).await?;
    context.points_at(&made, Some(&spec.instance)).await
}

/// Makes a static IP, unless another one is in the way; holds that the other one stays as it is.
async fn made_beside(context: &CaseContext, other: &StaticIp, spec: &StaticIpSpec) -> Result<(), Failure> {
    let ips = context.static_ips()?;
    let look = async || match ips.ensure(spec).await {
        Ok(made) => Ok(Some(Some(made))),
        Err(error) if error.kind() == ErrorKind::Busy => Ok(None),
        Err(error) => {
            refused::<()>(Err(error), &[ErrorKind::Conflict], "an address next to another one")?;
            Ok(Some(None))
        }
    };
    let made = context.until("a static IP of its own, or a refusal", look).await?;
    check!(made.is_none_or(|made| made.id != other.id), "the address {} of another environment was taken", other.id);
    let now = context.points_at(other, other.assigned_to.as_ref()).await?;
    check!(now == *other, "the address of another environment was {other:?}, and is {now:?}");
    Ok(())
}

async fn another_environment(context: CaseContext) -> Result<(), Failure> {
    let (one, two) = (context.running("one").await?, context.running("two").await?);
    let theirs = made(&context, &of(&context, &EnvironmentId::generate(), "ip", &one.id)).await?;
    made_beside(&context, &theirs, &of(&context, &EnvironmentId::generate(), "ip", &two.id)).await
}

async fn another_at_instance(context: CaseContext) -> Result<(), Failure> {
    let web = context.running("web").await?;
    let theirs = made(&context, &of(&context, &EnvironmentId::generate(), "ip-theirs", &web.id)).await?;
    made_beside(&context, &theirs, &of(&context, &EnvironmentId::generate(), "ip-ours", &web.id)).await
}

async fn later_release(context: CaseContext) -> Result<(), Failure> {
    let (one, two) = (context.running("one").await?, context.running("two").await?);
    let environment = EnvironmentId::generate();
    let release = |number: &str, instance: &InstanceId| {
        let spec = of(&context, &environment, "ip", instance);
        StaticIpSpec { labels: spec.labels.with(label::RELEASE, number), ..spec }
    };
    let first = made(&context, &release("1", &one.id)).await?;
    let later = made(&context, &release("2", &two.id)).await?;
    check!(later.id == first.id, "one name and environment, two addresses: {} and {}", first.id, later.id);
    check!(later.address == first.address, "the address changed from {:?} to {:?}", first.address, later.address);
    Ok(())
}

async fn carries(context: &CaseContext, id: &StaticIpId, wanted: &Labels) -> Result<(), Failure> {
    let ips = context.static_ips()?;
    let read = ips.get(id).await?.labels;
    check!(read == *wanted, "labelled {wanted:?}, read with {read:?}");
    let listed = ips.list(&Selector(wanted.0.clone())).await?;
    check!(listed.len() == 1 && listed[0].labels == *wanted, "labelled {wanted:?}, listed by that: {listed:?}");
    Ok(())
}

async fn label_added(context: CaseContext) -> Result<(), Failure> {
    let (one, two) = (context.running("one").await?, context.running("two").await?);
    let ip = context.static_ip(&one.id).await?;
    let ips = context.static_ips()?;
    let id = EnvironmentId::generate();
    for release in ["1", "2"] {
        let more = Labels::new().with(label::ENV_ID, id.as_str()).with(label::RELEASE, release);
        for _ in 0..2 {
            context.patiently("label", || ips.label(&ip.id, &more)).await?;
        }
        let mut wanted = ip.labels.clone();
        wanted.0.extend(more.0);
        carries(&context, &ip.id, &wanted).await?;
    }
    let labels = ips.get(&ip.id).await?.labels;
    let nothing = Labels::new();
    context.patiently("label with nothing", || ips.label(&ip.id, &nothing)).await?;
    carries(&context, &ip.id, &labels).await?;
    context.patiently("assign", || ips.assign(&ip.id, &two.id)).await?;
    context.points_at(&ip, Some(&two.id)).await?;
    carries(&context, &ip.id, &labels).await?;
    context.patiently("unassign", || ips.unassign(&ip.id)).await?;
    context.points_at(&ip, None).await?;
    carries(&context, &ip.id, &labels).await?;
    context.patiently("assign", || ips.assign(&ip.id, &one.id)).await?;
    context.points_at(&ip, Some(&one.id)).await?;
    carries(&context, &ip.id, &labels).await
}

async fn label_refused(context: CaseContext) -> Result<(), Failure> {
    let instance = context.running("web").await?;
    let ip = context.static_ip(&instance.id).await?;
    let ips = context.static_ips()?;
    for (key, value) in [("remint:zone", ""), ("role", "text"), ("remint:", "text")] {
        let bad = Labels::new().with(label::RELEASE, "7").with(key, value);
        refused(ips.label(&ip.id, &bad).await, &[ErrorKind::InvalidInput], "a label that is none")?;
        carries(&context, &ip.id, &ip.labels).await?;
    }
    Ok(())
}

async fn label_unknown(context: CaseContext) -> Result<(), Failure> {
    let instance = context.running("web").await?;
    let ip = context.static_ip(&instance.id).await?;
    let ips = context.static_ips()?;
    context.patiently("release", || ips.release(&ip.id)).await?;
    context.static_ip_gone(&ip.id).await?;
    for id in [ip.id, StaticIpId::new("no-such-address")] {
        refused(ips.label(&id, &context.labels()).await, &[ErrorKind::NotFound], "labelling what is not there")?;
    }
    Ok(())
}
