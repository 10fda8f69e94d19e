use remint_core::provider::{Labels, ServiceId};
use serde_json::{Value, json};
use wiremock::MockServer;

use super::*;
use crate::testing::{self, PROJECT, REGION, ZONE, asked, missing, operation, regional, serve};

const ENVIRONMENT: &str = "0a1b2c3d4e5f6071";
const OTHER: &str = "ffffffffffffffff";
const TARGET: &str = "app-0123456789";

fn owner() -> Owner {
    Owner { service: ServiceId::generate(), environment: Some(EnvironmentId::from(ENVIRONMENT)) }
}

fn stray(kind: StrayKind, id: &str) -> Stray {
    let (id, name) = (StrayId::new(id), id.to_owned());
    Stray { kind, id, name, region: None, created_at: None, why: String::new() }
}

fn link(path: &str) -> String {
    format!("https://www.googleapis.com{path}")
}

fn target(environment: &str) -> Value {
    json!({"name": TARGET, "zone": link(ZONE), "creationTimestamp": "2026-11-28T00:00:00.000-08:00",
        "description": format!("remint us-central1/app us-central1-a/app-1/1 {environment}")})
}

fn text(environment: &str) -> String {
    let labels = Labels::new().with(label::ENV_ID, environment);
    Description { labels, zone: String::new() }.to_text("test").unwrap()
}

fn rule(environment: &str, target: &str) -> Value {
    json!({"name": "app", "region": link(REGION), "description": text(environment),
        "target": link(&format!("{ZONE}/targetInstances/{target}"))})
}

fn firewall(environment: &str) -> Value {
    json!({"name": "remint-x-tcp-22", "description": text(environment), "targetTags": ["remint-x-tcp-22"]})
}

/// What stands in a project.
#[derive(Default)]
struct Project {
    address: bool,
    instance: bool,
    targets: Vec<Value>,
    rules: Vec<Value>,
    firewalls: Vec<Value>,
    /// The tag that the instance carries.
    tag: &'static str,
}

impl Project {
    async fn serve(&self) -> MockServer {
        let server = MockServer::start().await;
        let there = |there: bool, body: Value| if there { testing::json(body) } else { missing() };
        let aggregated = |what: &str| format!("{PROJECT}/aggregated/{what}");
        let (zone, region) = ("zones/us-central1-a", "regions/us-central1");
        let targets = json!({"items": {zone: {"targetInstances": self.targets}}});
        serve(&server, "GET", &aggregated("targetInstances"), vec![testing::json(targets)]).await;
        let rules = json!({"items": {region: {"forwardingRules": self.rules}}});
        serve(&server, "GET", &aggregated("forwardingRules"), vec![testing::json(rules)]).await;
        let body = json!({"id": "1", "name": "app-1", "status": "RUNNING", "tags": {"items": [self.tag]}});
        let instances = if self.instance { vec![body.clone()] } else { vec![] };
        let instances = json!({"items": {zone: {"instances": instances}}});
        serve(&server, "GET", &aggregated("instances"), vec![testing::json(instances)]).await;
        serve(&server, "GET", &format!("{ZONE}/instances/1"), vec![there(self.instance, body)]).await;
        let address = there(self.address, json!({"name": "app", "address": "203.0.113.9"}));
        serve(&server, "GET", &format!("{REGION}/addresses/app"), vec![address]).await;
        let firewalls = format!("{PROJECT}/global/firewalls");
        serve(&server, "GET", &firewalls, vec![testing::json(json!({"items": self.firewalls}))]).await;

        let one = |all: &[Value]| all.first().map_or_else(missing, |first| testing::json(first.clone()));
        let route = format!("{ZONE}/targetInstances/{TARGET}");
        serve(&server, "GET", &route, vec![one(&self.targets)]).await;
        serve(&server, "DELETE", &route, vec![testing::json(operation("op-1", "DONE"))]).await;
        let route = format!("{REGION}/forwardingRules/app");
        serve(&server, "GET", &route, vec![one(&self.rules)]).await;
        serve(&server, "DELETE", &route, vec![testing::json(regional("op-2", "DONE"))]).await;
        let route = format!("{firewalls}/remint-x-tcp-22");
        serve(&server, "GET", &route, vec![one(&self.firewalls)]).await;
        serve(&server, "DELETE", &route, vec![testing::json(json!({"name": "op-3", "status": "DONE"}))]).await;
        server
    }

    /// Holds what is listed, and that just this is removed.
    async fn holds(&self, kind: StrayKind, id: &str, is_stray: bool) {
        let server = self.serve().await;
        let gcp = testing::provider(&server).await;
        let listed = Strays::list(&gcp, &owner()).await.unwrap();
        let ids: Vec<_> = listed.iter().map(|stray| (stray.kind, stray.id.as_str())).collect();
        assert_eq!(ids, if is_stray { vec![(kind, id)] } else { vec![] });
        let removed = Strays::remove(&gcp, &owner(), &stray(kind, id)).await;
        let deleted = asked(&server).await.iter().any(|call| call.starts_with("DELETE"));
        assert_eq!(deleted, is_stray, "{removed:?}");
        assert_eq!(removed.err().map(|error| error.kind()), (!is_stray).then_some(ErrorKind::Conflict));
    }
}

#[tokio::test]
async fn a_target_is_a_stray_without_its_instance_or_address() {
    let id = format!("us-central1-a/{TARGET}");
    let targets = vec![target(ENVIRONMENT)];
    for (address, instance, is_stray) in [(true, true, false), (true, false, true), (false, true, true)] {
        let project = Project { address, instance, targets: targets.clone(), ..Project::default() };
        project.holds(StrayKind::TargetInstance, &id, is_stray).await;
    }
    // Somebody's rule points at it; or it is another environment's.
    let rules = vec![rule(OTHER, TARGET)];
    Project { targets, rules, ..Project::default() }.holds(StrayKind::TargetInstance, &id, false).await;
    let targets = vec![target(OTHER)];
    Project { targets, ..Project::default() }.holds(StrayKind::TargetInstance, &id, false).await;
}

#[tokio::test]
async fn a_rule_is_a_stray_without_its_address() {
    for (of, address, is_stray) in [(ENVIRONMENT, false, true), (ENVIRONMENT, true, false), (OTHER, false, false)] {
        let project = Project { address, rules: vec![rule(of, "other")], ..Project::default() };
        project.holds(StrayKind::ForwardingRule, "us-central1/app", is_stray).await;
    }
}

#[tokio::test]
async fn a_firewall_rule_is_a_stray_when_no_instance_carries_its_tag() {
    let tagged = "remint-x-tcp-22";
    for (of, tag, is_stray) in [(ENVIRONMENT, "other", true), (ENVIRONMENT, tagged, false), (OTHER, "other", false)] {
        let project = Project { instance: true, tag, firewalls: vec![firewall(of)], ..Project::default() };
        project.holds(StrayKind::FirewallRule, "remint-x-tcp-22", is_stray).await;
    }
}

#[tokio::test]
async fn what_is_gone_is_removed() {
    let server = Project::default().serve().await;
    let gcp = testing::provider(&server).await;
    for (kind, id) in [
        (StrayKind::TargetInstance, format!("us-central1-a/{TARGET}")),
        (StrayKind::ForwardingRule, "us-central1/app".to_owned()),
        (StrayKind::FirewallRule, "remint-x-tcp-22".to_owned()),
    ] {
        Strays::remove(&gcp, &owner(), &stray(kind, &id)).await.unwrap();
    }
}
