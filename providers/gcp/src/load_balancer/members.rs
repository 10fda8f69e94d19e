//! Members: attached, detached, and what the load balancer makes of each.

use std::collections::{BTreeMap, HashMap};

use futures::future::{join_all, try_join_all};
use google_cloud_compute_v1::model::{
    self, HealthStatus, InstanceList, InstanceWithNamedPorts, ResourceGroupReference, health_status::HealthState,
    instance_with_named_ports::Status,
};
use remint_core::provider::{ErrorKind, InstanceId, Member, MemberHealth, Result};

use super::groups::{Group, groups_of, name_of};
use crate::{
    Gcp,
    error::Subject,
    instance,
    names::{BalancerPath, InstancePath, last, region_of},
};

/// What is made of a member: a machine that does not run is out of service, whatever its last check said. One that has just
/// left its group is checked as long as it may get connections.
fn health(member: Option<&InstanceWithNamedPorts>, status: Option<&HealthStatus>) -> MemberHealth {
    match member.and_then(|member| member.status.as_ref()) {
        Some(Status::Running) | None => {}
        Some(Status::Provisioning | Status::Staging | Status::Pending) => return MemberHealth::Initial,
        Some(status) => {
            let status = status.name().unwrap_or("UNKNOWN").to_ascii_lowercase();
            return MemberHealth::OutOfService(format!("the instance is {status}"));
        }
    }
    match status.and_then(|status| status.health_state.as_ref()) {
        Some(HealthState::Healthy) => MemberHealth::InService,
        Some(HealthState::Unhealthy) => MemberHealth::OutOfService("its check fails".to_owned()),
        Some(_) => MemberHealth::Unknown,
        None => MemberHealth::Initial,
    }
}

/// Instances by zone, by their names.
fn by_zone(paths: Vec<InstancePath>) -> BTreeMap<String, Vec<String>> {
    let mut zones: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for path in paths {
        let names = zones.entry(path.zone).or_default();
        if !names.contains(&path.name) {
            names.push(path.name);
        }
    }
    zones
}

impl Gcp {
    /// The members of a load balancer that exists: three calls for each zone that has or had members.
    pub(super) async fn members_of(&self, subject: &Subject, path: &BalancerPath) -> Result<Vec<Member>> {
        let Some(service) = self.read_service(subject, path).await? else { return Ok(Vec::new()) };
        let groups = groups_of(&service);
        let all = try_join_all(groups.iter().map(|group| self.members_in(subject, path, group))).await?;
        Ok(all.into_iter().flatten().collect())
    }

    async fn members_in(&self, subject: &Subject, path: &BalancerPath, group: &Group) -> Result<Vec<Member>> {
        let Some(members) = self.group_members(subject, group).await? else { return Ok(Vec::new()) };
        let (checked, instances) =
            futures::try_join!(self.group_health(subject, path, group), self.instances_in(subject, &group.zone))?;
        let checked: HashMap<&str, &HealthStatus> =
            checked.iter().filter_map(|status| Some((last(status.instance.as_deref()?), status))).collect();
        let mut all: BTreeMap<&str, MemberHealth> =
            checked.iter().map(|(name, status)| (*name, health(None, Some(status)))).collect();
        for member in &members {
            let name = name_of(member);
            all.insert(name, health(Some(member), checked.get(name).copied()));
        }
        // One that is not listed is gone, and about to leave the group.
        let member = |(name, health)| Some(Member { instance: instances.get(name)?.clone(), health });
        Ok(all.into_iter().filter_map(member).collect())
    }

    /// What the checks of a group's members say, as far as there are any.
    async fn group_health(&self, subject: &Subject, path: &BalancerPath, group: &Group) -> Result<Vec<HealthStatus>> {
        let client = &self.client;
        let body = ResourceGroupReference::new().set_group(group.link(&client.project));
        let ask = || {
            let ask = client.backend_services.get_health().set_project(&client.project).set_region(&path.region);
            ask.set_backend_service(&path.name).set_body(body.clone()).send()
        };
        Ok(client.look_up(subject, ask).await?.map(|health| health.health_status).unwrap_or_default())
    }

    /// The ids of a zone's instances by their names; all pages. A group names its members only.
    async fn instances_in(&self, subject: &Subject, zone: &str) -> Result<HashMap<String, InstanceId>> {
        let client = &self.client;
        let page = |token: Option<String>| {
            client.instances.list().set_project(&client.project).set_zone(zone).set_or_clear_page_token(token).send()
        };
        let take = |page: InstanceList| (page.items, page.next_page_token);
        let all: Vec<model::Instance> = client.pages(subject, page, take).await?;
        let named = |found: &model::Instance| {
            let path = instance::path(found);
            (path.name.clone(), path.id())
        };
        Ok(all.iter().map(named).collect())
    }

    /// The instances, each of which exists in the region: a call for each.
    async fn existing(
        &self,
        operation: &'static str,
        path: &BalancerPath,
        instances: &[InstanceId],
    ) -> Result<Vec<InstancePath>> {
        let mut paths = Vec::new();
        for id in instances {
            let instance = InstancePath::parse(operation, id)?;
            if region_of(operation, &instance.zone)? != path.region {
                let message = format!("the instance is in {}, and the load balancer in {}", instance.zone, path.region);
                return Err(Subject::new(operation)
                    .about(id)
                    .error(ErrorKind::InvalidInput, message)
                    .with_hint("a load balancer has members in the zones of its region only"));
            }
            paths.push(instance);
        }
        let read = |path: &InstancePath| {
            let (subject, path) = (Subject::new(operation).about(path), path.clone());
            async move { self.read_instance(&subject, &path).await.map(drop) }
        };
        try_join_all(paths.iter().map(read)).await?;
        Ok(paths)
    }

    /// Makes instances members, zone by zone.
    pub(super) async fn attach_to(
        &self,
        subject: &Subject,
        path: &BalancerPath,
        mark: &super::Mark,
        instances: &[InstanceId],
    ) -> Result<()> {
        let paths = self.existing(subject.operation(), path, instances).await?;
        if self.read_service(subject, path).await?.is_none() {
            return Err(subject
                .error(ErrorKind::Conflict, "it has no backend service: its creation was cut")
                .with_hint("deploy again, which completes it"));
        }
        let _turn = self.turns.take([path.name.as_str()]).await;
        for (zone, names) in by_zone(paths) {
            let group = self.ensure_group(subject, path, mark, &zone).await?;
            self.add_to_group(subject, &group, &names).await?;
            self.ensure_backend(subject, path, &group).await?;
        }
        Ok(())
    }

    /// Takes instances out of the load balancer's groups, zone by zone. What is no instance's id is no member.
    pub(super) async fn detach_from(
        &self,
        subject: &Subject,
        path: &BalancerPath,
        mark: &super::Mark,
        instances: &[InstanceId],
    ) -> Result<()> {
        let operation = subject.operation();
        let in_region =
            |path: &InstancePath, region: &str| region_of(operation, &path.zone).is_ok_and(|of| of == region);
        let paths = instances.iter().filter_map(|id| InstancePath::parse(operation, id).ok());
        let paths: Vec<InstancePath> = paths.filter(|instance| in_region(instance, &path.region)).collect();
        // A group knows names, and another instance may have the name of one that is gone.
        let read = |path: &InstancePath| {
            let (subject, path) = (Subject::new(operation).about(path), path.clone());
            async move { self.read_instance(&subject, &path).await.map(|_| path) }
        };
        let mut there = Vec::new();
        for found in join_all(paths.iter().map(read)).await {
            match found {
                Ok(path) => there.push(path),
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        for (zone, names) in by_zone(there) {
            if let Some(group) = self.own_group(subject, path, mark, &zone).await? {
                self.remove_from_group(subject, &group, &names).await?;
            }
        }
        Ok(())
    }
}
