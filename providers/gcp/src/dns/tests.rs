use std::time::Duration;

use remint_core::provider::Provider;
use serde_json::{Value, json};
use wiremock::MockServer;

use super::*;
use crate::testing::{self, query, refusal, requests, serve};

const ZONES: &str = "/dns/v1/projects/mine/managedZones";
const RECORDS: &str = "/dns/v1/projects/mine/managedZones/zone-1/rrsets";
const CHANGES: &str = "/dns/v1/projects/mine/managedZones/zone-1/changes";

fn set(kind: RecordKind, values: &[&str]) -> RecordSet {
    let values = values.iter().map(|&value| value.to_owned()).collect();
    RecordSet { zone: "example.com".into(), name: "www".into(), kind, ttl: Duration::from_secs(300), values }
}

fn record(kind: &str, ttl: u32, data: &[&str]) -> Value {
    json!({"name": "www.example.com.", "type": kind, "ttl": ttl, "rrdatas": data})
}

async fn zone(server: &MockServer, records: Vec<Vec<Value>>) {
    let private = json!({"name": "inside", "dnsName": "example.com.", "visibility": "private"});
    let public = json!({"name": "zone-1", "dnsName": "example.com.", "visibility": "public",
        "nameServers": ["ns-cloud-a1.googledomains.com."]});
    serve(server, "GET", ZONES, vec![testing::json(json!({"managedZones": [private, public]}))]).await;
    let answers = records.into_iter().map(|rrsets| testing::json(json!({ "rrsets": rrsets })));
    serve(server, "GET", RECORDS, answers.collect()).await;
}

fn changed() -> wiremock::ResponseTemplate {
    testing::json(json!({"id": "1", "status": "pending"}))
}

#[tokio::test]
async fn a_record_set_is_replaced_by_one_change() {
    let server = MockServer::start().await;
    zone(&server, vec![vec![record("A", 60, &["192.0.2.1"]), record("TXT", 60, &["\"x\""])]]).await;
    serve(&server, "POST", CHANGES, vec![changed()]).await;
    let gcp = testing::provider(&server).await;
    assert_eq!(gcp.zone("Example.com.").await.unwrap().name_servers, ["ns-cloud-a1.googledomains.com"]);
    gcp.upsert(&set(RecordKind::A, &["192.0.2.2", "192.0.2.1"])).await.unwrap();
    let sent: Value = requests(&server, "POST", CHANGES).await[0].body_json().unwrap();
    assert_eq!(sent["additions"], json!([record("A", 300, &["192.0.2.2", "192.0.2.1"])]));
    assert_eq!(sent["deletions"], json!([record("A", 60, &["192.0.2.1"])]));
    assert_eq!(query(&requests(&server, "GET", RECORDS).await[0], "name"), "www.example.com.");
    assert_eq!(requests(&server, "GET", ZONES).await.len(), 1, "the zone is looked up once");
}

#[tokio::test]
async fn a_record_set_that_stands_is_left_alone() {
    let server = MockServer::start().await;
    let standing = vec![
        record("A", 300, &["192.0.2.2", "192.0.2.1"]),
        record("AAAA", 300, &["2001:db8:0:0:0:0:0:1"]),
        record("TXT", 300, &["\"a b\""]),
    ];
    zone(&server, vec![standing]).await;
    let gcp = testing::provider(&server).await;
    gcp.upsert(&set(RecordKind::A, &["192.0.2.1", "192.0.2.2"])).await.unwrap();
    gcp.upsert(&set(RecordKind::Aaaa, &["2001:db8::1"])).await.unwrap();
    gcp.upsert(&set(RecordKind::Txt, &["a b"])).await.unwrap();
    gcp.remove("example.com", "www", RecordKind::Cname).await.unwrap();
    assert_eq!(gcp.calls().count().mutations, 0);
    let found = gcp.get("example.com", "www", RecordKind::Txt).await.unwrap().unwrap();
    assert_eq!(found, set(RecordKind::Txt, &["a b"]));
}

#[tokio::test]
async fn a_record_set_that_changed_meanwhile_is_read_again() {
    let server = MockServer::start().await;
    zone(&server, vec![vec![record("A", 60, &["192.0.2.1"])], vec![record("A", 60, &["192.0.2.9"])]]).await;
    let stale = refusal(412, "conditionNotMet", "Precondition not met for 'entity.change.deletions[0]'");
    serve(&server, "POST", CHANGES, vec![stale, changed()]).await;
    let gcp = testing::provider(&server).await;
    gcp.upsert(&set(RecordKind::A, &["192.0.2.2"])).await.unwrap();
    let sent = requests(&server, "POST", CHANGES).await;
    let last: Value = sent[1].body_json().unwrap();
    assert_eq!((sent.len(), &last["deletions"][0]["rrdatas"]), (2, &json!(["192.0.2.9"])));
}

#[tokio::test]
async fn a_lost_reply_is_settled_by_looking() {
    let server = MockServer::start().await;
    zone(&server, vec![vec![record("A", 300, &["192.0.2.1"])], vec![]]).await;
    serve(&server, "POST", CHANGES, vec![testing::lost()]).await;
    testing::provider(&server).await.remove("example.com", "www", RecordKind::A).await.unwrap();
    assert_eq!(requests(&server, "POST", CHANGES).await.len(), 1, "a change is never repeated blindly");
}

#[tokio::test]
async fn a_cname_excludes_others() {
    let server = MockServer::start().await;
    zone(&server, vec![vec![record("CNAME", 300, &["elsewhere.example."])]]).await;
    let gcp = testing::provider(&server).await;
    let error = gcp.upsert(&set(RecordKind::A, &["192.0.2.1"])).await.unwrap_err();
    assert_eq!((error.kind(), error.effect()), (ErrorKind::Conflict, Effect::NotApplied));
    gcp.upsert(&set(RecordKind::Cname, &["elsewhere.example"])).await.unwrap();
    assert_eq!(gcp.calls().count().mutations, 0);
}

#[tokio::test]
async fn an_unknown_zone_names_those_that_are_there() {
    let server = MockServer::start().await;
    let other = json!({"managedZones": [{"name": "zone-1", "dnsName": "example.org.", "visibility": "public"}]});
    serve(&server, "GET", ZONES, vec![testing::json(json!({})), testing::json(other)]).await;
    let gcp = testing::provider(&server).await;
    let error = gcp.get("example.com", "www", RecordKind::A).await.unwrap_err();
    assert_eq!((error.kind(), error.hint()), (ErrorKind::NotFound, Some("zones of the project: example.org")));
    let mut short = set(RecordKind::A, &["192.0.2.1"]);
    short.ttl = Duration::ZERO;
    assert_eq!(gcp.upsert(&short).await.unwrap_err().kind(), ErrorKind::InvalidInput);
}
