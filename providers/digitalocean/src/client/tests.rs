use std::sync::atomic::{AtomicU32, Ordering};

use remint_core::provider::{CallCount, ErrorKind, Provider};
use serde_json::json;
use wiremock::{
    Mock, MockServer, Request, ResponseTemplate,
    matchers::{header, method, path, query_param},
};

use super::*;
use crate::testing::{TOKEN, provider, reset_connection};

#[tokio::test]
async fn a_list_is_read_page_by_page_without_following_links() {
    let server = MockServer::start().await;
    let page = |names: &[&str], next: bool| {
        let links = if next { json!({"pages": {"next": "http://127.0.0.1:1/elsewhere"}}) } else { json!({}) };
        let domains: Vec<_> = names.iter().map(|name| json!({ "name": name })).collect();
        ResponseTemplate::new(200).set_body_json(json!({"domains": domains, "links": links, "meta": {"total": 3}}))
    };
    let list = || Mock::given(method("GET")).and(path("/v2/domains")).and(query_param("per_page", "200"));
    list().and(query_param("page", "2")).respond_with(page(&["c"], false)).expect(1).mount(&server).await;
    list().respond_with(page(&["a", "b"], true)).expect(1).mount(&server).await;

    let cloud = provider(&server);
    let request = JsonRequest::get("list", &["v2", "domains"]);
    let domains: Vec<crate::wire::Domain> = cloud.client.list(&request, "domains").await.unwrap();
    assert_eq!(domains.iter().map(|domain| domain.name.as_str()).collect::<Vec<_>>(), ["a", "b", "c"]);
    assert_eq!(cloud.calls().count(), CallCount { reads: 2, mutations: 0, retries: 0 });
}

/// Pages of two of a list out of which the first name was removed between the answers: what followed has moved up.
fn shrinking(names: &'static [&'static str], removed_at: &'static [u32]) -> impl Fn(&Request) -> ResponseTemplate {
    let asked = AtomicU32::new(0);
    move |request| {
        let now = asked.fetch_add(1, Ordering::Relaxed);
        let left = &names[removed_at.iter().filter(|at| now >= **at).count()..];
        let page = request.url.query_pairs().find(|(key, _)| key == "page");
        let page: usize = page.map_or(1, |(_, page)| page.parse().unwrap());
        let shown: Vec<_> = left.iter().skip(2 * (page - 1)).take(2).map(|name| json!({ "name": name })).collect();
        let links = if left.len() > 2 * page { json!({"pages": {"next": "x"}}) } else { json!({}) };
        let meta = json!({"total": left.len()});
        ResponseTemplate::new(200).set_body_json(json!({"domains": shown, "links": links, "meta": meta}))
    }
}

#[tokio::test]
async fn a_list_that_shrinks_between_two_pages_is_read_anew() {
    let server = MockServer::start().await;
    Mock::given(method("GET")).respond_with(shrinking(&["a", "b", "c", "d"], &[1])).expect(4).mount(&server).await;
    let cloud = provider(&server);
    let request = JsonRequest::get("list", &["v2", "domains"]);
    let domains: Vec<crate::wire::Domain> = cloud.client.list(&request, "domains").await.unwrap();
    assert_eq!(domains.iter().map(|domain| domain.name.as_str()).collect::<Vec<_>>(), ["b", "c", "d"]);
}

#[tokio::test]
async fn a_read_comes_through_a_burst_limit_and_an_html_failure() {
    let server = MockServer::start().await;
    let asked = AtomicU32::new(0);
    let respond = move |_: &Request| match asked.fetch_add(1, Ordering::Relaxed) {
        0 => ResponseTemplate::new(429).insert_header("retry-after", "1").set_body_json(json!({"id": "too_many"})),
        1 => ResponseTemplate::new(504).set_body_string("<html>Gateway Timeout</html>"),
        _ => ResponseTemplate::new(200).set_body_json(json!({"account": {"uuid": "u", "email": "a@example.com",
            "status": "active", "droplet_limit": 25, "floating_ip_limit": 3}})),
    };
    let bearer = header("authorization", format!("Bearer {TOKEN}").as_str());
    Mock::given(path("/v2/account")).and(bearer).respond_with(respond).expect(3).mount(&server).await;

    let cloud = provider(&server);
    let account = cloud.account().await.unwrap();
    assert_eq!(account.name, "a@example.com");
    assert_eq!(account.quotas.iter().map(|quota| quota.limit).collect::<Vec<_>>(), [25, 3]);
    assert_eq!(cloud.calls().count().retries, 2);
}

#[tokio::test]
async fn a_mutation_is_not_repeated_when_nobody_knows_what_it_did() {
    let server = MockServer::start().await;
    let failing = ResponseTemplate::new(502).set_body_string("<html/>");
    Mock::given(method("POST")).respond_with(failing).expect(1).mount(&server).await;
    let cloud = provider(&server);
    let result = cloud.client.accepted(&JsonRequest::post("make", &["v2", "droplets"], json!({}))).await;
    assert!(is_lost(&result));
    assert_eq!(result.unwrap_err().kind(), ErrorKind::Unavailable);
}

#[tokio::test]
async fn a_reset_connection_is_unknown_and_a_refused_one_is_not() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url: Url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    let once = tokio::spawn(reset_connection(listener));
    let cloud = crate::testing::provider_at(url);
    let post = JsonRequest::post("make", &["v2", "droplets"], json!({}));
    let error = cloud.client.accepted(&post).await.unwrap_err();
    assert_eq!((error.kind(), error.effect()), (ErrorKind::Unavailable, Effect::Unknown));
    assert_eq!(cloud.calls().count().mutations, 1);

    once.await.unwrap();
    let error = cloud.client.accepted(&post).await.unwrap_err();
    assert_eq!((error.kind(), error.effect()), (ErrorKind::Unavailable, Effect::NotApplied));
    assert!(cloud.calls().count().retries > 0, "a refused connection is tried again");
}

#[tokio::test]
async fn a_refused_token_is_in_no_message() {
    let server = MockServer::start().await;
    let echo =
        ResponseTemplate::new(401).set_body_json(json!({"id": "unauthorized", "message": format!("bad {TOKEN}")}));
    Mock::given(path("/v2/account")).respond_with(echo).expect(1).mount(&server).await;
    let cloud = provider(&server);
    let error = cloud.account().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthenticated);
    assert!(error.hint().unwrap().contains("DIGITALOCEAN_TOKEN"));
    assert!(!format!("{error} {error:?} {cloud:?}").contains(TOKEN));
}

#[tokio::test]
async fn ids_cannot_leave_their_place_in_a_path() {
    let server = MockServer::start().await;
    let cloud = provider(&server);
    Mock::given(path("/v2/images/a%2Fb%3Fc")).respond_with(ResponseTemplate::new(204)).expect(1).mount(&server).await;
    cloud.client.accepted(&JsonRequest::get("read", &["v2", "images", "a/b?c"])).await.unwrap();
    let error = cloud.client.accepted(&JsonRequest::get("read", &["v2", "images", ".."])).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}
