//! What the cloud asks of the network around its instances: forwarding of static IPs, load balancers and DNS.

use std::{collections::BTreeMap, net::Ipv4Addr};

use async_trait::async_trait;
use axum::Router;
use serde::{Deserialize, Serialize};

use super::{
    Shape,
    balancer::{BalancerSnapshot, MemberHealth},
};

/// The network around the instances, and what stands before the API's routes.
///
/// The calls are level-triggered: each says how things shall be, not what changed, and may be repeated. The cloud makes
/// one call at a time, so that a later one is never overtaken by an earlier one. At start every static IP, load balancer and
/// zone of the state file is announced before the API listens.
#[async_trait]
pub trait Edge: Send + Sync {
    /// Points a static IP at an instance's address, or at nothing: new connections from now on, open ones are left to
    /// finish. Returns when it has taken effect.
    async fn static_ip(&self, ip: Ipv4Addr, target: Option<Ipv4Addr>);

    /// Stops serving a static IP that was released.
    async fn remove_static_ip(&self, ip: Ipv4Addr);

    /// Whether load balancers can be had here at all.
    ///
    /// # Errors
    ///
    /// What is missing, and where to get it.
    fn can_balance(&self) -> Result<(), String>;

    /// Makes a load balancer as it shall be. New members get connections once their checks have passed; those that are
    /// members no more get no new ones when this returns, or later where the load balancer is late, and keep those that they
    /// have, for as long as it lets them.
    ///
    /// # Errors
    ///
    /// Why it does not take connections, or not as it shall.
    async fn load_balancer(&self, balancer: BalancerSnapshot) -> Result<(), String>;

    /// Ends a load balancer, and its connections.
    async fn remove_load_balancer(&self, id: u64);

    /// What a load balancer makes of its members now, by the numbers of the instances; empty for one that does not work.
    async fn member_health(&self, id: u64) -> BTreeMap<u64, MemberHealth>;

    /// The same for each listener, by its port.
    async fn listener_health(&self, id: u64) -> BTreeMap<u16, BTreeMap<u64, MemberHealth>>;

    /// Serves a zone with exactly these records.
    async fn zone(&self, zone: ZoneSnapshot);

    /// Stops serving a zone.
    async fn remove_zone(&self, name: &str);

    /// Lays faults, rate limits and call counts around an API's routes. The matched path is known in there, and requests
    /// without the sandbox's token have been refused before.
    fn layers(&self, shape: Shape, routes: Router) -> Router;

    /// Further routes below `/sandbox/v1`, with their full paths; behind the token check, not behind [`Self::layers`].
    fn admin(&self) -> Router;
}

/// A zone with all its records.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ZoneSnapshot {
    /// The domain's name, without a dot at its end.
    pub name: String,
    /// Its records, the zone's own SOA and NS included.
    pub records: Vec<ZoneRecord>,
}

/// A record of a zone, as the API shows it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ZoneRecord {
    /// The record's number, by which it is changed and deleted.
    pub id: u64,
    /// `A`, `AAAA`, `CNAME`, `MX`, `TXT`, `NS`, `SRV`, `CAA` or `SOA`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The name below the zone, `@` for the zone itself; may begin with `*`.
    pub name: String,
    /// The value. Host names are absolute and without a dot at their end; `@` is the zone itself. The SOA's is a number
    /// without meaning.
    pub data: String,
    /// Of MX and SRV.
    pub priority: Option<u16>,
    /// The port of the service, which SRV needs.
    pub port: Option<u16>,
    /// Time to live in seconds.
    pub ttl: u32,
    /// The share among records of one priority, which SRV needs.
    pub weight: Option<u16>,
    /// Of CAA: 128 when an issuer must understand the tag, else 0.
    pub flags: Option<u8>,
    /// Of CAA: `issue`, `issuewild` or `iodef`.
    pub tag: Option<String>,
}
