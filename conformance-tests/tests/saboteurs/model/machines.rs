//! The cloud's API for machines.

use std::net::{IpAddr, Ipv4Addr};

use remint_core::provider::{
    Address, ErrorKind, Instance, InstanceId, InstanceState, LaunchSpec, PowerOp, Region, Regions, Result, Shape,
};
use tokio::time::Instant;

use super::{
    Machine, World,
    cloud::{BASES, BOOT, DESTRUCTION, LAG, SHUTDOWN, SIZES},
    disks::base_id,
    not_found, refusal,
    world::check_region,
};

impl World {
    /// The machine of an id.
    pub(crate) fn machine(&mut self, operation: &'static str, id: &InstanceId) -> Result<&mut Machine> {
        self.machines.get_mut(id).ok_or_else(|| not_found(operation, id))
    }

    /// Makes an instance. With a token, one that stands and was made with that token (here: its name) is returned.
    pub(crate) fn create(&mut self, token: Option<&str>, name: &str, spec: &LaunchSpec) -> Result<Instance> {
        let operation = "create instance";
        let standing = self.machines.values().find(|machine| Some(machine.instance.name.as_str()) == token);
        if let Some(Machine { instance, .. }) = standing {
            return match (instance.labels == spec.labels, instance.state) {
                (false, _) => {
                    let message = "an instance of this name has other labels";
                    Err(refusal(ErrorKind::Conflict, operation, message).with_resource(name))
                }
                (true, InstanceState::Destroying) => {
                    let message = "an instance of this name is being destroyed";
                    Err(refusal(ErrorKind::Busy, operation, message).with_resource(name))
                }
                (true, _) => Ok(instance.clone()),
            };
        }
        self.shape(operation, spec.size.as_str(), &spec.region)?;
        let regions = match self.disks.get(&spec.image) {
            Some(disk) if disk.capture.is_none() => disk.image.regions.clone(),
            _ if BASES.iter().any(|base| base_id(base) == spec.image) => Regions::All,
            _ => return Err(refusal(ErrorKind::InvalidInput, operation, "unknown image").with_resource(&spec.image)),
        };
        if !regions.contains(&spec.region) {
            return Err(refusal(ErrorKind::InvalidInput, operation, format!("the image is not in {}", spec.region)));
        }
        if let Some(key) = spec.login_keys.iter().find(|key| !self.keys.contains_key(*key)) {
            return Err(refusal(ErrorKind::InvalidInput, operation, "unknown login key").with_resource(key));
        }
        let number = self.number();
        let instance = Instance {
            id: InstanceId::new(format!("i-{number:04}")),
            name: name.to_owned(),
            labels: spec.labels.clone(),
            state: InstanceState::Pending,
            busy: true,
            address: Some(Address::new(IpAddr::V4(Ipv4Addr::from(0x0A00_0000 + number)))),
            image: Some(spec.image.clone()),
            size: spec.size.clone(),
            region: spec.region.clone(),
            created_at: None,
        };
        if let Some(environment) = spec.labels.environment_id()
            && !self.groups.values().any(|known| *known == environment)
        {
            let number = self.number();
            self.groups.insert(number, environment);
        }
        let due = Some((Instant::now() + BOOT, Some(InstanceState::Running)));
        let machine = Machine { instance: instance.clone(), listed_from: Instant::now() + LAG, due };
        self.machines.insert(instance.id.clone(), machine);
        Ok(instance)
    }

    /// What a size gives.
    pub(crate) fn shape(&self, operation: &'static str, size: &str, region: &Region) -> Result<Shape> {
        check_region(operation, region)?;
        let found = SIZES.iter().find(|(name, ..)| *name == size);
        let (name, vcpus, memory_mib, disk_gib) = *found.ok_or_else(|| {
            let sizes = SIZES.map(|(name, ..)| name).join(", ");
            refusal(ErrorKind::InvalidInput, operation, format!("unknown size {size}"))
                .with_hint(format!("choose one of {sizes}"))
        })?;
        Ok(Shape { size: name.into(), vcpus, memory_mib, disk_gib, price_hourly_usd: None })
    }

    /// Changes the power.
    pub(crate) fn power(&mut self, id: &InstanceId, op: PowerOp) -> Result<()> {
        let machine = self.machine("power", id)?;
        let (now, instance) = (Instant::now(), &mut machine.instance);
        let (on_the_way, at, end) = match op {
            PowerOp::Stop => (InstanceState::Stopping, now + SHUTDOWN, InstanceState::Stopped),
            PowerOp::ForceStop => (InstanceState::Stopping, now + SHUTDOWN / 4, InstanceState::Stopped),
            PowerOp::Start => (InstanceState::Pending, now + BOOT / 2, InstanceState::Running),
        };
        if instance.state == end || instance.state == on_the_way && op != PowerOp::ForceStop {
            return Ok(());
        }
        if instance.busy && instance.state != InstanceState::Stopping {
            return Err(refusal(ErrorKind::Busy, "power", "the instance is at work").with_resource(id));
        }
        instance.state = on_the_way;
        instance.busy = true;
        machine.due = Some((at, Some(end)));
        Ok(())
    }

    /// Destroys an instance.
    pub(crate) fn destroy(&mut self, id: &InstanceId) -> Result<()> {
        let captured = self.disks.values().any(|disk| disk.capture.as_ref().is_some_and(|(from, _)| from == id));
        let Ok(machine) = self.machine("destroy", id) else { return Ok(()) };
        if captured {
            return Err(refusal(ErrorKind::Busy, "destroy", "the instance is being captured").with_resource(id));
        }
        if machine.instance.state != InstanceState::Destroying {
            machine.instance.state = InstanceState::Destroying;
            machine.instance.busy = true;
            machine.due = Some((Instant::now() + DESTRUCTION, None));
        }
        Ok(())
    }
}
