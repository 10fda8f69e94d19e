//! Options, and where the API and its token are.
//!
//! Neither stands in the manifest, which may come from anybody: whoever says where the API is gets the token. The address is
//! DigitalOcean's own, or that of `DIGITALOCEAN_API_URL`. The token comes from the environment or from `doctl`'s own configuration, in this order:
//! `DIGITALOCEAN_TOKEN`, `DIGITALOCEAN_ACCESS_TOKEN`, `doctl`'s current context.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use remint_core::provider::{BuildContext, Error, ErrorKind, Result, support::endpoint};
use schemars::JsonSchema;
use secrecy::SecretString;
use serde::Deserialize;
use url::Url;

/// DigitalOcean's own API.
pub const DEFAULT_API_URL: &str = "https://api.digitalocean.com";

pub(crate) const OPERATION: &str = "configure digitalocean";
/// The longest tag (API reference, "Tags").
pub(crate) const LONGEST_TAG: usize = 255;
/// How many tags a user may add to Remint's own.
const MOST_TAGS: usize = 20;
pub(crate) const TOKEN_VARIABLES: [&str; 2] = ["DIGITALOCEAN_TOKEN", "DIGITALOCEAN_ACCESS_TOKEN"];
const URL_VARIABLE: &str = "DIGITALOCEAN_API_URL";

/// The options of `[providers.digitalocean.options]`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The VPC of the droplets in the section's region, by its UUID; the region's default VPC when not given.
    pub vpc: Option<String>,
    /// More tags for droplets, builders included, at most 20: letters, digits, `:`, `-` and `_`, at most 255 of them. Tags that
    /// begin with `remint` are taken.
    pub tags: Vec<String>,
    /// Install DigitalOcean's metrics agent on droplets.
    pub monitoring: bool,
    /// Give droplets an IPv6 address in addition to their IPv4 address.
    pub ipv6: bool,
}

impl Config {
    /// Reads the options of a context, and refuses unknown ones.
    ///
    /// # Errors
    ///
    /// `InvalidInput` that names the option.
    pub fn from_context(context: &BuildContext) -> Result<Self> {
        context.refuse_outside_only("api_url", URL_VARIABLE)?;
        let config: Self =
            context.options.clone().try_into().map_err(|error: toml::de::Error| invalid(error.message().trim()))?;
        config.check()?;
        Ok(config)
    }

    fn check(&self) -> Result<()> {
        if let Some(vpc) = &self.vpc
            && !is_uuid(vpc)
        {
            let message = format!("`vpc` is a UUID such as `5a4981aa-9653-4bd1-bef5-d6bff52042e4`, not `{vpc}`");
            return Err(invalid(&message));
        }
        if self.tags.len() > MOST_TAGS {
            return Err(invalid(&format!("`tags` has {} tags; {MOST_TAGS} are the most", self.tags.len())));
        }
        for tag in &self.tags {
            let letters = tag.bytes().all(|byte| byte.is_ascii_alphanumeric() || b":-_".contains(&byte));
            let what = if !letters || !(1..=LONGEST_TAG).contains(&tag.len()) {
                "a tag has 1 to 255 letters, digits, `:`, `-` and `_`"
            } else if tag.to_ascii_lowercase().starts_with("remint") {
                "tags that begin with `remint` are Remint's own"
            } else {
                continue;
            };
            return Err(invalid(&format!("tag `{}` in `tags`: {what}", tag.escape_debug())));
        }
        Ok(())
    }
}

fn is_uuid(text: &str) -> bool {
    let groups: Vec<&str> = text.split('-').collect();
    let lengths = groups.iter().map(|group| group.len());
    lengths.eq([8, 4, 4, 4, 12]) && groups.concat().bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn invalid(problem: &str) -> Error {
    Error::new(ErrorKind::InvalidInput, OPERATION, problem)
        .with_resource("[providers.digitalocean.options]")
        .with_hint("options: vpc, tags, monitoring, ipv6; the token comes from the environment")
}

/// The API's address: that of the environment, or DigitalOcean's own.
///
/// # Errors
///
/// `InvalidInput` for an address that is none, or one that would send the token unencrypted to another machine.
pub(crate) fn api_url(env: &BTreeMap<String, String>) -> Result<Url> {
    endpoint(OPERATION, URL_VARIABLE, set(env, URL_VARIABLE).unwrap_or(DEFAULT_API_URL))
}

/// Finds the token in the environment of a context, or in `doctl`'s configuration.
///
/// # Errors
///
/// `Unauthenticated`, naming all places that were looked at.
pub fn token(env: &BTreeMap<String, String>) -> Result<SecretString> {
    if let Some(token) = TOKEN_VARIABLES.iter().find_map(|name| set(env, name)) {
        return usable(token);
    }
    if let Some(path) = doctl_config(env)
        && let Some(token) = doctl_token(&path, set(env, "DIGITALOCEAN_CONTEXT"))?
    {
        return usable(&token);
    }
    Err(Error::new(
        ErrorKind::Unauthenticated,
        OPERATION,
        "no API token in DIGITALOCEAN_TOKEN, in DIGITALOCEAN_ACCESS_TOKEN or in doctl's configuration",
    )
    .with_hint("create a token at https://cloud.digitalocean.com/account/api/tokens and export DIGITALOCEAN_TOKEN"))
}

/// A token that can stand in a header. Its text is in no message.
fn usable(token: &str) -> Result<SecretString> {
    let token = token.trim();
    if token.chars().all(|c| c.is_ascii_graphic()) {
        return Ok(SecretString::from(token));
    }
    Err(Error::new(ErrorKind::Unauthenticated, OPERATION, "the API token holds characters that no token has")
        .with_hint("copy the token again, without spaces or line ends"))
}

fn set<'a>(env: &'a BTreeMap<String, String>, name: &str) -> Option<&'a str> {
    env.get(name).map(|value| value.trim()).filter(|value| !value.is_empty())
}

/// Where `doctl` keeps its configuration: the first of its usual places that has one.
fn doctl_config(env: &BTreeMap<String, String>) -> Option<PathBuf> {
    let home = |below: &str| set(env, "HOME").map(|home| Path::new(home).join(below));
    let candidates = [
        set(env, "DIGITALOCEAN_CONFIG").map(PathBuf::from),
        set(env, "XDG_CONFIG_HOME").map(|folder| Path::new(folder).join("doctl/config.yaml")),
        home(".config/doctl/config.yaml"),
        home("Library/Application Support/doctl/config.yaml"),
    ];
    candidates.into_iter().flatten().find(|path| path.is_file())
}

/// What is read of `doctl`'s configuration.
#[derive(Deserialize)]
struct DoctlConfig {
    #[serde(default, rename = "access-token")]
    access_token: Option<SecretText>,
    #[serde(default)]
    context: Option<String>,
    #[serde(default, rename = "auth-contexts")]
    auth_contexts: Option<BTreeMap<String, SecretText>>,
}

/// Text that has no `Debug`, so that no message can show it.
#[derive(Deserialize)]
#[serde(transparent)]
struct SecretText(String);

fn doctl_token(path: &Path, context: Option<&str>) -> Result<Option<String>> {
    // Neither the parser's nor its source's message is kept: both quote the line, and the line may hold the token.
    let failed = |what: &str| {
        Error::new(ErrorKind::Unauthenticated, OPERATION, format!("{} {what}", path.display()))
            .with_hint("run `doctl auth init` again, or export DIGITALOCEAN_TOKEN")
    };
    let text = std::fs::read_to_string(path).map_err(|error| failed(&format!("cannot be read: {error}")))?;
    let config: DoctlConfig = serde_saphyr::from_str(&text).map_err(|_| failed("is not doctl's configuration"))?;
    let context = context.or(config.context.as_deref()).unwrap_or("default");
    let token = if context == "default" {
        config.access_token.map(|token| token.0)
    } else {
        let mut contexts = config.auth_contexts.unwrap_or_default();
        let token = contexts.remove(context).map(|token| token.0);
        Some(token.ok_or_else(|| failed(&format!("has no context `{context}`")))?)
    };
    Ok(token.filter(|token| !token.trim().is_empty()))
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    fn env(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn found(env: &BTreeMap<String, String>) -> String {
        token(env).unwrap().expose_secret().to_owned()
    }

    #[test]
    fn the_environment_goes_before_doctl() {
        let both = env(&[("DIGITALOCEAN_TOKEN", "first"), ("DIGITALOCEAN_ACCESS_TOKEN", "second")]);
        assert_eq!(found(&both), "first");
        assert_eq!(found(&env(&[("DIGITALOCEAN_TOKEN", " "), ("DIGITALOCEAN_ACCESS_TOKEN", "second\n")])), "second");
    }

    #[test]
    fn doctl_gives_the_token_of_its_context() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join(".config/doctl");
        std::fs::create_dir_all(&folder).unwrap();
        let write = |text: &str| std::fs::write(folder.join("config.yaml"), text).unwrap();
        let at_home = env(&[("HOME", home.path().to_str().unwrap())]);

        write("access-token: plain\ncontext: default\noutput: text\n");
        assert_eq!(found(&at_home), "plain");
        write("access-token: plain\nauth-contexts:\n  team: theirs\ncontext: team\n");
        assert_eq!(found(&at_home), "theirs");
        write("access-token: dop_v1_secret\ncontext: gone\n");
        let error = token(&at_home).unwrap_err();
        assert!(error.to_string().contains("has no context `gone`"), "{error}");
        write("access-token: [dop_v1_secret\n");
        let error = token(&at_home).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("dop_v1_secret"), "{error:?}");
        write("access-token: \"\"\n");
        assert_eq!(token(&at_home).unwrap_err().kind(), ErrorKind::Unauthenticated);
    }

    #[test]
    fn a_missing_token_names_all_three_places() {
        let error = token(&env(&[])).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unauthenticated);
        for place in ["DIGITALOCEAN_TOKEN", "DIGITALOCEAN_ACCESS_TOKEN", "doctl"] {
            assert!(error.message().contains(place), "{error}");
        }
    }

    #[test]
    fn a_malformed_token_is_refused_without_being_shown() {
        let error = token(&env(&[("DIGITALOCEAN_TOKEN", "dop_v1 secret")])).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("secret"), "{error:?}");
    }

    #[test]
    fn options_are_checked() {
        let context = |text: &str| BuildContext { options: text.parse().unwrap(), ..BuildContext::default() };
        let text = "vpc = '5a4981aa-9653-4bd1-bef5-d6bff52042e4'\ntags = ['web', 'team:a_b-c']\nipv6 = true";
        let config = Config::from_context(&context(text)).unwrap();
        assert!(config.ipv6 && !config.monitoring && config.tags.len() == 2);
        let long = format!("tags = ['{}']", "x".repeat(256));
        for (text, named) in [
            ("vpc = 'default'", "UUID"),
            ("vpc = '5a4981aa-9653-4bd1-bef5-d6bff52042eg'", "UUID"),
            ("tags = ['two words']", "two words"),
            ("tags = ['']", "1 to 255"),
            (&long, "1 to 255"),
            ("tags = ['Remint:env-id:x']", "Remint's own"),
            ("monitor = true", "monitor"),
        ] {
            let error = Config::from_context(&context(text)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            assert!(error.to_string().contains(named), "{error}");
        }
        let error = Config::from_context(&context("token = 'x'")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.to_string().contains("token"), "{error}");

        let local = env(&[("DIGITALOCEAN_API_URL", "http://127.0.0.1:8080")]);
        assert_eq!(api_url(&local).unwrap().port(), Some(8080));
        assert_eq!(api_url(&env(&[])).unwrap().as_str(), "https://api.digitalocean.com/");
        let error = api_url(&env(&[("DIGITALOCEAN_API_URL", "http://api.example.com")])).unwrap_err();
        assert!(error.to_string().contains("unencrypted"), "{error}");
    }

    #[test]
    fn the_manifest_does_not_say_where_the_token_goes() {
        for url in ["https://evil.example", "http://127.0.0.1:8080", DEFAULT_API_URL] {
            let options = format!("api_url = '{url}'").parse().unwrap();
            let context = BuildContext { options, ..BuildContext::default() };
            let error = Config::from_context(&context).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            let (text, hint) = (error.to_string(), error.hint().unwrap_or_default());
            assert!(text.contains("api_url") && hint.contains("DIGITALOCEAN_API_URL"), "{text}; {hint}");
        }
    }
}
