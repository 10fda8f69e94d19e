//! Domains and records.

use reqwest::Method;
use serde_json::json;

use super::sandbox::Sandbox;

#[tokio::test]
async fn a_zone_is_told_to_the_edge_after_each_change() {
    let sandbox = Sandbox::start().await;
    let made = sandbox.post("/v2/domains", json!({ "name": "example.com" })).await;
    assert_eq!(made["domain"]["name"], "example.com");
    let told = || sandbox.edge.zones.lock().unwrap()["example.com"].records.clone();
    assert_eq!(told().iter().filter(|record| record.kind == "NS").count(), 3);
    assert_eq!(sandbox.refused("/v2/domains", json!({ "name": "example.com" })).await, "Name already exists");

    let records = "/v2/domains/example.com/records";
    let www = json!({ "type": "A", "name": "www", "data": "127.7.128.10", "ttl": 60 });
    let www = sandbox.post(records, www).await["domain_record"].clone();
    let path = format!("{records}/{}", www["id"]);
    assert!(told().iter().any(|record| record.name == "www" && record.data == "127.7.128.10"));
    let found = sandbox.get(&format!("{records}?name=www.example.com&type=A")).await;
    assert_eq!((&found["meta"]["total"], &found["domain_records"][0]["id"]), (&json!(1), &www["id"]));
    for (method, data) in [(Method::PATCH, "127.7.128.11"), (Method::PUT, "127.7.128.12")] {
        let body = json!({ "type": "A", "data": data });
        let (status, changed) = sandbox.call(method, &path, Some(body)).await;
        assert_eq!((status, &changed["domain_record"]["data"]), (200, &json!(data)));
        assert_eq!(changed["domain_record"]["ttl"], 60);
        assert!(told().iter().any(|record| record.data == data));
    }
    sandbox.post(records, json!({ "type": "A", "name": "www", "data": "127.7.128.13", "ttl": 120 })).await;
    assert_eq!(sandbox.get(&path).await["domain_record"]["ttl"], 120);
    for (kind, extra) in [("MX", json!({ "priority": 10 })), ("CNAME", json!({})), ("NS", json!({}))] {
        let mut body = json!({ "type": kind, "name": kind, "data": "mail.example.org" });
        body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        assert_eq!(sandbox.refused(records, body.clone()).await, "Data needs to end with a dot (.)");
        body["data"] = json!("mail.example.org.");
        assert_eq!(sandbox.post(records, body).await["domain_record"]["data"], "mail.example.org");
    }
    for body in [
        json!({ "type": "AAAA", "name": "six", "data": "2001:db8::1" }),
        json!({ "type": "TXT", "name": "@", "data": "v=spf1 -all" }),
        json!({ "type": "SRV", "name": "_x._tcp", "data": "h", "priority": 1, "port": 2, "weight": 3 }),
        json!({ "type": "CAA", "name": "@", "data": "ca.org.", "flags": 0, "tag": "issue" }),
    ] {
        sandbox.post(records, body).await;
    }
    assert!(sandbox.refused(records, json!({ "type": "PTR", "name": "p", "data": "x" })).await.contains("Type"));
    let zone = sandbox.get("/v2/domains/example.com").await;
    assert!(zone["domain"]["zone_file"].as_str().unwrap().contains("www.example.com. 120 IN A 127.7.128.13"));
    sandbox.get("/v2/domains").await;

    assert_eq!(sandbox.delete(&path).await, 204);
    assert!(!told().iter().any(|record| record.data == "127.7.128.12"));
    assert_eq!(sandbox.delete(&path).await, 404);
    assert_eq!(sandbox.delete("/v2/domains/example.com").await, 204);
    assert!(sandbox.edge.zones.lock().unwrap().is_empty());
    assert_eq!(sandbox.call(Method::GET, records, None).await.0, 404);
    sandbox.finish();
}
