//! DNS zones and their record sets.

use std::{fmt, net::IpAddr, time::Duration};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::Result;

/// A zone that the account serves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Zone {
    /// Its name, lower case, without the final dot.
    pub name: String,
    /// The servers that answer for it.
    pub name_servers: Vec<String>,
}

/// The kinds of records that Remint writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum RecordKind {
    /// An IPv4 address.
    A,
    /// An IPv6 address.
    Aaaa,
    /// Another name.
    Cname,
    /// Text.
    Txt,
}

impl fmt::Display for RecordKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::A => "A",
            Self::Aaaa => "AAAA",
            Self::Cname => "CNAME",
            Self::Txt => "TXT",
        })
    }
}

/// All records of one name and kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordSet {
    /// The zone that holds the records, without a final dot.
    pub zone: String,
    /// The name below the zone: `www`, or `@` for the zone itself.
    pub name: String,
    /// A, AAAA and so on; one name may have a set of each kind.
    pub kind: RecordKind,
    /// How long resolvers may keep it.
    pub ttl: Duration,
    /// The data, in no order. Names carry no final dot. For A and AAAA: addresses, or one host name, which is an alias.
    pub values: Vec<String>,
}

impl RecordSet {
    /// The host name whose addresses are answered for this name, where it is an alias. Such a set is of kind A or AAAA, so that it
    /// may be at the zone's own name, and takes turns with addresses in one change. *Requires* [`super::Capability::DnsAlias`].
    /// Its TTL is the cloud's.
    pub fn alias(&self) -> Option<&str> {
        match (self.kind, self.values.as_slice()) {
            (RecordKind::A | RecordKind::Aaaa, [value]) if value.parse::<IpAddr>().is_err() => Some(value),
            _ => None,
        }
    }

    /// Whether it needs no change to be as `wanted`. The TTL of an alias is the cloud's, and no difference.
    pub fn is_as(&self, wanted: &Self) -> bool {
        let ttl = if wanted.alias().is_some() { wanted.ttl } else { self.ttl };
        Self { ttl, ..self.clone() } == *wanted
    }

    /// The full name, without the final dot.
    pub fn fqdn(&self) -> String {
        if self.name == "@" { self.zone.clone() } else { format!("{}.{}", self.name, self.zone) }
    }
}

/// DNS zones. *Requires* [`super::Capability::Dns`] throughout.
#[async_trait]
pub trait DnsZones: Send + Sync {
    /// Looks a zone up.
    ///
    /// - *Errors*: `NotFound`, with the account's zones as a hint.
    async fn zone(&self, name: &str) -> Result<Zone>;

    /// The record set of a name and kind, or `None`.
    ///
    /// - *Errors*: `NotFound` when the zone does not exist.
    async fn get(&self, zone: &str, name: &str, kind: RecordKind) -> Result<Option<RecordSet>>;

    /// Makes the record set be this one, whatever it was before.
    ///
    /// - *Behaviour*: before: none, or other values. After: exactly these values with this TTL. Where the cloud cannot do
    ///   it in one call, new values are added before old ones are removed.
    /// - *Idempotency*: a record set that is already this one is left alone.
    /// - *Errors*: `NotFound` for the zone; `Conflict` when a CNAME stands at the name, or anything where a CNAME should;
    ///   `InvalidInput` for what [`RecordSet::check`] refuses, before anything is changed.
    /// - *Cancellation*: after a dropped call, one made again leaves exactly these values.
    async fn upsert(&self, set: &RecordSet) -> Result<()>;

    /// Removes the record set of a name and kind.
    ///
    /// - *Idempotency*: one that is not there is a success.
    /// - *Errors*: `NotFound` when the zone does not exist.
    async fn remove(&self, zone: &str, name: &str, kind: RecordKind) -> Result<()>;
}
