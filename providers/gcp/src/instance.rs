//! Instances of Compute Engine.
//!
//! The number in an instance's id tells it from a later one of the same name, and the API takes it in place of the name;
//! so a call about an instance that is gone never meets its successor.
//!
//! Compute Engine has no cut of the power: `stop` asks the system to shut down and, if it does not, cuts the power 90
//! seconds later. [`PowerOp::ForceStop`] is the same call, without the longer time that a graceful shutdown may be
//! configured to have. Both end in `TERMINATED`.

use std::{collections::HashMap, time::Duration};

use async_trait::async_trait;
use google_cloud_compute_v1::model::{self, InstancesSetLabelsRequest, instance::Status};
use jiff::Timestamp;
use remint_core::provider::{
    Address, Effect, Error, ErrorKind, ImageId, Instance, InstanceId, InstanceState, Instances, Labels, LaunchSpec,
    PowerOp, Region, Result, Selector, Shape, SizeName,
};

use crate::{
    Gcp, collision,
    error::Subject,
    labelling,
    names::{InstancePath, last},
    operation::Progress,
    pending::Pending,
};

pub(crate) mod firewall;
mod launch;
mod shape;
#[cfg(test)]
mod tests;

/// The metadata that holds the image of an instance: Compute Engine tells that of its disk only.
pub(crate) const IMAGE_KEY: &str = "remint-image";
/// The metadata that cloud-init reads.
const USER_DATA_KEY: &str = "user-data";

/// Where an instance of the API is.
pub(crate) fn path(found: &model::Instance) -> InstancePath {
    let zone = found.zone.as_deref().map(last).unwrap_or_default();
    let number = found.id.map(|number| number.to_string()).unwrap_or_default();
    InstancePath { zone: zone.to_owned(), name: found.name.clone().unwrap_or_default(), number }
}

fn state(found: &model::Instance) -> (InstanceState, bool) {
    match &found.status {
        Some(Status::Running) => (InstanceState::Running, false),
        Some(Status::Terminated | Status::Stopped | Status::Suspended) => (InstanceState::Stopped, false),
        Some(Status::Stopping | Status::Suspending | Status::PendingStop) => (InstanceState::Stopping, true),
        Some(Status::Deprovisioning) => (InstanceState::Destroying, true),
        _ => (InstanceState::Pending, true),
    }
}

impl Gcp {
    /// An instance in Remint's words; remembers that it was seen.
    pub(crate) fn instance(&self, found: &model::Instance) -> Instance {
        let path = path(found);
        let (mut state, busy) = state(found);
        let access = found.network_interfaces.iter().flat_map(|interface| &interface.access_configs);
        let address = access.filter_map(|access| access.nat_ip.as_deref()).find_map(|ip| ip.parse().ok());
        let items = found.metadata.iter().flat_map(|metadata| &metadata.items);
        let image =
            items.clone().find(|item| item.key.as_deref() == Some(IMAGE_KEY)).and_then(|item| item.value.clone());
        let mut memory = self.memory.lock();
        if memory.instances.destroyed.get(&path, self.grace).is_some() {
            state = InstanceState::Destroying;
        }
        let instance = Instance {
            id: path.id(),
            name: path.name.clone(),
            labels: labelling::from_wire(&found.labels),
            state,
            busy,
            address: address.map(|ip| Address { ip, ports: self.ports }),
            image: image.map(ImageId::new),
            size: SizeName::new(found.machine_type.as_deref().map(last).unwrap_or_default()),
            region: Region::new(&path.zone),
            created_at: found.creation_timestamp.as_deref().and_then(|text| text.parse::<Timestamp>().ok()),
        };
        if let Some(launched) = memory.instances.get_mut(&path) {
            launched.shown = true;
            launched.instance = instance.clone();
        }
        instance
    }

    /// Reads one instance; one call.
    pub(crate) async fn read_instance(&self, subject: &Subject, path: &InstancePath) -> Result<model::Instance> {
        let client = &self.client;
        let ask = || {
            let ask = client.instances.get().set_project(&client.project).set_zone(&path.zone);
            ask.set_instance(&path.number).send()
        };
        client.read(subject, ask).await
    }

    /// An instance that was launched here and does not show: as it was asked for while it is being made, or why it is
    /// not. One call where that is not known.
    async fn unseen(&self, subject: &Subject, path: &InstancePath) -> Result<Option<Instance>> {
        let Some(launched) = self.memory.lock().unseen(path, self.grace).cloned() else { return Ok(None) };
        let Some(pending) = &launched.extra else { return Ok(Some(launched.instance)) };
        match self.progress(subject, pending).await? {
            Progress::Running => Ok(Some(launched.instance)),
            Progress::Done => {
                // It exists, or did: what does not show after a while is gone.
                if let Some(launched) = self.memory.lock().instances.get_mut(path) {
                    launched.extra = None;
                }
                Ok(launched.at.is_some_and(|at| at.elapsed() < self.grace).then_some(launched.instance))
            }
            Progress::Failed(error) => {
                self.memory.lock().instances.remove(path);
                Err(error)
            }
        }
    }

    async fn find_instances(&self, subject: &Subject, selector: &Selector) -> Result<Vec<Instance>> {
        let (client, filter) = (&self.client, labelling::filter(subject.operation(), selector)?);
        let page = |token: Option<String>| {
            let ask = client.instances.aggregated_list().set_project(&client.project).set_filter(&filter);
            ask.set_or_clear_page_token(token).send()
        };
        let take = |page: model::InstanceAggregatedList| {
            (page.items.into_values().flat_map(|zone| zone.instances).collect(), page.next_page_token)
        };
        let found: Vec<model::Instance> = client.pages(subject, page, take).await?;
        let mut all: Vec<Instance> = found.iter().map(|found| self.instance(found)).collect();
        let launched: Vec<InstancePath> = self.memory.lock().instances.iter().map(|(path, _)| path.clone()).collect();
        for path in launched {
            if !all.iter().any(|instance| instance.id == path.id()) {
                all.extend(self.unseen(subject, &path).await?);
            }
        }
        all.retain(|instance| !instance.labels.0.is_empty() && instance.labels.matches(selector));
        Ok(all)
    }
}

#[async_trait]
impl Instances for Gcp {
    async fn shape(&self, size: &SizeName, region: &Region) -> Result<Shape> {
        self.find_shape(size, region).await
    }

    async fn launch(&self, spec: &LaunchSpec) -> Result<Vec<Instance>> {
        self.ensure_launched(spec).await
    }

    async fn list(&self, selector: &Selector) -> Result<Vec<Instance>> {
        self.find_instances(&Subject::new("list instances"), selector).await
    }

    async fn get(&self, id: &InstanceId) -> Result<Instance> {
        const OPERATION: &str = "get instance";
        let path = InstancePath::parse(OPERATION, id)?;
        let subject = Subject::new(OPERATION).about(id);
        match self.read_instance(&subject, &path).await {
            Ok(found) => Ok(self.instance(&found)),
            Err(error) if error.kind() == ErrorKind::NotFound => match self.unseen(&subject, &path).await {
                Ok(launched) => launched.ok_or(error),
                Err(why) => {
                    Err(Error::new(ErrorKind::NotFound, OPERATION, format!("its launch failed: {}", why.said()))
                        .with_resource(id)
                        .with_hint(why.hint().unwrap_or("launch it again").to_owned())
                        .with_source(why))
                }
            },
            Err(error) => Err(error),
        }
    }

    async fn power(&self, id: &InstanceId, op: PowerOp) -> Result<()> {
        const OPERATION: &str = "switch instance";
        let path = InstancePath::parse(OPERATION, id)?;
        let subject = Subject::new(OPERATION).about(id);
        let (state, _) = state(&self.read_instance(&subject, &path).await?);
        match (op, state) {
            (PowerOp::Stop | PowerOp::ForceStop, InstanceState::Stopping | InstanceState::Stopped) => return Ok(()),
            (PowerOp::Start, InstanceState::Pending | InstanceState::Running) => return Ok(()),
            (PowerOp::Start, InstanceState::Stopping) => {
                return Err(subject.error(ErrorKind::Busy, "the instance is still stopping"));
            }
            _ => {}
        }
        let (client, project) = (&self.client, &self.client.project);
        let ask = |request: String| {
            let path = &path;
            async move {
                if op == PowerOp::Start {
                    let ask = client.instances.start().set_project(project).set_zone(&path.zone);
                    ask.set_instance(&path.number).set_request_id(request).send().await
                } else {
                    let ask = client.instances.stop().set_project(project).set_zone(&path.zone);
                    let ask = ask.set_instance(&path.number).set_request_id(request);
                    if op == PowerOp::ForceStop {
                        ask.set_no_graceful_shutdown(true).send().await
                    } else {
                        ask.send().await
                    }
                }
            }
        };
        let operation = client.mutate(&subject, ask).await?;
        self.glance(&subject, &operation).await.map(drop)
    }

    async fn label(&self, id: &InstanceId, labels: &Labels) -> Result<()> {
        const OPERATION: &str = "label instance";
        let path = InstancePath::parse(OPERATION, id)?;
        let subject = Subject::new(OPERATION).about(id);
        let (client, path, subject) = (&self.client, &path, &subject);
        let read = || async move {
            let found = self.read_instance(subject, path).await?;
            Ok((found.labels, found.label_fingerprint))
        };
        let set = |request: String, labels, fingerprint| {
            let body = InstancesSetLabelsRequest::new().set_labels::<HashMap<_, _>, _, _>(labels);
            let body = body.set_or_clear_label_fingerprint(fingerprint);
            let ask = client.instances.set_labels().set_project(&client.project).set_zone(&path.zone);
            ask.set_instance(&path.number).set_request_id(request).set_body(body).send()
        };
        self.relabel(subject, labels, read, set).await
    }

    async fn withdraw_user_data(&self, id: &InstanceId) -> Result<bool> {
        const OPERATION: &str = "withdraw user data";
        let path = InstancePath::parse(OPERATION, id)?;
        let subject = Subject::new(OPERATION).about(id);
        let client = &self.client;
        let mut round = 1;
        loop {
            let mut metadata = self.read_instance(&subject, &path).await?.metadata.unwrap_or_default();
            let before = metadata.items.len();
            metadata.items.retain(|item| item.key.as_deref() != Some(USER_DATA_KEY));
            if metadata.items.len() == before {
                return Ok(true);
            }
            // The fingerprint goes with it, so that nobody else's change is lost.
            let ask = |request: String| {
                let ask = client.instances.set_metadata().set_project(&client.project).set_zone(&path.zone);
                ask.set_instance(&path.number).set_request_id(request).set_body(metadata.clone()).send()
            };
            let set = async {
                let operation = client.mutate(&subject, ask).await?;
                self.finish(&subject, &operation).await
            };
            match set.await {
                Err(error) if error.kind() == ErrorKind::Conflict && round < collision::ROUNDS => {
                    collision::part(round).await;
                    round += 1;
                }
                result => return result.map(|()| true),
            }
        }
    }

    async fn destroy(&self, id: &InstanceId) -> Result<()> {
        const OPERATION: &str = "destroy instance";
        let path = InstancePath::parse(OPERATION, id)?;
        let subject = Subject::new(OPERATION).about(id);
        let accepted = self.memory.lock().instances.destroyed.get(&path, Duration::MAX).cloned();
        if let Some(Some(pending)) = accepted
            && !matches!(self.progress(&subject, &pending).await?, Progress::Failed(_))
        {
            return Ok(());
        }
        self.remove_targets(&subject, &path).await?;
        let client = &self.client;
        let ask = |request: String| {
            let ask = client.instances.delete().set_project(&client.project).set_zone(&path.zone);
            ask.set_instance(&path.number).set_request_id(request).send()
        };
        let operation = match client.mutate(&subject, ask).await {
            Ok(operation) => operation,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                if self.memory.lock().unseen(&path, self.grace).is_some() {
                    // An instance may be missing right after it was made; taking that for gone would leak it.
                    return Err(subject.error(ErrorKind::Busy, "the instance is still being made").with_source(error));
                }
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        subject.progress(&operation).map_err(|error| error.with_effect(Effect::NotApplied))?;
        self.memory.lock().instances.destroyed.note(path, Pending::of(&operation));
        Ok(())
    }

    async fn console_output(&self, id: &InstanceId) -> Result<String> {
        const OPERATION: &str = "read console";
        let path = InstancePath::parse(OPERATION, id)?;
        let client = &self.client;
        let ask = || {
            let ask = client.instances.get_serial_port_output().set_project(&client.project).set_zone(&path.zone);
            ask.set_instance(&path.number).set_port(1).send()
        };
        let output = client.read(&Subject::new(OPERATION).about(id), ask).await?;
        Ok(output.contents.unwrap_or_default())
    }
}
