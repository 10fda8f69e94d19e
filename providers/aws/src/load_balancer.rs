//! Load balancers: an Application Load Balancer where all ports understand requests, and a Network Load Balancer where all pass
//! bytes.
//!
//! One consists of many parts: the load balancer, a listener for each port, a target group for each port of the members, and a
//! security group of its own. AWS keeps the names of all of them unique, and each has the load balancer's name in its own. So a
//! part that a call left which died is found again: by the next `ensure`, by a repeated `destroy`, or as a stray.
//!
//! A Network Load Balancer goes on sending new connections to a target for about two minutes after it was deregistered, while AWS
//! shows it as draining ([`crate::Settings::leaves_within`]). These minutes are a part of the deregistration delay that its target
//! groups get: the member is shown for so long, whatever becomes of this process. The alternative not taken is to remember when
//! a target was deregistered, which another process would not know.

use async_trait::async_trait;
use aws_sdk_elasticloadbalancingv2::types::{LoadBalancer as Body, LoadBalancerStateEnum, Tag};
use remint_core::provider::{
    Error, ErrorKind, InstanceId, Labels, LoadBalancer, LoadBalancerId, LoadBalancerSpec, LoadBalancerState,
    LoadBalancers, Member, Region, Result,
    support::{Call, all_by_token},
};

use crate::{Aws, tags};

mod arn;
mod destroy;
mod ensure;
mod firewall;
mod groups;
mod listeners;
mod members;
mod parts;
mod read;
mod settings;
mod shape;
mod task;
#[cfg(test)]
mod tests;

pub(crate) use arn::Arn;
pub(crate) use firewall::balancer_of;

const ENSURE: &str = "ensure load balancer";
const LIST: &str = "list load balancers";
const GET: &str = "get load balancer";
const MEMBERS: &str = "list members";
const ATTACH: &str = "attach members";
const DETACH: &str = "detach members";
const DESTROY: &str = "destroy load balancer";
/// The most that the API gives on a page.
const PAGE_SIZE: i32 = 400;

/// What a load balancer is doing.
fn state(body: &Body) -> LoadBalancerState {
    let state = body.state();
    match state.and_then(|state| state.code()) {
        Some(LoadBalancerStateEnum::Active | LoadBalancerStateEnum::ActiveImpaired) => LoadBalancerState::Active,
        Some(LoadBalancerStateEnum::Failed) => {
            let reason =
                state.and_then(|state| state.reason()).unwrap_or("its state is `failed`; AWS does not say why");
            LoadBalancerState::Failed(reason.to_owned())
        }
        _ => LoadBalancerState::Pending,
    }
}

/// An id as an ARN; any other text is the id of nothing.
fn parse<'a>(operation: &'static str, id: &'a LoadBalancerId) -> Result<Arn<'a>> {
    Arn::parse(id.as_str()).ok_or_else(|| missing(operation, id.as_str()))
}

fn missing(operation: &'static str, id: &str) -> Error {
    Error::new(ErrorKind::NotFound, operation, "no such load balancer").with_resource(id)
}

fn tag(key: &str, value: &str) -> Tag {
    Tag::builder().key(key).value(value).build()
}

impl Aws {
    /// Labels and the user's own tags, as they are on every part.
    fn balancer_tags(&self, operation: &'static str, labels: &Labels) -> Result<Vec<Tag>> {
        let all = tags::tags(operation, labels)?.into_iter().chain(self.own_tags());
        Ok(all.filter_map(|of_ec2| Some(tag(of_ec2.key()?, of_ec2.value()?))).collect())
    }

    /// The load balancer of a name in a region; one call.
    pub(crate) async fn named_balancer(
        &self,
        operation: &'static str,
        region: &Region,
        name: &str,
    ) -> Result<Option<Body>> {
        let request = self.client.elb(region).describe_load_balancers().names(name);
        let call = Call::read(operation).about(name);
        let shown = match self.client.call(&call, || request.clone().send()).await {
            Ok(answer) => answer.load_balancers.unwrap_or_default().into_iter().next(),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        // One that was just created may not show yet.
        let is_it = |body: &&Body| {
            let there = body.load_balancer_arn().and_then(Arn::parse).map(|arn| arn.region);
            body.load_balancer_name() == Some(name) && there.as_ref() == Some(region)
        };
        let memory = self.memory.lock();
        Ok(shown.or_else(|| memory.balancers.all(self.settings.grace).map(|(_, body)| body).find(is_it).cloned()))
    }

    /// A load balancer by its ARN; one call.
    async fn balancer_body(&self, operation: &'static str, arn: &Arn<'_>) -> Result<Option<Body>> {
        let request = self.client.elb(&arn.region).describe_load_balancers().load_balancer_arns(arn.text);
        let call = Call::read(operation).about(arn.text);
        match self.client.call(&call, || request.clone().send()).await {
            Ok(answer) if answer.load_balancers().is_empty() => {}
            Ok(answer) => {
                self.memory.lock().balancers.remove(arn.text);
                return Ok(answer.load_balancers.unwrap_or_default().into_iter().next());
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        Ok(self.memory.lock().balancers.get(arn.text, self.settings.grace).cloned())
    }

    /// All load balancers of a region; one call for each 400.
    pub(crate) async fn region_balancers(&self, operation: &'static str, region: &Region) -> Result<Vec<Body>> {
        let request = self.client.elb(region).describe_load_balancers().page_size(PAGE_SIZE);
        all_by_token(self.client.calls(), operation, |token| {
            let page = request.clone().set_marker(token);
            async move {
                let answer = self.client.call(&Call::read(operation), || page.clone().send()).await?;
                Ok((answer.load_balancers.unwrap_or_default(), answer.next_marker))
            }
        })
        .await
    }

    async fn listed_balancers(&self, prefix: &str) -> Result<Vec<LoadBalancer>> {
        let mut all = Vec::new();
        for region in self.all_places(LIST)? {
            let mut bodies = self.region_balancers(LIST, &region).await?;
            {
                let memory = self.memory.lock();
                let unshown = memory.balancers.all(self.settings.grace).map(|(_, body)| body).filter(|body| {
                    let there = body.load_balancer_arn().and_then(Arn::parse);
                    let shown = |other: &Body| other.load_balancer_arn() == body.load_balancer_arn();
                    there.is_some_and(|arn| arn.region == region) && !bodies.iter().any(shown)
                });
                let unshown: Vec<Body> = unshown.cloned().collect();
                bodies.extend(unshown);
            }
            for body in bodies {
                let ours = body.load_balancer_name().is_some_and(|name| name.starts_with(prefix));
                if !ours || body.load_balancer_arn().and_then(Arn::parse).is_none() {
                    continue;
                }
                match self.parts(LIST, &region, body).await {
                    Ok(parts) => all.push(self.load_balancer(&region, &parts)),
                    // It has gone meanwhile.
                    Err(error) if error.kind() == ErrorKind::NotFound => {}
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(all)
    }
}

#[async_trait]
impl LoadBalancers for Aws {
    fn accepts(&self, spec: &LoadBalancerSpec) -> Result<()> {
        self.wanted(spec).map(drop)
    }

    async fn ensure(&self, spec: &LoadBalancerSpec) -> Result<LoadBalancer> {
        self.ensure_balancer(spec).await
    }

    async fn list(&self, prefix: &str) -> Result<Vec<LoadBalancer>> {
        self.listed_balancers(prefix).await
    }

    async fn get(&self, id: &LoadBalancerId) -> Result<LoadBalancer> {
        let arn = parse(GET, id)?;
        let Some(body) = self.balancer_body(GET, &arn).await? else { return Err(missing(GET, arn.text)) };
        let parts = self.parts(GET, &arn.region, body).await?;
        Ok(self.load_balancer(&arn.region, &parts))
    }

    async fn members(&self, id: &LoadBalancerId) -> Result<Vec<Member>> {
        self.members_of(&parse(MEMBERS, id)?).await
    }

    async fn attach(&self, id: &LoadBalancerId, instances: &[InstanceId]) -> Result<()> {
        self.register(&parse(ATTACH, id)?, instances).await
    }

    async fn detach(&self, id: &LoadBalancerId, instances: &[InstanceId]) -> Result<()> {
        self.deregister(&parse(DETACH, id)?, instances).await
    }

    async fn destroy(&self, id: &LoadBalancerId) -> Result<()> {
        match Arn::parse(id.as_str()) {
            Some(arn) => self.destroy_balancer(&arn).await,
            // Nothing can have such an id.
            None => Ok(()),
        }
    }
}
