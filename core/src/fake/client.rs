//! One process's way to the cloud.

use std::{
    collections::BTreeMap,
    sync::{Arc, LazyLock, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use tokio::time::Instant;

use super::{
    Actor, Balancing, Flavour, Kill, State, Transaction, World,
    faults::{Read, SETTLES, STALEST},
    transaction::{Ends, carry_out},
    world::{Apply, Order},
};
use crate::provider::{
    Account, Calls, Capability, Descriptor, DnsZones, Error, ErrorKind, Guest, Images, Instance, InstanceId, Instances,
    Limits, LoadBalancers, LoginKeys, Markers, Provider, Quota, RatePolicy, Result, RetryPolicy, StaticIps, Strays,
    support::{Call, Recent},
};

/// What the fake cloud declares whatever its flavour is.
const ALWAYS: &[Capability] = &[
    Capability::ImageCopyRegions,
    Capability::InstanceLaunchBatch,
    Capability::InstanceConsole,
    Capability::InstanceRelabel,
    Capability::StaticIp,
    Capability::StaticIpReassign,
    Capability::LoadBalancer,
    Capability::Dns,
    Capability::LoginKey,
    Capability::Marker,
    Capability::Strays,
];

/// What it declares by its flavour.
type Declared = BTreeMap<Vec<Capability>, Descriptor>;

/// A descriptor for every set of capabilities that a flavour may have.
static DECLARED: LazyLock<Declared> = LazyLock::new(|| {
    let with = |flavour: u8| {
        let on = |bit: u8| flavour & (1 << bit) != 0;
        let hidden_drain = on(2).then_some(Duration::ZERO);
        let balancing = Balancing { hidden_drain, passes_through: on(1), named: on(3), ..Balancing::default() };
        let own = capabilities(&Flavour { labelled_ips: on(0), balancing, ..Flavour::default() });
        let all = ALWAYS.iter().chain(&own).copied().collect::<Vec<_>>().leak();
        let (id, title, guest) = ("fake", "Fake cloud", Guest::CLOUD_INIT);
        (own, Descriptor { id, title, capabilities: all, limits: LIMITS, guest })
    };
    (0..16).map(with).collect()
});

/// What the fake cloud declares because of its flavour.
fn capabilities(flavour: &Flavour) -> Vec<Capability> {
    let Flavour { labelled_ips, balancing, .. } = flavour;
    let all = [
        (Capability::StaticIpLabels, *labelled_ips),
        (Capability::LoadBalancerHttp, !balancing.passes_through),
        (Capability::LoadBalancerTargetPort, !balancing.passes_through),
        (Capability::LoadBalancerDrain, balancing.hidden_drain.is_none()),
        (Capability::LoadBalancerAddress, !balancing.named),
        (Capability::DnsAlias, balancing.named),
    ];
    all.into_iter().filter(|(_, has)| *has).map(|(capability, _)| capability).collect()
}

const LIMITS: Limits = Limits {
    user_data_bytes: 64 * 1024,
    launch_batch: 10,
    dns_min_ttl: Duration::from_secs(30),
    name_length: 63,
    launch_time: Duration::from_secs(20),
    capture_time: Duration::from_secs(60),
    assign_time: Duration::from_secs(5),
    balancer_time: Duration::from_secs(10),
    destroy_time: Duration::from_secs(3),
    settle_time: SETTLES.saturating_add(STALEST),
};

const RATE: RatePolicy = RatePolicy { burst: 10_000, per_second: 1000.0, reserved_for_mutations: 1 };

/// A client of the fake cloud: what a process has of it. Every mutation and every read goes through its [`Calls`].
#[derive(Debug)]
pub struct FakeCloud {
    pub(super) world: Arc<World>,
    pub(crate) kill: Arc<Kill>,
    actor: Actor,
    calls: Calls,
    /// What it declares, where that is not as the cloud's flavour has it.
    declared: Option<&'static Descriptor>,
    /// Whether the cloud takes the credentials.
    admitted: bool,
    /// When this client last changed something: its lists show that, however far they lag.
    wrote: Mutex<Option<Instant>>,
    /// What this client launched: its lists show that, however late the cloud lists it.
    launched: Mutex<Recent<InstanceId>>,
}

impl FakeCloud {
    /// A client of a world, which never dies, for somebody whose calls are repeated as usual.
    pub fn connect(world: &Arc<World>, actor: Actor) -> Self {
        Self {
            world: Arc::clone(world),
            kill: Arc::default(),
            actor,
            calls: Calls::new(RATE, RetryPolicy::default()),
            declared: None,
            admitted: true,
            wrote: Mutex::default(),
            launched: Mutex::default(),
        }
    }

    /// The same, dying as this says.
    #[must_use]
    pub fn dying(self, kill: Arc<Kill>) -> Self {
        Self { kill, ..self }
    }

    /// The same, repeating its calls as this says.
    #[must_use]
    pub fn repeating(self, retry: RetryPolicy) -> Self {
        Self { calls: Calls::new(RATE, retry), ..self }
    }

    /// The same, declaring this. What it does not declare it does not do.
    #[must_use]
    pub fn declaring(self, descriptor: &'static Descriptor) -> Self {
        Self { declared: Some(descriptor), ..self }
    }

    /// The same with credentials that the cloud refuses.
    #[must_use]
    pub fn refused(self) -> Self {
        Self { admitted: false, ..self }
    }

    /// The cloud that this is a client of.
    pub fn world(&self) -> &Arc<World> {
        &self.world
    }

    /// Refuses what needs a capability that is not declared.
    pub(super) fn needs(&self, operation: &'static str, capability: Capability) -> Result<()> {
        match self.descriptor().has(capability) {
            true => Ok(()),
            false => Err(Error::unsupported(operation, capability)),
        }
    }

    /// One mutation, unless the provider looks first and finds that there is nothing to do.
    pub(super) async fn mutate<T, F>(&self, operation: &'static str, apply: F) -> Result<T>
    where
        T: Send + 'static,
        F: Fn(&mut Transaction<'_>) -> Result<T> + Send + Sync + 'static,
    {
        if self.world.flavour().looks_first {
            // An error of the cloud comes from the mutation itself.
            let circumstances = (operation, Instant::now(), Ends::default());
            let look = |state: &State| Ok(carry_out(state, circumstances, &apply).ok());
            if let Some((value, None)) = self.read("look first", look).await? {
                return Ok(value);
            }
        }
        self.change(operation, apply).await
    }

    /// One mutation that can be repeated: the cloud's tokens make one of its repetitions. The process can die before it is
    /// sent, and behind its reply.
    ///
    /// # Errors
    ///
    /// Those of `apply`, and whatever goes wrong with a request.
    pub async fn change<T, F>(&self, operation: &'static str, apply: F) -> Result<T>
    where
        T: Send + 'static,
        F: Fn(&mut Transaction<'_>) -> Result<T> + Send + Sync + 'static,
    {
        self.send(Call::idempotent(operation), Arc::new(apply)).await
    }

    /// The same without a token: what its reply does not tell is not known.
    ///
    /// # Errors
    ///
    /// Those of `apply`, and whatever goes wrong with a request.
    pub async fn change_once<T, F>(&self, operation: &'static str, apply: F) -> Result<T>
    where
        T: Send + 'static,
        F: Fn(&mut Transaction<'_>) -> Result<T> + Send + Sync + 'static,
    {
        self.send(Call::mutation(operation), Arc::new(apply)).await
    }

    async fn send<T: Send + 'static>(&self, call: Call, apply: Apply<T>) -> Result<T> {
        let operation = call.operation;
        let called = Instant::now();
        let admitted = self.admitted;
        let admit: Apply<T> = Arc::new(move |transaction| match admitted {
            true => apply(transaction),
            false => Err(unauthenticated()),
        });
        let attempt = || {
            let admit = Arc::clone(&admit);
            async move {
                self.kill.step().await;
                let order = Order { actor: self.actor.clone(), operation, called };
                let answer = self.world.submit(order, admit).await;
                let (value, changed) = answer.map_err(|error| self.world.identify(error))?;
                if changed {
                    *self.wrote.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
                    self.kill.step().await;
                }
                Ok(value)
            }
        };
        self.calls.run(call, attempt).await
    }

    /// One read of one thing. It may lag behind, though never behind this client's own changes.
    ///
    /// # Errors
    ///
    /// Those of `read`, and whatever goes wrong with a request.
    pub async fn read<T>(&self, operation: &'static str, read: impl Fn(&State) -> Result<T>) -> Result<T> {
        self.look(operation, Read::Get, read).await
    }

    /// One read of a list, which may lag behind in the same way.
    pub(super) async fn read_list<T>(&self, operation: &'static str, read: impl Fn(&State) -> Result<T>) -> Result<T> {
        self.look(operation, Read::List, read).await
    }

    /// A list, read in pages of the size that the cloud has.
    pub(super) async fn list<T, K: PartialOrd>(
        &self,
        operation: &'static str,
        key: impl Fn(&T) -> &K,
        read: impl Fn(&State) -> Vec<T>,
    ) -> Result<Vec<T>> {
        let page = self.world.flavour().page;
        let mut all: Vec<T> = Vec::new();
        loop {
            let look = |state: &State| {
                let mut items = read(state);
                if let Some(last) = all.last() {
                    items.retain(|item| key(item) > key(last));
                }
                if page > 0 {
                    items.truncate(page);
                }
                Ok(items)
            };
            let items = self.read_list(operation, look).await?;
            let more = page > 0 && items.len() == page;
            all.extend(items);
            if !more {
                return Ok(all);
            }
        }
    }

    async fn look<T>(&self, operation: &'static str, kind: Read, read: impl Fn(&State) -> Result<T>) -> Result<T> {
        let look = || async {
            self.kill.step().await;
            let wrote = *self.wrote.lock().unwrap_or_else(PoisonError::into_inner);
            let wrote = wrote.unwrap_or_else(|| Instant::now() - STALEST);
            let admit = |state: &State| if self.admitted { read(state) } else { Err(unauthenticated()) };
            let answer = self.world.look((&self.actor, operation), kind, wrote, admit).await;
            answer.map_err(|error| self.world.identify(error))
        };
        self.calls.run(Call::read(operation), look).await
    }

    /// Keeps in mind what this client has just launched.
    pub fn remember(&self, launched: &[Instance]) {
        let mut recent = self.launched.lock().unwrap_or_else(PoisonError::into_inner);
        launched.iter().for_each(|instance| recent.note(instance.id.clone(), ()));
    }

    /// What this client launched so lately that lists may leave it out.
    pub(super) fn launched_lately(&self) -> Vec<InstanceId> {
        let lag = self.world.state().pace.lag;
        let recent = self.launched.lock().unwrap_or_else(PoisonError::into_inner);
        recent.all(lag).map(|(id, ())| id.clone()).collect()
    }
}

fn unauthenticated() -> Error {
    Error::new(ErrorKind::Unauthenticated, "authenticate", "the credentials are not known")
}

#[async_trait]
impl Provider for FakeCloud {
    fn descriptor(&self) -> &'static Descriptor {
        // Every flavour has one.
        self.declared.unwrap_or_else(|| &DECLARED[&capabilities(&self.world.flavour())])
    }

    async fn account(&self) -> Result<Account> {
        let account = |state: &State| {
            let catalogue = &state.flavour.catalogue;
            let limits = [("static_ips", catalogue.static_ips), ("load_balancers", catalogue.load_balancers)];
            let quota =
                |(what, limit): (&str, Option<usize>)| Some(Quota { what: what.to_owned(), limit: limit? as u64 });
            let quotas = limits.into_iter().filter_map(quota).collect();
            Ok(Account { id: "1".to_owned(), name: "tests".to_owned(), quotas })
        };
        self.read("account", account).await
    }

    fn endpoints(&self) -> Vec<String> {
        vec!["memory:".to_owned()]
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
        self.descriptor().has(Capability::StaticIp).then_some(self as _)
    }

    fn load_balancers(&self) -> Option<&dyn LoadBalancers> {
        self.descriptor().has(Capability::LoadBalancer).then_some(self as _)
    }

    fn dns_zones(&self) -> Option<&dyn DnsZones> {
        self.descriptor().has(Capability::Dns).then_some(self as _)
    }

    fn login_keys(&self) -> Option<&dyn LoginKeys> {
        self.descriptor().has(Capability::LoginKey).then_some(self as _)
    }

    fn markers(&self) -> Option<&dyn Markers> {
        self.descriptor().has(Capability::Marker).then_some(self as _)
    }

    fn strays(&self) -> Option<&dyn Strays> {
        self.descriptor().has(Capability::Strays).then_some(self as _)
    }
}
