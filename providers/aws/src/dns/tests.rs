use std::time::Duration;

use remint_core::provider::{DnsZones, ErrorKind, Provider, RecordKind, RecordSet};
use wiremock::{
    Mock, MockServer, ResponseTemplate,
    matchers::{method, path},
};

use crate::testing::provider;

const ROUTE53: &str = "https://route53.amazonaws.com/doc/2013-04-01/";
const ZONE: &str = "Z0123456789";

fn xml(name: &str, inside: &str) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_raw(format!("<{name} xmlns=\"{ROUTE53}\">{inside}</{name}>"), "text/xml")
}

fn zone(id: &str, name: &str, private: bool) -> String {
    format!(
        "<HostedZone><Id>/hostedzone/{id}</Id><Name>{name}</Name><CallerReference>x</CallerReference>\
         <Config><PrivateZone>{private}</PrivateZone></Config></HostedZone>"
    )
}

async fn get(server: &MockServer, route: &str, answer: ResponseTemplate) {
    Mock::given(method("GET")).and(path(format!("/2013-04-01/{route}"))).respond_with(answer).mount(server).await;
}

async fn serve_zones(server: &MockServer, zones: &[String]) {
    let inside = format!(
        "<HostedZones>{}</HostedZones><IsTruncated>false</IsTruncated><MaxItems>100</MaxItems>",
        zones.concat()
    );
    get(server, "hostedzonesbyname", xml("ListHostedZonesByNameResponse", &inside)).await;
    get(server, "hostedzone", xml("ListHostedZonesResponse", &format!("<Marker/>{inside}"))).await;
}

async fn serve_sets(server: &MockServer, sets: &str) {
    let inside = format!(
        "<ResourceRecordSets>{sets}</ResourceRecordSets><IsTruncated>false</IsTruncated><MaxItems>30</MaxItems>"
    );
    get(server, &format!("hostedzone/{ZONE}/rrset"), xml("ListResourceRecordSetsResponse", &inside)).await;
}

fn set(name: &str, kind: &str, value: &str) -> String {
    format!(
        "<ResourceRecordSet><Name>{name}</Name><Type>{kind}</Type><TTL>300</TTL><ResourceRecords><ResourceRecord>\
         <Value>{value}</Value></ResourceRecord></ResourceRecords></ResourceRecordSet>"
    )
}

fn change(status: &str) -> String {
    format!(
        "<ChangeInfo><Id>/change/C1</Id><Status>{status}</Status><SubmittedAt>2026-11-25T08:00:00Z</SubmittedAt>\
         </ChangeInfo>"
    )
}

fn wanted(kind: RecordKind, value: &str) -> RecordSet {
    RecordSet {
        zone: "example.com".into(),
        name: "*".into(),
        kind,
        ttl: Duration::from_secs(300),
        values: vec![value.to_owned()],
    }
}

#[tokio::test]
async fn a_private_zone_of_the_name_is_not_it() {
    let server = MockServer::start().await;
    serve_zones(&server, &[zone("ZPRIVATE", "example.com.", true), zone("ZOTHER", "example.org.", false)]).await;
    let error = provider(&server).zone("example.com").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.hint().unwrap().contains("example.org"), "{error:?}");
    assert!(!error.hint().unwrap().contains("example.com"), "{error:?}");
}

#[tokio::test]
async fn a_set_that_stands_is_left_alone_whatever_its_escapes() {
    let server = MockServer::start().await;
    serve_zones(&server, &[zone(ZONE, "example.com.", false)]).await;
    serve_sets(&server, &set("\\052.example.com.", "TXT", "&quot;a \\&quot;b\\&quot; \\303\\274&quot;")).await;
    let aws = provider(&server);
    aws.upsert(&wanted(RecordKind::Txt, "a \"b\" ü")).await.unwrap();
    assert_eq!(aws.calls().count().mutations, 0);
}

#[tokio::test]
async fn a_change_is_watched_until_all_servers_have_it() {
    let server = MockServer::start().await;
    serve_zones(&server, &[zone(ZONE, "example.com.", false)]).await;
    serve_sets(&server, "").await;
    Mock::given(method("POST"))
        .and(path(format!("/2013-04-01/hostedzone/{ZONE}/rrset")))
        .respond_with(xml("ChangeResourceRecordSetsResponse", &change("PENDING")))
        .expect(1)
        .mount(&server)
        .await;
    let pending = xml("GetChangeResponse", &change("PENDING"));
    Mock::given(method("GET"))
        .and(path("/2013-04-01/change/C1"))
        .respond_with(pending)
        .up_to_n_times(1)
        .mount(&server)
        .await;
    get(&server, "change/C1", xml("GetChangeResponse", &change("INSYNC"))).await;
    let aws = provider(&server);
    aws.upsert(&wanted(RecordKind::A, "192.0.2.1")).await.unwrap();
    let spent = aws.calls().count();
    assert_eq!((spent.mutations, spent.reads), (1, 4), "zone, sets, and two looks at the change");
    let requests = server.received_requests().await.unwrap();
    let body = requests.iter().find(|request| request.method.as_str() == "POST").unwrap();
    let body = String::from_utf8(body.body.clone()).unwrap();
    assert!(body.contains("<Action>UPSERT</Action>") && body.contains("<Name>*.example.com.</Name>"), "{body}");
}

#[tokio::test]
async fn a_cname_beside_other_records_is_a_conflict() {
    let server = MockServer::start().await;
    serve_zones(&server, &[zone(ZONE, "example.com.", false)]).await;
    serve_sets(&server, &set("\\052.example.com.", "A", "192.0.2.1")).await;
    let aws = provider(&server);
    let error = aws.upsert(&wanted(RecordKind::Cname, "elsewhere.example")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert_eq!(aws.calls().count().mutations, 0);
}
