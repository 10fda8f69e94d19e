//! DNS zones are domains; a record set is all records of a name and kind.
//!
//! All records of one name share one TTL: DigitalOcean rectifies the others without a word.

use std::time::Duration;

use async_trait::async_trait;
use remint_core::provider::{
    DnsZones, Effect, Error, ErrorKind, RecordKind, RecordSet, Result, Zone, nearest,
    support::{JsonRequest, Turn, pauses},
};
use serde_json::{Value, json};

use crate::{DigitalOcean, wire};

#[cfg(test)]
mod tests;

/// The servers of every zone at DigitalOcean, for answers that do not show the zone's contents.
const NAME_SERVERS: [&str; 3] = ["ns1.digitalocean.com", "ns2.digitalocean.com", "ns3.digitalocean.com"];
/// How often a change is looked at again when a reply was lost.
const ROUNDS: u32 = 4;

impl DigitalOcean {
    /// All records of a name, of one kind or of all; one call.
    async fn records(
        &self,
        operation: &'static str,
        zone: &str,
        name: &str,
        kind: Option<RecordKind>,
    ) -> Result<Vec<wire::Record>> {
        let full = if name == "@" { zone.to_owned() } else { format!("{name}.{zone}") };
        let mut request =
            JsonRequest::get(operation, &["v2", "domains", zone, "records"]).about(&full).query("name", full.clone());
        if let Some(kind) = kind {
            request = request.query("type", kind.to_string());
        }
        let mut records: Vec<wire::Record> = match self.client.list(&request, "domain_records").await {
            Err(error) if error.kind() == ErrorKind::NotFound => return Err(self.no_zone(zone, error).await),
            result => result?,
        };
        records.retain(|record| {
            let same_name = record.name.eq_ignore_ascii_case(name) || record.name.eq_ignore_ascii_case(&full);
            same_name && kind.is_none_or(|kind| record.kind == kind.to_string())
        });
        Ok(records)
    }

    /// Adds the account's zones to a "not found"; one call.
    async fn no_zone(&self, zone: &str, error: Error) -> Error {
        let request = JsonRequest::get(error.operation(), &["v2", "domains"]);
        let domains: Vec<wire::Domain> = self.client.list(&request, "domains").await.unwrap_or_default();
        let hint = match domains.as_slice() {
            [] => "add the domain to the account first; it has none".to_owned(),
            _ => format!("zones of the account: {}", nearest(zone, domains.iter().map(|domain| domain.name.as_str()))),
        };
        Error::new(ErrorKind::NotFound, error.operation(), "the account has no such zone")
            .with_resource(zone)
            .with_hint(hint)
            .with_source(error)
    }

    /// One look, and the changes that are needed. `Ok(false)` when a reply was lost, and it must be looked again.
    async fn bring_about(&self, turn: &Turn, set: &RecordSet) -> Result<bool> {
        const OPERATION: &str = "set record";
        let ttl = set.ttl.as_secs();
        let all = self.records(OPERATION, &set.zone, &set.name, None).await?;
        let conflicting = |record: &&wire::Record| match set.kind {
            RecordKind::Cname => !matches!(record.kind.as_str(), "CNAME" | "SOA" | "NS"),
            _ => record.kind == "CNAME",
        };
        if let Some(other) = all.iter().find(conflicting) {
            let message = format!("a {} record exists at this name, and excludes {} records", other.kind, set.kind);
            return Err(Error::new(ErrorKind::Conflict, OPERATION, message)
                .with_resource(set.fqdn())
                .with_hint(format!("remove the {} record, or choose another name", other.kind)));
        }
        let kind = set.kind.to_string();
        let (kept, outdated): (Vec<_>, Vec<_>) = all
            .iter()
            .filter(|record| record.kind == kind)
            .partition(|record| set.values.contains(&value(record, set.kind, &set.zone)));
        let mut missing: Vec<&String> = set.values.iter().collect();
        missing.retain(|wanted| !kept.iter().any(|record| value(record, set.kind, &set.zone) == **wanted));
        let mut outdated: Vec<&wire::Record> = outdated;
        // Two records of one value are one too many.
        let mut seen = Vec::new();
        for record in &kept {
            let data = value(record, set.kind, &set.zone);
            if seen.contains(&data) { outdated.push(record) } else { seen.push(data) }
        }

        let mut ttl_holds = kept.iter().all(|record| record.ttl == Some(ttl));
        let mut changes = Vec::new();
        if let ([old], [new], true) = (outdated.as_slice(), missing.as_slice(), kept.is_empty()) {
            // One value for another: a single call, and the name never has none or both.
            changes.push(self.change(
                &set.zone,
                old.id,
                json!({"type": kind, "data": wire_data(new, set.kind), "ttl": ttl}),
            ));
            (ttl_holds, missing, outdated) = (true, Vec::new(), Vec::new());
        }
        for new in missing {
            let data = wire_data(new, set.kind);
            let body = json!({"type": kind, "name": set.name, "data": data, "ttl": ttl});
            let path = ["v2", "domains", &set.zone, "records"];
            changes.push(JsonRequest::post(OPERATION, &path, body));
        }
        if let (false, Some(record)) = (ttl_holds, kept.first()) {
            changes.push(self.change(&set.zone, record.id, json!({"type": kind, "ttl": ttl})));
        }
        for change in changes {
            let change = change.about(set.fqdn());
            match self.client.json_within::<wire::RecordAnswer>(turn, &change).await {
                Ok(wire::RecordAnswer { domain_record: record }) => {
                    if record.ttl.is_some_and(|standing| standing != ttl) {
                        // Rectified to the TTL of another record of the name: say it once more, for all of them.
                        let again = self.change(&set.zone, record.id, json!({"type": kind, "ttl": ttl}));
                        self.client.accepted(&again.about(set.fqdn())).await?;
                    }
                }
                Err(error) if error.effect() != Effect::NotApplied => {
                    tracing::warn!(%error, "looking whether the record was set");
                    return Ok(false);
                }
                Err(error) => return Err(error),
            }
        }
        for old in outdated {
            self.remove_record(OPERATION, &set.zone, old.id).await?;
        }
        Ok(true)
    }

    fn change(&self, zone: &str, record: u64, body: Value) -> JsonRequest {
        JsonRequest::patch("set record", &["v2", "domains", zone, "records", &record.to_string()], body)
    }

    async fn remove_record(&self, operation: &'static str, zone: &str, record: u64) -> Result<()> {
        let record = record.to_string();
        self.client
            .remove(&JsonRequest::delete(operation, &["v2", "domains", zone, "records", &record]).about(&record))
            .await
    }
}

/// A value as the API takes it: names end with a dot there.
fn wire_data(value: &str, kind: RecordKind) -> String {
    match kind {
        RecordKind::Cname => format!("{}.", value.trim_end_matches('.')),
        RecordKind::A | RecordKind::Aaaa | RecordKind::Txt => value.to_owned(),
    }
}

/// A value as Remint knows it: names without the final dot.
fn value(record: &wire::Record, kind: RecordKind, zone: &str) -> String {
    match kind {
        RecordKind::Cname if record.data == "@" => zone.to_owned(),
        RecordKind::Cname => record.data.trim_end_matches('.').to_owned(),
        RecordKind::A | RecordKind::Aaaa | RecordKind::Txt => record.data.clone(),
    }
}

/// The name servers that a zone file names for the zone itself.
fn name_servers(zone: &str, file: &str) -> Vec<String> {
    let mut servers: Vec<String> = Vec::new();
    for line in file.lines() {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let at_zone = fields.first().is_some_and(|name| name.trim_end_matches('.').eq_ignore_ascii_case(zone));
        if let ([.., "NS", server], true) = (fields.as_slice(), at_zone) {
            servers.push(server.trim_end_matches('.').to_owned());
        }
    }
    servers
}

#[async_trait]
impl DnsZones for DigitalOcean {
    async fn zone(&self, name: &str) -> Result<Zone> {
        let request = JsonRequest::get("find zone", &["v2", "domains", name]).about(name);
        let domain = match self.client.json::<wire::DomainAnswer>(&request).await {
            Ok(answer) => answer.domain,
            Err(error) if error.kind() == ErrorKind::NotFound => return Err(self.no_zone(name, error).await),
            Err(error) => return Err(error),
        };
        let mut servers = name_servers(&domain.name, domain.zone_file.as_deref().unwrap_or_default());
        if servers.is_empty() {
            servers = NAME_SERVERS.map(str::to_owned).to_vec();
        }
        Ok(Zone { name: domain.name.to_ascii_lowercase(), name_servers: servers })
    }

    async fn get(&self, zone: &str, name: &str, kind: RecordKind) -> Result<Option<RecordSet>> {
        let records = self.records("get record", zone, name, Some(kind)).await?;
        let ttl = records.first().and_then(|record| record.ttl).map_or(Duration::ZERO, Duration::from_secs);
        let values: Vec<String> = records.iter().map(|record| value(record, kind, zone)).collect();
        let (zone, name) = (zone.to_owned(), name.to_owned());
        Ok((!values.is_empty()).then_some(RecordSet { zone, name, kind, ttl, values }))
    }

    async fn upsert(&self, set: &RecordSet) -> Result<()> {
        set.check("set record", self.descriptor)?;
        // All records of a name: they share a TTL, and exclude a CNAME.
        let turn = self.turns.take([format!("record {}", set.fqdn())]).await;
        for (round, pause) in (1..=ROUNDS).zip(pauses(self.settle)) {
            if self.bring_about(&turn, set).await? {
                return Ok(());
            }
            if round < ROUNDS {
                tokio::time::sleep(pause).await;
            }
        }
        Err(Error::new(ErrorKind::Unavailable, "set record", "the replies were lost again and again")
            .with_resource(set.fqdn())
            .with_effect(Effect::Unknown))
    }

    async fn remove(&self, zone: &str, name: &str, kind: RecordKind) -> Result<()> {
        const OPERATION: &str = "remove record";
        for record in self.records(OPERATION, zone, name, Some(kind)).await? {
            self.remove_record(OPERATION, zone, record.id).await?;
        }
        Ok(())
    }
}
