//! Strays: target instances and forwarding rules that are left of a static IP, and firewall rules that apply to no instance.
//!
//! Each carries the environment's id in its description, from the call that makes it. Google itself refuses to delete a
//! target that a rule points at; what it does not know is looked at here.
//!
//! | kind | id |
//! |---|---|
//! | forwarding rule | `REGION/NAME`, as the static IP's |
//! | target instance | `ZONE/NAME` |
//! | firewall rule | `NAME` |

use async_trait::async_trait;
use google_cloud_compute_v1::model::{self, Firewall, ForwardingRule, TargetInstance};
use jiff::Timestamp;
use remint_core::provider::{
    EnvironmentId, Error, ErrorKind, Owner, Region, Result, StaticIpId, Stray, StrayId, StrayKind, Strays, label,
};

use crate::{
    Gcp,
    error::Subject,
    labelling::Description,
    names::{AddressPath, InstancePath, after, is_name, last},
    static_ip::target::{environment_of, stands_for},
};

#[cfg(test)]
mod tests;

const LIST: &str = "list strays";
const REMOVE: &str = "remove stray";

fn time(text: Option<&String>) -> Option<Timestamp> {
    text.and_then(|text| text.parse().ok())
}

fn is_of(description: Option<Description>, environment: &EnvironmentId) -> bool {
    description.is_some_and(|found| found.labels.get(label::ENV_ID) == Some(environment.as_str()))
}

fn rule_is_of(rule: &ForwardingRule, environment: &EnvironmentId) -> bool {
    is_of(Description::of(rule.description.as_deref(), &rule.labels), environment)
}

fn firewall_is_of(rule: &Firewall, environment: &EnvironmentId) -> bool {
    is_of(Description::from_text(rule.description.as_deref()), environment)
}

fn rule_path(rule: &ForwardingRule) -> AddressPath {
    let region = rule.region.as_deref().map(last).unwrap_or_default().to_owned();
    AddressPath { region, name: rule.name.clone().unwrap_or_default() }
}

/// `ZONE/NAME` of a target instance, or of a link to one.
fn target_key(target: &TargetInstance) -> (String, String) {
    let zone = target.zone.as_deref().map(last).unwrap_or_default();
    (zone.to_owned(), target.name.clone().unwrap_or_default())
}

fn points_at(rule: &ForwardingRule, zone: &str, name: &str) -> bool {
    let target = rule.target.as_deref().unwrap_or_default();
    after(target, "zones") == Some(zone) && after(target, "targetInstances") == Some(name)
}

fn missing<T>(result: Result<T>) -> Result<bool> {
    match result {
        Ok(_) => Ok(false),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(true),
        Err(error) => Err(error),
    }
}

impl Gcp {
    async fn address_is_gone(&self, subject: &Subject, path: &AddressPath) -> Result<bool> {
        missing(self.read_address(subject, path).await)
    }

    async fn instance_is_gone(&self, subject: &Subject, path: &InstancePath) -> Result<bool> {
        missing(self.read_instance(subject, path).await)
    }

    /// Why nothing needs a target instance any more, where that is so: up to two calls.
    async fn why_unneeded(&self, subject: &Subject, target: &TargetInstance) -> Result<Option<String>> {
        let Some((address, instance)) = stands_for(target) else { return Ok(None) };
        if self.instance_is_gone(subject, &instance).await? {
            return Ok(Some(format!("instance {} is gone", instance.name)));
        }
        let gone = self.address_is_gone(subject, &address).await?;
        Ok(gone.then(|| format!("static IP {} is gone", address.name)))
    }

    async fn stray_targets(
        &self,
        subject: &Subject,
        environment: &EnvironmentId,
        rules: &[ForwardingRule],
    ) -> Result<Vec<Stray>> {
        let mut found = Vec::new();
        for target in self.all_targets(subject).await? {
            let (zone, name) = target_key(&target);
            let ours = environment_of(&target).as_ref() == Some(environment);
            if !ours || rules.iter().any(|rule| points_at(rule, &zone, &name)) {
                continue;
            }
            if let Some(why) = self.why_unneeded(subject, &target).await? {
                found.push(Stray {
                    kind: StrayKind::TargetInstance,
                    id: StrayId::new(format!("{zone}/{name}")),
                    name,
                    region: Some(Region::new(zone)),
                    created_at: time(target.creation_timestamp.as_ref()),
                    why,
                });
            }
        }
        Ok(found)
    }

    async fn stray_rules(
        &self,
        subject: &Subject,
        environment: &EnvironmentId,
        rules: &[ForwardingRule],
    ) -> Result<Vec<Stray>> {
        let mut found = Vec::new();
        for rule in rules.iter().filter(|rule| rule_is_of(rule, environment)) {
            let path = rule_path(rule);
            if self.address_is_gone(subject, &path).await? {
                found.push(Stray {
                    kind: StrayKind::ForwardingRule,
                    id: StrayId::new(path.to_string()),
                    name: path.name,
                    region: Some(Region::new(path.region)),
                    created_at: time(rule.creation_timestamp.as_ref()),
                    why: "its static IP is gone".to_owned(),
                });
            }
        }
        Ok(found)
    }

    /// The network tags that instances of the project carry; one call for each page of them.
    async fn tags_in_use(&self, subject: &Subject) -> Result<Vec<String>> {
        let client = &self.client;
        let page = |token: Option<String>| {
            let ask = client.instances.aggregated_list().set_project(&client.project);
            ask.set_or_clear_page_token(token).send()
        };
        let take = |page: model::InstanceAggregatedList| {
            let instances = page.items.into_values().flat_map(|zone| zone.instances);
            (instances.filter_map(|instance| instance.tags).collect(), page.next_page_token)
        };
        let tags: Vec<model::Tags> = client.pages(subject, page, take).await?;
        Ok(tags.into_iter().flat_map(|tags| tags.items).collect())
    }

    async fn stray_firewalls(&self, subject: &Subject, environment: &EnvironmentId) -> Result<Vec<Stray>> {
        let mut rules = self.all_firewalls(subject).await?;
        rules.retain(|rule| firewall_is_of(rule, environment));
        if rules.is_empty() {
            return Ok(Vec::new());
        }
        let tags = self.tags_in_use(subject).await?;
        rules.retain(|rule| !rule.target_tags.iter().any(|tag| tags.contains(tag)));
        let stray = |rule: Firewall| {
            let name = rule.name.unwrap_or_default();
            Stray {
                kind: StrayKind::FirewallRule,
                id: StrayId::new(&*name),
                name,
                region: None,
                created_at: time(rule.creation_timestamp.as_ref()),
                why: "no instance carries its tag".to_owned(),
            }
        };
        Ok(rules.into_iter().map(stray).collect())
    }

    async fn remove_stray_target(&self, subject: &Subject, environment: &EnvironmentId, id: &str) -> Result<()> {
        let Some((zone, name)) = id.split_once('/').filter(|(zone, name)| is_name(zone) && is_name(name)) else {
            return Err(not_an_id(subject, StrayKind::TargetInstance));
        };
        let client = &self.client;
        let ask = || {
            let ask = client.target_instances.get().set_project(&client.project).set_zone(zone);
            ask.set_target_instance(name).send()
        };
        let Some(target) = client.look_up(subject, ask).await? else { return Ok(()) };
        if environment_of(&target).as_ref() != Some(environment) {
            return Err(not_ours(subject));
        }
        if self.all_rules(subject).await?.iter().any(|rule| points_at(rule, zone, name)) {
            return Err(in_use(subject, "a forwarding rule points at it"));
        }
        if self.why_unneeded(subject, &target).await?.is_none() {
            return Err(in_use(subject, "its static IP and its instance are there"));
        }
        self.delete_target(subject, zone, name).await
    }

    async fn remove_stray_rule(&self, subject: &Subject, environment: &EnvironmentId, id: &str) -> Result<()> {
        let path = AddressPath::parse(REMOVE, &StaticIpId::new(id))
            .map_err(|error| not_an_id(subject, StrayKind::ForwardingRule).with_source(error))?;
        let Some(rule) = self.read_rule(subject, &path).await? else { return Ok(()) };
        if !rule_is_of(&rule, environment) {
            return Err(not_ours(subject));
        }
        if !self.address_is_gone(subject, &path).await? {
            return Err(in_use(subject, "its static IP is there"));
        }
        self.remove_rule(subject, &path).await
    }

    async fn remove_stray_firewall(&self, subject: &Subject, environment: &EnvironmentId, name: &str) -> Result<()> {
        if !is_name(name) {
            return Err(not_an_id(subject, StrayKind::FirewallRule));
        }
        let client = &self.client;
        let ask = || client.firewalls.get().set_project(&client.project).set_firewall(name).send();
        let Some(rule) = client.look_up(subject, ask).await? else { return Ok(()) };
        if !firewall_is_of(&rule, environment) {
            return Err(not_ours(subject));
        }
        let tags = self.tags_in_use(subject).await?;
        if rule.target_tags.iter().any(|tag| tags.contains(tag)) {
            return Err(in_use(subject, "an instance carries its tag"));
        }
        let ask = |request: String| {
            let ask = client.firewalls.delete().set_project(&client.project);
            ask.set_firewall(name).set_request_id(request).send()
        };
        match client.mutate(subject, ask).await {
            Ok(operation) => self.finish(subject, &operation).await?,
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        self.firewalls.lock().await.remove(&Some(environment.clone()));
        Ok(())
    }
}

fn not_an_id(subject: &Subject, kind: StrayKind) -> Error {
    subject.error(ErrorKind::InvalidInput, format!("not the id of a {kind} on Google Cloud"))
}

fn not_ours(subject: &Subject) -> Error {
    subject.error(ErrorKind::Conflict, "it does not carry the owner's id")
}

fn in_use(subject: &Subject, why: &str) -> Error {
    subject.error(ErrorKind::Conflict, format!("it is in use: {why}"))
}

#[async_trait]
impl Strays for Gcp {
    async fn list(&self, owner: &Owner) -> Result<Vec<Stray>> {
        // Images have no parts here: only environments have strays.
        let Some(environment) = &owner.environment else { return Ok(Vec::new()) };
        let subject = Subject::new(LIST);
        let rules = self.all_rules(&subject).await?;
        let mut all = self.stray_rules(&subject, environment, &rules).await?;
        all.extend(self.stray_targets(&subject, environment, &rules).await?);
        all.extend(self.stray_firewalls(&subject, environment).await?);
        Ok(all)
    }

    async fn remove(&self, owner: &Owner, stray: &Stray) -> Result<()> {
        let subject = Subject::new(REMOVE).about(format!("{} {}", stray.kind, stray.id));
        let Some(environment) = &owner.environment else { return Err(not_ours(&subject)) };
        let id = stray.id.as_str();
        match stray.kind {
            StrayKind::TargetInstance => self.remove_stray_target(&subject, environment, id).await,
            StrayKind::ForwardingRule => self.remove_stray_rule(&subject, environment, id).await,
            StrayKind::FirewallRule => self.remove_stray_firewall(&subject, environment, id).await,
            kind => Err(not_an_id(&subject, kind)),
        }
    }
}
