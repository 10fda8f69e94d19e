//! The SDK's clients, one for each service, and the way by which every call goes through [`Calls`].
//!
//! The SDK talks to a [`Relay`], which has the credentials and bounds what is read. It repeats nothing: repetitions are counted, and are the business of `Calls` alone. A mutation of Compute
//! Engine carries a `requestId`, drawn once for all its repetitions, by which Google knows them again for an hour. It is
//! drawn and not derived from the name: a derived one would make the second launch of a name, after its instance was
//! destroyed, return the first launch's operation and make nothing. What tells two *runs* apart is the name, which is
//! unique in its zone, region or project.

use std::{future::Future, time::Duration};

use google_cloud_auth::credentials::{Credentials, anonymous};
use google_cloud_compute_v1::client::{
    Addresses, Firewalls, ForwardingRules, Images, InstanceGroups, Instances, MachineTypes, Projects,
    RegionBackendServices, RegionHealthChecks, TargetInstances, Zones,
};
use google_cloud_dns_v1::client::{Changes, ManagedZones, ResourceRecordSets};
use google_cloud_gax::retry_policy::NeverRetry;
use remint_core::provider::{
    Calls, Error, ErrorKind, Result,
    support::{CallClass, all_by_token},
};
use uuid::Uuid;

use crate::{error::Subject, relay::Relay};

/// How long after the relay the SDK gives up: the relay says more of why.
const MARGIN: Duration = Duration::from_secs(1);

/// The services of one project.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) project: String,
    calls: Calls,
    /// To Compute Engine and to Cloud DNS.
    _relays: [Relay; 2],
    pub(crate) addresses: Addresses,
    pub(crate) backend_services: RegionBackendServices,
    pub(crate) changes: Changes,
    pub(crate) firewalls: Firewalls,
    pub(crate) forwarding_rules: ForwardingRules,
    pub(crate) health_checks: RegionHealthChecks,
    pub(crate) images: Images,
    pub(crate) instance_groups: InstanceGroups,
    pub(crate) instances: Instances,
    pub(crate) machine_types: MachineTypes,
    pub(crate) managed_zones: ManagedZones,
    pub(crate) projects: Projects,
    pub(crate) record_sets: ResourceRecordSets,
    pub(crate) target_instances: TargetInstances,
    pub(crate) zones: Zones,
}

impl Client {
    pub(crate) async fn new(
        project: String,
        compute: &str,
        dns: &str,
        credentials: &Credentials,
        calls: Calls,
    ) -> Result<Self> {
        let unusable = |error: google_cloud_gax::client_builder::Error| {
            Error::new(ErrorKind::Unexpected, "configure gcp", "the client cannot be set up").with_source(error)
        };
        macro_rules! client {
            ($service:ident, $endpoint:ident) => {
                $service::builder()
                    .with_endpoint($endpoint.endpoint())
                    .with_credentials(anonymous::Builder::new().build())
                    .with_retry_policy(NeverRetry)
                    .with_attempt_timeout(calls.retry_policy().attempt + MARGIN)
                    .build()
                    .await
                    .map_err(unusable)?
            };
        }
        let compute = Relay::start(compute, credentials, &calls).await?;
        let dns = Relay::start(dns, credentials, &calls).await?;
        Ok(Self {
            project,
            addresses: client!(Addresses, compute),
            backend_services: client!(RegionBackendServices, compute),
            changes: client!(Changes, dns),
            firewalls: client!(Firewalls, compute),
            forwarding_rules: client!(ForwardingRules, compute),
            health_checks: client!(RegionHealthChecks, compute),
            images: client!(Images, compute),
            instance_groups: client!(InstanceGroups, compute),
            instances: client!(Instances, compute),
            machine_types: client!(MachineTypes, compute),
            managed_zones: client!(ManagedZones, dns),
            projects: client!(Projects, compute),
            record_sets: client!(ResourceRecordSets, dns),
            target_instances: client!(TargetInstances, compute),
            zones: client!(Zones, compute),
            _relays: [compute, dns],
            calls,
        })
    }

    pub(crate) fn calls(&self) -> &Calls {
        &self.calls
    }

    /// One API call, paced and repeated as its class allows.
    pub(crate) async fn run<T, F, Fut>(&self, class: CallClass, subject: &Subject, call: F) -> Result<T>
    where
        F: Fn() -> Fut,
        Fut: Future<Output = google_cloud_gax::Result<T>>,
    {
        let subject = &subject.clone().of_class(class);
        let call = &call;
        let attempt = || async move { call().await.map_err(|error| subject.failed(error)) };
        self.calls.run(&subject.call, attempt).await
    }

    pub(crate) async fn read<T, F, Fut>(&self, subject: &Subject, call: F) -> Result<T>
    where
        F: Fn() -> Fut,
        Fut: Future<Output = google_cloud_gax::Result<T>>,
    {
        self.run(CallClass::Read, subject, call).await
    }

    /// A read of what may not be there.
    pub(crate) async fn look_up<T, F, Fut>(&self, subject: &Subject, call: F) -> Result<Option<T>>
    where
        F: Fn() -> Fut,
        Fut: Future<Output = google_cloud_gax::Result<T>>,
    {
        match self.read(subject, call).await {
            Ok(found) => Ok(Some(found)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// A mutation of Compute Engine; `call` is given its request id.
    pub(crate) async fn mutate<T, F, Fut>(&self, subject: &Subject, call: F) -> Result<T>
    where
        F: Fn(String) -> Fut,
        Fut: Future<Output = google_cloud_gax::Result<T>>,
    {
        let id = Uuid::new_v4().to_string();
        self.run(CallClass::IdempotentMutation, subject, || call(id.clone())).await
    }

    /// All pages of a list, each a call; `call` is given the token of the page, and `take` takes a page apart.
    pub(crate) async fn pages<P, T, F, Fut>(
        &self,
        subject: &Subject,
        call: F,
        take: impl Fn(P) -> (Vec<T>, Option<String>),
    ) -> Result<Vec<T>>
    where
        F: Fn(Option<String>) -> Fut,
        Fut: Future<Output = google_cloud_gax::Result<P>>,
    {
        let (call, take) = (&call, &take);
        all_by_token(&self.calls, subject.operation(), |token| async move {
            Ok(take(self.read(subject, || call(token.clone())).await?))
        })
        .await
    }
}
