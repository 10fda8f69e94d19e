//! The ledger of one case.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
};

use remint_core::provider::{Instance, InstanceId, StaticIpId};

use super::{LedgerError, LedgerFile, Resource, Step};

/// What one case makes: in memory, and in a file where the run has one. Written by the [`crate::Recorded`] provider.
#[derive(Debug, Clone)]
pub struct Ledger {
    case: &'static str,
    made: Arc<Mutex<BTreeSet<Resource>>>,
    launched: Arc<Mutex<BTreeSet<InstanceId>>>,
    captures: Arc<Mutex<BTreeMap<String, InstanceId>>>,
    file: Option<Arc<LedgerFile>>,
}

impl Ledger {
    /// An empty one.
    pub fn new(case: &'static str, file: Option<Arc<LedgerFile>>) -> Self {
        Self { case, made: Arc::default(), launched: Arc::default(), captures: Arc::default(), file }
    }

    /// These may come to be. Returns once that is on the disk, where there is a file.
    ///
    /// # Errors
    ///
    /// When it cannot be written: then the call that makes them must not go out.
    pub async fn intend(&self, resources: Vec<Resource>) -> Result<(), LedgerError> {
        self.write(Step::Intent, resources.clone()).await?;
        self.made.lock().unwrap_or_else(PoisonError::into_inner).extend(resources);
        Ok(())
    }

    /// These instances have come to be, or were there: for the count of what a case costs.
    pub fn note_launched(&self, instances: &[Instance]) {
        let ids = instances.iter().map(|instance| instance.id.clone());
        self.launched.lock().unwrap_or_else(PoisonError::into_inner).extend(ids);
    }

    /// How many instances launches have returned.
    pub fn launched(&self) -> usize {
        self.launched.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// This static IP has come to be; it had no id before.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub async fn made_static_ip(&self, instance: &InstanceId, id: &StaticIpId) -> Result<(), LedgerError> {
        let resource = Resource::StaticIp { instance: instance.clone(), id: Some(id.clone()) };
        let new = self.made.lock().unwrap_or_else(PoisonError::into_inner).insert(resource.clone());
        if new { self.write(Step::Made, vec![resource]).await } else { Ok(()) }
    }

    /// An image of this name may come to be from this instance.
    ///
    /// # Errors
    ///
    /// As [`Ledger::intend`].
    pub async fn capturing(&self, name: &str, instance: &InstanceId) -> Result<(), LedgerError> {
        self.intend(vec![Resource::Image { name: name.to_owned(), instance: Some(instance.clone()) }]).await?;
        let mut captures = self.captures.lock().unwrap_or_else(PoisonError::into_inner);
        captures.insert(name.to_owned(), instance.clone());
        Ok(())
    }

    /// No image of this name is under way any more: the cloud refused the capture, or it came to nothing.
    pub fn not_captured(&self, name: &str) {
        self.captures.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
    }

    /// The image of this name is there, with its labels.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub async fn made_image(&self, name: &str) -> Result<(), LedgerError> {
        self.not_captured(name);
        let resource = Resource::Image { name: name.to_owned(), instance: None };
        let new = self.made.lock().unwrap_or_else(PoisonError::into_inner).insert(resource.clone());
        if new { self.write(Step::Made, vec![resource]).await } else { Ok(()) }
    }

    /// Captures that may be under way: the images' names, and the instances.
    pub fn captures(&self) -> BTreeMap<String, InstanceId> {
        self.captures.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Everything that the case made is gone.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub async fn clean(&self) -> Result<(), LedgerError> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner).clear();
        self.captures.lock().unwrap_or_else(PoisonError::into_inner).clear();
        match &self.file {
            Some(file) => file.append(self.case, Step::Clean, Vec::new()).await,
            None => Ok(()),
        }
    }

    /// What may have come to be so far.
    pub fn made(&self) -> BTreeSet<Resource> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn write(&self, step: Step, resources: Vec<Resource>) -> Result<(), LedgerError> {
        match &self.file {
            Some(file) => file.append(self.case, step, resources).await,
            None => Ok(()),
        }
    }
}
