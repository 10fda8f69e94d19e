//! Creating a load balancer, and changing one in place.
//!
//! The parts are put right in an order in which clients lose nothing: what is to be opened is opened first, new target groups have
//! their members before a listener leads to them, and what is not wanted any more goes last.

use aws_sdk_elasticloadbalancingv2::types::{LoadBalancerAttribute, Tag, TagDescription};
use remint_core::provider::{
    Error, ErrorKind, Labels, LoadBalancer, LoadBalancerSpec, Region, Result, label,
    support::{Call, CreateOnce, Seen, pauses},
};

use super::{
    Arn, Body, ENSURE,
    parts::Parts,
    shape::{Kind, Wanted},
    task::Task,
};
use crate::Aws;

/// How many zones an Application Load Balancer needs, at least (API reference, `CreateLoadBalancer`).
const ZONES: usize = 2;

const CROSSES_ZONES: &str = "load_balancing.cross_zone.enabled";

/// A load balancer, and whether this call has just created it.
struct Ensured {
    body: Body,
    new: bool,
}

impl Aws {
    /// What a spec asks for, where AWS can hold it; no call.
    pub(super) fn wanted(&self, spec: &LoadBalancerSpec) -> Result<Wanted> {
        spec.check(ENSURE, self.settings.descriptor)?;
        Wanted::of(spec, self.settings.leaves_within)
    }

    pub(super) async fn ensure_balancer(&self, spec: &LoadBalancerSpec) -> Result<LoadBalancer> {
        let wanted = self.wanted(spec)?;
        let tags = self.balancer_tags(ENSURE, &spec.labels)?;
        self.check_region(ENSURE, &spec.region).await?;
        let turn = self.turns.take([format!("load balancer {}", spec.name)]).await;
        self.exists_nowhere_else(spec).await?;
        let task = Task { spec, wanted: &wanted, tags: &tags, turn: &turn };
        let call = task.call();
        let look = || async {
            let found = self.own_balancer(&task).await?;
            Ok(Seen::from(found.map(|body| Ensured { body, new: false })))
        };
        let create = |()| self.create_balancer(&task);
        let Ensured { body, new } = CreateOnce::new(&call, self.settings.settle).run(look, create).await?;
        let arn = body.load_balancer_arn().unwrap_or_default().to_owned();
        match self.put_right(&task, body).await {
            Ok(parts) => Ok(self.load_balancer(task.region(), &parts)),
            // Only the listener knows whether there is a certificate: what was created for it goes again.
            Err(error) if new && error.kind() == ErrorKind::InvalidInput => {
                if let Some(arn) = Arn::parse(&arn)
                    && let Err(left) = self.destroy_balancer(&arn).await
                {
                    tracing::warn!(error = %left, "cannot destroy what was just created: {}", arn.text);
                }
                Err(error)
            }
            Err(error) => Err(error),
        }
    }

    /// Refuses a name that exists in another region; one call for each region that is looked at.
    async fn exists_nowhere_else(&self, spec: &LoadBalancerSpec) -> Result<()> {
        for region in self.all_places(ENSURE)?.into_iter().filter(|region| *region != spec.region) {
            if self.named_balancer(ENSURE, &region, &spec.name).await?.is_some() {
                return Err(Error::new(ErrorKind::Conflict, ENSURE, format!("one of this name is in {region}"))
                    .with_resource(&spec.name)
                    .with_hint(format!("destroy it first, or stay in {region}")));
            }
        }
        Ok(())
    }

    /// The load balancer of the spec's name, if there is one; refuses one that is not ours, or of another type. Two calls.
    async fn own_balancer(&self, task: &Task<'_>) -> Result<Option<Body>> {
        let spec = task.spec;
        let Some(body) = self.named_balancer(ENSURE, task.region(), &spec.name).await? else { return Ok(None) };
        let arn = body.load_balancer_arn().unwrap_or_default();
        let shown = self.tags_of(task.region(), arn).await?;
        if !is_ours(&spec.labels, &shown) {
            let message = format!("{arn} has this name, and does not carry the environment's id");
            return Err(Error::new(ErrorKind::Conflict, ENSURE, message)
                .with_resource(&spec.name)
                .with_hint("Remint did not create it; delete it if nobody needs it"));
        }
        let kind = Kind::of_body(&body);
        if kind != Some(task.wanted.kind) {
            let is = kind.map_or_else(|| "of another type".to_owned(), |kind| kind.to_string());
            let message = format!("it is {is}, and these listeners need {}", task.wanted.kind);
            return Err(Error::new(ErrorKind::InvalidInput, ENSURE, message).with_resource(&spec.name).with_hint(
                "AWS cannot change the type: keep listeners of one kind, or remove `[load_balancer]`, deploy, and add it again",
            ));
        }
        let missing: Vec<Tag> = task.tags.iter().filter(|wanted| !shown.contains(wanted)).cloned().collect();
        if !missing.is_empty() {
            let request = self.client.elb(task.region()).add_tags().resource_arns(arn).set_tags(Some(missing));
            self.client.call(&task.call(), || request.clone().send()).await?;
        }
        Ok(Some(body))
    }

    async fn tags_of(&self, region: &Region, arn: &str) -> Result<Vec<Tag>> {
        let request = self.client.elb(region).describe_tags().resource_arns(arn);
        match self.client.call(&Call::read(ENSURE).about(arn), || request.clone().send()).await {
            Ok(answer) => {
                let all: Vec<TagDescription> = answer.tag_descriptions.unwrap_or_default();
                Ok(all.into_iter().flat_map(|one| one.tags.unwrap_or_default()).collect())
            }
            // It was created a moment ago by this process, which tagged it.
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let known = self.memory.lock().balancers.get(arn, self.settings.grace).is_some();
                if known { self.balancer_tags(ENSURE, &Labels::new()) } else { Err(error) }
            }
            Err(error) => Err(error),
        }
    }

    async fn create_balancer(&self, task: &Task<'_>) -> Result<Ensured> {
        let (spec, kind) = (task.spec, task.wanted.kind);
        let (vpc, places) = self.balancer_places(task.region()).await?;
        if kind == Kind::Application && places.len() < ZONES {
            let hint = match places.first() {
                Some(place) if place.pinned => "name a `vpc` with subnets in several zones in place of `subnet`",
                _ => "create a subnet in another zone, or give the listeners the protocol \"tcp\"",
            };
            let message = format!("{kind} needs subnets in {ZONES} zones, and {vpc} has {}", places.len());
            return Err(Error::new(ErrorKind::InvalidInput, ENSURE, message).with_resource(&spec.name).with_hint(hint));
        }
        let firewall = self.ensure_firewall(task, &vpc).await?;
        let subnets = places.into_iter().map(|place| place.subnet).collect();
        let request = self.client.elb(task.region()).create_load_balancer().name(&spec.name);
        let request = request.r#type(kind.type_name()).set_subnets(Some(subnets)).security_groups(firewall);
        let request = request.set_tags(Some(task.tags.to_vec()));
        let mut pauses = pauses(self.settings.settle);
        let answer = loop {
            match self.client.call_within(task.turn, &task.call(), || request.clone().send()).await {
                // The security group was created a moment ago, and is not known everywhere yet.
                Err(error) if error.is_code("InvalidSecurityGroup") => match pauses.next() {
                    Some(pause) => tokio::time::sleep(pause).await,
                    None => return Err(error),
                },
                result => break result?,
            }
        };
        let made = answer.load_balancers.unwrap_or_default().into_iter().next();
        let body = made.filter(|body| body.load_balancer_arn().is_some()).ok_or_else(|| task.call().unreadable())?;
        let arn = body.load_balancer_arn().unwrap_or_default().to_owned();
        self.memory.lock().balancers.note(arn, body.clone());
        Ok(Ensured { body, new: true })
    }

    /// Lets a Network Load Balancer send connections to the members of all zones: it has an address in each, also where no member
    /// is. An Application Load Balancer always does. One call, and one more where it is not so.
    async fn cross_zones(&self, task: &Task<'_>, parts: &Parts) -> Result<()> {
        if task.wanted.kind != Kind::Network {
            return Ok(());
        }
        let client = self.client.elb(task.region());
        let request = client.describe_load_balancer_attributes().load_balancer_arn(parts.arn());
        let call = Call::read(ENSURE).about(&task.spec.name);
        let answer = self.client.call(&call, || request.clone().send()).await?;
        let does = |one: &LoadBalancerAttribute| one.key() == Some(CROSSES_ZONES) && one.value() == Some("true");
        if answer.attributes().iter().any(does) {
            return Ok(());
        }
        let crosses = LoadBalancerAttribute::builder().key(CROSSES_ZONES).value("true").build();
        let request = client.modify_load_balancer_attributes().load_balancer_arn(parts.arn()).attributes(crosses);
        self.client.call(&task.call(), || request.clone().send()).await.map(drop)
    }

    /// Puts the parts of a load balancer right, and reads them again where something was changed.
    async fn put_right(&self, task: &Task<'_>, body: Body) -> Result<Parts> {
        let parts = self.parts(ENSURE, task.region(), body.clone()).await?;
        let mut changed = self.open_firewall(task, &parts).await?;
        self.cross_zones(task, &parts).await?;
        let (groups, added) = self.put_groups_right(task, &parts).await?;
        changed |= added;
        changed |= self.put_listeners_right(task, &parts, &groups).await?;
        changed |= self.close_firewall(task, &parts).await?;
        changed |= self.remove_groups(task, &parts, &groups).await?;
        if changed { self.parts(ENSURE, task.region(), body).await } else { Ok(parts) }
    }
}

/// Whether a load balancer of the right name is ours by its tags: it carries the environment's id. Where there is none, any of
/// our labels will do.
fn is_ours(labels: &Labels, shown: &[Tag]) -> bool {
    let value = |key: &str| shown.iter().find(|tag| tag.key() == Some(key)).and_then(Tag::value);
    match labels.get(label::ENV_ID) {
        Some(id) => value(label::ENV_ID) == Some(id),
        None => labels.0.is_empty() || labels.iter().any(|(key, wanted)| value(key) == Some(wanted)),
    }
}
