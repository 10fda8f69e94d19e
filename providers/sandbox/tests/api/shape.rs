//! What all answers have in common: token, errors, paging, 501, and the plain lists.

use reqwest::Method;
use serde_json::{Value, json};

use super::sandbox::{Sandbox, TOKEN};

#[tokio::test]
async fn only_the_sandboxes_own_token_is_let_in() {
    let sandbox = Sandbox::start().await;
    for path in ["/v2/account", "/v2/nowhere", "/sandbox/v1/status"] {
        for token in ["wrong", "", "dop_v1_test2"] {
            let response = sandbox.raw(Method::GET, path, None, token).await;
            assert_eq!(response.status(), 401, "{path} {token}");
            let id = response.headers()["x-request-id"].to_str().unwrap().to_owned();
            let body: Value = response.json().await.unwrap();
            let expected = json!({ "id": "Unauthorized", "message": "Unable to authenticate you", "request_id": id });
            assert_eq!(body, expected);
        }
    }
    assert_eq!(sandbox.raw(Method::GET, "/v2/account", None, TOKEN).await.status(), 200);
}

#[tokio::test]
async fn what_there_is_not_answers_501_and_bad_bodies_400() {
    let sandbox = Sandbox::start().await;
    for (method, path) in [
        (Method::DELETE, "/v2/load_balancers/4de7ac8b-495b-4884-9a69-1050c6793cd6/cache"),
        (Method::GET, "/v2/monitoring/metrics/load_balancer/droplets_connections"),
        (Method::GET, "/v2/databases"),
        (Method::POST, "/v2/volumes"),
        (Method::POST, "/v2/projects"),
        (Method::GET, "/v2/droplets/1/kernels"),
        (Method::GET, "/v2/droplets/autoscale"),
        (Method::POST, "/v2/droplets/autoscale"),
        (Method::POST, "/v2/firewalls"),
        (Method::DELETE, "/v2/account"),
    ] {
        let (status, body) = sandbox.call(method.clone(), path, None).await;
        assert_eq!((status, &body["id"]), (501, &json!("not_implemented")), "{method} {path}");
    }
    let (status, body) = sandbox.call(Method::POST, "/v2/droplets", Some(json!([1]))).await;
    assert_eq!((status, &body["id"]), (400, &json!("bad_request")));
    sandbox.finish();
}

#[tokio::test]
async fn a_slash_at_the_end_of_a_path_changes_nothing() {
    let sandbox = Sandbox::start().await;
    let id = sandbox.droplet("web").await;
    for path in
        ["/v2/account", "/v2/droplets", "/v2/account/keys", &format!("/v2/droplets/{id}"), "/v2/images?per_page=1"]
    {
        let (path, query) =
            path.split_once('?').map_or((path, String::new()), |(path, query)| (path, format!("?{query}")));
        let plain = sandbox.get(&format!("{path}{query}")).await;
        assert_eq!(sandbox.get(&format!("{path}/{query}")).await, plain, "{path}/{query}");
    }
    for path in ["/v2/nowhere/", "/v2/droplets//"] {
        assert_eq!(sandbox.call(Method::GET, path, None).await.0, 501, "{path}");
    }
    sandbox.finish();
}

#[tokio::test]
async fn what_would_have_to_be_ignored_is_refused() {
    let sandbox = Sandbox::start().await;
    for (field, value) in [
        ("backup_policy", json!({ "plan": "daily", "hour": 4 })),
        ("public_networking", json!(false)),
        ("with_droplet_agent", json!(true)),
        ("volumes", json!(["v"])),
    ] {
        let mut body = super::sandbox::droplet("web");
        body[field] = value;
        assert_eq!(sandbox.call(Method::POST, "/v2/droplets", Some(body)).await.0, 501, "{field}");
    }
    for field in ["description", "distribution"] {
        let body = Some(json!({ "name": "new", field: "text" }));
        assert_eq!(sandbox.call(Method::PUT, "/v2/images/1", body).await.0, 501, "{field}");
    }
    let in_project = |project: &str| Some(json!({ "region": "nyc3", "project_id": project }));
    let other = in_project("4e1bfbc3-dc3e-41f2-a18f-1b4d7ba71679");
    assert_eq!(sandbox.call(Method::POST, "/v2/reserved_ips", other).await.0, 404);
    assert_eq!(sandbox.get("/v2/reserved_ips").await["meta"]["total"], 0);
    let project = sandbox.get("/v2/projects/default").await["project"]["id"].as_str().unwrap().to_owned();
    assert_eq!(sandbox.call(Method::POST, "/v2/reserved_ips", in_project(&project)).await.0, 202);
    assert_eq!(sandbox.get("/v2/droplets").await["meta"]["total"], 0);
    sandbox.finish();
}

#[tokio::test]
async fn what_can_only_be_empty_is_listed() {
    let sandbox = Sandbox::start().await;
    let id = sandbox.droplet("web").await;
    for (path, key) in [
        ("/v2/certificates".to_owned(), "certificates"),
        ("/v2/firewalls".to_owned(), "firewalls"),
        ("/v2/volumes".to_owned(), "volumes"),
        (format!("/v2/droplets/{id}/backups"), "backups"),
        (format!("/v2/droplets/{id}/firewalls"), "firewalls"),
    ] {
        let list = sandbox.get(&path).await;
        assert_eq!((&list[key], &list["meta"]["total"]), (&json!([]), &json!(0)), "{path}");
    }
    for path in ["/v2/droplets/1/backups", "/v2/droplets/1/firewalls", "/v2/droplets/web/backups"] {
        assert_eq!(sandbox.call(Method::GET, path, None).await.0, 404, "{path}");
    }
    sandbox.finish();
}

#[tokio::test]
async fn lists_come_in_pages() {
    let sandbox = Sandbox::start().await;
    for n in 0..45 {
        sandbox.post("/v2/tags", json!({ "name": format!("tag-{n:02}") })).await;
    }
    let first = sandbox.get("/v2/tags").await;
    assert_eq!(first["tags"].as_array().unwrap().len(), 20);
    assert_eq!(first["meta"]["total"], 45);
    let next = first["links"]["pages"]["next"].as_str().unwrap();
    assert!(next.starts_with(&sandbox.url("/v2/tags?")), "{next}");
    assert!(first["links"]["pages"].get("prev").is_none());
    let last = sandbox.get("/v2/tags?page=3").await;
    assert_eq!(last["tags"][4]["name"], "tag-44");
    assert!(last["links"]["pages"].get("next").is_none());
    assert!(last["links"]["pages"]["prev"].as_str().unwrap().contains("page=2"));
    let whole = sandbox.get("/v2/tags?per_page=500").await;
    assert_eq!(whole["tags"].as_array().unwrap().len(), 45);
    assert_eq!(whole["links"], json!({}));
    assert_eq!(sandbox.get("/v2/tags?page=9").await["tags"], json!([]));
    let middle = sandbox.get("/v2/tags?per_page=10&page=2").await;
    assert!(middle["links"]["pages"]["next"].as_str().unwrap().contains("per_page=10"));
    sandbox.finish();
}

#[tokio::test]
async fn account_regions_sizes_projects_and_vpcs() {
    let sandbox = Sandbox::start().await;
    let account = sandbox.get("/v2/account").await;
    assert_eq!((&account["account"]["droplet_limit"], &account["account"]["status"]), (&json!(25), &json!("active")));
    let regions = sandbox.get("/v2/regions").await;
    assert!(regions["regions"].as_array().unwrap().iter().any(|region| region["slug"] == "nyc3"));
    assert!(sandbox.get("/v2/sizes").await["meta"]["total"].as_u64().unwrap() >= 12);
    let id = sandbox.droplet("web").await;
    let urn = format!("do:droplet:{id}");
    assert_eq!(sandbox.get("/v2/projects").await["projects"][0]["is_default"], true);
    sandbox.get("/v2/projects/default").await;
    assert_eq!(sandbox.get("/v2/projects/default/resources").await["resources"][0]["urn"], urn);
    let again = sandbox.post("/v2/projects/default/resources", json!({ "resources": [urn] })).await;
    assert_eq!(again["resources"][0]["status"], "already_assigned");
    let vpc = sandbox.get(&format!("/v2/droplets/{id}")).await["droplet"]["vpc_uuid"].clone();
    let vpc = vpc.as_str().unwrap();
    assert_eq!(sandbox.get(&format!("/v2/vpcs/{vpc}")).await["vpc"]["region"], "fra1");
    assert_eq!(sandbox.get(&format!("/v2/vpcs/{vpc}/members")).await["members"][0]["urn"], urn);
    sandbox.get("/v2/vpcs").await;
    sandbox.finish();
}

#[tokio::test]
async fn keys_are_unique() {
    let sandbox = Sandbox::start().await;
    let line = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl";
    let key = sandbox.post("/v2/account/keys", json!({ "name": "a", "public_key": line })).await;
    let again = sandbox.refused("/v2/account/keys", json!({ "name": "b", "public_key": format!("{line} x") })).await;
    assert_eq!(again, "SSH Key is already in use on your account");
    let path = format!("/v2/account/keys/{}", key["ssh_key"]["fingerprint"].as_str().unwrap());
    assert_eq!(sandbox.get(&path).await["ssh_key"]["id"], key["ssh_key"]["id"]);
    let (status, renamed) = sandbox.call(Method::PUT, &path, Some(json!({ "name": "c" }))).await;
    assert_eq!((status, &renamed["ssh_key"]["name"]), (200, &json!("c")));
    let mut body = super::sandbox::droplet("web");
    body["ssh_keys"] = json!([key["ssh_key"]["id"]]);
    let id = sandbox.post("/v2/droplets", body.clone()).await["droplet"]["id"].as_u64().unwrap();
    sandbox.until(&format!("/v2/droplets/{id}"), |_, body| body["droplet"]["status"] == "active").await;
    assert_eq!(sandbox.machines.table.lock().unwrap()[&id].0.ssh_keys, [line]);
    assert_eq!(sandbox.delete(&path).await, 204);
    assert_eq!(sandbox.delete(&path).await, 404);
    assert!(sandbox.refused("/v2/droplets", body).await.contains("invalid key identifiers"));
    assert_eq!(sandbox.get("/v2/account/keys").await["meta"]["total"], 0);
    sandbox.finish();
}
