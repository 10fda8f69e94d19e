//! Load balancers, of the type `REGIONAL`.
//!
//! A load balancer has no tags, and its name is not unique: the name, of which half is random, says whose it is, and two of one
//! name are a conflict that only a person can solve. Its members are the droplets that carry a tag of the same name. The
//! alternative, members by their ids, holds ten at most (API reference, `droplet_ids`), and a change of settings made meanwhile
//! would take back those that were added.

use async_trait::async_trait;
use jiff::Timestamp;
use remint_core::provider::{
    Address, Effect, Endpoint, Error, ErrorKind, InstanceId, LoadBalancer, LoadBalancerId, LoadBalancerSettings,
    LoadBalancerSpec, LoadBalancerState, LoadBalancers, Member, Region, Result,
    support::{Call, CreateOnce, JsonRequest, Seen, Turn},
};
use serde_json::{Value, json};

use crate::{
    DigitalOcean,
    error::hidden,
    instance::droplet_number,
    labelling::{create_tag, detach_tag_from, resource},
    wire,
};

mod health;
mod settings;
#[cfg(test)]
mod tests;

const ENSURE: &str = "ensure load balancer";
const MEMBERS: &str = "list members";
const ATTACH: &str = "attach members";
const DETACH: &str = "detach members";
const DESTROY: &str = "destroy load balancer";
/// Create calls of one `ensure`, the repetitions after lost replies included.
const CREATE_CALLS: u32 = 3;
/// What the names of all load balancers begin with that Remint creates, and so their tags.
const PREFIX: &str = "remint-";

/// A load balancer, and whether this call has just created it.
struct Ensured {
    body: wire::Balancer,
    new: bool,
}

impl DigitalOcean {
    fn balancer(&self, body: &wire::Balancer) -> LoadBalancer {
        let state = match body.status.as_str() {
            "active" => LoadBalancerState::Active,
            "errored" => LoadBalancerState::Failed("its status is `errored`; DigitalOcean does not say why".to_owned()),
            _ => LoadBalancerState::Pending,
        };
        let ip = body.ip.as_deref().and_then(|ip| ip.parse().ok());
        LoadBalancer {
            id: LoadBalancerId::new(body.id.clone()),
            name: body.name.clone(),
            state,
            endpoint: ip.map(|ip| Endpoint::Address(Address { ip, ports: self.ports })),
            region: Region::new(body.region.as_ref().map_or("", |region| &region.slug)),
            settings: settings::read(body),
        }
    }

    /// Remembers what an answer shows.
    fn note_balancer(&self, body: &wire::Balancer) {
        let mut memory = self.memory.lock();
        memory.balancers.remove(&body.id);
        if tag(body) == body.name {
            memory.balancer_tags.insert(body.id.clone(), body.name.clone());
        }
    }

    async fn read_balancer(&self, operation: &'static str, id: &LoadBalancerId) -> Result<wire::Balancer> {
        let request = JsonRequest::get(operation, &["v2", "load_balancers", id.as_str()]).about(id);
        match self.client.json::<wire::BalancerAnswer>(&request).await {
            Ok(answer) => {
                self.note_balancer(&answer.load_balancer);
                Ok(answer.load_balancer)
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {
                // One that was just created may not show yet.
                self.memory.lock().balancers.get(id.as_str(), self.grace).cloned().ok_or(error)
            }
            Err(error) => Err(error),
        }
    }

    /// All load balancers of the account, those included that were just created and do not show yet.
    async fn balancers(&self, operation: &'static str) -> Result<Vec<wire::Balancer>> {
        let request = JsonRequest::get(operation, &["v2", "load_balancers"]);
        let mut all: Vec<wire::Balancer> = self.client.list(&request, "load_balancers").await?;
        all.iter().for_each(|body| self.note_balancer(body));
        all.extend(self.memory.lock().balancers.all(self.grace).map(|(_, body)| body.clone()));
        Ok(all)
    }

    /// The load balancer of a spec's name.
    async fn find_balancer(&self, spec: &LoadBalancerSpec) -> Result<Option<wire::Balancer>> {
        let conflict = |message: String, hint: String| {
            Error::new(ErrorKind::Conflict, ENSURE, message).with_resource(&spec.name).with_hint(hint)
        };
        let mut named = self.balancers(ENSURE).await?;
        named.retain(|body| body.name == spec.name);
        if let [one, two, ..] = named.as_slice() {
            let message = format!("there are several of this name: {} and {}", one.id, two.id);
            return Err(conflict(message, "rename or delete the one that is not used".to_owned()));
        }
        let found = named.pop();
        let there = found.as_ref().and_then(|body| Some((&body.id, &body.region.as_ref()?.slug)));
        match there {
            Some((id, region)) if region != spec.region.as_str() => {
                let message = format!("{id} has this name, and is in {region}");
                Err(conflict(message, format!("destroy it first, or stay in {region}")))
            }
            _ => Ok(found),
        }
    }

    /// What is wanted, with the ids of its certificates in place of their names. One call for each name.
    async fn resolved(&self, spec: &LoadBalancerSpec) -> Result<LoadBalancerSettings> {
        let mut settings = settings::kept(&spec.settings);
        for certificate in settings.listeners.iter_mut().filter_map(|listener| listener.certificate.as_mut()) {
            if !is_uuid(certificate) {
                *certificate = self.certificate_id(certificate).await?;
            }
        }
        Ok(settings)
    }

    /// A certificate keeps its name when it is renewed, and gets another id.
    async fn certificate_id(&self, name: &str) -> Result<String> {
        let request = JsonRequest::get(ENSURE, &["v2", "certificates"]).about(name).query("name", name);
        let listed: Vec<wire::Certificate> = match self.client.list(&request, "certificates").await {
            Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(),
            result => result?,
        };
        let found = listed.into_iter().find(|certificate| certificate.name == name);
        found.map(|certificate| certificate.id).ok_or_else(|| {
            Error::new(ErrorKind::InvalidInput, ENSURE, "the account has no certificate of this name")
                .with_resource(name)
                .with_hint("`doctl compute certificate list` shows those that there are")
        })
    }

    /// How many droplets carry a tag. `None` where the tag does not exist.
    async fn tagged(&self, operation: &'static str, tag: &str) -> Result<Option<u64>> {
        let request = JsonRequest::get(operation, &["v2", "tags", tag]).about(tag);
        let answer = match self.client.json::<wire::TagAnswer>(&request).await {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            result => result?,
        };
        let droplets = answer.tag.resources.droplets;
        if droplets.is_hidden() {
            return Err(hidden(operation, "how many droplets carry a tag", "droplet:read").with_resource(tag));
        }
        Ok(Some(droplets.get().map_or(0, |droplets| droplets.count)))
    }

    async fn delete_tag(&self, operation: &'static str, tag: &str) -> Result<()> {
        self.client.remove(&JsonRequest::delete(operation, &["v2", "tags", tag]).about(tag)).await
    }

    /// Creates a load balancer without members: what carries its tag was a member of an earlier one of this name.
    async fn create_balancer(
        &self,
        turn: &Turn,
        spec: &LoadBalancerSpec,
        wanted: &LoadBalancerSettings,
    ) -> Result<Ensured> {
        let tagged = self.tagged(ENSURE, &spec.name).await?;
        if tagged.is_some_and(|droplets| droplets > 0) {
            self.delete_tag(ENSURE, &spec.name).await?;
        }
        if tagged != Some(0) {
            self.client.accepted(&create_tag(ENSURE, &spec.name)).await?;
        }
        let mut body = settings::fields(wanted, &[]);
        for (field, value) in [("name", spec.name.as_str()), ("region", spec.region.as_str()), ("tag", &spec.name)] {
            body.insert(field.to_owned(), json!(value));
        }
        body.insert("type".to_owned(), json!("REGIONAL"));
        if let Some(vpc) = &self.config.vpc
            && self.home.as_ref().is_none_or(|home| *home == spec.region)
        {
            body.insert("vpc_uuid".to_owned(), json!(vpc));
        }
        let request = JsonRequest::post(ENSURE, &["v2", "load_balancers"], Value::Object(body)).about(&spec.name);
        let body = self.client.json_within::<wire::BalancerAnswer>(turn, &request).await?.load_balancer;
        let mut memory = self.memory.lock();
        memory.balancer_tags.insert(body.id.clone(), spec.name.clone());
        memory.balancers.note(body.id.clone(), body.clone());
        Ok(Ensured { body, new: true })
    }

    /// Sets one up otherwise. Its members stay: they carry its tag, or get it first.
    async fn change_balancer(&self, body: &wire::Balancer, wanted: &LoadBalancerSettings) -> Result<wire::Balancer> {
        if tag(body) != body.name {
            self.client.accepted(&create_tag(ENSURE, &body.name)).await?;
            let members: Vec<u64> = body.droplet_ids.iter().flatten().copied().collect();
            if !members.is_empty() {
                self.attach_tag_to(ENSURE, &body.name, &resources(&members)).await?;
            }
        }
        let change = settings::changed(body, &body.name, wanted);
        let request = JsonRequest::put(ENSURE, &["v2", "load_balancers", &body.id], change).about(&body.name);
        let body = self.client.json::<wire::BalancerAnswer>(&request).await?.load_balancer;
        self.note_balancer(&body);
        Ok(body)
    }

    /// Refuses a droplet in another region: it could carry the tag and would never be a member. One call where this process did not
    /// launch it.
    async fn check_region(&self, balancer: &wire::Balancer, id: &InstanceId, droplet: u64) -> Result<()> {
        let Some(there) = balancer.region.as_ref().map(|region| &region.slug) else { return Ok(()) };
        let launched = self.memory.lock().instances.get(&droplet).map(|launched| launched.instance.region.clone());
        let region = match launched {
            Some(region) => region,
            None => Region::new(self.droplet(ATTACH, id).await?.region.map_or(there.clone(), |region| region.slug)),
        };
        if region.as_str() == there {
            return Ok(());
        }
        let message = format!("the droplet is in {region}, and the load balancer in {there}");
        Err(Error::new(ErrorKind::InvalidInput, ATTACH, message).with_resource(id))
    }
}

/// The tag whose droplets are the members; empty where they are named one by one.
fn tag(body: &wire::Balancer) -> &str {
    body.tag.as_deref().unwrap_or_default()
}

/// The tag, if it chooses the members.
fn member_tag<'a>(operation: &'static str, body: &'a wire::Balancer) -> Result<&'a str> {
    let by_id = || {
        Error::new(ErrorKind::Conflict, operation, "its members are named by their ids, and not by a tag")
            .with_resource(&body.name)
            .with_hint("deploy again, which chooses them by the tag")
    };
    Some(tag(body)).filter(|tag| !tag.is_empty()).ok_or_else(by_id)
}

fn resources(droplets: &[u64]) -> Vec<Value> {
    droplets.iter().map(|droplet| resource("droplet", *droplet)).collect()
}

/// Whether it is written as an id of DigitalOcean's: 8, 4, 4, 4 and 12 hexadecimal digits.
fn is_uuid(text: &str) -> bool {
    let lengths = text.split('-').map(str::len);
    lengths.eq([8, 4, 4, 4, 12]) && text.bytes().all(|byte| byte == b'-' || byte.is_ascii_hexdigit())
}

#[async_trait]
impl LoadBalancers for DigitalOcean {
    fn accepts(&self, spec: &LoadBalancerSpec) -> Result<()> {
        spec.check(ENSURE, self.descriptor)?;
        settings::check(ENSURE, &spec.settings).map_err(|error| error.with_resource(&spec.name))
    }

    async fn ensure(&self, spec: &LoadBalancerSpec) -> Result<LoadBalancer> {
        self.accepts(spec)?;
        let wanted = self.resolved(spec).await?;
        let call = Call::mutation(ENSURE).about(&spec.name);
        let turn = self.turns.take([format!("load balancer {}", spec.name)]).await;
        let look = || async {
            let found = self.find_balancer(spec).await?;
            Ok(Seen::from(found.map(|body| Ensured { body, new: false })))
        };
        let create = |()| self.create_balancer(&turn, spec, &wanted);
        let Ensured { body, new } = CreateOnce::new(&call, self.settle).creates(CREATE_CALLS).run(look, create).await?;
        if new || tag(&body) == spec.name && settings::is_as(&body, &wanted) {
            return Ok(self.balancer(&body));
        }
        Ok(self.balancer(&self.change_balancer(&body, &wanted).await?))
    }

    async fn list(&self, prefix: &str) -> Result<Vec<LoadBalancer>> {
        let all = self.balancers("list load balancers").await?;
        Ok(all.iter().filter(|body| body.name.starts_with(prefix)).map(|body| self.balancer(body)).collect())
    }

    async fn get(&self, id: &LoadBalancerId) -> Result<LoadBalancer> {
        Ok(self.balancer(&self.read_balancer("get load balancer", id).await?))
    }

    async fn members(&self, id: &LoadBalancerId) -> Result<Vec<Member>> {
        let body = self.read_balancer(MEMBERS, id).await?;
        self.judged(id, &body).await
    }

    async fn attach(&self, id: &LoadBalancerId, instances: &[InstanceId]) -> Result<()> {
        let body = self.read_balancer(ATTACH, id).await?;
        let mut new = Vec::new();
        for instance in instances {
            let droplet = droplet_number(ATTACH, instance)?;
            if body.droplet_ids.as_ref().is_some_and(|members| members.contains(&droplet)) {
                continue;
            }
            self.check_region(&body, instance, droplet).await?;
            new.push(droplet);
        }
        if new.is_empty() {
            return Ok(());
        }
        self.attach_tag_to(ATTACH, member_tag(ATTACH, &body)?, &resources(&new)).await?;
        let now = Timestamp::now().as_second();
        let mut memory = self.memory.lock();
        memory.attached.extend(new.into_iter().map(|droplet| ((body.id.clone(), droplet), now)));
        Ok(())
    }

    async fn detach(&self, id: &LoadBalancerId, instances: &[InstanceId]) -> Result<()> {
        let body = self.read_balancer(DETACH, id).await?;
        // What is no droplet's id is no member.
        let droplets: Vec<u64> = instances.iter().filter_map(|id| droplet_number(DETACH, id).ok()).collect();
        if droplets.is_empty() {
            return Ok(());
        }
        let (tag, all) = (member_tag(DETACH, &body)?, resources(&droplets));
        match self.client.accepted(&detach_tag_from(DETACH, tag, &all)).await {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                // One that is gone is refused with all of them.
                for one in all.iter().filter(|_| all.len() > 1) {
                    self.detach_tag(DETACH, tag, one).await?;
                }
            }
            result => result?,
        }
        let mut memory = self.memory.lock();
        memory.attached.retain(|(balancer, droplet), _| *balancer != body.id || !droplets.contains(droplet));
        Ok(())
    }

    async fn destroy(&self, id: &LoadBalancerId) -> Result<()> {
        let tag = match self.read_balancer(DESTROY, id).await {
            // A tag that somebody set by hand stays.
            Ok(body) => Some(tag(&body).to_owned()).filter(|tag| *tag == body.name),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                self.memory.lock().balancer_tags.get(id.as_str()).cloned()
            }
            Err(error) => return Err(error),
        };
        let request = JsonRequest::delete(DESTROY, &["v2", "load_balancers", id.as_str()]).about(id);
        match self.client.accepted(&request).await {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                if self.memory.lock().balancers.get(id.as_str(), self.grace).is_some() {
                    // It may be missing right after it was created; taking that for gone would leak it.
                    let message = "the load balancer is still being created";
                    return Err(request.call.error(ErrorKind::Busy, message).with_source(error));
                }
            }
            result => result?,
        }
        {
            let mut memory = self.memory.lock();
            memory.balancers.remove(id.as_str());
            memory.attached.retain(|(balancer, _), _| balancer != id.as_str());
        }
        if let Some(tag) = tag.filter(|tag| tag.starts_with(PREFIX)) {
            let done = |error: Error| error.with_effect(Effect::Unknown);
            if self.tagged(DESTROY, &tag).await.map_err(done)? == Some(0) {
                self.delete_tag(DESTROY, &tag).await.map_err(done)?;
            }
        }
        self.memory.lock().balancer_tags.remove(id.as_str());
        Ok(())
    }
}
