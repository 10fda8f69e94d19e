//! Destroying a load balancer with its parts.
//!
//! The load balancer goes first, and takes its listeners along; AWS lets go of target groups a moment later, and of the security
//! group when its network interfaces are gone, which may take minutes. So a call that is repeated looks for the parts by their
//! names, also when the load balancer itself is gone. A security group that AWS keeps for longer is left: it costs nothing, and is
//! found as a stray.

use aws_sdk_ec2::types::SecurityGroup;
use remint_core::provider::{
    Effect, Error, ErrorKind, Region, Result,
    support::{Call, pauses},
};

use super::{Arn, DESTROY, firewall};
use crate::{Aws, tags};

/// What the names of all load balancers begin with that Remint creates.
const PREFIX: &str = "remint-";

/// Whether a target group of this name is a load balancer's: its name, a dash and a port.
pub(super) fn is_group_of(balancer: &str, group: &str) -> bool {
    let port = group.strip_prefix(balancer).and_then(|rest| rest.strip_prefix('-'));
    port.is_some_and(|port| port.parse::<u16>().is_ok())
}

impl Aws {
    pub(super) async fn destroy_balancer(&self, arn: &Arn<'_>) -> Result<()> {
        let request = self.client.elb(&arn.region).delete_load_balancer().load_balancer_arn(arn.text);
        let call = Call::idempotent(DESTROY).about(arn.text);
        match self.client.call(&call, || request.clone().send()).await {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) if error.is_code("OperationNotPermitted") => {
                return Err(call
                    .error(ErrorKind::Conflict, "AWS does not permit it: the load balancer is protected or in use")
                    .with_hint("switch its deletion protection off in the AWS console")
                    .with_source(error));
            }
            result => drop(result?),
        }
        {
            let mut memory = self.memory.lock();
            memory.balancers.remove(arn.text);
            memory.registered.retain(|(text, _), ()| text != arn.text);
        }
        // What another one of this name is made of stays; and what is not named by Remint.
        if arn.name.starts_with(PREFIX) && !self.has_successor(arn).await? {
            let done = |error: Error| error.with_effect(Effect::Unknown);
            self.destroy_groups(arn).await.map_err(done)?;
            self.destroy_firewall(arn).await.map_err(done)?;
        }
        Ok(())
    }

    /// Whether the name is that of another load balancer by now.
    async fn has_successor(&self, arn: &Arn<'_>) -> Result<bool> {
        let named = self.named_balancer(DESTROY, &arn.region, arn.name).await?;
        Ok(named.is_some_and(|body| body.load_balancer_arn() != Some(arn.text)))
    }

    async fn destroy_groups(&self, arn: &Arn<'_>) -> Result<()> {
        let all = self.region_groups(DESTROY, &arn.region).await?;
        for group in all.iter().filter(|group| is_group_of(arn.name, group.target_group_name().unwrap_or_default())) {
            let mut pauses = pauses(self.settings.settle);
            while let Err(error) =
                self.delete_group(DESTROY, &arn.region, group.target_group_arn().unwrap_or_default()).await
            {
                // The load balancer still leads to it for a moment.
                match pauses.next().filter(|_| error.kind() == ErrorKind::Busy) {
                    Some(pause) => tokio::time::sleep(pause).await,
                    None => return Err(error),
                }
            }
        }
        Ok(())
    }

    async fn destroy_firewall(&self, arn: &Arn<'_>) -> Result<()> {
        for group in self.firewalls(&arn.region, arn.name).await? {
            let mut pauses = pauses(self.settings.settle);
            while let Err(error) =
                self.delete_security_group(DESTROY, &arn.region, group.group_id().unwrap_or_default()).await
            {
                match pauses.next() {
                    _ if error.kind() != ErrorKind::Busy => return Err(error),
                    Some(pause) => tokio::time::sleep(pause).await,
                    None => {
                        let name = group.group_name().unwrap_or_default();
                        tracing::info!(%error, "AWS keeps the security group {name} for now; `remint gc` removes it");
                        break;
                    }
                }
            }
        }
        Ok(())
    }

    /// The security groups of a load balancer's name, in whichever VPC.
    async fn firewalls(&self, region: &Region, balancer: &str) -> Result<Vec<SecurityGroup>> {
        let name = firewall::group_name(balancer);
        let request = self.client.ec2(region).describe_security_groups().filters(tags::filter("group-name", &name));
        let answer = self.client.call(&Call::read(DESTROY).about(&name), || request.clone().send()).await?;
        Ok(answer.security_groups.unwrap_or_default())
    }

    /// Deletes a security group; one that is gone is a success. `Busy` while something in the VPC depends on it.
    pub(crate) async fn delete_security_group(&self, operation: &'static str, region: &Region, id: &str) -> Result<()> {
        let request = self.client.ec2(region).delete_security_group().group_id(id);
        match self.client.call(&Call::idempotent(operation).about(id), || request.clone().send()).await {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            result => result.map(drop),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_group_is_its_load_balancers_by_its_name() {
        assert!(is_group_of("remint-0a1b", "remint-0a1b-8080"));
        for other in ["remint-0a1b", "remint-0a1b-", "remint-0a1b-web", "remint-0a1b-70000", "remint-0a1b2-80", "x-80"]
        {
            assert!(!is_group_of("remint-0a1b", other), "{other}");
        }
    }
}
