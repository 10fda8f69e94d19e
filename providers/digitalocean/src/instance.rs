//! Instances are droplets.
//!
//! There is no idempotency key, so a launch looks before it creates, and after a lost reply looks again, for as long as
//! the list may lag, before it dares a second create call.

use async_trait::async_trait;
use remint_core::provider::{
    Address, Capability, Effect, Error, ErrorKind, ImageId, Instance, InstanceId, InstanceState, Instances, Labels,
    LaunchSpec, PowerOp, Region, Result, Selector, Shape, SizeName,
    support::{CreateOnce, JsonRequest, Seen},
};
use serde_json::json;

use crate::{DigitalOcean, error::hidden, labelling::resource, provider::ACTION_CALLS, tags, wire};

mod launch;
mod shape;
#[cfg(test)]
mod tests;

impl DigitalOcean {
    /// A droplet in Remint's words; remembers what it is seen doing.
    pub(crate) fn instance(&self, droplet: &wire::Droplet) -> Instance {
        let mut state = match droplet.status.as_str() {
            "active" => InstanceState::Running,
            "off" | "archive" => InstanceState::Stopped,
            _ => InstanceState::Pending,
        };
        let mut memory = self.memory.lock();
        if memory.instances.destroyed.get(&droplet.id, self.grace).is_some() {
            // Only for a while: a removal that was accepted does not always happen.
            state = InstanceState::Destroying;
        }
        let public = droplet.public_addresses();
        let own = memory.own_address(droplet.id, &public);
        if let Some(own) = own {
            memory.addresses.insert(droplet.id, own.to_owned());
        }
        let address = own.or(public.first().copied()).and_then(|address| address.parse().ok());
        let image = droplet.image.as_ref().and_then(|image| image.id);
        let mut instance = Instance {
            id: InstanceId::new(droplet.id.to_string()),
            name: droplet.name.clone(),
            labels: tags::labels(droplet.tags.get().into_iter().flatten()),
            state,
            busy: droplet.locked,
            address: address.map(|ip| Address { ip, ports: self.ports }),
            image: image.map(|id| ImageId::new(id.to_string())),
            size: SizeName::new(droplet.size_slug.clone()),
            region: Region::new(droplet.region.as_ref().map_or("", |region| &region.slug)),
            created_at: droplet.created_at,
        };
        if let Some(launched) = memory.instances.get_mut(&droplet.id) {
            launched.shown |= state != InstanceState::Pending;
            if instance.labels.0.is_empty() {
                // Tags may be attached a little later than the droplet shows.
                instance.labels = launched.instance.labels.clone();
            }
            launched.instance = instance.clone();
        }
        instance
    }

    /// Reads one droplet; one call.
    pub(crate) async fn droplet(&self, operation: &'static str, id: &InstanceId) -> Result<wire::Droplet> {
        let number = droplet_number(operation, id)?;
        let request = JsonRequest::get(operation, &["v2", "droplets", &number.to_string()]).about(id);
        match self.client.json::<wire::DropletAnswer>(&request).await {
            Ok(answer) => Ok(answer.droplet),
            Err(error) if error.kind() == ErrorKind::NotFound => Err(self.explain_missing(number, error)),
            Err(error) => Err(error),
        }
    }

    /// Says so when a droplet that was accepted is gone without anybody having destroyed it.
    fn explain_missing(&self, number: u64, error: Error) -> Error {
        let mut memory = self.memory.lock();
        let pending = memory.instances.pending(&number, self.grace).is_some();
        let destroyed = memory.instances.destroyed.contains(&number);
        let Some(launched) = memory.instances.get_mut(&number).filter(|_| !destroyed) else { return error };
        launched.gone = !pending;
        let name = &launched.instance.name;
        let message = format!("droplet {number} ({name}) was accepted, and is gone without having been destroyed");
        Error::new(ErrorKind::NotFound, error.operation(), message)
            .with_resource(number)
            .with_hint("try again; if it happens again, DigitalOcean has no room for this size in this region")
            .with_source(error)
    }

    /// Finds out which addresses of droplets are their own, before their instances are looked at. No call, unless a droplet
    /// shows two public addresses of which this process knows neither: an assigned reserved IP is listed with the droplet's own,
    /// in no documented order.
    async fn tell_addresses_apart(&self, operation: &'static str, droplets: &[wire::Droplet]) -> Result<()> {
        let unclear = |droplet: &wire::Droplet| {
            let public = droplet.public_addresses();
            public.len() > 1 && self.memory.lock().own_address(droplet.id, &public).is_none()
        };
        if self.descriptor.has(Capability::StaticIp) && droplets.iter().any(unclear) {
            self.reserved_ips(operation).await?;
        }
        Ok(())
    }

    /// All droplets of a selector, those included that were just made and do not show yet.
    async fn droplets(&self, operation: &'static str, selector: &Selector) -> Result<Vec<Instance>> {
        let mut request = JsonRequest::get(operation, &["v2", "droplets"]);
        if let Some(tag) = tags::query_tag(operation, selector)? {
            request = request.query("tag_name", tag);
        }
        let droplets: Vec<wire::Droplet> = self.client.list(&request, "droplets").await?;
        if let Some(droplet) = droplets.iter().find(|droplet| droplet.tags.is_hidden()) {
            // Without its tags no droplet would be known as ours.
            return Err(hidden(operation, "the tags of a droplet", "tag:read").with_resource(droplet.id));
        }
        self.tell_addresses_apart(operation, &droplets).await?;
        let mut all: Vec<Instance> = droplets.iter().map(|droplet| self.instance(droplet)).collect();
        self.memory.lock().instances.complete(&mut all, self.grace, |_| true);
        all.retain(|instance| !instance.labels.0.is_empty() && instance.labels.matches(selector));
        Ok(all)
    }

    fn remember_launched(&self, droplet: &wire::Droplet, labels: &Labels) -> Instance {
        let mut instance = self.instance(droplet);
        if instance.labels.0.is_empty() {
            // The reply to a create call may come before the tags are attached.
            instance.labels = labels.clone();
        }
        let made = instance.state != InstanceState::Pending;
        self.memory.lock().instances.launched(droplet.id, instance.clone(), made, false);
        instance
    }

    /// Whether this process made the droplet and has not seen it stopped; then a stop need not look first. If somebody
    /// else has stopped it, the API refuses, and that is looked into.
    fn runs_since_launch(&self, id: &InstanceId) -> bool {
        let Ok(number) = id.as_str().parse() else { return false };
        let memory = self.memory.lock();
        memory.instances.get(&number).is_some_and(|launched| launched.instance.state != InstanceState::Stopped)
    }

    /// Asks for an action on a droplet. A lost reply is settled by `holds`: whether a droplet is as asked, or at it.
    async fn act(&self, id: &InstanceId, kind: &str, holds: impl Fn(&wire::Droplet) -> bool) -> Result<()> {
        const OPERATION: &str = "switch instance";
        let number = droplet_number(OPERATION, id)?.to_string();
        let request =
            JsonRequest::post(OPERATION, &["v2", "droplets", &number, "actions"], json!({ "type": kind })).about(id);
        let look = || async {
            let droplet = self.droplet(OPERATION, id).await?;
            Ok((holds(&droplet) || droplet.locked).then_some(()).into())
        };
        let once = CreateOnce::new(&request.call, self.look_for_action()).creates(ACTION_CALLS);
        match once.run_from(Seen::Missing(()), look, |()| self.client.accepted(&request)).await {
            Err(error) if matches!(error.kind(), ErrorKind::Busy | ErrorKind::InvalidInput) => {
                if holds(&self.droplet(OPERATION, id).await?) { Ok(()) } else { Err(error) }
            }
            result => result,
        }
    }
}

/// DigitalOcean's ids of droplets are numbers.
pub(crate) fn droplet_number(operation: &'static str, id: &InstanceId) -> Result<u64> {
    id.as_str().parse().map_err(|_| Error::new(ErrorKind::NotFound, operation, "not a droplet's id").with_resource(id))
}

#[async_trait]
impl Instances for DigitalOcean {
    async fn shape(&self, size: &SizeName, region: &Region) -> Result<Shape> {
        self.find_shape(size, region).await
    }

    async fn launch(&self, spec: &LaunchSpec) -> Result<Vec<Instance>> {
        self.ensure_launched(spec).await
    }

    async fn list(&self, selector: &Selector) -> Result<Vec<Instance>> {
        self.droplets("list instances", selector).await
    }

    async fn get(&self, id: &InstanceId) -> Result<Instance> {
        const OPERATION: &str = "get instance";
        match self.droplet(OPERATION, id).await {
            Ok(droplet) => {
                self.tell_addresses_apart(OPERATION, std::slice::from_ref(&droplet)).await?;
                Ok(self.instance(&droplet))
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let number = droplet_number(OPERATION, id)?;
                let memory = self.memory.lock();
                memory.instances.pending(&number, self.grace).map(|launched| launched.instance.clone()).ok_or(error)
            }
            Err(error) => Err(error),
        }
    }

    async fn power(&self, id: &InstanceId, op: PowerOp) -> Result<()> {
        let (kind, wanted) = match op {
            PowerOp::Stop => ("shutdown", "off"),
            PowerOp::ForceStop => ("power_off", "off"),
            PowerOp::Start => ("power_on", "active"),
        };
        let look = op == PowerOp::Start || !self.runs_since_launch(id);
        if look && self.droplet("switch instance", id).await?.status == wanted {
            return Ok(());
        }
        self.act(id, kind, |droplet| droplet.status == wanted).await
    }

    async fn label(&self, id: &InstanceId, labels: &Labels) -> Result<()> {
        const OPERATION: &str = "label instance";
        labels.check(OPERATION)?;
        // Refused as a whole, before a part of them is there.
        tags::tags(OPERATION, labels)?;
        let droplet = self.droplet(OPERATION, id).await?;
        let standing = droplet.tags.get().cloned().unwrap_or_default();
        self.relabel(OPERATION, &resource("droplet", droplet.id), &standing, labels).await?;
        if let Some(launched) = self.memory.lock().instances.get_mut(&droplet.id) {
            launched.instance.labels.0.extend(labels.0.clone());
        }
        Ok(())
    }

    async fn withdraw_user_data(&self, _: &InstanceId) -> Result<bool> {
        // A droplet keeps the user data of its creation.
        Ok(false)
    }

    async fn destroy(&self, id: &InstanceId) -> Result<()> {
        const OPERATION: &str = "destroy instance";
        let number = droplet_number(OPERATION, id)?;
        let request = JsonRequest::delete(OPERATION, &["v2", "droplets", &number.to_string()])
            .about(id)
            .meaning(422, ErrorKind::Busy);
        match self.client.accepted(&request).await {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                if self.memory.lock().instances.pending(&number, self.grace).is_some() {
                    // A droplet may be missing right after it was made; taking that for gone would leak it.
                    return Err(Error::new(ErrorKind::Busy, OPERATION, "the droplet is still being made")
                        .with_resource(id)
                        .with_effect(Effect::NotApplied)
                        .with_source(error));
                }
            }
            result => result?,
        }
        self.memory.lock().instances.destroyed.note(number, ());
        Ok(())
    }

    async fn console_output(&self, id: &InstanceId) -> Result<String> {
        const OPERATION: &str = "read console";
        let path = self.console_path.filter(|_| self.descriptor.has(Capability::InstanceConsole));
        let Some(path) = path else { return Err(Error::unsupported(OPERATION, Capability::InstanceConsole)) };
        let number = droplet_number(OPERATION, id)?.to_string();
        let segments: Vec<&str> =
            path.split('/').filter(|s| !s.is_empty()).map(|s| if s == "{id}" { &number } else { s }).collect();
        self.client.text(&JsonRequest::get(OPERATION, &segments).about(id)).await
    }
}
