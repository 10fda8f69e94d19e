//! The provider that forwards everything but one method.

#![deny(clippy::missing_trait_methods, reason = "what is not forwarded would be a second fault")]

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use remint_core::provider::{
    Account, Calls, Capability, CaptureProgress, CaptureSpec, Descriptor, DnsZones, Image, ImageId, Images, Instance,
    InstanceId, Instances, Labels, LaunchSpec, LoadBalancer, LoadBalancerId, LoadBalancerSpec, LoadBalancers, LoginKey,
    LoginKeyId, LoginKeys, Markers, Member, Owner, PowerOp, Provider, RatePolicy, RecordKind, RecordSet, Region,
    Result, RetryPolicy, Selector, Shape, SizeName, StaticIp, StaticIpId, StaticIpSpec, StaticIps, Stray, Strays, Zone,
};

use super::{
    Fault,
    fault::{Around, On},
};
use remint_core::fake::FakeCloud;

/// The model with one fault.
pub(crate) struct Sabotaged {
    on: On,
    fault: &'static Fault,
}

impl Sabotaged {
    /// The model with this fault.
    pub(crate) fn new(model: FakeCloud, fault: &'static Fault) -> Self {
        let rate = RatePolicy { burst: 1, per_second: 1.0, reserved_for_mutations: 0 };
        let unused = Calls::new(rate, RetryPolicy::default());
        Self { on: Arc::new(Around::new(model, unused)), fault }
    }

    /// The answer, its error having passed through [`Fault::Errors`].
    fn tell<T>(&self, answer: Result<T>) -> Result<T> {
        match self.fault {
            Fault::Errors(change) => answer.map_err(change),
            _ => answer,
        }
    }

    fn has(&self, capability: Capability) -> bool {
        match self.fault {
            Fault::Without(lacking) if *lacking == capability => false,
            Fault::With(extra) if *extra == capability => true,
            _ => self.on.model.descriptor().has(capability),
        }
    }
}

impl fmt::Debug for Sabotaged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Sabotaged").field(&self.on).finish()
    }
}

/// The fault where it is this one, else the model's own method.
macro_rules! forward {
    ($self:ident, $place:ident, $concern:ident::$method:ident($($argument:ident),*)) => {
        match $self.fault {
            Fault::$place(broken) => broken(Arc::clone(&$self.on), $($argument.to_owned()),*).await,
            _ => $self.tell($concern::$method(&$self.on.model, $($argument),*).await),
        }
    };
}

#[async_trait]
impl Provider for Sabotaged {
    fn descriptor(&self) -> &'static Descriptor {
        match self.fault {
            Fault::Descriptor(descriptor) => descriptor,
            _ => self.on.model.descriptor(),
        }
    }

    async fn account(&self) -> Result<Account> {
        forward!(self, Account, Provider::account())
    }

    fn endpoints(&self) -> Vec<String> {
        self.on.model.endpoints()
    }

    fn calls(&self) -> &Calls {
        match self.fault {
            Fault::Uncounted => &self.on.unused,
            _ => self.on.model.calls(),
        }
    }

    fn images(&self) -> &dyn Images {
        self
    }

    fn instances(&self) -> &dyn Instances {
        self
    }

    fn static_ips(&self) -> Option<&dyn StaticIps> {
        self.has(Capability::StaticIp).then_some(self as _)
    }

    fn load_balancers(&self) -> Option<&dyn LoadBalancers> {
        self.has(Capability::LoadBalancer).then_some(self as _)
    }

    fn dns_zones(&self) -> Option<&dyn DnsZones> {
        self.has(Capability::Dns).then_some(self as _)
    }

    fn login_keys(&self) -> Option<&dyn LoginKeys> {
        self.has(Capability::LoginKey).then_some(self as _)
    }

    fn markers(&self) -> Option<&dyn Markers> {
        self.has(Capability::Marker).then_some(self as _)
    }

    fn strays(&self) -> Option<&dyn Strays> {
        self.has(Capability::Strays).then_some(self as _)
    }
}

#[async_trait]
impl Instances for Sabotaged {
    async fn shape(&self, size: &SizeName, region: &Region) -> Result<Shape> {
        forward!(self, Shape, Instances::shape(size, region))
    }

    async fn launch(&self, spec: &LaunchSpec) -> Result<Vec<Instance>> {
        forward!(self, Launch, Instances::launch(spec))
    }

    async fn list(&self, selector: &Selector) -> Result<Vec<Instance>> {
        forward!(self, ListInstances, Instances::list(selector))
    }

    async fn get(&self, id: &InstanceId) -> Result<Instance> {
        forward!(self, GetInstance, Instances::get(id))
    }

    async fn power(&self, id: &InstanceId, op: PowerOp) -> Result<()> {
        forward!(self, Power, Instances::power(id, op))
    }

    async fn label(&self, id: &InstanceId, labels: &Labels) -> Result<()> {
        forward!(self, Label, Instances::label(id, labels))
    }

    async fn withdraw_user_data(&self, id: &InstanceId) -> Result<bool> {
        self.tell(Instances::withdraw_user_data(&self.on.model, id).await)
    }

    async fn destroy(&self, id: &InstanceId) -> Result<()> {
        forward!(self, Destroy, Instances::destroy(id))
    }

    async fn console_output(&self, id: &InstanceId) -> Result<String> {
        forward!(self, Console, Instances::console_output(id))
    }
}

#[async_trait]
impl Images for Sabotaged {
    async fn resolve(&self, base: &str, region: &Region) -> Result<Image> {
        forward!(self, Resolve, Images::resolve(base, region))
    }

    async fn capture(&self, spec: &CaptureSpec) -> Result<CaptureProgress> {
        forward!(self, Capture, Images::capture(spec))
    }

    async fn list(&self, selector: &Selector) -> Result<Vec<Image>> {
        forward!(self, ListImages, Images::list(selector))
    }

    async fn get(&self, id: &ImageId) -> Result<Image> {
        forward!(self, GetImage, Images::get(id))
    }

    async fn label(&self, id: &ImageId, labels: &Labels) -> Result<()> {
        forward!(self, LabelImage, Images::label(id, labels))
    }

    async fn copy(&self, id: &ImageId, region: &Region) -> Result<()> {
        forward!(self, CopyImage, Images::copy(id, region))
    }

    async fn delete(&self, id: &ImageId) -> Result<()> {
        forward!(self, DeleteImage, Images::delete(id))
    }
}

#[async_trait]
impl StaticIps for Sabotaged {
    async fn ensure(&self, spec: &StaticIpSpec) -> Result<StaticIp> {
        forward!(self, EnsureStaticIp, StaticIps::ensure(spec))
    }

    async fn list(&self, selector: &Selector) -> Result<Vec<StaticIp>> {
        forward!(self, ListStaticIps, StaticIps::list(selector))
    }

    async fn get(&self, id: &StaticIpId) -> Result<StaticIp> {
        forward!(self, GetStaticIp, StaticIps::get(id))
    }

    async fn assign(&self, id: &StaticIpId, instance: &InstanceId) -> Result<()> {
        forward!(self, Assign, StaticIps::assign(id, instance))
    }

    async fn label(&self, id: &StaticIpId, labels: &Labels) -> Result<()> {
        forward!(self, LabelStaticIp, StaticIps::label(id, labels))
    }

    async fn unassign(&self, id: &StaticIpId) -> Result<()> {
        forward!(self, Unassign, StaticIps::unassign(id))
    }

    async fn release(&self, id: &StaticIpId) -> Result<()> {
        forward!(self, Release, StaticIps::release(id))
    }
}

#[async_trait]
impl LoadBalancers for Sabotaged {
    fn accepts(&self, spec: &LoadBalancerSpec) -> Result<()> {
        LoadBalancers::accepts(&self.on.model, spec)
    }

    async fn ensure(&self, spec: &LoadBalancerSpec) -> Result<LoadBalancer> {
        forward!(self, EnsureLoadBalancer, LoadBalancers::ensure(spec))
    }

    async fn list(&self, prefix: &str) -> Result<Vec<LoadBalancer>> {
        forward!(self, ListLoadBalancers, LoadBalancers::list(prefix))
    }

    async fn get(&self, id: &LoadBalancerId) -> Result<LoadBalancer> {
        forward!(self, GetLoadBalancer, LoadBalancers::get(id))
    }

    async fn members(&self, id: &LoadBalancerId) -> Result<Vec<Member>> {
        forward!(self, ListMembers, LoadBalancers::members(id))
    }

    async fn attach(&self, id: &LoadBalancerId, instances: &[InstanceId]) -> Result<()> {
        forward!(self, AttachMembers, LoadBalancers::attach(id, instances))
    }

    async fn detach(&self, id: &LoadBalancerId, instances: &[InstanceId]) -> Result<()> {
        forward!(self, DetachMembers, LoadBalancers::detach(id, instances))
    }

    async fn destroy(&self, id: &LoadBalancerId) -> Result<()> {
        forward!(self, DestroyLoadBalancer, LoadBalancers::destroy(id))
    }
}

#[async_trait]
impl DnsZones for Sabotaged {
    async fn zone(&self, name: &str) -> Result<Zone> {
        forward!(self, GetZone, DnsZones::zone(name))
    }

    async fn get(&self, zone: &str, name: &str, kind: RecordKind) -> Result<Option<RecordSet>> {
        forward!(self, GetRecord, DnsZones::get(zone, name, kind))
    }

    async fn upsert(&self, set: &RecordSet) -> Result<()> {
        forward!(self, Upsert, DnsZones::upsert(set))
    }

    async fn remove(&self, zone: &str, name: &str, kind: RecordKind) -> Result<()> {
        forward!(self, RemoveRecord, DnsZones::remove(zone, name, kind))
    }
}

#[async_trait]
impl LoginKeys for Sabotaged {
    async fn ensure(&self, name: &str, public_key: &str) -> Result<LoginKey> {
        forward!(self, EnsureLoginKey, LoginKeys::ensure(name, public_key))
    }

    async fn list(&self, prefix: &str) -> Result<Vec<LoginKey>> {
        forward!(self, ListLoginKeys, LoginKeys::list(prefix))
    }

    async fn remove(&self, id: &LoginKeyId) -> Result<()> {
        forward!(self, RemoveLoginKey, LoginKeys::remove(id))
    }
}

#[async_trait]
impl Markers for Sabotaged {
    async fn get(&self, name: &str) -> Result<Option<String>> {
        forward!(self, GetMarker, Markers::get(name))
    }

    async fn set(&self, name: &str, value: &str) -> Result<()> {
        forward!(self, SetMarker, Markers::set(name, value))
    }

    async fn remove(&self, name: &str) -> Result<()> {
        forward!(self, RemoveMarker, Markers::remove(name))
    }
}

#[async_trait]
impl Strays for Sabotaged {
    async fn list(&self, owner: &Owner) -> Result<Vec<Stray>> {
        forward!(self, ListStrays, Strays::list(owner))
    }

    async fn remove(&self, owner: &Owner, stray: &Stray) -> Result<()> {
        forward!(self, RemoveStray, Strays::remove(owner, stray))
    }
}
