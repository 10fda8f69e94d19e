//! A provider that keeps what it is asked for, so that a run on a real account can be looked into afterwards.
//!
//! Every method is forwarded. It is the outermost wrapper but for [`crate::Recorded`], and unlike that one it changes nothing: what
//! it keeps is for people.

#![deny(clippy::missing_trait_methods)]

mod balancers;
mod concerns;
mod log;
mod machines;

use std::sync::Arc;

use async_trait::async_trait;
use remint_core::provider::{
    Account, Calls, Descriptor, DnsZones, Images, Instances, LoadBalancers, LoginKeys, Markers, Provider, Result,
    StaticIps, Strays,
};

pub use log::{CallLine, CallLog};

/// A provider that keeps what it is asked for.
#[derive(Debug, Clone)]
pub struct Traced {
    inner: Arc<dyn Provider>,
    log: CallLog,
}

impl Traced {
    /// Around a provider.
    pub fn new(inner: Arc<dyn Provider>, log: CallLog) -> Self {
        Self { inner, log }
    }
}

#[async_trait]
impl Provider for Traced {
    fn descriptor(&self) -> &'static Descriptor {
        self.inner.descriptor()
    }

    async fn account(&self) -> Result<Account> {
        self.log.trace(self.inner.calls(), "read account", "", self.inner.account()).await
    }

    fn endpoints(&self) -> Vec<String> {
        self.inner.endpoints()
    }

    fn calls(&self) -> &Calls {
        self.inner.calls()
    }

    fn images(&self) -> &dyn Images {
        self
    }

    fn instances(&self) -> &dyn Instances {
        self
    }

    fn static_ips(&self) -> Option<&dyn StaticIps> {
        self.inner.static_ips().map(|_| self as _)
    }

    fn load_balancers(&self) -> Option<&dyn LoadBalancers> {
        self.inner.load_balancers().map(|_| self as _)
    }

    fn dns_zones(&self) -> Option<&dyn DnsZones> {
        self.inner.dns_zones().map(|_| self as _)
    }

    fn login_keys(&self) -> Option<&dyn LoginKeys> {
        self.inner.login_keys().map(|_| self as _)
    }

    fn markers(&self) -> Option<&dyn Markers> {
        self.inner.markers().map(|_| self as _)
    }

    fn strays(&self) -> Option<&dyn Strays> {
        self.inner.strays().map(|_| self as _)
    }
}
