//! Deciding what a deploy would do: pure, from facts.

use std::net::IpAddr;

use serde::Serialize;

use crate::{
    journal::{DnsChange, Phase, Retired},
    provider::{Fingerprint, ImageId, InstanceId, Region, ReleaseId, SizeName},
};

/// What a deploy would do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Plan {
    /// The service.
    pub service: String,
    /// The environment.
    pub environment: String,
    /// The release that serves now.
    pub current: Option<ReleaseId>,
    /// The steps, in order; none when everything is as it should be.
    pub steps: Vec<Step>,
}

impl Plan {
    /// Whether anything would change.
    pub fn changes(&self) -> bool {
        !self.steps.is_empty()
    }

    /// Whether a new release would be made.
    pub fn makes_release(&self) -> bool {
        self.steps.iter().any(|step| matches!(step, Step::Launch { .. }))
    }
}

/// One step of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "step", rename_all = "snake_case")]
pub enum Step {
    /// A release that was begun is finished, or undone where it is not what is wanted any more.
    Settle {
        /// The release.
        release: ReleaseId,
        /// Where it stands.
        phase: Phase,
    },
    /// An image is baked.
    Bake {
        /// Its fingerprint.
        fingerprint: Fingerprint,
        /// Which inputs changed since the current release.
        why: Vec<String>,
    },
    /// An image that exists is used again.
    Reuse {
        /// The image.
        image: ImageId,
        /// Its fingerprint.
        fingerprint: Fingerprint,
    },
    /// Instances of a new release are launched.
    Launch {
        /// The release.
        release: ReleaseId,
        /// How many.
        count: u32,
        /// Their size.
        size: SizeName,
        /// Their region.
        region: Region,
        /// Why the instances that stand will not do.
        why: Vec<String>,
    },
    /// A static IP is made.
    MakeAddress,
    /// The static IP moves.
    MoveAddress {
        /// The address.
        address: IpAddr,
        /// The instance that it points at now.
        from: Option<InstanceId>,
    },
    /// The DNS record changes.
    SetRecord {
        /// The full name.
        fqdn: String,
        /// Its values now.
        before: Option<Vec<String>>,
        /// Its values afterwards; `None` while the address is not known yet.
        after: Option<Vec<String>>,
    },
    /// Instances that stand are retired.
    Retire {
        /// The instances.
        instances: Vec<InstanceId>,
        /// How.
        how: Retired,
    },
}

/// What the current release is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CurrentFacts {
    pub(super) release: ReleaseId,
    pub(super) fingerprint: Fingerprint,
    pub(super) size: SizeName,
    pub(super) region: Region,
    /// Whether the configuration is what the manifest says now.
    pub(super) same_config: bool,
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
    /// The record's full name and values, where one is wanted.
    pub(super) record: Option<(String, Option<Vec<String>>)>,
    /// The address that the record must have, where it is known without a new instance.
    pub(super) record_target: Option<IpAddr>,
    /// Every instance that stands.
    pub(super) standing: Vec<InstanceId>,
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
        if !current.same_config {
            why.push("the configuration changed".to_owned());
        }
        if current.size != self.size {
            why.push(format!("the size changed from {} to {}", current.size, self.size));
        }
        if current.region != self.region {
            why.push(format!("the region changed from {} to {}", current.region, self.region));
        }
        if current.instances.is_empty() {
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

/// Decides.
pub(super) fn decide(facts: &Facts) -> Plan {
    let mut steps = Vec::new();
    if let Some((release, phase)) = facts.unfinished {
        steps.push(Step::Settle { release, phase });
    }
    let why = facts.reasons();
    let new = !why.is_empty();
    if new {
        steps.extend(new_release(facts, why));
    }
    let serves = if new { None } else { facts.current.as_ref().and_then(|current| current.instances.first()) };
    match &facts.address {
        AddressFacts::Missing => steps.push(Step::MakeAddress),
        AddressFacts::Stands { address, points_at } if new || points_at.as_ref() != serves => {
            steps.push(Step::MoveAddress { address: *address, from: points_at.clone() });
        }
        AddressFacts::None | AddressFacts::Stands { .. } => {}
    }
    if let Some((fqdn, before)) = &facts.record {
        let after = facts.record_target.map(|address| vec![address.to_string()]);
        if after.is_none() || *before != after {
            steps.push(Step::SetRecord { fqdn: fqdn.clone(), before: before.clone(), after });
        }
    }
    let old: Vec<_> = facts.standing.iter().filter(|id| Some(*id) != serves).cloned().collect();
    if new && !old.is_empty() {
        steps.push(Step::Retire { instances: old, how: facts.retire });
    }
    Plan {
        service: facts.service.clone(),
        environment: facts.environment.clone(),
        current: facts.current.as_ref().map(|current| current.release),
        steps,
    }
}

fn new_release(facts: &Facts, why: Vec<String>) -> [Step; 2] {
    let fingerprint = facts.fingerprint.clone();
    let image = match &facts.image {
        Some(image) => Step::Reuse { image: image.clone(), fingerprint },
        None => {
            let changed = facts.current.as_ref().map(|current| current.changed_inputs.clone());
            Step::Bake { fingerprint, why: changed.unwrap_or_default() }
        }
    };
    let launch = Step::Launch {
        release: facts.next,
        count: facts.count,
        size: facts.size.clone(),
        region: facts.region.clone(),
        why,
    };
    [image, launch]
}

impl Step {
    /// What the step does to a record, where it does.
    pub fn dns_change(&self) -> Option<DnsChange> {
        match self {
            Self::SetRecord { fqdn, before, after: Some(after) } => {
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

    fn current() -> impl Strategy<Value = Option<CurrentFacts>> {
        let fields = (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>(), 0..3usize, any::<bool>());
        proptest::option::of(fields.prop_map(|(image, size, region, same_config, running, healthy)| CurrentFacts {
            release: ReleaseId(3),
            fingerprint: if image { "new" } else { "old" }.into(),
            size: if size { "small" } else { "large" }.into(),
            region: if region { "here" } else { "there" }.into(),
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
            record in proptest::option::of(proptest::option::of(1..3u8)),
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
                record_target: match &address {
                    AddressFacts::Stands { address, .. } => Some(*address),
                    _ => None,
                },
                record: record.map(|before| ("www.example.org".to_owned(), before.map(value))),
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
                    region: facts.region.clone(),
                    same_config: true,
                    changed_inputs: Vec::new(),
                    instances: vec![serves.clone()],
                    unhealthy: None,
                }),
                address: match facts.address {
                    AddressFacts::None => AddressFacts::None,
                    _ => AddressFacts::Stands { address: target, points_at: Some(serves.clone()) },
                },
                record: facts.record.clone().map(|(fqdn, _)| (fqdn, Some(vec![target.to_string()]))),
                record_target: Some(target),
                standing: vec![serves],
                force: false,
                ..facts
            };
            prop_assert_eq!(decide(&after).steps, []);
        }
    }
}
