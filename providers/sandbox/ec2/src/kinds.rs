//! The kinds of resources that have ids: what their ids look like, and how the lack of one is said.

use super::{ids, reply::refuse};
use remint_sandbox_cloud::ApiError;

/// A kind of resource.
#[derive(Debug)]
pub(super) struct Kind {
    /// What its ids begin with, before the hyphen.
    pub(super) prefix: &'static str,
    /// The type of resource that tags are for.
    pub(super) name: &'static str,
    /// The code of the error for one that is not there.
    absent: &'static str,
    /// Its message, with `{}` for the id.
    message: &'static str,
    /// The code of the error for an id that cannot be one, where EC2 has another for that.
    malformed: Option<&'static str>,
}

/// A kind for whose ids EC2 has one error.
pub(super) const fn kind(
    prefix: &'static str,
    name: &'static str,
    absent: &'static str,
    message: &'static str,
) -> Kind {
    Kind { prefix, name, absent, message, malformed: None }
}

pub(super) const INSTANCE: Kind = Kind {
    malformed: Some("InvalidInstanceID.Malformed"),
    ..kind("i", "instance", "InvalidInstanceID.NotFound", "The instance ID '{}' does not exist")
};
pub(super) const IMAGE: Kind = Kind {
    malformed: Some("InvalidAMIID.Malformed"),
    ..kind("ami", "image", "InvalidAMIID.NotFound", "The image id '[{}]' does not exist")
};
pub(super) const SNAPSHOT: Kind = Kind {
    malformed: Some("InvalidParameterValue"),
    ..kind("snap", "snapshot", "InvalidSnapshot.NotFound", "The snapshot '{}' does not exist.")
};
pub(super) const GROUP: Kind = Kind {
    malformed: Some("InvalidGroupId.Malformed"),
    ..kind("sg", "security-group", "InvalidGroup.NotFound", "The security group '{}' does not exist")
};
pub(super) const GROUP_RULE: Kind = kind(
    "sgr",
    "security-group-rule",
    "InvalidSecurityGroupRuleId.NotFound",
    "The security group rule ID '{}' does not exist",
);
pub(super) const VOLUME: Kind = kind("vol", "volume", "InvalidVolume.NotFound", "The volume '{}' does not exist.");
pub(super) const ADDRESS: Kind =
    kind("eipalloc", "elastic-ip", "InvalidAllocationID.NotFound", "The allocation ID '{}' does not exist");
pub(super) const KEY_PAIR: Kind =
    kind("key", "key-pair", "InvalidKeyPair.NotFound", "The key pair '{}' does not exist");
pub(super) const INTERFACE: Kind = kind(
    "eni",
    "network-interface",
    "InvalidNetworkInterfaceID.NotFound",
    "The networkInterface ID '{}' does not exist",
);
pub(super) const VPC: Kind = kind("vpc", "vpc", "InvalidVpcID.NotFound", "The vpc ID '{}' does not exist");
pub(super) const SUBNET: Kind =
    kind("subnet", "subnet", "InvalidSubnetID.NotFound", "The subnet ID '{}' does not exist");

const ALL: [&Kind; 11] =
    [&INSTANCE, &IMAGE, &SNAPSHOT, &GROUP, &GROUP_RULE, &VOLUME, &ADDRESS, &KEY_PAIR, &INTERFACE, &VPC, &SUBNET];

impl Kind {
    /// The kind of which an id is.
    pub(super) fn of(id: &str) -> Option<&'static Self> {
        let prefix = id.split_once('-')?.0;
        ALL.into_iter().find(|kind| kind.prefix == prefix)
    }

    /// The error for ids of which there is nothing: one of them is malformed, or they do not exist.
    pub(super) fn absent(&self, named: &[&str]) -> ApiError {
        if let Some(code) = self.malformed
            && let Some(id) = named.iter().find(|id| !ids::is_id(self.prefix, id))
        {
            return refuse(code, format!("Invalid id: \"{id}\" (expecting \"{}-...\")", self.prefix));
        }
        if named.len() > 1 && self.name == INSTANCE.name {
            return refuse(self.absent, format!("The instance IDs '{}' do not exist", named.join(", ")));
        }
        self.unknown(&named.join(", "))
    }

    /// The same for what was named by something else than its id.
    pub(super) fn unknown(&self, named: &str) -> ApiError {
        refuse(self.absent, self.message.replace("{}", named))
    }
}
