//! What the journal's objects say.

use std::{collections::BTreeMap, fmt};

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize};
use uuid::Uuid;

use super::{CiJob, Place, ci};
use crate::{
    provider::{
        EnvironmentName, Fingerprint, ImageId, InstanceId, ProviderId, Region, ReleaseId, SizeName, StaticIpId,
    },
    recipe::InputDigest,
};

/// A release, as it was decided. Never changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleaseRecord {
    /// Its number in the environment, from 1.
    pub id: ReleaseId,
    /// The name of the service when the release was made.
    pub service: String,
    /// The environment whose journal holds the release.
    pub environment: EnvironmentName,
    /// The provider that hosts its instances.
    pub provider: ProviderId,
    /// The region of its instances.
    pub region: Region,
    /// The size of its instances, in the cloud's own words: `t3.micro`.
    pub size: SizeName,
    /// How many.
    pub count: u32,
    /// Whether they are behind a load balancer.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub balanced: bool,
    /// The image from which its instances are launched.
    pub image: ImageId,
    /// The label by which the image is found again.
    pub fingerprint: Fingerprint,
    /// The digests of what the image was made from, to tell what changed.
    pub inputs: Vec<InputDigest>,
    /// The salted digest of the configuration, secrets included, in hexadecimal.
    pub config_digest: String,
    /// Its salt, after the parameters of argon2id in PHC notation. Without those, the digest is of a Remint before and a fast one.
    pub salt: String,
    /// The release that this one goes back to.
    #[serde(default)]
    pub rollback_of: Option<ReleaseId>,
    /// The release that served before.
    #[serde(default)]
    pub replaces: Option<ReleaseId>,
    /// The commit of the manifest's folder, where there is one.
    #[serde(default)]
    pub commit: Option<String>,
    /// Who made it: `user@host`.
    pub created_by: String,
    /// The CI job that made it, where one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ci: Option<CiJob>,
    /// When it was decided, before anything was done.
    pub created_at: Timestamp,
    /// Whether `remint adopt` has read it off the cloud. Of the releases before the first of those, nothing is known.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub adopted: bool,
}

impl ReleaseRecord {
    /// Where its instances are.
    pub fn place(&self) -> Place {
        Place { provider: self.provider.clone(), region: self.region.clone() }
    }

    /// Who made it and from where, for people: `me@laptop`, and the CI job where one did.
    pub fn author(&self) -> String {
        ci::who(&self.created_by, self.ci.as_ref())
    }
}

/// Where a release stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Decided; nothing was done.
    Planned,
    /// Its instances are being made.
    Launching,
    /// Its instances are being examined.
    Gating,
    /// Behind a load balancer: its instances take over from those before, in waves.
    Rolling,
    /// The stable address moves to it.
    Switching,
    /// It is watched through the stable address.
    Verifying,
    /// The instances before it are being removed.
    Retiring,
    /// It serves, or has served.
    Done,
    /// It did not work out; what it made is being removed.
    Failed,
    /// It did not work out, and nothing of it is left.
    Undone,
    /// It was done, and was removed by `remint destroy`.
    Destroyed,
}

impl Phase {
    /// The phase in lower case, as in the journal's JSON: `launching`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Planned => "planned",
            Self::Launching => "launching",
            Self::Gating => "gating",
            Self::Rolling => "rolling",
            Self::Switching => "switching",
            Self::Verifying => "verifying",
            Self::Retiring => "retiring",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Undone => "undone",
            Self::Destroyed => "destroyed",
        }
    }

    /// Whether nothing is left to do.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Done | Self::Undone | Self::Destroyed)
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What becomes of an instance that was replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Retired {
    /// It is destroyed. A rollback launches others from its release's image.
    Destroyed,
    /// It runs on, for rollback.
    Parked,
}

/// What a DNS record was, and what it becomes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DnsChange {
    /// The full name, without a final dot.
    pub fqdn: String,
    /// Its values before; `None` where there was no such record.
    pub before: Option<Vec<String>>,
    /// Its values afterwards; they replace those before.
    pub after: Vec<String>,
}

/// A line of a release's journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "entry", rename_all = "snake_case")]
pub enum Entry {
    /// The release enters a phase; written before anything is done in it.
    Phase {
        /// The phase that begins.
        phase: Phase,
    },
    /// Instances of these names are about to be launched.
    Launching {
        /// Their names in the account, by which they are found again when the reply is lost.
        names: Vec<String>,
    },
    /// A parked instance is about to get this release's label, instead of one being launched.
    Adopting {
        /// The cloud's id of the parked instance.
        instance: InstanceId,
        /// The release that it belongs to, and goes back to when this one is undone.
        from: ReleaseId,
    },
    /// Instances of the current release are about to get this release's label: they are as they are to be, and stay.
    Keeping {
        /// The cloud's ids of the instances.
        instances: Vec<InstanceId>,
        /// The release that they go back to when this one is undone.
        from: ReleaseId,
    },
    /// Instances were launched.
    Launched {
        /// Their ids, in the order of the names.
        instances: Vec<InstanceId>,
        /// The host key that they show, as one OpenSSH line; `None` for parked ones that are used again.
        #[serde(default)]
        host_key: Option<String>,
    },
    /// An instance is about to get another host key. Written by Remint when it wrote an entry for each.
    RotatingHostKey {
        /// The cloud's id of the instance that gets the key.
        instance: InstanceId,
        /// The new host key, as one OpenSSH line.
        host_key: String,
    },
    /// Instances are about to get other host keys than the one of their user data. Until they have passed their gate, they may
    /// show either.
    RotatingHostKeys {
        /// The new host keys, as OpenSSH lines, by the cloud's ids of the instances.
        host_keys: BTreeMap<InstanceId, String>,
    },
    /// The command before the switch is about to run.
    BeforeSwitchStarted,
    /// The command before the switch has succeeded; it is not run again.
    BeforeSwitchDone,
    /// Instances have passed their gate: clients may be sent to them.
    GatePassed {
        /// The cloud's ids of the instances. Entries of before have one, as `instance`.
        #[serde(alias = "instance", deserialize_with = "one_or_several")]
        instances: Vec<InstanceId>,
    },
    /// A static IP is about to be made, pointing at an instance.
    MakingAddress {
        /// The cloud's id of the instance that it points at from the first.
        instance: InstanceId,
    },
    /// The static IP is about to move.
    Assigning {
        /// The cloud's id of the static IP.
        static_ip: StaticIpId,
        /// The instance that it pointed at.
        from: Option<InstanceId>,
        /// The instance that it is to point at.
        to: InstanceId,
    },
    /// The static IP has moved.
    Assigned {
        /// The instance that it points at.
        to: InstanceId,
    },
    /// A load balancer of this name is about to be created.
    MakingBalancer {
        /// Its name, which holds the environment's id.
        name: String,
    },
    /// A DNS record is about to change.
    SettingRecord {
        /// The record's name and values, before and after; undoing the release restores those before.
        change: DnsChange,
        /// How long resolvers may keep the values before, in seconds; 0 where a Remint from before did not write it down.
        #[serde(default)]
        former_ttl: u64,
    },
    /// The instances from before stay until resolvers have forgotten the former address.
    AwaitingResolvers {
        /// The latest time at which a resolver may still give the former address.
        until: Timestamp,
    },
    /// Old instances are about to be retired.
    Retiring {
        /// The cloud's ids of the instances from before.
        instances: Vec<InstanceId>,
        /// Whether they are destroyed, or parked for a rollback.
        how: Retired,
    },
    /// The release failed.
    Failure {
        /// Why: the chain of errors.
        reason: String,
    },
}

/// An [`Entry`] with its place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntryRecord {
    /// Its number in the release's journal, from 1.
    pub seq: u64,
    /// When it was written, by this machine's clock.
    pub at: Timestamp,
    /// The run of the command that wrote it; the lock names the same one.
    pub run: Uuid,
    /// The lock's fencing token under which it was written.
    pub token: u64,
    /// What is intended or was done; in JSON, its fields are next to `seq`.
    #[serde(flatten)]
    pub entry: Entry,
}
/// Reads a list, or the single item that stood in its place before.
fn one_or_several<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<InstanceId>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum OneOrSeveral {
        One(InstanceId),
        Several(Vec<InstanceId>),
    }
    Ok(match OneOrSeveral::deserialize(deserializer)? {
        OneOrSeveral::One(instance) => vec![instance],
        OneOrSeveral::Several(instances) => instances,
    })
}
