//! What the account knows beyond the engine.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    error::{Refusal, Result},
    labels::Metadata,
    model::{
        Address, BackendService, Content, Disk, Firewall, ForwardingRule, HealthCheck, ImageData, Instance,
        InstanceGroup, ManagedZone, TargetInstance,
    },
    operation::{Failure, Operation, Sequel},
    reference::full,
};
use crate::State;

/// How many operations that are done are remembered.
const REMEMBERED: usize = 1000;

/// What the account knows beyond the engine.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Data {
    /// Instances by their machine.
    pub(super) instances: BTreeMap<u64, Instance>,
    /// Disks by id.
    pub(super) disks: BTreeMap<u64, Disk>,
    /// The project's images by the engine's id, from the moment that they are asked for.
    pub(super) images: BTreeMap<u64, ImageData>,
    /// Addresses by id.
    pub(super) addresses: BTreeMap<u64, Address>,
    /// Forwarding rules by id.
    pub(super) forwarding_rules: BTreeMap<u64, ForwardingRule>,
    /// Target instances by id.
    pub(super) target_instances: BTreeMap<u64, TargetInstance>,
    /// Health checks by id.
    pub(super) health_checks: BTreeMap<u64, HealthCheck>,
    /// Instance groups by id.
    pub(super) instance_groups: BTreeMap<u64, InstanceGroup>,
    /// Backend services by id.
    pub(super) backend_services: BTreeMap<u64, BackendService>,
    /// Firewall rules by id.
    pub(super) firewalls: BTreeMap<u64, Firewall>,
    /// What all instances of the project share.
    pub(super) project_metadata: Metadata,
    /// Managed zones by their domain.
    pub(super) managed_zones: BTreeMap<String, ManagedZone>,
    /// Operations by id; the oldest that are done are forgotten.
    pub(super) operations: BTreeMap<u64, Operation>,
}

impl Data {
    /// Notes that a machine is gone, and its disk with it unless that was kept.
    pub(crate) fn forget_instance(&mut self, machine: u64) {
        self.instances.remove(&machine);
        for group in self.instance_groups.values_mut() {
            group.instances.remove(&machine);
            group.left.remove(&machine);
        }
        self.disks.retain(|_, disk| disk.content != Content::Machine(machine));
    }

    /// Notes that a machine's disk outlives it, as an image of the engine's.
    pub(crate) fn keep_disk(&mut self, machine: u64, image: u64) {
        for disk in self.disks.values_mut().filter(|disk| disk.content == Content::Machine(machine)) {
            disk.content = Content::Image(image);
        }
    }

    /// Notes that an image could not be taken.
    pub(crate) fn fail_image(&mut self, id: u64) {
        if let Some(image) = self.images.get_mut(&id) {
            image.failed = true;
        }
    }

    /// Notes the end of one of the engine's actions.
    pub(crate) fn note_end(&mut self, action: u64, errored: bool, at: Timestamp) {
        let Some(operation) = self.operations.values_mut().find(|operation| operation.actions.contains(&action)) else {
            return;
        };
        operation.actions.retain(|id| *id != action);
        operation.ended = Some(at);
        if errored && operation.error.is_none() {
            operation.error = Some(Failure::of(&operation.verb, &operation.scope, &operation.target));
        }
        if operation.actions.is_empty() {
            let good = operation.error.is_none();
            if let Some(sequel) = operation.sequel.take() {
                self.follow(sequel, good);
            }
        }
    }

    fn follow(&mut self, sequel: Sequel, good: bool) {
        match sequel {
            Sequel::Target { rule, target } if good => {
                if let Some(rule) = self.forwarding_rules.get_mut(&rule) {
                    rule.target = Some(target);
                }
            }
            Sequel::Access { machine, access } if good => {
                if let Some(instance) = self.instances.get_mut(&machine) {
                    instance.access = access;
                }
            }
            Sequel::Rule { rule } if !good => {
                self.forwarding_rules.remove(&rule);
            }
            Sequel::Gone { rule } if good => {
                self.forwarding_rules.remove(&rule);
            }
            Sequel::Target { .. } | Sequel::Access { .. } | Sequel::Rule { .. } | Sequel::Gone { .. } => {}
        }
    }

    pub(super) fn remember(&mut self, operation: Operation) {
        self.operations.insert(operation.id, operation);
        if self.operations.len() > 2 * REMEMBERED {
            let now = Timestamp::now();
            let done: Vec<u64> = self.operations.values().filter(|old| old.done(now)).map(|old| old.id).collect();
            for id in done.into_iter().take(REMEMBERED) {
                self.operations.remove(&id);
            }
        }
    }

    /// The operation of a former call with that request id.
    pub(super) fn repeated(&self, request_id: &str) -> Option<&Operation> {
        self.operations.values().find(|operation| operation.request_id.as_deref() == Some(request_id))
    }

    pub(super) fn operation(&self, scope: &str, name: &str) -> Result<&Operation> {
        let found = self
            .operations
            .values()
            .find(|operation| operation.scope == scope && (operation.name == name || operation.id.to_string() == name));
        found.ok_or_else(|| Refusal::not_found(full(&format!("{scope}/operations/{name}"))))
    }
}

/// The project's number: any that is no resource's.
pub(super) fn project_number(state: &State) -> u64 {
    state.account.as_u64_pair().0 >> 20
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operation;

    #[test]
    fn an_operation_is_done_after_its_time_and_its_actions() {
        let now = Timestamp::now();
        let mut data = Data::default();
        let operation = |id: u64, actions: Vec<u64>| Operation {
            id,
            name: operation::name(now),
            verb: "insert".to_owned(),
            scope: "zones/us-central1-a".to_owned(),
            target: "zones/us-central1-a/instances/web".to_owned(),
            target_id: 7,
            inserted: now,
            due: now,
            actions,
            ended: None,
            error: None,
            request_id: None,
            sequel: None,
        };
        data.remember(operation(1, vec![10, 11]));
        data.note_end(10, false, now);
        assert!(!data.operations[&1].done(now));
        data.note_end(11, true, now);
        let done = &data.operations[&1];
        assert!(done.done(now));
        assert_eq!(done.error.as_ref().unwrap().code, "ZONE_RESOURCE_POOL_EXHAUSTED");
        for id in 2..=2 * REMEMBERED as u64 + 1 {
            data.remember(operation(id, vec![]));
        }
        assert_eq!(data.operations.len(), REMEMBERED + 1);
    }
}
