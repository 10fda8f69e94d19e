//! Machines and an edge that only remember what they were told, and that can be held.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::Ipv4Addr,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use axum::{Router, extract::Request, middleware::Next};
use remint_sandbox::{
    cloud::{
        Edge, Shape, ZoneSnapshot,
        balancer::{BalancerSnapshot, MemberHealth},
        with_doomed_actions,
    },
    machine::{DiskImage, DiskInfo, Hypervisor, MachineError, MachineSpec, Power, Result},
};
use tokio::sync::watch;

/// Lets callers through, or holds them.
pub(crate) struct Gate(watch::Sender<bool>);

impl Gate {
    fn new() -> Self {
        Self(watch::channel(true).0)
    }

    pub(crate) fn hold(&self) {
        self.0.send_replace(false);
    }

    pub(crate) fn open(&self) {
        self.0.send_replace(true);
    }

    async fn pass(&self) {
        self.0.subscribe().wait_for(|open| *open).await.unwrap();
    }
}

/// Machines that are entries in a table.
pub(crate) struct FakeMachines {
    /// Holds creations and captures.
    pub(crate) gate: Gate,
    pub(crate) table: Mutex<BTreeMap<u64, (MachineSpec, Power)>>,
    pub(crate) images: Mutex<BTreeSet<DiskImage>>,
    /// Whether creations fail.
    pub(crate) broken: Mutex<bool>,
}

impl FakeMachines {
    pub(crate) fn new() -> Self {
        let images = ["debian-12-x64", "ubuntu-24-04-x64"].map(|slug| DiskImage(slug.to_owned()));
        Self {
            gate: Gate::new(),
            table: Mutex::default(),
            images: Mutex::new(images.into()),
            broken: Mutex::new(false),
        }
    }

    pub(crate) fn set_power(&self, id: u64, power: Power) {
        self.table.lock().unwrap().get_mut(&id).unwrap().1 = power;
    }

    fn switch(&self, operation: &'static str, id: u64, power: Power) -> Result<()> {
        let mut table = self.table.lock().unwrap();
        table.get_mut(&id).ok_or_else(|| gone(operation, id))?.1 = power;
        Ok(())
    }
}

fn gone(operation: &'static str, id: impl ToString) -> MachineError {
    MachineError { operation, machine: id.to_string(), message: "there is none".to_owned() }
}

#[async_trait]
impl Hypervisor for FakeMachines {
    async fn create(&self, spec: &MachineSpec) -> Result<()> {
        self.gate.pass().await;
        if *self.broken.lock().unwrap() || !self.images.lock().unwrap().contains(&spec.image) {
            return Err(gone("create", spec.id));
        }
        let before = self.table.lock().unwrap().insert(spec.id, (spec.clone(), Power::Off));
        if before.is_some() { Err(gone("create twice", spec.id)) } else { Ok(()) }
    }

    async fn start(&self, id: u64) -> Result<()> {
        self.switch("start", id, Power::On)
    }

    /// Only asks: the test says when the guest is off.
    async fn shutdown(&self, id: u64) -> Result<()> {
        self.power(id).await.map(drop)
    }

    async fn power_off(&self, id: u64) -> Result<()> {
        self.switch("power off", id, Power::Off)
    }

    async fn reboot(&self, id: u64) -> Result<()> {
        self.power(id).await.map(drop)
    }

    async fn power(&self, id: u64) -> Result<Power> {
        self.table.lock().unwrap().get(&id).map(|(_, power)| *power).ok_or_else(|| gone("look at", id))
    }

    async fn capture(&self, id: u64, image: &DiskImage) -> Result<DiskInfo> {
        self.gate.pass().await;
        self.power(id).await?;
        if !self.images.lock().unwrap().insert(image.clone()) {
            return Err(gone("capture twice", &image.0));
        }
        self.image(image).await
    }

    async fn replace_disk(&self, id: u64, image: &DiskImage) -> Result<()> {
        self.image(image).await?;
        let mut table = self.table.lock().unwrap();
        let (spec, power) = table.get_mut(&id).ok_or_else(|| gone("replace the disk of", id))?;
        spec.image = image.clone();
        *power = Power::Off;
        Ok(())
    }

    async fn resize(&self, id: u64, vcpus: u32, memory_mib: u64, disk_gib: u64) -> Result<()> {
        let mut table = self.table.lock().unwrap();
        let (spec, _) = table.get_mut(&id).ok_or_else(|| gone("resize", id))?;
        (spec.vcpus, spec.memory_mib, spec.disk_gib) = (vcpus, memory_mib, disk_gib);
        Ok(())
    }

    async fn destroy(&self, id: u64) -> Result<()> {
        self.table.lock().unwrap().remove(&id);
        Ok(())
    }

    async fn console(&self, id: u64) -> Result<String> {
        self.power(id).await.map(|_| format!("console of {id}\n"))
    }

    async fn machines(&self) -> Result<Vec<u64>> {
        Ok(self.table.lock().unwrap().keys().copied().collect())
    }

    async fn base_images(&self) -> Result<Vec<DiskImage>> {
        Ok(self.images.lock().unwrap().iter().filter(|image| !image.0.starts_with("snapshot-")).cloned().collect())
    }

    async fn image(&self, image: &DiskImage) -> Result<DiskInfo> {
        let known = self.images.lock().unwrap().contains(image);
        known.then_some(DiskInfo { size_bytes: 1_500_000_000, virtual_gib: 3 }).ok_or_else(|| gone("find", &image.0))
    }

    async fn delete_image(&self, image: &DiskImage) -> Result<()> {
        self.images.lock().unwrap().remove(image);
        Ok(())
    }

    async fn open_ports(&self, _: &[u16]) -> Result<()> {
        Ok(())
    }
}

/// An edge that remembers how things shall be.
pub(crate) struct FakeEdge {
    /// Holds the pointing of reserved IPs, and the state that is sent to load balancers.
    pub(crate) gate: Gate,
    pub(crate) targets: Mutex<BTreeMap<Ipv4Addr, Option<Ipv4Addr>>>,
    pub(crate) zones: Mutex<BTreeMap<String, ZoneSnapshot>>,
    pub(crate) balancers: Mutex<BTreeMap<u64, BalancerSnapshot>>,
    /// Why there can be no load balancers; empty where there can.
    pub(crate) unbalanced: Mutex<String>,
    /// Whether the actions of requests are to fail.
    pub(crate) dooming: Arc<Mutex<bool>>,
}

impl FakeEdge {
    pub(crate) fn new() -> Self {
        Self {
            gate: Gate::new(),
            targets: Mutex::default(),
            zones: Mutex::default(),
            balancers: Mutex::default(),
            unbalanced: Mutex::default(),
            dooming: Arc::default(),
        }
    }

    /// Where a reserved IP points; `None` as well where it is not known.
    pub(crate) fn target(&self, ip: &str) -> Option<Ipv4Addr> {
        self.targets.lock().unwrap().get(&ip.parse().unwrap()).copied().flatten()
    }
}

#[async_trait]
impl Edge for FakeEdge {
    async fn static_ip(&self, ip: Ipv4Addr, target: Option<Ipv4Addr>) {
        self.gate.pass().await;
        self.targets.lock().unwrap().insert(ip, target);
    }

    async fn remove_static_ip(&self, ip: Ipv4Addr) {
        self.targets.lock().unwrap().remove(&ip);
    }

    fn can_balance(&self) -> Result<(), String> {
        let problem = self.unbalanced.lock().unwrap().clone();
        if problem.is_empty() { Ok(()) } else { Err(problem) }
    }

    async fn load_balancer(&self, balancer: BalancerSnapshot) -> Result<(), String> {
        self.gate.pass().await;
        self.can_balance()?;
        self.balancers.lock().unwrap().insert(balancer.id, balancer);
        Ok(())
    }

    async fn remove_load_balancer(&self, id: u64) {
        self.balancers.lock().unwrap().remove(&id);
    }

    /// The first member passes its checks, the second one does not, and the others were not checked yet.
    async fn member_health(&self, id: u64) -> BTreeMap<u64, MemberHealth> {
        let found = [MemberHealth::Healthy, MemberHealth::Unhealthy];
        let found = found.into_iter().chain(std::iter::repeat(MemberHealth::Unchecked));
        let balancers = self.balancers.lock().unwrap();
        balancers.get(&id).into_iter().flat_map(|balancer| balancer.members.keys().copied()).zip(found).collect()
    }

    async fn listener_health(&self, id: u64) -> BTreeMap<u16, BTreeMap<u64, MemberHealth>> {
        let ports: Vec<u16> = match self.balancers.lock().unwrap().get(&id) {
            Some(balancer) => balancer.listeners.iter().map(|listener| listener.port).collect(),
            None => Vec::new(),
        };
        let health = self.member_health(id).await;
        ports.into_iter().map(|port| (port, health.clone())).collect()
    }

    async fn zone(&self, zone: ZoneSnapshot) {
        self.zones.lock().unwrap().insert(zone.name.clone(), zone);
    }

    async fn remove_zone(&self, name: &str) {
        self.zones.lock().unwrap().remove(name);
    }

    fn layers(&self, _: Shape, api: Router) -> Router {
        let dooming = self.dooming.clone();
        api.layer(axum::middleware::from_fn(move |request: Request, next: Next| {
            let doomed = *dooming.lock().unwrap();
            async move { if doomed { with_doomed_actions(next.run(request)).await } else { next.run(request).await } }
        }))
    }

    fn admin(&self) -> Router {
        Router::new()
    }
}
