//! Instances are EC2 instances. One is found again by its `Name` tag and labels, and a launch carries a token by which EC2
//! itself recognises its repetition.

use async_trait::async_trait;
use aws_sdk_ec2::{
    operation::RequestId as _,
    types::{InstanceStateName, ResourceType},
};
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use jiff::Timestamp;
use remint_core::provider::{
    Address, Effect, Error, ErrorKind, ImageId, Instance, InstanceId, InstanceState, Instances, Labels, LaunchSpec,
    PowerOp, Region, Result, Selector, Shape, SizeName,
    support::{Call, Launched, all_by_token},
};
use tokio::time::Instant;

use crate::{
    Aws,
    error::{NO_ROOM, is_capacity_reason, never_was},
    tags,
};

mod launch;
mod power;
mod shape;
#[cfg(test)]
mod tests;

/// The most that EC2 gives on a page.
const PAGE_SIZE: i32 = 1000;

type Body = aws_sdk_ec2::types::Instance;

/// What EC2 says that an instance does; `None` for one that is gone.
fn state(body: &Body) -> Option<InstanceState> {
    match body.state().and_then(|state| state.name()) {
        Some(InstanceStateName::Terminated) => None,
        Some(InstanceStateName::Running) => Some(InstanceState::Running),
        Some(InstanceStateName::Stopping) => Some(InstanceState::Stopping),
        Some(InstanceStateName::Stopped) => Some(InstanceState::Stopped),
        Some(InstanceStateName::ShuttingDown) => Some(InstanceState::Destroying),
        _ => Some(InstanceState::Pending),
    }
}

/// When an instance was made. Its launch time is that of its last start; its first network interface was attached once.
fn created_at(body: &Body) -> Option<Timestamp> {
    let attached = body.network_interfaces().iter().filter_map(|interface| interface.attachment()?.attach_time());
    let made = attached.chain(body.launch_time()).min()?;
    Timestamp::new(made.secs(), made.subsec_nanos().try_into().ok()?).ok()
}

impl Aws {
    /// An instance in Remint's words, and remembers it; `None` for one that is gone.
    fn instance(&self, region: &Region, body: &Body) -> Option<Instance> {
        let id = body.instance_id()?;
        let mut memory = self.memory.lock();
        memory.places.insert(id.to_owned(), region.clone());
        let Some(mut state) = state(body) else {
            memory.instances.remove(id);
            return None;
        };
        if memory.instances.destroyed.get(id, self.settings.grace).is_some() {
            // Only for a while: an answer from before the removal may come after it.
            state = InstanceState::Destroying;
        }
        // An instance that was launched from a copy of an image says which one it is a copy of.
        let image = tags::value(body.tags(), tags::SOURCE).or(body.image_id());
        let address = body.public_ip_address().and_then(|ip| ip.parse().ok());
        let instance = Instance {
            id: InstanceId::new(id),
            name: tags::value(body.tags(), tags::NAME).unwrap_or_default().to_owned(),
            labels: tags::labels(body.tags()),
            state,
            busy: matches!(state, InstanceState::Stopping | InstanceState::Destroying),
            address: address.map(|ip| Address { ip, ports: self.settings.ports }),
            image: image.map(ImageId::new),
            size: SizeName::new(body.instance_type().map_or("", |size| size.as_str())),
            region: region.clone(),
            created_at: created_at(body),
        };
        let extra = body.spot_instance_request_id().map(str::to_owned);
        let at = memory.instances.get(id).and_then(|seen| seen.at);
        let seen = Launched { instance: instance.clone(), at, shown: true, gone: false, extra };
        memory.instances.insert(id.to_owned(), seen);
        Some(instance)
    }

    /// Reads one instance, wherever it is; one call where this process knows its region.
    pub(crate) async fn find_instance(&self, operation: &'static str, id: &InstanceId) -> Result<(Region, Body)> {
        let mut missing = None;
        for region in self.places(operation, id.as_str())? {
            let request = self.client.ec2(&region).describe_instances().instance_ids(id.as_str());
            let call = Call::read(operation).about(id);
            match self.client.call(&call, || request.clone().send()).await {
                Ok(answer) => {
                    let request_id = answer.request_id().map(str::to_owned);
                    let said = |error: Error| match &request_id {
                        Some(id) => error.with_request_id(id),
                        None => error,
                    };
                    let mut bodies = answer.reservations.unwrap_or_default().into_iter();
                    let found = bodies.find_map(|reservation| reservation.instances?.into_iter().next());
                    match found {
                        Some(body) if state(&body).is_some() => return Ok((region, body)),
                        Some(body) => {
                            self.instance(&region, &body);
                            return Err(said(gone(operation, id, &body)));
                        }
                        None => missing = Some(said(call.error(ErrorKind::NotFound, "the answer leaves it out"))),
                    }
                }
                Err(error) if never_was(&error, id.as_str(), "i-") => missing = Some(error),
                Err(error) => return Err(error),
            }
        }
        let missing = missing.map(|error| match error.kind() {
            ErrorKind::NotFound => error,
            _ => {
                Error::new(ErrorKind::NotFound, operation, "not an instance's id").with_resource(id).with_source(error)
            }
        });
        Err(missing.unwrap_or_else(|| Error::new(ErrorKind::NotFound, operation, "no such instance").with_resource(id)))
    }

    /// All instances that these filters find in a region; one call for each thousand.
    async fn describe(
        &self,
        operation: &'static str,
        region: &Region,
        filters: Vec<aws_sdk_ec2::types::Filter>,
    ) -> Result<Vec<Body>> {
        let request = self.client.ec2(region).describe_instances().set_filters(Some(filters)).max_results(PAGE_SIZE);
        all_by_token(self.client.calls(), operation, |token| {
            let page = request.clone().set_next_token(token);
            async move {
                let answer = self.client.call(&Call::read(operation), || page.clone().send()).await?;
                let reservations = answer.reservations.unwrap_or_default().into_iter();
                let instances =
                    reservations.flat_map(|reservation| reservation.instances.unwrap_or_default()).collect();
                Ok((instances, answer.next_token))
            }
        })
        .await
    }

    /// All instances of a selector, those included that were just made and do not show yet.
    async fn instances_of(&self, operation: &'static str, selector: &Selector) -> Result<Vec<Instance>> {
        let mut all: Vec<Instance> = Vec::new();
        for region in self.all_places(operation)? {
            let bodies = self.describe(operation, &region, tags::filters(selector)).await?;
            all.extend(bodies.iter().filter_map(|body| self.instance(&region, body)));
        }
        self.memory.lock().instances.complete(&mut all, self.settings.grace, |_| true);
        all.retain(|instance| !instance.labels.0.is_empty() && instance.labels.matches(selector));
        Ok(all)
    }

    /// Whether an instance that is "not found" was launched a moment ago: then it is not gone.
    fn is_pending(&self, id: &InstanceId) -> Option<Instance> {
        let memory = self.memory.lock();
        memory.instances.pending(id.as_str(), self.settings.grace).map(|seen| seen.instance.clone())
    }

    /// What instances are like right after a launch, before any list shows them.
    fn remember_launched(&self, region: &Region, body: &Body, labels: &Labels) -> Result<Instance> {
        let mut instance = self.instance(region, body).ok_or_else(|| {
            Error::new(ErrorKind::Unexpected, "launch instance", "the API's answer holds no instance")
                .with_effect(Effect::Unknown)
        })?;
        let mut memory = self.memory.lock();
        if let Some(seen) = memory.instances.get_mut(instance.id.as_str()) {
            if instance.labels.0.is_empty() {
                instance.labels = labels.clone();
            }
            (seen.at, seen.shown) = (Some(Instant::now()), false);
            seen.instance = instance.clone();
        }
        Ok(instance)
    }
}

/// An instance that was terminated, with EC2's reason where nobody asked for it.
fn gone(operation: &'static str, id: &InstanceId, body: &Body) -> Error {
    let reason = body.state_reason().and_then(|reason| reason.message()).unwrap_or_default();
    let message = match reason {
        "" => "the instance is terminated".to_owned(),
        reason => format!("the instance is terminated: {reason}"),
    };
    let error = Error::new(ErrorKind::NotFound, operation, message).with_resource(id);
    match body.state_reason().and_then(|reason| reason.code()) {
        Some(code) if is_capacity_reason(code) => error.with_hint(NO_ROOM),
        _ => error,
    }
}

#[async_trait]
impl Instances for Aws {
    async fn shape(&self, size: &SizeName, region: &Region) -> Result<Shape> {
        Ok(self.find_offer(size, region).await?.shape)
    }

    async fn launch(&self, spec: &LaunchSpec) -> Result<Vec<Instance>> {
        self.ensure_launched(spec).await
    }

    async fn list(&self, selector: &Selector) -> Result<Vec<Instance>> {
        self.instances_of("list instances", selector).await
    }

    async fn get(&self, id: &InstanceId) -> Result<Instance> {
        const OPERATION: &str = "get instance";
        match self.find_instance(OPERATION, id).await {
            Ok((region, body)) => {
                let found = self.instance(&region, &body);
                found.ok_or_else(|| Error::new(ErrorKind::NotFound, OPERATION, "terminated").with_resource(id))
            }
            Err(error) if error.kind() == ErrorKind::NotFound => match self.is_pending(id) {
                Some(pending) => Ok(pending),
                None => {
                    self.memory.lock().instances.remove(id.as_str());
                    Err(error)
                }
            },
            Err(error) => Err(error),
        }
    }

    async fn power(&self, id: &InstanceId, op: PowerOp) -> Result<()> {
        self.switch(id, op).await
    }

    async fn label(&self, id: &InstanceId, labels: &Labels) -> Result<()> {
        const OPERATION: &str = "label instance";
        let new = tags::tags(OPERATION, labels)?;
        // EC2 tags what is terminated, too: whether it stands is looked at first, unless it was seen to.
        let region = if self.memory.lock().runs(id.as_str()) {
            self.places(OPERATION, id.as_str())?.remove(0)
        } else {
            self.find_instance(OPERATION, id).await?.0
        };
        self.add_tags(OPERATION, &region, vec![id.as_str().to_owned()], new).await?;
        if let Some(seen) = self.memory.lock().instances.get_mut(id.as_str()) {
            seen.instance.labels.0.extend(labels.0.clone());
        }
        Ok(())
    }

    async fn withdraw_user_data(&self, _: &InstanceId) -> Result<bool> {
        // EC2 changes the user data of a stopped instance only.
        Ok(false)
    }

    async fn destroy(&self, id: &InstanceId) -> Result<()> {
        self.terminate(id).await
    }

    async fn console_output(&self, id: &InstanceId) -> Result<String> {
        const OPERATION: &str = "read console";
        let (region, _) = self.find_instance(OPERATION, id).await?;
        let request = self.client.ec2(&region).get_console_output().instance_id(id.as_str());
        let call = Call::read(OPERATION).about(id);
        let latest = request.clone().latest(true);
        let answer = match self.client.call(&call, || latest.clone().send()).await {
            // Only newer kinds of machines show the present; of others EC2 keeps what they wrote at their last boot.
            Err(error) if error.is_code("UnsupportedOperation") => {
                self.client.call(&call, || request.clone().send()).await?
            }
            result => result?,
        };
        let encoded: String = answer.output.unwrap_or_default().split_whitespace().collect();
        let bytes = BASE64.decode(encoded).map_err(|error| {
            call.error(ErrorKind::Unexpected, "the console's text is not what the API documents").with_source(error)
        })?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}

/// The resources that a launch makes and tags.
const TAGGED: [ResourceType; 2] = [ResourceType::Instance, ResourceType::Volume];
