//! What a case makes, written down before it is made, so that whatever else is found afterwards is a leak.

use std::sync::{Mutex, MutexGuard, PoisonError};

use remint_core::provider::{RecordKind, StaticIpId};

/// What a case makes. Names are written down before the call that makes them.
#[derive(Debug, Default)]
pub struct Ledger {
    entries: Mutex<Entries>,
}

#[derive(Debug, Default)]
pub(crate) struct Entries {
    pub(crate) instances: Vec<String>,
    pub(crate) images: Vec<String>,
    pub(crate) static_ips: Vec<StaticIpId>,
    pub(crate) records: Vec<(String, RecordKind)>,
    pub(crate) login_keys: Vec<String>,
}

impl Ledger {
    /// An instance of this name may come to be.
    pub fn instance(&self, name: &str) {
        self.lock().instances.push(name.to_owned());
    }

    /// An image of this name may come to be.
    pub fn image(&self, name: &str) {
        self.lock().images.push(name.to_owned());
    }

    /// This static IP was made; it has no name that could be known before.
    pub fn static_ip(&self, id: &StaticIpId) {
        self.lock().static_ips.push(id.clone());
    }

    /// A record set of this name in the target's zone may come to be.
    pub fn record(&self, name: &str, kind: RecordKind) {
        self.lock().records.push((name.to_owned(), kind));
    }

    /// A login key of this name may come to be.
    pub fn login_key(&self, name: &str) {
        self.lock().login_keys.push(name.to_owned());
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
