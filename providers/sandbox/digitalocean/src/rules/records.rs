//! Records of a domain: what each type needs, and the one TTL that all records of a name share.

use std::net::{Ipv4Addr, Ipv6Addr};

use serde::Deserialize;

use crate::State;
use remint_sandbox_cloud::{ApiError, ApiResult, TTL, ZoneRecord, state::Zone};

/// How long a name may be in all, as DNS has it.
const LONGEST_NAME: usize = 253;

/// How long the data of a record may be, in bytes.
const LONGEST_DATA: usize = 4096;

/// The shortest time to live, in seconds.
const SHORTEST_TTL: u32 = 30;

/// The body of the calls that make or change a record.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct RecordRequest {
    #[serde(rename = "type")]
    kind: Option<String>,
    name: Option<String>,
    data: Option<String>,
    priority: Option<u16>,
    port: Option<u16>,
    ttl: Option<u32>,
    weight: Option<u16>,
    flags: Option<u8>,
    tag: Option<String>,
}

pub(crate) fn add_record(state: &mut State, domain: &str, request: &RecordRequest) -> ApiResult<ZoneRecord> {
    let zone = state.zone(domain)?;
    let kind = request.kind.clone().unwrap_or_default().to_ascii_uppercase();
    let data = request.data.clone().ok_or_else(|| ApiError::unprocessable("Data can't be blank"))?;
    let record = ZoneRecord {
        id: state.last_id + 1,
        name: relative(request.name.as_deref().unwrap_or("@"), &zone.name)?,
        data: checked_data(&kind, &data, &zone.name)?,
        priority: request.priority,
        port: request.port,
        ttl: request.ttl.unwrap_or(TTL),
        weight: request.weight,
        flags: request.flags,
        tag: request.tag.clone(),
        kind,
    };
    check(zone, &record)?;
    state.next_id();
    put_record(state, domain, record.clone());
    Ok(record)
}

/// Changes what is given of a record.
pub(crate) fn change_record(
    state: &mut State,
    domain: &str,
    id: u64,
    request: &RecordRequest,
) -> ApiResult<ZoneRecord> {
    let zone = state.zone(domain)?;
    let mut record = zone.records.get(&id).cloned().ok_or_else(ApiError::not_found)?;
    if request.kind.as_ref().is_some_and(|kind| !kind.eq_ignore_ascii_case(&record.kind)) {
        return Err(ApiError::unprocessable("The type of a record cannot be changed."));
    }
    if let Some(name) = &request.name {
        record.name = relative(name, &zone.name)?;
    }
    if let Some(data) = &request.data
        && record.kind != "SOA"
    {
        record.data = checked_data(&record.kind, data, &zone.name)?;
    }
    record.priority = request.priority.or(record.priority);
    record.port = request.port.or(record.port);
    record.ttl = request.ttl.unwrap_or(record.ttl);
    record.weight = request.weight.or(record.weight);
    record.flags = request.flags.or(record.flags);
    record.tag = request.tag.clone().or(record.tag);
    check(zone, &record)?;
    put_record(state, domain, record.clone());
    Ok(record)
}

/// Deletes a record; the zone's SOA stays.
pub(crate) fn delete_record(state: &mut State, domain: &str, id: u64) -> ApiResult<()> {
    let record = state.zone(domain)?.records.get(&id).ok_or_else(ApiError::not_found)?;
    if record.kind == "SOA" {
        return Err(ApiError::unprocessable("The SOA record cannot be deleted."));
    }
    if let Some(zone) = state.zones.get_mut(&domain.to_ascii_lowercase()) {
        zone.records.remove(&id);
    }
    Ok(())
}

/// Puts a record in, and rectifies the TTL of the others of its name: they share one.
fn put_record(state: &mut State, domain: &str, record: ZoneRecord) {
    let Some(zone) = state.zones.get_mut(&domain.to_ascii_lowercase()) else { return };
    for other in zone.records.values_mut().filter(|other| other.name == record.name && other.kind != "SOA") {
        other.ttl = record.ttl;
    }
    zone.records.insert(record.id, record);
}

/// The records, or those of a fully qualified name and of a type.
pub(crate) fn find<'a>(
    zone: &'a Zone,
    name: Option<&'a str>,
    kind: Option<&'a str>,
) -> impl Iterator<Item = &'a ZoneRecord> {
    let qualified = |record: &ZoneRecord| match record.name.as_str() {
        "@" => zone.name.clone(),
        relative => format!("{relative}.{}", zone.name),
    };
    zone.records
        .values()
        .filter(move |record| name.is_none_or(|name| qualified(record).eq_ignore_ascii_case(name)))
        .filter(move |record| kind.is_none_or(|kind| record.kind.eq_ignore_ascii_case(kind)))
}

/// A name as it is kept: below the zone, or `@`.
fn relative(name: &str, zone: &str) -> ApiResult<String> {
    let name = name.to_ascii_lowercase();
    let name = match name.strip_suffix('.') {
        Some(absolute) if absolute == zone => "@".to_owned(),
        Some(absolute) => match absolute.strip_suffix(zone).and_then(|rest| rest.strip_suffix('.')) {
            Some(rest) => rest.to_owned(),
            None => return Err(ApiError::unprocessable("Name must be in the domain.")),
        },
        None => name,
    };
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '*'))
    };
    // All of it has to fit into DNS: one record that does not would keep its zone from being served.
    let fits = name.len() + 1 + zone.len() <= LONGEST_NAME;
    if name == "@" || (fits && name.split('.').all(label)) {
        return Ok(name);
    }
    Err(ApiError::unprocessable("Name is not a valid record name."))
}

/// A value as it is kept: addresses in their usual form, host names absolute and without a dot at their end.
fn checked_data(kind: &str, data: &str, zone: &str) -> ApiResult<String> {
    match kind {
        "A" => data
            .parse::<Ipv4Addr>()
            .map(|ip| ip.to_string())
            .map_err(|_| ApiError::unprocessable("IP address did not match IPv4 format (e.g. 127.0.0.1).")),
        "AAAA" => data
            .parse::<Ipv6Addr>()
            .map(|ip| ip.to_string())
            .map_err(|_| ApiError::unprocessable("IP address did not match IPv6 format (e.g. 2001:db8::1).")),
        "CNAME" | "MX" | "NS" => match data.strip_suffix('.') {
            _ if data == "@" => Ok(data.to_owned()),
            Some(host) if host == zone => Ok("@".to_owned()),
            Some(host) if is_host(host) => Ok(host.to_ascii_lowercase()),
            Some(_) => Err(ApiError::unprocessable("Data is not a valid host name.")),
            _ => Err(ApiError::unprocessable("Data needs to end with a dot (.)")),
        },
        "SRV" if data != "@" && !data.is_empty() && !is_host(data.trim_end_matches('.')) => {
            Err(ApiError::unprocessable("Data is not a valid host name."))
        }
        _ if data.len() > LONGEST_DATA => {
            Err(ApiError::unprocessable(format!("Data is too long (maximum is {LONGEST_DATA} characters)")))
        }
        "SRV" | "CAA" => Ok(data.trim_end_matches('.').to_owned()),
        "TXT" => Ok(data.to_owned()),
        "SOA" => Err(ApiError::unprocessable("The SOA record cannot be added.")),
        _ => Err(ApiError::unprocessable("Type is not one of A, AAAA, CAA, CNAME, MX, NS, SRV, TXT.")),
    }
}

/// Whether DNS can carry a host's name.
fn is_host(host: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len()) && label.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
    };
    host.len() <= LONGEST_NAME && host.split('.').all(label)
}

/// What a record needs beside its value, and what it does not go together with.
fn check(zone: &Zone, record: &ZoneRecord) -> ApiResult<()> {
    let needs: &[(&str, bool)] = match record.kind.as_str() {
        "MX" => &[("Priority", record.priority.is_none())],
        "SRV" => &[
            ("Priority", record.priority.is_none()),
            ("Port", record.port.is_none()),
            ("Weight", record.weight.is_none()),
        ],
        "CAA" => &[("Flags", record.flags.is_none()), ("Tag", record.tag.is_none())],
        _ => &[],
    };
    if let Some((what, _)) = needs.iter().find(|(_, missing)| *missing) {
        return Err(ApiError::unprocessable(format!("{what} can't be blank")));
    }
    if record.ttl < SHORTEST_TTL {
        return Err(ApiError::unprocessable(format!("TTL must be greater than or equal to {SHORTEST_TTL}")));
    }
    if record.data.is_empty() {
        return Err(ApiError::unprocessable("Data can't be blank"));
    }
    let mut others = zone.records.values().filter(|other| other.id != record.id && other.name == record.name);
    if others.any(|other| other.kind == "CNAME" || record.kind == "CNAME") {
        return Err(ApiError::unprocessable("CNAME records cannot share a name with other records"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(kind: &str, name: &str, data: &str, ttl: Option<u32>) -> RecordRequest {
        RecordRequest {
            kind: Some(kind.to_owned()),
            name: Some(name.to_owned()),
            data: Some(data.to_owned()),
            ttl,
            ..RecordRequest::default()
        }
    }

    fn state() -> State {
        let mut state = State::empty();
        state.new_zone("example.com", None).unwrap();
        state
    }

    #[test]
    fn records_of_a_name_share_the_last_ttl_given() {
        let mut state = state();
        let first = add_record(&mut state, "example.com", &request("A", "www", "127.1.0.10", Some(60))).unwrap();
        let other = add_record(&mut state, "example.com", &request("A", "api", "127.1.0.10", Some(60))).unwrap();
        add_record(&mut state, "example.com", &request("A", "www", "127.1.0.11", Some(300))).unwrap();
        let records = &state.zone("example.com").unwrap().records;
        assert_eq!(records[&first.id].ttl, 300);
        assert_eq!(records[&other.id].ttl, 60);
    }

    #[test]
    fn host_names_end_with_a_dot() {
        let mut state = state();
        for kind in ["CNAME", "NS"] {
            let refused = add_record(&mut state, "example.com", &request(kind, "x", "other.com", None)).unwrap_err();
            assert_eq!(refused.message, "Data needs to end with a dot (.)");
        }
        let kept = add_record(&mut state, "example.com", &request("CNAME", "x", "other.com.", None)).unwrap();
        assert_eq!(kept.data, "other.com");
        let shared = add_record(&mut state, "example.com", &request("A", "x", "127.1.0.10", None)).unwrap_err();
        assert!(shared.message.contains("CNAME"));
    }

    #[test]
    fn names_are_found_fully_qualified_and_bad_values_are_refused() {
        let mut state = state();
        add_record(&mut state, "example.com", &request("A", "www.example.com.", "127.1.0.10", None)).unwrap();
        let zone = state.zone("example.com").unwrap();
        assert_eq!(find(zone, Some("www.example.com"), Some("A")).count(), 1);
        assert_eq!(find(zone, Some("www"), None).count(), 0);
        assert_eq!(find(zone, Some("example.com"), Some("NS")).count(), 3);
        for (kind, name, data) in [
            ("A", "a", "1.2.3"),
            ("AAAA", "a", "1.2.3.4"),
            ("PTR", "a", "x."),
            ("A", "a..b", "1.2.3.4"),
            ("A", &*"a.".repeat(200), "1.2.3.4"),
            ("CNAME", "c", "a b."),
            ("NS", "c", &*format!("{}.", "a".repeat(64))),
            ("SRV", "s", "a..b."),
            ("TXT", "t", &*"x".repeat(5000)),
            ("MX", "m", "m.x."),
        ] {
            assert_eq!(
                add_record(&mut state, "example.com", &request(kind, name, data, None)).unwrap_err().status,
                422
            );
        }
        let low = add_record(&mut state, "example.com", &request("A", "l", "1.2.3.4", Some(5))).unwrap_err();
        assert!(low.message.starts_with("TTL"));
    }

    #[test]
    fn the_soa_stays() {
        let mut state = state();
        let soa = find(state.zone("example.com").unwrap(), None, Some("SOA")).next().unwrap().id;
        assert_eq!(delete_record(&mut state, "example.com", soa).unwrap_err().status, 422);
    }
}
