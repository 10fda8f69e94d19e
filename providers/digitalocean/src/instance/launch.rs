//! Launching: look, create what is missing, and never create twice what may be there.

use remint_core::provider::{
    Effect, Error, ErrorKind, Instance, InstanceState, LaunchSpec, Result, Selector, label,
    support::{Call, CreateOnce, JsonRequest, Seen, Turn},
};
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use crate::{DigitalOcean, tags, wire};

const OPERATION: &str = "launch instance";
/// Create calls of one launch, the repetitions after lost replies included.
const CREATE_CALLS: u32 = 3;

impl DigitalOcean {
    /// Costs one list call, unless the names are new, and one create call; each lost reply adds up to four list calls and a create call.
    pub(super) async fn ensure_launched(&self, spec: &LaunchSpec) -> Result<Vec<Instance>> {
        self.check(spec)?;
        let turn = self.turns.take(spec.names.iter().map(|name| format!("instance {name}"))).await;
        let selector = lookup(spec);
        let call = Call::mutation(OPERATION).about(spec.names.join(", "));
        let look = || async { seen(spec, self.droplets(OPERATION, &selector).await?) };
        let create = |left: Left| async { self.create_left(&turn, spec, left).await };
        let once = CreateOnce::new(&call, self.settle).creates(CREATE_CALLS);
        let launched = match spec.new_names {
            true => once.run_from(seen(spec, Vec::new())?, look, create).await,
            false => once.run(look, create).await,
        };
        launched.map_err(|error| match self.elsewhere(&spec.size, &spec.region) {
            Some(hint) if error.kind() == ErrorKind::Capacity => error.with_hint(hint),
            _ => error,
        })
    }

    /// Creates what is left to create.
    async fn create_left(&self, turn: &Turn, spec: &LaunchSpec, left: Left) -> Result<Vec<Instance>> {
        let Left { names, mut standing } = left;
        let created = self.create(turn, spec, &names).await?;
        if let Some(name) = names.iter().find(|name| !created.iter().any(|made| made.name == **name)) {
            return Err(Error::new(ErrorKind::Unexpected, OPERATION, "the API's answer leaves it out")
                .with_resource(name)
                .with_effect(Effect::Applied));
        }
        standing.extend(created);
        Ok(in_order(spec, standing))
    }

    /// Refuses what the API would refuse, before anything is asked.
    fn check(&self, spec: &LaunchSpec) -> Result<()> {
        spec.check(OPERATION, &self.descriptor.limits)?;
        tags::tags(OPERATION, &spec.labels).map(drop)
    }

    /// One create call for all of the names.
    async fn create(&self, turn: &Turn, spec: &LaunchSpec, names: &[String]) -> Result<Vec<Instance>> {
        let mut body = json!({
            "region": spec.region,
            "size": spec.size,
            "image": spec.image.as_str().parse::<u64>().map_or_else(|_| json!(spec.image), Value::from),
            "tags": tags::tags(OPERATION, &spec.labels)?,
            // Neither a password by mail nor a way in through the web console: who may log in is the manifest's to say.
            "with_droplet_agent": false,
        });
        let config = &self.config;
        if let Some(tags) = body["tags"].as_array_mut() {
            tags.extend(config.tags.iter().map(|tag| json!(tag)));
        }
        if let Some(vpc) = &config.vpc
            && self.home.as_ref().is_none_or(|home| *home == spec.region)
        {
            body["vpc_uuid"] = json!(vpc);
        }
        for (name, asked) in [("monitoring", config.monitoring), ("ipv6", config.ipv6)] {
            if asked {
                body[name] = json!(true);
            }
        }
        match names {
            [name] => body["name"] = json!(name),
            _ => body["names"] = json!(names),
        }
        if let Some(data) = &spec.user_data {
            body["user_data"] = json!(data.expose_secret());
        }
        if !spec.login_keys.is_empty() {
            let key = |id: &str| id.parse::<u64>().map_or_else(|_| json!(id), Value::from);
            body["ssh_keys"] = spec.login_keys.iter().map(|id| key(id.as_str())).collect();
        }
        let request = JsonRequest::post(OPERATION, &["v2", "droplets"], body).about(names.join(", "));
        let answer: wire::CreateAnswer = self.client.json_within(turn, &request).await?;
        let droplets = answer.droplet.into_iter().chain(answer.droplets);
        Ok(droplets.map(|droplet| self.remember_launched(&droplet, &spec.labels)).collect())
    }
}

/// By the service where there is one: so an instance of the same name and other labels is seen.
fn lookup(spec: &LaunchSpec) -> Selector {
    match spec.labels.get(label::SERVICE) {
        Some(service) => Selector::all().with(label::SERVICE, service),
        None => Selector(spec.labels.0.clone()),
    }
}

/// What is left to create, and what exists.
struct Left {
    names: Vec<String>,
    standing: Vec<Instance>,
}

/// Whether all names exist.
fn seen(spec: &LaunchSpec, standing: Vec<Instance>) -> Result<Seen<Vec<Instance>, Left>> {
    let wanted = Selector(spec.labels.0.clone());
    let mut names = Vec::new();
    for name in &spec.names {
        let mut same = standing.iter().filter(|instance| instance.name == *name).peekable();
        if same.peek().is_none() {
            names.push(name.clone());
        } else if let Some(other) = same.clone().find(|instance| !instance.labels.matches(&wanted)) {
            let message = format!("instance {} has this name and other labels", other.id);
            return Err(Error::new(ErrorKind::Conflict, OPERATION, message)
                .with_resource(name)
                .with_hint("destroy that instance, or rename the service"));
        } else if same.all(|instance| instance.state == InstanceState::Destroying) {
            let message = "an instance of this name is still being destroyed";
            return Err(Error::new(ErrorKind::Busy, OPERATION, message).with_resource(name));
        }
    }
    Ok(match names.is_empty() {
        true => Seen::There(in_order(spec, standing)),
        false => Seen::Missing(Left { names, standing }),
    })
}

/// One instance for each name: where there are several, the first made that stays.
fn in_order(spec: &LaunchSpec, mut standing: Vec<Instance>) -> Vec<Instance> {
    standing.sort_by_key(|instance| {
        (instance.state == InstanceState::Destroying, instance.id.as_str().parse::<u64>().unwrap_or(u64::MAX))
    });
    let first = |name: &String| standing.iter().find(|instance| instance.name == *name).cloned();
    spec.names.iter().filter_map(first).collect()
}
