//! Switching and destroying instances.

use aws_sdk_ec2::types::InstanceStateName;
use remint_core::provider::{Effect, Error, ErrorKind, InstanceId, PowerOp, Region, Result, support::Call};

use super::Body;
use crate::Aws;

const SWITCH: &str = "switch instance";
const DESTROY: &str = "destroy instance";

fn is_in(body: &Body, state: &InstanceStateName) -> bool {
    body.state().and_then(|now| now.name()) == Some(state)
}

impl Aws {
    /// Two calls; one where the instance is as asked, or was seen running since this process launched it.
    pub(super) async fn switch(&self, id: &InstanceId, op: PowerOp) -> Result<()> {
        let wanted = match op {
            PowerOp::Stop | PowerOp::ForceStop => InstanceStateName::Stopped,
            PowerOp::Start => InstanceStateName::Running,
        };
        let runs = self.memory.lock().runs(id.as_str());
        let region = if runs && op != PowerOp::Start {
            self.places(SWITCH, id.as_str())?.remove(0)
        } else {
            let (region, body) = self.find_instance(SWITCH, id).await?;
            if is_in(&body, &wanted) || (op == PowerOp::Start && is_in(&body, &InstanceStateName::Pending)) {
                return Ok(());
            }
            refuse_unready(id, &body, op)?;
            region
        };
        let result = self.ask_for(&region, id, op).await;
        match result {
            // The state tells whether it is gone, there already, or on its way.
            Err(error) if error.kind() == ErrorKind::Busy => {
                let (_, body) = self.find_instance(SWITCH, id).await?;
                if is_in(&body, &wanted) { Ok(()) } else { Err(error) }
            }
            Err(error) => Err(error),
            Ok(()) => {
                if let Some(seen) = self.memory.lock().instances.get_mut(id.as_str()) {
                    // Until it is seen again, nothing is known of its state.
                    seen.instance.state = remint_core::provider::InstanceState::Pending;
                }
                Ok(())
            }
        }
    }

    async fn ask_for(&self, region: &Region, id: &InstanceId, op: PowerOp) -> Result<()> {
        let ec2 = self.client.ec2(region);
        let call = Call::idempotent(SWITCH).about(id);
        if op == PowerOp::Start {
            let request = ec2.start_instances().instance_ids(id.as_str());
            return self.client.call(&call, || request.clone().send()).await.map(drop);
        }
        let request = ec2.stop_instances().instance_ids(id.as_str()).force(op == PowerOp::ForceStop);
        self.client.call(&call, || request.clone().send()).await.map(drop)
    }

    /// One call; two for an instance that this process has not seen, and one more for a spot instance, whose request would
    /// launch it again.
    pub(super) async fn terminate(&self, id: &InstanceId) -> Result<()> {
        let seen = self.memory.lock().instances.get(id.as_str()).cloned();
        let (region, spot_request) = match seen {
            Some(seen) => (seen.instance.region, seen.extra),
            None => match self.find_instance(DESTROY, id).await {
                Ok((region, body)) => (region, body.spot_instance_request_id().map(str::to_owned)),
                Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
                Err(error) => return Err(error),
            },
        };
        if let Some(request) = spot_request {
            let cancel = self.client.ec2(&region).cancel_spot_instance_requests().spot_instance_request_ids(request);
            self.client.call(&Call::idempotent(DESTROY).about(id), || cancel.clone().send()).await?;
        }
        let request = self.client.ec2(&region).terminate_instances().instance_ids(id.as_str());
        match self.client.call(&Call::idempotent(DESTROY).about(id), || request.clone().send()).await {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                if self.is_pending(id).is_some() {
                    // It may be missing right after it was made; taking that for gone would leak it.
                    return Err(Error::new(ErrorKind::Busy, DESTROY, "the instance is still being made")
                        .with_resource(id)
                        .with_effect(Effect::NotApplied)
                        .with_source(error));
                }
            }
            result => drop(result?),
        }
        self.memory.lock().instances.destroyed.note(id.as_str().to_owned(), ());
        Ok(())
    }
}

/// What EC2 refuses because another change is under way.
fn refuse_unready(id: &InstanceId, body: &Body, op: PowerOp) -> Result<()> {
    let busy = match body.state().and_then(|state| state.name()) {
        Some(InstanceStateName::Pending) => op != PowerOp::Start,
        Some(InstanceStateName::Stopping) => op == PowerOp::Start,
        Some(InstanceStateName::ShuttingDown) => true,
        _ => false,
    };
    if !busy {
        return Ok(());
    }
    let state = body.state().and_then(|state| state.name()).map_or("", |name| name.as_str());
    Err(Error::new(ErrorKind::Busy, SWITCH, format!("the instance is {state}")).with_resource(id))
}
