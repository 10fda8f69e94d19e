//! The book's table of scopes is what the calls of this provider need, as DigitalOcean's published specification says it.
//!
//! The specification is looked for beside the checkout, as in the sandbox's tests; without it only the book itself is looked at.

#![expect(clippy::unwrap_used, reason = "a test may fail by unwrapping")]

use std::{collections::BTreeSet, path::Path};

use serde_json::Value;

const BOOK: &str = include_str!("../../../docs/digitalocean.md");

/// Every call that the provider makes.
const CALLS: [(&str, &str); 45] = [
    ("get", "/v2/account"),
    ("get", "/v2/account/keys"),
    ("post", "/v2/account/keys"),
    ("delete", "/v2/account/keys/{ssh_key_identifier}"),
    ("get", "/v2/actions"),
    ("get", "/v2/actions/{action_id}"),
    ("get", "/v2/sizes"),
    ("get", "/v2/droplets"),
    ("post", "/v2/droplets"),
    ("get", "/v2/droplets/{droplet_id}"),
    ("delete", "/v2/droplets/{droplet_id}"),
    ("get", "/v2/droplets/{droplet_id}/actions"),
    ("post", "/v2/droplets/{droplet_id}/actions"),
    ("get", "/v2/droplets/{droplet_id}/snapshots"),
    ("get", "/v2/images"),
    ("get", "/v2/images/{image_id}"),
    ("delete", "/v2/images/{image_id}"),
    ("get", "/v2/images/{image_id}/actions"),
    ("post", "/v2/images/{image_id}/actions"),
    ("get", "/v2/snapshots"),
    ("get", "/v2/snapshots/{snapshot_id}"),
    ("get", "/v2/tags"),
    ("post", "/v2/tags"),
    ("get", "/v2/tags/{tag_id}"),
    ("delete", "/v2/tags/{tag_id}"),
    ("post", "/v2/tags/{tag_id}/resources"),
    ("delete", "/v2/tags/{tag_id}/resources"),
    ("get", "/v2/reserved_ips"),
    ("post", "/v2/reserved_ips"),
    ("get", "/v2/reserved_ips/{reserved_ip}"),
    ("delete", "/v2/reserved_ips/{reserved_ip}"),
    ("post", "/v2/reserved_ips/{reserved_ip}/actions"),
    ("get", "/v2/load_balancers"),
    ("post", "/v2/load_balancers"),
    ("get", "/v2/load_balancers/{lb_id}"),
    ("put", "/v2/load_balancers/{lb_id}"),
    ("delete", "/v2/load_balancers/{lb_id}"),
    ("get", "/v2/certificates"),
    ("get", "/v2/monitoring/metrics/load_balancer/droplets_health_checks"),
    ("get", "/v2/domains"),
    ("get", "/v2/domains/{domain_name}"),
    ("get", "/v2/domains/{domain_name}/records"),
    ("post", "/v2/domains/{domain_name}/records"),
    ("patch", "/v2/domains/{domain_name}/records/{domain_record_id}"),
    ("delete", "/v2/domains/{domain_name}/records/{domain_record_id}"),
];
/// What parts of requests and answers need beside: a droplet's `tags` and `vpc_uuid` (schemas `droplet` and `droplet_create`), and
/// the action `snapshot` (description of the droplet's actions).
const PARTS: [&str; 4] = ["tag:create", "tag:read", "vpc:read", "image:create"];

/// The scopes of the book's table.
fn book() -> BTreeSet<&'static str> {
    let table = BOOK.split("| scope | for |").nth(1).unwrap().split("\n\n").next().unwrap();
    table.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect()
}

#[test]
fn the_book_lists_the_scopes_that_the_calls_need() {
    let book = book();
    for part in PARTS {
        assert!(book.contains(part), "the book lacks {part}");
    }
    let above = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
    let mut candidates = above.map(|folder| folder.join("shared/openapi/digitalocean.json"));
    let Some(path) = candidates.find(|path| path.is_file()) else {
        println!("specification not found, skipped");
        return;
    };
    let specification: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let mut used: BTreeSet<String> = PARTS.map(str::to_owned).into();
    for (method, path) in CALLS {
        let security = specification["paths"][path][method]["security"].as_array();
        let ways = security.unwrap_or_else(|| panic!("the specification has no {method} {path}"));
        // One of these suffices, and each is a list of scopes that are all needed.
        let scopes = |way: &Value| -> Vec<String> {
            way["bearer_auth"].as_array().unwrap().iter().map(|scope| scope.as_str().unwrap().to_owned()).collect()
        };
        let covered = ways.iter().any(|way| scopes(way).iter().all(|scope| book.contains(scope.as_str())));
        assert!(covered, "{method} {path} needs {ways:?}");
        used.extend(ways.iter().flat_map(scopes));
    }
    let idle: Vec<_> = book.iter().filter(|scope| !used.contains(**scope)).collect();
    assert!(idle.is_empty(), "no call needs {idle:?}");
}
