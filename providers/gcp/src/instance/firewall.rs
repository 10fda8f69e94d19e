//! Firewall rules of Remint's own: one for each network and port, for the instances that carry its tag.
//!
//! A rule is never changed, so services with different ports share those that they have in common, and nobody has to
//! know who else uses one. They stay in the project; a rule without instances that carry its tag opens nothing.

use google_cloud_compute_v1::model::{Firewall, FirewallList, firewall::Allowed};
use remint_core::provider::{Effect, ErrorKind, Result};

use crate::{
    Gcp,
    error::Subject,
    names::{self, last},
};

const SSH: u16 = 22;

/// The tag of instances whose port is open.
pub(super) fn tag(port: u16) -> String {
    format!("remint-tcp-{port}")
}

impl Gcp {
    /// The network, as links name it.
    pub(super) fn network(&self) -> String {
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

    fn rule_name(&self, port: u16) -> String {
        format!("remint-{}-tcp-{port}", last(&self.config.network))
    }

    /// Makes sure that the rules exist: one call in the life of the process, and one for each that is missing.
    pub(super) async fn ensure_firewall(&self, operation: &'static str) -> Result<()> {
        if !self.config.firewall {
            return Ok(());
        }
        self.firewall.get_or_try_init(|| self.make_rules(operation)).await.map(drop)
    }

    async fn make_rules(&self, operation: &'static str) -> Result<()> {
        let client = &self.client;
        let subject = Subject::new(operation).about("firewall rules");
        let page = |token: Option<String>| {
            client.firewalls.list().set_project(&client.project).set_or_clear_page_token(token).send()
        };
        let rules: Vec<Firewall> =
            client.pages(&subject, page, |page: FirewallList| (page.items, page.next_page_token)).await?;
        for port in self.open_ports() {
            let name = self.rule_name(port);
            if rules.iter().any(|rule| rule.name.as_deref() == Some(name.as_str())) {
                continue;
            }
            names::check(operation, &name)?;
            let subject = Subject::new(operation).about(format!("firewall rule {name}"));
            let allowed = Allowed::new().set_ip_protocol("tcp").set_ports([port.to_string()]);
            let rule = Firewall::new()
                .set_name(&name)
                .set_description("Made by Remint, for the instances that carry the tag")
                .set_network(self.network())
                .set_direction("INGRESS")
                .set_source_ranges(["0.0.0.0/0"])
                .set_target_tags([tag(port)])
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
