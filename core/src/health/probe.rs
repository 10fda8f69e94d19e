//! One question to a service.

use std::{fmt, net::SocketAddr, sync::Arc, time::Duration};

#[cfg(test)]
use reqwest::{Certificate, header::HeaderMap};
use tokio::time::timeout;

#[cfg(test)]
use super::question::Network;
use super::{
    http::{self, HttpQuestion},
    question::{Question, Services},
    unhealthy::Unhealthy,
};
#[cfg(test)]
use crate::manifest::HttpCheck;
use crate::{
    manifest::{HealthCheck, Loaded},
    provider::Address,
    remote::{Command, Session},
};

/// One question that can be asked any number of times, also side by side.
#[derive(Clone)]
pub struct Probe {
    check: Check,
    within: Duration,
}

#[derive(Clone)]
enum Check {
    Question { endpoint: SocketAddr, question: Question, services: Arc<dyn Services> },
    Command { command: String, session: Arc<dyn Session> },
}

impl fmt::Debug for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Probe({self})")
    }
}

impl fmt::Display for Probe {
    /// What is asked, for messages: `GET http://203.0.113.7:80/health`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.check {
            Check::Question { question: Question::Http(question), .. } => f.write_str(question.shown()),
            Check::Question { question: Question::Tcp, endpoint, .. } => write!(f, "TCP {endpoint}"),
            Check::Command { command, session } => write!(f, "`{command}` on {}", session.endpoint()),
        }
    }
}

impl Probe {
    /// The probe of a manifest, for the service at `address`. `session` is the way in for a check by command.
    ///
    /// # Errors
    ///
    /// Why the check cannot be asked, in words: a secret in a header that cannot be read, a command without a way in.
    pub(crate) async fn of(
        loaded: &Loaded,
        services: &Arc<dyn Services>,
        address: &Address,
        session: Option<Arc<dyn Session>>,
    ) -> Result<Self, String> {
        Self::asking(&loaded.manifest.health.check, loaded, services, address, session).await
    }

    /// As [`Probe::of`], with another check than the manifest's.
    ///
    /// # Errors
    ///
    /// As there.
    pub(crate) async fn asking(
        check: &HealthCheck,
        loaded: &Loaded,
        services: &Arc<dyn Services>,
        address: &Address,
        session: Option<Arc<dyn Session>>,
    ) -> Result<Self, String> {
        let health = &loaded.manifest.health;
        let (endpoint, question) = match check {
            HealthCheck::Http(check) => {
                let headers = http::headers(loaded).await.map_err(|error| error.to_string())?;
                let authorities = http::authorities(check, &loaded.base_dir)?;
                let endpoint = address.endpoint(check.port());
                let question = HttpQuestion::new(check, endpoint, loaded.fqdn().as_deref(), headers, authorities)?;
                (endpoint, Question::Http(Box::new(question)))
            }
            HealthCheck::Tcp(check) => (address.endpoint(check.port), Question::Tcp),
            HealthCheck::Command(check) => {
                let session = session.ok_or("a check by command needs a connection to the instance")?;
                let check = Check::Command { command: check.command.clone(), session };
                return Ok(Self { check, within: health.timeout.0 });
            }
        };
        Ok(Self::over(services, endpoint, question, health.timeout.0))
    }

    fn over(services: &Arc<dyn Services>, endpoint: SocketAddr, question: Question, within: Duration) -> Self {
        Self { check: Check::Question { endpoint, question, services: Arc::clone(services) }, within }
    }

    /// A probe over the network.
    #[cfg(test)]
    fn network(endpoint: SocketAddr, question: Question) -> Self {
        let services: Arc<dyn Services> = Arc::new(Network);
        Self::over(&services, endpoint, question, Duration::from_secs(10))
    }

    /// A probe by HTTP alone, of a service on this machine.
    #[cfg(test)]
    pub(super) fn http(
        check: &HttpCheck,
        name: Option<&str>,
        headers: HeaderMap,
        ca: Option<Vec<Certificate>>,
    ) -> Self {
        let endpoint = ([127, 0, 0, 1], check.port()).into();
        let question = HttpQuestion::new(check, endpoint, name, headers, ca).unwrap();
        Self::network(endpoint, Question::Http(Box::new(question)))
    }

    /// Asks once.
    ///
    /// # Errors
    ///
    /// What was answered instead of what was expected.
    pub async fn ask(&self) -> Result<(), Unhealthy> {
        let answer = async {
            match &self.check {
                Check::Question { endpoint, question, services } => services.ask(*endpoint, question).await,
                Check::Command { command, session } => ask_command(command, &**session, self.within).await,
            }
        };
        // A command is killed by its own, equal timeout; the connection gets a moment to do so.
        let patience = match self.check {
            Check::Command { .. } => self.within + Duration::from_secs(10),
            _ => self.within,
        };
        let late = || Unhealthy::new(&format!("no answer within {} s", self.within.as_secs_f64()));
        timeout(patience, answer).await.unwrap_or_else(|_| Err(late()))
    }
}

async fn ask_command(command: &str, session: &dyn Session, within: Duration) -> Result<(), Unhealthy> {
    let command = Command::shell(command).timeout(within);
    let asked = session.exec(&command, &mut |_, _| {}).await;
    let outcome = asked.map_err(|error| Unhealthy::new(&error.to_string()))?;
    if outcome.exit.is_success() {
        return Ok(());
    }
    Err(Unhealthy::with_body(&outcome.exit.to_string(), &outcome.tail.join("\n")))
}

#[cfg(test)]
#[path = "probe_tests.rs"]
mod tests;
