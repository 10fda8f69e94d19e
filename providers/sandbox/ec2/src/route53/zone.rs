//! Zones as the account has them, and what the DNS server has of them.

use std::{collections::BTreeSet, net::Ipv4Addr};

use super::{name, value};
use crate::{
    State, elbv2, ids,
    state::{RecordSet, Zone},
};
use remint_sandbox_cloud::{ApiError, ApiResult, ZoneRecord, now, state::Zone as Served};

/// How long resolvers may keep the zone's own NS records, in seconds, as Route 53 has it.
const NS_TTL: u32 = 172_800;
/// The same for what alias records answer with.
const ALIAS_TTL: u32 = 60;
/// The same for the SOA record.
const SOA_TTL: u32 = 900;

/// The name servers of a zone: four of the names that Route 53 gives.
pub(super) fn name_servers(id: &str) -> [String; 4] {
    let seed = id.bytes().fold(7_u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(u32::from(byte)));
    let server = |index: u32, domain: &str| {
        let number = (seed.rotate_left(8 * index) % 512) + 512 * index;
        format!("ns-{number}.awsdns-{:02}.{domain}", number / 8 % 64)
    };
    [server(0, "com"), server(1, "net"), server(2, "org"), server(3, "co.uk")]
}

/// A zone with the sets that every zone has.
pub(super) fn new_zone(name: &str, reference: &str, comment: &str) -> Zone {
    let id = ids::capitals('Z');
    let servers = name_servers(&id);
    let own = format!("{name}.");
    let soa = format!("{}. awsdns-hostmaster.amazon.com. 1 7200 900 1209600 86400", servers[0]);
    let ns = servers.iter().map(|server| format!("{server}.")).collect();
    let sets = vec![
        RecordSet { name: own.clone(), kind: "NS".to_owned(), ttl: NS_TTL, values: ns, alias: None },
        RecordSet { name: own, kind: "SOA".to_owned(), ttl: SOA_TTL, values: vec![soa], alias: None },
    ];
    Zone {
        id,
        name: name.to_owned(),
        reference: reference.to_owned(),
        comment: comment.to_owned(),
        created_at: now(),
        sets,
    }
}

/// Makes a zone for the account, as if its owner had. Gives the name, for the DNS server to be told.
///
/// # Errors
///
/// 422 for a name that is none, or that the account has already.
pub(crate) fn add_zone(state: &mut State, name: &str) -> ApiResult<String> {
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    if !name::is_zone(&name) {
        return Err(ApiError::unprocessable("Name is not a valid domain name."));
    }
    if state.own.zones.values().any(|zone| zone.name == name) {
        return Err(ApiError::unprocessable("Name already exists"));
    }
    let zone = new_zone(&name, &ids::fresh("sandbox"), "made by the sandbox");
    state.own.zones.insert(zone.id.clone(), zone);
    serve(state, &name);
    Ok(name)
}

/// Replaces the zone that the DNS server has under a name.
pub(super) fn serve(state: &mut State, name: &str) {
    let oldest =
        state.own.zones.values().filter(|zone| zone.name == name).min_by_key(|zone| (zone.created_at, &zone.id));
    match oldest {
        Some(zone) => {
            let domain = domain(state, zone);
            state.zones.insert(name.to_owned(), domain);
        }
        None => {
            state.zones.remove(name);
        }
    }
}

/// Serves the name of a load balancer, which is a zone of its own to the DNS server: nobody sees the hosted zone that it is in.
pub(crate) fn serve_name(state: &mut State, name: &str, address: Ipv4Addr) {
    let server = "ns-0.awsdns-00.com";
    let soa = format!("{server}. awsdns-hostmaster.amazon.com. 1 7200 900 1209600 86400");
    let set = |kind: &str, ttl, value: String| RecordSet {
        name: format!("{name}."),
        kind: kind.to_owned(),
        ttl,
        values: vec![value],
        alias: None,
    };
    let sets = vec![
        set("NS", NS_TTL, format!("{server}.")),
        set("SOA", SOA_TTL, soa),
        set("A", ALIAS_TTL, address.to_string()),
    ];
    let zone = Zone { sets, ..new_zone(name, "", "") };
    let domain = domain(state, &zone);
    state.zones.insert(name.to_owned(), domain);
}

/// Replaces the zones that have alias records, because what they lead to has changed. Gives their names, for the DNS server
/// to be told.
pub(crate) fn serve_aliases(state: &mut State) -> Vec<String> {
    let aliased = |zone: &&Zone| zone.sets.iter().any(|set| set.alias.is_some());
    let names: BTreeSet<String> = state.own.zones.values().filter(aliased).map(|zone| zone.name.clone()).collect();
    names.iter().for_each(|name| serve(state, name));
    names.into_iter().collect()
}

/// The values of a set and their time to live. Those of an alias are the addresses that the load balancer has now; it has
/// none of IPv6.
fn values(state: &State, set: &RecordSet) -> (Vec<String>, u32) {
    match &set.alias {
        None => (set.values.clone(), set.ttl),
        Some(alias) => {
            let found = elbv2::alias(state, alias.name.trim_end_matches('.')).filter(|_| set.kind == "A");
            (found.into_iter().map(|(_, address)| address.to_string()).collect(), ALIAS_TTL)
        }
    }
}

fn domain(state: &State, zone: &Zone) -> Served {
    let mut records: Vec<ZoneRecord> = Vec::new();
    for set in &zone.sets {
        let (values, ttl) = values(state, set);
        for value in &values {
            // Checked when the set was made.
            let Ok(mut record) = value::read(&set.kind, value) else { continue };
            record.id = records.len() as u64 + 1;
            record.ttl = ttl;
            record.name = match set.name.strip_suffix(&format!("{}.", zone.name)) {
                None | Some("") => "@".to_owned(),
                Some(below) => below.trim_end_matches('.').to_owned(),
            };
            records.push(record);
        }
    }
    let records = records.into_iter().map(|record| (record.id, record)).collect();
    Served { name: zone.name.clone(), records, created_at: zone.created_at }
}

/// The zone of an id.
pub(super) fn find<'a>(state: &'a State, id: &str) -> ApiResult<&'a Zone> {
    state.own.zones.get(id).ok_or_else(|| no_zone(id))
}

pub(super) fn no_zone(id: &str) -> ApiError {
    ApiError { status: 404, id: "NoSuchHostedZone", message: format!("No hosted zone found with ID: {id}") }
}
