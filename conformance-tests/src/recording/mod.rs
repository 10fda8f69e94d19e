//! A provider that writes into a ledger what it is about to make.
//!
//! Every method is forwarded; those that make something write their intent first, and are not called when that fails. A
//! trait method that is added later and not forwarded here does not compile, or is denied by clippy.

#![deny(clippy::missing_trait_methods)]

mod balancers;
mod concerns;
mod machines;

use std::sync::Arc;

use async_trait::async_trait;
use remint_core::provider::{
    Account, Calls, Descriptor, DnsZones, Error, ErrorKind, Images, Instances, LoadBalancers, LoginKeys, Markers,
    Provider, Result, StaticIps, Strays,
};

use crate::{Ledger, ledger::LedgerError};

/// A provider that writes into a ledger what it is about to make.
#[derive(Debug, Clone)]
pub struct Recorded {
    inner: Arc<dyn Provider>,
    ledger: Ledger,
}

impl Recorded {
    /// Around a provider.
    pub fn new(inner: Arc<dyn Provider>, ledger: Ledger) -> Self {
        Self { inner, ledger }
    }
}

/// What a call answers that did not go out, since its intent could not be written.
fn unwritten(operation: &'static str) -> impl Fn(LedgerError) -> Error {
    move |error| {
        Error::new(ErrorKind::Unexpected, operation, "the ledger cannot be written, so nothing was asked")
            .with_source(error)
    }
}

#[async_trait]
impl Provider for Recorded {
    fn descriptor(&self) -> &'static Descriptor {
        self.inner.descriptor()
    }

    async fn account(&self) -> Result<Account> {
        self.inner.account().await
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
