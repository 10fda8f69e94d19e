//! An operation that is under way.

use google_cloud_compute_v1::model::Operation;

use crate::{error::is_done, names::last};

/// Where an operation is found again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pending {
    pub(crate) name: String,
    pub(crate) scope: Scope,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Scope {
    Global,
    Region(String),
    Zone(String),
}

impl Pending {
    /// What to ask for; nothing when it has ended.
    pub(crate) fn of(operation: &Operation) -> Option<Self> {
        if is_done(operation) {
            return None;
        }
        let scope = match (&operation.zone, &operation.region) {
            (Some(zone), _) => Scope::Zone(last(zone).to_owned()),
            (None, Some(region)) => Scope::Region(last(region).to_owned()),
            (None, None) => Scope::Global,
        };
        Some(Self { name: operation.name.clone()?, scope })
    }
}
