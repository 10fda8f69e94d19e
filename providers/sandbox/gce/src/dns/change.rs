//! A change of a zone's record sets: deletions and additions that are all carried out, or none.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    record::{SentSet, Set},
    reply::{already_exists, not_found, required, time},
    zone::{find, serial, zone_mut},
};
use crate::{
    State,
    error::{Refusal, Result},
    model::{Change, ManagedZone},
};
use remint_sandbox_cloud::{Config, DelayKind, ZoneRecord, now, state::Zone};

/// A change, as a client sends it.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct SentChange {
    pub(super) additions: Vec<SentSet>,
    pub(super) deletions: Vec<SentSet>,
}

/// A change, as the API shows it.
pub(super) fn view(zone: &ManagedZone, id: usize) -> Option<Value> {
    let change = zone.changes.get(id)?;
    let done = change.due <= Timestamp::now();
    let mut view = json!({
        "kind": "dns#change",
        "id": (id + 1).to_string(),
        "startTime": time(change.started_at),
        "status": if done { "done" } else { "pending" },
        "isServing": false,
    });
    for (name, sets) in [("additions", &change.additions), ("deletions", &change.deletions)] {
        if !sets.is_empty() {
            view[name] = sets.clone().into();
        }
    }
    Some(view)
}

/// Carries a change out, and gives the zone's domain and the change as the API shows it.
pub(super) fn carry_out(state: &mut State, config: &Config, zone: &str, sent: &SentChange) -> Result<(String, Value)> {
    let (domain, managed) = find(state, zone)?;
    let (additions, deletions) = check(domain, sent)?;
    let (dns_name, serial) = (domain.name.clone(), serial(&managed));
    let shown = |sets: &[Set]| sets.iter().map(|set| set.view(&dns_name, serial)).collect();
    let started_at = now();
    let delay = state.draw(config, DelayKind::Rename, format!("zone {dns_name}"));
    let due = started_at.checked_add(delay).unwrap_or(started_at);
    let change = Change { started_at, due, additions: shown(&additions), deletions: shown(&deletions) };
    let records: Vec<ZoneRecord> = additions
        .into_iter()
        .flat_map(|set| set.records)
        .map(|record| ZoneRecord { id: state.next_id(), ..record })
        .collect();
    if let Some(domain) = state.zones.get_mut(&dns_name) {
        let deleted =
            |record: &ZoneRecord| deletions.iter().any(|set| set.name == record.name && set.kind == record.kind);
        domain.records.retain(|_, record| !deleted(record));
        domain.records.extend(records.into_iter().map(|record| (record.id, record)));
    }
    let zone = zone_mut(state, &dns_name).ok_or_else(|| not_found("parameters.managedZone", zone))?;
    zone.changes.push(change);
    let id = zone.changes.len() - 1;
    let mut view = view(zone, id).unwrap_or_default();
    // As it was when it was asked for.
    view["status"] = "pending".into();
    Ok((dns_name, view))
}

/// The additions and deletions of a change, after all checks.
fn check(domain: &Zone, sent: &SentChange) -> Result<(Vec<Set>, Vec<Set>)> {
    if sent.additions.is_empty() && sent.deletions.is_empty() {
        return Err(required("entity.change"));
    }
    let read = |sets: &[SentSet], what: &str| {
        let named = sets.iter().enumerate();
        named
            .map(|(n, set)| Set::read(set, &domain.name, &format!("entity.change.{what}[{n}]")))
            .collect::<Result<Vec<_>>>()
    };
    let deletions = read(&sent.deletions, "deletions")?;
    for (n, set) in deletions.iter().enumerate() {
        let field = format!("entity.change.deletions[{n}]");
        match Set::find(domain, &set.name, &set.kind) {
            None => return Err(not_found(&field, format_args!("{} ({})", set.full_name(&domain.name), set.kind))),
            // The SOA's data are the sandbox's own.
            Some(now) if now == *set || (set.kind == "SOA" && now.ttl == set.ttl) => {}
            Some(_) => return Err(Refusal::condition(format!("Precondition not met for '{field}'"))),
        }
    }
    let additions = read(&sent.additions, "additions")?;
    let same = |one: &Set, other: &Set| one.name == other.name && one.kind == other.kind;
    for (n, set) in additions.iter().enumerate() {
        let deleted = deletions.iter().any(|gone| same(gone, set));
        let twice = additions.iter().take(n).any(|other| same(other, set));
        if twice || (!deleted && Set::find(domain, &set.name, &set.kind).is_some()) {
            let name = format!("{} ({})", set.full_name(&domain.name), set.kind);
            return Err(already_exists(&format!("entity.change.additions[{n}]"), name));
        }
    }
    for set in &deletions {
        if set.is_zones_own() && !additions.iter().any(|added| same(added, set)) {
            let why = "The resource record set at the zone's apex must contain exactly one NS and one SOA record set.";
            return Err(Refusal::new(400, "invalidZoneApex", why));
        }
    }
    let mut after = Set::all(domain);
    after.retain(|set| !deletions.iter().any(|gone| same(gone, set)));
    after.extend(additions.iter().cloned());
    for (n, set) in additions.iter().enumerate() {
        let others = after.iter().filter(|other| other.name == set.name && other.kind != set.kind);
        if others.into_iter().any(|other| set.kind == "CNAME" || other.kind == "CNAME") {
            let why = format!(
                "The resource record set 'entity.change.additions[{n}]' is invalid because a CNAME resource record set cannot \
                 share a name with other record sets."
            );
            return Err(Refusal::new(400, "cnameResourceRecordSetConflict", why));
        }
    }
    Ok((additions, deletions))
}
