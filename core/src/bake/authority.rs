//! On whose authority a bake creates things.

use crate::{
    journal::{Identity, Journal, LockGuard},
    provider::{EnvironmentId, Labels, Owner, Selector, label},
};

/// The journal that a bake writes to, the lock that it works under, and the ids that prove what it creates to be ours.
#[derive(Debug, Clone, Copy)]
pub struct Authority<'a> {
    pub(crate) journal: &'a Journal,
    pub(crate) lock: &'a LockGuard,
    /// The ids of service and environment.
    pub(crate) identity: &'a Identity,
}

impl Authority<'_> {
    /// The labels of images: all environments of the journal share them.
    pub(crate) fn of_images(&self) -> Labels {
        Labels::new()
            .with(label::SERVICE, &self.identity.service.service)
            .with(label::SERVICE_ID, self.identity.service.id.as_str())
    }

    /// What finds builders or check machines of this environment.
    pub(super) fn machines(&self, role: &str) -> Selector {
        Selector::all().with(label::ENV_ID, self.identity.environment.id.as_str()).with(label::ROLE, role)
    }

    /// What the names of the login keys of this environment's builders start with.
    pub(super) fn builder_keys(&self) -> String {
        format!("{}bake-", key_prefix(&self.identity.environment.id))
    }

    /// What the names of images end with: two journals that bake one recipe do not meet.
    pub(super) fn image_suffix(&self) -> String {
        Owner { service: self.identity.service.id.clone(), environment: None }.image_suffix()
    }
}

/// What the names of all login keys of an environment start with. No name that a user chose is in it, so that no other
/// environment's keys start the same.
pub(crate) fn key_prefix(environment: &EnvironmentId) -> String {
    format!("remint-{environment}-")
}
