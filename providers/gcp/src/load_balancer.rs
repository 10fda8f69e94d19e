//! Load balancers: regional external passthrough Network Load Balancers.
//!
//! | part | what it is for |
//! |---|---|
//! | address | where clients connect. It is created first and deleted last: while it exists, the load balancer does |
//! | forwarding rule | sends connections to the address's ports to the backend service |
//! | backend service | has the groups, the health check and the drain time |
//! | health check | finds out which members take connections |
//! | instance groups | the members, a group for each zone ([`groups`]) |
//! | firewall rules | let probes and clients in ([`firewall`]) |
//!
//! All parts have the load balancer's name; the firewall rules, which are the project's and not a region's, have it with a suffix.
//! Each says in its description whose it is ([`mark`]). What is cut is completed by the next `ensure`, or deleted by `destroy`,
//! which can be repeated: each looks at all parts.
//!
//! Packets reach the members as they were sent: to the load balancer's address, which Google's guest agent takes, and to the same
//! port. When no member is healthy, Google spreads connections over all of them.
//!
//! Alternatives not taken: Google's proxies need a subnet of their own in the network, and cost more, for requests and TLS only.
//! Network endpoint groups hold addresses, and not instances, so that a member would outlive its instance.

use std::collections::HashMap;

use async_trait::async_trait;
use futures::future::try_join_all;
use google_cloud_compute_v1::model::{self, AddressAggregatedList, HealthCheck};
use remint_core::provider::{
    Address, Effect, Endpoint, ErrorKind, InstanceId, Listener, ListenerProtocol, LoadBalancer, LoadBalancerId,
    LoadBalancerSettings, LoadBalancerSpec, LoadBalancerState, LoadBalancers, Member, Region, Result,
};

use self::{
    firewall::Firewalls,
    mark::{Mark, owned},
    parts::{Parts, leads, part},
};
use crate::{
    Gcp,
    error::Subject,
    labelling,
    names::{self, BalancerPath, last, region_of},
};

mod firewall;
mod groups;
pub(crate) mod mark;
mod members;
mod parts;
mod settings;
#[cfg(test)]
mod tests;

const ENSURE: &str = "ensure load balancer";
const DESTROY: &str = "destroy load balancer";

/// A load balancer's address: while it exists, the load balancer does.
struct Standing {
    path: BalancerPath,
    ip: Option<String>,
    mark: Mark,
}

impl Standing {
    /// Reads an address; `None` for one that is not Remint's, or no load balancer's.
    fn of(address: &model::Address) -> Option<Self> {
        let mark = Mark::from_text(address.description.as_deref())?;
        let region = address.region.as_deref().map(last)?.to_owned();
        let (name, number) = (address.name.clone()?, address.id?.to_string());
        Some(Self { path: BalancerPath { region, name, number }, ip: address.address.clone(), mark })
    }

    /// What its parts say of whose they are.
    fn part_mark(&self) -> Mark {
        self.mark.of_part(&self.path)
    }
}

/// How a load balancer is set up. What does not exist yet is shown as nothing.
fn shown(parts: &Parts, firewalls: &Firewalls) -> LoadBalancerSettings {
    let listener = |port| Listener { port, protocol: ListenerProtocol::Tcp, target_port: port, certificate: None };
    LoadBalancerSettings {
        listeners: parts.rule.iter().flat_map(settings::ports).map(listener).collect(),
        check: settings::member_check(parts.check.as_ref().unwrap_or(&HealthCheck::new())),
        drain: None,
        sources: firewalls.sources(),
    }
}

impl Gcp {
    /// A load balancer in Remint's words.
    fn balancer(&self, standing: &Standing, parts: &Parts, firewalls: &Firewalls) -> LoadBalancer {
        let Standing { path, ip, mark } = standing;
        let ip = ip.as_deref().unwrap_or_default();
        let rule = parts.rule.as_ref().is_some_and(|rule| leads(rule, path, ip));
        let whole = rule && parts.service.is_some() && parts.check.is_some();
        let active = whole && (firewalls.let_in() || !self.config.firewall);
        LoadBalancer {
            id: path.id(),
            name: path.name.clone(),
            state: if active { LoadBalancerState::Active } else { LoadBalancerState::Pending },
            endpoint: ip.parse().ok().map(|ip| Endpoint::Address(Address { ip, ports: self.ports })),
            region: Region::new(&mark.zone),
            settings: shown(parts, firewalls),
        }
    }

    async fn read_all(&self, subject: &Subject, path: &BalancerPath) -> Result<(Parts, Firewalls)> {
        futures::try_join!(self.read_parts(subject, path), self.read_firewalls(subject, path))
    }

    /// All addresses of the project.
    async fn all_addresses(&self, subject: &Subject) -> Result<Vec<model::Address>> {
        let client = &self.client;
        let page = |token: Option<String>| {
            client.addresses.aggregated_list().set_project(&client.project).set_or_clear_page_token(token).send()
        };
        let take = |page: AddressAggregatedList| {
            (page.items.into_values().flat_map(|region| region.addresses).collect(), page.next_page_token)
        };
        client.pages(subject, page, take).await
    }

    /// The address of a load balancer; `NotFound` where it is gone, or a later one of the name.
    async fn read_standing(&self, subject: &Subject, path: &BalancerPath) -> Result<Standing> {
        let address = self.read_address(subject, &path.address()).await?;
        let found = Standing::of(&address).filter(|standing| standing.path == *path);
        found.ok_or_else(|| subject.error(ErrorKind::NotFound, "it is gone; another address has its name"))
    }

    /// The address of a spec's name in its region, as a look sees it.
    async fn look_for(&self, subject: &Subject, spec: &LoadBalancerSpec, region: &str) -> Result<Option<Standing>> {
        let mut all = self.all_addresses(subject).await?;
        all.retain(|address| address.name.as_deref() == Some(spec.name.as_str()) && address.region.is_some());
        let here = |address: &&model::Address| address.region.as_deref().map(last) == Some(region);
        if let Some(address) = all.iter().find(here) {
            owned(&part(subject, "address", &spec.name), address.description.as_deref())?;
            return Ok(Standing::of(address));
        }
        match all.iter().find_map(Standing::of) {
            Some(elsewhere) => Err(subject
                .error(ErrorKind::Conflict, format!("{} has this name", elsewhere.path.id()))
                .with_hint(format!("destroy it first, or stay in {}", elsewhere.mark.zone))),
            None => Ok(None),
        }
    }

    /// Makes sure that there is an address; says whether this call has created it.
    async fn ensure_standing(
        &self,
        subject: &Subject,
        spec: &LoadBalancerSpec,
        region: &str,
    ) -> Result<(Standing, bool)> {
        let client = &self.client;
        if let Some(found) = self.look_for(subject, spec, region).await? {
            return Ok((found, false));
        }
        let mark = Mark { labels: spec.labels.clone(), zone: spec.region.as_str().to_owned(), number: None };
        let body = model::Address::new()
            .set_name(&spec.name)
            .set_description(mark.to_text(ENSURE)?)
            .set_address_type("EXTERNAL");
        let insert = |request: String| {
            let ask = client.addresses.insert().set_project(&client.project).set_region(region);
            ask.set_request_id(request).set_body(body.clone()).send()
        };
        let look = || self.look_for(subject, spec, region);
        Ok((self.create_part(&part(subject, "address", &spec.name), look, insert).await?, true))
    }

    /// Completes a load balancer whose address exists, and sets it up as is wanted.
    async fn complete(
        &self,
        subject: &Subject,
        standing: &Standing,
        wanted: &LoadBalancerSettings,
    ) -> Result<LoadBalancer> {
        let path = &standing.path;
        let busy = || subject.error(ErrorKind::Busy, "the address has not been given yet");
        let ip = standing.ip.as_deref().ok_or_else(busy)?;
        let (mut parts, mut firewalls) = self.read_all(subject, path).await?;
        let mark = standing.part_mark();
        let mut left = parts.service.is_none();
        for description in parts.descriptions().chain(firewalls.descriptions()) {
            left |= owned(subject, description)?.number != mark.number;
        }
        if left {
            // What is left of an earlier load balancer of this name would bring its members along.
            let earlier = |found: &Mark| found.number != mark.number;
            self.delete_parts(subject, path, &earlier).await?;
            (parts, firewalls) = self.read_all(subject, path).await?;
        }
        let mut changed = self.ensure_check(subject, path, &mark, parts.check.as_ref(), wanted).await?;
        changed |= self.ensure_service(subject, path, &mark, parts.service.as_ref(), wanted).await?;
        changed |= self.ensure_firewalls(subject, path, &mark, &firewalls, (ip, wanted)).await?;
        let rule = parts.rule.as_ref().map(|rule| (rule, ip));
        changed |= self.ensure_rule(subject, path, &mark, rule, wanted).await?;
        self.label_standing(subject, path).await?;
        if changed {
            (parts, firewalls) = self.read_all(subject, path).await?;
        }
        Ok(self.balancer(standing, &parts, &firewalls))
    }

    /// Gives the address the labels of the options. Nothing where there are none.
    async fn label_standing(&self, subject: &Subject, path: &BalancerPath) -> Result<()> {
        let extra = &self.config.labels;
        if extra.is_empty() {
            return Ok(());
        }
        let wanted = |standing: &HashMap<String, String>| labelling::with_extra(subject.operation(), standing, extra);
        self.relabel_address(subject, &path.address(), wanted).await
    }

    /// Deletes the parts whose mark says so, the address excepted, each before those that it needs. What is not Remint's stays.
    async fn delete_parts(
        &self,
        subject: &Subject,
        path: &BalancerPath,
        doomed: &(dyn Fn(&Mark) -> bool + Sync),
    ) -> Result<()> {
        let is_doomed = |description: Option<&str>| Mark::from_text(description).is_some_and(|mark| doomed(&mark));
        let parts = self.read_parts(subject, path).await?;
        if parts.rule.is_some_and(|rule| is_doomed(rule.description.as_deref())) {
            self.delete_balancer_rule(subject, path).await?;
        }
        if parts.service.is_some_and(|service| is_doomed(service.description.as_deref())) {
            self.delete_service(subject, path).await?;
        }
        self.delete_groups(subject, path, is_doomed).await?;
        if parts.check.is_some_and(|check| is_doomed(check.description.as_deref())) {
            self.delete_check(subject, path).await?;
        }
        self.delete_firewalls(subject, path, is_doomed).await
    }
}

#[async_trait]
impl LoadBalancers for Gcp {
    fn accepts(&self, spec: &LoadBalancerSpec) -> Result<()> {
        spec.check(ENSURE, self.descriptor)?;
        names::check(ENSURE, &spec.name)?;
        settings::check(ENSURE, &spec.settings, self.config.firewall).map_err(|error| error.with_resource(&spec.name))
    }

    async fn ensure(&self, spec: &LoadBalancerSpec) -> Result<LoadBalancer> {
        self.accepts(spec)?;
        let region = region_of(ENSURE, spec.region.as_str())?;
        let subject = Subject::new(ENSURE).about(&spec.name);
        let _turn = self.turns.take([spec.name.as_str()]).await;
        let (standing, new) = self.ensure_standing(&subject, spec, &region).await?;
        let done = self.complete(&subject, &standing, &spec.settings).await;
        // The address exists by now, whatever becomes of the rest; the next call finds it.
        done.map_err(|error| if new { error.with_effect(Effect::Applied) } else { error })
    }

    async fn list(&self, prefix: &str) -> Result<Vec<LoadBalancer>> {
        let subject = &Subject::new("list load balancers");
        let all: Vec<Standing> = self.all_addresses(subject).await?.iter().filter_map(Standing::of).collect();
        let read = |standing: Standing| async move {
            let (parts, firewalls) = self.read_all(subject, &standing.path).await?;
            Ok(self.balancer(&standing, &parts, &firewalls))
        };
        try_join_all(all.into_iter().filter(|standing| standing.path.name.starts_with(prefix)).map(read)).await
    }

    async fn get(&self, id: &LoadBalancerId) -> Result<LoadBalancer> {
        const OPERATION: &str = "get load balancer";
        let path = BalancerPath::parse(OPERATION, id)?;
        let subject = &Subject::new(OPERATION).about(id);
        let standing = self.read_standing(subject, &path).await?;
        let (parts, firewalls) = self.read_all(subject, &path).await?;
        Ok(self.balancer(&standing, &parts, &firewalls))
    }

    async fn members(&self, id: &LoadBalancerId) -> Result<Vec<Member>> {
        const OPERATION: &str = "list members";
        let path = BalancerPath::parse(OPERATION, id)?;
        let subject = &Subject::new(OPERATION).about(id);
        self.read_standing(subject, &path).await?;
        self.members_of(subject, &path).await
    }

    async fn attach(&self, id: &LoadBalancerId, instances: &[InstanceId]) -> Result<()> {
        const OPERATION: &str = "attach members";
        let path = BalancerPath::parse(OPERATION, id)?;
        let subject = &Subject::new(OPERATION).about(id);
        let standing = self.read_standing(subject, &path).await?;
        self.attach_to(subject, &path, &standing.part_mark(), instances).await
    }

    async fn detach(&self, id: &LoadBalancerId, instances: &[InstanceId]) -> Result<()> {
        const OPERATION: &str = "detach members";
        let path = BalancerPath::parse(OPERATION, id)?;
        let subject = &Subject::new(OPERATION).about(id);
        let standing = self.read_standing(subject, &path).await?;
        self.detach_from(subject, &path, &standing.part_mark(), instances).await
    }

    async fn destroy(&self, id: &LoadBalancerId) -> Result<()> {
        // What is no id was never created.
        let Ok(path) = BalancerPath::parse(DESTROY, id) else { return Ok(()) };
        let subject = &Subject::new(DESTROY).about(id);
        let _turn = self.turns.take([path.name.as_str()]).await;
        let ours = |mark: &Mark| mark.number.as_deref() == Some(path.number.as_str());
        self.delete_parts(subject, &path, &ours).await?;
        match self.read_standing(subject, &path).await {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        }
        let client = &self.client;
        let delete = |request: String| {
            let ask = client.addresses.delete().set_project(&client.project).set_region(&path.region);
            ask.set_address(&path.name).set_request_id(request).send()
        };
        self.delete_part(&part(subject, "address", &path.name), delete).await
    }
}
