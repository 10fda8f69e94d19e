use std::time::Duration;

use remint_core::provider::{DnsZones, ErrorKind, Provider, RecordKind, RecordSet};
use wiremock::{
    Mock, MockServer, ResponseTemplate,
    matchers::{method, path},
};

use crate::testing::{elb, provider, serve};

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

const HOST: &str = "remint-0123456789abcdef-50dc6c495c0c9188.elb.us-east-1.amazonaws.com";

/// The region's load balancers, of which one has the host name.
async fn serve_balancer(server: &MockServer) {
    let inside = format!(
        "<LoadBalancers><member><DNSName>other</DNSName><CanonicalHostedZoneId>ZOTHER</CanonicalHostedZoneId></member>\
         <member><DNSName>{HOST}</DNSName><CanonicalHostedZoneId>Z26RNL4JYFTOTI</CanonicalHostedZoneId></member>\
         </LoadBalancers>"
    );
    serve(server, "DescribeLoadBalancers", vec![elb("DescribeLoadBalancers", &inside)]).await;
}

fn alias_set(evaluates: bool) -> String {
    format!(
        "<ResourceRecordSet><Name>\\052.example.com.</Name><Type>A</Type><AliasTarget><HostedZoneId>Z26RNL4JYFTOTI\
         </HostedZoneId><DNSName>{HOST}.</DNSName><EvaluateTargetHealth>{evaluates}</EvaluateTargetHealth></AliasTarget>\
         </ResourceRecordSet>"
    )
}

/// A zone that has these sets, and takes a change; and what the change said.
async fn upserted(sets: &str, wanted: &RecordSet) -> Option<String> {
    let server = MockServer::start().await;
    serve_zones(&server, &[zone(ZONE, "example.com.", false)]).await;
    serve_sets(&server, sets).await;
    serve_balancer(&server).await;
    Mock::given(method("POST"))
        .and(path(format!("/2013-04-01/hostedzone/{ZONE}/rrset")))
        .respond_with(xml("ChangeResourceRecordSetsResponse", &change("INSYNC")))
        .mount(&server)
        .await;
    provider(&server).upsert(wanted).await.unwrap();
    let requests = server.received_requests().await.unwrap();
    let change = requests.into_iter().find(|request| request.url.path().ends_with("rrset") && !request.body.is_empty());
    change.map(|request| String::from_utf8(request.body).unwrap())
}

#[tokio::test]
async fn a_host_name_as_an_address_is_an_alias() {
    let body = upserted(&set("\\052.example.com.", "A", "192.0.2.1"), &wanted(RecordKind::A, HOST)).await.unwrap();
    for part in [
        "<Action>UPSERT</Action>",
        "<HostedZoneId>Z26RNL4JYFTOTI</HostedZoneId>",
        &format!("<DNSName>{HOST}</DNSName>"),
        "<EvaluateTargetHealth>false</EvaluateTargetHealth>",
    ] {
        assert!(body.contains(part), "{part}: {body}");
    }
    assert!(!body.contains("<TTL>") && !body.contains("<ResourceRecords>"), "{body}");
}

#[tokio::test]
async fn an_alias_that_is_there_is_left_alone_and_becomes_addresses_in_one_change() {
    let alias = wanted(RecordKind::A, HOST);
    assert_eq!(upserted(&alias_set(false), &alias).await, None);
    assert!(upserted(&alias_set(true), &alias).await.is_some(), "it depends on health");
    let body = upserted(&alias_set(false), &wanted(RecordKind::A, "192.0.2.1")).await.unwrap();
    assert_eq!(body.matches("<Change>").count(), 1, "{body}");
    assert!(body.contains("<TTL>300</TTL>") && !body.contains("<AliasTarget>"), "{body}");
}

#[tokio::test]
async fn an_alias_is_shown_with_the_time_to_live_of_route_53() {
    let server = MockServer::start().await;
    serve_zones(&server, &[zone(ZONE, "example.com.", false)]).await;
    serve_sets(&server, &alias_set(false)).await;
    let found = provider(&server).get("example.com", "*", RecordKind::A).await.unwrap().unwrap();
    assert_eq!((found.alias(), found.ttl), (Some(HOST), Duration::from_secs(60)));
}

#[tokio::test]
async fn a_host_name_of_no_load_balancer_is_refused() {
    let server = MockServer::start().await;
    serve_zones(&server, &[zone(ZONE, "example.com.", false)]).await;
    serve_sets(&server, "").await;
    serve_balancer(&server).await;
    let aws = provider(&server);
    let error = aws.upsert(&wanted(RecordKind::A, "www.example.org")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
    assert!(error.hint().unwrap().contains("CNAME"), "{error:?}");
    assert_eq!(aws.calls().count().mutations, 0);
}
