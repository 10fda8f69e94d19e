//! Deciding what a deploy would do: pure, from facts.

use std::{net::IpAddr, time::Duration};

use schemars::JsonSchema;
use serde::Serialize;

use super::{
    EngineError,
    fleet::{BalancerFacts, FleetFacts, Waves},
};
use crate::{
    journal::{DnsChange, Phase, Retired},
    provider::{Fingerprint, ImageId, InstanceId, Region, ReleaseId, SizeName},
};

/// What a deploy would do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Plan {
    /// The name of the service, from the manifest.
    pub service: String,
    /// The name of the environment, `default` where the manifest has none.
    pub environment: String,
    /// The release that serves now.
    pub current: Option<ReleaseId>,
    /// The steps, in order; none when everything is as it should be.
    pub steps: Vec<Step>,
    /// Whether the configuration was compared with that of the current release, where there is one. A command that only looks
    /// reads no secrets, and cannot compare a configuration that holds some.
    #[serde(skip_serializing_if = "is_true")]
    pub config_compared: bool,
    /// Why a deploy would be refused as things are, where it would.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused: Option<Refusal>,
}

fn is_true(value: &bool) -> bool {
    *value
}

/// Why a deploy would be refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Refusal {
    /// The error with which a deploy would end, and what caused it.
    pub message: String,
    /// What it is about, a line each.
    pub details: Vec<String>,
    /// What the user can do, a line each.
    pub hints: Vec<String>,
}

impl Plan {
    /// Whether anything would change.
    pub fn changes(&self) -> bool {
        !self.steps.is_empty()
    }

    /// Whether a new release would be made.
    pub fn makes_release(&self) -> bool {
        self.steps.iter().any(|step| matches!(step, Step::Launch { .. } | Step::Scale { .. }))
    }

    /// Whether instances would be launched.
    pub fn launches(&self) -> bool {
        self.steps.iter().any(|step| matches!(step, Step::Launch { .. }))
    }
}

impl From<&EngineError> for Refusal {
    fn from(error: &EngineError) -> Self {
        Self { message: error.chain(), details: error.detail_lines().to_vec(), hints: error.hints().to_vec() }
    }
}

/// One step of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(tag = "step", rename_all = "snake_case")]
pub enum Step {
    /// A release that was begun is finished, or undone where it is not what is wanted any more.
    Settle {
        /// The number of the unfinished release.
        release: ReleaseId,
        /// The last phase that the journal has of it.
        phase: Phase,
    },
    /// An image is baked.
    Bake {
        /// The fingerprint that the image will have.
        fingerprint: Fingerprint,
        /// Which inputs changed since the current release; empty where there is none.
        why: Vec<String>,
    },
    /// An image that exists is used again.
    Reuse {
        /// The cloud's id of the image.
        image: ImageId,
        /// The fingerprint by which it was found.
        fingerprint: Fingerprint,
    },
    /// Instances of a new release are launched.
    Launch {
        /// The number that the new release will get.
        release: ReleaseId,
        /// How many.
        count: u32,
        /// The size from the manifest, in the cloud's own words.
        size: SizeName,
        /// The region from the manifest, in the cloud's own words; on Google Cloud a zone.
        region: Region,
        /// Why the instances that stand will not do.
        why: Vec<String>,
        /// Behind a load balancer: in which waves.
        #[serde(skip_serializing_if = "Option::is_none")]
        waves: Option<Waves>,
    },
    /// A new release has another number of the same instances.
    Scale {
        /// The number that the new release will get.
        release: ReleaseId,
        /// How many there are to be now.
        from: u32,
        /// How many there are to be afterwards.
        to: u32,
    },
    /// A load balancer is created.
    MakeBalancer,
    /// The load balancer is set up otherwise, in place.
    ChangeBalancer {
        /// The name of the load balancer.
        name: String,
    },
    /// Instances that were taken out of the load balancer become members again.
    Attach {
        /// The cloud's ids of the instances.
        instances: Vec<InstanceId>,
    },
    /// A static IP is made.
    MakeAddress,
    /// The static IP moves.
    MoveAddress {
        /// The address that moves, which stays the same.
        address: IpAddr,
        /// The instance that it points at now.
        from: Option<InstanceId>,
    },
    /// The DNS record changes.
    SetRecord {
        /// The full name, without a final dot.
        fqdn: String,
        /// Its values now.
        before: Option<Vec<String>>,
        /// Its values afterwards; `None` while the address is not known yet.
        after: Option<Vec<String>>,
        /// How long resolvers may keep it now, in seconds.
        ttl_before: Option<u64>,
        /// How long they may keep it afterwards, in seconds.
        ttl: u64,
        /// What the manifest asks for, in seconds, where the DNS provider has no TTL that short.
        ttl_raised_from: Option<u64>,
    },
    /// Instances that stand are retired.
    Retire {
        /// The cloud's ids of the instances that are replaced.
        instances: Vec<InstanceId>,
        /// Whether they are destroyed, or parked for a rollback.
        how: Retired,
    },
    /// A static IP or record that the manifest does not want any more goes, once resolvers have forgotten it.
    Remove {
        /// The resource in words: `static IP 203.0.113.9`, `app.example.com A`.
        resource: String,
        /// Whether Remint only stops using it, because the user named it.
        keeps: bool,
    },
}

/// What the current release is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CurrentFacts {
    pub(super) release: ReleaseId,
    pub(super) fingerprint: Fingerprint,
    pub(super) size: SizeName,
    /// Whether the configuration is what the manifest says now; `None` where that was not looked at.
    pub(super) same_config: Option<bool>,
    /// Inputs that changed since.
    pub(super) changed_inputs: Vec<String>,
    /// Its instances that run.
    pub(super) instances: Vec<InstanceId>,
    /// Why the running instance does not serve, where it does not.
    pub(super) unhealthy: Option<String>,
}

/// Where the stable address is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum AddressFacts {
    /// None is wanted.
    None,
    /// One is wanted, and does not exist yet.
    Missing,
    /// It exists.
    Stands { address: IpAddr, points_at: Option<InstanceId> },
}

/// The record that is wanted, and how it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RecordFacts {
    pub(super) fqdn: String,
    /// Its values and TTL now.
    pub(super) before: Option<(Vec<String>, Duration)>,
    pub(super) ttl: Duration,
    /// What the manifest asks for, where the DNS provider has no TTL that short.
    pub(super) raised_from: Option<Duration>,
}

/// A resource that the manifest does not want any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Superfluous {
    pub(super) resource: String,
    pub(super) keeps: bool,
}

/// What is wanted, and what stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Facts {
    pub(super) service: String,
    pub(super) environment: String,
    pub(super) unfinished: Option<(ReleaseId, Phase)>,
    pub(super) next: ReleaseId,
    pub(super) current: Option<CurrentFacts>,
    pub(super) fingerprint: Fingerprint,
    pub(super) image: Option<ImageId>,
    pub(super) size: SizeName,
    pub(super) region: Region,
    pub(super) count: u32,
    pub(super) address: AddressFacts,
    /// What there is behind the load balancer, where the manifest asks for one.
    pub(super) fleet: Option<FleetFacts>,
    /// How the choice of the address differs from what serves.
    pub(super) address_change: Option<String>,
    pub(super) record: Option<RecordFacts>,
    /// What the record must hold, an address or a host name, where that is known without a new instance.
    pub(super) record_target: Option<String>,
    pub(super) standing: Vec<InstanceId>,
    /// What goes in the end.
    pub(super) superfluous: Vec<Superfluous>,
    pub(super) retire: Retired,
    /// Launch whatever stands.
    pub(super) force: bool,
}

impl Facts {
    /// Why a new release is needed; empty when the current one will do.
    fn reasons(&self) -> Vec<String> {
        let Some(current) = &self.current else { return vec!["nothing is deployed yet".to_owned()] };
        let mut why = Vec::new();
        if current.fingerprint != self.fingerprint {
            why.push("the image changed".to_owned());
        }
        if current.same_config == Some(false) {
            why.push("the configuration changed".to_owned());
        }
        if current.size != self.size {
            why.push(format!("the size changed from {} to {}", current.size, self.size));
        }
        why.extend(self.address_change.clone());
        if self.fleet.is_some() {
            // Which of several instances will do is another question.
        } else if current.instances.is_empty() {
            why.push(format!("no instance of {} runs", current.release));
        } else if let Some(unhealthy) = &current.unhealthy {
            why.push(format!("the instance is not healthy: {unhealthy}"));
        }
        if self.force {
            why.push("it was asked for".to_owned());
        }
        why
    }
}

impl Facts {
    /// The instances that a new release would keep: those that are as they are to be, where nothing about them changed.
    pub(super) fn keeps(&self) -> Vec<InstanceId> {
        match &self.fleet {
            Some(fleet) if self.reasons().is_empty() => fleet.good.iter().take(self.count as usize).cloned().collect(),
            _ => Vec::new(),
        }
    }
}

/// What is done with the instances behind a load balancer.
fn fleet_steps(facts: &Facts, fleet: &FleetFacts, mut why: Vec<String>) -> Vec<Step> {
    let mut steps = Vec::new();
    let keeps = facts.keeps();
    let kept = u32::try_from(keeps.len()).unwrap_or(u32::MAX);
    let missing = facts.count.saturating_sub(kept);
    let scaled = fleet.count_before.filter(|before| why.is_empty() && *before != facts.count);
    if missing > 0 {
        steps.push(image(facts));
    }
    match &fleet.balancer {
        BalancerFacts::Missing => steps.push(Step::MakeBalancer),
        BalancerFacts::Stands { name, differs: true } => steps.push(Step::ChangeBalancer { name: name.clone() }),
        BalancerFacts::Stands { differs: false, .. } => {}
    }
    if let Some(from) = scaled {
        steps.push(Step::Scale { release: facts.next, from, to: facts.count });
    }
    let detached: Vec<_> = fleet.detached.iter().filter(|id| keeps.contains(id)).cloned().collect();
    if !detached.is_empty() {
        steps.push(Step::Attach { instances: detached });
    }
    if missing > 0 {
        if why.is_empty() {
            why.clone_from(&fleet.bad);
        }
        if let Some(before) = scaled {
            why.push(format!("instance.count changed from {before} to {}", facts.count));
        }
        let standing = u32::try_from(facts.standing.len()).unwrap_or(u32::MAX);
        steps.push(launch(facts, missing, why, Some(fleet.waves(standing, kept))));
    }
    if let Some(record) = &facts.record {
        steps.extend(set_record(facts, record, missing > 0));
    }
    let instances: Vec<_> = facts.standing.iter().filter(|id| !keeps.contains(id)).cloned().collect();
    if !instances.is_empty() {
        steps.push(Step::Retire { instances, how: facts.retire });
    }
    steps
}

pub(super) fn decide(facts: &Facts) -> Plan {
    let mut steps = Vec::new();
    if let Some((release, phase)) = facts.unfinished {
        steps.push(Step::Settle { release, phase });
    }
    let why = facts.reasons();
    if let Some(fleet) = &facts.fleet {
        steps.extend(fleet_steps(facts, fleet, why));
        return finish(facts, steps);
    }
    let new = !why.is_empty();
    if new {
        steps.push(image(facts));
        steps.push(launch(facts, facts.count, why, None));
    }
    let serves = if new { None } else { facts.current.as_ref().and_then(|current| current.instances.first()) };
    match &facts.address {
        AddressFacts::Missing => steps.push(Step::MakeAddress),
        AddressFacts::Stands { address, points_at } if new || points_at.as_ref() != serves => {
            steps.push(Step::MoveAddress { address: *address, from: points_at.clone() });
        }
        AddressFacts::None | AddressFacts::Stands { .. } => {}
    }
    if let Some(record) = &facts.record {
        steps.extend(set_record(facts, record, new));
    }
    let old: Vec<_> = facts.standing.iter().filter(|id| Some(*id) != serves).cloned().collect();
    if new && !old.is_empty() {
        steps.push(Step::Retire { instances: old, how: facts.retire });
    }
    finish(facts, steps)
}

/// Adds what goes in the end.
fn finish(facts: &Facts, mut steps: Vec<Step>) -> Plan {
    let removals = facts.superfluous.iter();
    steps.extend(removals.map(|one| Step::Remove { resource: one.resource.clone(), keeps: one.keeps }));
    Plan {
        service: facts.service.clone(),
        environment: facts.environment.clone(),
        current: facts.current.as_ref().map(|current| current.release),
        steps,
        config_compared: facts.current.as_ref().is_none_or(|current| current.same_config.is_some()),
        refused: None,
    }
}

fn set_record(facts: &Facts, record: &RecordFacts, new: bool) -> Option<Step> {
    // Without a static IP and a load balancer, the record follows the instance.
    let follows = facts.address == AddressFacts::None && facts.fleet.is_none() && new;
    let target = facts.record_target.as_ref().filter(|_| !follows);
    // The TTL of an alias is the cloud's.
    let is_alias = target.is_some_and(|target| target.parse::<IpAddr>().is_err());
    let after = target.map(|target| vec![target.clone()]);
    let before = record.before.as_ref();
    let stands = before
        .zip(after.as_ref())
        .is_some_and(|((values, ttl), after)| values == after && (*ttl == record.ttl || is_alias));
    (!stands).then(|| Step::SetRecord {
        fqdn: record.fqdn.clone(),
        before: before.map(|(values, _)| values.clone()),
        after,
        ttl_before: before.map(|(_, ttl)| ttl.as_secs()),
        ttl: record.ttl.as_secs(),
        ttl_raised_from: record.raised_from.map(|ttl| ttl.as_secs()),
    })
}

/// Where the image of new instances comes from.
fn image(facts: &Facts) -> Step {
    let fingerprint = facts.fingerprint.clone();
    match &facts.image {
        Some(image) => Step::Reuse { image: image.clone(), fingerprint },
        None => {
            let changed = facts.current.as_ref().map(|current| current.changed_inputs.clone());
            Step::Bake { fingerprint, why: changed.unwrap_or_default() }
        }
    }
}

fn launch(facts: &Facts, count: u32, why: Vec<String>, waves: Option<Waves>) -> Step {
    Step::Launch { release: facts.next, count, size: facts.size.clone(), region: facts.region.clone(), why, waves }
}

impl Step {
    /// What the step does to a record, where it does.
    pub fn dns_change(&self) -> Option<DnsChange> {
        match self {
            Self::SetRecord { fqdn, before, after: Some(after), .. } => {
                Some(DnsChange { fqdn: fqdn.clone(), before: before.clone(), after: after.clone() })
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TTL: Duration = Duration::from_secs(60);

    fn current() -> impl Strategy<Value = Option<CurrentFacts>> {
        let fields = (any::<bool>(), any::<bool>(), any::<Option<bool>>(), 0..3usize, any::<bool>());
        proptest::option::of(fields.prop_map(|(image, size, same_config, running, healthy)| CurrentFacts {
            release: ReleaseId(3),
            fingerprint: if image { "new" } else { "old" }.into(),
            size: if size { "small" } else { "large" }.into(),
            same_config,
            changed_inputs: vec!["step 1".to_owned()],
            instances: (0..running).map(|n| InstanceId::new(format!("i-{n}"))).collect(),
            unhealthy: (!healthy).then(|| "503".to_owned()),
        }))
    }

    fn address() -> impl Strategy<Value = AddressFacts> {
        let stands = |points_at: Option<u8>| AddressFacts::Stands {
            address: IpAddr::from([198, 51, 100, 1]),
            points_at: points_at.map(|n| InstanceId::new(format!("i-{n}"))),
        };
        prop_oneof![
            Just(AddressFacts::None),
            Just(AddressFacts::Missing),
            proptest::option::of(0..3u8).prop_map(stands)
        ]
    }

    prop_compose! {
        fn facts()(
            current in current(), address in address(), image in any::<bool>(), force in any::<bool>(),
            record in proptest::option::of(proptest::option::of((1..3u8, 60..62u64))), change in any::<bool>(),
            superfluous in any::<bool>(),
        ) -> Facts {
            let standing = current.as_ref().map(|current| current.instances.clone()).unwrap_or_default();
            let value = |n: u8| vec![IpAddr::from([198, 51, 100, n]).to_string()];
            Facts {
                service: "app".to_owned(),
                environment: "production".to_owned(),
                unfinished: None,
                next: ReleaseId(4),
                fingerprint: "new".into(),
                image: image.then(|| "image-1".into()),
                size: "small".into(),
                region: "here".into(),
                count: 1,
                fleet: None,
                record_target: match &address {
                    AddressFacts::Stands { address, .. } => Some(address.to_string()),
                    _ => None,
                },
                record: record.map(|before| RecordFacts {
                    fqdn: "www.example.org".to_owned(),
                    before: before.map(|(n, ttl)| (value(n), Duration::from_secs(ttl))),
                    ttl: TTL,
                    raised_from: None,
                }),
                address_change: change.then(|| "the address changes".to_owned()),
                superfluous: superfluous.then(|| Superfluous { resource: "old.example.org A".to_owned(), keeps: false })
                    .into_iter().collect(),
                current, address, standing, force,
                retire: Retired::Destroyed,
            }
        }
    }

    proptest! {
        #[test]
        fn every_plan_holds_together(facts in facts()) {
            let plan = decide(&facts);
            let position = |wanted: fn(&Step) -> bool| plan.steps.iter().position(wanted);
            let launch = position(|step| matches!(step, Step::Launch { .. }));
            let bake = position(|step| matches!(step, Step::Bake { .. }));
            let retire = position(|step| matches!(step, Step::Retire { .. }));
            let moved = position(|step| matches!(step, Step::MoveAddress { .. } | Step::MakeAddress));
            prop_assert_eq!(launch.is_some(), !facts.reasons().is_empty());
            prop_assert_eq!(bake.is_some(), launch.is_some() && facts.image.is_none(), "bakes only what is not there");
            let removed = position(|step| matches!(step, Step::Remove { .. }));
            prop_assert_eq!(removed.is_some(), !facts.superfluous.is_empty());
            prop_assert!(removed.is_none_or(|removed| removed + 1 == plan.steps.len()), "nothing goes before the end");
            if let Some(retire) = retire {
                prop_assert!(launch < Some(retire), "creates before it destroys");
                prop_assert!(moved.is_none_or(|moved| moved < retire), "moves before it destroys");
            }
            if launch.is_some() && facts.address != AddressFacts::None {
                prop_assert!(moved > launch, "a new instance is launched before the address is moved to it");
            }
        }

        #[test]
        fn a_plan_that_was_carried_out_leaves_nothing_to_do(facts in facts()) {
            let plan = decide(&facts);
            let serves = InstanceId::from("i-9");
            let serves = if plan.makes_release() {
                serves
            } else {
                facts.current.as_ref().and_then(|current| current.instances.first().cloned()).unwrap_or(serves)
            };
            let target = IpAddr::from([198, 51, 100, 1]);
            let after = Facts {
                current: Some(CurrentFacts {
                    release: facts.next,
                    fingerprint: facts.fingerprint.clone(),
                    size: facts.size.clone(),
                    same_config: Some(true),
                    changed_inputs: Vec::new(),
                    instances: vec![serves.clone()],
                    unhealthy: None,
                }),
                address: match facts.address {
                    AddressFacts::None => AddressFacts::None,
                    _ => AddressFacts::Stands { address: target, points_at: Some(serves.clone()) },
                },
                record: facts.record.clone().map(|record| {
                    RecordFacts { before: Some((vec![target.to_string()], TTL)), ..record }
                }),
                address_change: None,
                superfluous: Vec::new(),
                record_target: Some(target.to_string()),
                standing: vec![serves],
                force: false,
                ..facts
            };
            prop_assert_eq!(decide(&after).steps, []);
        }
    }
}
