//! Static IPs: a regional address, a forwarding rule of the same name on it, and a target instance for each instance that
//! it ever points at.
//!
//! The rule's target is set by one call, so the address points at the old instance or the new one at every moment, and
//! the instances keep their own addresses. See `docs/decisions/0011-forwarding-rules-for-static-ips.md`.
//!
//! A target instance is named after the address and the instance, and is never changed. It goes when its instance is
//! destroyed through here, and when the address is taken away or released.
//!
//! Neither addresses nor rules can be labelled as they are made; the labels stand in their descriptions. Those that are added
//! later are Google's labels, on the address and on the rule.

use std::{collections::HashMap, time::Duration};

use async_trait::async_trait;
use google_cloud_compute_v1::model::{self, RegionSetLabelsRequest, TargetReference};
use remint_core::provider::{
    Address, Effect, Error, ErrorKind, InstanceId, Labels, Region, Result, Selector, StaticIp, StaticIpId,
    StaticIpSpec, StaticIps,
    support::{CreateOnce, Seen},
};

use crate::{
    Gcp,
    error::Subject,
    labelling::{self, Description},
    load_balancer::mark::is_marked,
    names::{self, AddressPath, InstancePath, region_of},
    operation::Progress,
};

pub(crate) mod target;
#[cfg(test)]
mod tests;

/// All ports of TCP. Google wants a range of one protocol for each rule.
const PORTS: &str = "1-65535";

/// An address with what stands on it.
struct Standing {
    ip: Option<String>,
    description: Option<Description>,
    target: Option<String>,
}

impl Gcp {
    pub(crate) async fn read_rule(
        &self,
        subject: &Subject,
        path: &AddressPath,
    ) -> Result<Option<model::ForwardingRule>> {
        let client = &self.client;
        let ask = || {
            let ask = client.forwarding_rules.get().set_project(&client.project).set_region(&path.region);
            ask.set_forwarding_rule(&path.name).send()
        };
        client.look_up(subject, ask).await
    }

    pub(crate) async fn read_address(&self, subject: &Subject, path: &AddressPath) -> Result<model::Address> {
        let client = &self.client;
        let ask = || {
            let ask = client.addresses.get().set_project(&client.project).set_region(&path.region);
            ask.set_address(&path.name).send()
        };
        client.read(subject, ask).await
    }

    /// The rule, which says all that there is to say, and without one the address: 1 call or 2.
    async fn read_static_ip(&self, subject: &Subject, path: &AddressPath) -> Result<Standing> {
        if let Some(rule) = self.read_rule(subject, path).await? {
            let description = Description::of(rule.description.as_deref(), &rule.labels);
            return Ok(Standing { ip: rule.ip_address, description, target: rule.target });
        }
        let address = self.read_address(subject, path).await?;
        let description = Description::of(address.description.as_deref(), &address.labels);
        Ok(Standing { ip: address.address, description, target: None })
    }

    /// A static IP in Remint's words.
    async fn static_ip(&self, subject: &Subject, path: &AddressPath, standing: Standing) -> Result<StaticIp> {
        let text = standing.ip.unwrap_or_default();
        let ip = text.parse().map_err(|error| {
            subject.error(ErrorKind::Unexpected, format!("`{text}` is not an IP address")).with_source(error)
        })?;
        let points_at = match &standing.target {
            Some(target) => self.target_of(subject, target).await?,
            None => None,
        };
        let busy = self.is_moving(subject, path, points_at.as_ref()).await?;
        let description = standing.description.unwrap_or_default();
        let region = match (&points_at, description.zone.as_str()) {
            (Some(instance), _) => instance.region(),
            (None, "") => Region::new(&path.region),
            (None, zone) => Region::new(zone),
        };
        Ok(StaticIp {
            id: path.id(),
            address: Address { ip, ports: self.ports },
            assigned_to: points_at.map(|instance| instance.id()),
            busy,
            region,
            labels: description.labels,
        })
    }

    /// Whether a move that was accepted here has not happened yet; an error when it has failed.
    async fn is_moving(&self, subject: &Subject, path: &AddressPath, at: Option<&InstancePath>) -> Result<bool> {
        let sent = self.memory.lock().assigned.get(path).cloned();
        let Some((to, pending)) = sent else { return Ok(false) };
        let outcome = match at == Some(&to) {
            true => Progress::Done,
            false => self.progress(subject, &pending).await?,
        };
        match outcome {
            Progress::Running => return Ok(true),
            Progress::Done | Progress::Failed(_) => drop(self.memory.lock().assigned.remove(path)),
        }
        match outcome {
            Progress::Failed(error) => Err(error),
            _ => Ok(false),
        }
    }

    /// Makes the address, or finds it: two calls, and one for each look at its operation.
    async fn ensure_address(
        &self,
        subject: &Subject,
        path: &AddressPath,
        description: &Description,
        identity: &Selector,
    ) -> Result<Standing> {
        let client = &self.client;
        let body = model::Address::new()
            .set_name(&path.name)
            .set_description(description.to_text(subject.operation())?)
            .set_address_type("EXTERNAL");
        let insert = |request: String| {
            let ask = client.addresses.insert().set_project(&client.project).set_region(&path.region);
            ask.set_request_id(request).set_body(body.clone()).send()
        };
        let look = || async {
            match self.read_address(subject, path).await {
                Err(error) if error.kind() == ErrorKind::NotFound => Ok(Seen::Missing(())),
                found => found.map(Seen::There),
            }
        };
        let create = |()| async {
            let operation = client.mutate(subject, insert).await?;
            self.finish(subject, &operation).await?;
            self.read_address(subject, path).await
        };
        let once = CreateOnce::new(&subject.call, Duration::ZERO);
        let address = once.run_from(Seen::Missing(()), look, create).await?;
        let description = Description::of(address.description.as_deref(), &address.labels);
        check_labels(subject, description.as_ref(), identity)?;
        let busy = || subject.error(ErrorKind::Busy, "the address has not been given yet");
        Ok(Standing { ip: Some(address.address.ok_or_else(busy)?), description, target: None })
    }

    /// Sets the labels of an address to what `wanted` makes of those that stand: two calls and waiting, one where they are
    /// there.
    pub(crate) async fn relabel_address(
        &self,
        subject: &Subject,
        path: &AddressPath,
        wanted: impl Fn(&HashMap<String, String>) -> Result<HashMap<String, String>>,
    ) -> Result<()> {
        let client = &self.client;
        let read = || async move {
            let address = self.read_address(subject, path).await?;
            Ok((address.labels, address.label_fingerprint))
        };
        let set = |request: String, labels, fingerprint| {
            let ask = client.addresses.set_labels().set_project(&client.project).set_region(&path.region);
            ask.set_resource(&path.name).set_request_id(request).set_body(labels_body(labels, fingerprint)).send()
        };
        self.relabel_to(subject, wanted, read, set).await
    }

    /// Gives an address the labels of the options. Nothing where there are none.
    async fn add_extra_labels(&self, subject: &Subject, path: &AddressPath) -> Result<()> {
        let extra = &self.config.labels;
        if extra.is_empty() {
            return Ok(());
        }
        let wanted = |standing: &HashMap<String, String>| labelling::with_extra(subject.operation(), standing, extra);
        self.relabel_address(subject, path, wanted).await
    }

    /// Puts a rule on an address that has none: one call, and a look.
    async fn make_rule(
        &self,
        subject: &Subject,
        path: &AddressPath,
        instance: &InstancePath,
        description: &Description,
    ) -> Result<()> {
        let client = &self.client;
        let body = model::ForwardingRule::new()
            .set_name(&path.name)
            .set_description(description.to_text(subject.operation())?)
            .set_ip_address(format!("projects/{}/regions/{}/addresses/{}", client.project, path.region, path.name))
            .set_ip_protocol("TCP")
            .set_port_range(PORTS)
            .set_load_balancing_scheme("EXTERNAL")
            .set_target(self.target_link(path, instance));
        let insert = |request: String| {
            let ask = client.forwarding_rules.insert().set_project(&client.project).set_region(&path.region);
            ask.set_request_id(request).set_body(body.clone()).send()
        };
        let operation = client.mutate(subject, insert).await?;
        self.remember_move(subject, path, instance, &operation).await
    }

    /// Sends an existing rule to another target: one call, and a look.
    async fn set_target(&self, subject: &Subject, path: &AddressPath, instance: &InstancePath) -> Result<()> {
        let client = &self.client;
        let body = TargetReference::new().set_target(self.target_link(path, instance));
        let ask = |request: String| {
            let ask = client.forwarding_rules.set_target().set_project(&client.project).set_region(&path.region);
            ask.set_forwarding_rule(&path.name).set_request_id(request).set_body(body.clone()).send()
        };
        let operation = client.mutate(subject, ask).await?;
        self.remember_move(subject, path, instance, &operation).await
    }

    async fn remember_move(
        &self,
        subject: &Subject,
        path: &AddressPath,
        instance: &InstancePath,
        operation: &model::Operation,
    ) -> Result<()> {
        let pending = self.glance(subject, operation).await?;
        let mut memory = self.memory.lock();
        match pending {
            Some(pending) => drop(memory.assigned.insert(path.clone(), (instance.clone(), pending))),
            None => drop(memory.assigned.remove(path)),
        }
        Ok(())
    }

    /// Points an address at an instance that is known to exist.
    async fn point(
        &self,
        subject: &Subject,
        path: &AddressPath,
        instance: &InstancePath,
        standing: &Standing,
    ) -> Result<()> {
        let there = standing.target.as_deref().is_some_and(|target| names::last(target) == path.target_name(instance));
        let sent = self.memory.lock().assigned.get(path).cloned();
        if match &sent {
            // The last order counts: to come back to where it still stands, it must be given again.
            Some((to, _)) => to == instance,
            None => there,
        } {
            return Ok(());
        }
        let environment = standing.description.as_ref().and_then(|found| found.labels.environment_id());
        self.ensure_target(subject, path, instance, environment.as_ref()).await?;
        match standing.target {
            Some(_) => self.set_target(subject, path, instance).await,
            None => {
                let description = standing.description.clone().unwrap_or_default();
                match self.make_rule(subject, path, instance, &description).await {
                    // Somebody else made one meanwhile: it is sent where this one would have pointed.
                    Err(error) if error.kind() == ErrorKind::Conflict => self.set_target(subject, path, instance).await,
                    result => result,
                }
            }
        }
    }

    /// Takes the rule off an address, and waits until it is gone.
    pub(crate) async fn remove_rule(&self, subject: &Subject, path: &AddressPath) -> Result<()> {
        let client = &self.client;
        let ask = |request: String| {
            let ask = client.forwarding_rules.delete().set_project(&client.project).set_region(&path.region);
            ask.set_forwarding_rule(&path.name).set_request_id(request).send()
        };
        match client.mutate(subject, ask).await {
            Ok(operation) => self.finish(subject, &operation).await?,
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        self.memory.lock().assigned.remove(path);
        Ok(())
    }
}

fn labels_body(labels: HashMap<String, String>, fingerprint: Option<bytes::Bytes>) -> RegionSetLabelsRequest {
    RegionSetLabelsRequest::new().set_labels(labels).set_or_clear_label_fingerprint(fingerprint)
}

/// Refuses an address that is not proven to be the one that is asked for.
fn check_labels(subject: &Subject, standing: Option<&Description>, identity: &Selector) -> Result<()> {
    if standing.is_some_and(|description| description.labels.matches(identity)) {
        return Ok(());
    }
    Err(subject
        .error(ErrorKind::Conflict, "an address of this name is somebody else's: its labels are others")
        .with_hint("release that address, or rename the service"))
}

/// Refuses an instance in another region than the address's.
fn check_region(subject: &Subject, path: &AddressPath, instance: &InstancePath) -> Result<()> {
    if region_of(subject.operation(), &instance.zone)? == path.region {
        return Ok(());
    }
    let message = format!("the address is in {}, and instance {} in {}", path.region, instance.name, instance.zone);
    Err(subject.error(ErrorKind::InvalidInput, message).with_hint("an address points at instances of its region only"))
}

#[async_trait]
impl StaticIps for Gcp {
    async fn ensure(&self, spec: &StaticIpSpec) -> Result<StaticIp> {
        const OPERATION: &str = "reserve static ip";
        let subject = Subject::new(OPERATION).about(&spec.name);
        names::check(OPERATION, &spec.name)?;
        let instance = InstancePath::parse(OPERATION, &spec.instance)?;
        let path = AddressPath { region: region_of(OPERATION, spec.region.as_str())?, name: spec.name.clone() };
        check_region(&subject, &path, &instance)?;
        let description = Description { labels: spec.labels.clone(), zone: spec.region.as_str().to_owned() };
        description.to_text(OPERATION)?;
        self.read_instance(&subject, &instance).await?;
        let identity = spec.identity();
        let standing = match self.read_rule(&subject, &path).await? {
            Some(rule) => {
                let standing = Description::of(rule.description.as_deref(), &rule.labels);
                check_labels(&subject, standing.as_ref(), &identity)?;
                Standing { ip: rule.ip_address, description: standing, target: rule.target }
            }
            None => self.ensure_address(&subject, &path, &description, &identity).await?,
        };
        let made = async {
            self.add_extra_labels(&subject, &path).await?;
            self.point(&subject, &path, &instance, &standing).await?;
            self.static_ip(&subject, &path, standing).await
        };
        // The address stands by now, whatever becomes of the rest; asking again finds it.
        made.await.map_err(|error| error.with_effect(Effect::Applied))
    }

    async fn list(&self, selector: &Selector) -> Result<Vec<StaticIp>> {
        const OPERATION: &str = "list static ips";
        let subject = Subject::new(OPERATION);
        let client = &self.client;
        let page = |token: Option<String>| {
            client.addresses.aggregated_list().set_project(&client.project).set_or_clear_page_token(token).send()
        };
        let take = |page: model::AddressAggregatedList| {
            (page.items.into_values().flat_map(|region| region.addresses).collect(), page.next_page_token)
        };
        let mut addresses: Vec<model::Address> = client.pages(&subject, page, take).await?;
        let labels = |address: &model::Address| {
            let found = Description::of(address.description.as_deref(), &address.labels);
            found.map_or_else(Labels::new, |found| found.labels)
        };
        // Regional and public ones: another kind cannot point at an instance. Without a selector also those that the
        // user has reserved, because a manifest may name one. A load balancer's address is part of that.
        let usable = |address: &model::Address| {
            address.region.is_some()
                && address.address_type != Some(model::address::AddressType::Internal)
                && !is_marked(address.description.as_deref())
        };
        addresses.retain(|address| usable(address) && labels(address).matches(selector));
        let rules = match addresses.iter().any(|address| !address.users.is_empty()) {
            true => self.all_rules(&subject).await?,
            false => Vec::new(),
        };
        let mut all = Vec::new();
        for address in addresses {
            let region = address.region.as_deref().map(names::last).unwrap_or_default().to_owned();
            let path = AddressPath { region, name: address.name.clone().unwrap_or_default() };
            let on_it = |rule: &&model::ForwardingRule| {
                rule.name.as_deref() == Some(path.name.as_str())
                    && rule.region.as_deref().map(names::last) == Some(path.region.as_str())
            };
            let target = rules.iter().find(on_it).and_then(|rule| rule.target.clone());
            let description = Description::of(address.description.as_deref(), &address.labels);
            let standing = Standing { ip: address.address, description, target };
            all.push(self.static_ip(&subject, &path, standing).await?);
        }
        Ok(all)
    }

    async fn get(&self, id: &StaticIpId) -> Result<StaticIp> {
        const OPERATION: &str = "get static ip";
        let path = AddressPath::parse(OPERATION, id)?;
        let subject = Subject::new(OPERATION).about(id);
        let standing = self.read_static_ip(&subject, &path).await?;
        self.static_ip(&subject, &path, standing).await
    }

    async fn assign(&self, id: &StaticIpId, instance: &InstanceId) -> Result<()> {
        const OPERATION: &str = "assign static ip";
        let path = AddressPath::parse(OPERATION, id)?;
        let instance = InstancePath::parse(OPERATION, instance)?;
        let subject = Subject::new(OPERATION).about(id);
        check_region(&subject, &path, &instance)?;
        let standing = self.read_static_ip(&subject, &path).await?;
        self.read_instance(&subject, &instance).await?;
        self.point(&subject, &path, &instance, &standing).await
    }

    async fn label(&self, id: &StaticIpId, labels: &Labels) -> Result<()> {
        const OPERATION: &str = "label static ip";
        let path = AddressPath::parse(OPERATION, id)?;
        let subject = Subject::new(OPERATION).about(id);
        let (client, path, subject) = (&self.client, &path, &subject);
        // The address first: a rule that is made anew takes its labels from there.
        labels.check(OPERATION)?;
        self.relabel_address(subject, path, |standing| labelling::merged(OPERATION, standing, labels)).await?;
        if self.read_rule(subject, path).await?.is_none() {
            return Ok(());
        }
        let read = || async move {
            let rule = self.read_rule(subject, path).await?;
            let rule = rule.ok_or_else(|| subject.error(ErrorKind::Busy, "the address is being taken away"))?;
            Ok((rule.labels, rule.label_fingerprint))
        };
        let set = |request: String, labels, fingerprint| {
            let ask = client.forwarding_rules.set_labels().set_project(&client.project).set_region(&path.region);
            ask.set_resource(&path.name).set_request_id(request).set_body(labels_body(labels, fingerprint)).send()
        };
        self.relabel(subject, labels, read, set).await
    }

    async fn unassign(&self, id: &StaticIpId) -> Result<()> {
        const OPERATION: &str = "unassign static ip";
        let path = AddressPath::parse(OPERATION, id)?;
        let subject = Subject::new(OPERATION).about(id);
        let standing = self.read_static_ip(&subject, &path).await?;
        let Some(target) = standing.target else { return Ok(()) };
        self.remove_rule(&subject, &path).await?;
        self.remove_target(&subject, &target).await
    }

    async fn release(&self, id: &StaticIpId) -> Result<()> {
        const OPERATION: &str = "release static ip";
        let path = AddressPath::parse(OPERATION, id)?;
        let subject = Subject::new(OPERATION).about(id);
        self.remove_rule(&subject, &path).await?;
        self.remove_targets_of(&subject, &path).await?;
        let client = &self.client;
        let ask = |request: String| {
            let ask = client.addresses.delete().set_project(&client.project).set_region(&path.region);
            ask.set_address(&path.name).set_request_id(request).send()
        };
        let operation = match client.mutate(&subject, ask).await {
            Ok(operation) => operation,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(in_use(&subject, error)),
        };
        self.finish(&subject, &operation).await.map_err(|error| in_use(&subject, error))
    }
}

/// A rule that was taken off a moment ago may still hold the address.
fn in_use(subject: &Subject, error: Error) -> Error {
    match error.kind() {
        ErrorKind::Conflict => subject.error(ErrorKind::Busy, "the address is still in use").with_source(error),
        _ => error,
    }
}
