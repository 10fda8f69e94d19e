//! What a client of the sandbox needs to know.

use secrecy::{ExposeSecret as _, SecretString};
use serde::Serialize;

use super::{Folder, Result, SandboxError, control::running};

/// What a client needs.
#[derive(Debug, Clone)]
pub struct ClientEnv {
    /// Where the API answers, without `/v2`.
    pub api_url: String,
    /// The API's token.
    pub token: SecretString,
    /// Where the DNS server answers.
    pub dns: std::net::SocketAddr,
    /// The highest port that is moved; 0 when none is.
    pub port_through: u16,
    /// By how much.
    pub port_offset: u16,
}

/// An environment variable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Variable {
    /// Its name.
    pub name: &'static str,
    /// Its value; the token is among them, in clear.
    pub value: String,
}

impl ClientEnv {
    /// As environment variables: those that Remint, doctl, pydo and Packer read, and where names and moved ports are.
    pub fn variables(&self) -> Vec<Variable> {
        let token = self.token.expose_secret().to_owned();
        let pairs = [
            ("DIGITALOCEAN_API_URL", self.api_url.clone()),
            ("DIGITALOCEAN_TOKEN", token.clone()),
            ("DIGITALOCEAN_ACCESS_TOKEN", token),
            ("REMINT_SANDBOX_DNS", self.dns.to_string()),
            ("REMINT_SANDBOX_PORT_THROUGH", self.port_through.to_string()),
            ("REMINT_SANDBOX_PORT_OFFSET", self.port_offset.to_string()),
        ];
        pairs.into_iter().map(|(name, value)| Variable { name, value }).collect()
    }
}

/// What a client of a running sandbox needs.
///
/// # Errors
///
/// `NotRunning`.
pub fn env(name: &str) -> Result<ClientEnv> {
    let found = running(&Folder::of(name)?)?.ok_or_else(|| SandboxError::NotRunning(name.to_owned()))?;
    Ok(ClientEnv {
        api_url: found.record.api_url(),
        token: found.token,
        dns: found.record.dns,
        port_through: found.record.ports.through,
        port_offset: found.record.ports.offset,
    })
}
