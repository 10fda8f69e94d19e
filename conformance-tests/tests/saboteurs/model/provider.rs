//! The provider of the account.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use remint_conformance::LostReply;
use remint_core::provider::{
    Account, CallClass, Calls, Capability, Descriptor, DnsZones, Error, ErrorKind, Guest, Images, InstanceId,
    Instances, Limits, LoginKeys, Markers, Provider, Quota, RatePolicy, Result, RetryPolicy, StaticIps, Strays,
};

use super::{Cloud, World, cloud::STATIC_IP_LIMIT};

/// The limits of the cloud.
pub(crate) const LIMITS: Limits = Limits {
    user_data_bytes: 32 * 1024,
    launch_batch: 5,
    dns_min_ttl: Duration::from_secs(30),
    name_length: 63,
    launch_time: Duration::from_secs(20),
    capture_time: Duration::from_secs(30),
    assign_time: Duration::from_secs(2),
    destroy_time: Duration::from_secs(2),
    settle_time: Duration::from_secs(10),
};

/// Everything is declared; other descriptors are made from this one.
pub(crate) const WHOLE: Descriptor = Descriptor {
    id: "model",
    title: "A cloud that does not exist",
    capabilities: Capability::ALL,
    limits: LIMITS,
    guest: Guest::CLOUD_INIT,
};

/// Everything is declared.
pub(crate) static FULL: Descriptor = WHOLE;

/// Nothing is declared.
pub(crate) static MODEST: Descriptor =
    Descriptor { capabilities: &[], limits: Limits { launch_batch: 1, ..LIMITS }, ..WHOLE };

/// The provider: one set of credentials for a cloud. It keeps every sentence of the contracts.
#[derive(Debug)]
pub(crate) struct Model {
    pub(crate) cloud: Arc<Cloud>,
    pub(super) descriptor: &'static Descriptor,
    calls: Calls,
    /// Whether the cloud takes the credentials.
    admitted: bool,
    /// Instances that this process launched, and that lists may not show yet.
    pub(super) launched: Mutex<BTreeSet<InstanceId>>,
}

impl Model {
    /// A provider for the cloud that declares what the descriptor says.
    pub(crate) fn new(cloud: &Arc<Cloud>, descriptor: &'static Descriptor) -> Self {
        let rate = RatePolicy { burst: 100_000, per_second: 1000.0, reserved_for_mutations: 1 };
        let calls = Calls::new(rate, RetryPolicy::default());
        Self { cloud: Arc::clone(cloud), descriptor, calls, admitted: true, launched: Mutex::default() }
    }

    /// The same with credentials that the cloud refuses.
    pub(crate) fn stranger(cloud: &Arc<Cloud>, descriptor: &'static Descriptor) -> Self {
        Self { admitted: false, ..Self::new(cloud, descriptor) }
    }

    /// One call that reads.
    pub(crate) async fn read<T>(&self, work: impl Fn(&mut World) -> Result<T>) -> Result<T> {
        self.calls.run(CallClass::Read, || self.cloud.serve(None, |world| self.admit(world, &work))).await
    }

    /// One call that changes something. The cloud's tokens make one of its repetitions.
    pub(crate) async fn change<T>(
        &self,
        reply: impl Into<Option<LostReply>>,
        work: impl Fn(&mut World) -> Result<T>,
    ) -> Result<T> {
        let (class, reply) = (CallClass::IdempotentMutation, reply.into());
        self.calls.run(class, || self.cloud.serve(reply, |world| self.admit(world, &work))).await
    }

    /// The same without a token: what its reply does not tell is not known.
    pub(crate) async fn change_once<T>(&self, reply: LostReply, work: impl Fn(&mut World) -> Result<T>) -> Result<T> {
        let serve = || self.cloud.serve(Some(reply), |world| self.admit(world, &work));
        self.calls.run(CallClass::Mutation, serve).await
    }

    fn admit<T>(&self, world: &mut World, work: impl Fn(&mut World) -> Result<T>) -> Result<T> {
        if !self.admitted {
            return Err(Error::new(ErrorKind::Unauthenticated, "authenticate", "the credentials are not known"));
        }
        work(world)
    }

    /// Refuses what needs a capability that is not declared.
    pub(super) fn needs(&self, operation: &'static str, capability: Capability) -> Result<()> {
        if self.descriptor.has(capability) { Ok(()) } else { Err(Error::unsupported(operation, capability)) }
    }
}

#[async_trait]
impl Provider for Model {
    fn descriptor(&self) -> &'static Descriptor {
        self.descriptor
    }

    async fn account(&self) -> Result<Account> {
        let limit = STATIC_IP_LIMIT as u64;
        self.read(|_| {
            let quotas = vec![Quota { what: "static_ips".to_owned(), limit }];
            Ok(Account { id: "acc-1".to_owned(), name: "conformance".to_owned(), quotas })
        })
        .await
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
        self.descriptor.has(Capability::StaticIp).then_some(self as _)
    }

    fn dns_zones(&self) -> Option<&dyn DnsZones> {
        self.descriptor.has(Capability::Dns).then_some(self as _)
    }

    fn login_keys(&self) -> Option<&dyn LoginKeys> {
        self.descriptor.has(Capability::LoginKey).then_some(self as _)
    }

    fn markers(&self) -> Option<&dyn Markers> {
        self.descriptor.has(Capability::Marker).then_some(self as _)
    }

    fn strays(&self) -> Option<&dyn Strays> {
        self.descriptor.has(Capability::Strays).then_some(self as _)
    }
}
