//! A sandbox of a test's own, and calls to it that are all checked against the specification.

use std::{sync::Arc, time::Duration};

use remint_sandbox::{
    cloud::{AccountLimits, Api, Config, Profile},
    server::Server,
};
use reqwest::{Method, Response};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{
    fakes::{FakeEdge, FakeMachines},
    openapi::Checker,
};

pub(crate) const TOKEN: &str = "dop_v1_test";

pub(crate) struct Sandbox {
    pub(crate) machines: Arc<FakeMachines>,
    pub(crate) edge: Arc<FakeEdge>,
    pub(crate) dir: TempDir,
    pub(crate) server: Option<Server>,
    http: reqwest::Client,
    checker: Checker,
    profile: Profile,
    speed: f64,
}

impl Sandbox {
    pub(crate) async fn start() -> Self {
        Self::with(Profile::Instant, 1.0).await
    }

    pub(crate) async fn with(profile: Profile, speed: f64) -> Self {
        let mut sandbox = Self {
            machines: Arc::new(FakeMachines::new()),
            edge: Arc::new(FakeEdge::new()),
            dir: tempfile::tempdir().unwrap(),
            server: None,
            http: reqwest::Client::new(),
            checker: Checker::load(),
            profile,
            speed,
        };
        sandbox.restart().await;
        sandbox
    }

    /// Stops the server where it stands and starts another one on the same folder and machines.
    pub(crate) async fn restart(&mut self) {
        if let Some(server) = self.server.take() {
            server.stop().await;
        }
        let config = Config {
            record: None,
            state_dir: self.dir.path().to_owned(),
            listen: "127.0.0.1:0".parse().unwrap(),
            slot: 7,
            profile: self.profile,
            speed: self.speed,
            seed: 1,
            apis: Api::ALL.to_vec(),
            token: TOKEN.into(),
            ports: Default::default(),
            open: vec![8080],
            limits: AccountLimits::default(),
        };
        self.server = Some(Server::start(config, self.machines.clone(), self.edge.clone()).await.unwrap());
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.server.as_ref().unwrap().addr)
    }

    pub(crate) async fn raw(&self, method: Method, path: &str, body: Option<Value>, token: &str) -> Response {
        let mut request = self.http.request(method, self.url(path)).bearer_auth(token);
        if let Some(body) = body {
            request = request.json(&body);
        }
        request.send().await.unwrap()
    }

    /// Makes a call; the body of an answer without one is null.
    pub(crate) async fn call(&self, method: Method, path: &str, body: Option<Value>) -> (u16, Value) {
        let response = self.raw(method.clone(), path, body, TOKEN).await;
        let status = response.status().as_u16();
        assert!(response.headers().contains_key("x-request-id"));
        let text = response.text().await.unwrap();
        let body: Option<Value> = (!text.is_empty()).then(|| serde_json::from_str(&text).unwrap());
        self.checker.record(method.as_str(), path, status, body.as_ref());
        (status, body.unwrap_or_default())
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        let (status, body) = self.call(Method::GET, path, None).await;
        assert_eq!(status, 200, "GET {path}: {body}");
        body
    }

    /// A POST that succeeds.
    pub(crate) async fn post(&self, path: &str, body: Value) -> Value {
        let (status, answer) = self.call(Method::POST, path, Some(body)).await;
        assert!((200..300).contains(&status), "POST {path}: {status} {answer}");
        answer
    }

    /// A POST that is refused with 422; returns the message.
    pub(crate) async fn refused(&self, path: &str, body: Value) -> String {
        let (status, answer) = self.call(Method::POST, path, Some(body)).await;
        assert_eq!((status, &answer["id"]), (422, &json!("unprocessable_entity")), "POST {path}: {answer}");
        answer["message"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn delete(&self, path: &str) -> u16 {
        self.call(Method::DELETE, path, None).await.0
    }

    /// Asks until the answer is as wanted.
    pub(crate) async fn until(&self, path: &str, wanted: impl Fn(u16, &Value) -> bool) -> Value {
        let mut last = (0, Value::Null);
        for _ in 0..4000 {
            last = self.call(Method::GET, path, None).await;
            if wanted(last.0, &last.1) {
                return last.1;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("GET {path} never was as wanted, at last {last:?}");
    }

    /// Waits for an action's end; returns its status.
    pub(crate) async fn done(&self, action: &Value) -> String {
        let path = format!("/v2/actions/{}", action["id"]);
        let body = self.until(&path, |_, body| body["action"]["status"] != "in-progress").await;
        body["action"]["status"].as_str().unwrap().to_owned()
    }

    /// A droplet that runs.
    pub(crate) async fn droplet(&self, name: &str) -> u64 {
        let created = self.post("/v2/droplets", droplet(name)).await;
        let id = created["droplet"]["id"].as_u64().unwrap();
        self.until(&format!("/v2/droplets/{id}"), |_, body| body["droplet"]["status"] == "active").await;
        id
    }

    /// Does an action on a droplet that succeeds.
    pub(crate) async fn act(&self, id: u64, action: Value) {
        let begun = self.post(&format!("/v2/droplets/{id}/actions"), action).await;
        assert_eq!(self.done(&begun["action"]).await, "completed");
    }

    /// Everything that was drawn agrees with the specification.
    pub(crate) fn finish(&self) {
        let violations = self.checker.violations();
        assert!(violations.is_empty(), "{}", violations.join("\n"));
        if let Some(checked) = self.checker.checked() {
            assert!(checked > 0);
        }
    }
}

/// The body that creates a small droplet.
pub(crate) fn droplet(name: &str) -> Value {
    json!({ "name": name, "region": "fra1", "size": "s-1vcpu-1gb", "image": "debian-12-x64" })
}
