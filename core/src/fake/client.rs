//! One process's way to the cloud.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use std::time::Duration;
use tokio::time::Instant;

use super::{
    Actor, Flavour, Kill, Pace, State, World,
    faults::{Read, SETTLES, STALEST},
    world::{Done, Moment, Order},
};
use crate::provider::{
    Account, Call, CallClass, Calls, Capability, Descriptor, DnsZones, Error, ErrorKind, Guest, Images, Instances,
    Limits, LoginKeys, Markers, Provider, RatePolicy, Result, RetryPolicy, StaticIps, Strays,
};

/// What the fake cloud declares where static IPs carry labels.
static LABELLED: Descriptor = Descriptor {
    id: "fake",
    title: "Fake cloud",
    capabilities: &[
        Capability::ImageCopyRegions,
        Capability::InstanceLaunchBatch,
        Capability::InstanceConsole,
        Capability::InstanceRelabel,
        Capability::StaticIp,
        Capability::StaticIpReassign,
        Capability::StaticIpLabels,
        Capability::Dns,
        Capability::LoginKey,
        Capability::Marker,
        Capability::Strays,
    ],
    limits: LIMITS,
    guest: Guest::CLOUD_INIT,
};

/// And where they do not.
static UNLABELLED: Descriptor = Descriptor {
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
        Capability::Strays,
    ],
    ..LABELLED
};

const LIMITS: Limits = Limits {
    user_data_bytes: 64 * 1024,
    launch_batch: 10,
    dns_min_ttl: Duration::from_secs(30),
    name_length: 63,
    launch_time: Duration::from_secs(20),
    capture_time: Duration::from_secs(60),
    assign_time: Duration::from_secs(5),
    destroy_time: Duration::from_secs(3),
    settle_time: SETTLES,
};

/// A client of the fake cloud: what a process has of it. Every mutation and every read goes through its [`Calls`].
#[derive(Debug)]
pub(crate) struct FakeCloud {
    pub(super) world: Arc<World>,
    pub(crate) kill: Arc<Kill>,
    actor: Actor,
    calls: Calls,
    /// When this client last changed something: its lists show that, however far they lag.
    wrote: Mutex<Option<Instant>>,
}

impl FakeCloud {
    /// A world of its own, in which everything is at once and nothing fails.
    pub(crate) fn new(pace: Pace) -> Arc<Self> {
        // An error that a test asks for comes at once: repeating is tested elsewhere.
        let retry = RetryPolicy { attempts: 1, ..RetryPolicy::default() };
        Self::client(World::new(pace, Flavour::default()), Actor("test".to_owned()), retry, Arc::default())
    }

    /// A client of a world, for one process.
    pub(crate) fn client(world: Arc<World>, actor: Actor, retry: RetryPolicy, kill: Arc<Kill>) -> Arc<Self> {
        let rate = RatePolicy { burst: 10_000, per_second: 1000.0, reserved_for_mutations: 1 };
        let calls = Calls::new(rate, retry);
        Arc::new(Self { world, kill, actor, calls, wrote: Mutex::default() })
    }

    /// One mutation. The process can die before it is sent, and behind its reply.
    pub(super) async fn mutate<T, F>(&self, class: CallClass, operation: &'static str, apply: F) -> Result<T>
    where
        T: Send + 'static,
        F: Fn(&mut State, &Moment) -> Result<Done<T>> + Send + Sync + 'static,
    {
        let apply = Arc::new(apply);
        let called = Instant::now();
        let attempt = || {
            let apply = Arc::clone(&apply);
            async move {
                self.kill.step().await;
                let order = Order { actor: self.actor.clone(), operation, called };
                let (value, changed) = self.world.submit(order, apply).await?;
                if changed {
                    *self.wrote.lock().unwrap() = Some(Instant::now());
                    self.kill.step().await;
                }
                Ok(value)
            }
        };
        self.calls.run(Call { class, operation, resource: None }, attempt).await
    }

    /// One read of one thing. It may lag behind, though never behind this client's own changes.
    pub(super) async fn read<T>(&self, operation: &'static str, read: impl Fn(&State) -> Result<T>) -> Result<T> {
        self.look(operation, Read::Get, read).await
    }

    /// One read of a list, which may lag behind in the same way.
    pub(super) async fn read_list<T>(&self, operation: &'static str, read: impl Fn(&State) -> T) -> Result<T> {
        self.look(operation, Read::List, |state| Ok(read(state))).await
    }

    async fn look<T>(&self, operation: &'static str, kind: Read, read: impl Fn(&State) -> Result<T>) -> Result<T> {
        let look = || async {
            self.kill.step().await;
            let wrote = self.wrote.lock().unwrap().unwrap_or_else(|| Instant::now() - STALEST);
            self.world.look((&self.actor, operation), kind, wrote, &read).await
        };
        self.calls.run(Call { class: CallClass::Read, operation, resource: None }, look).await
    }
}

pub(super) fn not_found(operation: &'static str, what: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::NotFound, operation, "").with_resource(what)
}

#[async_trait]
impl Provider for FakeCloud {
    fn descriptor(&self) -> &'static Descriptor {
        if self.world.flavour().labelled_ips { &LABELLED } else { &UNLABELLED }
    }

    async fn account(&self) -> Result<Account> {
        let account = Account { id: "1".to_owned(), name: "tests".to_owned(), quotas: Vec::new() };
        self.read("account", |_| Ok(account.clone())).await
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
        Some(self)
    }
}
