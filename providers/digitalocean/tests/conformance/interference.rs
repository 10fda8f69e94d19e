//! Replies that get lost, by the sandbox's fault rules.

use std::sync::Arc;

use async_trait::async_trait;
use remint_conformance::{Interference, LostReply, Refusal};
use remint_sandbox::{
    embedded::Embedded,
    faults::{Fault, FaultRule},
};

/// Gets between the provider and a sandbox.
pub(crate) struct Faults(pub(crate) Arc<Embedded>);

fn rule(reply: LostReply, fault: Fault) -> FaultRule {
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
        LostReply::EnsureLoadBalancer => ("POST", "/v2/load_balancers", None),
        LostReply::AttachMembers => ("POST", "/v2/tags/*/resources", None),
        LostReply::DetachMembers => ("DELETE", "/v2/tags/*/resources", None),
        LostReply::DestroyLoadBalancer => ("DELETE", "/v2/load_balancers/*", None),
    };
    FaultRule { action: action.map(str::to_owned), ..FaultRule::new(method, path, fault) }
}

#[async_trait]
impl Interference for Faults {
    async fn lose_next(&self, reply: LostReply) -> Result<(), String> {
        self.0.add_fault(rule(reply, Fault::ResetAfterCommit)).map_err(|error| error.to_string())
    }

    async fn refuse_next(&self, call: LostReply, refusal: Refusal, times: u64) -> Result<(), String> {
        let rule = match refusal {
            Refusal::RateLimited => FaultRule { retry_after: Some(1), ..rule(call, Fault::RateLimited) },
            Refusal::Unavailable => rule(call, Fault::BadGateway),
        };
        self.0.add_fault(FaultRule { count: times, ..rule }).map_err(|error| error.to_string())
    }

    async fn recover(&self) -> Result<(), String> {
        self.0.clear_faults();
        Ok(())
    }

    async fn lost(&self) -> Result<u64, String> {
        Ok(self.0.faults_hit())
    }
}
