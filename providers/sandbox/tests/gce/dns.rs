//! Cloud DNS.

use std::net::{Ipv4Addr, SocketAddr};

use hickory_resolver::{
    TokioResolver,
    config::{NameServerConfig, ResolverConfig},
    net::runtime::TokioRuntimeProvider,
};
use remint_sandbox::{cloud::Api, gce::PROJECT};
use reqwest::Method;
use serde_json::{Value, json};

use crate::client::{World, until};

impl World {
    /// A call of Cloud DNS, by its path below the project.
    async fn dns(&self, method: Method, below: &str, body: Option<&Value>) -> (u16, Value) {
        self.bare(method, &format!("/dns/v1/projects/{PROJECT}/{below}"), Some(&self.token), body).await
    }

    async fn zone(&self, name: &str, dns_name: &str) {
        let body = json!({ "name": name, "dnsName": dns_name, "description": "" });
        let (status, zone) = self.dns(Method::POST, "managedZones", Some(&body)).await;
        assert_eq!((status, &zone["dnsName"]), (200, &json!(dns_name)), "{zone}");
    }
}

fn reason((status, answer): (u16, Value)) -> (u16, String) {
    (status, answer["error"]["errors"][0]["reason"].as_str().unwrap_or_default().to_owned())
}

fn set(name: &str, kind: &str, ttl: u32, rrdatas: &[&str]) -> Value {
    json!({ "name": name, "type": kind, "ttl": ttl, "rrdatas": rrdatas })
}

async fn resolved(server: SocketAddr, name: &str) -> Vec<Ipv4Addr> {
    let mut config = ResolverConfig::default();
    let mut one = NameServerConfig::udp(server.ip());
    one.connections.iter_mut().for_each(|connection| connection.port = server.port());
    config.add_name_server(one);
    let mut builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
    builder.options_mut().cache_size = 0;
    let found = builder.build().unwrap().ipv4_lookup(name).await;
    found
        .map(|found| {
            found
                .answers()
                .iter()
                .filter_map(|r| match &r.data {
                    hickory_proto::rr::RData::A(ip) => Some(ip.0),
                    _ => None,
                })
                .collect()
        })
        .unwrap_or_default()
}

#[tokio::test]
async fn changes_are_made_as_a_whole_and_served() {
    let world = World::new().await;
    world.zone("example", "example.com.").await;
    let changes = "managedZones/example/changes";
    let www = set("www.example.com.", "A", 60, &["127.0.0.1"]);
    let (status, change) = world.dns(Method::POST, changes, Some(&json!({ "additions": [www] }))).await;
    assert_eq!((status, &change["status"], &change["id"]), (200, &json!("pending"), &json!("1")), "{change}");
    until("the change is done", async || {
        world.dns(Method::GET, &format!("{changes}/1"), None).await.1["status"] == "done"
    })
    .await;
    assert_eq!(resolved(world.sandbox.dns(), "www.example.com.").await, [Ipv4Addr::LOCALHOST]);

    for (change, code, why) in [
        (json!({}), 400, "required"),
        (json!({ "additions": [www] }), 409, "alreadyExists"),
        (json!({ "deletions": [set("www.example.com.", "A", 61, &["127.0.0.1"])] }), 412, "conditionNotMet"),
        (json!({ "deletions": [set("api.example.com.", "A", 60, &["127.0.0.1"])] }), 404, "notFound"),
        (json!({ "additions": [set("www.example.net.", "A", 60, &["127.0.0.1"])] }), 400, "invalid"),
        (
            json!({ "additions": [set("www.example.com.", "CNAME", 60, &["x.example.com."])] }),
            400,
            "cnameResourceRecordSetConflict",
        ),
        // The first would do; the second keeps both from happening.
        (
            json!({ "additions": [set("api.example.com.", "A", 60, &["127.0.0.1"]), set("x.example.com.", "A", 60, &["nonsense"])] }),
            400,
            "invalid",
        ),
    ] {
        let refused = reason(world.dns(Method::POST, changes, Some(&change)).await);
        assert_eq!(refused, (code, why.to_owned()), "{change}");
    }
    assert_eq!(world.dns(Method::GET, "managedZones/example/rrsets/api.example.com./A", None).await.0, 404);

    let both =
        json!({ "deletions": [www], "additions": [set("www.example.com.", "A", 30, &["127.0.0.2", "127.0.0.3"])] });
    assert_eq!(world.dns(Method::POST, changes, Some(&both)).await.0, 200);
    let mut now = resolved(world.sandbox.dns(), "www.example.com.").await;
    now.sort();
    assert_eq!(now, [Ipv4Addr::new(127, 0, 0, 2), Ipv4Addr::new(127, 0, 0, 3)]);
    let (_, list) = world.dns(Method::GET, changes, None).await;
    let ids: Vec<&Value> = list["changes"].as_array().unwrap().iter().map(|change| &change["id"]).collect();
    assert_eq!(ids, ["0", "1", "2"]);
}

#[tokio::test]
async fn record_sets_are_made_changed_and_deleted_one_by_one() {
    let world = World::new().await;
    world.zone("example", "example.com.").await;
    let sets = "managedZones/example/rrsets";
    let txt = set("example.com.", "TXT", 60, &["\"v=spf1 -all\""]);
    let (status, made) = world.dns(Method::POST, sets, Some(&txt)).await;
    assert_eq!(
        (status, &made["rrdatas"], &made["kind"]),
        (200, &txt["rrdatas"], &json!("dns#resourceRecordSet")),
        "{made}"
    );
    assert_eq!(reason(world.dns(Method::POST, sets, Some(&txt)).await), (409, "alreadyExists".to_owned()));
    let one = format!("{sets}/example.com./TXT");
    let (status, changed) = world.dns(Method::PATCH, &one, Some(&set("example.com.", "TXT", 90, &["\"other\""]))).await;
    assert_eq!((status, &changed["ttl"], &changed["rrdatas"]), (200, &json!(90), &json!(["\"other\""])));
    let (_, list) = world.dns(Method::GET, sets, None).await;
    let kinds: Vec<&Value> = list["rrsets"].as_array().unwrap().iter().map(|set| &set["type"]).collect();
    assert_eq!(kinds, ["NS", "SOA", "TXT"]);
    let (_, list) = world.dns(Method::GET, &format!("{sets}?name=example.com.&type=TXT"), None).await;
    assert_eq!(list["rrsets"].as_array().unwrap().len(), 1);
    let (_, page) = world.dns(Method::GET, &format!("{sets}?maxResults=2"), None).await;
    let token = page["nextPageToken"].as_str().unwrap();
    let (_, page) = world.dns(Method::GET, &format!("{sets}?maxResults=2&pageToken={token}"), None).await;
    assert_eq!(page["rrsets"][0]["type"], "TXT");
    assert_eq!(world.dns(Method::DELETE, &one, None).await, (200, json!({})));
    assert_eq!(reason(world.dns(Method::DELETE, &one, None).await), (404, "notFound".to_owned()));
    let apex = reason(world.dns(Method::DELETE, &format!("{sets}/example.com./NS"), None).await);
    assert_eq!(apex, (400, "invalidZoneApex".to_owned()));
    assert_eq!(reason(world.dns(Method::POST, sets, Some(&set("a.example.com.", "PTR", 60, &["x."]))).await).0, 501);
}

#[tokio::test]
async fn zones_are_found_by_their_dns_name_and_deleted_when_empty() {
    let world = World::new().await;
    world.zone("example", "example.com.").await;
    world.sandbox.add_zone(Api::Gce, "other.org").await.unwrap();
    let (_, list) = world.dns(Method::GET, "managedZones?dnsName=example.com.", None).await;
    let zones = list["managedZones"].as_array().unwrap();
    assert_eq!((zones.len(), &zones[0]["nameServers"][0]), (1, &json!("ns-cloud-a1.googledomains.com.")));
    assert_eq!(world.dns(Method::GET, "managedZones", None).await.1["managedZones"].as_array().unwrap().len(), 2);
    // One that was made for the account and not by it is like any other.
    let change = json!({ "additions": [set("www.other.org.", "A", 60, &["127.0.0.1"])] });
    assert_eq!(world.dns(Method::POST, "managedZones/other-org/changes", Some(&change)).await.0, 200);
    assert_eq!(world.dns(Method::GET, "managedZones/other-org/rrsets/www.other.org./A", None).await.0, 200);
    let full = reason(world.dns(Method::DELETE, "managedZones/other-org", None).await);
    assert_eq!(full, (400, "containerNotEmpty".to_owned()));
    assert_eq!(world.dns(Method::DELETE, "managedZones/other-org/rrsets/www.other.org./A", None).await.0, 200);
    for name in ["other-org", "example"] {
        assert_eq!(world.dns(Method::DELETE, &format!("managedZones/{name}"), None).await.0, 204);
        assert_eq!(reason(world.dns(Method::GET, &format!("managedZones/{name}"), None).await).0, 404);
    }
    for (body, code) in [
        (json!({ "name": "x", "dnsName": "x.com." }), 400),
        (json!({ "name": "x", "dnsName": "x.com", "description": "" }), 400),
        (json!({ "name": "X", "dnsName": "x.com.", "description": "" }), 400),
        (json!({ "name": "x", "dnsName": "x.com.", "description": "", "visibility": "private" }), 501),
    ] {
        assert_eq!(world.dns(Method::POST, "managedZones", Some(&body)).await.0, code, "{body}");
    }
}
