//! What a client, the account and the sandbox itself see.

use std::path::PathBuf;

use reqwest::Method;
use serde_json::Value;

use super::{Account, Books, Standing, World};

impl World {
    /// Calls the sandbox's API; the status and the body.
    pub(crate) async fn api(&self, method: Method, path: &str, body: Option<Value>) -> (u16, Value) {
        let mut request = self.http.request(method, format!("{}{path}", self.api_url)).bearer_auth(&self.token);
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        (status, answer.json().await.unwrap_or(Value::Null))
    }

    /// Makes something by the API, which must succeed.
    pub(crate) async fn make(&self, path: &str, body: Value) -> Value {
        let (status, answer) = self.api(Method::POST, path, Some(body)).await;
        assert!((200..300).contains(&status), "POST {path}: {status} {answer}");
        answer
    }

    pub(crate) async fn make_zone(&self, zone: &str) {
        self.make("/v2/domains", serde_json::json!({ "name": zone })).await;
    }

    /// What stands in the account now.
    pub(crate) async fn standing(&self) -> Standing {
        Standing::of(self).await
    }

    /// What stands in all accounts.
    pub(crate) fn books(&self) -> Books {
        Books::read(&self.state())
    }

    /// What stands in the account of a provider.
    pub(crate) fn account(&self, provider: &str) -> Account {
        Account::of(&self.state(), provider)
    }

    /// Changes the books of a provider's account, while the sandbox is stopped.
    pub(crate) fn rewrite_books(&self, provider: &str, change: impl FnOnce(&mut Value)) {
        Account::rewrite(&self.state(), provider, change);
    }

    fn state(&self) -> PathBuf {
        self.root.path().join("sandboxes").join(&self.name).join("state")
    }

    /// Adds a fault rule.
    pub(crate) async fn fault(&self, rule: Value) {
        self.remint(&["sandbox", "faults", "add", &rule.to_string()]).await.success();
    }

    /// Removes all fault rules.
    pub(crate) async fn no_faults(&self) {
        self.remint(&["sandbox", "faults", "clear"]).await.success();
    }

    /// How many calls the APIs have served that change something, since the sandbox started.
    pub(crate) async fn mutations(&self) -> u64 {
        let calls = self.calls().await;
        let calls = calls["calls"].as_object().unwrap();
        calls.iter().filter(|(call, _)| changes(call)).map(|(_, count)| count.as_u64().unwrap()).sum()
    }

    /// The API's own count of its calls.
    pub(crate) async fn calls(&self) -> Value {
        let ended = self.remint(&["--json", "sandbox", "calls"]).await.success();
        serde_json::from_str(&ended.stdout).unwrap()
    }

    /// Where a port of one of this sandbox's addresses answers.
    pub(crate) fn endpoint(&self, ip: &str, port: u16) -> String {
        format!("{ip}:{}", if port <= self.port_through { port + self.port_offset } else { port })
    }

    /// The page at an address, as a client sees it that asks for the first time: the status and the body, or 0 and what
    /// went wrong.
    pub(crate) async fn page(&self, ip: &str) -> (u16, String) {
        self.page_at(ip, "/").await
    }

    /// As [`World::page`], of another path.
    pub(crate) async fn page_at(&self, ip: &str, path: &str) -> (u16, String) {
        match self.http.get(format!("http://{}{path}", self.endpoint(ip, 80))).send().await {
            Ok(answer) => (answer.status().as_u16(), answer.text().await.unwrap()),
            Err(error) => (0, format!("{error:?}")),
        }
    }

    /// The environment's static IP, of which there must be one.
    pub(crate) async fn static_ip(&self) -> String {
        let standing = self.standing().await;
        assert_eq!(standing.reserved_ips.len(), 1, "{standing:#?}");
        standing.reserved_ips.keys().next().unwrap().clone()
    }
}

/// Whether a call, as the sandbox counts it, changes something. Amazon's APIs read by POST, Google's give tokens by it.
fn changes(call: &str) -> bool {
    let reads = ["GET ", "HEAD ", "POST /token"].iter().any(|way| call.starts_with(way));
    let operation = call.rsplit_once("Action=").map(|(_, operation)| operation);
    !reads && !operation.is_some_and(|name| ["Describe", "Get", "List"].iter().any(|word| name.starts_with(word)))
}
