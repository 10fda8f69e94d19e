//! Static IPs are Elastic IPs, found again by their `Name` tag and the labels that say whose they are. One call moves one.
//!
//! An instance that has one has no other public address: EC2 takes its own away, and gives it another one when the Elastic IP
//! goes elsewhere.

use async_trait::async_trait;
use aws_sdk_ec2::types::{AccountAttributeName, DomainType, InstanceStateName, ResourceType};
use remint_core::provider::{
    Address, Error, ErrorKind, InstanceId, Labels, Region, Result, Selector, StaticIp, StaticIpId, StaticIpSpec,
    StaticIps,
    support::{Call, CreateOnce, Seen, Turn, pauses},
};

use crate::{Aws, error::never_was, tags};

#[cfg(test)]
mod tests;

/// Allocations of one `ensure`, the repetitions after lost replies included.
const ALLOCATIONS: u32 = 3;
/// The account's limit of Elastic IPs, as EC2 names it.
const LIMIT: &str = "vpc-max-elastic-ips";

type Body = aws_sdk_ec2::types::Address;

impl Aws {
    fn static_ip(&self, operation: &'static str, region: &Region, body: &Body) -> Result<StaticIp> {
        let text = body.public_ip().unwrap_or_default();
        let ip = text.parse().map_err(|error| {
            Error::new(ErrorKind::Unexpected, operation, "not an IP address").with_resource(text).with_source(error)
        })?;
        let id = body.allocation_id().unwrap_or_default();
        self.remember_place(id, region);
        Ok(StaticIp {
            id: StaticIpId::new(id),
            address: Address { ip, ports: self.settings.ports },
            assigned_to: body.instance_id().filter(|id| !id.is_empty()).map(InstanceId::new),
            busy: false,
            region: region.clone(),
            labels: tags::labels(body.tags()),
        })
    }

    /// Addresses of a region; EC2 gives all at once.
    async fn addresses(
        &self,
        operation: &'static str,
        region: &Region,
        filters: Vec<aws_sdk_ec2::types::Filter>,
    ) -> Result<Vec<Body>> {
        let request = self.client.ec2(region).describe_addresses();
        let request = request.set_filters((!filters.is_empty()).then_some(filters));
        let answer = self.client.call(&Call::read(operation), || request.clone().send()).await?;
        Ok(answer.addresses.unwrap_or_default())
    }

    /// One address, wherever it is; one call where this process knows its region.
    async fn find_address(&self, operation: &'static str, id: &StaticIpId) -> Result<(Region, Body)> {
        let missing = || Error::new(ErrorKind::NotFound, operation, "no such static IP").with_resource(id);
        let mut refused = None;
        for region in self.places(operation, id.as_str())? {
            let request = self.client.ec2(&region).describe_addresses().allocation_ids(id.as_str());
            match self.client.call(&Call::read(operation).about(id), || request.clone().send()).await {
                Ok(answer) => {
                    if let Some(body) = answer.addresses.unwrap_or_default().into_iter().next() {
                        return Ok((region, body));
                    }
                }
                Err(error) if never_was(&error, id.as_str(), "eipalloc-") => refused = Some(error),
                Err(error) => return Err(error),
            }
        }
        match refused {
            Some(error) => Err(missing().with_source(error)),
            None => Err(missing()),
        }
    }

    /// The address that a spec asks for: it carries the spec's identity, and points at the instance or has the name. One
    /// call for all of the region's addresses, so that somebody else's that points at the instance is seen.
    async fn own_address(&self, operation: &'static str, spec: &StaticIpSpec) -> Result<Option<Body>> {
        let identity = spec.identity();
        let points = |body: &Body| body.instance_id() == Some(spec.instance.as_str());
        let mut found = self.addresses(operation, &spec.region, Vec::new()).await?;
        found.sort_by(|a, b| a.allocation_id().cmp(&b.allocation_id()));
        let (own, others): (Vec<Body>, Vec<Body>) =
            found.into_iter().partition(|body| tags::labels(body.tags()).matches(&identity));
        if let Some(other) = others.iter().find(|body| points(body)) {
            // Another one would take its place, and leave it pointing nowhere.
            let message = format!(
                "instance {} has the address {} of somebody else",
                spec.instance,
                other.public_ip().unwrap_or_default()
            );
            return Err(Error::new(ErrorKind::Conflict, operation, message)
                .with_resource(&spec.name)
                .with_hint("disassociate that Elastic IP from the instance"));
        }
        let named = |body: &&Body| tags::value(body.tags(), tags::NAME) == Some(spec.name.as_str());
        Ok(own.iter().find(|body| points(body)).or_else(|| own.iter().find(named)).cloned())
    }

    /// Refuses an instance that an address cannot point at. No call for one that was seen running since this process
    /// launched it.
    async fn check_target(&self, operation: &'static str, instance: &InstanceId, region: &Region) -> Result<()> {
        if self.memory.lock().runs(instance.as_str()) && self.places(operation, instance.as_str())?.contains(region) {
            return Ok(());
        }
        let (place, body) = self.find_instance(operation, instance).await?;
        let refuse = |kind, message: String| Err(Error::new(kind, operation, message).with_resource(instance));
        if place != *region {
            return refuse(ErrorKind::InvalidInput, format!("it is in {place}, and the static IP in {region}"));
        }
        match body.state().and_then(|state| state.name()) {
            Some(InstanceStateName::Pending) => refuse(ErrorKind::Busy, "the instance is pending".to_owned()),
            Some(InstanceStateName::ShuttingDown) => {
                refuse(ErrorKind::NotFound, "the instance is being destroyed".to_owned())
            }
            _ => Ok(()),
        }
    }

    /// Adds the account's limit to the message of a quota error; one call.
    async fn explain_quota(&self, region: &Region, error: Error) -> Error {
        let request = self.client.ec2(region).describe_account_attributes();
        let request = request.attribute_names(AccountAttributeName::from(LIMIT));
        let call = Call::read(error.operation());
        let answer = self.client.call(&call, || request.clone().send()).await.ok();
        let attributes = answer.and_then(|answer| answer.account_attributes).unwrap_or_default();
        let limit = attributes
            .iter()
            .find(|attribute| attribute.attribute_name() == Some(LIMIT))
            .and_then(|attribute| attribute.attribute_values().first()?.attribute_value().map(str::to_owned));
        let Some(limit) = limit else { return error };
        error
            .map_message(|said| format!("{said}; the account's limit in {region} is {limit} Elastic IPs"))
            .with_hint("release an Elastic IP that is not needed, or ask for more in the Service Quotas console")
    }

    /// Makes an address with its tags. EC2 has no token for this: after a lost reply it is looked for by its name.
    async fn allocate(&self, operation: &'static str, turn: &Turn, spec: &StaticIpSpec) -> Result<Body> {
        let mut all = tags::tags(operation, &spec.labels)?;
        all.push(tags::tag(tags::NAME, &spec.name));
        all.extend(self.own_tags());
        let request = self.client.ec2(&spec.region).allocate_address().domain(DomainType::Vpc);
        let request = request.tag_specifications(tags::on_create(ResourceType::ElasticIp, &all));
        let call = Call::mutation(operation).about(&spec.name);
        let create = |()| async {
            let made = self.client.call_within(turn, &call, || request.clone().send()).await?;
            let (id, ip) = (made.allocation_id, made.public_ip);
            Ok(Body::builder().set_allocation_id(id).set_public_ip(ip).set_tags(Some(all.clone())).build())
        };
        let look = || async { Ok(self.own_address(operation, spec).await?.into()) };
        let once = CreateOnce::new(&call, self.settings.settle).creates(ALLOCATIONS);
        match once.run_from(Seen::Missing(()), look, create).await {
            Err(error) if error.kind() == ErrorKind::Quota => Err(self.explain_quota(&spec.region, error).await),
            result => result,
        }
    }

    /// Whether an address is gone, or goes while answers may lag.
    async fn is_released(&self, operation: &'static str, id: &StaticIpId) -> bool {
        for pause in pauses(self.settings.settle) {
            tokio::time::sleep(pause).await;
            match self.find_address(operation, id).await {
                Ok(_) => {}
                Err(error) => return error.kind() == ErrorKind::NotFound,
            }
        }
        false
    }

    async fn associate(&self, operation: &'static str, region: &Region, id: &str, instance: &InstanceId) -> Result<()> {
        let request = self.client.ec2(region).associate_address().allocation_id(id).instance_id(instance.as_str());
        let request = request.allow_reassociation(true);
        let call = Call::idempotent(operation).about(id);
        let mut pauses = pauses(self.settings.settle);
        let error = loop {
            let error = match self.client.call(&call, || request.clone().send()).await {
                Ok(_) => return Ok(()),
                Err(error) => error,
            };
            // What was made a moment ago is not known everywhere yet, even if it was seen before.
            let young = error.kind() == ErrorKind::NotFound
                && self.memory.lock().instances.young(instance.as_str(), self.settings.grace).is_some();
            match pauses.next().filter(|_| young) {
                Some(pause) => tokio::time::sleep(pause).await,
                None => break error,
            }
        };
        // EC2 says "incorrect state" of an instance that is pending and of one that is gone.
        if matches!(error.kind(), ErrorKind::Busy | ErrorKind::InvalidInput) {
            self.find_instance(operation, instance).await?;
        }
        Err(error)
    }
}

#[async_trait]
impl StaticIps for Aws {
    async fn ensure(&self, spec: &StaticIpSpec) -> Result<StaticIp> {
        const OPERATION: &str = "reserve static ip";
        // EC2 has no token for an address: two that look at once would both make one.
        let turn = self.turns.take([format!("static ip {}", spec.name)]).await;
        let standing = self.own_address(OPERATION, spec).await?;
        if let Some(body) = &standing
            && body.instance_id() == Some(spec.instance.as_str())
        {
            return self.static_ip(OPERATION, &spec.region, body);
        }
        self.check_target(OPERATION, &spec.instance, &spec.region).await?;
        let body = match standing {
            Some(body) => body,
            None => self.allocate(OPERATION, &turn, spec).await?,
        };
        let id = body.allocation_id().unwrap_or_default();
        // The address carries its name: should this fail, the next call finds it.
        self.associate(OPERATION, &spec.region, id, &spec.instance).await?;
        let mut made = self.static_ip(OPERATION, &spec.region, &body)?;
        made.assigned_to = Some(spec.instance.clone());
        Ok(made)
    }

    async fn list(&self, selector: &Selector) -> Result<Vec<StaticIp>> {
        const OPERATION: &str = "list static ips";
        let filters = if selector.0.is_empty() { Vec::new() } else { tags::filters(selector) };
        let mut all = Vec::new();
        for region in self.all_places(OPERATION)? {
            for body in self.addresses(OPERATION, &region, filters.clone()).await? {
                all.push(self.static_ip(OPERATION, &region, &body)?);
            }
        }
        all.retain(|ip| ip.labels.matches(selector));
        Ok(all)
    }

    async fn get(&self, id: &StaticIpId) -> Result<StaticIp> {
        const OPERATION: &str = "get static ip";
        let (region, body) = self.find_address(OPERATION, id).await?;
        self.static_ip(OPERATION, &region, &body)
    }

    async fn assign(&self, id: &StaticIpId, instance: &InstanceId) -> Result<()> {
        const OPERATION: &str = "assign static ip";
        let (region, body) = self.find_address(OPERATION, id).await?;
        if body.instance_id() == Some(instance.as_str()) {
            return Ok(());
        }
        self.check_target(OPERATION, instance, &region).await?;
        self.associate(OPERATION, &region, id.as_str(), instance).await
    }

    async fn label(&self, id: &StaticIpId, labels: &Labels) -> Result<()> {
        const OPERATION: &str = "label static ip";
        let new = tags::tags(OPERATION, labels)?;
        let (region, _) = self.find_address(OPERATION, id).await?;
        self.add_tags(OPERATION, &region, vec![id.as_str().to_owned()], new).await
    }

    async fn unassign(&self, id: &StaticIpId) -> Result<()> {
        const OPERATION: &str = "unassign static ip";
        let (region, body) = self.find_address(OPERATION, id).await?;
        let Some(association) = body.association_id().filter(|id| !id.is_empty()) else { return Ok(()) };
        let request = self.client.ec2(&region).disassociate_address().association_id(association);
        match self.client.call(&Call::idempotent(OPERATION).about(id), || request.clone().send()).await {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            result => result.map(drop),
        }
    }

    async fn release(&self, id: &StaticIpId) -> Result<()> {
        const OPERATION: &str = "release static ip";
        let region = match self.find_address(OPERATION, id).await {
            Ok((region, body)) => {
                if body.association_id().is_some_and(|id| !id.is_empty()) {
                    self.unassign(id).await?;
                }
                region
            }
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        let request = self.client.ec2(&region).release_address().allocation_id(id.as_str());
        match self.client.call(&Call::idempotent(OPERATION).about(id), || request.clone().send()).await {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            // AWS says so of an address whose release it has accepted, and of credentials that it does not know.
            Err(error) if error.is_code("AuthFailure") => match self.is_released(OPERATION, id).await {
                true => Ok(()),
                false => Err(error),
            },
            result => result.map(drop),
        }
    }
}
