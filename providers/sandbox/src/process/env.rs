//! What a client of the sandbox needs to know.

use std::path::PathBuf;

use remint_core::provider::PortMap;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Serialize;

use super::{Folder, Result, SandboxError, running::running};
use crate::{
    cloud::Api,
    ec2::keys::AccessKey,
    gce::{self, ServiceAccount},
};

/// The region that clients of Amazon's APIs are sent to when they name none. Amazon's newer kits read `AWS_REGION`, the AWS CLI and
/// boto3 only `AWS_DEFAULT_REGION`.
const AWS_REGION: &str = "us-east-1";

/// What clients of a running sandbox need: addresses, and credentials that only it accepts.
#[derive(Debug, Clone)]
pub struct ClientEnv {
    /// The name that `--name` or `REMINT_SANDBOX` gave it.
    pub name: String,
    /// The APIs that it speaks.
    pub apis: Vec<Api>,
    /// Where they answer: `http://127.0.0.1:PORT`.
    pub api_url: String,
    /// The token that DigitalOcean's API accepts; what others accept is derived from it.
    pub token: SecretString,
    /// The service account's key file that Google's clients read.
    pub key_file: PathBuf,
    /// Where the DNS server answers.
    pub dns: std::net::SocketAddr,
    /// How ports are moved.
    pub ports: PortMap,
}

/// An environment variable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Variable {
    /// The variable that the cloud's own clients read: `AWS_ENDPOINT_URL`.
    pub name: &'static str,
    /// Its value; credentials are among them, in clear.
    pub value: String,
}

impl ClientEnv {
    /// As the environment variables that clients of an API read, and where names and moved ports are.
    ///
    /// # Errors
    ///
    /// `NotSpoken` for an API that the sandbox does not speak.
    pub fn variables(&self, api: Api) -> Result<Vec<Variable>> {
        if !self.apis.contains(&api) {
            return Err(SandboxError::NotSpoken { name: self.name.clone(), api });
        }
        let client = match api {
            Api::DigitalOcean => self.digitalocean(),
            Api::Ec2 => self.aws(),
            Api::Gce => self.gcp(),
        };
        let sandbox = vec![
            (PortMap::VARIABLE, self.ports.to_string()),
            ("REMINT_SANDBOX_DNS", self.dns.to_string()),
            ("REMINT_SANDBOX_PORT_THROUGH", self.ports.through.to_string()),
            ("REMINT_SANDBOX_PORT_OFFSET", self.ports.offset.to_string()),
        ];
        Ok(client.into_iter().chain(sandbox).map(|(name, value)| Variable { name, value }).collect())
    }

    /// For Remint, doctl, pydo and Packer; python-digitalocean reads the address from a variable of its own.
    fn digitalocean(&self) -> Vec<(&'static str, String)> {
        let token = self.token.expose_secret().to_owned();
        vec![
            ("DIGITALOCEAN_API_URL", self.api_url.clone()),
            ("DIGITALOCEAN_END_POINT", format!("{}/v2/", self.api_url)),
            ("DIGITALOCEAN_TOKEN", token.clone()),
            ("DIGITALOCEAN_ACCESS_TOKEN", token),
        ]
    }

    /// For Remint and everything that is built on Amazon's own kits.
    fn aws(&self) -> Vec<(&'static str, String)> {
        let AccessKey { id, secret } = AccessKey::of(&self.token);
        vec![
            ("AWS_ENDPOINT_URL", self.api_url.clone()),
            ("AWS_ACCESS_KEY_ID", id),
            ("AWS_SECRET_ACCESS_KEY", secret.expose_secret().to_owned()),
            ("AWS_REGION", AWS_REGION.to_owned()),
            ("AWS_DEFAULT_REGION", AWS_REGION.to_owned()),
        ]
    }

    /// For Remint, gcloud, and everything that finds its credentials as Google's own kits do.
    fn gcp(&self) -> Vec<(&'static str, String)> {
        vec![
            ("GOOGLE_APPLICATION_CREDENTIALS", self.key_file.display().to_string()),
            ("GOOGLE_CLOUD_PROJECT", gce::PROJECT.to_owned()),
            ("CLOUDSDK_CORE_PROJECT", gce::PROJECT.to_owned()),
            ("CLOUDSDK_API_ENDPOINT_OVERRIDES_COMPUTE", format!("{}/compute/v1/", self.api_url)),
            ("CLOUDSDK_API_ENDPOINT_OVERRIDES_DNS", format!("{}/dns/v1/", self.api_url)),
        ]
    }
}

/// What clients of a running sandbox need.
///
/// # Errors
///
/// `NotRunning`.
pub fn env(name: &str) -> Result<ClientEnv> {
    let folder = Folder::of(name)?;
    let found = running(&folder)?.ok_or_else(|| SandboxError::NotRunning(name.to_owned()))?;
    Ok(ClientEnv {
        name: found.name,
        apis: found.settings.apis,
        api_url: found.record.api_url(),
        token: found.token,
        key_file: ServiceAccount::path_in(&folder.file("state").join(Api::Gce.name())),
        dns: found.record.dns,
        ports: found.record.ports,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_client_finds_region_and_project_in_the_variable_that_it_reads() {
        let env = ClientEnv {
            name: "default".to_owned(),
            apis: Api::ALL.to_vec(),
            api_url: "http://127.0.0.1:7070".to_owned(),
            token: "dop_v1_test".into(),
            key_file: PathBuf::from("/key.json"),
            dns: "127.0.0.1:5300".parse().unwrap(),
            ports: PortMap { through: 0, offset: 0 },
        };
        let has = |api, name: &str, value: &str| {
            let variables = env.variables(api).unwrap();
            assert!(variables.iter().any(|one| one.name == name && one.value == value), "{name} in {variables:?}");
        };
        // The AWS CLI and boto3 read the second of these, and gcloud the last.
        has(Api::Ec2, "AWS_REGION", "us-east-1");
        has(Api::Ec2, "AWS_DEFAULT_REGION", "us-east-1");
        has(Api::DigitalOcean, "DIGITALOCEAN_END_POINT", "http://127.0.0.1:7070/v2/");
        has(Api::Gce, "GOOGLE_CLOUD_PROJECT", gce::PROJECT);
        has(Api::Gce, "CLOUDSDK_CORE_PROJECT", gce::PROJECT);
    }
}
