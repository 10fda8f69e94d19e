//! Who a journal belongs to: the ids of its service and environments, and where an environment has ever stood.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Journal, JournalError, LockGuard, Place, Resources, layout::SERVICE};
use crate::provider::{EnvironmentId, ServiceId};

/// `service.json`: whose journal this is. All environments share it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceRecord {
    /// The service's name. A manifest of another name is refused.
    pub service: String,
    /// Its id, which its images carry.
    pub id: ServiceId,
    /// When this file was first written.
    pub created_at: Timestamp,
}

/// `ENV/environment.json`: one environment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnvironmentRecord {
    /// Its id, which its instances carry.
    pub id: EnvironmentId,
    /// Every place where something of it was ever created: written before the first call that creates anything there.
    pub places: Vec<Place>,
    /// Whether releases of a Remint that knew no ids are still to be labelled.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unlabelled: bool,
    /// When its part of the journal was created.
    pub created_at: Timestamp,
}

/// The ids that prove what is ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The service id and name: images carry them.
    pub service: ServiceRecord,
    /// The environment id and places: all other resources carry the id.
    pub environment: EnvironmentRecord,
}

impl Journal {
    fn environment_name(&self) -> String {
        format!("{}/environment.json", self.environment())
    }

    /// Whose journal this is; `None` for a new one, or one of a Remint that knew no ids.
    ///
    /// # Errors
    ///
    /// The store's.
    pub async fn service(&self) -> Result<Option<ServiceRecord>, JournalError> {
        self.store().get(SERVICE).await
    }

    /// The environment's record; `None` for a new environment, or one of a Remint that knew no ids.
    ///
    /// # Errors
    ///
    /// The store's.
    pub async fn environment_record(&self) -> Result<Option<EnvironmentRecord>, JournalError> {
        self.store().get(&self.environment_name()).await
    }

    /// The ids, where the journal has them.
    ///
    /// # Errors
    ///
    /// The store's.
    pub async fn identity(&self) -> Result<Option<Identity>, JournalError> {
        match (self.service().await?, self.environment_record().await?) {
            (Some(service), Some(environment)) => Ok(Some(Identity { service, environment })),
            // The service's is written first, and neither is ever removed.
            (None, Some(_)) => Err(JournalError::damaged(SERVICE, "it is missing, and with it the service's id")),
            (_, None) => Ok(None),
        }
    }

    /// The service's name that the journal is of: its own word, or that of the latest release of a Remint that knew no ids.
    ///
    /// # Errors
    ///
    /// The store's.
    pub async fn service_name(&self) -> Result<Option<String>, JournalError> {
        if let Some(record) = self.service().await? {
            return Ok(Some(record.service));
        }
        for environment in self.environments().await? {
            if let Some(last) = self.sibling(&environment).history().await?.last() {
                return Ok(Some(last.record.service.clone()));
            }
        }
        Ok(None)
    }

    /// Whether any environment was ever deployed with this journal.
    ///
    /// # Errors
    ///
    /// The store's.
    pub async fn has_releases(&self) -> Result<bool, JournalError> {
        for environment in self.environments().await? {
            if !self.sibling(&environment).history().await?.is_empty() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Makes sure that the journal has ids, before anything is changed.
    ///
    /// # Errors
    ///
    /// [`JournalError::OtherService`] when the journal is another service's; [`JournalError::Lost`] without the lock.
    pub async fn identify(&self, lock: &LockGuard, service: &str) -> Result<Identity, JournalError> {
        self.check_service(service).await?;
        self.identity().await?;
        lock.check().await?;
        let fresh =
            ServiceRecord { service: service.to_owned(), id: ServiceId::generate(), created_at: crate::clock::wall() };
        // Another environment's run may be first: then its id counts.
        let service = match self.service().await? {
            Some(record) => record,
            None if self.store().create(SERVICE, &fresh).await? => fresh,
            None => self.service().await?.unwrap_or(fresh),
        };
        let environment = match self.environment_record().await? {
            Some(record) => record,
            None => {
                let history = self.history().await?;
                let mut places: Vec<Place> = history.iter().map(|release| release.record.place()).collect();
                places.dedup();
                let record = EnvironmentRecord {
                    id: EnvironmentId::generate(),
                    places,
                    unlabelled: !history.is_empty(),
                    created_at: crate::clock::wall(),
                };
                // From now on, it is always there: one that is missing is noticed.
                self.set_resources(lock, &self.resources().await?).await?;
                lock.check().await?;
                // A run that has lost its lock may have been about to write its own: then the one that is there counts.
                match self.store().create(&self.environment_name(), &record).await? {
                    true => record,
                    false => self.environment_record().await?.unwrap_or(record),
                }
            }
        };
        Ok(Identity { service, environment })
    }

    /// Writes down the ids that resources carry whose journal is gone. What is there already stays.
    pub(super) async fn write_identity(
        &self,
        lock: &LockGuard,
        identity: &Identity,
        resources: &Resources,
    ) -> Result<(), JournalError> {
        lock.check().await?;
        self.store().create(SERVICE, &identity.service).await?;
        // What the journal knows already, it knows better.
        let mut all = self.resources().await?;
        all.owned.extend(resources.owned.iter().filter(|new| !all.has(new)).cloned().collect::<Vec<_>>());
        self.set_resources(lock, &all).await?;
        lock.check().await?;
        self.store().create(&self.environment_name(), &identity.environment).await?;
        Ok(())
    }

    /// Notes that something is about to be created at a place, so that it is looked for there for as long as the journal lasts.
    ///
    /// # Errors
    ///
    /// [`JournalError::Lost`] without the lock.
    pub(crate) async fn claim_place(&self, lock: &LockGuard, place: &Place) -> Result<(), JournalError> {
        let Some(mut record) = self.environment_record().await? else { return Ok(()) };
        if record.places.contains(place) {
            return Ok(());
        }
        record.places.push(place.clone());
        self.set_environment_record(lock, &record).await
    }

    /// Writes the environment's record.
    ///
    /// # Errors
    ///
    /// [`JournalError::Lost`] without the lock.
    pub(crate) async fn set_environment_record(
        &self,
        lock: &LockGuard,
        record: &EnvironmentRecord,
    ) -> Result<(), JournalError> {
        self.update(lock, &self.environment_name(), record).await
    }

    /// Refuses a manifest of another service than the journal's.
    ///
    /// # Errors
    ///
    /// [`JournalError::OtherService`].
    pub async fn check_service(&self, service: &str) -> Result<(), JournalError> {
        match self.service_name().await? {
            Some(of) if of != service => Err(JournalError::OtherService { of, manifest: service.to_owned() }),
            _ => Ok(()),
        }
    }
}
