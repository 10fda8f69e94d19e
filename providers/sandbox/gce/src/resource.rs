//! What the kinds of resources have in common: how one is found by its place and name, and how its path is written.

use std::collections::BTreeMap;

use super::{
    error::{Refusal, Result},
    labels::Labels,
    model::{
        Address, BackendService, Disk, Firewall, ForwardingRule, HealthCheck, ImageData, Instance, InstanceGroup,
        TargetInstance,
    },
    reference::{check_name, full},
    state::Data,
};
use crate::State;

/// A kind of resource.
pub(super) trait Resource: Sized + Send + 'static {
    /// As in `compute#disk`.
    const KIND: &'static str;
    /// What its paths have before its name: `disks`.
    const PLURAL: &'static str;
    /// Where it is: `zones`, `regions` or `global`.
    const PLACES: &'static str;
    /// What stands for its name in routes, by which calls are counted.
    const ITEM: &'static str;

    /// All that there are, by their number.
    fn all(own: &Data) -> &BTreeMap<u64, Self>;

    /// The same, to be changed.
    fn all_mut(own: &mut Data) -> &mut BTreeMap<u64, Self>;

    /// The zone or region, empty for what is global, and the name of the one with a number.
    fn names<'a>(&'a self, id: u64, state: &'a State) -> Option<(&'a str, &'a str)>;
}

/// A resource that has labels.
pub(super) trait Labelled: Resource {
    fn labels(&self) -> &Labels;
    fn labels_mut(&mut self) -> &mut Labels;
}

macro_rules! resource {
    ($type:ident, $kind:literal, $places:literal, $plural:literal, $item:literal, $field:ident, $names:expr) => {
        impl Resource for $type {
            const KIND: &'static str = $kind;
            const PLURAL: &'static str = $plural;
            const PLACES: &'static str = $places;
            const ITEM: &'static str = $item;

            fn all(own: &Data) -> &BTreeMap<u64, Self> {
                &own.$field
            }

            fn all_mut(own: &mut Data) -> &mut BTreeMap<u64, Self> {
                &mut own.$field
            }

            fn names<'a>(&'a self, id: u64, state: &'a State) -> Option<(&'a str, &'a str)> {
                let names: fn(&'a Self, u64, &'a State) -> Option<(&'a str, &'a str)> = $names;
                names(self, id, state)
            }
        }
    };
}

macro_rules! labelled {
    ($($type:ident),*) => {
        $(impl Labelled for $type {
            fn labels(&self) -> &Labels {
                &self.labels
            }

            fn labels_mut(&mut self) -> &mut Labels {
                &mut self.labels
            }
        })*
    };
}

resource!(Instance, "compute#instance", "zones", "instances", "instance", instances, |_, id, state| {
    state.instances.get(&id).map(|machine| (machine.region.as_str(), machine.name.as_str()))
});
resource!(Disk, "compute#disk", "zones", "disks", "disk", disks, |disk, _, _| Some((&disk.zone, &disk.name)));
resource!(ImageData, "compute#image", "global", "images", "image", images, |image, _, _| Some(("", &image.name)));
resource!(Address, "compute#address", "regions", "addresses", "address", addresses, |address, _, _| {
    Some((&address.region, &address.name))
});
resource!(
    ForwardingRule,
    "compute#forwardingRule",
    "regions",
    "forwardingRules",
    "rule",
    forwarding_rules,
    |rule, _, _| Some((&rule.region, &rule.name))
);
resource!(
    TargetInstance,
    "compute#targetInstance",
    "zones",
    "targetInstances",
    "target",
    target_instances,
    |target, _, _| Some((&target.zone, &target.name))
);
resource!(Firewall, "compute#firewall", "global", "firewalls", "firewall", firewalls, |firewall, _, _| {
    Some(("", &firewall.name))
});
resource!(HealthCheck, "compute#healthCheck", "regions", "healthChecks", "check", health_checks, |check, _, _| {
    Some((&check.region, &check.name))
});
resource!(
    InstanceGroup,
    "compute#instanceGroup",
    "zones",
    "instanceGroups",
    "group",
    instance_groups,
    |group, _, _| Some((&group.zone, &group.name))
);
resource!(
    BackendService,
    "compute#backendService",
    "regions",
    "backendServices",
    "service",
    backend_services,
    |service, _, _| Some((&service.region, &service.name))
);
labelled!(Instance, Disk, ImageData, Address, ForwardingRule);

/// The path of a resource below the project.
pub(super) fn path<R: Resource>(place: &str, name: &str) -> String {
    match R::PLACES {
        "global" => format!("global/{}/{name}", R::PLURAL),
        places => format!("{places}/{place}/{}/{name}", R::PLURAL),
    }
}

/// The same, from `projects` on.
pub(super) fn full_path<R: Resource>(place: &str, name: &str) -> String {
    full(&path::<R>(place, name))
}

/// The path of one that there is.
pub(super) fn path_of<R: Resource>(state: &State, id: u64, one: &R) -> String {
    let (place, name) = one.names(id, state).unwrap_or_default();
    path::<R>(place, name)
}

/// A resource and its number, by its zone or region and its name.
pub(super) fn find<'a, R: Resource>(state: &'a State, place: &str, name: &str) -> Result<(u64, &'a R)> {
    // The API takes a number wherever it takes a name, which never begins with a digit.
    let number = name.parse::<u64>().ok();
    let is = |id: u64, names: (&str, &str)| names.0 == place && number.map_or(names.1 == name, |number| number == id);
    let mut all = R::all(&state.own).iter().map(|(id, one)| (*id, one));
    let found = all.find(|(id, one)| one.names(*id, state).is_some_and(|names| is(*id, names)));
    found.ok_or_else(|| Refusal::not_found(full_path::<R>(place, name)))
}

/// Refuses a name that is none, or that a resource in the same place has.
pub(super) fn check_new<R: Resource>(state: &State, place: &str, name: &str) -> Result<()> {
    check_name("resource.name", name)?;
    if find::<R>(state, place, name).is_ok() {
        return Err(Refusal::already_exists(full_path::<R>(place, name)));
    }
    Ok(())
}
