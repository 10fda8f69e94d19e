//! What the tests share: a provider with short pauses in front of a mock server.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use google_cloud_auth::credentials::anonymous;
use remint_core::provider::{PortMap, RetryPolicy};
use serde_json::{Value, json as object};
use wiremock::{
    Mock, MockServer, Request, Respond, ResponseTemplate,
    matchers::{method, path},
};

use crate::{ClientOptions, Config, Gcp};

pub(crate) const PROJECT: &str = "/compute/v1/projects/mine";
pub(crate) const ZONE: &str = "/compute/v1/projects/mine/zones/us-central1-a";
pub(crate) const REGION: &str = "/compute/v1/projects/mine/regions/us-central1";

pub(crate) async fn provider(server: &MockServer) -> Gcp {
    Gcp::new(options(server)).await.unwrap()
}

/// Without firewall rules, which have a test of their own.
pub(crate) fn options(server: &MockServer) -> ClientOptions {
    let short = Duration::from_millis(2);
    let retry = RetryPolicy { attempts: 4, first_pause: short, max_pause: short, ..RetryPolicy::default() };
    ClientOptions {
        compute_url: server.uri(),
        dns_url: server.uri(),
        config: Config { firewall: false, ..Config::default() },
        ports: PortMap { through: 1023, offset: 20000 },
        retry,
        look: short,
        patience: Duration::from_secs(5),
        ..ClientOptions::new("mine", anonymous::Builder::new().build())
    }
}

/// Answers in this order; the last one again and again.
struct InOrder {
    answers: Vec<ResponseTemplate>,
    asked: AtomicUsize,
}

impl Respond for InOrder {
    fn respond(&self, _: &Request) -> ResponseTemplate {
        let asked = self.asked.fetch_add(1, Ordering::Relaxed);
        self.answers[asked.min(self.answers.len() - 1)].clone()
    }
}

/// Serves a route with these answers in order.
pub(crate) async fn serve(server: &MockServer, verb: &str, route: &str, answers: Vec<ResponseTemplate>) {
    let answers = InOrder { answers, asked: AtomicUsize::new(0) };
    Mock::given(method(verb)).and(path(route)).respond_with(answers).mount(server).await;
}

pub(crate) fn json(body: Value) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_json(body)
}

/// A refusal, as Google words it.
pub(crate) fn refusal(status: u16, reason: &str, message: &str) -> ResponseTemplate {
    let error = object!({"code": status, "message": message, "errors": [{"message": message, "domain": "global", "reason": reason}]});
    ResponseTemplate::new(status).set_body_json(object!({ "error": error }))
}

pub(crate) fn missing() -> ResponseTemplate {
    refusal(404, "notFound", "The resource was not found")
}

/// A failure of a gateway: nobody knows what became of the request.
pub(crate) fn lost() -> ResponseTemplate {
    ResponseTemplate::new(502).set_body_string("<html>Bad Gateway</html>")
}

/// An operation in the zone.
pub(crate) fn operation(name: &str, status: &str) -> Value {
    object!({"kind": "compute#operation", "id": "99", "name": name, "status": status, "targetId": "7421",
        "zone": format!("https://www.googleapis.com{ZONE}")})
}

/// An operation in the region.
pub(crate) fn regional(name: &str, status: &str) -> Value {
    object!({"kind": "compute#operation", "id": "99", "name": name, "status": status,
        "region": format!("https://www.googleapis.com{REGION}")})
}

/// An operation that ended in an error.
pub(crate) fn failed(mut operation: Value, code: &str, message: &str) -> Value {
    operation["status"] = "DONE".into();
    operation["error"] = object!({"errors": [{"code": code, "message": message}]});
    operation["httpErrorStatusCode"] = 403.into();
    operation
}

/// What was asked, as `METHOD path`, in order.
pub(crate) async fn asked(server: &MockServer) -> Vec<String> {
    let requests = server.received_requests().await.unwrap();
    requests.iter().map(|request| format!("{} {}", request.method, request.url.path())).collect()
}

/// The requests that a route was sent.
pub(crate) async fn requests(server: &MockServer, verb: &str, route: &str) -> Vec<Request> {
    let requests = server.received_requests().await.unwrap();
    requests.into_iter().filter(|request| request.method.as_str() == verb && request.url.path() == route).collect()
}

/// A value in a request's query.
pub(crate) fn query(request: &Request, name: &str) -> String {
    let pair = request.url.query_pairs().find(|(key, _)| key == name);
    pair.map(|(_, value)| value.into_owned()).unwrap_or_default()
}
