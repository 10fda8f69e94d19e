//! What a test puts into the cloud by hand, and looks at.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{
    Actor, Balancer, Balancing, FakeCloud, Flavour, Kill, Machine, Membership, Pace, State, World,
    addresses::static_ip, balancers, compute::address, state::Ip,
};
use crate::provider::{
    CheckProtocol, Endpoint, ErrorKind, Image, ImageId, ImageState, Instance, InstanceId, InstanceState, Labels,
    Listener, ListenerProtocol, LoadBalancer, LoadBalancerId, LoadBalancerSettings, LoadBalancerState, LoginKey,
    LoginKeyId, Member, MemberCheck, RecordKind, RecordSet, Region, Regions, RetryPolicy, StaticIp, label,
};

impl State {
    /// Puts an image there, as a bake would.
    pub(crate) fn add_image(&mut self, labels: Labels) -> Image {
        let image = Image {
            id: ImageId::new(format!("image-{}", self.number())),
            name: format!("image-{}", labels.get(label::FINGERPRINT).unwrap_or_default()),
            labels,
            state: ImageState::Available,
            regions: Regions::Only(vec![Region::from("here")]),
            min_disk_gib: 10,
            size_bytes: None,
            created_at: None,
        };
        self.images.insert(image.id.clone(), image.clone());
        image
    }

    /// Puts an instance there that runs already.
    pub(crate) fn add_instance(&mut self, name: &str, labels: Labels) -> Instance {
        let number = self.number();
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
        let machine = Machine {
            instance: instance.clone(),
            listed_from: Instant::now(),
            running_at: Instant::now(),
            stopped_at: None,
            gone_at: None,
            returns: None,
            fails: false,
            build: String::new(),
            user_data: Arc::default(),
            unwell: false,
        };
        self.machines.insert(instance.id.clone(), machine);
        instance
    }

    /// Puts a static IP there.
    pub(crate) fn add_static_ip(&mut self, assigned_to: Option<InstanceId>) -> StaticIp {
        let ip = static_ip(self.number(), assigned_to);
        self.ips.insert(ip.id.clone(), Ip { ip: ip.clone(), name: String::new(), moving: None });
        ip
    }

    /// Puts a load balancer there that takes connections already, also if another one has the name.
    pub(crate) fn add_balancer(&mut self, name: &str) -> LoadBalancer {
        let number = self.number();
        let address = balancers::address(number);
        let check = MemberCheck {
            protocol: CheckProtocol::Tcp,
            port: 80,
            interval: Duration::from_secs(10),
            timeout: Duration::from_secs(5),
            healthy: 3,
            unhealthy: 3,
        };
        let listener = Listener { port: 80, protocol: ListenerProtocol::Tcp, target_port: 80, certificate: None };
        let balancer = LoadBalancer {
            id: LoadBalancerId::new(format!("lb-{number}")),
            name: name.to_owned(),
            state: LoadBalancerState::Active,
            endpoint: Some(Endpoint::Address(address.clone())),
            region: "here".into(),
            settings: LoadBalancerSettings { listeners: vec![listener], check, drain: None, sources: Vec::new() },
        };
        let made = Balancer {
            balancer: balancer.clone(),
            labels: Labels::new(),
            members: BTreeMap::new(),
            address,
            drain: Duration::ZERO,
            work: None,
            unknown_until: None,
        };
        self.balancers.insert(balancer.id.clone(), made);
        balancer
    }

    /// Attaches an instance, also a foreign one, to a load balancer.
    pub(crate) fn add_member(&mut self, id: &LoadBalancerId, instance: &InstanceId) {
        let new = Membership::new(Instant::now());
        self.balancers.get_mut(id).unwrap().members.insert(instance.clone(), new);
    }

    /// Takes a member away from a load balancer.
    pub(crate) fn take_member(&mut self, id: &LoadBalancerId, instance: &InstanceId) {
        self.balancers.get_mut(id).unwrap().members.remove(instance).unwrap();
    }

    /// Sets a load balancer up otherwise.
    pub(crate) fn change_balancer(&mut self, id: &LoadBalancerId, change: impl FnOnce(&mut LoadBalancerSettings)) {
        change(&mut self.balancers.get_mut(id).unwrap().balancer.settings);
    }

    /// Deletes a load balancer.
    pub(crate) fn delete_balancer(&mut self, id: &LoadBalancerId) {
        self.balancers.remove(id).unwrap();
    }

    /// Lets an instance's service stop answering, or answer again.
    pub(crate) fn set_unwell(&mut self, id: &InstanceId, unwell: bool) {
        self.machines.get_mut(id).unwrap().unwell = unwell;
    }

    /// Lets every removal fail that the cloud has accepted.
    pub(crate) fn keep_all(&mut self) {
        for machine in self.machines.values_mut().filter(|machine| machine.gone_at.is_some()) {
            machine.gone_at = None;
            machine.instance.state = InstanceState::Running;
        }
    }

    /// Registers a login key.
    pub(crate) fn add_key(&mut self, name: &str) {
        let id = LoginKeyId::new(format!("key-{}", self.number()));
        let key = LoginKey { id: id.clone(), name: name.to_owned() };
        self.keys.insert(id, (key, format!("ssh-ed25519 {name}")));
    }

    /// Puts a record there.
    pub(crate) fn add_record(&mut self, name: &str, value: &str) {
        let set = RecordSet {
            zone: "example.org".to_owned(),
            name: name.to_owned(),
            kind: RecordKind::A,
            ttl: Duration::from_secs(60),
            values: vec![value.to_owned()],
        };
        self.records.insert((set.zone.clone(), set.name.clone(), set.kind), set);
    }
}

/// Shorthands for tests of one process.
impl FakeCloud {
    /// A world of its own, in which everything is at once and nothing fails.
    pub(crate) fn new(pace: Pace) -> Arc<Self> {
        // An error that a test asks for comes at once: repeating is tested elsewhere.
        let retry = RetryPolicy { attempts: 1, ..RetryPolicy::default() };
        Self::client(World::new(pace, Flavour::default()), Actor("test".to_owned()), retry, Arc::default())
    }

    /// A client of a world, for one process.
    pub(crate) fn client(world: Arc<World>, actor: Actor, retry: RetryPolicy, kill: Arc<Kill>) -> Arc<Self> {
        Arc::new(Self::connect(&world, actor).repeating(retry).dying(kill))
    }

    /// Makes every call of an operation fail, or work again.
    pub(crate) fn fail(&self, operation: &'static str, kind: Option<ErrorKind>) {
        self.world.fail(operation, kind);
    }

    /// Makes static IPs with labels by one call, and points them at an instance by another.
    pub(crate) fn label_static_ips(&self) {
        self.world.set_flavour(Flavour { labelled_ips: true, ..self.world.flavour() });
    }

    /// Gives load balancers other habits.
    pub(crate) fn balance(&self, balancing: Balancing) {
        self.world.set_flavour(Flavour { balancing, ..self.world.flavour() });
    }

    /// Calls of an operation since the world was made, the attempts counted each.
    pub(crate) fn count(&self, operation: &'static str) -> u64 {
        self.world.count(operation)
    }

    /// All calls.
    pub(crate) fn total(&self) -> u64 {
        self.world.total()
    }

    /// What mutations have changed, in their order.
    pub(crate) fn log(&self) -> Vec<String> {
        self.world.log()
    }

    /// The instances that stand.
    pub(crate) fn standing(&self) -> Vec<Instance> {
        self.world.state().machines.values().map(|machine| machine.instance.clone()).collect()
    }

    /// The static IPs that stand.
    pub(crate) fn static_ip_list(&self) -> Vec<StaticIp> {
        self.world.state().ips.values().map(|ip| ip.ip.clone()).collect()
    }

    /// The load balancers that there are.
    pub(crate) fn balancer_list(&self) -> Vec<LoadBalancer> {
        self.world.state().balancers.values().map(|balancer| balancer.balancer.clone()).collect()
    }

    /// The members of a load balancer, as the contract shows them.
    pub(crate) fn member_list(&self, id: &LoadBalancerId) -> Vec<Member> {
        let state = self.world.state();
        let shows_draining = state.flavour.balancing.hidden_drain.is_none();
        state.balancers.get(id).map(|balancer| balancer.shown(Instant::now(), shows_draining)).unwrap_or_default()
    }

    /// Every instance that a static IP ever came to point at, in order.
    pub(crate) fn pointed_at(&self) -> Vec<InstanceId> {
        self.world.pointed_at()
    }

    /// The values of a record.
    pub(crate) fn record(&self, name: &str) -> Option<Vec<String>> {
        let key = ("example.org".to_owned(), name.to_owned(), RecordKind::A);
        self.world.state().records.get(&key).map(|set| set.values.clone())
    }

    /// The registered login keys.
    pub(crate) fn key_names(&self) -> Vec<String> {
        self.world.state().keys.values().map(|(key, _)| key.name.clone()).collect()
    }

    /// Puts an image there, as a bake would.
    pub(crate) fn add_image(&self, labels: Labels) -> Image {
        self.by_hand("an image", |state| state.add_image(labels))
    }

    /// Puts an instance there that runs already.
    pub(crate) fn add_instance(&self, name: &str, labels: Labels) -> Instance {
        self.by_hand("an instance", |state| state.add_instance(name, labels))
    }

    /// Puts a static IP there.
    pub(crate) fn add_static_ip(&self, assigned_to: Option<InstanceId>) -> StaticIp {
        self.by_hand("a static IP", |state| state.add_static_ip(assigned_to))
    }

    /// Puts a record there.
    pub(crate) fn add_record(&self, name: &str, value: &str) {
        self.by_hand("a record", |state| state.add_record(name, value));
    }

    /// Changes the world by hand.
    pub(crate) fn by_hand<T>(&self, what: &str, change: impl FnOnce(&mut State) -> T) -> T {
        World::by_hand(&self.world, what, change)
    }
}
