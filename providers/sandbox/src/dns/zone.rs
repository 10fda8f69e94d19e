//! Zones, and what they answer: pure lookups over an immutable snapshot (RFC 1034 section 4.3.2, RFC 4592, RFC 2308).

use std::collections::{BTreeMap, BTreeSet};

use hickory_proto::rr::{LowerName, Name, RData, Record, RecordType, rdata::SOA};

use super::record::{ZoneError, absolute, rdata};
use crate::cloud::ZoneSnapshot;

/// How far a chain of CNAME records is followed, so that a loop ends.
const MAX_CNAMES: usize = 8;

/// The TTL of the SOA record and of negative answers (RFC 2308), in seconds, as DigitalOcean has it.
const SOA_TTL: u32 = 1800;

type Node = BTreeMap<RecordType, Vec<Record>>;

#[derive(Debug)]
pub(super) struct Zone {
    origin: LowerName,
    soa: Record,
    serial: u32,
    nodes: BTreeMap<LowerName, Node>,
    /// Every name that exists, those included that only have names below them.
    names: BTreeSet<LowerName>,
}

/// What a lookup found.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Answer {
    /// Records, the CNAME chain that led to them first.
    Records(Vec<Record>),
    /// The name exists without this kind. With the chain that led there.
    NoData { chain: Vec<Record>, soa: Record },
    /// The name does not exist. With the chain that led there.
    NoName { chain: Vec<Record>, soa: Record },
    /// The name belongs to a part that is delegated to other servers.
    Delegated { chain: Vec<Record>, servers: Vec<Record> },
    /// No zone here holds the name.
    NotOurs,
}

impl Zone {
    pub(super) fn build(data: &ZoneSnapshot, serial: u32) -> Result<Self, ZoneError> {
        let mut apex = Name::from_str_relaxed(&data.name)
            .map_err(|_| ZoneError::new(&Name::root(), "zone name", &data.name))?
            .to_lowercase();
        apex.set_fqdn(true);
        let mut nodes: BTreeMap<LowerName, Node> = BTreeMap::new();
        let mut primary = None;
        for record in data.records.iter().filter(|record| record.kind != "SOA") {
            let name = absolute(&apex, &record.name)?;
            if !apex.zone_of(&name) {
                return Err(ZoneError::new(&apex, "name inside the zone", &record.name));
            }
            let rdata = rdata(record, &apex)?;
            if let (RData::NS(server), true) = (&rdata, name == apex) {
                primary.get_or_insert_with(|| server.0.clone());
            }
            let set = nodes.entry(LowerName::new(&name)).or_default().entry(rdata.record_type()).or_default();
            let ttl = set.iter().map(|other| other.ttl).chain([record.ttl]).min().unwrap_or_default();
            let record = Record::from_rdata(name, ttl, rdata);
            if !set.iter().any(|other| other.data == record.data) {
                set.push(record);
            }
            set.iter_mut().for_each(|record| record.ttl = ttl);
        }
        let primary = primary.unwrap_or_else(|| apex.clone());
        let contact = absolute(&apex, "hostmaster")?;
        let soa = SOA::new(primary, contact, serial, 10_800, 3_600, 604_800, SOA_TTL);
        let soa = Record::from_rdata(apex.clone(), SOA_TTL, RData::SOA(soa));
        let origin = LowerName::new(&apex);
        nodes.entry(origin.clone()).or_default().insert(RecordType::SOA, vec![soa.clone()]);
        let mut names = BTreeSet::new();
        for name in nodes.keys() {
            let mut name = name.clone();
            while name != origin && names.insert(name.clone()) {
                name = name.base_name();
            }
        }
        names.insert(origin.clone());
        Ok(Self { origin, soa, serial, nodes, names })
    }

    pub(super) fn serial(&self) -> u32 {
        self.serial
    }

    /// The name servers of the delegated part that the name is in.
    fn delegation(&self, name: &LowerName) -> Option<&Vec<Record>> {
        let mut found = None;
        let mut name = name.clone();
        while name != self.origin && !name.is_root() {
            found = self.nodes.get(&name).and_then(|node| node.get(&RecordType::NS)).or(found);
            name = name.base_name();
        }
        found
    }

    /// The records at a name, a wildcard's where the name itself does not exist. `None` when nothing covers the name.
    fn node(&self, name: &LowerName) -> Option<Node> {
        if self.names.contains(name) {
            return Some(self.nodes.get(name).cloned().unwrap_or_default());
        }
        let mut encloser = name.base_name();
        while !self.names.contains(&encloser) {
            if encloser.is_root() {
                return None;
            }
            encloser = encloser.base_name();
        }
        let wildcard = LowerName::new(&Name::from(&encloser).prepend_label("*").ok()?);
        let mut node = self.nodes.get(&wildcard)?.clone();
        let name = Name::from(name);
        node.values_mut().flatten().for_each(|record| record.name = name.clone());
        Some(node)
    }
}

/// All zones, at one moment.
#[derive(Debug, Default, Clone)]
pub(super) struct Zones(pub(super) BTreeMap<LowerName, std::sync::Arc<Zone>>);

impl Zones {
    /// The zone that is responsible for a name: the one with the longest name.
    fn zone(&self, name: &LowerName) -> Option<&Zone> {
        let mut name = name.clone();
        loop {
            if let Some(zone) = self.0.get(&name) {
                return Some(zone);
            }
            if name.is_root() {
                return None;
            }
            name = name.base_name();
        }
    }

    /// Answers a question.
    pub(super) fn lookup(&self, name: &LowerName, kind: RecordType) -> Answer {
        let mut name = name.clone();
        let mut chain = Vec::new();
        for _ in 0..MAX_CNAMES {
            let Some(zone) = self.zone(&name) else {
                return if chain.is_empty() { Answer::NotOurs } else { Answer::Records(chain) };
            };
            if let Some(servers) = zone.delegation(&name) {
                return Answer::Delegated { chain, servers: servers.clone() };
            }
            let Some(mut node) = zone.node(&name) else {
                return Answer::NoName { chain, soa: zone.soa.clone() };
            };
            if kind == RecordType::ANY {
                chain.extend(node.into_values().flatten());
                return Answer::Records(chain);
            }
            if let Some(records) = node.remove(&kind) {
                chain.extend(records);
                return Answer::Records(chain);
            }
            let Some(alias) = node.remove(&RecordType::CNAME).and_then(|records| records.into_iter().next()) else {
                return Answer::NoData { chain, soa: zone.soa.clone() };
            };
            if let RData::CNAME(target) = &alias.data {
                name = LowerName::new(&target.0);
            }
            chain.push(alias);
        }
        Answer::Records(chain)
    }
}
