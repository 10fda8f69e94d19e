//! A client that sends what it is told to, with a token got for the service account's key.

use std::{
    path::Path,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use aws_lc_rs::{rand::SystemRandom, rsa::KeyPair, signature::RSA_PKCS1_SHA256};
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use remint_sandbox::{
    embedded::{Embedded, Options},
    gce::PROJECT,
};
use reqwest::Method;
use serde_json::{Value, json};

use crate::discovery::Discovery;

pub(crate) const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";
pub(crate) const ZONE: &str = "us-central1-a";
pub(crate) const REGION: &str = "us-central1";
/// A public image that has cloud-init at Google, and one that has none.
pub(crate) const UBUNTU: &str = "projects/ubuntu-os-cloud/global/images/family/ubuntu-2404-lts-amd64";
pub(crate) const DEBIAN: &str = "projects/debian-cloud/global/images/family/debian-12";

/// How long anything may take that should be done.
const PATIENCE: Duration = Duration::from_secs(60);

/// A service account's key, as a client library holds it.
pub(crate) struct Key {
    file: Value,
    pair: KeyPair,
}

impl Key {
    pub(crate) fn read(path: &Path) -> Self {
        let file: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        let pem = file["private_key"].as_str().unwrap();
        let text: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
        let pair = KeyPair::from_pkcs8(&STANDARD.decode(text).unwrap()).unwrap();
        Self { file, pair }
    }

    pub(crate) fn field(&self, name: &str) -> &str {
        self.file[name].as_str().unwrap()
    }

    /// A signed assertion with these claims.
    pub(crate) fn sign(&self, claims: &Value) -> String {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let head = json!({ "alg": "RS256", "typ": "JWT", "kid": self.field("private_key_id") });
        let message = format!("{}.{}", part(&head), part(claims));
        let mut signature = vec![0; self.pair.public_modulus_len()];
        self.pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message.as_bytes(), &mut signature).unwrap();
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    /// Claims of this account that are good for an hour, with others on top.
    pub(crate) fn claims(&self, others: &Value) -> Value {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let mut claims = json!({ "iss": self.field("client_email"), "iat": now, "exp": now + 3600 });
        claims.as_object_mut().unwrap().extend(others.as_object().unwrap().clone());
        claims
    }
}

/// A sandbox, and a client of its Google account.
pub(crate) struct World {
    pub(crate) sandbox: Embedded,
    pub(crate) key: Key,
    pub(crate) token: String,
    http: reqwest::Client,
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(Options::default()).await
    }

    pub(crate) async fn with(options: Options) -> Self {
        let sandbox = Embedded::start(options).await.unwrap();
        let key = Key::read(&sandbox.service_account().unwrap().path);
        let assertion = key.claims(&json!({ "aud": key.field("token_uri"), "scope": SCOPE }));
        let mut world = Self { sandbox, token: String::new(), http: reqwest::Client::new(), key };
        let (status, answer) = world.trade(&world.key.sign(&assertion)).await;
        assert_eq!((status, &answer["token_type"]), (200, &json!("Bearer")), "{answer}");
        world.token = answer["access_token"].as_str().unwrap().to_owned();
        world
    }

    /// Asks for an access token.
    pub(crate) async fn trade(&self, assertion: &str) -> (u16, Value) {
        let form = [("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"), ("assertion", assertion)];
        let mut body = url::form_urlencoded::Serializer::new(String::new());
        body.extend_pairs(form);
        let sent = self
            .http
            .post(format!("{}/token", self.sandbox.url()))
            .header("content-type", "application/x-www-form-urlencoded")
            .body(body.finish());
        let answer = sent.send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }

    /// A call with a bearer of one's choice, by its whole path.
    pub(crate) async fn bare(
        &self,
        method: Method,
        path: &str,
        bearer: Option<&str>,
        body: Option<&Value>,
    ) -> (u16, Value) {
        let mut sent = self.http.request(method.clone(), format!("{}{path}", self.sandbox.url()));
        if let Some(bearer) = bearer {
            sent = sent.bearer_auth(bearer);
        }
        if let Some(body) = body {
            sent = sent.json(body);
        }
        let answer = sent.send().await.unwrap();
        let status = answer.status().as_u16();
        let text = answer.text().await.unwrap();
        let answer = serde_json::from_str(&text).unwrap_or(Value::Null);
        let of_google = ["/compute/", "/dns/"].iter().any(|api| path.starts_with(api));
        if let (200, true, Some(discovery)) = (status, of_google, Discovery::get()) {
            assert_eq!(discovery.problems(method.as_str(), path, &answer), [""; 0], "{method} {path}: {answer}");
        }
        (status, answer)
    }

    /// A batch of calls: the status, the content type and the body of its answer.
    pub(crate) async fn batch(&self, api: &str, bearer: Option<&str>, kind: &str, body: &str) -> (u16, String, String) {
        let mut sent = self.http.post(format!("{}/batch/{api}", self.sandbox.url()));
        if let Some(bearer) = bearer {
            sent = sent.bearer_auth(bearer);
        }
        let answer = sent.header("content-type", kind).body(body.to_owned()).send().await.unwrap();
        let kind = answer.headers()["content-type"].to_str().unwrap().to_owned();
        (answer.status().as_u16(), kind, answer.text().await.unwrap())
    }

    /// A call of Compute Engine, by its path below the project.
    pub(crate) async fn call(&self, method: Method, below: &str, body: Option<&Value>) -> (u16, Value) {
        let path = format!("/compute/v1/projects/{PROJECT}/{below}");
        self.bare(method, path.trim_end_matches('/'), Some(&self.token), body).await
    }

    pub(crate) async fn get(&self, below: &str) -> Value {
        let (status, answer) = self.call(Method::GET, below, None).await;
        assert_eq!(status, 200, "{below}: {answer}");
        answer
    }

    /// A change, whose operation is followed to its end; it ends well.
    pub(crate) async fn change(&self, method: Method, below: &str, body: Option<&Value>) -> Value {
        let done = self.operate(method, below, body).await;
        assert!(done.get("error").is_none(), "{below}: {done}");
        done
    }

    /// A change that is accepted, and its operation at its end.
    pub(crate) async fn operate(&self, method: Method, below: &str, body: Option<&Value>) -> Value {
        let (status, operation) = self.call(method, below, body).await;
        assert_eq!(status, 200, "{below}: {operation}");
        assert_eq!(operation["status"], "PENDING");
        self.wait(&operation).await
    }

    /// Follows an operation to its end.
    pub(crate) async fn wait(&self, operation: &Value) -> Value {
        let link = operation["selfLink"].as_str().unwrap();
        let path = link.split_once("://").unwrap().1.split_once('/').unwrap().1;
        let (status, done) = self.bare(Method::POST, &format!("/{path}/wait"), Some(&self.token), None).await;
        assert_eq!((status, &done["status"], &done["progress"]), (200, &json!("DONE"), &json!(100)), "{done}");
        done
    }

    /// Makes an instance with a boot disk and an external address, and whatever else is said of it.
    pub(crate) async fn launch(&self, name: &str, others: &Value) -> Value {
        self.change(Method::POST, &format!("zones/{ZONE}/instances"), Some(&instance(name, others))).await;
        self.get(&format!("zones/{ZONE}/instances/{name}")).await
    }

    /// The code and reason by which a call is refused.
    pub(crate) async fn refused(&self, method: Method, below: &str, body: Option<&Value>) -> (u16, String) {
        let (status, answer) = self.call(method, below, body).await;
        let error = &answer["error"];
        assert_eq!(error["code"], status, "{below}: {answer}");
        assert_eq!(error["errors"][0]["message"], error["message"], "{below}: {answer}");
        (status, error["errors"][0]["reason"].as_str().unwrap().to_owned())
    }
}

/// The body of an instance with a boot disk and an external address.
pub(crate) fn instance(name: &str, others: &Value) -> Value {
    let mut body = json!({
        "name": name,
        "machineType": format!("zones/{ZONE}/machineTypes/e2-micro"),
        "disks": [{
            "boot": true,
            "autoDelete": true,
            "initializeParams": { "sourceImage": UBUNTU, "diskSizeGb": "10" },
        }],
        "networkInterfaces": [{ "network": "global/networks/default", "accessConfigs": [{ "type": "ONE_TO_ONE_NAT" }] }],
    });
    body.as_object_mut().unwrap().extend(others.as_object().unwrap().clone());
    body
}

/// Waits until something is so.
pub(crate) async fn until<F: Future<Output = bool>>(what: &str, mut is_so: impl FnMut() -> F) {
    let end = tokio::time::Instant::now() + PATIENCE;
    while !is_so().await {
        assert!(tokio::time::Instant::now() < end, "never: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
