//! Deleting a domain, and its master file.

use std::collections::BTreeMap;

use crate::State;
use remint_sandbox_cloud::{ApiError, ApiResult, TTL, ZoneRecord, state::Zone};

/// Deletes a domain with all its records.
pub(crate) fn delete_domain(state: &mut State, name: &str) -> ApiResult<Zone> {
    state.zones.remove(&name.to_ascii_lowercase()).ok_or_else(ApiError::not_found)
}

/// The zone as a master file, as the API shows it.
pub(crate) fn zone_file(zone: &Zone, name_server: &str) -> String {
    let mut text = format!("$ORIGIN {}.\n$TTL {TTL}\n", zone.name);
    let mut by_name: BTreeMap<(bool, &str), Vec<&ZoneRecord>> = BTreeMap::new();
    for record in zone.records.values() {
        by_name.entry((record.name != "@", &record.name)).or_default().push(record);
    }
    for record in by_name.into_values().flatten() {
        let owner = if record.name == "@" { zone.name.clone() } else { format!("{}.{}", record.name, zone.name) };
        let target = if record.data == "@" { zone.name.clone() } else { record.data.clone() };
        let data = match record.kind.as_str() {
            "SOA" => format!(
                "{}. hostmaster.{}. {} 10800 3600 604800 {TTL}",
                name_server,
                zone.name,
                zone.created_at.as_second()
            ),
            "CNAME" | "NS" => format!("{target}."),
            "MX" => format!("{} {target}.", record.priority.unwrap_or_default()),
            "SRV" => format!(
                "{} {} {} {target}.",
                record.priority.unwrap_or_default(),
                record.weight.unwrap_or_default(),
                record.port.unwrap_or_default()
            ),
            "CAA" => format!(
                "{} {} \"{target}\"",
                record.flags.unwrap_or_default(),
                record.tag.as_deref().unwrap_or_default()
            ),
            "TXT" => format!("\"{}\"", record.data.replace('\\', "\\\\").replace('"', "\\\"")),
            _ => record.data.clone(),
        };
        text.push_str(&format!("{owner}. {} IN {} {data}\n", record.ttl, record.kind));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zone_file_has_the_records_as_master_files_write_them() {
        let zone = State::empty().new_zone("example.com", Some("127.7.128.10")).unwrap();
        let file = zone_file(&zone, "ns1.example.net");
        assert!(file.contains("example.com. 1800 IN A 127.7.128.10"), "{file}");
        assert!(file.contains("IN SOA ns1.example.net. hostmaster.example.com."), "{file}");
    }
}
