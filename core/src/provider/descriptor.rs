//! What a provider says of itself.

use super::{Capability, Guest, Limits};

/// What is known about a provider without asking its cloud.
#[derive(Debug)]
pub struct Descriptor {
    /// The name of its section in the manifest and the value of `--provider`: `aws`.
    pub id: &'static str,
    /// How the cloud calls itself, for messages: `Google Cloud`.
    pub title: &'static str,
    /// What the account can be asked for. The conformance suite runs the cases that these declare.
    pub capabilities: &'static [Capability],
    /// What a plan must respect.
    pub limits: Limits,
    /// What its machines do and need at their first boot.
    pub guest: Guest,
}

impl Descriptor {
    /// Whether a capability is declared.
    pub fn has(&self, capability: Capability) -> bool {
        self.capabilities.contains(&capability)
    }
}
