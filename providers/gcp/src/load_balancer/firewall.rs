//! The firewall rules of a load balancer.
//!
//! It passes packets through as they are, so the network's firewall sees the clients' own addresses. That is where `sources` are
//! held. `sourceIpRanges` of a forwarding rule are not for that: such a rule only steers some clients elsewhere, and needs one for
//! all others next to it.
//!
//! | rule | what it does |
//! |---|---|
//! | `NAME-checks` | Google's probes reach the checked port |
//! | `NAME-clients` | `sources`, or everybody, reach the ports at the load balancer's address |
//! | `NAME-others` | nobody else does: it is there with `sources` only |
//!
//! All apply to the environment's instances, by a tag that each carries. Those for clients apply to packets to the load balancer's
//! address only, and go before the rules for the instances' own addresses, which stay as they are.

use std::collections::BTreeSet;

use google_cloud_compute_v1::model::{
    Firewall,
    firewall::{Allowed, Denied},
};
use ipnet::IpNet;
use remint_core::provider::{ErrorKind, LoadBalancerSettings, Result};

use super::{
    mark::{Mark, owned},
    parts::part,
    settings,
};
use crate::{Gcp, error::Subject, instance::firewall::tag_of_all, names::BalancerPath};

/// Where probes for load balancers of this kind come from ("Firewall rules" of Cloud Load Balancing).
const PROBES: [&str; 3] = ["35.191.0.0/16", "209.85.152.0/22", "209.85.204.0/22"];
const EVERYBODY: &str = "0.0.0.0/0";
/// The lower number goes first; rules without one have 1000.
const ALLOWS: i32 = 800;
const DENIES: i32 = 900;

/// The rules that there are.
#[derive(Debug, Default)]
pub(super) struct Firewalls {
    checks: Option<Firewall>,
    clients: Option<Firewall>,
    others: Option<Firewall>,
}

impl Firewalls {
    /// The descriptions of those that exist.
    pub(super) fn descriptions(&self) -> impl Iterator<Item = Option<&str>> {
        self.all().into_iter().flatten().map(|rule| rule.description.as_deref())
    }

    fn all(&self) -> [Option<&Firewall>; 3] {
        [self.checks.as_ref(), self.clients.as_ref(), self.others.as_ref()]
    }

    /// Who may connect; empty where nobody is kept out.
    pub(super) fn sources(&self) -> Vec<IpNet> {
        match (&self.clients, &self.others) {
            (Some(clients), Some(_)) => settings::nets(&clients.source_ranges),
            _ => Vec::new(),
        }
    }

    /// Whether probes and clients get through.
    pub(super) fn let_in(&self) -> bool {
        self.checks.is_some() && self.clients.is_some()
    }
}

fn names(path: &BalancerPath) -> [String; 3] {
    ["checks", "clients", "others"].map(|what| format!("{}-{what}", path.name))
}

/// The three rules, as they are to be.
fn wanted(tag: &str, ip: &str, wanted: &LoadBalancerSettings) -> [Option<Firewall>; 3] {
    let rule = || Firewall::new().set_direction("INGRESS").set_target_tags([tag]);
    let allow = |ports: Vec<String>| {
        rule().set_priority(ALLOWS).set_allowed([Allowed::new().set_ip_protocol("tcp").set_ports(ports)])
    };
    let at_address = |rule: Firewall| rule.set_destination_ranges([format!("{ip}/32")]);
    let sources: Vec<String> = match wanted.sources.as_slice() {
        [] => vec![EVERYBODY.to_owned()],
        nets => nets.iter().map(|net| net.trunc().to_string()).collect(),
    };
    let others = || {
        let rule = rule().set_priority(DENIES).set_denied([Denied::new().set_ip_protocol("tcp")]);
        at_address(rule.set_source_ranges([EVERYBODY]))
    };
    [
        Some(allow(vec![wanted.check.port.to_string()]).set_source_ranges(PROBES)),
        Some(at_address(allow(settings::wire_ports(wanted)).set_source_ranges(sources))),
        (!wanted.sources.is_empty()).then(others),
    ]
}

/// Whether a rule does what another one does.
fn is_as(now: &Firewall, wanted: &Firewall) -> bool {
    let set = |texts: &[String]| texts.iter().cloned().collect::<BTreeSet<_>>();
    let nets = |texts: &[String]| settings::nets(texts).into_iter().collect::<BTreeSet<_>>();
    let protocol = |name: &Option<String>| name.as_deref().unwrap_or_default().to_ascii_lowercase();
    let opens = |rule: &Firewall| {
        let allowed = rule.allowed.iter().map(|one| (true, protocol(&one.ip_protocol), set(&one.ports)));
        let denied = rule.denied.iter().map(|one| (false, protocol(&one.ip_protocol), set(&one.ports)));
        allowed.chain(denied).collect::<Vec<_>>()
    };
    opens(now) == opens(wanted)
        && nets(&now.source_ranges) == nets(&wanted.source_ranges)
        && nets(&now.destination_ranges) == nets(&wanted.destination_ranges)
        && set(&now.target_tags) == set(&wanted.target_tags)
        && now.priority == wanted.priority
        && now.disabled != Some(true)
}

impl Gcp {
    /// Reads them: three calls, none where the options say that there are no rules.
    pub(super) async fn read_firewalls(&self, subject: &Subject, path: &BalancerPath) -> Result<Firewalls> {
        if !self.config.firewall {
            return Ok(Firewalls::default());
        }
        let [checks, clients, others] = names(path);
        let read = |name| self.read_firewall(subject, name);
        let (checks, clients, others) = futures::try_join!(read(checks), read(clients), read(others))?;
        Ok(Firewalls { checks, clients, others })
    }

    async fn read_firewall(&self, subject: &Subject, name: String) -> Result<Option<Firewall>> {
        let client = &self.client;
        client.look_up(subject, || client.firewalls.get().set_project(&client.project).set_firewall(&name).send()).await
    }

    /// Makes sure that probes and clients get through, and nobody else. Says whether it changed anything.
    pub(super) async fn ensure_firewalls(
        &self,
        subject: &Subject,
        path: &BalancerPath,
        mark: &Mark,
        found: &Firewalls,
        (ip, settings): (&str, &LoadBalancerSettings),
    ) -> Result<bool> {
        if !self.config.firewall {
            return Ok(false);
        }
        let mut changed = false;
        let tag = tag_of_all(mark.labels.environment_id().as_ref());
        let rules = wanted(&tag, ip, settings);
        for ((name, now), wanted) in names(path).iter().zip(found.all()).zip(rules) {
            let subject = &part(subject, "firewall rule", name);
            changed |= match (now, wanted) {
                (None, None) => false,
                (Some(now), Some(wanted)) if is_as(now, &wanted) => false,
                (Some(_), Some(wanted)) => self.patch_firewall(subject, name, wanted).await.map(|()| true)?,
                (Some(_), None) => self.delete_firewall(subject, name).await.map(|()| true)?,
                (None, Some(wanted)) => {
                    let described = wanted.set_description(mark.to_text(subject.operation())?);
                    self.insert_firewall(subject, name, described).await.map(|()| true)?
                }
            };
        }
        Ok(changed)
    }

    async fn insert_firewall(&self, subject: &Subject, name: &str, rule: Firewall) -> Result<()> {
        let client = &self.client;
        let body = rule.set_name(name).set_network(self.network());
        let look = || async {
            let found = self.read_firewall(subject, name.to_owned()).await?;
            found.map(|rule| owned(subject, rule.description.as_deref())).transpose()
        };
        let insert = |request: String| {
            let ask = client.firewalls.insert().set_project(&client.project);
            ask.set_request_id(request).set_body(body.clone()).send()
        };
        self.create_part(subject, look, insert).await.map(drop)
    }

    async fn patch_firewall(&self, subject: &Subject, name: &str, rule: Firewall) -> Result<()> {
        let client = &self.client;
        let body = rule.set_disabled(false);
        let patch = |request: String| {
            let ask = client.firewalls.patch().set_project(&client.project).set_firewall(name);
            ask.set_request_id(request).set_body(body.clone()).send()
        };
        let operation = client.mutate(subject, patch).await?;
        self.finish(subject, &operation).await
    }

    async fn delete_firewall(&self, subject: &Subject, name: &str) -> Result<()> {
        let client = &self.client;
        let delete = |request: String| {
            let ask = client.firewalls.delete().set_project(&client.project);
            ask.set_firewall(name).set_request_id(request).send()
        };
        self.delete_part(subject, delete).await
    }

    /// Deletes those whose mark says so; whatever the options say by now.
    pub(super) async fn delete_firewalls(
        &self,
        subject: &Subject,
        path: &BalancerPath,
        doomed: impl Fn(Option<&str>) -> bool,
    ) -> Result<()> {
        for name in names(path) {
            let subject = &part(subject, "firewall rule", &name);
            let found = match self.read_firewall(subject, name.clone()).await {
                // Without firewall rules, the credentials need no rights to them.
                Err(error) if error.kind() == ErrorKind::Forbidden && !self.config.firewall => None,
                found => found?,
            };
            if found.is_some_and(|rule| doomed(rule.description.as_deref())) {
                self.delete_firewall(subject, &name).await?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_that_was_changed_by_hand_is_not_as_wanted() {
        let settings = crate::load_balancer::tests::settings(&[80, 443], &["192.0.2.7/24"]);
        let rules = wanted("remint-tcp-22", "203.0.113.7", &settings);
        let [Some(checks), Some(clients), Some(others)] = rules else { panic!("{rules:?}") };
        assert_eq!(clients.source_ranges, ["192.0.2.0/24"]);
        assert_eq!(
            (others.destination_ranges.as_slice(), others.denied.len()),
            (["203.0.113.7/32".to_owned()].as_slice(), 1)
        );
        assert!(
            clients.priority < others.priority && checks.priority < others.priority && others.priority < Some(1000)
        );
        let same = clients.clone().set_allowed([Allowed::new().set_ip_protocol("TCP").set_ports(["443", "80"])]);
        assert!(is_as(&same, &clients));
        let changes: [fn(Firewall) -> Firewall; 6] = [
            |rule| rule.set_disabled(true),
            |rule| rule.set_priority(1000),
            |rule| rule.set_source_ranges(["0.0.0.0/0"]),
            |rule| rule.set_target_tags(["other"]),
            |rule| rule.set_destination_ranges(Vec::<String>::new()),
            |rule| rule.set_allowed([Allowed::new().set_ip_protocol("tcp")]),
        ];
        for change in changes {
            let changed = change(clients.clone());
            assert!(!is_as(&changed, &clients), "{changed:?}");
        }
        let everybody = crate::load_balancer::tests::settings(&[80], &[]);
        assert!(wanted("tag", "203.0.113.7", &everybody)[2].is_none());
    }
}
