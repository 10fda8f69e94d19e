//! A provider that keeps what it is asked for, so that a run on a real account can be looked into afterwards.
//!
//! Every method is forwarded. It is the outermost wrapper but for [`crate::Recorded`], and unlike that one it changes nothing: what
//! it keeps is for people.

#![deny(clippy::missing_trait_methods)]

mod concerns;
mod log;
mod machines;

use std::sync::Arc;

use async_trait::async_trait;
use remint_core::provider::{
    Account, Calls, Descriptor, DnsZones, Error, ErrorKind, Images, Instances, LoginKeys, Markers, Provider, Result,
    StaticIps, Strays,
};

pub use log::{CallLine, CallLog};

/// A provider that keeps what it is asked for.
#[derive(Debug, Clone)]
pub struct Told {
    inner: Arc<dyn Provider>,
    log: CallLog,
}

impl Told {
    /// Around a provider.
    pub fn new(inner: Arc<dyn Provider>, log: CallLog) -> Self {
        Self { inner, log }
    }
}

/// A concern that the inner provider has: only then is the wrapper's own handed out.
fn there<'a, T: ?Sized>(concern: Option<&'a T>, operation: &'static str) -> Result<&'a T> {
    concern.ok_or_else(|| Error::new(ErrorKind::Unsupported, operation, "the provider does not have this concern"))
}

#[async_trait]
impl Provider for Told {
    fn descriptor(&self) -> &'static Descriptor {
        self.inner.descriptor()
    }

    async fn account(&self) -> Result<Account> {
        self.log.told(self.inner.calls(), "read account", "", self.inner.account()).await
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
