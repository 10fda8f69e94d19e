//! Instances of the model.

use std::{collections::BTreeSet, sync::PoisonError};

use async_trait::async_trait;
use remint_conformance::LostReply;
use remint_core::provider::{
    Capability, ErrorKind, Instance, InstanceId, InstanceState, Instances, Labels, LaunchSpec, PowerOp, Region, Result,
    Selector, Shape, SizeName,
};
use secrecy::ExposeSecret;

use super::{Model, PAGE, World, refusal};

/// The longest value of a label, in characters.
const LABEL_LENGTH: usize = 256;

/// Refuses labels that cannot be kept.
pub(super) fn check_labels(operation: &'static str, labels: &Labels) -> Result<()> {
    let good = |key: &str, value: &str| {
        let ours = key.strip_prefix("remint:").is_some_and(|rest| !rest.is_empty());
        ours && !value.is_empty() && value.chars().count() <= LABEL_LENGTH
    };
    match labels.iter().find(|(key, value)| !good(key, value)) {
        Some((key, _)) => Err(refusal(ErrorKind::InvalidInput, operation, format!("{key:?} is no label of Remint's"))),
        None => Ok(()),
    }
}

impl Model {
    /// Refuses what the cloud would refuse, before anything is asked.
    fn check(&self, spec: &LaunchSpec) -> Result<()> {
        let limits = &self.descriptor.limits;
        let invalid = |message: String| Err(refusal(ErrorKind::InvalidInput, "launch", message));
        let size = spec.user_data.as_ref().map_or(0, |data| data.expose_secret().len());
        if size > limits.user_data_bytes {
            return invalid(format!("user data of {size} bytes; {} is the most", limits.user_data_bytes));
        }
        if spec.names.len() > limits.launch_batch {
            return invalid(format!("{} names in one launch; {} is the most", spec.names.len(), limits.launch_batch));
        }
        let plain = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '-';
        let bad = |name: &&String| {
            let edges = name.starts_with('-') || name.ends_with('-');
            name.is_empty() || name.len() > limits.name_length || edges || !name.chars().all(plain)
        };
        if let Some(name) = spec.names.iter().find(bad) {
            return invalid(format!("{name:?} is no name: at most {} of a-z, 0-9 and -", limits.name_length));
        }
        let names: BTreeSet<_> = spec.names.iter().collect();
        if names.is_empty() || names.len() < spec.names.len() {
            return invalid("no names, or one twice".to_owned());
        }
        if spec.labels.0.is_empty() {
            return invalid("an instance without labels would not be found again".to_owned());
        }
        check_labels("launch", &spec.labels)
    }

    /// All pages of what lists show.
    async fn all_pages(&self) -> Result<Vec<Instance>> {
        let mut listed: Vec<Instance> = Vec::new();
        loop {
            let after = listed.last().map(|instance| instance.id.clone());
            let page = self.read(|world| Ok(world.page_of_machines(after.as_ref()))).await?;
            let is_last = page.len() < PAGE;
            listed.extend(page);
            if is_last {
                return Ok(listed);
            }
        }
    }

    /// Keeps in mind what was just launched.
    pub(crate) fn remember(&self, launched: &[Instance]) {
        let ids = launched.iter().map(|instance| instance.id.clone());
        self.launched.lock().unwrap_or_else(PoisonError::into_inner).extend(ids);
    }

    /// What lists show, and what this process launched and they do not show yet.
    async fn everything(&self) -> Result<Vec<Instance>> {
        let mut listed = self.all_pages().await?;
        let launched = self.launched.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for id in launched {
            let is_settled = listed.iter().any(|instance| instance.id == id) || {
                let read =
                    self.read(|world| Ok(world.machines.get(&id).map(|machine| machine.instance.clone()))).await?;
                let is_gone = read.is_none();
                listed.extend(read);
                is_gone
            };
            if is_settled {
                self.launched.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
            }
        }
        Ok(listed)
    }
}

#[async_trait]
impl Instances for Model {
    async fn shape(&self, size: &SizeName, region: &Region) -> Result<Shape> {
        self.read(|world| world.shape("shape", size.as_str(), region)).await
    }

    async fn launch(&self, spec: &LaunchSpec) -> Result<Vec<Instance>> {
        self.check(spec)?;
        let standing = self.everything().await?;
        let stands = |name: &String| {
            standing.iter().any(|instance| {
                let is_it = instance.name == *name && instance.labels == spec.labels;
                is_it && instance.state != InstanceState::Destroying
            })
        };
        if spec.names.iter().all(stands) {
            let first = |name: &String| standing.iter().find(|instance| instance.name == *name).cloned();
            return Ok(spec.names.iter().filter_map(first).collect());
        }
        let launched = self
            .change(LostReply::Launch, |world| {
                // All or none: what stands is looked at first.
                let taken = |name: &&String| world.machines.values().any(|machine| machine.instance.name == **name);
                for name in spec.names.iter().filter(taken).cloned().collect::<Vec<_>>().iter() {
                    world.create(Some(name), name, spec)?;
                }
                spec.names.iter().map(|name| world.create(Some(name), name, spec)).collect::<Result<Vec<_>>>()
            })
            .await?;
        self.remember(&launched);
        Ok(launched)
    }

    async fn list(&self, selector: &Selector) -> Result<Vec<Instance>> {
        let mut listed = self.everything().await?;
        listed.retain(|instance| instance.labels.matches(selector));
        Ok(listed)
    }

    async fn get(&self, id: &InstanceId) -> Result<Instance> {
        self.read(|world| world.machine("get instance", id).map(|machine| machine.instance.clone())).await
    }

    async fn power(&self, id: &InstanceId, op: PowerOp) -> Result<()> {
        let end = if op == PowerOp::Start { InstanceState::Running } else { InstanceState::Stopped };
        let is_there = |world: &mut World| Ok(world.machine("power", id)?.instance.state == end);
        if self.read(is_there).await? {
            return Ok(());
        }
        self.change(LostReply::Power, |world| world.power(id, op)).await
    }

    async fn label(&self, id: &InstanceId, labels: &Labels) -> Result<()> {
        self.needs("label", Capability::InstanceRelabel)?;
        check_labels("label", labels)?;
        self.change(LostReply::Label, |world| {
            world.machine("label", id)?.instance.labels.0.extend(labels.0.clone());
            Ok(())
        })
        .await
    }

    async fn withdraw_user_data(&self, _: &InstanceId) -> Result<bool> {
        // The model keeps it.
        Ok(false)
    }

    async fn destroy(&self, id: &InstanceId) -> Result<()> {
        self.change(LostReply::Destroy, |world| world.destroy(id)).await
    }

    async fn console_output(&self, id: &InstanceId) -> Result<String> {
        self.needs("console", Capability::InstanceConsole)?;
        self.read(|world| Ok(format!("{} login: ", world.machine("console", id)?.instance.name))).await
    }
}
