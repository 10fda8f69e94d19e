//! Target groups that no load balancer leads to: a load balancer went without them, or was never given them.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_elasticloadbalancingv2::types::TargetGroup;
use remint_core::provider::{ErrorKind, Owner, Region, Result, Stray, StrayKind, label, support::Call};

use super::{LIST, REMOVE, in_use, not_ours, stray};
use crate::Aws;

/// The most resources whose tags one call reads.
const BATCH: usize = 20;
const PREFIX: &str = "remint-";

fn arn_of(group: &TargetGroup) -> &str {
    group.target_group_arn().unwrap_or_default()
}

impl Aws {
    /// One call for each 400 of the region's target groups, and one for each 20 candidates.
    pub(super) async fn stray_target_groups(&self, region: &Region, owner: &Owner) -> Result<Vec<Stray>> {
        if owner.environment.is_none() {
            return Ok(Vec::new());
        }
        let mut left = self.region_groups(LIST, region).await?;
        left.retain(|group| {
            group.load_balancer_arns().is_empty()
                && group.target_group_name().is_some_and(|name| name.starts_with(PREFIX))
        });
        let mut found = Vec::new();
        for batch in left.chunks(BATCH) {
            let arns = batch.iter().map(|group| arn_of(group).to_owned()).collect();
            let ours = self.of_environment(LIST, region, owner, arns).await?;
            for group in batch.iter().filter(|group| ours.contains(arn_of(group))) {
                let why = "no load balancer leads to it";
                found.push(stray(StrayKind::TargetGroup, arn_of(group), group.target_group_name(), region, why));
            }
        }
        Ok(found)
    }

    pub(super) async fn remove_target_group(&self, region: &Region, owner: &Owner, arn: &str) -> Result<()> {
        let request = self.client.elb(region).describe_target_groups().target_group_arns(arn);
        let group = match self.client.call(&Call::read(REMOVE).about(arn), || request.clone().send()).await {
            Ok(answer) => answer.target_groups.unwrap_or_default().into_iter().next(),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        let Some(group) = group else { return Ok(()) };
        if self.of_environment(REMOVE, region, owner, vec![arn.to_owned()]).await?.is_empty() {
            return Err(not_ours(arn));
        }
        const WHY: &str = "a load balancer leads to it";
        if !group.load_balancer_arns().is_empty() {
            return Err(in_use(arn, WHY));
        }
        match self.delete_group(REMOVE, region, arn).await {
            Err(error) if error.is_code("ResourceInUse") => Err(in_use(arn, WHY).with_source(error)),
            result => result,
        }
    }

    /// Those of these resources that carry the environment's id; one call.
    async fn of_environment(
        &self,
        operation: &'static str,
        region: &Region,
        owner: &Owner,
        arns: Vec<String>,
    ) -> Result<BTreeSet<String>> {
        let Some(environment) = &owner.environment else { return Ok(BTreeSet::new()) };
        let request = self.client.elb(region).describe_tags().set_resource_arns(Some(arns));
        let all = match self.client.call(&Call::read(operation), || request.clone().send()).await {
            Ok(answer) => answer.tag_descriptions.unwrap_or_default(),
            // One of them has gone meanwhile; the next look leaves it out.
            Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(error),
        };
        let ours = all.into_iter().filter_map(|one| {
            let tags: BTreeMap<_, _> = one.tags().iter().map(|tag| (tag.key(), tag.value())).collect();
            let id = tags.get(&Some(label::ENV_ID)).copied().flatten()?;
            (id == environment.as_str()).then_some(one.resource_arn?)
        });
        Ok(ours.collect())
    }
}
