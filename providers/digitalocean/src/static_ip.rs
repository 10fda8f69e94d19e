//! Static IPs are reserved IPs. They have neither names nor tags: one is found again by the droplet that it points at.

use std::time::Duration;

use async_trait::async_trait;
use remint_core::provider::{
    Address, Capability, Error, ErrorKind, InstanceId, Labels, Region, Result, Selector, StaticIp, StaticIpId,
    StaticIpSpec, StaticIps,
    support::{Call, CreateOnce, JsonRequest, Seen},
};
use serde_json::json;

use crate::{
    DigitalOcean, error::hidden, instance::droplet_number, memory::Assignment, provider::ACTION_CALLS, tags, wire,
};

#[cfg(test)]
mod tests;

/// Create calls of one `ensure`, the repetitions after lost replies included.
const CREATE_CALLS: u32 = 3;

impl DigitalOcean {
    fn static_ip(&self, operation: &'static str, body: &wire::ReservedIp) -> Result<StaticIp> {
        let ip = body.ip.parse().map_err(|error| {
            Error::new(ErrorKind::Unexpected, operation, "not an IP address").with_resource(&body.ip).with_source(error)
        })?;
        Ok(StaticIp {
            id: StaticIpId::new(body.ip.clone()),
            address: Address { ip, ports: self.ports },
            assigned_to: body.droplet.get().map(|droplet| InstanceId::new(droplet.id.to_string())),
            busy: body.locked,
            region: Region::new(body.region.as_ref().map_or("", |region| &region.slug)),
            labels: Labels::new(),
        })
    }

    pub(crate) async fn reserved_ips(&self, operation: &'static str) -> Result<Vec<wire::ReservedIp>> {
        let all: Vec<wire::ReservedIp> =
            self.client.list(&JsonRequest::get(operation, &["v2", "reserved_ips"]), "reserved_ips").await?;
        all.iter().try_for_each(|ip| self.note(operation, ip))?;
        Ok(all)
    }

    /// Remembers a reserved IP, and refuses one that does not say where it points.
    fn note(&self, operation: &'static str, ip: &wire::ReservedIp) -> Result<()> {
        self.memory.lock().reserved.insert(ip.ip.clone());
        if ip.droplet.is_hidden() {
            return Err(hidden(operation, "the droplet of a reserved IP", "droplet:read").with_resource(&ip.ip));
        }
        Ok(())
    }

    async fn reserved_ip(&self, operation: &'static str, id: &StaticIpId) -> Result<wire::ReservedIp> {
        let request = JsonRequest::get(operation, &["v2", "reserved_ips", id.as_str()]).about(id);
        let ip = self.client.json::<wire::ReservedIpAnswer>(&request).await?.reserved_ip;
        self.note(operation, &ip)?;
        Ok(ip)
    }

    /// The reserved IP of a droplet; unclear while one is on its way to a droplet that does not show.
    async fn find_for(&self, call: &Call, number: u64, region: &Region) -> Result<Seen<wire::ReservedIp>> {
        let all = self.reserved_ips(call.operation).await?;
        let memory = self.memory.lock();
        let made = memory.ensured.get(&number, self.grace);
        let points_there = |ip: &&wire::ReservedIp| ip.droplet.get().is_some_and(|droplet| droplet.id == number);
        let made_here = |ip: &&wire::ReservedIp| Some(&ip.ip) == made;
        if let Some(found) = all.iter().find(points_there).or_else(|| all.iter().find(made_here)) {
            return Ok(Seen::There(found.clone()));
        }
        let undecided = |ip: &wire::ReservedIp| {
            let here = ip.region.as_ref().is_none_or(|r| r.slug == region.as_str());
            let known = memory.ensured.all(Duration::MAX).any(|(_, known)| *known == ip.ip);
            ip.locked && ip.droplet.get().is_none() && here && !known
        };
        if all.iter().any(undecided) {
            let message = "a reserved IP in this region is on its way to a droplet that does not show yet";
            return Ok(Seen::Unclear(call.error(ErrorKind::Busy, message)));
        }
        Ok(Seen::Missing(()))
    }

    /// Adds the account's limit to the message of a quota error.
    async fn explain_quota(&self, error: Error) -> Error {
        let account = self.fetch_account().await.ok();
        let quota = account.as_ref().and_then(|account| account.quotas.iter().find(|quota| quota.what == "static_ips"));
        let Some(quota) = quota else { return error };
        error
            .map_message(|said| format!("{said}; the account's limit is {} reserved IPs", quota.limit))
            .with_hint("release a reserved IP that is not needed, or request DigitalOcean to raise the limit")
    }

    /// Asks for an action; a lost reply is settled by looking at the reserved IP.
    async fn reserved_ip_action(
        &self,
        operation: &'static str,
        id: &StaticIpId,
        body: serde_json::Value,
        target: Option<u64>,
    ) -> Result<Option<wire::Action>> {
        let _turn = self.turns.take([format!("static ip {id}")]).await;
        let holds = |ip: &wire::ReservedIp| ip.droplet.get().map(|droplet| droplet.id) == target;
        if holds(&self.reserved_ip(operation, id).await?) {
            return Ok(None);
        }
        let request = JsonRequest::post(operation, &["v2", "reserved_ips", id.as_str(), "actions"], body).about(id);
        let look = || async {
            let ip = self.reserved_ip(operation, id).await?;
            Ok((holds(&ip) || ip.locked).then_some(None).into())
        };
        let create = |()| async { Ok(Some(self.client.json::<wire::ActionAnswer>(&request).await?.action)) };
        let once = CreateOnce::new(&request.call, self.look_for_action()).creates(ACTION_CALLS);
        match once.run_from(Seen::Missing(()), look, create).await {
            // It points there already, or is on its way: somebody else asked for it, or nobody waited for the reply.
            Err(error) if error.kind() == ErrorKind::InvalidInput => match look().await? {
                Seen::There(_) => Ok(None),
                _ => Err(error),
            },
            result => result,
        }
    }
}

#[async_trait]
impl StaticIps for DigitalOcean {
    async fn ensure(&self, spec: &StaticIpSpec) -> Result<StaticIp> {
        const OPERATION: &str = "reserve static ip";
        let number = droplet_number(OPERATION, &spec.instance)?;
        let request =
            JsonRequest::post(OPERATION, &["v2", "reserved_ips"], json!({ "droplet_id": number })).about(&spec.name);
        let turn = self.turns.take([format!("static ip of {number}")]).await;
        let look = || self.find_for(&request.call, number, &spec.region);
        let create =
            |()| async { Ok(self.client.json_within::<wire::ReservedIpAnswer>(&turn, &request).await?.reserved_ip) };
        let once = CreateOnce::new(&request.call, self.settle).creates(CREATE_CALLS);
        let body = match once.run(look, create).await {
            Err(error) if error.kind() == ErrorKind::Quota => return Err(self.explain_quota(error).await),
            // The droplet has one already: another process was faster.
            Err(error) if error.kind() == ErrorKind::InvalidInput => match look().await? {
                Seen::There(found) => found,
                _ => return Err(error),
            },
            result => result?,
        };
        {
            let mut memory = self.memory.lock();
            memory.reserved.insert(body.ip.clone());
            memory.ensured.note(number, body.ip.clone());
        }
        self.static_ip(OPERATION, &body)
    }

    async fn list(&self, selector: &Selector) -> Result<Vec<StaticIp>> {
        const OPERATION: &str = "list static ips";
        let points_at_one = |ip: &wire::ReservedIp| {
            let tags = ip.droplet.get().and_then(|droplet| droplet.tags.get());
            tags::labels(tags.into_iter().flatten()).matches(selector)
        };
        let all = self.reserved_ips(OPERATION).await?;
        let chosen = all.iter().filter(|ip| points_at_one(ip));
        chosen.map(|ip| self.static_ip(OPERATION, ip)).collect()
    }

    async fn get(&self, id: &StaticIpId) -> Result<StaticIp> {
        const OPERATION: &str = "get static ip";
        let body = self.reserved_ip(OPERATION, id).await?;
        let mut ip = self.static_ip(OPERATION, &body)?;
        let asked = self.memory.lock().assigned.get(id.as_str()).copied();
        let Some(Assignment { droplet, action }) = asked else { return Ok(ip) };
        if body.droplet.get().is_some_and(|standing| standing.id == droplet) && !body.locked {
            self.memory.lock().assigned.remove(id.as_str());
        } else if !body.locked {
            // Neither there nor under way: only the action tells whether it is late or has failed.
            match self.action(OPERATION, action).await? {
                Some(action) if action.errored() => {
                    self.memory.lock().assigned.remove(id.as_str());
                    let message = format!("action {}, the assignment to droplet {droplet}, ended in error", action.id);
                    return Err(Error::new(ErrorKind::Unexpected, OPERATION, message)
                        .with_resource(id)
                        .with_hint("assign it again; DigitalOcean does not say why an assignment failed"));
                }
                Some(action) if !action.in_progress() => {
                    self.memory.lock().assigned.remove(id.as_str());
                }
                _ => ip.busy = true,
            }
        }
        Ok(ip)
    }

    async fn assign(&self, id: &StaticIpId, instance: &InstanceId) -> Result<()> {
        const OPERATION: &str = "assign static ip";
        let droplet = droplet_number(OPERATION, instance)?;
        let body = json!({ "type": "assign", "droplet_id": droplet });
        if let Some(action) = self.reserved_ip_action(OPERATION, id, body, Some(droplet)).await? {
            self.memory.lock().assigned.insert(id.as_str().to_owned(), Assignment { droplet, action: action.id });
        }
        Ok(())
    }

    async fn label(&self, _: &StaticIpId, _: &Labels) -> Result<()> {
        Err(Error::unsupported("label static ip", Capability::StaticIpLabels))
    }

    async fn unassign(&self, id: &StaticIpId) -> Result<()> {
        let body = json!({ "type": "unassign" });
        self.reserved_ip_action("unassign static ip", id, body, None).await?;
        let mut memory = self.memory.lock();
        memory.assigned.remove(id.as_str());
        memory.ensured.retain(|_, ip| ip != id.as_str());
        Ok(())
    }

    async fn release(&self, id: &StaticIpId) -> Result<()> {
        let request = JsonRequest::delete("release static ip", &["v2", "reserved_ips", id.as_str()]).about(id);
        self.client.remove(&request.meaning(422, ErrorKind::Busy)).await?;
        let mut memory = self.memory.lock();
        memory.reserved.remove(id.as_str());
        memory.assigned.remove(id.as_str());
        memory.ensured.retain(|_, ip| ip != id.as_str());
        Ok(())
    }
}
