//! Hosted zones and their records, and that the DNS server serves them.

use hickory_resolver::{
    TokioResolver,
    config::{ConnectionConfig, NameServerConfig, ResolverConfig},
    net::runtime::TokioRuntimeProvider,
};
use reqwest::Method;

use super::account::Account;

const NAMESPACE: &str = "https://route53.amazonaws.com/doc/2013-04-01/";

fn new_zone(name: &str, reference: &str) -> String {
    format!(
        "<CreateHostedZoneRequest xmlns=\"{NAMESPACE}\"><Name>{name}</Name><CallerReference>{reference}</CallerReference>\
         </CreateHostedZoneRequest>"
    )
}

fn set(action: &str, name: &str, kind: &str, ttl: u32, values: &[&str]) -> String {
    let values: String =
        values.iter().map(|value| format!("<ResourceRecord><Value>{value}</Value></ResourceRecord>")).collect();
    format!(
        "<Change><Action>{action}</Action><ResourceRecordSet><Name>{name}</Name><Type>{kind}</Type><TTL>{ttl}</TTL>\
         <ResourceRecords>{values}</ResourceRecords></ResourceRecordSet></Change>"
    )
}

fn batch(changes: &[String]) -> String {
    format!(
        "<ChangeResourceRecordSetsRequest xmlns=\"{NAMESPACE}\"><ChangeBatch><Comment>c</Comment><Changes>{}</Changes>\
         </ChangeBatch></ChangeResourceRecordSetsRequest>",
        changes.concat()
    )
}

async fn look(account: &Account, name: &str) -> Vec<String> {
    let mut connection = ConnectionConfig::udp();
    connection.port = account.sandbox.dns().port();
    let server = NameServerConfig::new(account.sandbox.dns().ip(), true, vec![connection]);
    let config = ResolverConfig::from_name_servers(vec![server]);
    let mut builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
    builder.options_mut().cache_size = 0;
    let resolver = builder.build().unwrap();
    let found = resolver.lookup(name, hickory_proto::rr::RecordType::A).await;
    found.map(|found| found.answers().iter().map(|record| record.data.to_string()).collect()).unwrap_or_default()
}

#[tokio::test]
async fn records_are_changed_in_batches_and_served() {
    let account = Account::start().await;
    let made = account.zones(Method::POST, "/2013-04-01/hostedzone", &new_zone("example.test", "one")).await.good();
    assert_eq!(made.status, 201);
    assert_eq!(made.get("Status").unwrap(), "PENDING");
    assert_eq!(made.all("NameServer").len(), 4);
    let zone = made.get("Id").unwrap().trim_start_matches("/hostedzone/").to_owned();
    let again = account.zones(Method::POST, "/2013-04-01/hostedzone", &new_zone("example.test", "one")).await;
    assert_eq!((again.status, again.code().as_str()), (409, "HostedZoneAlreadyExists"));
    let sets = format!("/2013-04-01/hostedzone/{zone}/rrset");
    let change = async |changes: &[String]| account.zones(Method::POST, &format!("{sets}/"), &batch(changes)).await;

    let www = set("CREATE", "www.example.test", "A", 60, &["127.9.0.1"]);
    let begun = change(std::slice::from_ref(&www)).await.good();
    let id = begun.get("Id").unwrap();
    assert!(id.starts_with("/change/C") && begun.get("Status").unwrap() == "PENDING", "{begun:?}");
    let done = account.zones(Method::GET, &format!("/2013-04-01{id}"), "").await.good();
    assert_eq!(done.get("Status").unwrap(), "INSYNC");
    assert_eq!(look(&account, "www.example.test.").await, ["127.9.0.1"]);

    // One of a batch that cannot be is the end of all.
    let refused = change(&[set("UPSERT", "api.example.test.", "A", 60, &["127.9.0.2"]), www]).await;
    assert_eq!((refused.status, refused.code().as_str()), (400, "InvalidChangeBatch"));
    assert!(refused.text.contains("already exists"), "{refused:?}");
    assert!(look(&account, "api.example.test.").await.is_empty());
    let wrong = change(&[set("DELETE", "www.example.test.", "A", 61, &["127.9.0.1"])]).await;
    assert!(wrong.text.contains("do not match"), "{wrong:?}");

    change(&[
        set("UPSERT", "www.example.test.", "A", 30, &["127.9.0.3"]),
        set("UPSERT", "\\052.example.test.", "A", 30, &["127.9.0.4"]),
        set("CREATE", "www.example.test.", "TXT", 30, &["\"v=1; &amp;\""]),
    ])
    .await
    .good();
    assert_eq!(look(&account, "www.example.test.").await, ["127.9.0.3"]);
    assert_eq!(look(&account, "any.example.test.").await, ["127.9.0.4"]);

    let listed = account.zones(Method::GET, &sets, "").await.good();
    assert_eq!(
        listed.all("Name"),
        ["example.test.", "example.test.", "\\052.example.test.", "www.example.test.", "www.example.test."]
    );
    assert_eq!(listed.all("Type"), ["NS", "SOA", "A", "A", "TXT"]);
    let page = account.zones(Method::GET, &format!("{sets}?maxitems=2&name=www.example.test&type=A"), "").await.good();
    assert_eq!((page.all("Type"), page.get("IsTruncated").unwrap()), (vec!["A".into(), "TXT".into()], "false".into()));
    let page = account.zones(Method::GET, &format!("{sets}?maxitems=3"), "").await.good();
    assert_eq!(page.get("NextRecordName").unwrap(), "www.example.test.");
    assert_eq!((page.get("NextRecordType").unwrap(), page.all("Type").len()), ("A".into(), 3));

    let path = format!("/2013-04-01/hostedzone/{zone}");
    assert_eq!(account.zones(Method::DELETE, &path, "").await.code(), "HostedZoneNotEmpty");
    change(&[
        set("DELETE", "www.example.test.", "A", 30, &["127.9.0.3"]),
        set("DELETE", "*.example.test.", "A", 30, &["127.9.0.4"]),
        set("DELETE", "www.example.test.", "TXT", 30, &["\"v=1; &amp;\""]),
    ])
    .await
    .good();
    account.zones(Method::DELETE, &path, "").await.good();
    assert_eq!(account.zones(Method::GET, &path, "").await.code(), "NoSuchHostedZone");
    assert!(look(&account, "www.example.test.").await.is_empty());
}

#[tokio::test]
async fn zones_are_listed_by_name() {
    let account = Account::start().await;
    for name in ["b.test", "a.test", "x.a.test"] {
        account.zones(Method::POST, "/2013-04-01/hostedzone", &new_zone(name, name)).await.good();
    }
    account.sandbox.add_zone(remint_sandbox::cloud::Api::Ec2, "made.test").await.unwrap();
    let all = account.zones(Method::GET, "/2013-04-01/hostedzonesbyname", "").await.good();
    assert_eq!(all.all("Name"), ["a.test.", "x.a.test.", "b.test.", "made.test."]);
    let from = account.zones(Method::GET, "/2013-04-01/hostedzonesbyname?dnsname=b.test&maxitems=1", "").await.good();
    assert_eq!(from.all("Name"), ["b.test."]);
    assert_eq!(from.get("NextDNSName").unwrap(), "made.test.");
    let listed = account.zones(Method::GET, "/2013-04-01/hostedzone?maxitems=3", "").await.good();
    assert_eq!((listed.all("Name").len(), listed.get("IsTruncated").unwrap()), (3, "true".to_owned()));
    let bad = account.zones(Method::POST, "/2013-04-01/hostedzone", &new_zone("a_b", "r")).await;
    assert_eq!(bad.code(), "InvalidDomainName");
    assert_eq!(account.zones(Method::GET, "/2013-04-01/change/C1", "").await.code(), "NoSuchChange");
}
