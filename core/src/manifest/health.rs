//! `[health]`: when an instance counts as healthy.

use std::{collections::BTreeMap, path::PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{HumanDuration, Statuses, Template};

/// When an instance counts as healthy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HealthSection {
    /// What is asked.
    pub check: HealthCheck,
    /// The pause between two attempts.
    #[serde(default = "default_interval")]
    pub interval: HumanDuration,
    /// How long one attempt may take.
    #[serde(default = "default_check_timeout")]
    pub timeout: HumanDuration,
    /// How many successes in a row it takes.
    #[serde(default = "default_successes")]
    pub successes: u32,
    /// How long it may take until it is healthy, from the moment when the machine runs.
    #[serde(default = "default_start_period")]
    pub start_period: HumanDuration,
}

fn default_interval() -> HumanDuration {
    HumanDuration::seconds(1)
}

fn default_check_timeout() -> HumanDuration {
    HumanDuration::seconds(5)
}

fn default_successes() -> u32 {
    3
}

fn default_start_period() -> HumanDuration {
    HumanDuration::seconds(300)
}

/// What a health check asks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum HealthCheck {
    /// An HTTP GET.
    Http(HttpCheck),
    /// A TCP connection that stays open for a moment.
    Tcp(TcpCheck),
    /// A line of shell on the instance, by SSH, that must succeed. Only asked before the gate closes.
    Command(CommandCheck),
}

impl HealthCheck {
    /// The port of the service; `None` for a command.
    pub fn port(&self) -> Option<u16> {
        match self {
            Self::Http(check) => Some(check.port()),
            Self::Tcp(check) => Some(check.port),
            Self::Command(_) => None,
        }
    }
}

/// An HTTP GET. It follows no redirects: a redirect is an answer of its own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct HttpCheck {
    /// The port; without it 80, or 443 with `https`.
    pub port: Option<u16>,
    /// The path, with a query if there is one.
    pub path: String,
    /// Ask over TLS.
    pub https: bool,
    /// Verify the certificate of `https`: the certificate authorities of the machine that runs `remint` must vouch for it, and it
    /// must be for the name in `host`.
    pub verify: bool,
    /// A file of certificates in PEM form, relative to the manifest: the only authorities that may vouch for the certificate.
    pub ca: Option<PathBuf>,
    /// The name in the Host header, and of the certificate.
    ///
    /// Without it the name of `[dns]`, and without that the address. A port other than the scheme's own is added to the header.
    pub host: Option<String>,
    /// Further headers. Their values may hold `${secret.NAME}`, `${release.service}`, `${release.env}` and `${dns.fqdn}`.
    pub headers: BTreeMap<String, Template>,
    /// The statuses that are expected: one (`200`), a range (`"200-299"` or `"2xx"`), or an array of them.
    pub expect: Statuses,
    /// Former name of `expect`, for one status.
    pub status: Option<u16>,
    /// Text that the first 256 KiB of the body must contain.
    pub body: Option<String>,
}

impl Default for HttpCheck {
    fn default() -> Self {
        Self {
            port: None,
            path: "/".to_owned(),
            https: false,
            verify: true,
            ca: None,
            host: None,
            headers: BTreeMap::new(),
            expect: Statuses::one(200),
            status: None,
            body: None,
        }
    }
}

impl HttpCheck {
    /// The port that is asked.
    pub fn port(&self) -> u16 {
        self.port.unwrap_or_else(|| self.default_port())
    }

    /// The port of the scheme.
    pub fn default_port(&self) -> u16 {
        if self.https { 443 } else { 80 }
    }

    /// Whether an answer with this status counts.
    pub fn expects(&self, status: u16) -> bool {
        self.status.map_or_else(|| self.expect.contain(status), |only| only == status)
    }
}

/// A TCP connection.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TcpCheck {
    /// The port.
    pub port: u16,
}

/// A command on the instance.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CommandCheck {
    /// A line of shell.
    pub command: String,
}
