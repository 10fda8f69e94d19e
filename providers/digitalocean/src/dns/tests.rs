use remint_core::provider::Provider;
use serde_json::json;
use wiremock::{MockServer, ResponseTemplate};

use super::*;
use crate::testing::{self, serve};

const RECORDS: &str = "/v2/domains/example.com/records";

fn set(kind: RecordKind, ttl: u64, values: &[&str]) -> RecordSet {
    let values = values.iter().map(|&value| value.to_owned()).collect();
    let (zone, name) = ("example.com".to_owned(), "www".to_owned());
    RecordSet { zone, name, kind, ttl: Duration::from_secs(ttl), values }
}

fn record(id: u64, kind: &str, name: &str, data: &str, ttl: u64) -> Value {
    json!({"id": id, "type": kind, "name": name, "data": data, "ttl": ttl, "priority": null})
}

fn listed(records: &[Value]) -> ResponseTemplate {
    testing::json(json!({"domain_records": records, "links": {}}))
}

fn accepted(id: u64, ttl: u64) -> ResponseTemplate {
    testing::status(201, json!({"domain_record": record(id, "A", "www", "x", ttl)}))
}

#[tokio::test]
async fn one_value_replaces_another_in_a_single_call() {
    let server = MockServer::start().await;
    let standing = [record(1, "A", "www", "192.0.2.1", 60), record(2, "TXT", "www", "192.0.2.2", 60)];
    serve(&server, "GET", RECORDS, vec![listed(&standing)]).await;
    serve(&server, "PATCH", &format!("{RECORDS}/1"), vec![accepted(1, 60)]).await;
    let cloud = testing::provider(&server);
    cloud.upsert(&set(RecordKind::A, 60, &["192.0.2.2"])).await.unwrap();
    let sent = testing::bodies(&server, "PATCH", &format!("{RECORDS}/1")).await;
    assert_eq!(sent, [json!({"type": "A", "data": "192.0.2.2", "ttl": 60})]);
    assert_eq!(cloud.calls().count().total(), 2);
}

#[tokio::test]
async fn a_record_that_is_being_made_for_a_dropped_call_is_the_one_of_the_next() {
    let server = MockServer::start().await;
    let standing = [record(1, "A", "www", "192.0.2.1", 60)];
    testing::serve_late(&server, RECORDS, accepted(1, 60), [listed(&[]), listed(&standing)]).await;
    let cloud = testing::provider(&server);
    let wanted = set(RecordKind::A, 60, &["192.0.2.1"]);
    testing::drop_once_asked(&server, RECORDS, cloud.upsert(&wanted)).await;
    cloud.upsert(&wanted).await.unwrap();
    assert_eq!(testing::bodies(&server, "POST", RECORDS).await.len(), 1);
}

#[tokio::test]
async fn a_record_set_that_stands_is_left_alone() {
    let server = MockServer::start().await;
    let standing = [record(1, "CNAME", "www", "app.example.org.", 60)];
    serve(&server, "GET", RECORDS, vec![listed(&standing)]).await;
    let cloud = testing::provider(&server);
    let wanted = set(RecordKind::Cname, 60, &["app.example.org"]);
    cloud.upsert(&wanted).await.unwrap();
    assert_eq!(cloud.calls().count().mutations, 0);
    let found = DnsZones::get(&cloud, "example.com", "www", RecordKind::Cname).await.unwrap();
    assert_eq!(found, Some(wanted), "names carry no final dot here");
}

#[tokio::test]
async fn new_values_are_added_before_old_ones_go_and_the_ttl_is_said_again_where_it_was_rectified() {
    let server = MockServer::start().await;
    let standing = [record(1, "A", "www", "192.0.2.1", 300), record(2, "A", "www", "192.0.2.2", 300)];
    serve(&server, "GET", RECORDS, vec![listed(&standing)]).await;
    serve(&server, "POST", RECORDS, vec![accepted(3, 300)]).await;
    serve(&server, "PATCH", &format!("{RECORDS}/3"), vec![accepted(3, 60)]).await;
    for id in [1, 2] {
        serve(&server, "DELETE", &format!("{RECORDS}/{id}"), vec![ResponseTemplate::new(204)]).await;
    }
    testing::provider(&server).upsert(&set(RecordKind::A, 60, &["192.0.2.3"])).await.unwrap();
    let changes = testing::asked(&server).await.split_off(1);
    let expected = ["POST", "PATCH", "DELETE", "DELETE"];
    assert_eq!(changes.iter().map(|call| call.split(' ').next().unwrap()).collect::<Vec<_>>(), expected, "{changes:?}");
}

#[tokio::test]
async fn only_the_ttl_changes_where_the_values_stand() {
    let server = MockServer::start().await;
    serve(&server, "GET", RECORDS, vec![listed(&[record(1, "A", "www", "192.0.2.1", 300)])]).await;
    serve(&server, "PATCH", &format!("{RECORDS}/1"), vec![accepted(1, 60)]).await;
    testing::provider(&server).upsert(&set(RecordKind::A, 60, &["192.0.2.1"])).await.unwrap();
    let sent = testing::bodies(&server, "PATCH", &format!("{RECORDS}/1")).await;
    assert_eq!(sent, [json!({"type": "A", "ttl": 60})]);
}

#[tokio::test]
async fn a_record_whose_reply_is_lost_is_not_made_twice() {
    let server = MockServer::start().await;
    let made = [record(1, "CNAME", "www", "app.example.org", 60)];
    serve(&server, "GET", RECORDS, vec![listed(&[]), listed(&made)]).await;
    serve(&server, "POST", RECORDS, vec![testing::lost()]).await;
    testing::provider(&server).upsert(&set(RecordKind::Cname, 60, &["app.example.org"])).await.unwrap();
    let sent = testing::bodies(&server, "POST", RECORDS).await;
    assert_eq!(sent, [json!({"type": "CNAME", "name": "www", "data": "app.example.org.", "ttl": 60})]);
}

#[tokio::test]
async fn a_cname_and_other_records_exclude_each_other() {
    let server = MockServer::start().await;
    let a = listed(&[record(1, "A", "www", "192.0.2.1", 60)]);
    let cname = listed(&[record(1, "CNAME", "www", "b.example.org", 60)]);
    serve(&server, "GET", RECORDS, vec![a, cname]).await;
    let cloud = testing::provider(&server);
    for wanted in [set(RecordKind::Cname, 60, &["a.example.org"]), set(RecordKind::A, 60, &["192.0.2.1"])] {
        assert_eq!(cloud.upsert(&wanted).await.unwrap_err().kind(), ErrorKind::Conflict);
    }
    assert_eq!(cloud.calls().count().mutations, 0);
}

#[tokio::test]
async fn a_set_that_cannot_be_is_refused_before_any_call() {
    let cloud = testing::provider(&MockServer::start().await);
    for wanted in [set(RecordKind::A, 29, &["192.0.2.1"]), set(RecordKind::A, 60, &[])] {
        assert_eq!(cloud.upsert(&wanted).await.unwrap_err().kind(), ErrorKind::InvalidInput);
    }
    assert_eq!(cloud.calls().count().total(), 0);
}

#[tokio::test]
async fn zones_are_found_or_named() {
    let server = MockServer::start().await;
    let file =
        "$ORIGIN example.com.\nexample.com. 1800 IN NS ns1.sandbox.test.\nsub.example.com. 1800 IN NS other.test.\n";
    let domain = json!({"name": "example.com", "ttl": 1800, "zone_file": file});
    serve(&server, "GET", "/v2/domains/example.com", vec![testing::json(json!({ "domain": domain }))]).await;
    let domains = json!({"domains": [domain], "links": {}});
    serve(&server, "GET", "/v2/domains", vec![testing::json(domains)]).await;
    let cloud = testing::provider(&server);
    assert_eq!(cloud.zone("example.com").await.unwrap().name_servers, ["ns1.sandbox.test"]);
    for error in [
        cloud.zone("example.org").await.unwrap_err(),
        DnsZones::get(&cloud, "example.org", "www", RecordKind::A).await.unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert!(error.hint().unwrap().contains("example.com"), "{error}");
    }
}

#[tokio::test]
async fn removing_what_is_not_there_is_a_success() {
    let server = MockServer::start().await;
    serve(&server, "GET", RECORDS, vec![listed(&[record(1, "A", "www", "192.0.2.1", 60)]), listed(&[])]).await;
    serve(&server, "DELETE", &format!("{RECORDS}/1"), vec![testing::status(404, json!({}))]).await;
    let cloud = testing::provider(&server);
    DnsZones::remove(&cloud, "example.com", "www", RecordKind::A).await.unwrap();
    DnsZones::remove(&cloud, "example.com", "www", RecordKind::A).await.unwrap();
    assert_eq!(cloud.calls().count().mutations, 1);
}
