//! The places in which a provider can be broken.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use futures::future::BoxFuture;
use remint_conformance::LostReply;
use remint_core::fake::{Actor, FakeCloud, State, Transaction};
use remint_core::provider::{
    Account, Calls, Capability, CaptureProgress, CaptureSpec, Descriptor, Error, Image, ImageId, Instance, InstanceId,
    Labels, LaunchSpec, LoadBalancer, LoadBalancerId, LoadBalancerSpec, LoginKey, LoginKeyId, Member, Owner, PowerOp,
    RecordKind, RecordSet, Region, Result, Selector, Shape, SizeName, StaticIp, StaticIpId, StaticIpSpec, Stray, Zone,
};
use serde::{Serialize, de::DeserializeOwned};

use crate::cloud::operation;

/// What the cloud calls a request that nothing comes between.
const SOMETHING: &str = "change something";

/// What a fault works with: the provider that does it right, its cloud, and a memory of its own.
#[derive(Debug)]
pub(crate) struct Around {
    /// The provider that does it right.
    pub(crate) model: FakeCloud,
    /// Calls that nobody makes.
    pub(super) unused: Calls,
    notes: Mutex<BTreeMap<String, String>>,
    /// Held by faults that do one thing at a time.
    pub(crate) turn: tokio::sync::Mutex<()>,
}

/// Shared by the calls of one sabotaged provider.
pub(crate) type On = Arc<Around>;

impl Around {
    pub(super) fn new(model: FakeCloud, unused: Calls) -> Self {
        Self { model, unused, notes: Mutex::default(), turn: tokio::sync::Mutex::default() }
    }

    /// One call that reads.
    pub(crate) async fn read<T>(&self, read: impl Fn(&State) -> Result<T>) -> Result<T> {
        self.model.read("look", read).await
    }

    /// One call that changes something. The cloud's tokens make one of its repetitions.
    pub(crate) async fn change<T: Send + 'static>(
        &self,
        call: impl Into<Option<LostReply>>,
        change: impl Fn(&mut Transaction<'_>) -> Result<T> + Send + Sync + 'static,
    ) -> Result<T> {
        self.model.change(call.into().map_or(SOMETHING, operation), change).await
    }

    /// The same without a token: what its reply does not tell is not known.
    pub(crate) async fn change_once<T: Send + 'static>(
        &self,
        call: LostReply,
        change: impl Fn(&mut Transaction<'_>) -> Result<T> + Send + Sync + 'static,
    ) -> Result<T> {
        self.model.change_once(operation(call), change).await
    }

    /// One call that is never repeated and not counted, with credentials that are always good.
    pub(crate) async fn serve<T: Send + 'static>(
        &self,
        call: impl Into<Option<LostReply>>,
        change: impl Fn(&mut Transaction<'_>) -> Result<T> + Send + Sync + 'static,
    ) -> Result<T> {
        let actor = Actor("saboteur".to_owned());
        self.model.world().request(actor, call.into().map_or(SOMETHING, operation), change).await
    }

    /// Notes what is known of a thing.
    pub(crate) fn note<T: Serialize>(&self, thing: impl Into<String>, what: &T) {
        let text = serde_json::to_string(what).unwrap_or_default();
        self.notes.lock().unwrap_or_else(PoisonError::into_inner).insert(thing.into(), text);
    }

    /// What was noted last of a thing.
    pub(crate) fn recall<T: DeserializeOwned>(&self, thing: &str) -> Option<T> {
        let notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        notes.get(thing).and_then(|text| serde_json::from_str(text).ok())
    }
}

macro_rules! faults {
    ($($(#[doc = $doc:literal])+ $name:ident($($argument:ty),*) -> $answer:ty;)*) => {
        /// What is broken. Most take the place of one method.
        pub(crate) enum Fault {
            $($(#[doc = $doc])+ $name(fn(On, $($argument),*) -> BoxFuture<'static, Result<$answer>>),)*
            /// Every error passes through this.
            Errors(fn(Error) -> Error),
            /// Something else is declared than the provider does.
            Descriptor(&'static Descriptor),
            /// The concern of this capability is declared, and `None`.
            Without(Capability),
            /// The concern of this capability is not declared, and there.
            With(Capability),
            /// [`remint_core::provider::Provider::calls`] gives a meter that no call goes through.
            Uncounted,
        }
    };
}

faults! {
    /// [`remint_core::provider::Provider::account`].
    Account() -> Account;
    /// [`remint_core::provider::Instances::shape`].
    Shape(SizeName, Region) -> Shape;
    /// [`remint_core::provider::Instances::launch`].
    Launch(LaunchSpec) -> Vec<Instance>;
    /// [`remint_core::provider::Instances::list`].
    ListInstances(Selector) -> Vec<Instance>;
    /// [`remint_core::provider::Instances::get`].
    GetInstance(InstanceId) -> Instance;
    /// [`remint_core::provider::Instances::power`].
    Power(InstanceId, PowerOp) -> ();
    /// [`remint_core::provider::Instances::label`].
    Label(InstanceId, Labels) -> ();
    /// [`remint_core::provider::Instances::destroy`].
    Destroy(InstanceId) -> ();
    /// [`remint_core::provider::Instances::console_output`].
    Console(InstanceId) -> String;
    /// [`remint_core::provider::Images::resolve`].
    Resolve(String, Region) -> Image;
    /// [`remint_core::provider::Images::capture`].
    Capture(CaptureSpec) -> CaptureProgress;
    /// [`remint_core::provider::Images::list`].
    ListImages(Selector) -> Vec<Image>;
    /// [`remint_core::provider::Images::get`].
    GetImage(ImageId) -> Image;
    /// [`remint_core::provider::Images::label`].
    LabelImage(ImageId, Labels) -> ();
    /// [`remint_core::provider::Images::copy`].
    CopyImage(ImageId, Region) -> ();
    /// [`remint_core::provider::Images::delete`].
    DeleteImage(ImageId) -> ();
    /// [`remint_core::provider::StaticIps::ensure`].
    EnsureStaticIp(StaticIpSpec) -> StaticIp;
    /// [`remint_core::provider::StaticIps::list`].
    ListStaticIps(Selector) -> Vec<StaticIp>;
    /// [`remint_core::provider::StaticIps::get`].
    GetStaticIp(StaticIpId) -> StaticIp;
    /// [`remint_core::provider::StaticIps::assign`].
    Assign(StaticIpId, InstanceId) -> ();
    /// [`remint_core::provider::StaticIps::label`].
    LabelStaticIp(StaticIpId, Labels) -> ();
    /// [`remint_core::provider::StaticIps::unassign`].
    Unassign(StaticIpId) -> ();
    /// [`remint_core::provider::StaticIps::release`].
    Release(StaticIpId) -> ();
    /// [`remint_core::provider::LoadBalancers::ensure`].
    EnsureLoadBalancer(LoadBalancerSpec) -> LoadBalancer;
    /// [`remint_core::provider::LoadBalancers::list`].
    ListLoadBalancers(String) -> Vec<LoadBalancer>;
    /// [`remint_core::provider::LoadBalancers::get`].
    GetLoadBalancer(LoadBalancerId) -> LoadBalancer;
    /// [`remint_core::provider::LoadBalancers::members`].
    ListMembers(LoadBalancerId) -> Vec<Member>;
    /// [`remint_core::provider::LoadBalancers::attach`].
    AttachMembers(LoadBalancerId, Vec<InstanceId>) -> ();
    /// [`remint_core::provider::LoadBalancers::detach`].
    DetachMembers(LoadBalancerId, Vec<InstanceId>) -> ();
    /// [`remint_core::provider::LoadBalancers::destroy`].
    DestroyLoadBalancer(LoadBalancerId) -> ();
    /// [`remint_core::provider::DnsZones::zone`].
    GetZone(String) -> Zone;
    /// [`remint_core::provider::DnsZones::get`].
    GetRecord(String, String, RecordKind) -> Option<RecordSet>;
    /// [`remint_core::provider::DnsZones::upsert`].
    Upsert(RecordSet) -> ();
    /// [`remint_core::provider::DnsZones::remove`].
    RemoveRecord(String, String, RecordKind) -> ();
    /// [`remint_core::provider::LoginKeys::ensure`].
    EnsureLoginKey(String, String) -> LoginKey;
    /// [`remint_core::provider::LoginKeys::list`].
    ListLoginKeys(String) -> Vec<LoginKey>;
    /// [`remint_core::provider::LoginKeys::remove`].
    RemoveLoginKey(LoginKeyId) -> ();
    /// [`remint_core::provider::Markers::get`].
    GetMarker(String) -> Option<String>;
    /// [`remint_core::provider::Markers::set`].
    SetMarker(String, String) -> ();
    /// [`remint_core::provider::Markers::remove`].
    RemoveMarker(String) -> ();
    /// [`remint_core::provider::Strays::list`].
    ListStrays(Owner) -> Vec<Stray>;
    /// [`remint_core::provider::Strays::remove`].
    RemoveStray(Owner, Stray) -> ();
}
