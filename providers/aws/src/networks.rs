//! The networks of an account, as far as they are known.

use std::collections::HashMap;

use aws_sdk_ec2::types::Subnet;
use remint_core::provider::{EnvironmentId, Region};
use tokio::sync::Mutex;

/// What was found or made in each region.
#[derive(Debug, Default)]
pub(crate) struct Networks(pub(crate) Mutex<HashMap<Key, Network>>);

/// A region, and the environment that the group is for.
pub(crate) type Key = (Region, Option<EnvironmentId>);

#[derive(Debug, Clone)]
pub(crate) struct Network {
    /// Subnets that may be used, in the order of their availability zones.
    pub(crate) subnets: Vec<Subnet>,
    /// Whether the options name the subnet.
    pub(crate) pinned: bool,
    pub(crate) groups: Vec<String>,
}

/// Where one instance is attached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) zone: String,
    pub(crate) subnet: String,
    pub(crate) groups: Vec<String>,
    /// The options name the subnet, so no other zone will do.
    pub(crate) pinned: bool,
}

impl Network {
    /// A subnet for each of these zones, in their order; the first is where a launch goes as long as there is room.
    pub(crate) fn places(&self, zones: &[String]) -> Vec<Place> {
        let has_size =
            |subnet: &&Subnet| subnet.availability_zone().is_some_and(|zone| zones.iter().any(|z| z == zone));
        // The one that was named is taken as it is: AWS says best why it does not do.
        let Some(first) = self.subnets.iter().find(has_size).or_else(|| self.subnets.first()) else {
            return Vec::new();
        };
        // A VPC may have private subnets: only one that treats addresses as the first does stands in for it.
        let alike = |subnet: &&Subnet| subnet.map_public_ip_on_launch() == first.map_public_ip_on_launch();
        let others = self.subnets.iter().filter(has_size).filter(alike).filter(|_| !self.pinned);
        let mut places: Vec<Place> = Vec::new();
        for subnet in std::iter::once(first).chain(others) {
            let zone = subnet.availability_zone().unwrap_or_default();
            if places.iter().all(|place| place.zone != zone) {
                places.push(Place {
                    zone: zone.to_owned(),
                    subnet: subnet.subnet_id().unwrap_or_default().to_owned(),
                    groups: self.groups.clone(),
                    pinned: self.pinned,
                });
            }
        }
        places
    }
}

impl Networks {
    pub(crate) async fn forget(&self, region: &Region) {
        self.0.lock().await.retain(|(known, _), _| known != region);
    }
}
