//! Members are the targets of all target groups: an instance is in service only where each of them says so.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_ec2::types::InstanceStateName;
use aws_sdk_elasticloadbalancingv2::types::{
    TargetDescription, TargetGroup, TargetHealth, TargetHealthDescription, TargetHealthReasonEnum,
    TargetHealthStateEnum,
};
use remint_core::provider::{Error, ErrorKind, InstanceId, Member, MemberHealth, Region, Result, support::Call};

use super::{ATTACH, Arn, DETACH, MEMBERS};
use crate::{Aws, ids::is_id};

/// How many targets one request names.
const BATCH: usize = 100;

/// What each target group makes of its targets, by their ids.
type Judged = BTreeMap<String, MemberHealth>;

/// What a target group makes of a target; `None` where it is none.
fn judge(health: Option<&TargetHealth>) -> Option<MemberHealth> {
    let (state, reason) = (health.and_then(|health| health.state()), health.and_then(|health| health.reason()));
    let said = || {
        let text = health.and_then(|health| health.description()).unwrap_or_default();
        match (text, reason.map(TargetHealthReasonEnum::as_str).unwrap_or_default()) {
            (text, "") => text.to_owned(),
            ("", code) => code.to_owned(),
            (text, code) => format!("{text} ({code})"),
        }
    };
    Some(match state {
        Some(TargetHealthStateEnum::Healthy) => MemberHealth::InService,
        Some(TargetHealthStateEnum::Initial) => MemberHealth::Initial,
        Some(TargetHealthStateEnum::Draining) => MemberHealth::Draining,
        Some(TargetHealthStateEnum::Unused) if reason == Some(&TargetHealthReasonEnum::NotRegistered) => return None,
        Some(TargetHealthStateEnum::Unhealthy | TargetHealthStateEnum::UnhealthyDraining) => {
            MemberHealth::OutOfService(said())
        }
        Some(TargetHealthStateEnum::Unused) => MemberHealth::OutOfService(said()),
        // `unavailable`: its checks are off.
        _ => MemberHealth::Unknown,
    })
}

/// What all target groups together make of an instance, by what each of them says, with its name.
fn together(said: &[(&str, Option<&MemberHealth>)]) -> MemberHealth {
    use MemberHealth::{Draining, InService, Initial, OutOfService, Unknown};
    let any = |wanted: &MemberHealth| said.iter().any(|(_, health)| *health == Some(wanted));
    if said.iter().all(|(_, health)| health.is_none_or(|health| *health == Draining)) {
        // One group may be done with it before another one.
        return Draining;
    }
    let problem = said.iter().find_map(|(name, health)| match health {
        Some(OutOfService(reason)) => Some(reason.clone()),
        Some(Draining) => Some(format!("it is leaving target group {name}")),
        None => Some(format!("it is not in target group {name}")),
        _ => None,
    });
    match problem {
        Some(reason) => OutOfService(reason),
        None if any(&Initial) => Initial,
        None if any(&Unknown) => Unknown,
        None => InService,
    }
}

fn target(id: &str) -> TargetDescription {
    TargetDescription::builder().id(id).build()
}

/// Targets in the batches in which they are named.
fn batches(ids: &BTreeSet<&str>) -> Vec<Vec<TargetDescription>> {
    let all: Vec<&str> = ids.iter().copied().collect();
    all.chunks(BATCH).map(|batch| batch.iter().map(|id| target(id)).collect()).collect()
}

fn arn_of(group: &TargetGroup) -> &str {
    group.target_group_arn().unwrap_or_default()
}

impl Aws {
    /// What a target group makes of its targets; one call.
    async fn judged(&self, operation: &'static str, region: &Region, group: &str) -> Result<Judged> {
        let request = self.client.elb(region).describe_target_health().target_group_arn(group);
        let call = Call::read(operation).about(group);
        let answer = self.client.call(&call, || request.clone().send()).await?;
        let all = answer.target_health_descriptions.unwrap_or_default().into_iter();
        let one = |one: TargetHealthDescription| {
            let id = one.target.and_then(|target| target.id)?;
            Some((id, judge(one.target_health.as_ref())?))
        };
        Ok(all.filter_map(one).collect())
    }

    /// The target groups of a load balancer with what they make of their targets. One call, and one for each group.
    async fn all_judged(&self, operation: &'static str, arn: &Arn<'_>) -> Result<Vec<(TargetGroup, Judged)>> {
        let mut all = Vec::new();
        for group in self.target_groups(operation, &arn.region, arn.text).await? {
            let judged = self.judged(operation, &arn.region, arn_of(&group)).await?;
            all.push((group, judged));
        }
        Ok(all)
    }

    pub(super) async fn members_of(&self, arn: &Arn<'_>) -> Result<Vec<Member>> {
        let groups = self.all_judged(MEMBERS, arn).await?;
        let ids: BTreeSet<&String> = groups.iter().flat_map(|(_, judged)| judged.keys()).collect();
        let member = |id: &String| {
            let name = |group: &TargetGroup| group.target_group_name().unwrap_or_default().to_owned();
            let said: Vec<_> = groups.iter().map(|(group, judged)| (name(group), judged.get(id))).collect();
            let said: Vec<_> = said.iter().map(|(name, health)| (name.as_str(), *health)).collect();
            Member { instance: InstanceId::new(id), health: together(&said) }
        };
        Ok(ids.into_iter().map(member).collect())
    }

    pub(super) async fn register(&self, arn: &Arn<'_>, instances: &[InstanceId]) -> Result<()> {
        let groups = self.all_judged(ATTACH, arn).await?;
        if groups.is_empty() {
            let message = "the load balancer has no listener that leads to a target group";
            return Err(Error::new(ErrorKind::Conflict, ATTACH, message)
                .with_resource(arn.text)
                .with_hint("deploy again, which sets it up"));
        }
        // One that leaves comes back by being registered again.
        let is_in = |judged: &Judged, id: &str| judged.get(id).is_some_and(|health| *health != MemberHealth::Draining);
        let missing = |judged: &Judged| -> BTreeSet<&str> {
            instances.iter().map(InstanceId::as_str).filter(|id| !is_in(judged, id)).collect()
        };
        let new: BTreeSet<&str> = groups.iter().flat_map(|(_, judged)| missing(judged)).collect();
        for id in &new {
            self.check_member(&arn.region, &InstanceId::new(*id)).await?;
        }
        for (group, judged) in &groups {
            for batch in batches(&missing(judged)) {
                self.register_batch(ATTACH, &arn.region, arn_of(group), batch).await.map_err(|error| {
                    let hint = "it must be running, and in the VPC of the load balancer";
                    if error.is_code("InvalidTarget") { error.with_hint(hint) } else { error }
                })?;
            }
        }
        let mut memory = self.memory.lock();
        new.into_iter().for_each(|id| memory.registered.note((arn.text.to_owned(), id.to_owned()), ()));
        Ok(())
    }

    async fn register_batch(
        &self,
        operation: &'static str,
        region: &Region,
        group: &str,
        batch: Vec<TargetDescription>,
    ) -> Result<()> {
        let request = self.client.elb(region).register_targets().target_group_arn(group).set_targets(Some(batch));
        let call = Call::idempotent(operation).about(group);
        self.client.call(&call, || request.clone().send()).await.map(drop)
    }

    /// Refuses an instance that cannot become a member. No call for one that was seen running since this process launched it.
    async fn check_member(&self, region: &Region, id: &InstanceId) -> Result<()> {
        if self.memory.lock().runs(id.as_str()) && self.places(ATTACH, id.as_str())?.contains(region) {
            return Ok(());
        }
        let (there, state) = match self.find_instance(ATTACH, id).await {
            Ok((there, body)) => (there, body.state.and_then(|state| state.name)),
            Err(error) if error.kind() == ErrorKind::NotFound && is_id(id.as_str(), "i-") => {
                match self.is_in_another_region(id).await? {
                    Some(there) => (there, None),
                    None => return Err(error),
                }
            }
            Err(error) => return Err(error),
        };
        let refuse = |kind, message: String| Err(Error::new(kind, ATTACH, message).with_resource(id));
        if there != *region {
            let message = format!("the instance is in {there}, and the load balancer in {region}");
            return refuse(ErrorKind::InvalidInput, message);
        }
        match state {
            // Targets must run.
            Some(InstanceStateName::Pending) => refuse(ErrorKind::Busy, "the instance is pending".to_owned()),
            Some(InstanceStateName::ShuttingDown) => {
                refuse(ErrorKind::NotFound, "the instance is being destroyed".to_owned())
            }
            _ => Ok(()),
        }
    }

    pub(super) async fn deregister(&self, arn: &Arn<'_>, instances: &[InstanceId]) -> Result<()> {
        for (group, judged) in self.all_judged(DETACH, arn).await? {
            // One that was registered a moment ago may not show yet.
            let young = |id: &str| {
                let key = (arn.text.to_owned(), id.to_owned());
                self.memory.lock().registered.get(&key, self.settings.grace).is_some()
            };
            let stays = |id: &&str| match judged.get(*id) {
                Some(health) => *health != MemberHealth::Draining,
                None => young(id),
            };
            let leaving: BTreeSet<&str> = instances.iter().map(InstanceId::as_str).filter(stays).collect();
            for batch in batches(&leaving) {
                self.deregister_batch(&arn.region, arn_of(&group), batch).await?;
            }
        }
        let mut memory = self.memory.lock();
        memory.registered.retain(|(text, id), ()| text != arn.text || instances.iter().all(|one| one.as_str() != id));
        Ok(())
    }

    async fn deregister_batch(&self, region: &Region, group: &str, batch: Vec<TargetDescription>) -> Result<()> {
        let request = self.client.elb(region).deregister_targets().target_group_arn(group).set_targets(Some(batch));
        match self.client.call(&Call::idempotent(DETACH).about(group), || request.clone().send()).await {
            // It is no target any more, or its instance is gone and took it along.
            Err(error) if error.is_code("InvalidTarget") => Ok(()),
            result => result.map(drop),
        }
    }

    /// Makes the targets of these groups targets of another one, too: those that do not leave.
    pub(super) async fn copy_targets<'a>(
        &self,
        operation: &'static str,
        region: &Region,
        from: impl Iterator<Item = &'a str>,
        to: &str,
    ) -> Result<()> {
        let mut staying = BTreeSet::new();
        for group in from {
            let judged = self.judged(operation, region, group).await?;
            staying
                .extend(judged.into_iter().filter(|(_, health)| *health != MemberHealth::Draining).map(|(id, _)| id));
        }
        for batch in batches(&staying.iter().map(String::as_str).collect()) {
            self.register_batch(operation, region, to, batch).await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn health(state: &str, reason: &str, text: &str) -> Option<MemberHealth> {
        let health = TargetHealth::builder().state(TargetHealthStateEnum::from(state));
        let health = if reason.is_empty() { health } else { health.reason(reason.into()).description(text) };
        judge(Some(&health.build()))
    }

    #[test]
    fn each_state_has_its_health() {
        let out = |text: &str| Some(MemberHealth::OutOfService(text.to_owned()));
        assert_eq!(health("healthy", "", ""), Some(MemberHealth::InService));
        assert_eq!(health("initial", "Elb.RegistrationInProgress", "x"), Some(MemberHealth::Initial));
        let codes = "Health checks failed with these codes: [502]";
        assert_eq!(
            health("unhealthy", "Target.ResponseCodeMismatch", codes),
            out(&format!("{codes} (Target.ResponseCodeMismatch)"))
        );
        assert_eq!(health("unhealthy.draining", "Target.FailedHealthChecks", ""), out("Target.FailedHealthChecks"));
        assert_eq!(health("unused", "Target.InvalidState", "stopped"), out("stopped (Target.InvalidState)"));
        assert_eq!(health("unused", "Target.NotRegistered", "x"), None);
        assert_eq!(health("draining", "Target.DeregistrationInProgress", "x"), Some(MemberHealth::Draining));
        assert_eq!(health("unavailable", "Target.HealthCheckDisabled", "x"), Some(MemberHealth::Unknown));
        assert_eq!(health("something-new", "", ""), Some(MemberHealth::Unknown));
    }

    #[test]
    fn a_member_is_in_service_where_all_groups_say_so() {
        use MemberHealth::{Draining, InService, Initial, OutOfService, Unknown};
        let broken = OutOfService("502".to_owned());
        let all = |said: [Option<&MemberHealth>; 2]| together(&[("web-80", said[0]), ("web-81", said[1])]);
        assert_eq!(all([Some(&InService), Some(&InService)]), InService);
        assert_eq!(all([Some(&InService), Some(&Initial)]), Initial);
        assert_eq!(all([Some(&Unknown), Some(&InService)]), Unknown);
        assert_eq!(all([Some(&Initial), Some(&broken)]), broken);
        assert_eq!(all([Some(&Draining), Some(&Draining)]), Draining);
        assert_eq!(all([None, Some(&Draining)]), Draining, "one group is done with it");
        let missing = OutOfService("it is not in target group web-80".to_owned());
        assert_eq!(all([None, Some(&InService)]), missing);
        let leaving = OutOfService("it is leaving target group web-81".to_owned());
        assert_eq!(all([Some(&InService), Some(&Draining)]), leaving);
    }

    #[test]
    fn many_targets_go_in_batches() {
        let ids: Vec<String> = (0..201).map(|number| format!("i-{number:08x}")).collect();
        let batches = batches(&ids.iter().map(String::as_str).collect());
        assert_eq!(batches.iter().map(Vec::len).collect::<Vec<_>>(), [100, 100, 1]);
    }
}
