//! What the account knows beyond the engine's machines, images and static IPs. It is part of the state file.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::Ipv4Addr,
};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{elbv2::Elb, ids, query::Params, reply::invalid_value};
use crate::State;
use remint_sandbox_cloud::{ApiResult, now};

/// The one device that an image and an instance have.
pub(super) const ROOT_DEVICE: &str = "/dev/xvda";

pub(super) type Tags = BTreeMap<String, String>;

/// What the account knows.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Data {
    pub(super) instances: BTreeMap<String, Instance>,
    pub(super) images: BTreeMap<String, Ami>,
    pub(super) snapshots: BTreeMap<String, Snapshot>,
    /// By allocation id.
    pub(super) addresses: BTreeMap<String, Address>,
    pub(super) keys: BTreeMap<String, KeyPair>,
    pub(super) groups: BTreeMap<String, Group>,
    /// Of every kind of resource, by its id.
    pub(super) tags: BTreeMap<String, Tags>,
    /// By region and token.
    pub(super) tokens: BTreeMap<String, Token>,
    pub(super) zones: BTreeMap<String, Zone>,
    pub(super) changes: BTreeMap<String, Change>,
    /// By region and name.
    pub(super) parameters: BTreeMap<String, Parameter>,
    /// Load balancers, and what belongs to them.
    pub(super) elb: Elb,
}

/// An instance; it stays for a while after its machine is gone.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Instance {
    pub(super) id: String,
    #[serde(rename = "droplet")]
    pub(super) machine: u64,
    pub(super) reservation: String,
    /// Its place among those of one launch.
    pub(super) index: usize,
    pub(super) region: String,
    pub(super) zone: String,
    pub(super) image: String,
    pub(super) kind: String,
    pub(super) key_name: Option<String>,
    pub(super) groups: Vec<String>,
    /// The machine's own address, shown as the public one.
    pub(super) public_ip: Ipv4Addr,
    pub(super) private_ip: Ipv4Addr,
    /// Whether it has a public address while it runs and no Elastic IP.
    pub(super) public: bool,
    pub(super) launched_at: Timestamp,
    pub(super) token: Option<String>,
    pub(super) interface: String,
    pub(super) attachment: String,
    pub(super) volume: Volume,
    pub(super) metadata: MetadataOptions,
    pub(super) spot: bool,
    /// Whether a guest that shuts down is terminated.
    pub(super) shutdown_terminates: bool,
    /// Whether it cannot be terminated.
    pub(super) protected: bool,
    /// Whether it cannot be stopped.
    #[serde(default)]
    pub(super) stop_protected: bool,
    pub(super) source_dest_check: bool,
    /// Whether detailed monitoring was asked for. It is shown, and nothing is measured.
    #[serde(default)]
    pub(super) monitored: bool,
    #[serde(default)]
    pub(super) ebs_optimized: bool,
    /// The credit option that it was given, which has no effect.
    #[serde(default)]
    pub(super) credits: Option<String>,
    pub(super) profile: Option<String>,
    /// What it was asked for while the engine was busy with it.
    pub(super) next: Option<Wish>,
    /// Why it is in the state in which it is: code and message.
    pub(super) reason: Option<(String, String)>,
    /// When it was gone.
    pub(super) ended_at: Option<Timestamp>,
}

/// What an instance's power is wanted to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Wish {
    Start,
    Stop { force: bool },
    Reboot,
    Terminate,
}

/// An instance's root volume.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Volume {
    pub(super) id: String,
    /// In GiB.
    pub(super) size: u64,
    pub(super) kind: String,
    pub(super) encrypted: bool,
    pub(super) snapshot: String,
    pub(super) delete_on_termination: bool,
    #[serde(default)]
    pub(super) iops: Option<u64>,
    /// In MiB a second.
    #[serde(default)]
    pub(super) throughput: Option<u64>,
}

/// How an instance's metadata service answers.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct MetadataOptions {
    pub(super) tokens: String,
    pub(super) hop_limit: u64,
    pub(super) endpoint: String,
    pub(super) tags: String,
}

impl Default for MetadataOptions {
    fn default() -> Self {
        let text = str::to_owned;
        Self { tokens: text("optional"), hop_limit: 1, endpoint: text("enabled"), tags: text("disabled") }
    }
}

impl MetadataOptions {
    /// The options with those that a call sets.
    pub(super) fn with(mut self, set: &Params) -> ApiResult<Self> {
        let choose = |name: &str, allowed: [&str; 2], into: &mut String| {
            if let Some(value) = set.choice(name, &allowed)? {
                value.clone_into(into);
            }
            Ok(())
        };
        choose("HttpTokens", ["optional", "required"], &mut self.tokens)?;
        choose("HttpEndpoint", ["enabled", "disabled"], &mut self.endpoint)?;
        choose("InstanceMetadataTags", ["enabled", "disabled"], &mut self.tags)?;
        if let Some(limit) = set.number("HttpPutResponseHopLimit")? {
            if !(1..=64).contains(&limit) {
                return Err(invalid_value("HttpPutResponseHopLimit must be between 1 and 64"));
            }
            self.hop_limit = limit;
        }
        Ok(self)
    }
}

/// An image of the account's own.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Ami {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) description: String,
    pub(super) region: String,
    pub(super) created_at: Timestamp,
    /// The engine's image, which copies share.
    pub(super) image: u64,
    pub(super) snapshot: String,
    /// In GiB.
    pub(super) size: u64,
    pub(super) encrypted: bool,
    pub(super) source_instance: Option<String>,
    /// Region and id of the image that it was copied from.
    pub(super) source_image: Option<(String, String)>,
    /// When a copy is there.
    pub(super) ready_at: Option<Timestamp>,
    /// Whether a copy is to fail, because a fault rule says so.
    pub(super) doomed: bool,
    /// The accounts and groups that may launch from it.
    pub(super) shared: BTreeSet<String>,
}

impl Ami {
    /// An image of one of the engine's, made now.
    pub(super) fn new(region: &str, name: &str, image: u64) -> Self {
        Self {
            id: ids::fresh("ami"),
            name: name.to_owned(),
            description: String::new(),
            region: region.to_owned(),
            created_at: now(),
            image,
            snapshot: ids::fresh("snap"),
            size: 0,
            encrypted: false,
            source_instance: None,
            source_image: None,
            ready_at: None,
            doomed: false,
            shared: BTreeSet::new(),
        }
    }
}

/// A snapshot: of an image's root volume, or of an instance's.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Snapshot {
    pub(super) id: String,
    pub(super) region: String,
    /// The engine's image.
    pub(super) image: u64,
    pub(super) volume: String,
    pub(super) size: u64,
    pub(super) encrypted: bool,
    pub(super) description: String,
    pub(super) started_at: Timestamp,
    pub(super) ready_at: Option<Timestamp>,
    pub(super) doomed: bool,
    /// The accounts and groups that may use it.
    #[serde(default)]
    pub(super) shared: BTreeSet<String>,
}

/// An Elastic IP.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Address {
    pub(super) id: String,
    pub(super) region: String,
    pub(super) ip: Ipv4Addr,
    /// The id of the association that stands: whether one does is the engine's to say.
    pub(super) association: Option<String>,
    /// The instance that it is associated with.
    pub(super) instance: Option<String>,
}

/// A login key.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct KeyPair {
    pub(super) id: String,
    pub(super) region: String,
    pub(super) name: String,
    pub(super) kind: String,
    pub(super) public_key: String,
    pub(super) fingerprint: String,
    pub(super) created_at: Timestamp,
}

/// A security group. Its rules are kept and do nothing: all machines are on this machine's loopback.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Group {
    pub(super) id: String,
    pub(super) region: String,
    pub(super) name: String,
    pub(super) description: String,
    pub(super) vpc: String,
    pub(super) rules: Vec<Rule>,
}

/// One rule of a security group.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Rule {
    pub(super) id: String,
    pub(super) egress: bool,
    pub(super) protocol: String,
    pub(super) from: Option<i64>,
    pub(super) to: Option<i64>,
    pub(super) source: Source,
    pub(super) description: Option<String>,
}

/// Where a rule's traffic comes from or goes to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Source {
    Ipv4(String),
    Ipv6(String),
    Group(String),
    PrefixList(String),
}

/// What a client token was used for.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Token {
    /// Of the call's other parameters.
    pub(super) digest: String,
    /// What it made.
    pub(super) made: Vec<String>,
}

/// A hosted zone.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Zone {
    pub(super) id: String,
    /// Without a dot at its end.
    pub(super) name: String,
    pub(super) reference: String,
    pub(super) comment: String,
    pub(super) created_at: Timestamp,
    pub(super) sets: Vec<RecordSet>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct RecordSet {
    /// In full, with a dot at its end, in lower case.
    pub(super) name: String,
    pub(super) kind: String,
    pub(super) ttl: u32,
    pub(super) values: Vec<String>,
    /// The load balancer whose address it has, in place of a time to live and values.
    #[serde(default)]
    pub(super) alias: Option<Alias>,
}

/// What an alias record leads to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Alias {
    /// The hosted zone of the name.
    pub(super) zone: String,
    /// In full, with a dot at its end, in lower case.
    pub(super) name: String,
    pub(super) evaluate: bool,
}

/// A change of a hosted zone.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Change {
    pub(super) id: String,
    pub(super) comment: Option<String>,
    pub(super) submitted_at: Timestamp,
    /// When all name servers have it.
    pub(super) due: Timestamp,
}

/// A parameter of SSM's.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Parameter {
    pub(super) name: String,
    pub(super) kind: String,
    pub(super) value: String,
    pub(super) version: u64,
    pub(super) changed_at: Timestamp,
}

impl std::fmt::Debug for Parameter {
    /// Without the value: it may be a secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Parameter").field("name", &self.name).field("version", &self.version).finish_non_exhaustive()
    }
}

impl Data {
    pub(super) fn tags_of(&self, id: &str) -> Tags {
        self.tags.get(id).cloned().unwrap_or_default()
    }

    /// Gives a new resource its tags.
    pub(super) fn tag(&mut self, id: &str, tags: Tags) {
        if !tags.is_empty() {
            self.tags.entry(id.to_owned()).or_default().extend(tags);
        }
    }

    /// A key of the maps that hold one thing for each region and name.
    pub(super) fn in_region(region: &str, name: &str) -> String {
        format!("{region} {name}")
    }
}

/// The account's number, as AWS writes them: twelve digits.
pub(super) fn account(state: &State) -> String {
    format!("{:012}", state.account.as_u128() % 1_000_000_000_000)
}
