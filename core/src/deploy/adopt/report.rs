//! What is adopted, as people and programs read it.

use std::net::IpAddr;

use serde::Serialize;

use crate::{
    journal::Phase,
    provider::{ImageId, InstanceId, ReleaseId},
};

/// What was found, and what it counts as from then on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Adoption {
    /// The name of the service, from the manifest.
    pub service: String,
    /// The name of the environment, `default` where the manifest has none.
    pub environment: String,
    /// The id that its things carry, or are to carry.
    pub environment_id: String,
    /// The id that its images carry.
    pub service_id: String,
    /// Oldest first.
    pub releases: Vec<AdoptedRelease>,
    /// Static IPs that the environment uses.
    pub static_ips: Vec<AdoptedAddress>,
    /// The record of the manifest, where it leads to any of these: its full name and values.
    pub record: Option<(String, Vec<String>)>,
    /// Builders and login keys that runs have left behind, by their names: `remint gc` removes them.
    pub left: Vec<String>,
    /// Instances that are to get this environment's labels.
    pub labelled: Vec<InstanceId>,
    /// What the cloud does not tell, a sentence each.
    pub unknown: Vec<String>,
}

/// A release as it is written down.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AdoptedRelease {
    /// Its number: that of its instance's label; of one without an instance, a new one.
    pub release: ReleaseId,
    /// The image that it runs from.
    pub image: ImageId,
    /// `done`, or where it was left.
    pub phase: Phase,
    /// Whether clients are sent to it.
    pub serves: bool,
    /// Its instances; none where it can only be gone back to.
    pub instances: Vec<AdoptedInstance>,
}

/// An instance of a release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AdoptedInstance {
    /// The cloud's id.
    pub id: InstanceId,
    /// Its name in the account.
    pub name: String,
}

/// A static IP that the environment uses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AdoptedAddress {
    /// The address.
    pub address: IpAddr,
    /// The instance that it points at.
    pub points_at: Option<InstanceId>,
    /// Whether the manifest wants it; one that it does not want goes with the next deploy.
    pub wanted: bool,
    /// Whether it counts as made by Remint, so that `remint destroy` gives it back.
    pub made_here: bool,
}

impl Adoption {
    /// Whether the same is to be adopted.
    pub(in crate::deploy) fn is_same(&self, other: &Self) -> bool {
        // An id that nothing carries yet is drawn each time.
        let ids = |one: &Self| Self { environment_id: String::new(), service_id: String::new(), ..one.clone() };
        ids(self) == ids(other)
    }
}
