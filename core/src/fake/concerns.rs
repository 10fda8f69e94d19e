//! The fake cloud's concerns, as their contracts ask.

use async_trait::async_trait;
use tokio::time::Instant;

use super::{
    FakeCloud,
    cloud::{Ip, Machine, address, static_ip},
};
use crate::provider::{
    CaptureProgress, CaptureSpec, DnsZones, Error, ErrorKind, Image, ImageId, ImageState, Images, Instance, InstanceId,
    InstanceState, Instances, Labels, LaunchSpec, LoginKey, LoginKeyId, LoginKeys, Markers, PowerOp, RecordKind,
    RecordSet, Region, Regions, Result, Selector, Shape, SizeName, StaticIp, StaticIpId, StaticIpSpec, StaticIps, Zone,
    label,
};

fn not_found(operation: &'static str, what: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::NotFound, operation, "").with_resource(what)
}

#[async_trait]
impl Instances for FakeCloud {
    async fn shape(&self, size: &SizeName, _: &Region) -> Result<Shape> {
        self.before("shape").await?;
        Ok(Shape { size: size.clone(), vcpus: 1, memory_mib: 1024, disk_gib: 25, price_hourly_usd: None })
    }

    async fn launch(&self, spec: &LaunchSpec) -> Result<Vec<Instance>> {
        self.before("launch").await?;
        let mut launched = Vec::new();
        {
            let mut world = self.lock();
            if !world.images.contains_key(&spec.image) {
                return Err(Error::new(ErrorKind::InvalidInput, "launch", "no such image").with_resource(&spec.image));
            }
            for name in &spec.names {
                let standing = world.machines.values().find(|machine| machine.instance.name == *name);
                if let Some(machine) = standing {
                    if machine.instance.labels != spec.labels {
                        return Err(Error::new(ErrorKind::Conflict, "launch", "other labels").with_resource(name));
                    }
                    launched.push(machine.instance.clone());
                    continue;
                }
                let number = world.number();
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
                    created_at: None,
                };
                let running_at = Instant::now() + self.pace.launch;
                let machine = Machine { instance: instance.clone(), running_at, gone_at: None };
                world.machines.insert(instance.id.clone(), machine);
                launched.push(instance);
            }
        }
        self.after(format!("launch {}", spec.names.join(" "))).await;
        Ok(launched)
    }

    async fn list(&self, selector: &Selector) -> Result<Vec<Instance>> {
        self.before("list instances").await?;
        let world = self.lock();
        let all = world.machines.values().map(|machine| &machine.instance);
        Ok(all.filter(|instance| instance.labels.matches(selector)).cloned().collect())
    }

    async fn get(&self, id: &InstanceId) -> Result<Instance> {
        self.before("get instance").await?;
        let world = self.lock();
        let machine = world.machines.get(id).ok_or_else(|| not_found("get instance", id))?;
        Ok(machine.instance.clone())
    }

    async fn power(&self, id: &InstanceId, op: PowerOp) -> Result<()> {
        self.before("power").await?;
        {
            let mut world = self.lock();
            let machine = world.machines.get_mut(id).ok_or_else(|| not_found("power", id))?;
            machine.instance.state = match op {
                PowerOp::Stop | PowerOp::ForceStop => InstanceState::Stopped,
                PowerOp::Start => InstanceState::Running,
            };
        }
        self.after(format!("power {id} {op:?}")).await;
        Ok(())
    }

    async fn label(&self, id: &InstanceId, labels: &Labels) -> Result<()> {
        self.before("label").await?;
        {
            let mut world = self.lock();
            let machine = world.machines.get_mut(id).ok_or_else(|| not_found("label", id))?;
            machine.instance.labels.0.extend(labels.0.clone());
        }
        self.after(format!("label {id}")).await;
        Ok(())
    }

    async fn destroy(&self, id: &InstanceId) -> Result<()> {
        self.before("destroy").await?;
        {
            let mut world = self.lock();
            if let Some(machine) = world.machines.get_mut(id) {
                machine.instance.state = InstanceState::Destroying;
                machine.gone_at.get_or_insert(Instant::now() + self.pace.destroy);
            }
        }
        self.after(format!("destroy {id}")).await;
        Ok(())
    }

    async fn console_output(&self, id: &InstanceId) -> Result<String> {
        self.before("console").await?;
        Ok(format!("{id} login:"))
    }
}

#[async_trait]
impl Images for FakeCloud {
    async fn resolve(&self, base: &str, region: &Region) -> Result<Image> {
        self.before("resolve image").await?;
        if let Some(image) = self.lock().images.get(base) {
            return Ok(image.clone());
        }
        Ok(Image {
            id: ImageId::from(base),
            name: base.to_owned(),
            labels: Labels::new(),
            state: ImageState::Available,
            regions: Regions::Only(vec![region.clone()]),
            min_disk_gib: 10,
            size_bytes: None,
            created_at: None,
        })
    }

    async fn capture(&self, spec: &CaptureSpec) -> Result<CaptureProgress> {
        self.before("capture").await?;
        let (progress, news) = {
            let mut world = self.lock();
            if let Some(image) = world.images.values().find(|image| image.name == spec.name) {
                return Ok(CaptureProgress::Done(image.clone()));
            }
            let due = Instant::now() + self.pace.capture;
            let started = !world.captures.contains_key(&spec.name);
            let at = *world.captures.entry(spec.name.clone()).or_insert(due);
            if at <= Instant::now() {
                let number = world.number();
                let image = Image {
                    id: ImageId::new(format!("image-{number}")),
                    name: spec.name.clone(),
                    labels: spec.labels.clone(),
                    state: ImageState::Available,
                    regions: Regions::Only(vec!["here".into()]),
                    min_disk_gib: 10,
                    size_bytes: None,
                    created_at: None,
                };
                world.images.insert(image.id.clone(), image.clone());
                (CaptureProgress::Done(image), false)
            } else {
                (CaptureProgress::Pending, started)
            }
        };
        if news {
            self.after(format!("capture {}", spec.name)).await;
        }
        Ok(progress)
    }

    async fn list(&self, selector: &Selector) -> Result<Vec<Image>> {
        self.before("list images").await?;
        let world = self.lock();
        Ok(world.images.values().filter(|image| image.labels.matches(selector)).cloned().collect())
    }

    async fn get(&self, id: &ImageId) -> Result<Image> {
        self.before("get image").await?;
        self.lock().images.get(id).cloned().ok_or_else(|| not_found("get image", id))
    }

    async fn label(&self, id: &ImageId, labels: &Labels) -> Result<()> {
        self.before("label image").await?;
        {
            let mut world = self.lock();
            let image = world.images.get_mut(id).ok_or_else(|| not_found("label image", id))?;
            image.labels.0.extend(labels.0.clone());
        }
        self.after(format!("label {id}")).await;
        Ok(())
    }

    async fn copy(&self, id: &ImageId, region: &Region) -> Result<()> {
        self.before("copy image").await?;
        {
            let mut world = self.lock();
            let image = world.images.get_mut(id).ok_or_else(|| not_found("copy image", id))?;
            if let Regions::Only(regions) = &mut image.regions {
                regions.push(region.clone());
            }
        }
        self.after(format!("copy {id} {region}")).await;
        Ok(())
    }

    async fn delete(&self, id: &ImageId) -> Result<()> {
        self.before("delete image").await?;
        self.lock().images.remove(id);
        self.after(format!("delete {id}")).await;
        Ok(())
    }
}

#[async_trait]
impl StaticIps for FakeCloud {
    async fn ensure(&self, spec: &StaticIpSpec) -> Result<StaticIp> {
        self.before("ensure static IP").await?;
        let (id, two_calls) = {
            let mut world = self.lock();
            let points = |ip: &&Ip| {
                ip.ip.assigned_to.as_ref() == Some(&spec.instance)
                    || ip.moving.as_ref().is_some_and(|(to, _)| *to == spec.instance)
            };
            if let Some(ip) = world.ips.values().find(points) {
                return Ok(ip.ip.clone());
            }
            if !world.machines.contains_key(&spec.instance) {
                return Err(not_found("ensure static IP", &spec.instance));
            }
            let service = |ip: &&Ip| ip.ip.labels.0.contains_key(label::SERVICE);
            let standing = world.ips.values().find(service).map(|ip| ip.ip.id.clone());
            let id = standing.unwrap_or_else(|| {
                let number = world.number();
                let mut ip = static_ip(number, None);
                if world.labels_ips {
                    ip.labels = spec.labels.clone();
                }
                let id = ip.id.clone();
                world.ips.insert(id.clone(), Ip { ip, moving: None });
                id
            });
            (id, world.labels_ips)
        };
        if two_calls {
            self.kill.step().await;
        }
        let ip = {
            let mut world = self.lock();
            let ip = world.ips.get_mut(&id).ok_or_else(|| not_found("ensure static IP", &id))?;
            ip.ip.busy = true;
            ip.moving = Some((spec.instance.clone(), Instant::now() + self.pace.assign));
            ip.ip.clone()
        };
        self.after(format!("ensure {} at {}", ip.id, spec.instance)).await;
        Ok(ip)
    }

    async fn list(&self, selector: &Selector) -> Result<Vec<StaticIp>> {
        self.before("list static IPs").await?;
        let world = self.lock();
        let points = |ip: &Ip| {
            let to = ip.ip.assigned_to.as_ref().and_then(|id| world.machines.get(id));
            to.is_some_and(|machine| machine.instance.labels.matches(selector))
        };
        let all = world.ips.values().filter(|ip| selector.0.is_empty() || points(ip));
        Ok(all.map(|ip| ip.ip.clone()).collect())
    }

    async fn get(&self, id: &StaticIpId) -> Result<StaticIp> {
        self.before("get static IP").await?;
        self.lock().ips.get(id).map(|ip| ip.ip.clone()).ok_or_else(|| not_found("get static IP", id))
    }

    async fn assign(&self, id: &StaticIpId, instance: &InstanceId) -> Result<()> {
        self.before("assign").await?;
        {
            let mut world = self.lock();
            if !world.machines.contains_key(instance) {
                return Err(not_found("assign", instance));
            }
            let ip = world.ips.get_mut(id).ok_or_else(|| not_found("assign", id))?;
            if ip.ip.assigned_to.as_ref() == Some(instance) && !ip.ip.busy {
                return Ok(());
            }
            if ip.ip.busy {
                return Err(Error::new(ErrorKind::Busy, "assign", "pending event").with_resource(id));
            }
            ip.ip.busy = true;
            ip.moving = Some((instance.clone(), Instant::now() + self.pace.assign));
        }
        self.after(format!("assign {id} to {instance}")).await;
        Ok(())
    }

    async fn label(&self, id: &StaticIpId, labels: &Labels) -> Result<()> {
        self.before("label static IP").await?;
        {
            let mut world = self.lock();
            let ip = world.ips.get_mut(id).ok_or_else(|| not_found("label static IP", id))?;
            ip.ip.labels.0.extend(labels.0.clone());
        }
        self.after(format!("label {id}")).await;
        Ok(())
    }

    async fn unassign(&self, id: &StaticIpId) -> Result<()> {
        self.before("unassign").await?;
        if let Some(ip) = self.lock().ips.get_mut(id) {
            ip.ip.assigned_to = None;
        }
        self.after(format!("unassign {id}")).await;
        Ok(())
    }

    async fn release(&self, id: &StaticIpId) -> Result<()> {
        self.before("release").await?;
        self.lock().ips.remove(id);
        self.after(format!("release {id}")).await;
        Ok(())
    }
}

#[async_trait]
impl DnsZones for FakeCloud {
    async fn zone(&self, name: &str) -> Result<Zone> {
        self.before("get zone").await?;
        if !self.lock().zones.iter().any(|zone| zone == name) {
            return Err(not_found("get zone", name));
        }
        Ok(Zone { name: name.to_owned(), name_servers: Vec::new() })
    }

    async fn get(&self, zone: &str, name: &str, kind: RecordKind) -> Result<Option<RecordSet>> {
        self.before("get record").await?;
        let world = self.lock();
        if !world.zones.iter().any(|known| known == zone) {
            return Err(not_found("get record", zone));
        }
        Ok(world.records.get(&(zone.to_owned(), name.to_owned(), kind)).cloned())
    }

    async fn upsert(&self, set: &RecordSet) -> Result<()> {
        self.before("upsert record").await?;
        self.lock().records.insert((set.zone.clone(), set.name.clone(), set.kind), set.clone());
        self.after(format!("upsert {} {}", set.fqdn(), set.values.join(" "))).await;
        Ok(())
    }

    async fn remove(&self, zone: &str, name: &str, kind: RecordKind) -> Result<()> {
        self.before("remove record").await?;
        self.lock().records.remove(&(zone.to_owned(), name.to_owned(), kind));
        self.after(format!("remove {name}.{zone}")).await;
        Ok(())
    }
}

#[async_trait]
impl LoginKeys for FakeCloud {
    async fn ensure(&self, name: &str, public_key: &str) -> Result<LoginKey> {
        self.before("ensure login key").await?;
        let key = {
            let mut world = self.lock();
            if let Some((key, _)) = world.keys.values().find(|(_, known)| known == public_key) {
                return Ok(key.clone());
            }
            let id = LoginKeyId::new(format!("key-{}", world.number()));
            let key = LoginKey { id: id.clone(), name: name.to_owned() };
            world.keys.insert(id, (key.clone(), public_key.to_owned()));
            key
        };
        self.after(format!("register key {name}")).await;
        Ok(key)
    }

    async fn list(&self, prefix: &str) -> Result<Vec<LoginKey>> {
        self.before("list login keys").await?;
        let world = self.lock();
        let keys = world.keys.values().map(|(key, _)| key);
        Ok(keys.filter(|key| key.name.starts_with(prefix)).cloned().collect())
    }

    async fn remove(&self, id: &LoginKeyId) -> Result<()> {
        self.before("remove login key").await?;
        self.lock().keys.remove(id);
        self.after(format!("remove key {id}")).await;
        Ok(())
    }
}

#[async_trait]
impl Markers for FakeCloud {
    async fn get(&self, name: &str) -> Result<Option<String>> {
        self.before("read marker").await?;
        Ok(self.lock().markers.get(name).cloned())
    }

    async fn set(&self, name: &str, value: &str) -> Result<()> {
        self.before("set marker").await?;
        self.lock().markers.insert(name.to_owned(), value.to_owned());
        self.after(format!("mark {name}")).await;
        Ok(())
    }

    async fn remove(&self, name: &str) -> Result<()> {
        self.before("remove marker").await?;
        self.lock().markers.remove(name);
        self.after(format!("unmark {name}")).await;
        Ok(())
    }
}
