//! The parts of a load balancer in its region: forwarding rule, backend service and health check; and how parts of every kind are
//! created and deleted.

use std::{future::Future, time::Duration};

use google_cloud_compute_v1::model::{self, BackendService, ForwardingRule, HealthCheck, Operation};
use remint_core::provider::{
    ErrorKind, LoadBalancerSettings, Result,
    support::{CreateOnce, Seen},
};

use super::{
    mark::{Mark, owned},
    settings,
};
use crate::{
    Gcp,
    error::Subject,
    names::{BalancerPath, last},
};

/// How often a part is read and changed again when somebody else changes it at the same time.
pub(super) const ROUNDS: u32 = 5;

/// What there is of a load balancer in its region, its address and groups apart.
#[derive(Debug, Default)]
pub(super) struct Parts {
    pub(super) rule: Option<ForwardingRule>,
    pub(super) service: Option<BackendService>,
    pub(super) check: Option<HealthCheck>,
}

impl Parts {
    /// The descriptions of those that exist.
    pub(super) fn descriptions(&self) -> impl Iterator<Item = Option<&str>> {
        let rule = self.rule.iter().map(|rule| rule.description.as_deref());
        let service = self.service.iter().map(|service| service.description.as_deref());
        rule.chain(service).chain(self.check.iter().map(|check| check.description.as_deref()))
    }
}

/// The subject of the calls for one part.
pub(super) fn part(subject: &Subject, kind: &str, name: &str) -> Subject {
    Subject::new(subject.operation()).about(format!("{kind} {name}"))
}

/// Whether a link leads to a part of this name in the region.
fn is_link(link: Option<&str>, path: &BalancerPath) -> bool {
    link.is_some_and(|link| last(link) == path.name)
}

/// Whether connections to the address go to the service.
pub(super) fn leads(rule: &ForwardingRule, path: &BalancerPath, ip: &str) -> bool {
    rule.ip_address.as_deref() == Some(ip) && is_link(rule.backend_service.as_deref(), path)
}

impl Gcp {
    /// Reads all of them: three calls.
    pub(super) async fn read_parts(&self, subject: &Subject, path: &BalancerPath) -> Result<Parts> {
        let address = path.address();
        let (rule, service, check) = futures::try_join!(
            self.read_rule(subject, &address),
            self.read_service(subject, path),
            self.read_check(subject, path),
        )?;
        Ok(Parts { rule, service, check })
    }

    pub(super) async fn read_service(&self, subject: &Subject, path: &BalancerPath) -> Result<Option<BackendService>> {
        let client = &self.client;
        let ask = || {
            let ask = client.backend_services.get().set_project(&client.project).set_region(&path.region);
            ask.set_backend_service(&path.name).send()
        };
        client.look_up(subject, ask).await
    }

    async fn read_check(&self, subject: &Subject, path: &BalancerPath) -> Result<Option<HealthCheck>> {
        let client = &self.client;
        let ask = || {
            let ask = client.health_checks.get().set_project(&client.project).set_region(&path.region);
            ask.set_health_check(&path.name).send()
        };
        client.look_up(subject, ask).await
    }

    fn check_link(&self, path: &BalancerPath) -> String {
        format!("projects/{}/regions/{}/healthChecks/{}", self.client.project, path.region, path.name)
    }

    /// Makes sure that the health check asks what is wanted: a call and waiting where it does not. Says whether it made one.
    pub(super) async fn ensure_check(
        &self,
        subject: &Subject,
        path: &BalancerPath,
        mark: &Mark,
        found: Option<&HealthCheck>,
        wanted: &LoadBalancerSettings,
    ) -> Result<bool> {
        let (client, subject) = (&self.client, &part(subject, "health check", &path.name));
        let mark = match found {
            Some(check) if settings::is_checked(check, &wanted.check) => return Ok(false),
            Some(check) => check.description.clone().unwrap_or_default(),
            None => mark.to_text(subject.operation())?,
        };
        let body = settings::health_check(&wanted.check).set_name(&path.name).set_description(mark);
        if found.is_none() {
            let look = || async {
                let found = self.read_check(subject, path).await?;
                found.map(|check| owned(subject, check.description.as_deref())).transpose()
            };
            let insert = |request: String| {
                let ask = client.health_checks.insert().set_project(&client.project).set_region(&path.region);
                ask.set_request_id(request).set_body(body.clone()).send()
            };
            return self.create_part(subject, look, insert).await.map(|_| true);
        }
        // As a whole: a change of single fields could not take back what another kind of check has.
        let update = |request: String| {
            let ask = client.health_checks.update().set_project(&client.project).set_region(&path.region);
            ask.set_health_check(&path.name).set_request_id(request).set_body(body.clone()).send()
        };
        let operation = client.mutate(subject, update).await?;
        self.finish(subject, &operation).await.map(|()| true)
    }

    /// Makes sure that the backend service exists, asks the health check and drains as is wanted. Its members stay.
    pub(super) async fn ensure_service(
        &self,
        subject: &Subject,
        path: &BalancerPath,
        mark: &Mark,
        found: Option<&BackendService>,
        wanted: &LoadBalancerSettings,
    ) -> Result<bool> {
        let (client, subject) = (&self.client, &part(subject, "backend service", &path.name));
        let Some(found) = found else {
            let body = BackendService::new()
                .set_name(&path.name)
                .set_description(mark.to_text(subject.operation())?)
                .set_load_balancing_scheme("EXTERNAL")
                .set_protocol("TCP")
                .set_health_checks([self.check_link(path)])
                .set_or_clear_connection_draining(wanted.drain.map(settings::draining));
            let look = || async {
                let found = self.read_service(subject, path).await?;
                found.map(|service| owned(subject, service.description.as_deref())).transpose()
            };
            let insert = |request: String| {
                let ask = client.backend_services.insert().set_project(&client.project).set_region(&path.region);
                ask.set_request_id(request).set_body(body.clone()).send()
            };
            return self.create_part(subject, look, insert).await.map(|_| true);
        };
        let as_wanted = |service: &BackendService| {
            let [check] = service.health_checks.as_slice() else { return false };
            is_link(Some(check), path) && settings::drains(service, wanted.drain)
        };
        if as_wanted(found) {
            return Ok(false);
        }
        let change = |_: &BackendService| {
            BackendService::new()
                .set_health_checks([self.check_link(path)])
                .set_or_clear_connection_draining(wanted.drain.map(settings::draining))
        };
        self.patch_service(subject, path, found.clone(), change).await.map(|()| true)
    }

    /// Changes some fields of the backend service to what `change` makes of it; it is read again when somebody else has changed it.
    pub(super) async fn patch_service(
        &self,
        subject: &Subject,
        path: &BalancerPath,
        mut found: BackendService,
        change: impl Fn(&BackendService) -> BackendService,
    ) -> Result<()> {
        let client = &self.client;
        let mut round = 1;
        loop {
            let body = change(&found).set_or_clear_fingerprint(found.fingerprint.clone());
            let patch = |request: String| {
                let ask = client.backend_services.patch().set_project(&client.project).set_region(&path.region);
                ask.set_backend_service(&path.name).set_request_id(request).set_body(body.clone()).send()
            };
            let done = async {
                let operation = client.mutate(subject, patch).await?;
                self.finish(subject, &operation).await
            };
            match done.await {
                Err(error) if error.kind() == ErrorKind::Conflict && round < ROUNDS => round += 1,
                result => return result,
            }
            let gone = || subject.error(ErrorKind::NotFound, "the backend service is gone");
            found = self.read_service(subject, path).await?.ok_or_else(gone)?;
        }
    }

    /// Makes sure that the address's connections to these ports go to the service.
    ///
    /// A rule's ports cannot be changed: another rule takes its place, on the same address. Connections to the ports that stay
    /// get no packets in between, for a few seconds, and go on afterwards: the members keep their side of them.
    pub(super) async fn ensure_rule(
        &self,
        subject: &Subject,
        path: &BalancerPath,
        mark: &Mark,
        found: Option<(&ForwardingRule, &str)>,
        wanted: &LoadBalancerSettings,
    ) -> Result<bool> {
        let (client, subject) = (&self.client, &part(subject, "forwarding rule", &path.name));
        if let Some((rule, ip)) = found {
            if settings::has_ports(rule, wanted) && leads(rule, path, ip) {
                return Ok(false);
            }
            self.delete_balancer_rule(subject, path).await?;
        }
        let (project, region, name) = (&client.project, &path.region, &path.name);
        let body = ForwardingRule::new()
            .set_name(name)
            .set_description(mark.to_text(subject.operation())?)
            .set_ip_address(format!("projects/{project}/regions/{region}/addresses/{name}"))
            .set_ip_protocol("TCP")
            .set_ports(settings::wire_ports(wanted))
            .set_load_balancing_scheme("EXTERNAL")
            .set_backend_service(format!("projects/{project}/regions/{region}/backendServices/{name}"));
        let look = || async {
            let found = self.read_rule(subject, &path.address()).await?;
            found.map(|rule| owned(subject, rule.description.as_deref())).transpose()
        };
        let insert = |request: String| {
            let ask = client.forwarding_rules.insert().set_project(project).set_region(region);
            ask.set_request_id(request).set_body(body.clone()).send()
        };
        self.create_part(subject, look, insert).await.map(|_| true)
    }

    pub(super) async fn delete_balancer_rule(&self, subject: &Subject, path: &BalancerPath) -> Result<()> {
        let client = &self.client;
        let delete = |request: String| {
            let ask = client.forwarding_rules.delete().set_project(&client.project).set_region(&path.region);
            ask.set_forwarding_rule(&path.name).set_request_id(request).send()
        };
        self.delete_part(&part(subject, "forwarding rule", &path.name), delete).await
    }

    pub(super) async fn delete_service(&self, subject: &Subject, path: &BalancerPath) -> Result<()> {
        let client = &self.client;
        let delete = |request: String| {
            let ask = client.backend_services.delete().set_project(&client.project).set_region(&path.region);
            ask.set_backend_service(&path.name).set_request_id(request).send()
        };
        self.delete_part(&part(subject, "backend service", &path.name), delete).await
    }

    pub(super) async fn delete_check(&self, subject: &Subject, path: &BalancerPath) -> Result<()> {
        let client = &self.client;
        let delete = |request: String| {
            let ask = client.health_checks.delete().set_project(&client.project).set_region(&path.region);
            ask.set_health_check(&path.name).set_request_id(request).send()
        };
        self.delete_part(&part(subject, "health check", &path.name), delete).await
    }

    /// Creates a part that a look did not find, waits for it, and looks at it. `look` refuses one that is somebody else's.
    pub(super) async fn create_part<T, L, LF, I, IF>(&self, subject: &Subject, look: L, insert: I) -> Result<T>
    where
        L: Fn() -> LF,
        LF: Future<Output = Result<Option<T>>>,
        I: Fn(String) -> IF,
        IF: Future<Output = google_cloud_gax::Result<Operation>>,
    {
        let (look, insert) = (&look, &insert);
        let seen = || async move { Ok(Seen::from(look().await?)) };
        let create = |()| async move {
            let operation = self.client.mutate(subject, insert).await?;
            self.finish(subject, &operation).await?;
            look().await?.ok_or_else(|| subject.error(ErrorKind::Busy, "it was created, and does not show yet"))
        };
        let once = CreateOnce::new(&subject.call, Duration::ZERO);
        let made = once.run_from(Seen::Missing(()), seen, create).await;
        made.map_err(|error| match is_taken(&error) {
            // A call that was cut is creating it.
            true => subject.error(ErrorKind::Busy, "it is being created, or deleted").with_source(error),
            false => error,
        })
    }

    /// Deletes a part and waits until it is gone. One that is gone is a success, one that another part still needs is busy.
    pub(super) async fn delete_part<D, DF>(&self, subject: &Subject, delete: D) -> Result<()>
    where
        D: Fn(String) -> DF,
        DF: Future<Output = google_cloud_gax::Result<model::Operation>>,
    {
        let done = async {
            let operation = self.client.mutate(subject, delete).await?;
            self.finish(subject, &operation).await
        };
        match done.await {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            Err(error) if error.kind() == ErrorKind::Conflict => {
                Err(subject.error(ErrorKind::Busy, format!("still in use: {}", error.said())).with_source(error))
            }
            result => result,
        }
    }
}

/// Whether a refusal says that the name is taken.
fn is_taken(error: &remint_core::provider::Error) -> bool {
    error.kind() == ErrorKind::Conflict
        && ["alreadyExists", "RESOURCE_ALREADY_EXISTS"].iter().any(|code| error.is_code(code))
}
