//! The calls of a regional external passthrough load balancer: what they take, refuse and show. What becomes of connections is
//! in `tests/clients/gce_balancer.py`, but for what takes faults or waits.

use remint_sandbox::{cloud::Profile, embedded::Options};
use reqwest::Method;
use serde_json::{Value, json};

use crate::client::{REGION, World, ZONE, until};

const CHECKS: &str = "regions/us-central1/healthChecks";
const GROUPS: &str = "zones/us-central1-a/instanceGroups";
const SERVICES: &str = "regions/us-central1/backendServices";
const RULES: &str = "regions/us-central1/forwardingRules";

fn refusal(code: u16, reason: &str) -> (u16, String) {
    (code, reason.to_owned())
}

/// The whole URL of something, which some fields must have.
fn url(below: &str) -> String {
    format!("https://www.googleapis.com/compute/v1/projects/remint-sandbox/{below}")
}

async fn check(world: &World, name: &str) {
    let body = json!({ "name": name, "type": "TCP", "tcpHealthCheck": { "port": 80 } });
    world.change(Method::POST, CHECKS, Some(&body)).await;
}

async fn group(world: &World, name: &str) {
    world.change(Method::POST, GROUPS, Some(&json!({ "name": name }))).await;
}

fn service(name: &str, check: &str, groups: &[&str]) -> Value {
    let backend = |group: &&str| json!({ "group": url(&format!("{GROUPS}/{group}")), "balancingMode": "CONNECTION" });
    json!({
        "name": name, "protocol": "TCP", "loadBalancingScheme": "EXTERNAL", "healthChecks": [url(&format!("{CHECKS}/{check}"))],
        "backends": groups.iter().map(backend).collect::<Vec<_>>(),
    })
}

fn instances(names: &[&str]) -> Value {
    let one = |name: &&str| json!({ "instance": format!("zones/{ZONE}/instances/{name}") });
    json!({ "instances": names.iter().map(one).collect::<Vec<_>>() })
}

#[tokio::test]
async fn a_health_check_is_patched_updated_and_kept_while_it_is_used() {
    let world = World::new().await;
    check(&world, "one").await;
    let shown = world.get(&format!("{CHECKS}/one")).await;
    assert_eq!((&shown["checkIntervalSec"], &shown["unhealthyThreshold"]), (&json!(5), &json!(2)), "{shown}");
    assert!(shown["region"].as_str().unwrap().ends_with(REGION));
    let one = format!("{CHECKS}/one");
    world.change(Method::PATCH, &one, Some(&json!({ "checkIntervalSec": 30, "tcpHealthCheck": { "port": 81 } }))).await;
    let patched = world.get(&one).await;
    assert_eq!((&patched["checkIntervalSec"], &patched["timeoutSec"]), (&json!(30), &json!(5)));
    assert_eq!(patched["tcpHealthCheck"]["port"], 81);
    let stays = json!({ "type": "HTTP", "httpHealthCheck": { "requestPath": "/up" } });
    assert_eq!(world.refused(Method::PATCH, &one, Some(&stays)).await, refusal(400, "invalid"), "it has both");
    let other = json!({ "type": "HTTP", "httpHealthCheck": { "requestPath": "/up" }, "tcpHealthCheck": null });
    world.change(Method::PATCH, &one, Some(&other)).await;
    let shown = world.get(&one).await;
    assert_eq!((&shown["httpHealthCheck"]["requestPath"], shown.get("tcpHealthCheck")), (&json!("/up"), None));
    assert_eq!(shown["checkIntervalSec"], 30, "a patch leaves the rest");
    world.change(Method::PUT, &one, Some(&json!({ "type": "TCP", "tcpHealthCheck": {} }))).await;
    assert_eq!(world.get(&one).await["checkIntervalSec"], 5, "an update replaces all");
    let long = json!({ "timeoutSec": 6 });
    assert_eq!(world.refused(Method::PATCH, &one, Some(&long)).await, refusal(400, "invalid"));
    let again = json!({ "name": "one", "type": "TCP", "tcpHealthCheck": {} });
    assert_eq!(world.refused(Method::POST, CHECKS, Some(&again)).await, refusal(409, "alreadyExists"));
    assert_eq!(
        world.get("aggregated/healthChecks").await["items"][format!("regions/{REGION}")]["healthChecks"][0]["name"],
        "one"
    );

    world.change(Method::POST, SERVICES, Some(&service("web", "one", &[]))).await;
    assert_eq!(world.refused(Method::DELETE, &one, None).await, refusal(400, "resourceInUseByAnotherResource"));
    world.change(Method::DELETE, &format!("{SERVICES}/web"), None).await;
    world.change(Method::DELETE, &one, None).await;
    assert_eq!(world.refused(Method::GET, &one, None).await, refusal(404, "notFound"));
}

#[tokio::test]
async fn a_group_has_instances_of_its_zone_each_once() {
    let world = World::new().await;
    for name in ["one", "two"] {
        world.launch(name, &json!({})).await;
    }
    group(&world, "web").await;
    let web = format!("{GROUPS}/web");
    let call = |verb: &str| format!("{web}/{verb}");
    world.change(Method::POST, &call("addInstances"), Some(&instances(&["one"]))).await;
    let twice = world.refused(Method::POST, &call("addInstances"), Some(&instances(&["two", "one"]))).await;
    assert_eq!(twice, refusal(400, "memberAlreadyExists"));
    let shown = world.get(&web).await;
    assert_eq!((&shown["size"], shown["network"].is_string()), (&json!(1), true), "all or nothing: {shown}");
    world.change(Method::POST, &call("addInstances"), Some(&instances(&["two"]))).await;
    let elsewhere = json!({ "instances": [{ "instance": "zones/us-central1-b/instances/one" }] });
    assert_eq!(world.refused(Method::POST, &call("addInstances"), Some(&elsewhere)).await, refusal(400, "invalid"));
    let missing = world.refused(Method::POST, &call("addInstances"), Some(&instances(&["three"]))).await;
    assert_eq!(missing, refusal(404, "notFound"));
    assert_eq!(world.refused(Method::POST, &call("addInstances"), Some(&json!({}))).await, refusal(400, "required"));

    let listed = async |filter: &Value, query: &str| {
        let (status, list) = world.call(Method::POST, &call(&format!("listInstances{query}")), Some(filter)).await;
        assert_eq!(status, 200, "{list}");
        let name = |item: &Value| item["instance"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
        let names: Vec<String> = list["items"].as_array().into_iter().flatten().map(name).collect();
        (names, list["nextPageToken"].as_str().map(str::to_owned))
    };
    assert_eq!(listed(&json!({}), "").await.0, ["one", "two"]);
    let (first, next) = listed(&json!({}), "?maxResults=1").await;
    let rest = listed(&json!({}), &format!("?pageToken={}", next.unwrap())).await;
    assert_eq!((first, rest.0), (vec!["one".to_owned()], vec!["two".to_owned()]), "pages follow each other");
    world.change(Method::POST, &format!("zones/{ZONE}/instances/two/stop"), None).await;
    assert_eq!(listed(&json!({ "instanceState": "RUNNING" }), "").await.0, ["one"]);

    world.change(Method::POST, &call("removeInstances"), Some(&instances(&["one"]))).await;
    let gone = world.refused(Method::POST, &call("removeInstances"), Some(&instances(&["one"]))).await;
    assert_eq!(gone, refusal(400, "memberNotFound"));
    world.change(Method::DELETE, &format!("zones/{ZONE}/instances/two"), None).await;
    assert_eq!(world.get(&web).await["size"], 0, "an instance that is gone is in no group");

    let before = world.get(&web).await["fingerprint"].clone();
    let ports = json!({ "namedPorts": [{ "name": "http", "port": 80 }], "fingerprint": before });
    world.change(Method::POST, &call("setNamedPorts"), Some(&ports)).await;
    assert_eq!(world.get(&web).await["namedPorts"], ports["namedPorts"]);
    assert_eq!(
        world.refused(Method::POST, &call("setNamedPorts"), Some(&ports)).await,
        refusal(412, "conditionNotMet")
    );
    assert_eq!(
        world.get("aggregated/instanceGroups").await["items"][format!("zones/{ZONE}")]["instanceGroups"][0]["size"],
        0
    );
    world.change(Method::DELETE, &web, None).await;
}

#[tokio::test]
async fn a_backend_service_changes_by_its_fingerprint_and_keeps_what_it_uses() {
    let world = World::new().await;
    check(&world, "one").await;
    for name in ["web", "api"] {
        group(&world, name).await;
    }
    world.change(Method::POST, SERVICES, Some(&service("web", "one", &["web"]))).await;
    let web = format!("{SERVICES}/web");
    let shown = world.get(&web).await;
    assert_eq!((&shown["connectionDraining"]["drainingTimeoutSec"], &shown["protocol"]), (&json!(0), &json!("TCP")));
    assert!(shown["backends"][0]["group"].as_str().unwrap().ends_with("/instanceGroups/web"));
    let drain = json!({ "connectionDraining": { "drainingTimeoutSec": 60 } });
    assert_eq!(world.refused(Method::PATCH, &web, Some(&drain)).await, refusal(412, "conditionNotMet"));
    let with = |mut body: Value, fingerprint: &Value| {
        body["fingerprint"] = fingerprint.clone();
        body
    };
    world.change(Method::PATCH, &web, Some(&with(drain.clone(), &shown["fingerprint"]))).await;
    let stale = world.refused(Method::PATCH, &web, Some(&with(drain, &shown["fingerprint"]))).await;
    assert_eq!(stale, refusal(412, "conditionNotMet"));
    let shown = world.get(&web).await;
    assert_eq!(
        (&shown["connectionDraining"]["drainingTimeoutSec"], &shown["backends"][0]["balancingMode"]),
        (&json!(60), &json!("CONNECTION")),
        "a patch leaves the rest"
    );
    world.change(Method::PUT, &web, Some(&with(service("web", "one", &["web", "api"]), &shown["fingerprint"]))).await;
    let shown = world.get(&web).await;
    assert_eq!(shown["connectionDraining"]["drainingTimeoutSec"], 0, "an update replaces all");
    assert_eq!(
        world.refused(Method::DELETE, &format!("{GROUPS}/api"), None).await,
        refusal(400, "resourceInUseByAnotherResource")
    );

    let fields = |name: &str, value: Value| {
        let mut body = service("other", "one", &["web"]);
        body[name] = value;
        body
    };
    let backend = |others: Value| {
        let mut backend = json!({ "group": url(&format!("{GROUPS}/web")) });
        backend.as_object_mut().unwrap().extend(others.as_object().unwrap().clone());
        json!([backend])
    };
    let many: Vec<Value> = vec![json!({ "group": url(&format!("{GROUPS}/web")) }); 51];
    for (body, code, reason) in [
        (fields("protocol", json!("HTTP")), 400, "invalid"),
        (fields("protocol", json!("UDP")), 501, "notImplemented"),
        (fields("loadBalancingScheme", json!("INTERNAL")), 501, "notImplemented"),
        (fields("sessionAffinity", json!("CLIENT_IP")), 501, "notImplemented"),
        (fields("failoverPolicy", json!({ "failoverRatio": 0.5 })), 501, "notImplemented"),
        (fields("connectionDraining", json!({ "drainingTimeoutSec": 3601 })), 400, "invalid"),
        (fields("healthChecks", json!([])), 400, "required"),
        (fields("healthChecks", json!([url(&format!("{CHECKS}/other"))])), 404, "notFound"),
        (fields("healthChecks", json!([url("global/healthChecks/one")])), 400, "invalid"),
        (fields("backends", backend(json!({ "balancingMode": "UTILIZATION" }))), 400, "invalid"),
        (fields("backends", backend(json!({ "failover": true }))), 501, "notImplemented"),
        (fields("backends", backend(json!({ "group": format!("{GROUPS}/web") }))), 400, "invalid"),
        (fields("backends", backend(json!({ "group": url(&format!("{GROUPS}/other")) }))), 404, "notFound"),
        (fields("backends", backend(json!({ "group": url("zones/us-east1-b/instanceGroups/web") }))), 400, "invalid"),
        (fields("backends", json!([many[0], many[0]])), 400, "invalid"),
        (fields("backends", json!(many)), 413, "fieldSizeTooLarge"),
    ] {
        assert_eq!(world.refused(Method::POST, SERVICES, Some(&body)).await, refusal(code, reason), "{body}");
    }
    let (status, health) = world
        .call(Method::POST, &format!("{web}/getHealth"), Some(&json!({ "group": url(&format!("{GROUPS}/web")) })))
        .await;
    assert_eq!((status, health.get("healthStatus")), (200, None), "without a rule, nothing is checked");
    group(&world, "third").await;
    let foreign = json!({ "group": url(&format!("{GROUPS}/third")) });
    assert_eq!(world.refused(Method::POST, &format!("{web}/getHealth"), Some(&foreign)).await, refusal(400, "invalid"));
    world.change(Method::DELETE, &web, None).await;
    world.change(Method::DELETE, &format!("{GROUPS}/api"), None).await;
}

#[tokio::test]
async fn an_instance_is_in_one_balanced_group() {
    let world = World::new().await;
    world.launch("one", &json!({})).await;
    check(&world, "one").await;
    for name in ["web", "api", "spare"] {
        group(&world, name).await;
    }
    world.change(Method::POST, SERVICES, Some(&service("web", "one", &["web"]))).await;
    let add = async |group: &str| {
        world.call(Method::POST, &format!("{GROUPS}/{group}/addInstances"), Some(&instances(&["one"]))).await
    };
    for name in ["web", "spare"] {
        let (status, operation) = add(name).await;
        assert_eq!(status, 200, "{name} is the only one that is balanced, or is not: {operation}");
        world.wait(&operation).await;
    }
    let failed = world.operate(Method::POST, SERVICES, Some(&service("spare", "one", &["spare"]))).await;
    assert_eq!(failed["error"]["errors"][0]["code"], "INSTANCE_IN_MULTIPLE_LOAD_BALANCED_IGS", "{failed}");
    assert_eq!(world.refused(Method::GET, &format!("{SERVICES}/spare"), None).await, refusal(404, "notFound"));
    world.change(Method::POST, SERVICES, Some(&service("api", "one", &["api"]))).await;
    let (status, refused) = add("api").await;
    assert_eq!((status, &refused["error"]["errors"][0]["reason"]), (400, &json!("instanceInMultipleLoadBalancedIgs")));
    // Two services may have the same group.
    world.change(Method::POST, SERVICES, Some(&service("again", "one", &["web"]))).await;
}

#[tokio::test]
async fn a_rule_has_ports_and_an_address_which_rules_of_other_ports_may_share() {
    let world = World::new().await;
    check(&world, "one").await;
    world.change(Method::POST, SERVICES, Some(&service("web", "one", &[]))).await;
    world.change(Method::POST, "regions/us-central1/addresses", Some(&json!({ "name": "web" }))).await;
    let address = world.get("regions/us-central1/addresses/web").await["address"].clone();
    let rule = |name: &str, others: Value| {
        let mut body = json!({
            "name": name, "IPProtocol": "TCP", "loadBalancingScheme": "EXTERNAL", "IPAddress": address,
            "backendService": url(&format!("{SERVICES}/web")),
        });
        body.as_object_mut().unwrap().extend(others.as_object().unwrap().clone());
        body
    };
    for (others, code, reason) in [
        (json!({}), 400, "required"),
        (json!({ "ports": ["80"], "portRange": "80" }), 400, "invalid"),
        (json!({ "ports": ["80", "80"] }), 400, "invalid"),
        (json!({ "ports": ["1", "2", "3", "4", "5", "6"] }), 413, "fieldSizeTooLarge"),
        (json!({ "ports": ["80"], "sourceIpRanges": ["192.0.2.0/24"] }), 501, "notImplemented"),
        (json!({ "ports": ["80"], "IPAddress": "192.0.2.1" }), 400, "invalid"),
        (json!({ "ports": ["80"], "backendService": url("regions/us-east1/backendServices/web") }), 400, "invalid"),
        (json!({ "ports": ["80"], "backendService": url(&format!("{SERVICES}/other")) }), 404, "notFound"),
        (json!({ "ports": ["80"], "target": "zones/us-central1-a/targetInstances/web" }), 400, "invalid"),
        (json!({ "ports": ["80"], "IPProtocol": "UDP" }), 501, "notImplemented"),
        (json!({ "portRange": "8000-9000" }), 501, "notImplemented"),
    ] {
        let refused = world.refused(Method::POST, RULES, Some(&rule("web", others.clone()))).await;
        assert_eq!(refused, refusal(code, reason), "{others}");
    }
    world.change(Method::POST, RULES, Some(&rule("web", json!({ "ports": ["80", "443"] })))).await;
    let shown = world.get(&format!("{RULES}/web")).await;
    assert_eq!((&shown["IPAddress"], &shown["ports"]), (&address, &json!(["80", "443"])), "{shown}");
    assert!(
        shown["backendService"].as_str().unwrap().ends_with("/backendServices/web") && shown.get("target").is_none()
    );
    for others in [json!({ "ports": ["443"] }), json!({ "portRange": "400-500" }), json!({ "allPorts": true })] {
        let taken = world.refused(Method::POST, RULES, Some(&rule("more", others.clone()))).await;
        assert_eq!(taken, refusal(400, "invalid"), "{others}");
    }
    world.change(Method::POST, RULES, Some(&rule("more", json!({ "portRange": "8000-8010" })))).await;
    let users = world.get("regions/us-central1/addresses/web").await["users"].clone();
    assert_eq!(users.as_array().unwrap().len(), 2, "{users}");
    let target = json!({ "target": "zones/us-central1-a/targetInstances/web" });
    assert_eq!(
        world.refused(Method::POST, &format!("{RULES}/web/setTarget"), Some(&target)).await,
        refusal(400, "invalid")
    );
    for path in [format!("{SERVICES}/web"), "regions/us-central1/addresses/web".to_owned()] {
        let used = world.refused(Method::DELETE, &path, None).await;
        assert_eq!(used, refusal(400, "resourceInUseByAnotherResource"), "{path}");
    }
    // The address of a rule that is gone is free at once.
    world.change(Method::DELETE, &format!("{RULES}/web"), None).await;
    world.change(Method::POST, RULES, Some(&rule("web", json!({ "ports": ["80"] })))).await;
    for name in ["web", "more"] {
        world.change(Method::DELETE, &format!("{RULES}/{name}"), None).await;
    }
    let mut own = rule("own", json!({ "allPorts": true }));
    own.as_object_mut().unwrap().remove("IPAddress");
    world.change(Method::POST, RULES, Some(&own)).await;
    assert_ne!(world.get(&format!("{RULES}/own")).await["IPAddress"], address);
    world.change(Method::DELETE, &format!("{RULES}/own"), None).await;
    world.change(Method::DELETE, "regions/us-central1/addresses/web", None).await;
    world.change(Method::DELETE, &format!("{SERVICES}/web"), None).await;
}

#[tokio::test]
async fn a_rule_that_is_doomed_is_not_made_and_one_whose_end_is_doomed_stays() {
    let world = World::new().await;
    check(&world, "one").await;
    world.change(Method::POST, SERVICES, Some(&service("web", "one", &[]))).await;
    let rule = json!({ "name": "web", "ports": ["80"], "backendService": url(&format!("{SERVICES}/web")) });
    let doom = |method: &str, path: &str| {
        let rule = json!({ "method": method, "path": path, "fault": "action_errored" });
        world.sandbox.add_fault(serde_json::from_value(rule).unwrap()).unwrap();
    };
    doom("POST", "*/forwardingRules");
    assert!(world.operate(Method::POST, RULES, Some(&rule)).await["error"].is_object());
    assert!(world.get(RULES).await.get("items").is_none());
    world.change(Method::POST, RULES, Some(&rule)).await;
    doom("DELETE", "*/forwardingRules/web");
    assert!(world.operate(Method::DELETE, &format!("{RULES}/web"), None).await["error"].is_object());
    let address = world.get(&format!("{RULES}/web")).await["IPAddress"].as_str().unwrap().to_owned();
    let open =
        async || tokio::net::TcpStream::connect((address.as_str(), world.sandbox.ports().resolve(80))).await.is_ok();
    until("the address takes connections", open).await;
    world.change(Method::DELETE, &format!("{RULES}/web"), None).await;
    assert!(!open().await, "the load balancer is gone when the operation is done");
}

/// The API is done with a change before its network is; what is deleted meanwhile never works.
#[tokio::test]
async fn a_rule_that_is_deleted_before_it_works_leaves_its_address_to_the_next() {
    let world = World::with(Options { profile: Profile::Realistic, speed: 50.0, ..Options::default() }).await;
    check(&world, "one").await;
    world.change(Method::POST, SERVICES, Some(&service("web", "one", &[]))).await;
    world.change(Method::POST, "regions/us-central1/addresses", Some(&json!({ "name": "web" }))).await;
    let rule = |port: &str| {
        let service = url(&format!("{SERVICES}/web"));
        json!({ "name": "web", "IPAddress": "web", "ports": [port], "backendService": service })
    };
    world.change(Method::POST, RULES, Some(&rule("80"))).await;
    world.change(Method::DELETE, &format!("{RULES}/web"), None).await;
    world.change(Method::POST, RULES, Some(&rule("81"))).await;
    let address = world.get("regions/us-central1/addresses/web").await["address"].as_str().unwrap().to_owned();
    let open = async |port: u16| {
        tokio::net::TcpStream::connect((address.as_str(), world.sandbox.ports().resolve(port))).await.is_ok()
    };
    until("the second rule works", || open(81)).await;
    assert!(!open(80).await, "the first one is gone");
}
