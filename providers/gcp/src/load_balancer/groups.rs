//! The unmanaged instance groups of a load balancer: one for each zone that has or had a member, of the load balancer's name.
//!
//! A group is created with the first member of its zone, and stays until the load balancer goes: Google does not drain the
//! connections of a whole group that is taken off.

use google_cloud_compute_v1::model::{
    Backend, BackendService, InstanceGroup, InstanceGroupAggregatedList, InstanceGroupsAddInstancesRequest,
    InstanceGroupsListInstances, InstanceGroupsListInstancesRequest, InstanceGroupsRemoveInstancesRequest,
    InstanceReference, InstanceWithNamedPorts,
};
use remint_core::provider::{Error, ErrorKind, Result};

use super::{
    mark::{Mark, owned},
    parts::part,
};
use crate::{
    Gcp,
    error::Subject,
    names::{BalancerPath, after, last},
};

/// How whole addresses of Compute Engine's resources begin, wherever the API is.
const LINKS: &str = "https://www.googleapis.com/compute/v1/";

/// A group: its zone and its name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Group {
    pub(super) zone: String,
    pub(super) name: String,
}

impl Group {
    fn of(path: &BalancerPath, zone: &str) -> Self {
        Self { zone: zone.to_owned(), name: path.name.clone() }
    }

    /// The group that a link leads to, where it is one of a zone.
    fn at(link: &str) -> Option<Self> {
        after(link, "instanceGroups")?;
        Some(Self { zone: after(link, "zones")?.to_owned(), name: last(link).to_owned() })
    }

    /// The whole address: Google takes no part of one for a backend.
    pub(super) fn link(&self, project: &str) -> String {
        format!("{LINKS}projects/{project}/zones/{}/instanceGroups/{}", self.zone, self.name)
    }
}

/// The groups that a backend service sends connections to.
pub(super) fn groups_of(service: &BackendService) -> Vec<Group> {
    let links = service.backends.iter().filter_map(|backend| backend.group.as_deref());
    let mut groups: Vec<Group> = links.filter_map(Group::at).collect();
    groups.sort();
    groups.dedup();
    groups
}

/// The name of a group's member.
pub(super) fn name_of(member: &InstanceWithNamedPorts) -> &str {
    member.instance.as_deref().map(last).unwrap_or_default()
}

impl Gcp {
    async fn read_group(&self, subject: &Subject, group: &Group) -> Result<Option<InstanceGroup>> {
        let client = &self.client;
        let ask = || {
            let ask = client.instance_groups.get().set_project(&client.project).set_zone(&group.zone);
            ask.set_instance_group(&group.name).send()
        };
        client.look_up(subject, ask).await
    }

    /// The members of a group; all pages. `None` where there is no such group.
    pub(super) async fn group_members(
        &self,
        subject: &Subject,
        group: &Group,
    ) -> Result<Option<Vec<InstanceWithNamedPorts>>> {
        let client = &self.client;
        let body = InstanceGroupsListInstancesRequest::new().set_instance_state("ALL");
        let page = |token: Option<String>| {
            let ask = client.instance_groups.list_instances().set_project(&client.project).set_zone(&group.zone);
            ask.set_instance_group(&group.name).set_body(body.clone()).set_or_clear_page_token(token).send()
        };
        let take = |page: InstanceGroupsListInstances| (page.items, page.next_page_token);
        match client.pages(subject, page, take).await {
            Ok(members) => Ok(Some(members)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The load balancer's own group in a zone, which is created where there is none; one call where there is.
    pub(super) async fn ensure_group(
        &self,
        subject: &Subject,
        path: &BalancerPath,
        mark: &Mark,
        zone: &str,
    ) -> Result<Group> {
        let (client, group) = (&self.client, Group::of(path, zone));
        let subject = &part(subject, "instance group", &format!("{zone}/{}", group.name));
        let look = || async {
            let found = self.read_group(subject, &group).await?;
            found.map(|found| owned(subject, found.description.as_deref())).transpose()
        };
        let found = look().await?;
        if found.as_ref().is_some_and(|found| found.number == mark.number) {
            return Ok(group);
        }
        if found.is_some() {
            // It is left of an earlier load balancer of this name, and has its members.
            self.delete_group(subject, &group).await?;
        }
        let body = InstanceGroup::new()
            .set_name(&group.name)
            .set_description(mark.to_text(subject.operation())?)
            .set_network(self.network());
        let insert = |request: String| {
            let ask = client.instance_groups.insert().set_project(&client.project).set_zone(zone);
            ask.set_request_id(request).set_body(body.clone()).send()
        };
        self.create_part(subject, look, insert).await?;
        Ok(group)
    }

    async fn delete_group(&self, subject: &Subject, group: &Group) -> Result<()> {
        let client = &self.client;
        let delete = |request: String| {
            let ask = client.instance_groups.delete().set_project(&client.project).set_zone(&group.zone);
            ask.set_instance_group(&group.name).set_request_id(request).send()
        };
        self.delete_part(subject, delete).await
    }

    /// Deletes the load balancer's groups in all zones whose mark says so: one call for each page of the project's groups.
    pub(super) async fn delete_groups(
        &self,
        subject: &Subject,
        path: &BalancerPath,
        doomed: impl Fn(Option<&str>) -> bool,
    ) -> Result<()> {
        let client = &self.client;
        let page = |token: Option<String>| {
            client.instance_groups.aggregated_list().set_project(&client.project).set_or_clear_page_token(token).send()
        };
        let take = |page: InstanceGroupAggregatedList| {
            (page.items.into_values().flat_map(|zone| zone.instance_groups).collect(), page.next_page_token)
        };
        let all: Vec<InstanceGroup> = client.pages(subject, page, take).await?;
        let prefix = format!("{}-", path.region);
        for found in &all {
            let Some(zone) = found.zone.as_deref().map(last).filter(|zone| zone.starts_with(&prefix)) else { continue };
            let group = Group::of(path, zone);
            if found.name.as_deref() == Some(group.name.as_str()) && doomed(found.description.as_deref()) {
                let subject = &part(subject, "instance group", &format!("{zone}/{}", group.name));
                self.delete_group(subject, &group).await?;
            }
        }
        Ok(())
    }

    /// The load balancer's own group in a zone, if there is one: one call.
    pub(super) async fn own_group(
        &self,
        subject: &Subject,
        path: &BalancerPath,
        mark: &Mark,
        zone: &str,
    ) -> Result<Option<Group>> {
        let group = Group::of(path, zone);
        let found = self.read_group(subject, &group).await?;
        let found = found.and_then(|found| Mark::from_text(found.description.as_deref()));
        Ok(found.is_some_and(|found| found.number == mark.number).then_some(group))
    }

    /// Makes instances members of a group, by their names; two calls and waiting, one where they are members.
    pub(super) async fn add_to_group(&self, subject: &Subject, group: &Group, names: &[String]) -> Result<()> {
        let client = &self.client;
        let mut refused = None;
        loop {
            let members = self.group_members(subject, group).await?;
            let members =
                members.ok_or_else(|| subject.error(ErrorKind::Busy, "its instance group is being deleted"))?;
            let new = names.iter().filter(|name| !members.iter().any(|member| name_of(member) == name.as_str()));
            let new: Vec<InstanceReference> = new.map(|name| self.reference(group, name)).collect();
            match refused {
                _ if new.is_empty() => return Ok(()),
                Some((same, error)) if same == new => return Err(error),
                _ => {}
            }
            let body = InstanceGroupsAddInstancesRequest::new().set_instances(new.clone());
            let add = |request: String| {
                let ask = client.instance_groups.add_instances().set_project(&client.project).set_zone(&group.zone);
                ask.set_instance_group(&group.name).set_request_id(request).set_body(body.clone()).send()
            };
            let done = async {
                let operation = client.mutate(subject, add).await?;
                self.finish(subject, &operation).await
            };
            match done.await {
                // Perhaps one of them has become a member meanwhile: then none is added.
                Err(error) if is_refusal(&error) => refused = Some((new, error)),
                result => return result,
            }
        }
    }

    /// Takes instances out of a group, by their names; those that are no members, or gone, are passed over.
    pub(super) async fn remove_from_group(&self, subject: &Subject, group: &Group, names: &[String]) -> Result<()> {
        let client = &self.client;
        let mut refused = None;
        loop {
            let Some(members) = self.group_members(subject, group).await? else { return Ok(()) };
            let leaving = names.iter().filter(|name| members.iter().any(|member| name_of(member) == name.as_str()));
            let leaving: Vec<InstanceReference> = leaving.map(|name| self.reference(group, name)).collect();
            match refused {
                _ if leaving.is_empty() => return Ok(()),
                Some((same, error)) if same == leaving => return Err(error),
                _ => {}
            }
            let body = InstanceGroupsRemoveInstancesRequest::new().set_instances(leaving.clone());
            let remove = |request: String| {
                let ask = client.instance_groups.remove_instances().set_project(&client.project).set_zone(&group.zone);
                ask.set_instance_group(&group.name).set_request_id(request).set_body(body.clone()).send()
            };
            let done = async {
                let operation = client.mutate(subject, remove).await?;
                self.finish(subject, &operation).await
            };
            match done.await {
                // Perhaps one of them has left meanwhile, or is gone: then none is taken out.
                Err(error) if is_refusal(&error) => refused = Some((leaving, error)),
                result => return result,
            }
        }
    }

    fn reference(&self, group: &Group, name: &str) -> InstanceReference {
        let (project, zone) = (&self.client.project, &group.zone);
        InstanceReference::new().set_instance(format!("projects/{project}/zones/{zone}/instances/{name}"))
    }

    /// Makes sure that the service sends connections to a group: two calls and waiting, one where it does.
    pub(super) async fn ensure_backend(&self, subject: &Subject, path: &BalancerPath, group: &Group) -> Result<()> {
        let gone = || subject.error(ErrorKind::NotFound, "the backend service is gone");
        let service = self.read_service(subject, path).await?.ok_or_else(gone)?;
        if groups_of(&service).contains(group) {
            return Ok(());
        }
        let change = |service: &BackendService| {
            let mut backends = service.backends.clone();
            if !groups_of(service).contains(group) {
                let link = group.link(&self.client.project);
                backends.push(Backend::new().set_group(link).set_balancing_mode("CONNECTION"));
            }
            BackendService::new().set_backends(backends)
        };
        self.patch_service(&part(subject, "backend service", &path.name), path, service, change).await
    }
}

/// Whether the members may be others than the list said.
fn is_refusal(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Conflict | ErrorKind::NotFound | ErrorKind::InvalidInput)
}
