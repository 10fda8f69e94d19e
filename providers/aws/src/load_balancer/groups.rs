//! Target groups: one for each port of the members. What a load balancer checks, and how its members leave, is theirs.

use aws_sdk_elasticloadbalancingv2::types::{Matcher, ProtocolEnum, TargetGroup, TargetGroupAttribute, TargetTypeEnum};
use remint_core::provider::{
    CheckProtocol, Error, ErrorKind, Region, Result,
    support::{Call, all_by_token},
};

use super::{
    ENSURE, PAGE_SIZE,
    parts::{DELAY, Group, Parts},
    settings::{PASSES, checks_as},
    shape::{Kind, group_name},
    task::Task,
};
use crate::Aws;

/// Whether connections of a target are cut that are left when it has been shown as draining for long enough.
const CUTS: &str = "deregistration_delay.connection_termination.enabled";

/// The target group of a port.
#[derive(Debug)]
pub(super) struct Named {
    pub(super) port: u16,
    pub(super) arn: String,
}

impl Task<'_> {
    /// The attributes that its target groups have.
    fn attributes(&self) -> Vec<(&'static str, String)> {
        let mut all: Vec<_> = self.wanted.delay.iter().map(|delay| (DELAY, delay.as_secs().to_string())).collect();
        if self.wanted.kind == Kind::Network {
            all.push((CUTS, "true".to_owned()));
        }
        all
    }
}

/// What is checked, in AWS's words.
struct Check {
    protocol: ProtocolEnum,
    port: String,
    path: Option<String>,
    matcher: Option<Matcher>,
    interval: i32,
    timeout: i32,
    healthy: i32,
    unhealthy: i32,
}

impl Check {
    fn of(task: &Task<'_>) -> Self {
        let check = &task.wanted.settings.check;
        // Their ranges have been checked.
        let number = |value: u64| i32::try_from(value).unwrap_or(i32::MAX);
        let (protocol, path) = match &check.protocol {
            CheckProtocol::Tcp => (ProtocolEnum::Tcp, None),
            CheckProtocol::Http { path } => (ProtocolEnum::Http, Some(path.clone())),
        };
        Self {
            protocol,
            port: check.port.to_string(),
            matcher: path.is_some().then(|| Matcher::builder().http_code(PASSES).build()),
            path,
            interval: number(check.interval.as_secs()),
            timeout: number(check.timeout.as_secs()),
            healthy: number(check.healthy.into()),
            unhealthy: number(check.unhealthy.into()),
        }
    }
}

impl Aws {
    /// Gives each port of the members its target group, as it is wanted; and whether something was changed.
    pub(super) async fn put_groups_right(&self, task: &Task<'_>, parts: &Parts) -> Result<(Vec<Named>, bool)> {
        let (mut all, mut changed) = (Vec::new(), false);
        for port in task.wanted.ports() {
            let name = group_name(&task.spec.name, port);
            let arn = match parts.groups.iter().find(|group| group.name() == name) {
                Some(group) => {
                    changed |= self.put_group_right(task, group).await?;
                    group.arn().to_owned()
                }
                None => {
                    changed = true;
                    self.create_target_group(task, parts, &name, port).await?
                }
            };
            all.push(Named { port, arn });
        }
        Ok((all, changed))
    }

    async fn put_group_right(&self, task: &Task<'_>, group: &Group) -> Result<bool> {
        let mut changed = false;
        if !checks_as(&group.body, &task.wanted.settings.check) {
            let check = Check::of(task);
            let request = self.client.elb(task.region()).modify_target_group().target_group_arn(group.arn());
            let request = request
                .health_check_enabled(true)
                .health_check_protocol(check.protocol)
                .health_check_port(check.port)
                .set_health_check_path(check.path)
                .set_matcher(check.matcher)
                .health_check_interval_seconds(check.interval)
                .health_check_timeout_seconds(check.timeout)
                .healthy_threshold_count(check.healthy)
                .unhealthy_threshold_count(check.unhealthy);
            self.client.call(&task.call(), || request.clone().send()).await?;
            changed = true;
        }
        let is_so = |(key, value): &(&str, String)| group.attributes.get(*key) == Some(value);
        if !task.attributes().iter().all(is_so) {
            self.set_attributes(task, group.arn()).await?;
            changed = true;
        }
        Ok(changed)
    }

    async fn set_attributes(&self, task: &Task<'_>, arn: &str) -> Result<()> {
        let all = task.attributes();
        if all.is_empty() {
            return Ok(());
        }
        let attribute = |(key, value)| TargetGroupAttribute::builder().key(key).value(value).build();
        let request = self.client.elb(task.region()).modify_target_group_attributes().target_group_arn(arn);
        let request = request.set_attributes(Some(all.into_iter().map(attribute).collect()));
        self.client.call(&task.call(), || request.clone().send()).await.map(drop)
    }

    /// Creates a target group, with the members of the other ones: they are members on each port.
    async fn create_target_group(&self, task: &Task<'_>, parts: &Parts, name: &str, port: u16) -> Result<String> {
        // What no listener leads to was left by a call that died. Its targets may be those of an earlier load balancer.
        if let Some(left) = self.named_group(task.region(), name).await? {
            if let Some(other) = left.load_balancer_arns().iter().find(|arn| arn.as_str() != parts.arn()) {
                let message = format!("target group {name} is used by {other}");
                return Err(Error::new(ErrorKind::Conflict, ENSURE, message).with_resource(&task.spec.name));
            }
            let arn = left.target_group_arn().unwrap_or_default();
            self.delete_group(ENSURE, task.region(), arn).await?;
        }
        let check = Check::of(task);
        let request = self.client.elb(task.region()).create_target_group().name(name);
        let request = request
            .protocol(task.wanted.kind.protocol())
            .port(i32::from(port))
            .vpc_id(parts.body.vpc_id().unwrap_or_default())
            .target_type(TargetTypeEnum::Instance)
            .health_check_enabled(true)
            .health_check_protocol(check.protocol)
            .health_check_port(check.port)
            .set_health_check_path(check.path)
            .set_matcher(check.matcher)
            .health_check_interval_seconds(check.interval)
            .health_check_timeout_seconds(check.timeout)
            .healthy_threshold_count(check.healthy)
            .unhealthy_threshold_count(check.unhealthy)
            .set_tags(Some(task.tags.to_vec()));
        let call = Call::idempotent(ENSURE).about(name);
        let answer = self.client.call_within(task.turn, &call, || request.clone().send()).await?;
        let made = answer.target_groups.unwrap_or_default().into_iter().next().ok_or_else(|| call.unreadable())?;
        let arn = made.target_group_arn.clone().ok_or_else(|| call.unreadable())?;
        self.memory.lock().target_groups.note(arn.clone(), made);
        self.set_attributes(task, &arn).await?;
        let known = parts.groups.iter().map(Group::arn);
        self.copy_targets(ENSURE, task.region(), known, &arn).await?;
        Ok(arn)
    }

    /// The target group of a name, whether a listener leads to it or not; one call.
    async fn named_group(&self, region: &Region, name: &str) -> Result<Option<TargetGroup>> {
        let request = self.client.elb(region).describe_target_groups().names(name);
        match self.client.call(&Call::read(ENSURE).about(name), || request.clone().send()).await {
            Ok(answer) => Ok(answer.target_groups.unwrap_or_default().into_iter().next()),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// All target groups of a region; one call for each 400.
    pub(crate) async fn region_groups(&self, operation: &'static str, region: &Region) -> Result<Vec<TargetGroup>> {
        let request = self.client.elb(region).describe_target_groups().page_size(PAGE_SIZE);
        all_by_token(self.client.calls(), operation, |token| {
            let page = request.clone().set_marker(token);
            async move {
                let answer = self.client.call(&Call::read(operation), || page.clone().send()).await?;
                Ok((answer.target_groups.unwrap_or_default(), answer.next_marker))
            }
        })
        .await
    }

    /// Deletes a target group; one that is gone is a success. `Busy` while a listener leads to it.
    pub(crate) async fn delete_group(&self, operation: &'static str, region: &Region, arn: &str) -> Result<()> {
        let request = self.client.elb(region).delete_target_group().target_group_arn(arn);
        match self.client.call(&Call::idempotent(operation).about(arn), || request.clone().send()).await {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        self.memory.lock().target_groups.remove(arn);
        Ok(())
    }

    /// Deletes the target groups that listeners led to and that are not wanted any more; whether there were any.
    pub(super) async fn remove_groups(&self, task: &Task<'_>, parts: &Parts, wanted: &[Named]) -> Result<bool> {
        let prefix = format!("{}-", task.spec.name);
        let unwanted = |group: &&Group| {
            // Somebody else's stays.
            group.name().starts_with(&prefix) && wanted.iter().all(|named| named.arn != group.arn())
        };
        let unwanted: Vec<&Group> = parts.groups.iter().filter(unwanted).collect();
        for group in &unwanted {
            self.delete_group(ENSURE, task.region(), group.arn()).await?;
        }
        Ok(!unwanted.is_empty())
    }
}
