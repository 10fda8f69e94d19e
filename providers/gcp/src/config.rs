//! Options, the project, and where the APIs are.

use std::collections::BTreeMap;

use remint_core::provider::{BuildContext, Error, ErrorKind, Result, support::endpoint};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::labelling;

/// Compute Engine's own address.
pub const COMPUTE_URL: &str = "https://compute.googleapis.com";
/// Cloud DNS's own address.
pub const DNS_URL: &str = "https://dns.googleapis.com";

pub(crate) const OPERATION: &str = "configure gcp";
const COMPUTE_VARIABLE: &str = "CLOUDSDK_API_ENDPOINT_OVERRIDES_COMPUTE";
const DNS_VARIABLE: &str = "CLOUDSDK_API_ENDPOINT_OVERRIDES_DNS";
/// Where the addresses of scopes begin.
const SCOPES: &str = "https://www.googleapis.com/auth/";
const PROJECT_VARIABLES: [&str; 2] = ["GOOGLE_CLOUD_PROJECT", "CLOUDSDK_CORE_PROJECT"];

/// The options of `[providers.gcp.options]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The project; `GOOGLE_CLOUD_PROJECT` when not given, and the one that the credentials name without either.
    pub project: Option<String>,
    /// The VPC network of the instances: a name, or `projects/HOST/global/networks/NAME`.
    pub network: String,
    /// The subnetwork of the instances: a name in the zone's region, or `projects/HOST/regions/REGION/subnetworks/NAME`.
    /// Needed where the network has no automatic ones.
    pub subnetwork: Option<String>,
    /// The e-mail address of the service account that instances run as. None when not given: instances then hold no
    /// credentials.
    pub service_account: Option<String>,
    /// The OAuth scopes of the instances' credentials, as full addresses: `https://www.googleapis.com/auth/devstorage.read_only`.
    /// All that the roles of `service_account` allow when not given.
    #[schemars(length(min = 1), inner(regex(pattern = r"^https://www\.googleapis\.com/auth/[a-z0-9._/-]+$")))]
    pub scopes: Option<Vec<String>>,
    /// Further labels of instances, boot disks, images and the addresses of static IPs and load balancers, in Google's form. Remint's own, `managed-by` and
    /// `remint-…`, cannot be among them.
    pub labels: BTreeMap<String, String>,
    /// The size of the boot disk in GiB; the image's own when not given.
    #[schemars(range(min = 1, max = 65_536))]
    pub disk_gib: Option<u32>,
    /// The kind of boot disk: `pd-standard`, `pd-balanced`, `pd-ssd`, `hyperdisk-balanced`.
    pub disk_type: String,
    /// Whether Remint makes firewall rules that open port 22 and the ports of the service to its instances. Without
    /// them, the network's own rules decide who reaches an instance.
    pub firewall: bool,
    /// Says that the base image has cloud-init, where Remint knows its project for images without: `debian-cloud`.
    pub base_has_cloud_init: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            project: None,
            network: "default".to_owned(),
            subnetwork: None,
            service_account: None,
            scopes: None,
            labels: BTreeMap::new(),
            disk_gib: None,
            disk_type: "pd-balanced".to_owned(),
            firewall: true,
            base_has_cloud_init: false,
        }
    }
}

impl Config {
    /// Reads the options of a context, and refuses unknown ones.
    ///
    /// # Errors
    ///
    /// `InvalidInput` that names the option.
    pub fn from_context(context: &BuildContext) -> Result<Self> {
        context.refuse_outside_only("endpoint", COMPUTE_VARIABLE)?;
        context.refuse_outside_only("credentials", "GOOGLE_APPLICATION_CREDENTIALS")?;
        let invalid = |problem: &str, hint: &str| {
            Error::new(ErrorKind::InvalidInput, OPERATION, problem)
                .with_resource("[providers.gcp.options]")
                .with_hint(hint)
        };
        let config: Self = context.options.clone().try_into().map_err(|error: toml::de::Error| {
            invalid(
                error.message().trim(),
                "the options are `project`, `network`, `subnetwork`, `service_account`, `scopes`, `labels`, `disk_gib`, \
                 `disk_type`, `firewall` and `base_has_cloud_init`",
            )
        })?;
        if config.disk_gib == Some(0) {
            return Err(invalid("`disk_gib` is 0", "give the size in GiB, or leave it out"));
        }
        config.check_scopes().map_err(|problem| {
            invalid(&problem, "write full addresses, such as `https://www.googleapis.com/auth/devstorage.read_only`")
        })?;
        labelling::check_extra(&config.labels).map_err(|problem| {
            let hint =
                "keys and values have small letters, digits, `_` and `-`, at most 63; a key begins with a letter";
            invalid(&problem, hint)
        })?;
        Ok(config)
    }

    fn check_scopes(&self) -> std::result::Result<(), String> {
        let Some(scopes) = &self.scopes else { return Ok(()) };
        if self.service_account.is_none() {
            return Err("`scopes` without `service_account`: instances hold no credentials".to_owned());
        }
        if scopes.is_empty() {
            return Err("`scopes` is empty; leave it out for all that the account's roles allow".to_owned());
        }
        let inner = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'/' | b'-');
        let is_scope =
            |scope: &str| scope.strip_prefix(SCOPES).is_some_and(|name| !name.is_empty() && name.bytes().all(inner));
        match scopes.iter().find(|scope| !is_scope(scope)) {
            Some(wrong) => Err(format!("`{wrong}` in `scopes` is not the address of a scope")),
            None => Ok(()),
        }
    }

    /// The scopes of the instances' credentials: all that the account's roles allow, or those of the options.
    pub(crate) fn scopes(&self) -> Vec<String> {
        self.scopes.clone().unwrap_or_else(|| vec![format!("{SCOPES}cloud-platform")])
    }

    /// The project: the option, the environment, or what the credentials say.
    ///
    /// # Errors
    ///
    /// `InvalidInput`, naming all places that were looked at.
    pub fn project(&self, env: &BTreeMap<String, String>, credentials: Option<&str>) -> Result<String> {
        let from_env = || PROJECT_VARIABLES.iter().find_map(|name| set(env, name));
        let project = self.project.as_deref().or_else(from_env).or(credentials);
        let project = project.ok_or_else(|| {
            let message = "no project in the option `project`, in GOOGLE_CLOUD_PROJECT or in the credentials";
            Error::new(ErrorKind::InvalidInput, OPERATION, message)
                .with_hint("write `project = \"…\"` in `[providers.gcp.options]`, or export GOOGLE_CLOUD_PROJECT")
        })?;
        let usable = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.:".contains(&byte);
        if project.is_empty() || !project.bytes().all(usable) {
            return Err(Error::new(ErrorKind::InvalidInput, OPERATION, format!("`{project}` is not a project's id"))
                .with_hint("give the project's id, and not its name or number: `gcloud projects list` shows it"));
        }
        Ok(project.to_owned())
    }
}

/// Where the two APIs are: Google's own addresses, or those of the environment.
///
/// # Errors
///
/// `InvalidInput` for an address that is none, or one that would send credentials unencrypted to another machine.
pub fn endpoints(env: &BTreeMap<String, String>) -> Result<(String, String)> {
    let find = |variable: &str, own: &str, version: &str| match set(env, variable) {
        Some(text) => root(variable, text, version),
        None => Ok(own.to_owned()),
    };
    Ok((find(COMPUTE_VARIABLE, COMPUTE_URL, "/compute/v1")?, find(DNS_VARIABLE, DNS_URL, "/dns/v1")?))
}

/// The root that the SDK wants, of an address that may end in the API's version, as `gcloud` wants it.
fn root(variable: &str, text: &str, version: &str) -> Result<String> {
    endpoint(OPERATION, variable, text)?;
    let root = text.trim_end_matches('/');
    Ok(root.strip_suffix(version).unwrap_or(root).to_owned())
}

pub(crate) fn set<'a>(env: &'a BTreeMap<String, String>, name: &str) -> Option<&'a str> {
    env.get(name).map(|value| value.trim()).filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn config(options: &str) -> Result<Config> {
        Config::from_context(&BuildContext { options: options.parse().unwrap(), ..BuildContext::default() })
    }

    #[test]
    fn options_are_checked() {
        let found = config("project = 'mine'\ndisk_gib = 20\nfirewall = false").unwrap();
        assert_eq!((found.project.as_deref(), found.disk_gib, found.firewall), (Some("mine"), Some(20), false));
        assert_eq!((found.network.as_str(), found.disk_type.as_str()), ("default", "pd-balanced"));
        for options in ["zone = 'x'", "disk_gib = 0", "disk_gib = -1", "network = 7"] {
            assert_eq!(config(options).unwrap_err().kind(), ErrorKind::InvalidInput, "{options}");
        }
        assert!(config("zone = 'x'").unwrap_err().to_string().contains("zone"));
    }

    #[test]
    fn scopes_are_full_addresses_and_need_an_account() {
        let with = |scopes: &str| config(&format!("service_account = 'a@mine.iam.gserviceaccount.com'\n{scopes}"));
        let all = with("").unwrap().scopes();
        assert_eq!(all, ["https://www.googleapis.com/auth/cloud-platform"]);
        let two = "scopes = ['https://www.googleapis.com/auth/compute', 'https://www.googleapis.com/auth/devstorage.read_only']";
        assert_eq!(with(two).unwrap().scopes().len(), 2);
        for scopes in [
            "scopes = []",
            "scopes = ['compute']",
            "scopes = ['https://www.googleapis.com/auth/']",
            "scopes = ['https://www.googleapis.com/auth/compute rw']",
            "scopes = ['http://www.googleapis.com/auth/compute']",
            "scopes = 'https://www.googleapis.com/auth/compute'",
        ] {
            let error = with(scopes).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{scopes}");
        }
        assert!(config(two).unwrap_err().to_string().contains("without `service_account`"));
    }

    #[test]
    fn labels_are_googles_and_not_remints_own() {
        let found = config("labels = { team = 'web', cost-centre_1 = '' }").unwrap();
        assert_eq!(found.labels["team"], "web");
        for labels in
            ["Team = 'web'", "team = 'Web'", "'' = 'x'", "1st = 'x'", "managed-by = 'me'", "remint-service = 'x'"]
        {
            let error = config(&format!("[labels]\n{labels}")).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{labels}");
            assert!(error.to_string().contains("labels"), "{error}");
        }
    }

    #[test]
    fn the_option_goes_before_the_environment_and_that_before_the_credentials() {
        let named = env(&[("GOOGLE_CLOUD_PROJECT", "from-env")]);
        assert_eq!(config("project = 'mine'").unwrap().project(&named, Some("theirs")).unwrap(), "mine");
        assert_eq!(Config::default().project(&named, Some("theirs")).unwrap(), "from-env");
        assert_eq!(Config::default().project(&env(&[]), Some("theirs")).unwrap(), "theirs");
        let error = Config::default().project(&env(&[]), None).unwrap_err();
        assert!(error.hint().unwrap().contains("GOOGLE_CLOUD_PROJECT"), "{error}");
        assert!(config("project = '../x'").unwrap().project(&named, None).is_err());
    }

    #[test]
    fn endpoints_end_where_the_version_begins() {
        let own = endpoints(&env(&[])).unwrap();
        assert_eq!(own, (COMPUTE_URL.to_owned(), DNS_URL.to_owned()));
        let local =
            env(&[(COMPUTE_VARIABLE, "http://127.0.0.1:8080/compute/v1/"), (DNS_VARIABLE, "http://127.0.0.1:8080/")]);
        let both = "http://127.0.0.1:8080".to_owned();
        assert_eq!(endpoints(&local).unwrap(), (both.clone(), both));
        let error = endpoints(&env(&[(DNS_VARIABLE, "http://dns.example.com/dns/v1/")])).unwrap_err();
        assert!(error.to_string().contains("unencrypted"), "{error}");
        assert!(endpoints(&env(&[(COMPUTE_VARIABLE, "nonsense")])).is_err());
    }
}
