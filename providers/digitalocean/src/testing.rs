//! What the tests share: a provider with short pauses in front of a mock server.

use std::{
    future::Future,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use remint_core::provider::{PortMap, RetryPolicy};
use secrecy::SecretString;
use serde_json::{Value, json as object};
use tokio::{io::AsyncReadExt, net::TcpListener};
use url::Url;
use wiremock::{
    Mock, MockServer, Request, Respond, ResponseTemplate,
    matchers::{method, path},
};

use crate::{ClientOptions, DigitalOcean};

pub(crate) const TOKEN: &str = "dop_v1_0123456789abcdef";

pub(crate) fn provider(server: &MockServer) -> DigitalOcean {
    provider_at(server.uri().parse().unwrap())
}

pub(crate) fn options(url: Url) -> ClientOptions {
    let short = Duration::from_millis(2);
    let retry = RetryPolicy { attempts: 4, first_pause: short, max_pause: short, ..RetryPolicy::default() };
    ClientOptions {
        retry,
        settle: Duration::from_millis(150),
        ports: PortMap { through: 1023, offset: 20000 },
        ..ClientOptions::new(url, SecretString::from(TOKEN))
    }
}

pub(crate) fn provider_at(url: Url) -> DigitalOcean {
    DigitalOcean::new(options(url)).unwrap()
}

/// Takes one connection, reads what is sent, and breaks it without an answer.
pub(crate) async fn reset_connection(listener: TcpListener) {
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut buffer = [0; 1024];
    let read = stream.read(&mut buffer).await.unwrap();
    assert!(read > 0);
}

/// A droplet as the API shows it.
pub(crate) fn droplet(id: u64, name: &str, status: &str, tags: &[&str]) -> Value {
    let networks = match status {
        "new" => object!({"v4": [], "v6": []}),
        _ => object!({"v4": [{"ip_address": "10.0.0.2", "type": "private"},
            {"ip_address": format!("203.0.113.{id}"), "type": "public"}], "v6": []}),
    };
    object!({"id": id, "name": name, "status": status, "locked": status == "new", "created_at": "2026-11-23T08:00:00Z",
        "image": {"id": 77, "slug": null}, "size_slug": "s-1vcpu-1gb", "region": {"slug": "nyc3", "name": "New York 3"},
        "networks": networks, "tags": tags, "snapshot_ids": []})
}

/// An error body.
pub(crate) fn refusal(message: &str) -> Value {
    object!({"id": "unprocessable_entity", "message": message, "request_id": "4d9d"})
}

/// Answers in this order; the last one again and again.
pub(crate) struct InOrder {
    answers: Vec<ResponseTemplate>,
    asked: AtomicUsize,
}

impl Respond for InOrder {
    fn respond(&self, _: &Request) -> ResponseTemplate {
        let asked = self.asked.fetch_add(1, Ordering::Relaxed);
        self.answers[asked.min(self.answers.len() - 1)].clone()
    }
}

pub(crate) fn json(body: Value) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_json(body)
}

pub(crate) fn status(status: u16, body: Value) -> ResponseTemplate {
    ResponseTemplate::new(status).set_body_json(body)
}

/// A failure of a gateway: nobody knows what became of the request.
pub(crate) fn lost() -> ResponseTemplate {
    ResponseTemplate::new(504).set_body_string("<html>Gateway Timeout</html>")
}

/// Serves a route with these answers in order.
pub(crate) async fn serve(server: &MockServer, verb: &str, route: &str, answers: Vec<ResponseTemplate>) {
    let answers = InOrder { answers, asked: AtomicUsize::new(0) };
    Mock::given(method(verb)).and(path(route)).respond_with(answers).mount(server).await;
}

/// Serves a `POST` that takes its time, and the list that shows what it made: before that time is over, and after.
pub(crate) async fn serve_late(server: &MockServer, route: &str, made: ResponseTemplate, lists: [ResponseTemplate; 2]) {
    const TIME: Duration = Duration::from_millis(300);
    let asked: Arc<OnceLock<Instant>> = Arc::default();
    let (since, [before, after]) = (Arc::clone(&asked), lists);
    let making = move |_: &Request| {
        asked.get_or_init(Instant::now);
        made.clone().set_delay(TIME)
    };
    let showing = move |_: &Request| {
        let shown = since.get().is_some_and(|at| at.elapsed() >= TIME);
        if shown { after.clone() } else { before.clone() }
    };
    Mock::given(method("POST")).and(path(route)).respond_with(making).mount(server).await;
    Mock::given(method("GET")).and(path(route)).respond_with(showing).mount(server).await;
}

/// Drops a call as soon as the route has been asked by `POST`.
pub(crate) async fn drop_once_asked<T>(server: &MockServer, route: &str, call: impl Future<Output = T>) {
    let asked = async {
        while bodies(server, "POST", route).await.is_empty() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::select! {
        _ = call => panic!("POST {route} was answered at once"),
        () = asked => {}
    }
}

/// What was asked, as `METHOD path`, in order.
pub(crate) async fn asked(server: &MockServer) -> Vec<String> {
    let requests = server.received_requests().await.unwrap();
    requests.iter().map(|request| format!("{} {}", request.method, request.url.path())).collect()
}

/// The bodies that a route was sent.
pub(crate) async fn bodies(server: &MockServer, verb: &str, route: &str) -> Vec<Value> {
    let requests = server.received_requests().await.unwrap();
    let of_route = requests.iter().filter(|request| request.method.as_str() == verb && request.url.path() == route);
    of_route.map(|request| request.body_json().unwrap()).collect()
}
