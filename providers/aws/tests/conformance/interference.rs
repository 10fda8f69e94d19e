//! Replies that get lost and calls that are turned away, by the sandbox's fault rules.

use std::sync::Arc;

use async_trait::async_trait;
use remint_conformance::{Interference, LostReply, Refusal};
use remint_sandbox::{
    embedded::Embedded,
    faults::{Fault, FaultRule},
};

pub(crate) struct Faults(pub(crate) Arc<Embedded>);

fn rule(call: LostReply, fault: Fault) -> FaultRule {
    let action = match call {
        LostReply::Launch => "RunInstances",
        LostReply::Power => "StopInstances",
        LostReply::Destroy => "TerminateInstances",
        LostReply::Label => "CreateTags",
        LostReply::Capture => "CreateImage",
        LostReply::DeleteImage => "DeregisterImage",
        LostReply::CopyImage => "CopyImage",
        LostReply::EnsureStaticIp => "AllocateAddress",
        LostReply::AssignStaticIp => "AssociateAddress",
        LostReply::ReleaseStaticIp => "ReleaseAddress",
        LostReply::UpsertRecord | LostReply::RemoveRecord => "ChangeResourceRecordSets",
        LostReply::EnsureLoginKey => "ImportKeyPair",
        LostReply::EnsureLoadBalancer => "CreateLoadBalancer",
        LostReply::AttachMembers => "RegisterTargets",
        LostReply::DetachMembers => "DeregisterTargets",
        LostReply::DestroyLoadBalancer => "DeleteLoadBalancer",
    };
    FaultRule { action: Some(action.to_owned()), ..FaultRule::new("POST", "/*", fault) }
}

#[async_trait]
impl Interference for Faults {
    async fn lose_next(&self, reply: LostReply) -> Result<(), String> {
        self.0.add_fault(rule(reply, Fault::ResetAfterCommit)).map_err(|error| error.to_string())
    }

    async fn refuse_next(&self, call: LostReply, refusal: Refusal, times: u64) -> Result<(), String> {
        let rule = match refusal {
            Refusal::RateLimited => FaultRule { retry_after: Some(1), ..rule(call, Fault::RateLimited) },
            Refusal::Unavailable => rule(call, Fault::ServerError),
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
