//! What there is in the account, one by one, and what a change has done to each.

use std::{collections::BTreeMap, fmt};

use crate::{
    fake::{RecordKey, State},
    provider::{ImageId, InstanceId, InstanceState, LoadBalancerId, LoginKeyId, StaticIpId},
};

/// One thing in the account.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Resource {
    Machine(InstanceId),
    Image(ImageId),
    Ip(StaticIpId),
    Balancer(LoadBalancerId),
    Record(RecordKey),
    Key(LoginKeyId),
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Machine(id) => write!(f, "instance {id}"),
            Self::Image(id) => write!(f, "image {id}"),
            Self::Ip(id) => write!(f, "static IP {id}"),
            Self::Balancer(id) => write!(f, "load balancer {id}"),
            Self::Record((zone, name, kind)) => write!(f, "record {name}.{zone} {kind}"),
            Self::Key(id) => write!(f, "login key {id}"),
        }
    }
}

/// What became of one thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Created,
    Changed,
    /// An instance is on its way out from now on.
    Destroying,
    Removed,
}

/// Every thing that there is.
pub(super) fn all(state: &State) -> Vec<Resource> {
    let machines = state.machines.keys().cloned().map(Resource::Machine);
    let images = state.images.keys().cloned().map(Resource::Image);
    let ips = state.ips.keys().cloned().map(Resource::Ip);
    let balancers = state.balancers.keys().cloned().map(Resource::Balancer);
    let records = state.records.keys().cloned().map(Resource::Record);
    let keys = state.keys.keys().cloned().map(Resource::Key);
    machines.chain(images).chain(ips).chain(balancers).chain(records).chain(keys).collect()
}

/// What a change has done.
pub(super) fn differences(before: &State, after: &State) -> Vec<(Resource, Fate)> {
    let mut found = Vec::new();
    for (id, fate) in compare(&before.machines, &after.machines) {
        let going = |state: &State| state.machines.get(&id).map(|machine| machine.instance.state);
        let destroying = Some(InstanceState::Destroying);
        let ordered = fate == Fate::Changed && going(before) != destroying && going(after) == destroying;
        found.push((Resource::Machine(id), if ordered { Fate::Destroying } else { fate }));
    }
    found.extend(compare(&before.images, &after.images).into_iter().map(|(id, fate)| (Resource::Image(id), fate)));
    found.extend(compare(&before.ips, &after.ips).into_iter().map(|(id, fate)| (Resource::Ip(id), fate)));
    let balancers = compare(&before.balancers, &after.balancers);
    found.extend(balancers.into_iter().map(|(id, fate)| (Resource::Balancer(id), fate)));
    found.extend(compare(&before.records, &after.records).into_iter().map(|(id, fate)| (Resource::Record(id), fate)));
    found.extend(compare(&before.keys, &after.keys).into_iter().map(|(id, fate)| (Resource::Key(id), fate)));
    found
}

fn compare<K: Ord + Clone, V: PartialEq>(before: &BTreeMap<K, V>, after: &BTreeMap<K, V>) -> Vec<(K, Fate)> {
    let mut found = Vec::new();
    for (key, value) in after {
        match before.get(key) {
            None => found.push((key.clone(), Fate::Created)),
            Some(former) if former != value => found.push((key.clone(), Fate::Changed)),
            Some(_) => {}
        }
    }
    found.extend(before.keys().filter(|key| !after.contains_key(*key)).map(|key| (key.clone(), Fate::Removed)));
    found
}
