//! Firewall rules of Remint's own: one for each environment, network and port, for the instances that carry its tag.
//!
//! A rule is never changed. Its name and its description carry the environment's id, so that it can be removed once no
//! instance carries its tag.
//!
//! Instances without an environment's id, and those of earlier releases of Remint, share a rule for each network and port.
//! Nobody can tell who uses it, so it stays; without instances that carry its tag it opens nothing.

use google_cloud_compute_v1::model::{Firewall, FirewallList, firewall::Allowed};
use remint_core::provider::{Effect, EnvironmentId, ErrorKind, Labels, Result, label};
use sha2::{Digest, Sha256};

use crate::{
    Gcp,
    error::Subject,
    labelling::Description,
    names::{self, last},
};

const SSH: u16 = 22;
/// How many hexadecimal digits stand for a network whose name is too long for a rule's.
const DIGITS: usize = 10;

/// The tag of instances whose port is open.
pub(super) fn tag(environment: Option<&EnvironmentId>, port: u16) -> String {
    match environment {
        Some(id) => format!("remint-{id}-tcp-{port}"),
        None => format!("remint-tcp-{port}"),
    }
}

/// A tag that every instance of an environment carries: with it, a rule applies to all of them.
pub(crate) fn tag_of_all(environment: Option<&EnvironmentId>) -> String {
    tag(environment, SSH)
}

/// What the description of a rule says: whose it is.
fn description(operation: &'static str, environment: Option<&EnvironmentId>) -> Result<String> {
    match environment {
        Some(id) => Description { labels: Labels::new().with(label::ENV_ID, id.as_str()), zone: String::new() }
            .to_text(operation),
        None => Ok("Made by Remint, for the instances that carry the tag".to_owned()),
    }
}

impl Gcp {
    /// The network, as links name it.
    pub(crate) fn network(&self) -> String {
        match self.config.network.contains('/') {
            true => self.config.network.clone(),
            false => format!("global/networks/{}", self.config.network),
        }
    }

    /// The ports that are opened: 22 and the service's.
    pub(super) fn open_ports(&self) -> impl Iterator<Item = u16> {
        let mut ports = self.service_ports.clone();
        ports.push(SSH);
        ports.sort_unstable();
        ports.dedup();
        ports.into_iter()
    }

    fn rule_name(&self, environment: Option<&EnvironmentId>, port: u16) -> String {
        let network = last(&self.config.network);
        let Some(id) = environment else { return format!("remint-{network}-tcp-{port}") };
        let name = |network: &str| format!("remint-{id}-{network}-tcp-{port}");
        let plain = name(network);
        if names::is_name(&plain) {
            return plain;
        }
        name(&hex::encode(Sha256::digest(network))[..DIGITS])
    }

    /// Makes sure that the rules exist: one call for each environment in the life of the process, and one for each rule that
    /// is missing.
    pub(super) async fn ensure_firewall(
        &self,
        operation: &'static str,
        environment: Option<&EnvironmentId>,
    ) -> Result<()> {
        if !self.config.firewall {
            return Ok(());
        }
        // Held across the calls, so that two launches at once make each rule once.
        let mut open = self.firewalls.lock().await;
        let key = environment.cloned();
        if !open.contains(&key) {
            self.make_rules(operation, environment).await?;
            open.insert(key);
        }
        Ok(())
    }

    /// All firewall rules of the project.
    pub(crate) async fn all_firewalls(&self, subject: &Subject) -> Result<Vec<Firewall>> {
        let client = &self.client;
        let page = |token: Option<String>| {
            client.firewalls.list().set_project(&client.project).set_or_clear_page_token(token).send()
        };
        client.pages(subject, page, |page: FirewallList| (page.items, page.next_page_token)).await
    }

    async fn make_rules(&self, operation: &'static str, environment: Option<&EnvironmentId>) -> Result<()> {
        let client = &self.client;
        let subject = Subject::new(operation).about("firewall rules");
        let rules = self.all_firewalls(&subject).await?;
        for port in self.open_ports() {
            let name = self.rule_name(environment, port);
            if rules.iter().any(|rule| rule.name.as_deref() == Some(name.as_str())) {
                continue;
            }
            names::check(operation, &name)?;
            let subject = Subject::new(operation).about(format!("firewall rule {name}"));
            let allowed = Allowed::new().set_ip_protocol("tcp").set_ports([port.to_string()]);
            let rule = Firewall::new()
                .set_name(&name)
                .set_description(description(operation, environment)?)
                .set_network(self.network())
                .set_direction("INGRESS")
                .set_source_ranges(["0.0.0.0/0"])
                .set_target_tags([tag(environment, port)])
                .set_allowed([allowed]);
            let ask = |request: String| {
                let ask = client.firewalls.insert().set_project(&client.project);
                ask.set_request_id(request).set_body(rule.clone()).send()
            };
            match client.mutate(&subject, ask).await {
                Ok(operation) => drop(self.glance(&subject, &operation).await?),
                Err(error) if error.kind() == ErrorKind::Conflict && error.effect() == Effect::NotApplied => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
