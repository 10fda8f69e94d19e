//! What stands, beside what the journal says.

use std::net::SocketAddr;

use serde::Serialize;

use super::{
    EngineError, EngineErrorKind, Plan,
    engine::Engine,
    facts::facts,
    health,
    observe::{Wanted, World},
    planner::{Refusal, decide},
};
use crate::{
    context::Context,
    journal::{Entry, Journal, LockRecord, Phase, Release, current},
    provider::{Address, Instance, InstanceId, InstanceState, LoadBalancer, MemberHealth, ReleaseId, label},
    resources::{foreign, release_of},
    traffic::{address_of, serves},
};

/// An environment as it stands.
#[derive(Debug, Clone, Serialize)]
pub struct Status {
    /// The name of the service, from the manifest.
    pub service: String,
    /// The name of the environment, `default` where the manifest has none.
    pub environment: String,
    /// The release that serves.
    pub current: Option<ReleaseId>,
    /// The release that an earlier run left unfinished, and where.
    pub unfinished: Option<(ReleaseId, Phase)>,
    /// The lock, where somebody holds it now.
    pub lock: Option<LockRecord>,
    /// All instances of the environment, parked ones too.
    pub instances: Vec<InstanceStatus>,
    /// Instances under the same names that another journal deployed, or a newer copy of this one.
    pub foreign: Vec<Instance>,
    /// Environments of the journal that the manifest has no section for; `-e NAME` works on them.
    pub undeclared: Vec<String>,
    /// The load balancer in front of the instances, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub load_balancer: Option<LoadBalancer>,
    /// The stable address, a static IP's or a load balancer's; `None` where there is none (yet).
    pub address: Option<Address>,
    /// Where the service answers on it, for checks that ask a port.
    pub endpoint: Option<SocketAddr>,
    /// The cloud's id of the instance that the stable address points at.
    pub points_at: Option<String>,
    /// The DNS record's values.
    pub record: Option<Vec<String>>,
    /// What a deploy would do now: how the world differs from the manifest.
    pub drift: Plan,
}

/// An instance of the environment, as the cloud, the journal and its health check show it.
#[derive(Debug, Clone, Serialize)]
pub struct InstanceStatus {
    /// What the cloud says of it.
    #[serde(flatten)]
    pub instance: Instance,
    /// The release that its labels name; `None` where they name none.
    pub release: Option<ReleaseId>,
    /// Whether the stable address points at it, or the load balancer sends clients to it.
    pub serves: bool,
    /// What the load balancer makes of it; `None` where it is no member of one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub member: Option<MemberHealth>,
    /// Whether it answers its health check; `None` where it cannot be asked from here.
    pub healthy: Option<bool>,
    /// When somebody logged in to it.
    pub touched: Option<String>,
}

/// Looks at an environment; changes nothing.
///
/// # Errors
///
/// The cloud's and the journal's.
pub async fn status(ctx: &Context) -> Result<Status, EngineError> {
    status_with(&Engine::new(ctx)?).await
}

pub(super) async fn status_with(engine: &Engine<'_>) -> Result<Status, EngineError> {
    let ctx = engine.ctx;
    engine.journal().check_service(&ctx.loaded.manifest.service).await?;
    let (world, wanted) =
        tokio::join!(World::observe(ctx, engine.journal(), None), Wanted::resolve(ctx, engine.journal(), None));
    let world = world?;
    engine.report_notes();
    // What would stop a deploy is the plan's to say; what stands is shown all the same.
    let drift = async {
        let facts = facts(ctx, &world, &wanted?, false).await?;
        Ok::<_, EngineError>(decide(&facts))
    };
    let (steps, config_compared, refused) = match drift.await {
        Ok(plan) => (plan.steps, plan.config_compared, None),
        Err(error) => (Vec::new(), true, Some(Refusal::from(&error))),
    };
    let refused = match world.foreign.is_empty() {
        true => refused,
        false => Some(Refusal::from(&foreign(ctx, &world.history, &world.foreign))),
    };
    let drift = Plan {
        service: ctx.loaded.manifest.service.clone(),
        environment: ctx.loaded.environment.to_string(),
        current: current(&world.history).map(Release::id),
        steps,
        config_compared,
        refused,
    };
    let balancer = world.balancer.clone();
    let (address, port) = match &balancer {
        Some(balancer) => {
            let listener = balancer.settings.listeners.first();
            (address_of(balancer).ok().cloned(), listener.map(|listener| listener.port))
        }
        None => (world.static_ip.as_ref().map(|ip| ip.address.clone()), ctx.loaded.manifest.health.check.port()),
    };
    let endpoint = address.as_ref().zip(port).map(|(address, port)| address.endpoint(port));
    let points_at = world.static_ip.as_ref().and_then(|ip| ip.assigned_to.clone());
    let mut instances = Vec::new();
    for instance in &world.instances {
        let mut healthy = None;
        if let (InstanceState::Running, Some(address)) = (instance.state, &instance.address) {
            healthy = health::ask(ctx, address).await.map(|answer| answer.is_ok());
        }
        instances.push(InstanceStatus {
            instance: instance.clone(),
            release: release_of(instance),
            serves: points_at.as_ref() == Some(&instance.id) || world.members.get(&instance.id).is_some_and(in_service),
            member: world.members.get(&instance.id).cloned(),
            healthy,
            touched: instance.labels.get(label::TOUCHED).map(str::to_owned),
        });
    }
    let last = world.history.last().filter(|last| !last.phase().is_final());
    Ok(Status {
        service: ctx.loaded.manifest.service.clone(),
        environment: ctx.loaded.environment.to_string(),
        current: current(&world.history).map(Release::id),
        unfinished: last.map(|last| (last.id(), last.phase())),
        lock: engine.journal().held().await?,
        instances,
        foreign: world.foreign,
        undeclared: undeclared(ctx, engine.journal()).await?,
        load_balancer: balancer,
        address,
        endpoint,
        points_at: points_at.map(|id| id.to_string()),
        record: world.record.map(|record| record.values),
        drift,
    })
}

fn in_service(health: &MemberHealth) -> bool {
    serves(Some(health))
}

/// The environments that the journal knows and the manifest does not.
pub(super) async fn undeclared(ctx: &Context, journal: &Journal) -> Result<Vec<String>, EngineError> {
    let mut names = journal.environments().await?;
    names.retain(|name| !ctx.loaded.environments.iter().any(|declared| declared == name));
    Ok(names)
}

/// All releases of the environment, oldest first. Asks no cloud.
///
/// # Errors
///
/// The journal's.
pub async fn history(ctx: &Context) -> Result<Vec<Release>, EngineError> {
    Ok(Engine::new(ctx)?.journal().history().await?)
}

/// One release with its journal. Asks no cloud.
///
/// # Errors
///
/// [`super::EngineErrorKind::Conflict`] when there is no such release.
pub async fn show(ctx: &Context, id: ReleaseId) -> Result<Release, EngineError> {
    Ok(Engine::new(ctx)?.journal().release(id).await?)
}

/// The host keys that an instance may show, as OpenSSH lines: the journal has them.
///
/// The gate gives an instance a new one, and says so before it does. An instance that has not passed its gate may show either.
///
/// # Errors
///
/// [`super::EngineErrorKind::Conflict`] when the journal knows no launch of it.
pub async fn host_keys(ctx: &Context, instance: &Instance) -> Result<Vec<String>, EngineError> {
    let history = Engine::new(ctx)?.journal().history().await?;
    let keys = keys_of(history.iter().flat_map(|release| &release.entries).map(|record| &record.entry), &instance.id);
    if !keys.is_empty() {
        return Ok(keys);
    }
    Err(EngineError::new(EngineErrorKind::Conflict, format!("the journal knows no launch of {}", instance.name))
        .hint("replace it with `remint deploy --force`"))
}

fn keys_of<'a>(entries: impl Iterator<Item = &'a Entry>, id: &InstanceId) -> Vec<String> {
    let mut keys: Vec<String> = Vec::new();
    for entry in entries {
        match entry {
            Entry::Launched { instances, host_key: Some(key) } if instances.contains(id) => keys = vec![key.clone()],
            Entry::RotatingHostKey { instance, host_key } if instance == id => keys.insert(0, host_key.clone()),
            Entry::RotatingHostKeys { host_keys } => keys.splice(0..0, host_keys.get(id).cloned()).for_each(drop),
            // The new one, where there is one: the gate has seen it.
            Entry::GatePassed { instances } if instances.contains(id) => keys.truncate(1),
            _ => {}
        }
    }
    keys
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instance_shows_the_key_of_its_gate_and_until_then_either() {
        let id = InstanceId::new("7");
        let launched = Entry::Launched { instances: vec![id.clone()], host_key: Some("old".to_owned()) };
        let rotating = Entry::RotatingHostKeys { host_keys: [(id.clone(), "new".to_owned())].into() };
        let alone = Entry::RotatingHostKey { instance: id.clone(), host_key: "new".to_owned() };
        let other = Entry::RotatingHostKeys { host_keys: [(InstanceId::new("8"), "other".to_owned())].into() };
        let passed = Entry::GatePassed { instances: vec![id.clone()] };
        let parked = Entry::Launched { instances: vec![id.clone()], host_key: None };
        let keys = |entries: &[&Entry]| keys_of(entries.iter().copied(), &id);
        assert_eq!(keys(&[&launched]), ["old"]);
        for rotating in [&rotating, &alone] {
            assert_eq!(keys(&[&launched, &other, rotating]), ["new", "old"]);
        }
        assert_eq!(keys(&[&launched, &rotating, &passed]), ["new"]);
        // A journal of a Remint that did not rotate; and a parked instance that serves again.
        assert_eq!(keys(&[&launched, &passed]), ["old"]);
        assert_eq!(keys(&[&launched, &rotating, &passed, &parked, &passed]), ["new"]);
        assert!(keys(&[&other]).is_empty());
    }
}
