//! Target instances: what a forwarding rule can point at.
//!
//! One stands for one address and one instance; its name is a digest of both and its description says both, and whose they
//! are, so that anybody can tell what it is for, and remove it.

use google_cloud_compute_v1::model;
use remint_core::provider::{EnvironmentId, ErrorKind, InstanceId, Result, StaticIpId};

use crate::{
    Gcp,
    error::Subject,
    names::{AddressPath, InstancePath, after, last},
};

/// How the description of a target instance of Remint's begins.
const MARK: &str = "remint";

fn description(address: &AddressPath, instance: &InstancePath, environment: Option<&EnvironmentId>) -> String {
    match environment {
        Some(id) => format!("{MARK} {address} {instance} {id}"),
        None => format!("{MARK} {address} {instance}"),
    }
}

/// The environment of a target instance, where Remint made it for one.
pub(crate) fn environment_of(target: &model::TargetInstance) -> Option<EnvironmentId> {
    let words: Vec<&str> = target.description.as_deref()?.split(' ').collect();
    match *words.as_slice() {
        [MARK, _, _, id] => Some(EnvironmentId::from(id)),
        _ => None,
    }
}

/// What a target instance stands for, where Remint made it.
pub(crate) fn stands_for(target: &model::TargetInstance) -> Option<(AddressPath, InstancePath)> {
    let words: Vec<&str> = target.description.as_deref()?.split(' ').collect();
    let ([MARK, address, instance] | [MARK, address, instance, _]) = *words.as_slice() else { return None };
    let address = AddressPath::parse("", &StaticIpId::new(address)).ok()?;
    let instance = InstancePath::parse("", &InstanceId::new(instance)).ok()?;
    Some((address, instance))
}

fn key(zone: &str, name: &str) -> String {
    format!("{zone}/{name}")
}

impl Gcp {
    pub(super) fn target_link(&self, address: &AddressPath, instance: &InstancePath) -> String {
        let (project, zone, name) = (&self.client.project, &instance.zone, address.target_name(instance));
        format!("projects/{project}/zones/{zone}/targetInstances/{name}")
    }

    /// Makes sure that a target instance stands: one call, and one for each look at its operation. Nothing where this
    /// process knows that it does.
    pub(super) async fn ensure_target(
        &self,
        subject: &Subject,
        address: &AddressPath,
        instance: &InstancePath,
        environment: Option<&EnvironmentId>,
    ) -> Result<()> {
        let client = &self.client;
        let name = address.target_name(instance);
        let body = model::TargetInstance::new()
            .set_name(&name)
            .set_description(description(address, instance, environment))
            .set_instance(format!("projects/{}/zones/{}/instances/{}", client.project, instance.zone, instance.name));
        let insert = |request: String| {
            let ask = client.target_instances.insert().set_project(&client.project).set_zone(&instance.zone);
            ask.set_request_id(request).set_body(body.clone()).send()
        };
        match client.mutate(subject, insert).await {
            Ok(operation) => match self.finish(subject, &operation).await {
                Err(error) if error.kind() == ErrorKind::Conflict => {}
                result => result?,
            },
            Err(error) if error.kind() == ErrorKind::Conflict => {}
            Err(error) => return Err(error),
        }
        self.memory.lock().targets.insert(key(&instance.zone, &name), instance.clone());
        Ok(())
    }

    /// The instance that a target instance stands for: one call, once.
    pub(super) async fn target_of(&self, subject: &Subject, link: &str) -> Result<Option<InstancePath>> {
        let Some(zone) = after(link, "zones").filter(|_| after(link, "targetInstances").is_some()) else {
            return Ok(None);
        };
        let name = last(link);
        if let Some(known) = self.memory.lock().targets.get(&key(zone, name)) {
            return Ok(Some(known.clone()));
        }
        let client = &self.client;
        let ask = || {
            let ask = client.target_instances.get().set_project(&client.project).set_zone(zone);
            ask.set_target_instance(name).send()
        };
        let Some(target) = client.look_up(subject, ask).await? else { return Ok(None) };
        let instance = match stands_for(&target) {
            Some((_, instance)) => instance,
            // Somebody else's: it names the instance, and not its number.
            None => match target.instance.as_deref() {
                Some(link) => match self.by_name(subject, zone, last(link)).await? {
                    Some(instance) => instance,
                    None => return Ok(None),
                },
                None => return Ok(None),
            },
        };
        self.memory.lock().targets.insert(key(zone, name), instance.clone());
        Ok(Some(instance))
    }

    async fn by_name(&self, subject: &Subject, zone: &str, name: &str) -> Result<Option<InstancePath>> {
        let client = &self.client;
        let ask = || client.instances.get().set_project(&client.project).set_zone(zone).set_instance(name).send();
        Ok(client.look_up(subject, ask).await?.map(|found| crate::instance::path(&found)))
    }

    pub(crate) async fn all_rules(&self, subject: &Subject) -> Result<Vec<model::ForwardingRule>> {
        let client = &self.client;
        let page = |token: Option<String>| {
            client.forwarding_rules.aggregated_list().set_project(&client.project).set_or_clear_page_token(token).send()
        };
        let take = |page: model::ForwardingRuleAggregatedList| {
            (page.items.into_values().flat_map(|region| region.forwarding_rules).collect(), page.next_page_token)
        };
        client.pages(subject, page, take).await
    }

    pub(crate) async fn all_targets(&self, subject: &Subject) -> Result<Vec<model::TargetInstance>> {
        let client = &self.client;
        let page = |token: Option<String>| {
            client.target_instances.aggregated_list().set_project(&client.project).set_or_clear_page_token(token).send()
        };
        let take = |page: model::TargetInstanceAggregatedList| {
            (page.items.into_values().flat_map(|zone| zone.target_instances).collect(), page.next_page_token)
        };
        client.pages(subject, page, take).await
    }

    /// Removes a target instance; one that is gone, or that somebody else's rule uses, is left.
    pub(super) async fn remove_target(&self, subject: &Subject, link: &str) -> Result<()> {
        let Some(zone) = after(link, "zones") else { return Ok(()) };
        match self.delete_target(subject, zone, last(link)).await {
            Err(error) if error.kind() == ErrorKind::Conflict => Ok(()),
            result => result,
        }
    }

    pub(crate) async fn delete_target(&self, subject: &Subject, zone: &str, name: &str) -> Result<()> {
        let client = &self.client;
        let ask = |request: String| {
            let ask = client.target_instances.delete().set_project(&client.project).set_zone(zone);
            ask.set_target_instance(name).set_request_id(request).send()
        };
        match client.mutate(subject, ask).await {
            Ok(operation) => self.finish(subject, &operation).await?,
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        self.memory.lock().targets.remove(&key(zone, name));
        Ok(())
    }

    /// Removes the target instances of an address that no rule holds any more.
    pub(super) async fn remove_targets_of(&self, subject: &Subject, address: &AddressPath) -> Result<()> {
        for target in &self.all_targets(subject).await? {
            if let Some((of, instance)) = stands_for(target)
                && of == *address
            {
                self.delete_target(subject, &instance.zone, target.name.as_deref().unwrap_or_default()).await?;
            }
        }
        Ok(())
    }

    /// Removes the target instances of an instance, which would outlive it: one call where it has none. An address that
    /// still points at it then points nowhere.
    pub(crate) async fn remove_targets(&self, subject: &Subject, instance: &InstancePath) -> Result<()> {
        let client = &self.client;
        let page = |token: Option<String>| {
            let ask = client.target_instances.list().set_project(&client.project).set_zone(&instance.zone);
            ask.set_or_clear_page_token(token).send()
        };
        let take = |page: model::TargetInstanceList| (page.items, page.next_page_token);
        let targets: Vec<model::TargetInstance> = client.pages(subject, page, take).await?;
        for target in &targets {
            let Some((address, _)) = stands_for(target).filter(|(_, of)| of == instance) else { continue };
            let name = target.name.as_deref().unwrap_or_default();
            match self.delete_target(subject, &instance.zone, name).await {
                Err(error) if error.kind() == ErrorKind::Conflict => {
                    self.remove_rule(subject, &address).await?;
                    self.delete_target(subject, &instance.zone, name).await?;
                }
                result => result?,
            }
        }
        Ok(())
    }
}
