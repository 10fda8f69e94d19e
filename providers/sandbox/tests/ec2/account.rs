//! A sandbox of a test's own, and signed calls to it.

use std::time::Duration;

use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::Timestamp;
use remint_sandbox::embedded::{Embedded, Options};
use reqwest::Method;
use secrecy::ExposeSecret as _;
use sha2::{Digest as _, Sha256};

pub(crate) const REGION: &str = "us-east-1";

pub(crate) struct Account {
    pub(crate) sandbox: Embedded,
    http: reqwest::Client,
}

/// What is sent, before it is signed.
pub(crate) struct Sent<'a> {
    pub(crate) method: Method,
    pub(crate) path: &'a str,
    pub(crate) service: &'a str,
    pub(crate) region: &'a str,
    pub(crate) headers: Vec<(&'a str, String)>,
    pub(crate) body: String,
    pub(crate) key: (String, String),
    pub(crate) at: Timestamp,
}

/// An answer: its status, and its document.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) text: String,
}

impl Answer {
    /// The text of the first element of a name.
    pub(crate) fn get(&self, name: &str) -> Option<String> {
        self.all(name).into_iter().next()
    }

    /// The texts of all elements of a name.
    pub(crate) fn all(&self, name: &str) -> Vec<String> {
        let (open, close) = (format!("<{name}>"), format!("</{name}>"));
        self.text.split(&open).skip(1).filter_map(|rest| Some(rest.split_once(&close)?.0.to_owned())).collect()
    }

    /// The code of an error.
    pub(crate) fn code(&self) -> String {
        assert!(self.status >= 400, "not refused: {self:?}");
        self.get("Code").unwrap_or_else(|| panic!("no code: {self:?}"))
    }

    /// The answer, which is a good one.
    pub(crate) fn good(self) -> Self {
        assert!((200..300).contains(&self.status), "{self:?}");
        self
    }
}

impl Account {
    pub(crate) async fn start() -> Self {
        Self::start_with(Options::default()).await
    }

    pub(crate) async fn start_with(options: Options) -> Self {
        Self { sandbox: Embedded::start(options).await.unwrap(), http: reqwest::Client::new() }
    }

    /// A call of Elastic Load Balancing in the first region.
    pub(crate) async fn balancing(&self, action: &str, parameters: &[(&str, &str)]) -> Answer {
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        form.append_pair("Action", action).append_pair("Version", "2015-12-01");
        for (name, value) in parameters {
            form.append_pair(name, value);
        }
        self.send(self.query("elasticloadbalancing", REGION, form.finish())).await
    }

    pub(crate) fn key(&self) -> (String, String) {
        let key = self.sandbox.access_key();
        (key.id, key.secret.expose_secret().to_owned())
    }

    /// A call of the Query API in the first region.
    pub(crate) async fn call(&self, action: &str, parameters: &[(&str, &str)]) -> Answer {
        self.call_in(REGION, action, parameters).await
    }

    pub(crate) async fn call_in(&self, region: &str, action: &str, parameters: &[(&str, &str)]) -> Answer {
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        form.append_pair("Action", action).append_pair("Version", "2016-11-15");
        for (name, value) in parameters {
            form.append_pair(name, value);
        }
        self.send(self.query("ec2", region, form.finish())).await
    }

    /// A request to `/` with a form.
    pub(crate) fn query<'a>(&self, service: &'a str, region: &'a str, body: String) -> Sent<'a> {
        let kind = "application/x-www-form-urlencoded; charset=utf-8".to_owned();
        Sent {
            method: Method::POST,
            path: "/",
            service,
            region,
            headers: vec![("content-type", kind)],
            body,
            key: self.key(),
            at: Timestamp::now(),
        }
    }

    /// A call of Route 53.
    pub(crate) async fn zones(&self, method: Method, path: &str, body: &str) -> Answer {
        let headers = vec![("content-type", "text/xml".to_owned())];
        let (body, key, at) = (body.to_owned(), self.key(), Timestamp::now());
        self.send(Sent { method, path, service: "route53", region: REGION, headers, body, key, at }).await
    }

    /// A call of Systems Manager.
    pub(crate) async fn parameters(&self, operation: &str, body: &str) -> (u16, serde_json::Value) {
        let kind = ("content-type", "application/x-amz-json-1.1".to_owned());
        let sent = Sent {
            headers: vec![kind, ("x-amz-target", format!("AmazonSSM.{operation}"))],
            ..self.query("ssm", REGION, body.to_owned())
        };
        let answer = self.send(sent).await;
        (answer.status, serde_json::from_str(&answer.text).unwrap())
    }

    pub(crate) async fn send(&self, sent: Sent<'_>) -> Answer {
        let host = self.sandbox.url().trim_start_matches("http://").to_owned();
        let date = sent.at.strftime("%Y%m%dT%H%M%SZ").to_string();
        let mut headers = sent.headers.clone();
        headers.extend([("host", host), ("x-amz-date", date.clone())]);
        headers.sort();
        let names = headers.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(";");
        let listed: String = headers.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
        let (path, query) = sent.path.split_once('?').unwrap_or((sent.path, ""));
        let payload = hex::encode(Sha256::digest(&sent.body));
        let canonical = format!("{}\n{path}\n{query}\n{listed}\n{names}\n{payload}", sent.method);
        let day = &date[..8];
        let scope = format!("{day}/{}/{}/aws4_request", sent.region, sent.service);
        let text = format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{}", hex::encode(Sha256::digest(canonical)));
        let mut key = format!("AWS4{}", sent.key.1).into_bytes();
        for part in [day, sent.region, sent.service, "aws4_request"] {
            key = mac(&key, part);
        }
        let signature = hex::encode(mac(&key, &text));
        let authorization =
            format!("AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders={names}, Signature={signature}", sent.key.0);
        let mut request = self.http.request(sent.method, format!("{}{}", self.sandbox.url(), sent.path));
        for (name, value) in headers.iter().filter(|(name, _)| *name != "host") {
            request = request.header(*name, value);
        }
        let response = request.header("authorization", authorization).body(sent.body).send().await.unwrap();
        let status = response.status().as_u16();
        Answer { status, text: response.text().await.unwrap() }
    }

    /// The public Debian image of a region.
    pub(crate) async fn debian(&self, region: &str) -> String {
        let filter =
            [("Filter.1.Name", "name"), ("Filter.1.Value.1", "debian-12-amd64-*"), ("Owner.1", "136693071363")];
        self.call_in(region, "DescribeImages", &filter).await.good().get("imageId").unwrap()
    }

    /// A running instance.
    pub(crate) async fn instance(&self, more: &[(&str, &str)]) -> String {
        let image = self.debian(REGION).await;
        let mut parameters = vec![("ImageId", image.as_str()), ("MinCount", "1"), ("MaxCount", "1")];
        parameters.extend(more);
        let id = self.call("RunInstances", &parameters).await.good().get("instanceId").unwrap();
        self.until(&id, "running").await;
        id
    }

    /// Waits until an instance is in a state.
    pub(crate) async fn until(&self, id: &str, state: &str) -> Answer {
        self.wait("DescribeInstances", &[("InstanceId.1", id)], |answer| {
            answer.get("instanceState").is_some_and(|found| found.contains(&format!("<name>{state}</name>")))
        })
        .await
    }

    /// Waits until an answer is as wanted.
    pub(crate) async fn wait(
        &self,
        action: &str,
        parameters: &[(&str, &str)],
        wanted: impl Fn(&Answer) -> bool,
    ) -> Answer {
        let mut last = None;
        for _ in 0..2000 {
            let answer = self.call(action, parameters).await;
            if wanted(&answer) {
                return answer;
            }
            last = Some(answer);
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{action} {parameters:?} never was as wanted, at last {last:?}");
    }
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    Hmac::<Sha256>::new_from_slice(key).unwrap().chain_update(text).finalize().into_bytes().to_vec()
}
