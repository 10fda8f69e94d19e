//! Load balancers as the API has them: what is allowed, how they change, and what the network is asked to do.

use remint_sandbox::cloud::{
    Profile,
    balancer::{BalancerSnapshot, CheckProtocol},
};
use reqwest::Method;
use serde_json::{Value, json};

use super::sandbox::{Sandbox, TOKEN, droplet};

/// The body that makes a load balancer with these members.
fn balancer(members: &Value) -> Value {
    let mut body = json!({
        "name": "front",
        "region": "fra1",
        "forwarding_rules": [rule(80, 8080)],
    });
    for (key, value) in members.as_object().unwrap() {
        body[key] = value.clone();
    }
    body
}

fn rule(entry: u16, target: u16) -> Value {
    json!({ "entry_protocol": "http", "entry_port": entry, "target_protocol": "http", "target_port": target })
}

fn path(body: &Value) -> String {
    format!("/v2/load_balancers/{}", body["load_balancer"]["id"].as_str().unwrap())
}

impl Sandbox {
    /// A load balancer that takes connections; its path.
    async fn balancer(&self, members: &Value) -> String {
        let path = path(&self.post("/v2/load_balancers", balancer(members)).await);
        self.until(&path, |_, body| body["load_balancer"]["status"] == "active").await;
        path
    }

    /// What the network has of the only load balancer.
    fn told(&self) -> Option<BalancerSnapshot> {
        self.edge.balancers.lock().unwrap().values().next().cloned()
    }

    /// A call that is refused: the error's id and message.
    async fn refusal(&self, method: Method, path: &str, body: &Value) -> (u16, String) {
        let (status, answer) = self.call(method.clone(), path, Some(body.clone())).await;
        assert!(status >= 400, "{method} {path}: {answer}");
        (status, answer["message"].as_str().unwrap().to_owned())
    }

    async fn members_are(&self, path: &str, members: &[u64]) {
        let settled = |_: u16, body: &Value| body["load_balancer"]["droplet_ids"] == json!(members);
        self.until(path, settled).await;
        // The network hears of it a moment before or after the API shows it.
        let told = || self.told().unwrap().members.into_keys().collect::<Vec<u64>>();
        for _ in 0..1000 {
            if told() == members {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        assert_eq!(told(), members);
    }

    async fn tag(&self, method: Method, tag: &str, droplet: u64) {
        let resources = json!({ "resources": [{ "resource_id": droplet.to_string(), "resource_type": "droplet" }] });
        assert_eq!(self.call(method, &format!("/v2/tags/{tag}/resources"), Some(resources)).await.0, 204);
    }
}

#[tokio::test]
async fn one_is_new_then_active_with_an_address_and_then_gone() {
    let sandbox = Sandbox::start().await;
    assert_eq!(sandbox.get("/v2/load_balancers").await["load_balancers"], json!([]));
    let id = sandbox.droplet("web").await;
    sandbox.edge.gate.hold();
    let (status, made) =
        sandbox.call(Method::POST, "/v2/load_balancers", Some(balancer(&json!({ "droplet_ids": [id] })))).await;
    assert_eq!((status, &made["load_balancer"]["status"]), (202, &json!("new")));
    assert_eq!(made["load_balancer"]["ip"], "");
    let path = path(&made);
    assert!(sandbox.told().is_none());
    let (status, busy) = sandbox.refusal(Method::DELETE, &path, &json!({})).await;
    assert_eq!((status, busy.as_str()), (403, "Load Balancer can't be updated while it processes previous actions"));
    sandbox.edge.gate.open();
    let active = sandbox.until(&path, |_, body| body["load_balancer"]["status"] == "active").await;
    assert_eq!(active["load_balancer"]["ip"], "127.7.128.10");
    assert_eq!(active["load_balancer"]["droplet_ids"], json!([id]));
    let told = sandbox.told().unwrap();
    assert_eq!((told.listeners[0].port, told.listeners[0].target_port), (80, 8080));
    assert_eq!(told.members.into_iter().collect::<Vec<_>>(), [(id, "127.7.0.10".parse().unwrap())]);

    // Its address is nobody else's, its actions are not shown, and the project has it.
    let ip = sandbox.post("/v2/reserved_ips", json!({ "region": "fra1" })).await;
    assert_eq!(ip["reserved_ip"]["ip"], "127.7.128.11");
    assert_eq!(sandbox.get("/v2/actions").await["meta"]["total"], 1);
    let resources = sandbox.get("/v2/projects/default/resources").await;
    let urn = format!("do:loadbalancer:{}", active["load_balancer"]["id"].as_str().unwrap());
    assert!(resources["resources"].as_array().unwrap().iter().any(|resource| resource["urn"] == urn), "{resources}");
    assert_eq!(sandbox.get("/v2/load_balancers?per_page=1").await["load_balancers"][0]["name"], "front");

    assert_eq!(sandbox.delete(&path).await, 204);
    sandbox.until(&path, |status, _| status == 404).await;
    assert!(sandbox.told().is_none());
    assert_eq!(sandbox.delete(&path).await, 404);
    sandbox.finish();
}

#[tokio::test]
async fn a_tag_says_who_is_a_member() {
    let sandbox = Sandbox::start().await;
    let (one, two) = (sandbox.droplet("one").await, sandbox.droplet("two").await);
    sandbox.post("/v2/tags", json!({ "name": "web" })).await;
    let path = sandbox.balancer(&json!({ "tag": "web" })).await;
    assert_eq!(sandbox.get(&path).await["load_balancer"]["tag"], "web");
    sandbox.tag(Method::POST, "web", one).await;
    sandbox.members_are(&path, &[one]).await;
    sandbox.tag(Method::POST, "WEB", two).await;
    sandbox.members_are(&path, &[one, two]).await;

    // One that is tagged from its creation; one of another region.
    let mut body = droplet("three");
    body["tags"] = json!(["web"]);
    let three = sandbox.post("/v2/droplets", body.clone()).await["droplet"]["id"].as_u64().unwrap();
    body["region"] = json!("nyc3");
    sandbox.post("/v2/droplets", body).await;
    sandbox.members_are(&path, &[one, two, three]).await;

    // Until the network has let it go, the one that leaves is still shown, and the load balancer is busy.
    sandbox.edge.gate.hold();
    sandbox.tag(Method::DELETE, "web", two).await;
    let shown = sandbox.get(&path).await;
    assert_eq!(shown["load_balancer"]["droplet_ids"], json!([one, two, three]));
    let (status, _) = sandbox.refusal(Method::PUT, &path, &balancer(&json!({ "tag": "web" }))).await;
    assert_eq!(status, 403);
    // What changes meanwhile is not forgotten.
    sandbox.tag(Method::DELETE, "web", one).await;
    sandbox.edge.gate.open();
    sandbox.members_are(&path, &[three]).await;

    assert_eq!(sandbox.delete(&format!("/v2/droplets/{three}")).await, 204);
    sandbox.members_are(&path, &[]).await;
    sandbox.tag(Method::POST, "web", one).await;
    sandbox.members_are(&path, &[one]).await;
    assert_eq!(sandbox.delete("/v2/tags/web").await, 204);
    sandbox.members_are(&path, &[]).await;
    sandbox.finish();
}

#[tokio::test]
async fn a_put_resets_what_it_leaves_out() {
    let sandbox = Sandbox::start().await;
    let id = sandbox.droplet("web").await;
    let wanted = json!({
        "droplet_ids": [id],
        "health_check": { "protocol": "tcp", "port": 8080, "check_interval_seconds": 3, "healthy_threshold": 2 },
        "firewall": { "allow": ["ip:192.0.2.1", "cidr:10.0.0.0/8"] },
    });
    let path = sandbox.balancer(&wanted).await;
    let before = sandbox.get(&path).await["load_balancer"].clone();
    assert_eq!(before["health_check"]["protocol"], "tcp");
    assert_eq!(before["health_check"]["response_timeout_seconds"], 5);
    assert_eq!(before["firewall"], json!({ "allow": ["ip:192.0.2.1", "cidr:10.0.0.0/8"], "deny": [] }));
    let told = sandbox.told().unwrap();
    assert_eq!((told.check.protocol, told.check.healthy), (CheckProtocol::Tcp, 2));
    assert_eq!(told.sources.len(), 2);

    let (status, put) = sandbox.call(Method::PUT, &path, Some(balancer(&json!({ "name": "other" })))).await;
    assert_eq!((status, &put["load_balancer"]["name"]), (200, &json!("other")));
    sandbox.members_are(&path, &[]).await;
    let after = sandbox.get(&path).await["load_balancer"].clone();
    let usual = json!({
        "protocol": "http", "port": 80, "path": "/", "check_interval_seconds": 10, "response_timeout_seconds": 5,
        "healthy_threshold": 3, "unhealthy_threshold": 5,
    });
    assert_eq!((&after["health_check"], &after["firewall"]["allow"]), (&usual, &json!([])));
    assert_eq!((&after["id"], &after["ip"]), (&before["id"], &before["ip"]));
    let told = sandbox.told().unwrap();
    assert_eq!(told.check.protocol, CheckProtocol::Http { path: "/".to_owned() });
    assert!(told.sources.is_empty());
    sandbox.finish();
}

#[tokio::test]
async fn droplets_and_rules_come_and_go_by_their_own_calls() {
    let sandbox = Sandbox::start().await;
    let (one, two) = (sandbox.droplet("one").await, sandbox.droplet("two").await);
    let path = sandbox.balancer(&json!({})).await;
    let (droplets, rules) = (format!("{path}/droplets"), format!("{path}/forwarding_rules"));
    let free = async |method: Method, path: &str, body: Value| {
        while sandbox.call(method.clone(), path, Some(body.clone())).await.0 != 204 {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    free(Method::POST, &droplets, json!({ "droplet_ids": [one, two.to_string()] })).await;
    sandbox.members_are(&path, &[one, two]).await;
    free(Method::DELETE, &droplets, json!({ "droplet_ids": [one] })).await;
    sandbox.members_are(&path, &[two]).await;
    assert_eq!(sandbox.delete(&format!("/v2/droplets/{two}")).await, 204);
    sandbox.members_are(&path, &[]).await;

    free(Method::POST, &rules, json!({ "forwarding_rules": [rule(8080, 8080)] })).await;
    sandbox.until(&path, |_, _| sandbox.told().unwrap().listeners.len() == 2).await;
    let twice = sandbox.until_refused(&rules, &json!({ "forwarding_rules": [rule(8080, 1)] })).await;
    assert!(twice.contains("8080 is already in use"), "{twice}");
    free(Method::DELETE, &rules, json!({ "forwarding_rules": [rule(80, 8080)] })).await;
    sandbox.until(&path, |_, _| sandbox.told().unwrap().listeners.len() == 1).await;
    let last = json!({ "forwarding_rules": [rule(8080, 8080)] });
    let unknown = json!({ "forwarding_rules": [rule(80, 8080)] });
    sandbox.until(&path, |_, body| body["load_balancer"]["forwarding_rules"][0]["entry_port"] == 8080).await;
    loop {
        match sandbox.refusal(Method::DELETE, &rules, &last).await {
            (403, _) => tokio::time::sleep(std::time::Duration::from_millis(5)).await,
            (status, message) => {
                assert_eq!(status, 422, "{message}");
                break;
            }
        }
    }
    assert_eq!(sandbox.refusal(Method::DELETE, &rules, &unknown).await.0, 404);
    sandbox.finish();
}

impl Sandbox {
    /// A POST that is refused with 422 once the load balancer is not busy any more.
    async fn until_refused(&self, path: &str, body: &Value) -> String {
        loop {
            match self.refusal(Method::POST, path, body).await {
                (403, _) => tokio::time::sleep(std::time::Duration::from_millis(5)).await,
                (status, message) => {
                    assert_eq!(status, 422, "{message}");
                    return message;
                }
            }
        }
    }
}

#[tokio::test]
async fn the_rules() {
    let sandbox = Sandbox::start().await;
    let here = sandbox.droplet("here").await;
    let mut there = droplet("there");
    there["region"] = json!("nyc3");
    let there = sandbox.post("/v2/droplets", there).await["droplet"]["id"].as_u64().unwrap();
    sandbox.post("/v2/tags", json!({ "name": "web" })).await;
    let many: Vec<u64> = (1..=11).collect();
    let tls = json!({ "entry_protocol": "https", "entry_port": 443, "target_protocol": "http", "target_port": 80 });
    let mut certified = tls.clone();
    certified["certificate_id"] = json!("892071a0-bb95-49bc-8021-3afd67a210bf");
    let twice = json!([rule(80, 80), rule(80, 81)]);
    for (change, status, words) in [
        (json!({ "name": "" }), 422, "name"),
        (json!({ "name": "a b" }), 422, "name"),
        (json!({ "region": "mars" }), 422, "region"),
        (json!({ "region": null }), 422, "region"),
        (json!({ "forwarding_rules": [] }), 422, "at least one"),
        (json!({ "forwarding_rules": twice }), 422, "already in use"),
        (json!({ "forwarding_rules": [tls] }), 422, "certificate_id"),
        (json!({ "forwarding_rules": [certified] }), 501, "TLS"),
        (json!({ "droplet_ids": [here], "tag": "web" }), 422, "not both"),
        (json!({ "droplet_ids": [there] }), 422, "same region"),
        (json!({ "droplet_ids": ["x"] }), 422, "droplet_ids"),
        (json!({ "droplet_ids": many }), 422, "up to 10"),
        (json!({ "droplet_ids": [1] }), 404, ""),
        (json!({ "tag": "nobody" }), 404, ""),
        (json!({ "project_id": "4e1bfbc3-dc3e-41f2-a18f-1b4d7ba71679" }), 404, ""),
        (json!({ "vpc_uuid": "4e1bfbc3-dc3e-41f2-a18f-1b4d7ba71679" }), 422, "vpc_uuid"),
        (json!({ "health_check": { "healthy_threshold": 1 } }), 422, "healthy_threshold"),
        (json!({ "health_check": { "protocol": "https" } }), 501, "https"),
        (json!({ "firewall": { "allow": ["everybody"] } }), 422, "everybody"),
        (json!({ "firewall": { "deny": ["ip:192.0.2.1"] } }), 501, "deny"),
        (json!({ "size_unit": 2 }), 501, "nodes"),
        (json!({ "size": "lb-large" }), 501, "nodes"),
        (json!({ "algorithm": "least_connections" }), 501, "algorithm"),
        (json!({ "sticky_sessions": { "type": "cookies", "cookie_name": "c" } }), 501, "sticky"),
        (json!({ "redirect_http_to_https": true }), 501, "redirect"),
        (json!({ "enable_proxy_protocol": true }), 501, "PROXY"),
        (json!({ "enable_backend_keepalive": true }), 501, "keep"),
        (json!({ "http_idle_timeout_seconds": 61 }), 501, "http_idle_timeout_seconds"),
        (json!({ "disable_lets_encrypt_dns_records": true }), 501, "certificates"),
        (json!({ "network": "INTERNAL" }), 501, "internal"),
        (json!({ "network_stack": "DUALSTACK" }), 501, "IPv6"),
        (json!({ "type": "REGIONAL_NETWORK" }), 501, "REGIONAL"),
        (json!({ "target_load_balancer_ids": ["x"] }), 501, "global"),
        (json!({ "tls_cipher_policy": "STRONG" }), 501, "tls_cipher_policy"),
    ] {
        let (found, message) = sandbox.refusal(Method::POST, "/v2/load_balancers", &balancer(&change)).await;
        assert_eq!(found, status, "{change}: {message}");
        assert!(message.contains(words), "{change}: {message}");
    }
    assert_eq!(sandbox.get("/v2/load_balancers").await["meta"]["total"], 0);

    // What asks for nothing is no reason to refuse.
    let path = sandbox
        .balancer(&json!({
            "tag": "web", "droplet_ids": null, "vpc_uuid": "", "algorithm": "round_robin", "size": "lb-small",
            "size_unit": 1, "sticky_sessions": { "type": "none" }, "firewall": {}, "type": "REGIONAL", "domains": [],
            "redirect_http_to_https": false, "network": "EXTERNAL", "glb_settings": {}, "project_id": "",
        }))
        .await;
    for method in [Method::POST, Method::DELETE] {
        let refused = sandbox.refusal(method, &format!("{path}/droplets"), &json!({ "droplet_ids": [here] })).await;
        assert!(refused.0 == 422 && refused.1.contains("tag"), "{refused:?}");
    }
    let mut moved = balancer(&json!({ "tag": "web" }));
    moved["region"] = json!("nyc3");
    assert_eq!(sandbox.refusal(Method::PUT, &path, &moved).await.0, 422);
    for path in ["/v2/load_balancers/4de7ac8b-495b-4884-9a69-1050c6793cd6", "/v2/load_balancers/1"] {
        assert_eq!(sandbox.call(Method::GET, path, None).await.0, 404);
        assert_eq!(sandbox.refusal(Method::PUT, path, &balancer(&json!({}))).await.0, 404);
        assert_eq!(sandbox.delete(path).await, 404);
        assert_eq!(sandbox.refusal(Method::POST, &format!("{path}/droplets"), &json!({})).await.0, 404);
        assert_eq!(sandbox.refusal(Method::POST, &format!("{path}/forwarding_rules"), &json!({})).await.0, 404);
    }
    for _ in 1..10 {
        sandbox.post("/v2/load_balancers", balancer(&json!({}))).await;
    }
    let limit = sandbox.refused("/v2/load_balancers", balancer(&json!({}))).await;
    assert!(limit.contains("limit"), "{limit}");
    sandbox.finish();
}

#[tokio::test]
async fn health_is_a_metric_with_a_series_for_each_droplet() {
    let sandbox = Sandbox::start().await;
    let ids = [sandbox.droplet("one").await, sandbox.droplet("two").await, sandbox.droplet("three").await];
    let path = sandbox.balancer(&json!({ "droplet_ids": ids })).await;
    let id = path.rsplit('/').next().unwrap();
    let metric = "/v2/monitoring/metrics/load_balancer/droplets_health_checks";
    let now = remint_sandbox::cloud::now().as_second();
    let of = |start: i64, end: i64| format!("{metric}?lb_id={id}&start={start}&end={end}");
    let shown = sandbox.get(&of(now - 300, now + 60)).await;
    let series: Vec<(&Value, &Value, &Value)> = shown["data"]["result"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (&one["metric"]["lb_id"], &one["metric"]["droplet_id"], &one["values"][0][1]))
        .collect();
    let label = |id: u64| json!(id.to_string());
    assert_eq!(series, [(&json!(id), &label(ids[0]), &json!("1")), (&json!(id), &label(ids[1]), &json!("0"))]);
    assert_eq!(sandbox.get(&of(now - 7200, now - 3600)).await["data"]["result"], json!([]));
    for (query, status) in [
        (format!("lb_id={id}&start=0"), 400),
        (format!("lb_id={id}&start=a&end=b"), 400),
        (format!("lb_id={id}&start=2&end=1"), 400),
        ("lb_id=1&start=0&end=1".to_owned(), 404),
    ] {
        assert_eq!(sandbox.call(Method::GET, &format!("{metric}?{query}"), None).await.0, status, "{query}");
    }
    sandbox.finish();
}

#[tokio::test]
async fn measurements_come_later_than_the_load_balancer() {
    let sandbox = Sandbox::with(Profile::Realistic, 500.0).await;
    let id = sandbox.droplet("web").await;
    let path = sandbox.balancer(&json!({ "droplet_ids": [id] })).await;
    let id = path.rsplit('/').next().unwrap();
    let now = remint_sandbox::cloud::now().as_second();
    let metric = format!(
        "/v2/monitoring/metrics/load_balancer/droplets_health_checks?lb_id={id}&start={now}&end={}",
        now + 3600
    );
    let delays = sandbox.get("/sandbox/v1/delays").await;
    let of =
        |kind: &str| delays.as_array().unwrap().iter().find(|delay| delay["kind"] == kind).unwrap()["seconds"].clone();
    let (made, measured) = (of("load_balancer").as_f64().unwrap(), of("measure").as_f64().unwrap());
    assert!((0.12..=0.36).contains(&made) && (0.12..=0.24).contains(&measured), "{made} {measured}");
    sandbox.until(&metric, |_, body| body["data"]["result"].as_array().unwrap().len() == 1).await;
    assert_eq!(sandbox.told().unwrap().check.interval, std::time::Duration::from_millis(50));
    sandbox.finish();
}

#[tokio::test]
async fn what_is_missing_is_said_and_what_fails_is_errored() {
    let sandbox = Sandbox::start().await;
    let missing = "install Debian's package haproxy";
    *sandbox.edge.unbalanced.lock().unwrap() = missing.to_owned();
    let (status, message) = sandbox.refusal(Method::POST, "/v2/load_balancers", &balancer(&json!({}))).await;
    assert_eq!((status, message.as_str()), (501, missing));
    assert_eq!(sandbox.get("/v2/load_balancers").await["meta"]["total"], 0);
    sandbox.edge.unbalanced.lock().unwrap().clear();
    *sandbox.edge.dooming.lock().unwrap() = true;
    let path = path(&sandbox.post("/v2/load_balancers", balancer(&json!({}))).await);
    *sandbox.edge.dooming.lock().unwrap() = false;
    let failed = sandbox.until(&path, |_, body| body["load_balancer"]["status"] != "new").await;
    assert_eq!((&failed["load_balancer"]["status"], &failed["load_balancer"]["ip"]), (&json!("errored"), &json!("")));
    assert_eq!(sandbox.refusal(Method::PUT, &path, &balancer(&json!({}))).await.0, 422);
    assert_eq!(sandbox.delete(&path).await, 204);
    sandbox.until(&path, |status, _| status == 404).await;
    sandbox.finish();
}

#[tokio::test]
async fn a_restart_tells_the_network_again_and_goes_on_with_what_was_begun() {
    let mut sandbox = Sandbox::start().await;
    let id = sandbox.droplet("web").await;
    sandbox.post("/v2/tags", json!({ "name": "web" })).await;
    let active = sandbox.balancer(&json!({ "tag": "web" })).await;
    sandbox.tag(Method::POST, "web", id).await;
    sandbox.members_are(&active, &[id]).await;
    let shown = sandbox.get(&active).await;
    let told = std::mem::take(&mut *sandbox.edge.balancers.lock().unwrap());
    sandbox.edge.gate.hold();
    let new = path(&sandbox.post("/v2/load_balancers", balancer(&json!({ "droplet_ids": [id] }))).await);
    sandbox.server.take().unwrap().stop().await;
    sandbox.edge.gate.open();
    sandbox.edge.balancers.lock().unwrap().clear();
    sandbox.restart().await;
    assert_eq!(sandbox.get(&active).await, shown);
    let again = sandbox.until(&new, |_, body| body["load_balancer"]["status"] == "active").await;
    assert_ne!(again["load_balancer"]["ip"], shown["load_balancer"]["ip"]);
    let now = sandbox.edge.balancers.lock().unwrap().clone();
    assert!(now.len() == 2 && told.iter().all(|(id, balancer)| now.get(id) == Some(balancer)), "{now:?}");
    assert_eq!(sandbox.raw(Method::GET, "/v2/load_balancers", None, TOKEN).await.status(), 200);
    sandbox.finish();
}
