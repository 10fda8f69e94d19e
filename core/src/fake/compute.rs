//! The fake cloud's instances.

use std::{
    collections::BTreeSet,
    net::{IpAddr, Ipv4Addr},
};

use async_trait::async_trait;
use secrecy::ExposeSecret;
use tokio::time::Instant;

use super::{FakeCloud, Machine, State, Transaction, state::not_found};
use crate::provider::{
    Address, Capability, Error, ErrorKind, ImageState, Instance, InstanceId, InstanceState, Instances, Labels,
    LaunchSpec, PowerOp, Provider, Region, Result, Selector, Shape, SizeName, label,
};

/// The longest value of a label, in characters.
const LABEL_LENGTH: usize = 256;

pub(super) fn in_words(labels: &Labels) -> String {
    let text: Vec<_> = labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
    text.join(" ")
}

pub(super) fn address(number: u32) -> Address {
    Address::new(IpAddr::V4(Ipv4Addr::from(0x0A00_0000 + number)))
}

impl State {
    /// The instances that lists show by now.
    pub fn listed(&self) -> Vec<Instance> {
        let now = Instant::now();
        let listed = self.machines.values().filter(|machine| machine.listed_from <= now);
        listed.map(|machine| machine.instance.clone()).collect()
    }

    /// What a size gives.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for a size or a region that a strict cloud does not have.
    pub fn shape(&self, operation: &'static str, size: &SizeName, region: &Region) -> Result<Shape> {
        self.check_region(operation, region)?;
        let sizes = self.flavour.catalogue.sizes;
        if sizes.is_empty() || !self.flavour.strict {
            return Ok(Shape { size: size.clone(), vcpus: 1, memory_mib: 1024, disk_gib: 25, price_hourly_usd: None });
        }
        let Some((_, vcpus, memory_mib, disk_gib)) = sizes.iter().find(|(name, ..)| *name == size.as_str()) else {
            let names: Vec<_> = sizes.iter().map(|(name, ..)| *name).collect();
            let error = Error::new(ErrorKind::InvalidInput, operation, format!("unknown size {size}"));
            return Err(error.with_resource(size).with_hint(format!("choose one of {}", names.join(", "))));
        };
        let (vcpus, memory_mib, disk_gib) = (*vcpus, *memory_mib, *disk_gib);
        Ok(Shape { size: size.clone(), vcpus, memory_mib, disk_gib, price_hourly_usd: None })
    }

    /// The fingerprint of an image, where it can be launched.
    fn bootable(&self, spec: &LaunchSpec) -> Result<String> {
        let refuse = |message: &str| Error::new(ErrorKind::InvalidInput, "launch", message).with_resource(&spec.image);
        let strict = self.flavour.strict;
        let Some(image) = self.images.get(&spec.image) else {
            // Only a public image is not among the account's.
            let public = self.flavour.catalogue.bases.contains(&spec.image.as_str());
            return if public { Ok(String::new()) } else { Err(refuse("no such image")) };
        };
        if strict {
            if image.state != ImageState::Available {
                return Err(refuse("the image is not there yet"));
            }
            if !image.regions.contains(&spec.region) {
                return Err(refuse("the image is not in that region"));
            }
        }
        Ok(image.labels.get(label::FINGERPRINT).unwrap_or_default().to_owned())
    }
}

impl Transaction<'_> {
    /// Makes an instance. With a token (its name), one that stands and was made with that token is returned.
    ///
    /// # Errors
    ///
    /// As [`Instances::launch`] has them.
    pub fn create(&mut self, token: Option<&str>, name: &str, spec: &LaunchSpec) -> Result<Instance> {
        let build = self.bootable(spec)?;
        if self.flavour.strict {
            self.shape("launch", &spec.size, &spec.region)?;
            if let Some(key) = spec.login_keys.iter().find(|key| !self.keys.contains_key(*key)) {
                return Err(Error::new(ErrorKind::InvalidInput, "launch", "no such login key").with_resource(key));
            }
        }
        let standing = self.machines.values().find(|machine| Some(machine.instance.name.as_str()) == token);
        if let Some(machine) = standing {
            if machine.gone_at.is_some() {
                return Err(Error::new(ErrorKind::Busy, "launch", "being destroyed").with_resource(name));
            }
            if machine.instance.labels != spec.labels {
                return Err(Error::new(ErrorKind::Conflict, "launch", "other labels").with_resource(name));
            }
            return Ok(machine.instance.clone());
        }
        let number = self.number();
        let instance = Instance {
            id: InstanceId::new(format!("i-{number}")),
            name: name.to_owned(),
            labels: spec.labels.clone(),
            state: InstanceState::Pending,
            busy: true,
            address: Some(address(number)),
            image: Some(spec.image.clone()),
            size: spec.size.clone(),
            region: spec.region.clone(),
            created_at: Some(crate::clock::wall()),
        };
        let machine = Machine {
            instance: instance.clone(),
            listed_from: self.now + self.pace.lag,
            running_at: self.now + self.pace.launch,
            stopped_at: None,
            gone_at: None,
            returns: None,
            fails: self.ends.fails,
            build,
            user_data: spec.user_data.as_ref().map_or("", |data| data.expose_secret()).into(),
            unwell: false,
        };
        self.machines.insert(instance.id.clone(), machine);
        self.need_group(&spec.labels);
        Ok(instance)
    }

    /// Makes an instance for each name, and notes which.
    fn launch(&mut self, spec: &LaunchSpec) -> Result<Vec<Instance>> {
        let standing: BTreeSet<_> = self.machines.keys().cloned().collect();
        let launched = spec.names.iter().map(|name| self.create(Some(name), name, spec));
        let launched = launched.collect::<Result<Vec<_>>>()?;
        let made = launched.iter().filter(|instance| !standing.contains(&instance.id));
        let made: Vec<_> = made.map(|instance| format!("{} ({})", instance.name, instance.id)).collect();
        if !made.is_empty() {
            self.note(format!("launch {}", made.join(" ")));
        }
        Ok(launched)
    }

    /// Changes the power.
    ///
    /// # Errors
    ///
    /// As [`Instances::power`] has them.
    pub fn power(&mut self, id: &InstanceId, op: PowerOp) -> Result<()> {
        let (now, takes, captured) = (self.now, self.pace.power, self.is_captured(id));
        let not_done = self.ends.not_done;
        let machine = self.machine_mut("power", id)?;
        let (on_the_way, wanted) = match op {
            PowerOp::Stop | PowerOp::ForceStop => (InstanceState::Stopping, InstanceState::Stopped),
            PowerOp::Start => (InstanceState::Pending, InstanceState::Running),
        };
        let instance = &mut machine.instance;
        if instance.state == wanted || not_done {
            return Ok(());
        }
        if takes.is_zero() {
            if machine.gone_at.is_none() {
                instance.state = wanted;
                instance.busy = false;
            }
        } else {
            if instance.state == on_the_way && op != PowerOp::ForceStop {
                return Ok(());
            }
            if captured || instance.busy && instance.state != InstanceState::Stopping || machine.gone_at.is_some() {
                let error = Error::new(ErrorKind::Busy, "power", "the instance is at work");
                return Err(error.with_resource(id));
            }
            instance.state = on_the_way;
            instance.busy = true;
            match op {
                PowerOp::Stop => machine.stopped_at = Some(now + takes),
                PowerOp::ForceStop => machine.stopped_at = Some(now + takes / 4),
                PowerOp::Start => {
                    machine.stopped_at = None;
                    machine.running_at = now + takes;
                }
            }
        }
        self.note(format!("power {id} {op:?}"));
        Ok(())
    }

    /// Adds labels to an instance.
    ///
    /// # Errors
    ///
    /// `NotFound`.
    pub fn label(&mut self, id: &InstanceId, labels: &Labels) -> Result<()> {
        self.machine_mut("label", id)?.instance.labels.0.extend(labels.0.clone());
        self.note(format!("label {id} {}", in_words(labels)));
        Ok(())
    }

    /// Destroys an instance.
    ///
    /// # Errors
    ///
    /// As [`Instances::destroy`] has them.
    pub fn destroy(&mut self, id: &InstanceId) -> Result<()> {
        if self.is_captured(id) {
            return Err(Error::new(ErrorKind::Busy, "destroy", "it is being captured").with_resource(id));
        }
        let (gone_at, not_done) = (self.now + self.pace.destroy, self.ends.not_done);
        let Some(machine) = self.machines.get_mut(id) else { return Ok(()) };
        if machine.gone_at.is_some() {
            return Ok(());
        }
        machine.returns = not_done.then_some(machine.instance.state);
        machine.instance.state = InstanceState::Destroying;
        machine.gone_at = Some(gone_at);
        let what = format!("destroy {} ({id})", machine.instance.name);
        self.note(what);
        Ok(())
    }
}

impl FakeCloud {
    /// Refuses labels that the cloud does not keep.
    pub(super) fn check_labels(&self, operation: &'static str, labels: &Labels) -> Result<()> {
        if !self.world.flavour().checks {
            return Ok(());
        }
        labels.check(operation)?;
        match labels.iter().find(|(_, value)| value.chars().count() > LABEL_LENGTH) {
            Some((key, _)) => {
                let message = format!("the value of label `{key}` is longer than {LABEL_LENGTH} characters");
                Err(Error::new(ErrorKind::InvalidInput, operation, message))
            }
            None => Ok(()),
        }
    }
}

#[async_trait]
impl Instances for FakeCloud {
    async fn shape(&self, size: &SizeName, region: &Region) -> Result<Shape> {
        self.read("shape", |state| state.shape("shape", size, region)).await
    }

    async fn launch(&self, spec: &LaunchSpec) -> Result<Vec<Instance>> {
        if self.world.flavour().checks {
            spec.check("launch", &self.descriptor().limits)?;
        }
        self.check_labels("launch", &spec.labels)?;
        let spec = spec.clone();
        let launched = self.mutate("launch", move |transaction| transaction.launch(&spec)).await?;
        self.remember(&launched);
        Ok(launched)
    }

    async fn list(&self, selector: &Selector) -> Result<Vec<Instance>> {
        let launched = self.launched_lately();
        let mut listed = self.list("list instances", |instance: &Instance| &instance.id, State::listed).await?;
        for id in launched {
            if listed.iter().all(|instance| instance.id != id) {
                let look = |state: &State| Ok(state.machines.get(&id).map(|machine| machine.instance.clone()));
                listed.extend(self.read("get instance", look).await?);
            }
        }
        listed.retain(|instance| instance.labels.matches(selector));
        Ok(listed)
    }

    async fn get(&self, id: &InstanceId) -> Result<Instance> {
        self.read("get instance", |state| Ok(state.machine("get instance", id)?.instance.clone())).await
    }

    async fn power(&self, id: &InstanceId, op: PowerOp) -> Result<()> {
        let id = id.clone();
        self.mutate("power", move |transaction| transaction.power(&id, op)).await
    }

    async fn label(&self, id: &InstanceId, labels: &Labels) -> Result<()> {
        self.needs("label", Capability::InstanceRelabel)?;
        self.check_labels("label", labels)?;
        let (id, labels) = (id.clone(), labels.clone());
        self.mutate("label", move |transaction| transaction.label(&id, &labels)).await
    }

    async fn withdraw_user_data(&self, _: &InstanceId) -> Result<bool> {
        // The fake cloud keeps none.
        Ok(false)
    }

    async fn destroy(&self, id: &InstanceId) -> Result<()> {
        let id = id.clone();
        self.mutate("destroy", move |transaction| transaction.destroy(&id)).await
    }

    async fn console_output(&self, id: &InstanceId) -> Result<String> {
        self.needs("console", Capability::InstanceConsole)?;
        let console = |state: &State| match state.machines.get(id) {
            Some(machine) => Ok(format!("{} login:", machine.instance.name)),
            None if state.flavour.strict => Err(not_found("console", id)),
            None => Ok(format!("{id} login:")),
        };
        self.read("console", console).await
    }
}
