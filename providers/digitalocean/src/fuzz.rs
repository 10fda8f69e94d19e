//! A fuzz target: what the API answers.

#[path = "../../../core/src/fuzz/run.rs"]
mod run;

use remint_core::{
    provider::{
        Effect, Labels,
        support::{JsonRequest, Refusal},
    },
    redact,
};
use reqwest::header::HeaderMap;
use run::{JSON, Target};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{error::refused as refused_by, tags, wire};

const TOKEN: &str = "dop_v1_0123456789abcdef";

#[test]
fn fuzz_digitalocean() {
    redact::learn(&TOKEN.into());
    let target = Target {
        name: "digitalocean",
        samples: &[
            r#"{"droplet":{"id":1,"name":"web","status":"active","locked":false,"created_at":"2026-01-01T00:00:00Z","image":{"id":2},"size_slug":"s","networks":{"v4":[{"ip_address":"203.0.113.1","type":"public"}]},"region":{"slug":"fra1"},"tags":["remint:service:web"],"snapshot_ids":[3]}}"#,
            r#"{"id":"unprocessable_entity","message":"You have reached your droplet limit: dop_v1_0123456789abcdef","request_id":"x"}"#,
            r#"{"action":{"id":1,"status":"in-progress","type":"snapshot","region_slug":"fra1","resource_id":7}}"#,
            r#"{"image":{"id":1,"name":"i","public":false,"regions":["fra1"],"min_disk_size":10,"size_gigabytes":1.5,"tags":[],"status":"available"}}"#,
            r#"{"reserved_ip":{"ip":"203.0.113.2","region":{"slug":"fra1"},"droplet":null,"locked":false}}"#,
            r#"{"load_balancer":{"id":"4de7","name":"remint-1","ip":"203.0.113.3","status":"active","region":{"slug":"fra1"},"tag":"remint-1","droplet_ids":[1],"forwarding_rules":[{"entry_protocol":"https","entry_port":443,"target_protocol":"http","target_port":80,"certificate_id":"8920","tls_passthrough":false}],"health_check":{"protocol":"tcp","port":80},"firewall":{"allow":["cidr:192.0.2.0/24"],"deny":[]},"size_unit":1}}"#,
            r#"{"status":"success","data":{"resultType":"matrix","result":[{"metric":{"lb_id":"4de7","server":"web"},"values":[[1435781430,"100"]]}]}}"#,
            r#"{"domain_record":{"id":1,"type":"A","name":"@","data":"203.0.113.2","ttl":30}}"#,
            "<html><title>502 Bad Gateway</title></html>",
            "remint:a%3Ab:c%20d",
        ],
        words: &[
            JSON,
            &[
                "%",
                "%3A",
                "%ff",
                "remint",
                "\"id\":",
                "\"message\":",
                "\u{1b}[2J",
                "\u{202e}",
                "dop_v1_0123456789abcdef",
                "ü",
                "<",
                "\r\n",
                "2026-01-01T00:00:00Z",
            ],
        ],
    };
    target.run(|text| {
        read::<wire::DropletAnswer>(text);
        read::<wire::CreateAnswer>(text);
        read::<wire::ActionAnswer>(text);
        read::<wire::ImageAnswer>(text);
        read::<wire::AccountSnapshotAnswer>(text);
        read::<wire::ReservedIpAnswer>(text);
        read::<wire::KeyAnswer>(text);
        read::<wire::DomainAnswer>(text);
        read::<wire::RecordAnswer>(text);
        read::<wire::TagAnswer>(text);
        read::<wire::BalancerAnswer>(text);
        read::<wire::MetricAnswer>(text);
        refused(text);
        labelled(text);
    });
}

/// An answer of success is read, or is an error: no text makes it panic.
fn read<T: DeserializeOwned>(text: &str) {
    drop(serde_json::from_str::<T>(text));
}

/// A refusal keeps an excerpt, and never the token.
fn refused(text: &str) {
    for status in [403, 404, 422, 429, 500, 503] {
        let request = JsonRequest::post("Test::call", &["v2", "x"], Value::Null);
        let error = refused_by(&request, &Refusal::new(status, &HeaderMap::new(), text.as_bytes()));
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains(TOKEN), "{shown}");
        assert!(error.to_string().len() < 4096, "{} bytes", error.to_string().len());
        assert_eq!(error.effect() == Effect::NotApplied, status < 500);
    }
}

/// A tag is read without a panic; a label comes back from its tag as it was.
fn labelled(text: &str) {
    let parsed = tags::parse(text);
    let all = tags::labels([&text.to_owned()]);
    assert!(parsed.is_none() || all != Labels::default());
    let (key, value) = text.split_once('=').unwrap_or((text, "x"));
    if let Ok(tag) = tags::tag("Test::call", key, value) {
        assert_eq!(tags::parse(&tag), Some((key.to_owned(), value.to_owned())), "{tag}");
    }
}
