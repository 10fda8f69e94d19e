//! Record sets: listed in the order of their names, changed in batches of which all or nothing takes effect.

use serde::{Deserialize, de::IgnoredAny};

use super::{
    changes, name,
    request::{Query, read_xml},
    value,
    zone::{find, serve},
};
use crate::{
    Cloud, State, elbv2,
    reply::{Answer, refuse},
    state::{Alias, RecordSet, Zone},
    xml::Xml,
};
use remint_sandbox_cloud::{ApiError, ApiResult};

/// How many sets a page has at most.
const PAGE: usize = 300;
/// How many changes a batch has at most.
const CHANGES: usize = 1000;
/// How many values a set has at most.
const VALUES: usize = 400;

/// The body of `ChangeResourceRecordSets`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Request {
    change_batch: Batch,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Batch {
    comment: Option<String>,
    changes: Changes,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Changes {
    #[serde(default)]
    change: Vec<Asked>,
}

#[cfg(test)]
pub(super) fn fuzz(text: &str) {
    if let Err(error) = read_xml::<Request>(text.as_bytes()) {
        assert_eq!((error.status, error.id), (400, "MalformedXML"));
    }
}

/// One change of a batch.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Asked {
    action: String,
    resource_record_set: AskedSet,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct AskedSet {
    name: String,
    #[serde(rename = "Type")]
    kind: String,
    #[serde(rename = "TTL")]
    ttl: Option<u32>,
    resource_records: Option<Records>,
    alias_target: Option<AskedAlias>,
    // What the sandbox does not have.
    set_identifier: Option<IgnoredAny>,
    health_check_id: Option<IgnoredAny>,
    traffic_policy_instance_id: Option<IgnoredAny>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct AskedAlias {
    hosted_zone_id: String,
    #[serde(rename = "DNSName")]
    dns_name: String,
    evaluate_target_health: bool,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Records {
    #[serde(default)]
    resource_record: Vec<Record>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Record {
    value: String,
}

/// `ChangeResourceRecordSets`.
pub(super) async fn change(cloud: &Cloud, id: &str, body: &[u8]) -> ApiResult<Answer> {
    let request: Request = read_xml(body)?;
    let batch = request.change_batch;
    if batch.changes.change.is_empty() || batch.changes.change.len() > CHANGES {
        return Err(refuse("InvalidInput", format!("A batch has 1 to {CHANGES} changes")));
    }
    let asked: Vec<(String, RecordSet)> =
        batch.changes.change.into_iter().map(read_change).collect::<ApiResult<_>>()?;
    let (name, change) = cloud.change(|state| {
        let mut zone = find(state, id)?.clone();
        let mut problems = Vec::new();
        for (action, set) in asked {
            let target = if action == "DELETE" { Ok(()) } else { check_alias(state, &set) };
            if let Err(problem) = target.and_then(|()| zone.apply(&action, set)) {
                problems.push(problem);
            }
        }
        if !problems.is_empty() {
            return Err(refuse("InvalidChangeBatch", format!("[{}]", problems.join(", "))));
        }
        let name = zone.name.clone();
        zone.sets.sort_by_key(|set| (name::order(&set.name), set.kind.clone()));
        state.own.zones.insert(zone.id.clone(), zone);
        serve(state, &name);
        let change = changes::begin(state, cloud.config(), &name, batch.comment);
        Ok((name, change))
    })?;
    cloud.tell_zone(&name).await;
    let mut xml = Xml::default();
    changes::write_begun(&mut xml, &change);
    Ok(Answer::Xml(xml))
}

/// `ListResourceRecordSets`: from a name and a kind on.
pub(super) fn list(cloud: &Cloud, id: &str, query: &Query) -> ApiResult<Answer> {
    let most = query.max_items(PAGE)?;
    let (start, kind) = (query.get("name"), query.get("type"));
    if start.is_none() && kind.is_some() {
        return Err(refuse("InvalidInput", "A type without a name is not a place to start from"));
    }
    let from = match start {
        None => None,
        Some(text) => {
            let name = name::normal(text).ok_or_else(|| refuse("InvalidInput", format!("Invalid name: {text}")))?;
            Some((name::order(&name), kind.unwrap_or_default().to_owned()))
        }
    };
    cloud.read(|state| {
        let key = |set: &RecordSet| (name::order(&set.name), set.kind.clone());
        let mut sets: Vec<&RecordSet> = find(state, id)?.sets.iter().collect();
        sets.sort_by_key(|set| key(set));
        sets.retain(|set| from.as_ref().is_none_or(|from| key(set) >= *from));
        let next = sets.get(most);
        let mut xml = Xml::default();
        xml.node("ResourceRecordSets", |xml| sets.iter().take(most).for_each(|set| write(xml, set)));
        xml.text("IsTruncated", next.is_some()).maybe("NextRecordName", next.map(|set| name::written(&set.name)));
        xml.maybe("NextRecordType", next.map(|set| &set.kind)).text("MaxItems", most);
        Ok(Answer::Xml(xml))
    })
}

fn write(xml: &mut Xml, set: &RecordSet) {
    xml.node("ResourceRecordSet", |xml| {
        xml.text("Name", name::written(&set.name)).text("Type", &set.kind);
        if let Some(alias) = &set.alias {
            xml.node("AliasTarget", |xml| {
                xml.text("HostedZoneId", &alias.zone).text("DNSName", name::written(&alias.name));
                xml.text("EvaluateTargetHealth", alias.evaluate);
            });
            return;
        }
        xml.text("TTL", set.ttl).node("ResourceRecords", |xml| {
            for value in &set.values {
                xml.node("ResourceRecord", |xml| {
                    xml.text("Value", value);
                });
            }
        });
    });
}

/// A change, as far as it can be read by itself.
fn read_change(asked: Asked) -> ApiResult<(String, RecordSet)> {
    let set = asked.resource_record_set;
    let input = |message: String| -> ApiError { refuse("InvalidInput", message) };
    if !matches!(asked.action.as_str(), "CREATE" | "UPSERT" | "DELETE") {
        return Err(input(format!("Invalid action: {}", asked.action)));
    }
    for (asked, what) in [
        (set.set_identifier.is_some(), "routing policies"),
        (set.health_check_id.is_some(), "health checks"),
        (set.traffic_policy_instance_id.is_some(), "traffic policies"),
    ] {
        if asked {
            return Err(input(format!("The sandbox does not implement {what}.")));
        }
    }
    if !value::KINDS.contains(&set.kind.as_str()) {
        return Err(input(format!("The sandbox does not implement records of type {}.", set.kind)));
    }
    let name = name::normal(&set.name).ok_or_else(|| {
        let message =
            format!("[FATAL problem: DomainLabelEmpty (Domain label is empty) encountered with '{}']", set.name);
        refuse("InvalidChangeBatch", message)
    })?;
    let values: Vec<String> =
        set.resource_records.into_iter().flat_map(|records| records.resource_record).map(|r| r.value).collect();
    let expected = |found: &str| {
        input(format!(
            "Invalid request: Expected exactly one of [AliasTarget, all of [TTL, and ResourceRecords], or \
             TrafficPolicyInstanceId], but found {found} in Change with [Action={}, Name={name}, Type={}, SetIdentifier=null]",
            asked.action, set.kind
        ))
    };
    let (ttl, alias) = match (set.ttl, set.alias_target) {
        (None, Some(_)) if !values.is_empty() => return Err(expected("more than one")),
        (Some(_), Some(_)) => return Err(expected("more than one")),
        (None, Some(alias)) => (0, Some(read_alias(&set.kind, alias)?)),
        (Some(ttl), None) if !values.is_empty() => (ttl, None),
        (_, None) => return Err(expected("none")),
    };
    Ok((asked.action, RecordSet { name, kind: set.kind, ttl, values, alias }))
}

fn read_alias(kind: &str, alias: AskedAlias) -> ApiResult<Alias> {
    let input = |message: String| refuse("InvalidInput", message);
    if !matches!(kind, "A" | "AAAA") {
        return Err(input(format!("The sandbox does not implement alias records of type {kind}.")));
    }
    let name = name::normal(&alias.dns_name).ok_or_else(|| input(format!("Invalid DNSName: {}", alias.dns_name)))?;
    Ok(Alias { zone: alias.hosted_zone_id, name, evaluate: alias.evaluate_target_health })
}

/// Whether an alias leads to a load balancer, in the hosted zone of its name.
fn check_alias(state: &State, set: &RecordSet) -> Result<(), String> {
    let Some(Alias { zone, name, .. }) = &set.alias else { return Ok(()) };
    let tried = format!("Tried to create an alias that targets {name}, type {} in zone {zone}", set.kind);
    match elbv2::alias(state, name.trim_end_matches('.')) {
        Some((found, _)) if found == zone => Ok(()),
        Some(_) => Err(format!("{tried}, but the alias target name does not lie within the target zone")),
        None => Err(format!("{tried}, but that target was not found (the sandbox has load balancers as targets only)")),
    }
}

impl Zone {
    /// Does one change of a batch, or says why not.
    fn apply(&mut self, action: &str, set: RecordSet) -> Result<(), String> {
        let own = format!("{}.", self.name);
        let (name, kind) = (set.name.clone(), set.kind.clone());
        let which = format!("resource record set [name='{}', type='{kind}']", name::written(&name));
        if !name::is_within(&own, &name) {
            return Err(format!("RRSet with DNS name {name} is not permitted in zone {own}"));
        }
        let at = self.sets.iter().position(|known| known.name == name && known.kind == kind);
        if action == "DELETE" {
            let Some(at) = at else { return Err(format!("Tried to delete {which} but it was not found")) };
            if !self.sets[at].same(&set) {
                return Err(format!("Tried to delete {which} but the values provided do not match the current values"));
            }
            match kind.as_str() {
                "NS" if name == own => {
                    return Err("A HostedZone must contain at least one NS record for the zone itself.".to_owned());
                }
                "SOA" => return Err("A HostedZone must contain exactly one SOA record.".to_owned()),
                _ => {}
            }
            self.sets.remove(at);
            return Ok(());
        }
        if action == "CREATE" && at.is_some() {
            return Err(format!("Tried to create {which} but it already exists"));
        }
        if set.values.len() > VALUES {
            return Err(format!("A record set has {VALUES} values at most"));
        }
        for (index, value) in set.values.iter().enumerate() {
            value::read(&kind, value).map_err(|problem| format!("Invalid Resource Record: '{problem}'"))?;
            if set.values[..index].contains(value) {
                return Err(format!("Duplicate Resource Record: '{value}'"));
            }
        }
        if matches!(kind.as_str(), "CNAME" | "SOA") && set.values.len() > 1 {
            return Err(format!("RRSet of type {kind} with DNS name {name} has more than one value"));
        }
        if kind == "CNAME" && name == own {
            return Err(format!("RRSet of type CNAME with DNS name {name} is not permitted at apex in zone {own}"));
        }
        if kind == "SOA" && name != own {
            return Err(format!("RRSet of type SOA with DNS name {name} is not permitted in zone {own}"));
        }
        let others = self.sets.iter().filter(|other| other.name == name && other.kind != kind);
        if others.into_iter().any(|other| other.kind == "CNAME" || kind == "CNAME") {
            return Err(format!(
                "RRSet of type {kind} with DNS name {name} is not permitted as it conflicts with other records with the same \
                 DNS name in zone {own}"
            ));
        }
        match at {
            Some(at) => self.sets[at] = set,
            None => self.sets.push(set),
        }
        Ok(())
    }
}

impl RecordSet {
    /// Whether two sets say the same; the order of their values does not matter.
    fn same(&self, other: &Self) -> bool {
        let sorted = |set: &Self| {
            let mut values = set.values.clone();
            values.sort();
            values
        };
        self.ttl == other.ttl && self.alias == other.alias && sorted(self) == sorted(other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::route53::zone::new_zone;

    fn set(name: &str, kind: &str, ttl: u32, values: &[&str]) -> RecordSet {
        let values = values.iter().map(|value| (*value).to_owned()).collect();
        RecordSet { name: name.to_owned(), kind: kind.to_owned(), ttl, values, alias: None }
    }

    #[test]
    fn what_a_change_must_not_do() {
        let mut zone = new_zone("example.com", "r", "");
        let www = set("www.example.com.", "A", 60, &["192.0.2.1", "192.0.2.2"]);
        zone.apply("CREATE", www.clone()).unwrap();
        zone.apply("UPSERT", set("www.example.com.", "A", 60, &["192.0.2.2", "192.0.2.1"])).unwrap();
        for (action, set, problem) in [
            ("CREATE", www.clone(), "already exists"),
            ("DELETE", set("w.example.com.", "A", 60, &["192.0.2.1"]), "not found"),
            ("DELETE", set("www.example.com.", "A", 61, &["192.0.2.1", "192.0.2.2"]), "do not match"),
            ("DELETE", set("www.example.com.", "A", 60, &["192.0.2.1"]), "do not match"),
            ("CREATE", set("www.example.org.", "A", 60, &["192.0.2.1"]), "not permitted in zone"),
            ("CREATE", set("www.example.com.", "CNAME", 60, &["x.example.com."]), "conflicts"),
            ("UPSERT", set("example.com.", "CNAME", 60, &["x.example.com."]), "apex"),
            ("CREATE", set("a.example.com.", "A", 60, &["x"]), "ARRDATAIllegalIPv4Address"),
            ("CREATE", set("a.example.com.", "A", 60, &["192.0.2.1", "192.0.2.1"]), "Duplicate"),
        ] {
            let before = zone.sets.clone();
            let found = zone.apply(action, set).unwrap_err();
            assert!(found.contains(problem), "{found}");
            assert_eq!(zone.sets, before);
        }
        let soa = zone.sets.iter().find(|set| set.kind == "SOA").unwrap().clone();
        assert!(zone.apply("DELETE", soa).unwrap_err().contains("SOA"));
        zone.apply("DELETE", www).unwrap();
        assert_eq!(zone.sets.len(), 2);
    }
}
