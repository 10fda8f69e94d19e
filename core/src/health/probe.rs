//! One question to a service.

use std::{fmt, net::SocketAddr, sync::Arc, time::Duration};

#[cfg(test)]
use reqwest::{Certificate, header::HeaderMap};
use tokio::{io::AsyncReadExt, net::TcpStream, time::timeout};

use super::{
    http::{self, HttpQuestion},
    unhealthy::{Unhealthy, innermost},
};
#[cfg(test)]
use crate::manifest::HttpCheck;
use crate::{
    manifest::{HealthCheck, Loaded},
    provider::Address,
    remote::{Command, Connection},
};

/// How long a TCP connection must stay open. User-mode networking accepts for a guest that does not listen, and closes
/// at once.
const STAYS_OPEN: Duration = Duration::from_millis(200);

/// One question that can be asked any number of times, also side by side.
#[derive(Clone)]
pub struct Probe {
    question: Question,
    within: Duration,
}

#[derive(Clone)]
enum Question {
    Http(Box<HttpQuestion>),
    Tcp(SocketAddr),
    Command { command: String, connection: Arc<Connection> },
}

impl fmt::Debug for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Probe({self})")
    }
}

impl fmt::Display for Probe {
    /// What is asked, for messages: `GET http://203.0.113.7:80/health`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.question {
            Question::Http(question) => f.write_str(question.shown()),
            Question::Tcp(endpoint) => write!(f, "TCP {endpoint}"),
            Question::Command { command, connection } => write!(f, "`{command}` on {}", connection.endpoint()),
        }
    }
}

impl Probe {
    /// The probe of a manifest, for the service at `address`. `connection` is the way in for a check by command.
    ///
    /// # Errors
    ///
    /// Why the check cannot be asked, in words: a secret in a header that cannot be read, a command without a connection.
    pub async fn of(loaded: &Loaded, address: &Address, connection: Option<Arc<Connection>>) -> Result<Self, String> {
        let health = &loaded.manifest.health;
        let question = match &health.check {
            HealthCheck::Http(check) => {
                let headers = http::headers(loaded).await.map_err(|error| error.to_string())?;
                let authorities = http::authorities(check, &loaded.base_dir)?;
                let endpoint = address.endpoint(check.port());
                let question = HttpQuestion::new(check, endpoint, loaded.fqdn().as_deref(), headers, authorities)?;
                Question::Http(Box::new(question))
            }
            HealthCheck::Tcp(check) => Question::Tcp(address.endpoint(check.port)),
            HealthCheck::Command(check) => {
                let connection = connection.ok_or("a check by command needs a connection to the instance")?;
                Question::Command { command: check.command.clone(), connection }
            }
        };
        Ok(Self { question, within: health.timeout.0 })
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
        Self { question: Question::Http(Box::new(question)), within: Duration::from_secs(10) }
    }

    /// Asks once.
    ///
    /// # Errors
    ///
    /// What was answered instead of what was expected.
    pub async fn ask(&self) -> Result<(), Unhealthy> {
        let answer = async {
            match &self.question {
                Question::Http(question) => question.ask().await,
                Question::Tcp(endpoint) => ask_tcp(*endpoint).await,
                Question::Command { command, connection } => ask_command(command, connection, self.within).await,
            }
        };
        // A command is killed by its own, equal timeout; the connection gets a moment to do so.
        let patience = match self.question {
            Question::Command { .. } => self.within + Duration::from_secs(10),
            _ => self.within,
        };
        let late = || Unhealthy::new(&format!("no answer within {} s", self.within.as_secs_f64()));
        timeout(patience, answer).await.unwrap_or_else(|_| Err(late()))
    }
}

async fn ask_tcp(endpoint: SocketAddr) -> Result<(), Unhealthy> {
    let mut stream = TcpStream::connect(endpoint).await.map_err(|error| Unhealthy::new(&innermost(&error)))?;
    match timeout(STAYS_OPEN, stream.read(&mut [0; 16])).await {
        Err(_) => Ok(()),
        Ok(Ok(0)) => Err(Unhealthy::new("accepted and closed at once")),
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(Unhealthy::new(&innermost(&error))),
    }
}

async fn ask_command(command: &str, connection: &Connection, within: Duration) -> Result<(), Unhealthy> {
    let command = Command::shell(command).timeout(within);
    let asked = connection.exec(&command, &mut |_, _| {}).await;
    let outcome = asked.map_err(|error| Unhealthy::new(&error.to_string()))?;
    if outcome.exit.is_success() {
        return Ok(());
    }
    Err(Unhealthy::with_body(&outcome.exit.to_string(), &outcome.tail.join("\n")))
}

#[cfg(test)]
#[path = "probe_tests.rs"]
mod tests;
