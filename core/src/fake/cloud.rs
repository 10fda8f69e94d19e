//! The fake cloud's state and clock.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr},
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use async_trait::async_trait;
use tokio::time::Instant;

use super::Kill;
use crate::provider::{
    Account, Address, Calls, Capability, Descriptor, DnsZones, Error, ErrorKind, Image, ImageId, ImageState, Images,
    Instance, InstanceId, InstanceState, Instances, Labels, Limits, LoginKey, LoginKeyId, LoginKeys, Markers, Provider,
    RatePolicy, RecordKind, RecordSet, Region, Regions, Result, RetryPolicy, StaticIp, StaticIpId, StaticIps, Strays,
    label,
};

/// What the fake cloud declares.
static DESCRIPTOR: Descriptor = Descriptor {
    id: "fake",
    title: "Fake cloud",
    capabilities: &[
        Capability::ImageCopyRegions,
        Capability::InstanceLaunchBatch,
        Capability::InstanceConsole,
        Capability::InstanceRelabel,
        Capability::StaticIp,
        Capability::StaticIpReassign,
        Capability::Dns,
        Capability::LoginKey,
        Capability::Marker,
    ],
    limits: Limits {
        user_data_bytes: 64 * 1024,
        launch_batch: 10,
        dns_min_ttl: Duration::from_secs(30),
        name_length: 63,
        launch_time: Duration::from_secs(20),
        capture_time: Duration::from_secs(60),
        assign_time: Duration::from_secs(5),
        destroy_time: Duration::from_secs(3),
        settle_time: Limits::CLOUD_SETTLES,
    },
};

/// How long the fake cloud takes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    pub(crate) launch: Duration,
    pub(crate) destroy: Duration,
    pub(crate) assign: Duration,
    pub(crate) capture: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self { launch: seconds(30), destroy: seconds(3), assign: seconds(10), capture: seconds(90) }
    }
}

#[derive(Debug, Clone)]
pub(super) struct Machine {
    pub(super) instance: Instance,
    pub(super) running_at: Instant,
    pub(super) gone_at: Option<Instant>,
}

#[derive(Debug, Clone)]
pub(super) struct Ip {
    pub(super) ip: StaticIp,
    pub(super) moving: Option<(InstanceId, Instant)>,
}

#[derive(Debug, Default)]
pub(super) struct World {
    pub(super) machines: BTreeMap<InstanceId, Machine>,
    pub(super) images: BTreeMap<ImageId, Image>,
    pub(super) captures: BTreeMap<String, Instant>,
    pub(super) ips: BTreeMap<StaticIpId, Ip>,
    pub(super) zones: Vec<String>,
    pub(super) records: BTreeMap<(String, String, RecordKind), RecordSet>,
    pub(super) keys: BTreeMap<LoginKeyId, (LoginKey, String)>,
    pub(super) markers: BTreeMap<String, String>,
    pub(super) next: u32,
    pub(super) counts: BTreeMap<&'static str, u64>,
    pub(super) failing: BTreeMap<&'static str, ErrorKind>,
    pub(super) log: Vec<String>,
    /// Whether static IPs are made with labels by one call, and pointed at an instance by another.
    pub(super) labels_ips: bool,
    /// Every instance that a static IP ever pointed at.
    pub(super) pointed_at: Vec<InstanceId>,
}

impl World {
    pub(super) fn number(&mut self) -> u32 {
        self.next += 1;
        self.next
    }

    /// Lets what is due by now happen.
    pub(super) fn tick(&mut self) {
        let now = Instant::now();
        for machine in self.machines.values_mut() {
            if machine.instance.state == InstanceState::Pending && machine.running_at <= now {
                machine.instance.state = InstanceState::Running;
                machine.instance.busy = false;
            }
        }
        self.machines.retain(|_, machine| machine.gone_at.is_none_or(|at| at > now));
        for ip in self.ips.values_mut() {
            if let Some((instance, at)) = ip.moving.clone()
                && at <= now
            {
                ip.ip.assigned_to = Some(instance.clone());
                ip.ip.busy = false;
                ip.moving = None;
                self.pointed_at.push(instance);
            }
            if let Some(to) = &ip.ip.assigned_to
                && !self.machines.contains_key(to)
            {
                ip.ip.assigned_to = None;
            }
        }
    }
}

/// A cloud in memory.
#[derive(Debug)]
pub(crate) struct FakeCloud {
    pub(super) world: Mutex<World>,
    pub(super) pace: Pace,
    pub(crate) kill: Arc<Kill>,
    calls: Calls,
}

impl FakeCloud {
    pub(crate) fn new(pace: Pace) -> Arc<Self> {
        let rate = RatePolicy { burst: 10_000, per_second: 1000.0, reserved_for_mutations: 1 };
        let world = World { zones: vec!["example.org".to_owned()], ..World::default() };
        let calls = Calls::new(rate, RetryPolicy::default());
        Arc::new(Self { world: Mutex::new(world), pace, kill: Arc::default(), calls })
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, World> {
        let mut world = self.world.lock().unwrap();
        world.tick();
        world
    }

    /// One call: counted, killable before and (by [`FakeCloud::after`]) behind its effect.
    pub(super) async fn before(&self, operation: &'static str) -> Result<()> {
        self.kill.step().await;
        let mut world = self.lock();
        *world.counts.entry(operation).or_default() += 1;
        match world.failing.get(operation) {
            Some(kind) => Err(Error::new(*kind, operation, "as the test asks")),
            None => Ok(()),
        }
    }

    /// The end of a mutation, noted in the log.
    pub(super) async fn after(&self, what: String) {
        self.lock().log.push(what);
        self.kill.step().await;
    }

    /// Makes every call of an operation fail, or work again.
    pub(crate) fn fail(&self, operation: &'static str, kind: Option<ErrorKind>) {
        let mut world = self.lock();
        match kind {
            Some(kind) => world.failing.insert(operation, kind),
            None => world.failing.remove(operation),
        };
    }

    /// Makes static IPs with labels by one call, and points them at an instance by another.
    pub(crate) fn label_static_ips(&self) {
        self.lock().labels_ips = true;
    }

    /// Calls since the cloud was made.
    pub(crate) fn count(&self, operation: &'static str) -> u64 {
        self.lock().counts.get(operation).copied().unwrap_or_default()
    }

    /// All calls.
    pub(crate) fn total(&self) -> u64 {
        self.lock().counts.values().sum()
    }

    /// The mutations, in their order.
    pub(crate) fn log(&self) -> Vec<String> {
        self.lock().log.clone()
    }

    /// The instances that stand.
    pub(crate) fn standing(&self) -> Vec<Instance> {
        self.lock().machines.values().map(|machine| machine.instance.clone()).collect()
    }

    /// The static IPs that stand.
    pub(crate) fn static_ip_list(&self) -> Vec<StaticIp> {
        self.lock().ips.values().map(|ip| ip.ip.clone()).collect()
    }

    /// Every instance that a static IP ever pointed at, in order.
    pub(crate) fn pointed_at(&self) -> Vec<InstanceId> {
        self.lock().pointed_at.clone()
    }

    /// The values of a record.
    pub(crate) fn record(&self, name: &str) -> Option<Vec<String>> {
        let key = ("example.org".to_owned(), name.to_owned(), RecordKind::A);
        self.lock().records.get(&key).map(|set| set.values.clone())
    }

    /// The registered login keys.
    pub(crate) fn key_names(&self) -> Vec<String> {
        self.lock().keys.values().map(|(key, _)| key.name.clone()).collect()
    }

    /// Puts an image there, as a bake would.
    pub(crate) fn add_image(&self, labels: Labels) -> Image {
        let mut world = self.lock();
        let number = world.number();
        let image = Image {
            id: ImageId::new(format!("image-{number}")),
            name: format!("image-{}", labels.get(label::FINGERPRINT).unwrap_or_default()),
            labels,
            state: ImageState::Available,
            regions: Regions::Only(vec![Region::from("here")]),
            min_disk_gib: 10,
            size_bytes: None,
            created_at: None,
        };
        world.images.insert(image.id.clone(), image.clone());
        image
    }

    /// Puts an instance there that runs already.
    pub(crate) fn add_instance(&self, name: &str, labels: Labels) -> Instance {
        let mut world = self.lock();
        let number = world.number();
        let instance = Instance {
            id: InstanceId::new(format!("i-{number}")),
            name: name.to_owned(),
            labels,
            state: InstanceState::Running,
            busy: false,
            address: Some(address(number)),
            image: None,
            size: "small".into(),
            region: "here".into(),
            created_at: None,
        };
        let machine = Machine { instance: instance.clone(), running_at: Instant::now(), gone_at: None };
        world.machines.insert(instance.id.clone(), machine);
        instance
    }

    /// Puts a static IP there.
    pub(crate) fn add_static_ip(&self, assigned_to: Option<InstanceId>) -> StaticIp {
        let mut world = self.lock();
        let number = world.number();
        let ip = static_ip(number, assigned_to);
        world.ips.insert(ip.id.clone(), Ip { ip: ip.clone(), moving: None });
        ip
    }

    /// Puts a record there.
    pub(crate) fn add_record(&self, name: &str, value: &str) {
        let set = RecordSet {
            zone: "example.org".to_owned(),
            name: name.to_owned(),
            kind: RecordKind::A,
            ttl: Duration::from_secs(60),
            values: vec![value.to_owned()],
        };
        self.lock().records.insert((set.zone.clone(), set.name.clone(), set.kind), set);
    }
}

pub(super) fn address(number: u32) -> Address {
    Address::new(IpAddr::V4(Ipv4Addr::from(0x0A00_0000 + number)))
}

pub(super) fn static_ip(number: u32, assigned_to: Option<InstanceId>) -> StaticIp {
    let address = Address::new(IpAddr::V4(Ipv4Addr::from(0xC633_6400 + number)));
    StaticIp {
        id: StaticIpId::new(address.ip.to_string()),
        address,
        assigned_to,
        busy: false,
        region: "here".into(),
        labels: Labels::new(),
    }
}

#[async_trait]
impl Provider for FakeCloud {
    fn descriptor(&self) -> &'static Descriptor {
        &DESCRIPTOR
    }

    async fn account(&self) -> Result<Account> {
        self.before("account").await?;
        Ok(Account { id: "1".to_owned(), name: "tests".to_owned(), quotas: Vec::new() })
    }

    fn calls(&self) -> &Calls {
        &self.calls
    }

    fn images(&self) -> &dyn Images {
        self
    }

    fn instances(&self) -> &dyn Instances {
        self
    }

    fn static_ips(&self) -> Option<&dyn StaticIps> {
        Some(self)
    }

    fn dns_zones(&self) -> Option<&dyn DnsZones> {
        Some(self)
    }

    fn login_keys(&self) -> Option<&dyn LoginKeys> {
        Some(self)
    }

    fn markers(&self) -> Option<&dyn Markers> {
        Some(self)
    }

    fn strays(&self) -> Option<&dyn Strays> {
        None
    }
}
