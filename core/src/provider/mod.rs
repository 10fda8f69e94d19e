//! The contracts that a cloud implements, and what stands around them.
//!
//! One object-safe trait per concern: [`Images`], [`Instances`], [`StaticIps`], [`LoadBalancers`], [`DnsZones`],
//! [`LoginKeys`], [`Markers`], [`Strays`], tied together by [`Provider`]. Every method's documentation says what it requires, how it behaves, whether it may be
//! repeated and how it fails; the conformance suite holds providers to those words.
//!
//! Three rules hold for all of them:
//!
//! - **A mutation may be repeated.** It takes a deterministic name and [`Labels`]; calling it again after any outcome, a
//!   lost reply included, gives the same one resource.
//! - **A mutation returns when the cloud has accepted it.** Observing the effect is separate, and level-triggered: read
//!   the state, decide, wait. `crate::watch` does so for all waiters at once.
//! - **An error says what it did.** [`Error::effect`] tells whether the call changed anything; only that decides whether
//!   it may be repeated blindly.

mod account;
mod capability;
mod contract;
mod descriptor;
mod dns;
mod error;
mod fence;
mod guest;
mod ids;
mod image;
mod instance;
mod labels;
mod load_balancer;
mod login_key;
mod marker;
mod nearest;
mod network;
mod registry;
mod requests;
mod static_ip;
mod stray;
pub mod support;
mod user_data;

pub use account::{Account, Limits, Quota};
pub use capability::Capability;
pub use contract::CONTRACTS;
pub use descriptor::Descriptor;
pub use dns::{DnsZones, RecordKind, RecordSet, Zone};
pub use error::{Effect, Error, ErrorKind, Result};
pub use fence::Fence;
pub use guest::{Guest, GuestFile};
pub use ids::{
    EnvironmentId, EnvironmentName, Fingerprint, ImageId, InstanceId, LoadBalancerId, LoginKeyId, ProviderId, Region,
    ReleaseId, ServiceId, SizeName, StaticIpId, StrayId,
};
pub use image::{CaptureProgress, CaptureSpec, Image, ImageState, Images, Regions};
pub use instance::{Instance, InstanceState, Instances, LaunchSpec, PowerOp, Shape};
pub use labels::{Labels, Selector, label};
pub use load_balancer::{
    CheckProtocol, Endpoint, Listener, ListenerProtocol, LoadBalancer, LoadBalancerSettings, LoadBalancerSpec,
    LoadBalancerState, LoadBalancers, Member, MemberCheck, MemberHealth,
};
pub use login_key::{LoginKey, LoginKeys};
pub use marker::{Markers, is_marker_name, is_marker_value};
pub use nearest::nearest;
pub use network::{Address, PortMap};
pub use registry::{
    BaseCheck, BaseCheckFn, BuildContext, BuildFn, Environment, Program, Registration, Registry, UnknownProvider, Usual,
};
pub use requests::is_record_name;
pub use static_ip::{StaticIp, StaticIpSpec, StaticIps};
pub use stray::{Owner, Stray, StrayKind, Strays};
// What `Provider::calls` gives, and what it is made with. The rest of `support` is for providers alone.
pub use support::{Call, CallClass, CallCount, Calls, RatePolicy, RetryPolicy};
pub use user_data::{is_packed, user_data_size};

use async_trait::async_trait;

/// A cloud, as Remint sees it: one account in it, reached with one set of credentials.
///
/// Built by the function in its [`Registration`]. All methods may be called concurrently.
#[async_trait]
pub trait Provider: Send + Sync + std::fmt::Debug {
    /// What is known about this provider without asking the cloud: its id, capabilities and limits.
    fn descriptor(&self) -> &'static Descriptor;

    /// Checks the credentials and returns who they belong to.
    ///
    /// - *Behaviour*: one read; changes nothing.
    /// - *Errors*: `Unauthenticated` when the cloud refuses the credentials, `Forbidden` when the account is suspended.
    async fn account(&self) -> Result<Account>;

    /// Where its APIs are, and so where credentials are sent: `https://api.example.com`, each address once. Asks nobody.
    ///
    /// The addresses are the cloud's own, or what the environment says. A manifest, which may come from anybody, cannot
    /// change them.
    fn endpoints(&self) -> Vec<String>;

    /// The meter and retry layer that every call of this provider goes through.
    fn calls(&self) -> &Calls;

    /// Machine images.
    fn images(&self) -> &dyn Images;

    /// Virtual machines.
    fn instances(&self) -> &dyn Instances;

    /// Addresses that outlive an instance. `Some` exactly when [`Capability::StaticIp`] is declared.
    fn static_ips(&self) -> Option<&dyn StaticIps>;

    /// Load balancers. `Some` exactly when [`Capability::LoadBalancer`] is declared.
    fn load_balancers(&self) -> Option<&dyn LoadBalancers>;

    /// DNS zones. `Some` exactly when [`Capability::Dns`] is declared.
    fn dns_zones(&self) -> Option<&dyn DnsZones>;

    /// Login keys registered with the account. `Some` exactly when [`Capability::LoginKey`] is declared.
    fn login_keys(&self) -> Option<&dyn LoginKeys>;

    /// Small named values kept with the account. `Some` exactly when [`Capability::Marker`] is declared.
    fn markers(&self) -> Option<&dyn Markers>;

    /// What was created beside what was asked for. `Some` exactly when [`Capability::Strays`] is declared.
    fn strays(&self) -> Option<&dyn Strays>;
}
