//! What the tests of load balancers share: a load balancer as the API shows it, and servers that have one.

use std::time::Duration;

use remint_core::provider::{CheckProtocol, Labels, Listener, ListenerProtocol, MemberCheck, MemberHealth};
use wiremock::{MockServer, ResponseTemplate};

use super::*;
use crate::testing::{self, serve};

mod destroy;
mod ensure;
mod members;

const NAME: &str = "remint-0123456789abcdef";
const ID: &str = "4de7ac8b-495b-4884-9a69-1050c6793cd6";
const ALL: &str = "/v2/load_balancers";
const ONE: &str = "/v2/load_balancers/4de7ac8b-495b-4884-9a69-1050c6793cd6";
const TAGS: &str = "/v2/tags";
const TAG: &str = "/v2/tags/remint-0123456789abcdef";
const TAGGED: &str = "/v2/tags/remint-0123456789abcdef/resources";
const METRIC: &str = "/v2/monitoring/metrics/load_balancer/droplets_health_checks";
const CERTIFICATES: &str = "/v2/certificates";
const CERTIFICATE: &str = "892071a0-bb95-49bc-8021-3afd67a210bf";

fn spec() -> LoadBalancerSpec {
    let check = MemberCheck {
        protocol: CheckProtocol::Http { path: "/health".to_owned() },
        port: 8080,
        interval: Duration::from_secs(10),
        timeout: Duration::from_secs(5),
        healthy: 3,
        unhealthy: 5,
    };
    let listener = Listener { port: 80, protocol: ListenerProtocol::Http, target_port: 8080, certificate: None };
    let sources = ["192.0.2.0/24", "198.51.100.7/32"].map(|net| net.parse().unwrap()).to_vec();
    let drain = Some(Duration::from_secs(30));
    LoadBalancerSpec {
        name: NAME.to_owned(),
        labels: Labels::new().with("remint:service", "app"),
        region: Region::new("nyc3"),
        settings: LoadBalancerSettings { listeners: vec![listener], check, drain, sources },
    }
}

fn https(certificate: &str) -> LoadBalancerSpec {
    let mut spec = spec();
    spec.settings.listeners[0] = Listener {
        port: 443,
        protocol: ListenerProtocol::Https,
        target_port: 8080,
        certificate: Some(certificate.to_owned()),
    };
    spec
}

/// The load balancer of [`spec`], as the API shows it.
fn body(members: &[u64]) -> Value {
    json!({
        "id": ID, "name": NAME, "ip": "203.0.113.9", "ipv6": "", "size": "lb-small", "size_unit": 2,
        "algorithm": "round_robin", "status": "active", "created_at": "2026-11-23T08:00:00Z",
        "forwarding_rules": [{"entry_protocol": "http", "entry_port": 80, "target_protocol": "http",
            "target_port": 8080, "certificate_id": "", "tls_passthrough": false}],
        "health_check": {"protocol": "http", "port": 8080, "path": "/health", "check_interval_seconds": 10,
            "response_timeout_seconds": 5, "healthy_threshold": 3, "unhealthy_threshold": 5},
        "sticky_sessions": {"type": "cookies", "cookie_name": "DO-LB", "cookie_ttl_seconds": 300},
        "redirect_http_to_https": true, "enable_proxy_protocol": false, "http_idle_timeout_seconds": 90,
        "firewall": {"allow": ["ip:198.51.100.7", "cidr:192.0.2.0/24"], "deny": ["ip:192.0.2.66"]},
        "region": {"slug": "nyc3", "name": "New York 3"}, "tag": NAME, "droplet_ids": members,
        "vpc_uuid": "c33931f2-a26a-4e61-b85c-4e95a2ec431b", "project_id": null, "type": "REGIONAL",
    })
}

fn with(fields: Value) -> Value {
    let mut body = body(&[]);
    body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    body
}

fn one(body: Value) -> ResponseTemplate {
    testing::json(json!({ "load_balancer": body }))
}

fn listed(all: &[Value]) -> ResponseTemplate {
    testing::json(json!({ "load_balancers": all, "links": {}, "meta": { "total": all.len() } }))
}

fn tag_of(droplets: u64) -> ResponseTemplate {
    let resources = json!({ "count": droplets, "droplets": { "count": droplets } });
    testing::json(json!({ "tag": { "name": NAME, "resources": resources } }))
}

fn missing() -> ResponseTemplate {
    testing::status(404, json!({ "id": "not_found", "message": "The resource you requested could not be found." }))
}

fn done() -> ResponseTemplate {
    ResponseTemplate::new(204)
}

fn busy() -> ResponseTemplate {
    let message = "Load Balancer can't be updated while it processes previous actions";
    testing::status(403, json!({ "id": "forbidden", "message": message }))
}

fn droplet(id: u64) -> Value {
    json!({ "resource_id": id.to_string(), "resource_type": "droplet" })
}

fn id() -> LoadBalancerId {
    LoadBalancerId::new(ID)
}

fn instances(ids: &[u64]) -> Vec<InstanceId> {
    ids.iter().map(|id| InstanceId::new(id.to_string())).collect()
}

/// A server that has what a creation asks for; the list shows these, one after the other.
async fn creating(lists: Vec<ResponseTemplate>, made: ResponseTemplate) -> MockServer {
    let server = MockServer::start().await;
    serve(&server, "GET", ALL, lists).await;
    serve(&server, "GET", TAG, vec![missing()]).await;
    serve(&server, "POST", TAGS, vec![testing::status(201, json!({ "tag": { "name": NAME } }))]).await;
    serve(&server, "POST", ALL, vec![made]).await;
    server
}

fn accepted() -> ResponseTemplate {
    testing::status(202, json!({ "load_balancer": with(json!({ "status": "new", "ip": "" })) }))
}

/// A server with a load balancer that has these members.
async fn standing(members: &[u64]) -> MockServer {
    let server = MockServer::start().await;
    serve(&server, "GET", ALL, vec![listed(&[body(members)])]).await;
    serve(&server, "GET", ONE, vec![one(body(members))]).await;
    server
}
