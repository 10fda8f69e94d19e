//! Security groups as the account has them: those that were made, and the default one of each region.

use super::{
    ids,
    kinds::GROUP,
    state::{Group, Rule, Source},
    vpc,
};
use crate::State;
use remint_sandbox_cloud::ApiResult;

/// The id of a region's default security group.
pub(super) fn default_id(state: &State, region: &str) -> String {
    vpc::own(state, "sg", region)
}

/// The groups of a region, the default one first.
pub(super) fn all(state: &State, region: &str) -> Vec<Group> {
    let id = default_id(state, region);
    let mut found = Vec::new();
    if !state.own.groups.contains_key(&id) {
        found.push(default(state, region, id));
    }
    found.extend(state.own.groups.values().filter(|group| group.region == region).cloned());
    found
}

pub(super) fn by_id(state: &State, region: &str, id: &str) -> ApiResult<Group> {
    all(state, region).into_iter().find(|group| group.id == id).ok_or_else(|| GROUP.absent(&[id]))
}

pub(super) fn by_name(state: &State, region: &str, name: &str) -> ApiResult<Group> {
    all(state, region).into_iter().find(|group| group.name == name).ok_or_else(|| GROUP.unknown(name))
}

/// The group that every VPC has. It is written down when it is first changed.
fn default(state: &State, region: &str, id: String) -> Group {
    let within = Rule { source: Source::Group(id.clone()), ..open_to_all(&id, false) };
    Group {
        region: region.to_owned(),
        name: "default".to_owned(),
        description: "default VPC security group".to_owned(),
        vpc: vpc::id(state, region),
        rules: vec![within, open_to_all(&id, true)],
        id,
    }
}

/// A rule for all protocols and all addresses.
pub(super) fn open_to_all(group: &str, egress: bool) -> Rule {
    Rule {
        id: ids::fixed("sgr", &format!("{group} {egress}")),
        egress,
        protocol: "-1".to_owned(),
        from: None,
        to: None,
        source: Source::Ipv4("0.0.0.0/0".to_owned()),
        description: None,
    }
}
