//! Replies that get lost, by the sandbox's fault rules.

use async_trait::async_trait;
use remint_conformance::{Interference, LostReply};
use remint_sandbox::faults::{Fault, FaultList, FaultRule};

/// Speaks to the sandbox's own API.
pub(crate) struct Faults {
    pub(crate) url: String,
    pub(crate) token: &'static str,
    pub(crate) http: reqwest::Client,
}

fn rule(reply: LostReply) -> FaultRule {
    let (method, path, action) = match reply {
        LostReply::Launch => ("POST", "/v2/droplets", None),
        LostReply::Power => ("POST", "/v2/droplets/*/actions", Some("power_off")),
        LostReply::Destroy => ("DELETE", "/v2/droplets/*", None),
        LostReply::Label => ("POST", "/v2/tags/*/resources", None),
        LostReply::Capture => ("POST", "/v2/droplets/*/actions", Some("snapshot")),
        LostReply::DeleteImage => ("DELETE", "/v2/images/*", None),
        LostReply::CopyImage => ("POST", "/v2/images/*/actions", Some("transfer")),
        LostReply::EnsureStaticIp => ("POST", "/v2/reserved_ips", None),
        LostReply::AssignStaticIp => ("POST", "/v2/reserved_ips/*/actions", Some("assign")),
        LostReply::ReleaseStaticIp => ("DELETE", "/v2/reserved_ips/*", None),
        LostReply::UpsertRecord => ("POST", "/v2/domains/*/records", None),
        LostReply::RemoveRecord => ("DELETE", "/v2/domains/*/records/*", None),
        LostReply::EnsureLoginKey => ("POST", "/v2/account/keys", None),
    };
    FaultRule { action: action.map(str::to_owned), ..FaultRule::new(method, path, Fault::ResetAfterCommit) }
}

#[async_trait]
impl Interference for Faults {
    async fn lose_next(&self, reply: LostReply) -> Result<(), String> {
        let request = self.http.post(format!("{}/sandbox/v1/faults", self.url)).bearer_auth(self.token);
        let answer = request.json(&rule(reply)).send().await.map_err(|error| error.to_string())?;
        answer.error_for_status().map(drop).map_err(|error| error.to_string())
    }

    async fn lost(&self) -> Result<u64, String> {
        let request = self.http.get(format!("{}/sandbox/v1/faults", self.url)).bearer_auth(self.token);
        let answer = request.send().await.map_err(|error| error.to_string())?;
        let list: FaultList = answer.json().await.map_err(|error| error.to_string())?;
        Ok(list.faults.iter().map(|status| status.hit).sum())
    }
}
