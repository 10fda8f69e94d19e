//! One question to a service.

use std::{fmt, net::SocketAddr, sync::Arc, time::Duration};

use reqwest::{Client, StatusCode, header::HOST, redirect};
use tokio::{io::AsyncReadExt, net::TcpStream, time::timeout};

use crate::{
    manifest::{HealthCheck, HttpCheck},
    provider::Address,
    redact,
    remote::{Command, Connection},
};

/// How long a TCP connection must stay open. User-mode networking accepts for a guest that does not listen, and closes
/// at once.
const STAYS_OPEN: Duration = Duration::from_millis(200);
/// How much of an answer a message shows, in bytes.
const SHOWN: usize = 200;
/// How much of a body is searched for the text that it must contain, in bytes.
const SEARCHED: usize = 256 * 1024;

/// One question that can be asked any number of times, also side by side.
#[derive(Clone)]
pub struct Probe {
    question: Question,
    within: Duration,
}

#[derive(Clone)]
enum Question {
    Http { client: Client, url: String, host: String, check: HttpCheck },
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
            Question::Http { url, .. } => write!(f, "GET {url}"),
            Question::Tcp(endpoint) => write!(f, "TCP {endpoint}"),
            Question::Command { command, connection } => write!(f, "`{command}` on {}", connection.endpoint()),
        }
    }
}

impl Probe {
    /// A probe of the service at `address`, answered `within` a time.
    ///
    /// `host` goes into the Host header: the name by which clients know the service; without one, its address and port.
    /// `connection` is the way in for a check by command.
    ///
    /// # Errors
    ///
    /// Why the check cannot be asked here: a command without a connection, a host that is no header value.
    pub fn new(
        check: &HealthCheck,
        address: &Address,
        host: Option<&str>,
        connection: Option<Arc<Connection>>,
        within: Duration,
    ) -> Result<Self, String> {
        let question = match check {
            HealthCheck::Http(check) => {
                let client = Client::builder()
                    .no_proxy()
                    .redirect(redirect::Policy::none())
                    .pool_max_idle_per_host(0)
                    .http1_only()
                    .build()
                    .map_err(|error| error.to_string())?;
                let url = format!("http://{}/{}", address.endpoint(check.port), check.path.trim_start_matches('/'));
                let service = host.map_or_else(|| address.ip.to_string(), str::to_owned);
                let host = if check.port == 80 { service } else { format!("{service}:{}", check.port) };
                Question::Http { client, url, host, check: check.clone() }
            }
            HealthCheck::Tcp(check) => Question::Tcp(address.endpoint(check.port)),
            HealthCheck::Command(check) => {
                let connection = connection.ok_or("a check by command needs a connection to the instance")?;
                Question::Command { command: check.command.clone(), connection }
            }
        };
        Ok(Self { question, within })
    }

    /// Asks once.
    ///
    /// # Errors
    ///
    /// What was answered instead of what was expected, in at most about 200 bytes.
    pub async fn ask(&self) -> Result<(), String> {
        let answer = async {
            match &self.question {
                Question::Http { client, url, host, check } => ask_http(client, url, host, check).await,
                Question::Tcp(endpoint) => ask_tcp(*endpoint).await,
                Question::Command { command, connection } => ask_command(command, connection, self.within).await,
            }
        };
        // A command is killed by its own, equal timeout; the connection gets a moment to do so.
        let patience = match self.question {
            Question::Command { .. } => self.within + Duration::from_secs(10),
            _ => self.within,
        };
        let late = || format!("no answer within {} s", self.within.as_secs_f64());
        timeout(patience, answer).await.unwrap_or_else(|_| Err(late()))
    }
}

async fn ask_http(client: &Client, url: &str, host: &str, check: &HttpCheck) -> Result<(), String> {
    let sent = client.get(url).header(HOST, host).send().await;
    let mut response = sent.map_err(|error| innermost(&error.without_url()))?;
    let status = response.status();
    let mut body = Vec::new();
    while body.len() < SEARCHED {
        match response.chunk().await.map_err(|error| format!("{status}, then {}", innermost(&error.without_url())))? {
            Some(chunk) => body.extend_from_slice(&chunk),
            None => break,
        }
    }
    let text = String::from_utf8_lossy(&body);
    if status.as_u16() != check.status {
        return Err(shorten(&format!("{}: {}", status_line(status), text.trim())));
    }
    match &check.body {
        Some(wanted) if !text.contains(wanted.as_str()) => {
            Err(shorten(&format!("{} without the text `{wanted}`: {}", status_line(status), text.trim())))
        }
        _ => Ok(()),
    }
}

fn status_line(status: StatusCode) -> String {
    status
        .canonical_reason()
        .map_or_else(|| status.as_str().to_owned(), |reason| format!("{} {reason}", status.as_str()))
}

async fn ask_tcp(endpoint: SocketAddr) -> Result<(), String> {
    let mut stream = TcpStream::connect(endpoint).await.map_err(|error| innermost(&error))?;
    match timeout(STAYS_OPEN, stream.read(&mut [0; 16])).await {
        Err(_) => Ok(()),
        Ok(Ok(0)) => Err("accepted and closed at once".to_owned()),
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(innermost(&error)),
    }
}

async fn ask_command(command: &str, connection: &Connection, within: Duration) -> Result<(), String> {
    let command = Command::shell(command).timeout(within);
    let outcome = connection.exec(&command, &mut |_, _| {}).await.map_err(|error| error.to_string())?;
    if outcome.exit.is_success() {
        return Ok(());
    }
    Err(shorten(&format!("{}: {}", outcome.exit, outcome.tail.join(" / "))))
}

/// The cause at the bottom of a chain: "connection refused" says more than "error sending request".
fn innermost(error: &dyn std::error::Error) -> String {
    let mut current = error;
    while let Some(source) = current.source() {
        current = source;
    }
    current.to_string()
}

/// A text as a message shows it: masked, cut, on one line.
fn shorten(text: &str) -> String {
    let line = text.split_ascii_whitespace().collect::<Vec<_>>().join(" ");
    redact::excerpt(line.trim_end_matches(':'), SHOWN)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        health::testing::{Answer, Service},
        manifest::{CommandCheck, TcpCheck},
    };

    const WITHIN: Duration = Duration::from_secs(10);

    fn http(port: u16, body: Option<&str>) -> Probe {
        let check = HttpCheck { port, path: "/health".into(), status: 200, body: body.map(str::to_owned) };
        Probe::new(&HealthCheck::Http(check), &Address::new([127, 0, 0, 1].into()), Some("app.test"), None, WITHIN)
            .unwrap()
    }

    fn tcp(port: u16) -> Probe {
        let check = HealthCheck::Tcp(TcpCheck { port });
        Probe::new(&check, &Address::new([127, 0, 0, 1].into()), None, None, WITHIN).unwrap()
    }

    #[tokio::test]
    async fn http_looks_at_status_and_body_and_sends_the_services_name() {
        let service = Service::start(Answer::Http(200, "all is well".into())).await;
        assert_eq!(http(service.port, None).ask().await, Ok(()));
        assert_eq!(http(service.port, Some("is well")).ask().await, Ok(()));
        let missing = http(service.port, Some("version 2")).ask().await.unwrap_err();
        assert_eq!(missing, "200 OK without the text `version 2`: all is well");
        let request = service.last_request();
        assert!(request.starts_with("GET /health HTTP/1.1\r\n"), "{request}");
        assert!(request.to_lowercase().contains(&format!("host: app.test:{}\r\n", service.port)), "{request}");
    }

    #[tokio::test]
    async fn a_wrong_status_is_shown_with_the_start_of_its_body() {
        let service = Service::start(Answer::Http(503, format!("starting\n{}", "x".repeat(5000)))).await;
        let error = http(service.port, None).ask().await.unwrap_err();
        assert!(error.starts_with("503 Service Unavailable: starting x"), "{error}");
        assert!(error.len() <= SHOWN + 3, "{}", error.len());
    }

    #[tokio::test]
    async fn a_redirect_is_an_answer_of_its_own() {
        let service = Service::start(Answer::Http(302, String::new())).await;
        assert_eq!(http(service.port, None).ask().await.unwrap_err(), "302 Found");
    }

    #[tokio::test]
    async fn a_connection_that_is_accepted_and_closed_is_no_service() {
        let service = Service::start(Answer::Close).await;
        assert_eq!(tcp(service.port).ask().await.unwrap_err(), "accepted and closed at once");
        service.set(Answer::Hold);
        assert_eq!(tcp(service.port).ask().await, Ok(()));
        let port = service.port;
        service.stop().await;
        let refused = tcp(port).ask().await.unwrap_err();
        assert!(refused.to_lowercase().contains("refused"), "{refused}");
    }

    #[test]
    fn a_command_needs_a_way_in() {
        let check = HealthCheck::Command(CommandCheck { command: "true".into() });
        assert!(Probe::new(&check, &Address::new([127, 0, 0, 1].into()), None, None, WITHIN).is_err());
    }
}
