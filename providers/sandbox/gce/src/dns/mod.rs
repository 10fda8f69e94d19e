//! Cloud DNS version 1: managed zones, their record sets, and the changes of these.
//!
//! A managed zone is a domain of the engine's, whose records the sandbox's DNS server serves; a record set is the records
//! of one name and type. A domain that was not made by this API has a managed zone all the same, named after it. A change
//! is carried out at once and as a whole; it is `pending` for as long as the profile says.

mod change;
mod changes;
mod managed_zones;
mod record;
mod record_sets;
mod reply;
mod zone;

use axum::{
    Router,
    routing::{get, post},
};

use crate::Cloud;

/// Reads a text as the values of a record set of each kind.
#[cfg(test)]
pub(super) fn fuzz(text: &str) {
    for kind in ["A", "AAAA", "CAA", "CNAME", "MX", "NS", "SOA", "SRV", "TXT", text] {
        let sent = serde_json::json!({ "name": "a.example.com.", "type": kind, "ttl": 30, "rrdatas": [text] });
        let sent: record::SentSet = serde_json::from_value(sent).unwrap();
        if let Err(refusal) = record::Set::read(&sent, "example.com", "rrset") {
            assert!(matches!(refusal.code, 400 | 501), "{}", refusal.message);
        }
    }
    if let Some(name) = record::relative(text, "example.com") {
        assert!(!name.is_empty());
    }
}

pub(super) fn routes() -> Router<Cloud> {
    const ZONES: &str = "/dns/v1/projects/{project}/managedZones";
    let at = |below: &str| format!("{ZONES}/{{zone}}{below}");
    Router::new()
        .route("/dns/v1/projects/{project}", get(reply::project))
        .route(ZONES, get(managed_zones::list).post(managed_zones::create))
        .route(&at(""), get(managed_zones::show).delete(managed_zones::delete))
        .route(&at("/rrsets"), get(record_sets::list).post(record_sets::create))
        .route(
            &at("/rrsets/{name}/{type}"),
            get(record_sets::show).patch(record_sets::patch).delete(record_sets::delete),
        )
        .route("/dns/v1/projects/{project}/policies", get(reply::policies))
        .route("/dns/v1/projects/{project}/responsePolicies", get(reply::response_policies))
        .route(&at("/dnsKeys"), get(managed_zones::dns_keys))
        .route(&at("/operations"), get(managed_zones::operations))
        .route(&at("/changes"), post(changes::create).get(changes::list))
        .route(&at("/changes/{change}"), get(changes::show))
}
