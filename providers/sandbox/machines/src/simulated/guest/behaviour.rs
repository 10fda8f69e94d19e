//! `/etc/simulation.toml`: how the service of a simulated machine behaves.

use std::{collections::BTreeMap, time::Duration};

use remint_core::manifest::HumanDuration;
use serde::Deserialize;

use crate::simulated::disk::Disk;

/// Where the file is on the machine's disk.
const PATH: &str = "/etc/simulation.toml";

/// How a simulated machine behaves, read from `/etc/simulation.toml` on its disk when it boots and whenever a unit is
/// started or restarted with `systemctl`. Without that file every open service port answers 200 with a small page.
///
/// ```toml
/// boot_delay = "2s"            # instead of the cloud's
/// ready_after = "3s"           # after the boot; until then connections are refused
/// not_ready = "unavailable"    # … or answered with 503 ("refuse" is the default)
/// fail_health_after = "1m"     # from then on routes with `health` answer 503
/// crash_after = "5m"           # from then on nothing listens
/// environment_file = "/etc/app/app.env"
///
/// [[http]]
/// port = 80
/// path = "/health/check"
/// status = 200
/// body = "version={file:/opt/app/version} mode={env:MODE}"
///
/// [[tcp]]
/// port = 5432
/// greeting = "hello\n"
/// ```
///
/// `{file:PATH}` is the file's text without the newline at its end, `{env:NAME}` a variable of `environment_file`
/// (without one, of all `*.env` files in `/etc` and its folders), both read anew for each request; what is missing is
/// empty. Times count from the moment when the machine's services start.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(super) struct Behaviour {
    /// How long after power-on SSH answers, instead of what the cloud drew.
    pub(super) boot_delay: Option<HumanDuration>,
    /// How long the service needs until it answers.
    pub(super) ready_after: Option<HumanDuration>,
    /// What clients see until then.
    pub(super) not_ready: NotReady,
    /// When health routes begin to answer 503.
    pub(super) fail_health_after: Option<HumanDuration>,
    /// When all listeners close.
    pub(super) crash_after: Option<HumanDuration>,
    /// The file that `{env:NAME}` reads.
    pub(super) environment_file: Option<String>,
    /// What is served over HTTP. Routes of one port share its listener; other paths answer 404.
    pub(super) http: Vec<HttpRoute>,
    /// What is served over bare TCP.
    pub(super) tcp: Vec<TcpGreeting>,
}

/// What a client sees of a service that is not ready.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum NotReady {
    /// Nothing listens.
    #[default]
    Refuse,
    /// HTTP answers 503.
    Unavailable,
}

/// A page that the simulated service answers with.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(super) struct HttpRoute {
    /// The port that it is served on; 80 when left out.
    pub(super) port: u16,
    /// The path, exactly; `*` answers for all that no other route names.
    pub(super) path: String,
    /// The HTTP status of the answer; 200 when left out.
    pub(super) status: u16,
    /// The page, with templates.
    pub(super) body: String,
    /// Whether `fail_health_after` counts for it; without it, whether the path has `health` in it.
    pub(super) health: Option<bool>,
    /// How long an answer takes.
    pub(super) delay: Option<HumanDuration>,
}

impl Default for HttpRoute {
    fn default() -> Self {
        Self { port: 80, path: "*".to_owned(), status: 200, body: String::new(), health: None, delay: None }
    }
}

/// A port that greets whoever connects, and closes.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct TcpGreeting {
    /// The port that it listens on.
    pub(super) port: u16,
    /// The text that is sent before the connection is closed; empty when left out.
    #[serde(default)]
    pub(super) greeting: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Served {
    Http(Vec<HttpRoute>),
    Tcp(String),
}

impl Behaviour {
    /// Reads it from a disk; `log` is told about keys that mean nothing, and about a file that cannot be read, which
    /// counts as none.
    pub(super) fn read(disk: &Disk, mut log: impl FnMut(String)) -> Self {
        if !disk.exists(PATH) {
            return Self::default();
        }
        let text = disk.text(PATH);
        let read = toml::Deserializer::parse(&text)
            .and_then(|input| serde_ignored::deserialize(input, |key| log(format!("{PATH}: unknown key {key}"))));
        read.unwrap_or_else(|error| {
            log(format!("{PATH}: {}", error.to_string().trim_end().replace('\n', " ")));
            Self::default()
        })
    }

    /// What each port serves; `open` are the ports that answer if nothing is said.
    pub(super) fn ports(&self, open: &[u16]) -> BTreeMap<u16, Served> {
        let mut ports = BTreeMap::new();
        for tcp in &self.tcp {
            ports.insert(tcp.port, Served::Tcp(tcp.greeting.clone()));
        }
        for route in &self.http {
            match ports.entry(route.port).or_insert_with(|| Served::Http(Vec::new())) {
                Served::Http(routes) => routes.push(route.clone()),
                Served::Tcp(_) => {}
            }
        }
        if ports.is_empty() {
            for port in open.iter().filter(|port| **port != 22) {
                let body = "a simulated machine: {file:/etc/hostname}\n".to_owned();
                let page = HttpRoute { port: *port, body, health: Some(true), ..HttpRoute::default() };
                ports.insert(*port, Served::Http(vec![page]));
            }
        }
        ports
    }

    /// How long until the service listens.
    pub(super) fn listens_after(&self) -> Duration {
        match self.not_ready {
            NotReady::Refuse => self.ready_after.map_or(Duration::ZERO, Duration::from),
            NotReady::Unavailable => Duration::ZERO,
        }
    }

    /// Fills the templates of a page.
    pub(super) fn fill(&self, disk: &Disk, body: &str) -> String {
        let mut filled = String::new();
        let mut rest = body;
        while let Some(at) = rest.find('{') {
            filled.push_str(&rest[..at]);
            rest = &rest[at..];
            let field = rest.find('}').and_then(|end| Some((rest[1..end].split_once(':')?, end)));
            let (text, end) = match field {
                Some((("file", path), end)) => (disk.text(path).trim_end_matches('\n').to_owned(), end),
                Some((("env", name), end)) => (self.variable(disk, name), end),
                _ => ("{".to_owned(), 0),
            };
            filled.push_str(&text);
            rest = &rest[end + 1..];
        }
        filled + rest
    }

    fn variable(&self, disk: &Disk, name: &str) -> String {
        let files: Vec<String> = match &self.environment_file {
            Some(file) => vec![file.clone()],
            None => disk
                .nodes()
                .map(|(path, _)| path.to_owned())
                .filter(|path| path.starts_with("/etc/") && path.ends_with(".env"))
                .collect(),
        };
        // The last one counts, as in a unit's environment file.
        let found = files.iter().rev().find_map(|file| {
            disk.text(file).lines().rev().find_map(|line| {
                let (key, value) = line.trim().split_once('=')?;
                (key.trim() == name).then(|| unquote(value.trim()).to_owned())
            })
        });
        found.unwrap_or_default()
    }
}

/// A value of an environment file without the quotes around it.
fn unquote(value: &str) -> &str {
    let inner = |quote| value.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote));
    inner('"').or_else(|| inner('\'')).unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn disk(files: &[(&str, &str)]) -> Disk {
        let mut disk = Disk::default();
        for (path, text) in files {
            disk.mkdir_all(crate::simulated::disk::parent(path)).unwrap();
            disk.write(path, text.as_bytes()).unwrap();
        }
        disk
    }

    #[test]
    fn unknown_keys_are_told_and_the_rest_counts() {
        let disk = disk(&[(PATH, "ready_after = \"3s\"\nspeed = 1\n[[http]]\npath = \"/x\"\ncolour = \"red\"\n")]);
        let mut told = Vec::new();
        let behaviour = Behaviour::read(&disk, |line| told.push(line));
        assert_eq!(behaviour.ready_after, Some(HumanDuration::seconds(3)));
        assert_eq!(behaviour.http[0].path, "/x");
        assert_eq!(told.len(), 2, "{told:?}");
        assert!(told.iter().any(|line| line.ends_with("speed")));
    }

    #[test]
    fn a_broken_file_counts_as_none() {
        let disk = disk(&[(PATH, "ready_after = 3\n")]);
        let mut told = Vec::new();
        assert_eq!(Behaviour::read(&disk, |line| told.push(line)), Behaviour::default());
        assert_eq!(told.len(), 1);
    }

    #[test]
    fn templates_read_files_and_variables() {
        let disk = disk(&[("/opt/v", "7\n"), ("/etc/app/app.env", "# MODE=x\nMODE=\"fast\"\nMODE='slow'\n")]);
        let behaviour = Behaviour::default();
        assert_eq!(behaviour.fill(&disk, "v={file:/opt/v} m={env:MODE} {x} {file:/no} {"), "v=7 m=slow {x}  {");
    }

    #[test]
    fn without_a_file_the_open_ports_answer() {
        let ports = Behaviour::default().ports(&[22, 80, 8080]);
        assert_eq!(ports.keys().copied().collect::<Vec<_>>(), [80, 8080]);
    }
}
