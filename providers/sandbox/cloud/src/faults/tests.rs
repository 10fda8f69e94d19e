//! Which calls rules hit, and what the layer makes of it.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use axum::{Json, Router, middleware, routing::get};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use std::time::Duration;

use super::*;
use crate::connection::{ConnectionHandle, ConnectionLimits, Connections};

fn rule(text: &str) -> FaultRule {
    serde_json::from_str(text).unwrap()
}

fn call<'a>(method: &'a str, path: &'a str) -> Call<'a> {
    Call { method, path, query: None, action: None }
}

#[test]
fn patterns() {
    for (pattern, path, expected) in [
        ("/v2/droplets", "/v2/droplets", true),
        ("/v2/droplets", "/v2/droplets/1", false),
        ("/v2/droplets/*", "/v2/droplets/1", true),
        ("/v2/droplets/*", "/v2/droplets", false),
        ("/v2/droplets*", "/v2/droplets", true),
        ("/v2/droplets/*/actions", "/v2/droplets/1/actions", true),
        ("/v2/droplets/*/actions", "/v2/droplets/1/actions/2", false),
        ("*/actions", "/v2/droplets/1/actions", true),
        ("/*/1/*1*", "/v2/1/actions/11", true),
        ("/*/1/*1*x", "/v2/1/actions/11", false),
        ("*", "/", true),
        ("/v2/droplets/{id}", "/v2/droplets/1", true),
        ("/v2/droplets/{id}", "/v2/droplets/1/actions", false),
        ("/v2/droplets/{id}", "/v2/droplets/", false),
        ("/v2/{kind}/{id}/actions", "/v2/droplets/1/actions", true),
        ("*/zones/{zone}/instances", "/p/zones/z/zones/a/instances", true),
        ("*/zones/{zone}/instances", "/p/zones/z/x/instances", false),
        ("/v2/images?page=2*", "/v2/images", false),
    ] {
        let rule = FaultRule::new("GET", pattern, Fault::ServerError);
        assert_eq!(rule.is_about(call("GET", path)), expected, "{pattern} {path}");
    }
    let paged = FaultRule::new("get", "/v2/images?*page=2*", Fault::ServerError);
    assert!(
        FaultRule::new("GET", "/v2/{kind}?page=2", Fault::ServerError)
            .is_about(Call { query: Some("page=2"), ..call("GET", "/v2/images") })
    );
    assert!(paged.is_about(Call { query: Some("per_page=200&page=2"), ..call("GET", "/v2/images") }));
    assert!(!paged.is_about(Call { query: Some("page=1"), ..call("GET", "/v2/images") }));
    assert!(!paged.is_about(call("POST", "/v2/images?page=2")));
}

#[test]
fn which_of_the_matching_calls_are_hit() {
    for (selection, expected) in [
        ("", "x........."),
        (r#""nth":3,"#, "..x......."),
        (r#""nth":2,"count":3,"#, ".xxx......"),
        (r#""count":0,"#, "xxxxxxxxxx"),
        (r#""every":3,"count":0,"#, "x..x..x..x"),
        (r#""nth":2,"every":3,"count":2,"#, ".x..x....."),
    ] {
        let faults = Faults::default();
        faults.add(rule(&format!(r#"{{{selection}"path":"/v2/droplets","fault":"server_error"}}"#))).unwrap();
        let hits: String =
            (0..10).map(|_| if faults.decide(call("GET", "/v2/droplets")).is_some() { 'x' } else { '.' }).collect();
        assert_eq!(hits, expected, "{selection}");
        faults.decide(call("GET", "/v2/images"));
        let status = &faults.list()[0];
        assert_eq!((status.matched, status.hit), (10, expected.matches('x').count() as u64));
    }
}

#[test]
fn the_oldest_rule_has_its_way_and_the_others_count() {
    let faults = Faults::default();
    faults.add(rule(r#"{"path":"/v2/*","action":"snapshot","nth":2,"fault":"server_error"}"#)).unwrap();
    faults.add(rule(r#"{"path":"/v2/*","nth":2,"count":0,"fault":"bad_gateway"}"#)).unwrap();
    let snapshot = || {
        let call = Call { action: Some("snapshot"), ..call("POST", "/v2/droplets/1/actions") };
        faults.decide(call).map(|rule| rule.fault)
    };
    assert_eq!([snapshot(), snapshot(), snapshot()], [None, Some(Fault::ServerError), Some(Fault::BadGateway)]);
    assert_eq!(faults.decide(call("POST", "/v2/droplets")).map(|rule| rule.fault), Some(Fault::BadGateway));
    assert_eq!(faults.remove(Some(1)), 1);
    assert_eq!(faults.list().iter().map(|status| status.id).collect::<Vec<_>>(), [2]);
    assert_eq!(faults.remove(None), 1);
}

#[test]
fn only_what_changes_something_is_held() {
    let faults = Faults::default();
    let create = call("POST", "/v2/droplets");
    assert_eq!(faults.hold(create), Duration::ZERO, "nothing, by default");
    faults.hold_changes(Duration::from_millis(20));
    let amazon = |action| Call { action: Some(action), ..call("POST", "/") };
    for (call, held) in [
        (create, true),
        (call("GET", "/v2/droplets"), false),
        (call("DELETE", "/v2/droplets/1"), true),
        (Call { action: Some("snapshot"), ..call("POST", "/v2/droplets/1/actions") }, true),
        (amazon("RunInstances"), true),
        (amazon("DescribeInstances"), false),
        (amazon("GetCallerIdentity"), false),
    ] {
        assert_eq!(!faults.hold(call).is_zero(), held, "{call:?}");
    }
}

#[test]
fn rules_without_sense_are_refused() {
    for (text, problem) in [
        (r#"{"path":"v2","fault":"server_error"}"#, "begins with"),
        (r#"{"path":"/v2","nth":0,"fault":"server_error"}"#, "counted from 1"),
        (r#"{"path":"/v2","fault":"delay"}"#, "delay_ms"),
        (r#"{"path":"/v2","fault":"stale_list","applied":true}"#, "applied"),
        (r#"{"path":"/v2","fault":"server_error","retry_after":3}"#, "retry_after"),
        (r#"{"path":"/v2","fault":"server_error","zone":"us-east-1a"}"#, "zone"),
        (r#"{"path":"/v2","fault":"server_error","within_ms":1}"#, "within_ms"),
    ] {
        let error = Faults::default().add(rule(text)).unwrap_err();
        assert!(error.to_string().contains(problem), "{error}");
    }
    assert!(serde_json::from_str::<FaultRule>(r#"{"path":"/v2","fault":"server_error","times":3}"#).is_err());
    for fault in Fault::ALL {
        assert_eq!(serde_json::to_value(fault).unwrap(), fault.name());
    }
    let short = r#"{"method":"POST","path":"/v2","fault":"reset_after_commit"}"#;
    assert_eq!(serde_json::to_string(&rule(short)).unwrap(), short);
}

/// A server whose one list grows by each POST.
async fn server(faults: &Arc<Faults>) -> (String, Arc<AtomicU64>) {
    let items = Arc::new(AtomicU64::new(0));
    let (reader, writer) = (Arc::clone(&items), Arc::clone(&items));
    let list = async move || {
        let total = reader.load(Ordering::SeqCst);
        Json(json!({ "items": (0..total).collect::<Vec<_>>(), "links": {}, "meta": { "total": total } }))
    };
    let grow = async move |body: String| {
        writer.fetch_add(1, Ordering::SeqCst);
        body
    };
    let app = Router::new()
        .route("/v2/items", get(list).post(grow))
        .layer(middleware::from_fn_with_state(
            (Arc::clone(faults), <crate::front::Plain as crate::Front>::SHAPE),
            layer,
        ))
        .into_make_service_with_connect_info::<ConnectionHandle>();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/v2/items", listener.local_addr().unwrap());
    tokio::spawn(axum::serve(Connections::new(listener, ConnectionLimits::default()), app).into_future());
    (url, items)
}

fn client() -> reqwest::Client {
    // Each call by its own connection: a client repeats what a reset caught on a connection that it had used before.
    reqwest::Client::builder().pool_max_idle_per_host(0).build().unwrap()
}

#[tokio::test]
async fn the_layer_does_what_the_rule_says_and_nothing_more() {
    let faults = Arc::new(Faults::default());
    let (url, items) = server(&faults).await;
    for (fault, status, applied, html) in [
        (r#""rate_limited","retry_after":7"#, Some(429), 0, false),
        (r#""server_error""#, Some(500), 0, false),
        (r#""server_error","applied":true"#, Some(500), 1, false),
        (r#""bad_gateway""#, Some(502), 0, true),
        (r#""gateway_timeout""#, Some(504), 0, true),
        (r#""gateway_timeout","applied":true"#, Some(504), 1, true),
        (r#""reset_before_commit""#, None, 0, false),
        (r#""reset_after_commit""#, None, 1, false),
        (r#""action_errored""#, Some(200), 1, false),
        (r#""delay","delay_ms":1"#, Some(200), 1, false),
        (r#""no_capacity""#, Some(422), 0, false),
    ] {
        let before = items.load(Ordering::SeqCst);
        faults.remove(None);
        faults.add(rule(&format!(r#"{{"method":"POST","path":"/v2/*","action":"grow","fault":{fault}}}"#))).unwrap();
        // Another action is no match, and its body arrives whole.
        let other = client().post(&url).body(r#"{"type":"other"}"#).send().await.unwrap();
        assert_eq!(other.text().await.unwrap(), r#"{"type":"other"}"#);
        let answer = client().post(&url).body(r#"{"type":"grow"}"#).send().await;
        assert_eq!(items.load(Ordering::SeqCst) - before, 1 + applied, "{fault}");
        match (answer, status) {
            (Ok(answer), Some(status)) => {
                assert_eq!(answer.status(), status, "{fault}");
                let retry_after = answer.headers().get("retry-after").map(|value| value.to_str().unwrap().to_owned());
                assert_eq!(retry_after.as_deref(), fault.contains("retry_after").then_some("7"), "{fault}");
                assert_eq!(answer.text().await.unwrap().starts_with("<html>"), html, "{fault}");
            }
            (Err(error), None) => assert!(error.is_request(), "{error:?}"),
            (answer, _) => panic!("{fault}: {answer:?}"),
        }
        let next = client().post(&url).body(r#"{"type":"grow"}"#).send().await.unwrap();
        assert_eq!(next.status(), 200, "{fault}: only one call is hit");
    }
}

#[tokio::test]
async fn a_stale_list_is_one_that_was() {
    let faults = Arc::new(Faults::default());
    let (url, _) = server(&faults).await;
    let list = async || client().get(&url).send().await.unwrap().json::<Value>().await.unwrap();
    let grow = async || client().post(&url).send().await.unwrap();
    let stale = || faults.add(rule(r#"{"path":"/v2/items","fault":"stale_list"}"#)).unwrap();
    grow().await;
    stale();
    // Never asked for before: as it was when there was nothing.
    assert_eq!(list().await["meta"]["total"], 0);
    assert_eq!(list().await["meta"]["total"], 1);
    grow().await;
    stale();
    assert_eq!(list().await, json!({ "items": [0], "links": {}, "meta": { "total": 1 } }));
    assert_eq!(list().await["meta"]["total"], 2);
}
