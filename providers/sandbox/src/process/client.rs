//! Calls to a running sandbox, beyond the clouds' APIs.

use std::time::Duration;

use reqwest::{Method, StatusCode};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Serialize, de::DeserializeOwned};

use super::{Folder, Result, SandboxError, running::running};
use crate::{
    calls::CallReport,
    cloud::Api,
    edge::OpenPorts,
    faults::{FaultList, FaultRule, FaultStatus},
    server::NewZone,
};

/// How long the sandbox may take to answer about itself.
const TIMEOUT: Duration = Duration::from_secs(20);

/// Talks to one running sandbox.
#[derive(Debug)]
pub struct AdminClient {
    name: String,
    url: String,
    token: SecretString,
    http: reqwest::Client,
}

impl AdminClient {
    /// A client for a sandbox that runs.
    ///
    /// # Errors
    ///
    /// `NotRunning`; those of reading its files.
    pub fn of(name: &str) -> Result<Self> {
        let running = running(&Folder::of(name)?)?.ok_or_else(|| SandboxError::NotRunning(name.to_owned()))?;
        Self::new(name, running.record.api_url(), running.token)
    }

    pub(super) fn new(name: &str, url: String, token: SecretString) -> Result<Self> {
        // No proxy: a proxy of the environment would be asked for this machine's own loopback address.
        let http = reqwest::Client::builder().no_proxy().timeout(TIMEOUT).build();
        let http = http.map_err(|error| SandboxError::Setting(format!("no HTTP client: {error}")))?;
        Ok(Self { name: name.to_owned(), url, token, http })
    }

    async fn send(&self, method: Method, path: &str, body: Option<&impl Serialize>) -> Result<reqwest::Response> {
        let failed = |problem: String| SandboxError::Call { name: self.name.clone(), path: path.to_owned(), problem };
        let mut request =
            self.http.request(method, format!("{}{path}", self.url)).bearer_auth(self.token.expose_secret());
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = request.send().await.map_err(|error| failed(error.without_url().to_string()))?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let text = response.text().await.unwrap_or_default();
        let message = serde_json::from_str::<serde_json::Value>(&text)
            .ok()
            .and_then(|body| Some(body.get("message")?.as_str()?.to_owned()))
            .unwrap_or_else(|| text.chars().take(200).collect());
        Err(failed(format!("{status}: {message}")))
    }

    async fn json<T: DeserializeOwned>(&self, method: Method, path: &str, body: Option<&impl Serialize>) -> Result<T> {
        self.send(method, path, body).await?.json().await.map_err(|error| SandboxError::Call {
            name: self.name.clone(),
            path: path.to_owned(),
            problem: error.without_url().to_string(),
        })
    }

    /// What it says of itself.
    ///
    /// # Errors
    ///
    /// `Call`.
    pub async fn status(&self) -> Result<serde_json::Value> {
        self.json(Method::GET, "/sandbox/v1/status", None::<&()>).await
    }

    /// Opens further service ports, and returns all that are open then.
    ///
    /// # Errors
    ///
    /// `Call`.
    pub async fn open_ports(&self, ports: &[u16]) -> Result<Vec<u16>> {
        let wanted = OpenPorts { ports: ports.to_vec() };
        let open: OpenPorts = self.json(Method::POST, "/sandbox/v1/ports", Some(&wanted)).await?;
        Ok(open.ports)
    }

    /// Makes an account have a zone, as if its owner had added it there.
    ///
    /// # Errors
    ///
    /// `Call`, also for a zone that the account has already.
    pub async fn add_zone(&self, zone: &str, api: Api) -> Result<()> {
        let wanted = NewZone { name: zone.to_owned(), api };
        self.send(Method::POST, "/sandbox/v1/zones", Some(&wanted)).await.map(drop)
    }

    /// The calls that it served; with `reset`, it starts counting anew.
    ///
    /// # Errors
    ///
    /// `Call`.
    pub async fn calls(&self, reset: bool) -> Result<CallReport> {
        let method = if reset { Method::DELETE } else { Method::GET };
        self.json(method, "/sandbox/v1/calls", None::<&()>).await
    }

    /// Its fault rules.
    ///
    /// # Errors
    ///
    /// `Call`.
    pub async fn faults(&self) -> Result<FaultList> {
        self.json(Method::GET, "/sandbox/v1/faults", None::<&()>).await
    }

    /// Adds a fault rule.
    ///
    /// # Errors
    ///
    /// `Call`, which says what is wrong with the rule.
    pub async fn add_fault(&self, rule: &FaultRule) -> Result<FaultStatus> {
        self.json(Method::POST, "/sandbox/v1/faults", Some(rule)).await
    }

    /// Removes one fault rule, or all.
    ///
    /// # Errors
    ///
    /// `Call`, also for a rule that is not there.
    pub async fn remove_faults(&self, id: Option<u64>) -> Result<()> {
        let path = id.map_or("/sandbox/v1/faults".to_owned(), |id| format!("/sandbox/v1/faults/{id}"));
        let answer = self.send(Method::DELETE, &path, None::<&()>).await?;
        debug_assert_eq!(answer.status(), StatusCode::NO_CONTENT);
        Ok(())
    }
}

/// The calls that a sandbox served; with `reset`, it starts counting anew.
///
/// # Errors
///
/// `NotRunning`, `Call`.
pub async fn calls(name: &str, reset: bool) -> Result<CallReport> {
    AdminClient::of(name)?.calls(reset).await
}

/// A sandbox's fault rules.
///
/// # Errors
///
/// `NotRunning`, `Call`.
pub async fn faults_list(name: &str) -> Result<FaultList> {
    AdminClient::of(name)?.faults().await
}

/// Adds a fault rule to a sandbox.
///
/// # Errors
///
/// `NotRunning`, `Call`.
pub async fn faults_add(name: &str, rule: &FaultRule) -> Result<FaultStatus> {
    AdminClient::of(name)?.add_fault(rule).await
}

/// Removes all fault rules of a sandbox.
///
/// # Errors
///
/// `NotRunning`, `Call`.
pub async fn faults_clear(name: &str) -> Result<()> {
    AdminClient::of(name)?.remove_faults(None).await
}
