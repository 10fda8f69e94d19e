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

fn rule(reply: LostReply, fault: Fault) -> Result<FaultRule, String> {
    let (method, path) = match reply {
        LostReply::Launch => ("POST", "zones/*/instances"),
        LostReply::Power => ("POST", "zones/*/instances/*/stop"),
        LostReply::Destroy => ("DELETE", "zones/*/instances/*"),
        LostReply::Label => ("POST", "zones/*/instances/*/setLabels"),
        LostReply::Capture => ("POST", "global/images"),
        LostReply::DeleteImage => ("DELETE", "global/images/*"),
        LostReply::EnsureStaticIp => ("POST", "regions/*/addresses"),
        LostReply::AssignStaticIp => ("POST", "regions/*/forwardingRules/*/setTarget"),
        LostReply::ReleaseStaticIp => ("DELETE", "regions/*/addresses/*"),
        LostReply::UpsertRecord | LostReply::RemoveRecord => {
            return Ok(FaultRule::new("POST", "/dns/v1/projects/*/managedZones/*/changes", fault));
        }
        LostReply::EnsureLoadBalancer => ("POST", "regions/*/backendServices"),
        LostReply::AttachMembers => ("POST", "zones/*/instanceGroups/*/addInstances"),
        LostReply::DetachMembers => ("POST", "zones/*/instanceGroups/*/removeInstances"),
        LostReply::DestroyLoadBalancer => ("DELETE", "regions/*/backendServices/*"),
        LostReply::CopyImage | LostReply::EnsureLoginKey => return Err("this cloud has no such call".to_owned()),
    };
    Ok(FaultRule::new(method, format!("/compute/v1/projects/*/{path}"), fault))
}

#[async_trait]
impl Interference for Faults {
    async fn lose_next(&self, reply: LostReply) -> Result<(), String> {
        self.0.add_fault(rule(reply, Fault::ResetAfterCommit)?).map_err(|error| error.to_string())
    }

    async fn refuse_next(&self, call: LostReply, refusal: Refusal, times: u64) -> Result<(), String> {
        let rule = match refusal {
            Refusal::RateLimited => FaultRule { retry_after: Some(1), ..rule(call, Fault::RateLimited)? },
            Refusal::Unavailable => rule(call, Fault::BadGateway)?,
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
