//! Firewall rules. They are kept and shown; the sandbox's machines have their open ports whatever the rules say.

use axum::{Json, Router, extract::State as Axum, routing::post};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{
    call::{Body, Call, time},
    calls::{Shown, all_path, describe, one_path, reads, remove},
    change::{Accepted, Done},
    error::{Refusal, Result},
    json,
    model::Firewall,
    reference::Reference,
    resource::{check_new, path},
};
use crate::{Cloud, State};
use remint_sandbox_cloud::now;

/// What a client says of a rule.
#[derive(Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Rule {
    #[serde(skip_serializing)]
    name: String,
    description: String,
    network: String,
    priority: Option<u32>,
    source_ranges: Vec<String>,
    destination_ranges: Vec<String>,
    source_tags: Vec<String>,
    target_tags: Vec<String>,
    source_service_accounts: Vec<String>,
    target_service_accounts: Vec<String>,
    allowed: Vec<Protocol>,
    denied: Vec<Protocol>,
    direction: String,
    disabled: bool,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct Protocol {
    #[serde(rename = "IPProtocol")]
    ip_protocol: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    ports: Vec<String>,
}

pub(super) fn routes() -> Router<Cloud> {
    reads::<Firewall>()
        .route(&all_path::<Firewall>(), post(insert))
        .route(&one_path::<Firewall>(""), axum::routing::patch(patch).put(update).delete(delete))
}

impl Shown for Firewall {
    fn view(&self, _: u64, call: &Call, _: &State) -> Value {
        let firewall = self;
        let mut view = json!({
            "kind": "compute#firewall",
            "id": firewall.id.to_string(),
            "creationTimestamp": time(firewall.created_at),
            "name": firewall.name,
            "description": "",
            "priority": 1000,
            "direction": "INGRESS",
            "disabled": false,
            "logConfig": { "enable": false },
            "selfLink": call.link(&path::<Firewall>("", &firewall.name)),
        });
        if let Some(view) = view.as_object_mut() {
            view.extend(firewall.rule.clone());
            view.insert("network".to_owned(), call.link("global/networks/default").into());
        }
        view
    }
}

/// What a client says of a rule, over what there was of it before.
fn read(sent: &Map<String, Value>, before: Map<String, Value>) -> Result<Map<String, Value>> {
    let mut both = before;
    both.extend(sent.clone());
    let mut rule: Rule = json::read(both.into())?;
    if !matches!(*Reference::parse(&rule.network).path, ["global", "networks", "default"] | [""]) {
        let why = "The referenced network resource cannot be found.";
        return Err(Refusal::invalid("resource.network", rule.network, why));
    }
    if let Some(priority) = rule.priority.filter(|number| *number > 65535) {
        return Err(Refusal::invalid("resource.priority", priority, "Must be between 0 and 65535."));
    }
    match (rule.allowed.is_empty(), rule.denied.is_empty()) {
        (true, true) => return Err(Refusal::required("resource.allowed")),
        (false, false) => {
            return Err(Refusal::invalid("resource.denied", "", "Cannot specify both allowed and denied."));
        }
        _ => {}
    }
    if rule.allowed.iter().chain(&rule.denied).any(|one| one.ip_protocol.is_empty()) {
        return Err(Refusal::required("resource.allowed[0].IPProtocol"));
    }
    let sources = [&rule.source_ranges, &rule.source_tags, &rule.source_service_accounts];
    if rule.direction != "EGRESS" && sources.into_iter().all(Vec::is_empty) {
        rule.source_ranges.push("0.0.0.0/0".to_owned());
    }
    let mut rule = match serde_json::to_value(rule) {
        Ok(Value::Object(rule)) => rule,
        _ => Map::new(),
    };
    // What is empty is not shown.
    rule.retain(|_, value| !matches!(value, Value::Null) && *value != json!([]) && *value != json!(""));
    Ok(rule)
}

async fn insert(Axum(cloud): Axum<Cloud>, call: Call, Body(sent): Body<Map<String, Value>>) -> Result<Json<Value>> {
    let name = sent.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
    call.mutate(&cloud, |state, _| {
        check_new::<Firewall>(state, "", &name)?;
        let rule = read(&sent, Map::new())?;
        Ok(Accepted::own("insert", path::<Firewall>("", &name), move |state, _| {
            let id = state.next_id();
            state.own.firewalls.insert(id, Firewall { id, name, created_at: now(), rule });
            Done::at_once(id)
        }))
    })
    .await
}

async fn patch(Axum(cloud): Axum<Cloud>, call: Call, Body(sent): Body<Map<String, Value>>) -> Result<Json<Value>> {
    let plan = |before: &Firewall| set(read(&sent, before.rule.clone()));
    describe(&cloud, &call, "patch", plan).await
}

async fn update(Axum(cloud): Axum<Cloud>, call: Call, Body(sent): Body<Map<String, Value>>) -> Result<Json<Value>> {
    describe(&cloud, &call, "update", |_: &Firewall| set(read(&sent, Map::new()))).await
}

fn set(rule: Result<Map<String, Value>>) -> Result<impl FnOnce(&mut Firewall) + Send + 'static> {
    rule.map(|rule| |firewall: &mut Firewall| firewall.rule = rule)
}

async fn delete(Axum(cloud): Axum<Cloud>, call: Call) -> Result<Json<Value>> {
    remove::<Firewall>(&cloud, &call, |_, _, _| Ok(()), |_, _| None).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_allows_or_denies_and_comes_from_anywhere_unless_it_says_otherwise() {
        let map = |value: Value| value.as_object().unwrap().clone();
        let rule = read(&map(json!({ "allowed": [{ "IPProtocol": "tcp", "ports": ["22"] }] })), Map::new()).unwrap();
        assert_eq!(rule["sourceRanges"], json!(["0.0.0.0/0"]));
        let patched = read(&map(json!({ "sourceRanges": ["10.0.0.0/8"] })), rule).unwrap();
        assert_eq!(patched["sourceRanges"], json!(["10.0.0.0/8"]));
        assert_eq!(patched["allowed"][0]["ports"], json!(["22"]));
        for bad in [
            json!({}),
            json!({ "allowed": [{}] }),
            json!({ "allowed": [{ "IPProtocol": "tcp" }], "denied": [{ "IPProtocol": "udp" }] }),
            json!({ "allowed": [{ "IPProtocol": "tcp" }], "network": "global/networks/other" }),
            json!({ "allowed": [{ "IPProtocol": "tcp" }], "priority": 70000 }),
            json!({ "allowed": [{ "IPProtocol": "tcp", "port": 22 }] }),
            json!({ "allowed": [{ "IPProtocol": "tcp" }], "logConfig": { "enable": true } }),
        ] {
            assert!(read(&map(bad.clone()), Map::new()).is_err(), "{bad}");
        }
    }
}
