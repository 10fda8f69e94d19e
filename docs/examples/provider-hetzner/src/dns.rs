//! DNS zones are zones in primary mode; a record set is an RRSet, which the API replaces as a whole.

use std::time::Duration;

use async_trait::async_trait;
use remint_core::provider::{
    DnsZones, Error, ErrorKind, RecordKind, RecordSet, Result, Zone, nearest, support::JsonRequest,
};
use serde_json::{Value, json};

use crate::{Cloud, DESCRIPTOR, wire};

/// The longest string within a TXT record.
const STRING: usize = 255;

impl Cloud {
    /// All record sets of a name; one call.
    async fn rrsets(&self, operation: &'static str, zone: &str, name: &str) -> Result<Vec<wire::RrSet>> {
        let request = JsonRequest::get(operation, &["zones", zone, "rrsets"]).about(zone).query("name", name);
        match self.client.list(&request, "rrsets").await {
            Err(error) if error.kind() == ErrorKind::NotFound => Err(self.no_zone(zone, error).await),
            result => result,
        }
    }

    /// Adds the project's zones to a "not found"; one call.
    async fn no_zone(&self, zone: &str, error: Error) -> Error {
        let request = JsonRequest::get(error.operation(), &["zones"]);
        let zones: Vec<wire::Named> = self.client.list(&request, "zones").await.unwrap_or_default();
        let hint = match zones.as_slice() {
            [] => "add the zone to the project first; it has none".to_owned(),
            _ => format!("zones of the project: {}", nearest(zone, zones.iter().map(|zone| zone.name.as_str()))),
        };
        Error::new(ErrorKind::NotFound, error.operation(), "the project has no such zone")
            .with_resource(zone)
            .with_hint(hint)
            .with_source(error)
    }

    /// One look, and what it takes. `false` when somebody else made the set meanwhile, and it must be looked again.
    async fn bring_about(&self, set: &RecordSet) -> Result<bool> {
        const OPERATION: &str = "set record";
        let (kind, ttl) = (set.kind.to_string(), set.ttl.as_secs());
        let standing = self.rrsets(OPERATION, &set.zone, &set.name).await?;
        let excludes = |other: &&wire::RrSet| {
            other.kind != kind && (set.kind == RecordKind::Cname || other.kind == RecordKind::Cname.to_string())
        };
        if let Some(other) = standing.iter().find(excludes) {
            let message = format!("a {} record exists at this name, and excludes {kind} records", other.kind);
            return Err(Error::new(ErrorKind::Conflict, OPERATION, message)
                .with_resource(set.fqdn())
                .with_hint(format!("remove the {} record, or choose another name", other.kind)));
        }
        let records: Vec<Value> = set.values.iter().map(|value| json!({ "value": write(set.kind, value) })).collect();
        let path = ["zones", &set.zone, "rrsets"];
        let Some(standing) = standing.into_iter().find(|other| other.kind == kind) else {
            let body = json!({ "name": set.name, "type": kind, "ttl": ttl, "records": records });
            let create = JsonRequest::post(OPERATION, &path, body).about(set.fqdn()).idempotent();
            return match self.settle(&create).await {
                Err(error) if error.kind() == ErrorKind::Conflict => Ok(false),
                result => result.map(|()| true),
            };
        };
        let change = |action: &str, body: Value| {
            let path = ["zones", &set.zone, "rrsets", &set.name, &kind, "actions", action];
            JsonRequest::post(OPERATION, &path, body).about(set.fqdn()).idempotent()
        };
        if sorted(set.values.clone()) != sorted(values(set.kind, &standing)) {
            self.settle(&change("set_records", json!({ "records": records }))).await?;
        }
        if standing.ttl != Some(ttl) {
            self.settle(&change("change_ttl", json!({ "ttl": ttl }))).await?;
        }
        Ok(true)
    }
}

#[async_trait]
impl DnsZones for Cloud {
    async fn zone(&self, name: &str) -> Result<Zone> {
        let request = JsonRequest::get("find zone", &["zones", name]).about(name);
        let zone = match self.client.json::<wire::ZoneAnswer>(&request).await {
            Err(error) if error.kind() == ErrorKind::NotFound => return Err(self.no_zone(name, error).await),
            result => result?.zone,
        };
        let servers = zone.authoritative_nameservers.assigned;
        let name_servers = servers.iter().map(|server| server.trim_end_matches('.').to_owned()).collect();
        Ok(Zone { name: zone.name.to_ascii_lowercase(), name_servers })
    }

    async fn get(&self, zone: &str, name: &str, kind: RecordKind) -> Result<Option<RecordSet>> {
        const OPERATION: &str = "get record";
        let all = self.rrsets(OPERATION, zone, name).await?;
        let Some(found) = all.into_iter().find(|set| set.kind == kind.to_string()) else { return Ok(None) };
        let ttl = Duration::from_secs(found.ttl.unwrap_or_default());
        let (zone, name) = (zone.to_owned(), name.to_owned());
        Ok(Some(RecordSet { zone, name, kind, ttl, values: values(kind, &found) }))
    }

    async fn upsert(&self, set: &RecordSet) -> Result<()> {
        set.check("set record", &DESCRIPTOR)?;
        let _held = self.dns.lock().await;
        for _ in 0..3 {
            if self.bring_about(set).await? {
                return Ok(());
            }
        }
        let problem = "somebody else makes and removes this record set again and again";
        Err(Error::new(ErrorKind::Busy, "set record", problem).with_resource(set.fqdn()))
    }

    async fn remove(&self, zone: &str, name: &str, kind: RecordKind) -> Result<()> {
        const OPERATION: &str = "remove record";
        let _held = self.dns.lock().await;
        // A look first: afterwards, nobody could tell a zone that is missing from a record set that is.
        if !self.rrsets(OPERATION, zone, name).await?.iter().any(|set| set.kind == kind.to_string()) {
            return Ok(());
        }
        let path = ["zones", zone, "rrsets", name, &kind.to_string()];
        match self.settle(&JsonRequest::delete(OPERATION, &path).about(name)).await {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            result => result,
        }
    }
}

fn values(kind: RecordKind, set: &wire::RrSet) -> Vec<String> {
    set.records.iter().map(|record| read(kind, &record.value)).collect()
}

fn sorted(mut values: Vec<String>) -> Vec<String> {
    values.sort();
    values
}

/// A value as a zone file has it, which is how the API takes it: names end with a dot, text is in quotes.
fn write(kind: RecordKind, value: &str) -> String {
    match kind {
        RecordKind::A | RecordKind::Aaaa => value.to_owned(),
        RecordKind::Cname => format!("{}.", value.trim_end_matches('.')),
        RecordKind::Txt => {
            let mut strings = vec![String::new()];
            let mut length = 0;
            for c in value.chars() {
                if length + c.len_utf8() > STRING {
                    strings.push(String::new());
                    length = 0;
                }
                length += c.len_utf8();
                let string = strings.last_mut().into_iter();
                string.for_each(|string| string.extend(matches!(c, '"' | '\\').then_some('\\').into_iter().chain([c])));
            }
            strings.iter().map(|string| format!("\"{string}\"")).collect::<Vec<_>>().join(" ")
        }
    }
}

/// A value as Remint knows it.
fn read(kind: RecordKind, value: &str) -> String {
    match kind {
        RecordKind::A | RecordKind::Aaaa => value.to_owned(),
        RecordKind::Cname => value.trim_end_matches('.').to_owned(),
        RecordKind::Txt => {
            let (mut text, mut quoted, mut chars) = (String::new(), false, value.chars());
            while let Some(c) = chars.next() {
                match c {
                    '"' => quoted = !quoted,
                    '\\' => text.extend(chars.next()),
                    c if quoted => text.push(c),
                    _ => {} // between two strings
                }
            }
            text
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_come_back_from_a_zone_file_as_they_were() {
        let long = format!("v=DKIM1; p={}", "k".repeat(300));
        for (kind, value, written) in [
            (RecordKind::Cname, "www.example.com", Some("www.example.com.")),
            (RecordKind::Txt, "say \"\\\" twice", Some(r#""say \"\\\" twice""#)),
            (RecordKind::Txt, &long, None),
            (RecordKind::Aaaa, "2001:db8::1", Some("2001:db8::1")),
        ] {
            let text = write(kind, value);
            assert!(written.is_none_or(|written| written == text), "{text}");
            assert_eq!(read(kind, &text), value);
        }
        assert_eq!(write(RecordKind::Txt, &long).matches("\" \"").count(), 1, "two strings of at most 255 bytes");
    }
}
