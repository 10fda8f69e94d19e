//! Strays: snapshots that no AMI is made of, copies of images whose original is gone, security groups that nothing is in, and target
//! groups that no load balancer leads to.
//!
//! Snapshots and copies carry the service's id, and both kinds of groups the environment's, from the call that creates them. EC2 itself
//! refuses to delete a snapshot or a group that is in use; what it cannot know is looked at here.

use std::collections::BTreeSet;

use async_trait::async_trait;
use aws_sdk_ec2::types::{SecurityGroup, Snapshot, SnapshotState};
use jiff::Timestamp;
use remint_core::provider::{
    Error, ErrorKind, Owner, Region, Result, Stray, StrayId, StrayKind, Strays, label,
    support::{Call, all_by_token},
};

use crate::{
    Aws,
    error::never_was,
    ids::{is_id, is_target_group},
    image::{Body, snapshots},
    load_balancer::balancer_of,
    tags,
};

mod target_groups;
#[cfg(test)]
mod tests;

const LIST: &str = "list strays";
const REMOVE: &str = "remove stray";
/// The most that EC2 gives on a page.
const PAGE_SIZE: i32 = 1000;

fn service_filter(owner: &Owner) -> aws_sdk_ec2::types::Filter {
    tags::filter(format!("tag:{}", label::SERVICE_ID), owner.service.as_str())
}

fn is_of_service(owner: &Owner, tags: &[aws_sdk_ec2::types::Tag]) -> bool {
    tags::value(tags, label::SERVICE_ID) == Some(owner.service.as_str())
}

fn is_of_environment(owner: &Owner, tags: &[aws_sdk_ec2::types::Tag]) -> bool {
    owner.environment.as_ref().is_some_and(|id| tags::value(tags, label::ENV_ID) == Some(id.as_str()))
}

/// The AMI that a snapshot was made for, which its description names: "Created by CreateImage(i-…) for ami-…", "Copied for
/// DestinationAmi ami-… from SourceAmi …".
fn made_for(snapshot: &Snapshot) -> Option<&str> {
    let text = snapshot.description()?;
    let words = || text.split(|c: char| !c.is_ascii_alphanumeric() && c != '-');
    words().find(|word| is_id(word, "ami-"))
}

fn stray(kind: StrayKind, id: &str, name: Option<&str>, region: &Region, why: impl Into<String>) -> Stray {
    Stray {
        kind,
        id: StrayId::new(id),
        name: name.filter(|name| !name.is_empty()).unwrap_or(id).to_owned(),
        region: Some(region.clone()),
        created_at: None,
        why: why.into(),
    }
}

impl Aws {
    /// Snapshots of the account by filters or by id; one call for each thousand.
    async fn describe_snapshots(
        &self,
        operation: &'static str,
        region: &Region,
        owner: &Owner,
    ) -> Result<Vec<Snapshot>> {
        let request = self.client.ec2(region).describe_snapshots().owner_ids("self").max_results(PAGE_SIZE);
        let request = request.filters(service_filter(owner));
        all_by_token(self.client.calls(), operation, |token| {
            let page = request.clone().set_next_token(token);
            async move {
                let answer = self.client.call(&Call::read(operation), || page.clone().send()).await?;
                Ok((answer.snapshots.unwrap_or_default(), answer.next_token))
            }
        })
        .await
    }

    async fn fetch_snapshot(&self, operation: &'static str, region: &Region, id: &str) -> Result<Option<Snapshot>> {
        let request = self.client.ec2(region).describe_snapshots().snapshot_ids(id);
        match self.client.call(&Call::read(operation).about(id), || request.clone().send()).await {
            Ok(answer) => Ok(answer.snapshots.unwrap_or_default().into_iter().next()),
            Err(error) if never_was(&error, id, "snap-") => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whether an AMI is made of a snapshot, or is being made with it: one call, or two where its description names one.
    async fn is_in_image(&self, operation: &'static str, region: &Region, snapshot: &Snapshot) -> Result<bool> {
        if let Some(ami) = made_for(snapshot)
            && self.fetch_image(operation, region, ami).await?.is_some()
        {
            return Ok(true);
        }
        let id = snapshot.snapshot_id().unwrap_or_default();
        let filter = tags::filter("block-device-mapping.snapshot-id", id);
        Ok(!self.describe_images(operation, region, Some("self"), vec![filter]).await?.is_empty())
    }

    async fn stray_snapshots(&self, region: &Region, owner: &Owner, images: &[Body]) -> Result<Vec<Stray>> {
        let used: BTreeSet<&str> = images.iter().flat_map(snapshots).collect();
        let mut found = Vec::new();
        for snapshot in self.describe_snapshots(LIST, region, owner).await? {
            let id = snapshot.snapshot_id().unwrap_or_default();
            // One that is still pending has an AMI that does not name it yet.
            let settled = snapshot.state() != Some(&SnapshotState::Pending);
            if !settled || used.contains(id) || self.is_in_image(LIST, region, &snapshot).await? {
                continue;
            }
            let created_at = snapshot.start_time().and_then(|at| Timestamp::from_second(at.secs()).ok());
            let name = tags::value(snapshot.tags(), tags::NAME);
            let why = "no image is made of it";
            found.push(Stray { created_at, ..stray(StrayKind::Snapshot, id, name, region, why) });
        }
        Ok(found)
    }

    /// Whether the original of a copy is gone; one call. `false` for what is no copy.
    async fn is_orphan(&self, operation: &'static str, copy: &Body) -> Result<bool> {
        let (source, region) = (tags::value(copy.tags(), tags::SOURCE), tags::value(copy.tags(), tags::SOURCE_REGION));
        let (Some(source), Some(region)) = (source, region) else { return Ok(false) };
        Ok(self.fetch_image(operation, &Region::from(region), source).await?.is_none())
    }

    async fn stray_copies(&self, region: &Region, images: &[Body]) -> Result<Vec<Stray>> {
        let mut found = Vec::new();
        for copy in images {
            if self.is_orphan(LIST, copy).await? {
                let source = tags::value(copy.tags(), tags::SOURCE).unwrap_or_default();
                let created_at = copy.creation_date().and_then(|date| date.parse().ok());
                let why = format!("a copy of {source}, which is gone");
                let id = copy.image_id().unwrap_or_default();
                found.push(Stray { created_at, ..stray(StrayKind::Image, id, copy.name(), region, why) });
            }
        }
        Ok(found)
    }

    async fn describe_groups(&self, region: &Region, owner: &Owner) -> Result<Vec<SecurityGroup>> {
        let Some(environment) = &owner.environment else { return Ok(Vec::new()) };
        let request = self.client.ec2(region).describe_security_groups();
        let request = request.filters(tags::filter(format!("tag:{}", label::ENV_ID), environment.as_str()));
        let answer = self.client.call(&Call::read(LIST), || request.clone().send()).await?;
        Ok(answer.security_groups.unwrap_or_default())
    }

    /// Whether a network interface is in a group, or will be: a load balancer that is being created has none yet. One call, and one
    /// more for a load balancer's group.
    async fn is_group_used(&self, operation: &'static str, region: &Region, group: &SecurityGroup) -> Result<bool> {
        if let Some(name) = group.group_name().and_then(balancer_of)
            && self.named_balancer(operation, region, &name).await?.is_some()
        {
            return Ok(true);
        }
        let id = group.group_id().unwrap_or_default();
        let request = self.client.ec2(region).describe_network_interfaces().filters(tags::filter("group-id", id));
        let answer = self.client.call(&Call::read(operation).about(id), || request.clone().send()).await?;
        Ok(!answer.network_interfaces().is_empty())
    }

    async fn stray_groups(&self, region: &Region, owner: &Owner) -> Result<Vec<Stray>> {
        let mut found = Vec::new();
        for group in self.describe_groups(region, owner).await? {
            let id = group.group_id().unwrap_or_default();
            if !self.is_group_used(LIST, region, &group).await? {
                let name = group.group_name();
                let of_balancer = name.and_then(balancer_of).is_some();
                let why = if of_balancer { "its load balancer is gone" } else { "no instance is in it" };
                found.push(stray(StrayKind::SecurityGroup, id, name, region, why));
            }
        }
        Ok(found)
    }

    async fn remove_snapshot(&self, region: &Region, owner: &Owner, id: &str) -> Result<()> {
        let Some(snapshot) = self.fetch_snapshot(REMOVE, region, id).await? else { return Ok(()) };
        if !is_of_service(owner, snapshot.tags()) {
            return Err(not_ours(id));
        }
        if self.is_in_image(REMOVE, region, &snapshot).await? {
            return Err(in_use(id, "an image is made of it"));
        }
        let request = self.client.ec2(region).delete_snapshot().snapshot_id(id);
        match self.client.call(&Call::idempotent(REMOVE).about(id), || request.clone().send()).await {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            Err(error) if error.is_code("InvalidSnapshot.InUse") => {
                Err(in_use(id, "an image is made of it").with_source(error))
            }
            result => result.map(drop),
        }
    }

    async fn remove_copy(&self, region: &Region, owner: &Owner, id: &str) -> Result<()> {
        let Some(copy) = self.fetch_image(REMOVE, region, id).await? else { return Ok(()) };
        if !is_of_service(owner, copy.tags()) {
            return Err(not_ours(id));
        }
        if !self.is_orphan(REMOVE, &copy).await? {
            return Err(in_use(id, "it is not a copy, or its original is there"));
        }
        self.remove_image(REMOVE, region, &copy).await
    }

    async fn remove_group(&self, region: &Region, owner: &Owner, id: &str) -> Result<()> {
        let request = self.client.ec2(region).describe_security_groups().group_ids(id);
        let group = match self.client.call(&Call::read(REMOVE).about(id), || request.clone().send()).await {
            Ok(answer) => answer.security_groups.unwrap_or_default().into_iter().next(),
            Err(error) if never_was(&error, id, "sg-") => None,
            Err(error) => return Err(error),
        };
        let Some(group) = group else { return Ok(()) };
        if !is_of_environment(owner, group.tags()) {
            return Err(not_ours(id));
        }
        if self.is_group_used(REMOVE, region, &group).await? {
            return Err(in_use(id, "an instance or a load balancer is in it"));
        }
        let request = self.client.ec2(region).delete_security_group().group_id(id);
        match self.client.call(&Call::idempotent(REMOVE).about(id), || request.clone().send()).await {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            // Somebody else's rules name it.
            Err(error) if error.is_code("DependencyViolation") => {
                return Err(in_use(id, "something in the VPC depends on it").with_source(error));
            }
            result => drop(result?),
        }
        self.networks.forget(region).await;
        Ok(())
    }
}

fn not_ours(id: &str) -> Error {
    Error::new(ErrorKind::Conflict, REMOVE, "it does not carry the owner's id").with_resource(id)
}

fn in_use(id: &str, why: &str) -> Error {
    Error::new(ErrorKind::Conflict, REMOVE, format!("it is in use: {why}")).with_resource(id)
}

#[async_trait]
impl Strays for Aws {
    async fn list(&self, owner: &Owner) -> Result<Vec<Stray>> {
        let mut all = Vec::new();
        for region in self.all_places(LIST)? {
            let images = self.describe_images(LIST, &region, Some("self"), vec![service_filter(owner)]).await?;
            all.extend(self.stray_snapshots(&region, owner, &images).await?);
            all.extend(self.stray_copies(&region, &images).await?);
            all.extend(self.stray_groups(&region, owner).await?);
            all.extend(self.stray_target_groups(&region, owner).await?);
        }
        Ok(all)
    }

    async fn remove(&self, owner: &Owner, stray: &Stray) -> Result<()> {
        let id = stray.id.as_str();
        let region = match &stray.region {
            Some(region) => region.clone(),
            None => self.home(REMOVE)?.clone(),
        };
        match stray.kind {
            StrayKind::Snapshot if is_id(id, "snap-") => self.remove_snapshot(&region, owner, id).await,
            StrayKind::Image if is_id(id, "ami-") => self.remove_copy(&region, owner, id).await,
            StrayKind::SecurityGroup if is_id(id, "sg-") => self.remove_group(&region, owner, id).await,
            StrayKind::TargetGroup if is_target_group(id) => self.remove_target_group(&region, owner, id).await,
            kind => {
                let message = format!("not the id of a {kind} on AWS");
                Err(Error::new(ErrorKind::InvalidInput, REMOVE, message).with_resource(id))
            }
        }
    }
}
