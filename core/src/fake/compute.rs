//! The fake cloud's instances.

use std::sync::Arc;

use async_trait::async_trait;
use secrecy::ExposeSecret;

use super::{
    FakeCloud, Machine, State,
    client::not_found,
    hand::address,
    world::{Done, Moment},
};
use crate::provider::{
    CallClass, Error, ErrorKind, ImageId, Instance, InstanceId, InstanceState, Instances, Labels, LaunchSpec,
    LoginKeyId, PowerOp, Region, Result, Selector, Shape, SizeName, label,
};

/// Regions that the strict fake cloud has.
pub(super) const REGIONS: &[&str] = &["here", "there"];

pub(super) fn in_words(labels: &Labels) -> String {
    let text: Vec<_> = labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
    text.join(" ")
}

#[derive(Debug, Clone)]
struct Launch {
    names: Vec<String>,
    image: ImageId,
    size: SizeName,
    region: Region,
    labels: Labels,
    keys: Vec<LoginKeyId>,
    user_data: Arc<str>,
}

/// The fingerprint of an image, where it can be launched.
fn bootable(state: &State, moment: &Moment, spec: &Launch) -> Result<String> {
    let refuse = |message: &str| Error::new(ErrorKind::InvalidInput, "launch", message).with_resource(&spec.image);
    let Some(image) = state.images.get(&spec.image) else {
        // Only a public image is not among the account's.
        let public = spec.image.as_str() == "debian";
        return if public { Ok(String::new()) } else { Err(refuse("no such image")) };
    };
    if moment.flavour.strict {
        if !image.regions.contains(&spec.region) {
            return Err(refuse("the image is not in that region"));
        }
        if spec.keys.iter().any(|key| !state.keys.contains_key(key)) {
            return Err(refuse("no such login key"));
        }
    }
    Ok(image.labels.get(label::FINGERPRINT).unwrap_or_default().to_owned())
}

fn launch(state: &mut State, moment: &Moment, spec: &Launch) -> Result<Done<Vec<Instance>>> {
    let build = bootable(state, moment, spec)?;
    let mut launched = Vec::new();
    let mut made = Vec::new();
    for name in &spec.names {
        let standing = state.machines.values().find(|machine| machine.instance.name == *name);
        if let Some(machine) = standing {
            if machine.gone_at.is_some() {
                return Err(Error::new(ErrorKind::Busy, "launch", "being destroyed").with_resource(name));
            }
            if machine.instance.labels != spec.labels {
                return Err(Error::new(ErrorKind::Conflict, "launch", "other labels").with_resource(name));
            }
            launched.push(machine.instance.clone());
            continue;
        }
        let number = state.number();
        let instance = Instance {
            id: InstanceId::new(format!("i-{number}")),
            name: name.clone(),
            labels: spec.labels.clone(),
            state: InstanceState::Pending,
            busy: true,
            address: Some(address(number)),
            image: Some(spec.image.clone()),
            size: spec.size.clone(),
            region: spec.region.clone(),
            created_at: Some(crate::clock::wall()),
        };
        let running_at = moment.now + moment.pace.launch;
        let machine = Machine {
            instance: instance.clone(),
            running_at,
            gone_at: None,
            returns: None,
            fails: moment.fails,
            build: build.clone(),
            user_data: Arc::clone(&spec.user_data),
            unwell: false,
        };
        state.machines.insert(instance.id.clone(), machine);
        made.push(format!("{name} ({})", instance.id));
        launched.push(instance);
    }
    match made.is_empty() {
        true => Done::unchanged(launched),
        false => Done::changed(launched, format!("launch {}", made.join(" "))),
    }
}

#[async_trait]
impl Instances for FakeCloud {
    async fn shape(&self, size: &SizeName, region: &Region) -> Result<Shape> {
        let strict = self.world.flavour().strict;
        let shape = Shape { size: size.clone(), vcpus: 1, memory_mib: 1024, disk_gib: 25, price_hourly_usd: None };
        let known = |_: &State| match strict && !REGIONS.contains(&region.as_str()) {
            true => Err(Error::new(ErrorKind::InvalidInput, "shape", "no such region").with_resource(region)),
            false => Ok(shape.clone()),
        };
        self.read("shape", known).await
    }

    async fn launch(&self, spec: &LaunchSpec) -> Result<Vec<Instance>> {
        let spec = Launch {
            names: spec.names.clone(),
            image: spec.image.clone(),
            size: spec.size.clone(),
            region: spec.region.clone(),
            labels: spec.labels.clone(),
            keys: spec.login_keys.clone(),
            user_data: spec.user_data.as_ref().map_or("", |data| data.expose_secret()).into(),
        };
        let apply = move |state: &mut State, moment: &Moment| launch(state, moment, &spec);
        self.mutate(CallClass::IdempotentMutation, "launch", apply).await
    }

    async fn list(&self, selector: &Selector) -> Result<Vec<Instance>> {
        let list = |state: &State| {
            let all = state.machines.values().map(|machine| &machine.instance);
            all.filter(|instance| instance.labels.matches(selector)).cloned().collect()
        };
        self.read_list("list instances", list).await
    }

    async fn get(&self, id: &InstanceId) -> Result<Instance> {
        let get = |state: &State| {
            let machine = state.machines.get(id).ok_or_else(|| not_found("get instance", id))?;
            Ok(machine.instance.clone())
        };
        self.read("get instance", get).await
    }

    async fn power(&self, id: &InstanceId, op: PowerOp) -> Result<()> {
        let id = id.clone();
        let apply = move |state: &mut State, moment: &Moment| {
            let machine = state.machines.get_mut(&id).ok_or_else(|| not_found("power", &id))?;
            let wanted = match op {
                PowerOp::Stop | PowerOp::ForceStop => InstanceState::Stopped,
                PowerOp::Start => InstanceState::Running,
            };
            if machine.instance.state == wanted || moment.not_done {
                return Done::unchanged(());
            }
            if machine.gone_at.is_none() {
                machine.instance.state = wanted;
                machine.instance.busy = false;
            }
            Done::changed((), format!("power {id} {op:?}"))
        };
        self.mutate(CallClass::IdempotentMutation, "power", apply).await
    }

    async fn label(&self, id: &InstanceId, labels: &Labels) -> Result<()> {
        let (id, labels) = (id.clone(), labels.clone());
        let apply = move |state: &mut State, _: &Moment| {
            let machine = state.machines.get_mut(&id).ok_or_else(|| not_found("label", &id))?;
            machine.instance.labels.0.extend(labels.0.clone());
            Done::changed((), format!("label {id} {}", in_words(&labels)))
        };
        self.mutate(CallClass::IdempotentMutation, "label", apply).await
    }

    async fn withdraw_user_data(&self, _: &InstanceId) -> Result<bool> {
        // The fake cloud keeps none.
        Ok(false)
    }

    async fn destroy(&self, id: &InstanceId) -> Result<()> {
        let id = id.clone();
        let apply = move |state: &mut State, moment: &Moment| {
            if state.is_captured(&id) {
                return Err(Error::new(ErrorKind::Busy, "destroy", "it is being captured").with_resource(&id));
            }
            let Some(machine) = state.machines.get_mut(&id) else { return Done::unchanged(()) };
            if machine.gone_at.is_some() {
                return Done::unchanged(());
            }
            machine.returns = moment.not_done.then_some(machine.instance.state);
            machine.instance.state = InstanceState::Destroying;
            machine.gone_at = Some(moment.now + moment.pace.destroy);
            Done::changed((), format!("destroy {} ({id})", machine.instance.name))
        };
        self.mutate(CallClass::IdempotentMutation, "destroy", apply).await
    }

    async fn console_output(&self, id: &InstanceId) -> Result<String> {
        self.read("console", |_| Ok(format!("{id} login:"))).await
    }
}
