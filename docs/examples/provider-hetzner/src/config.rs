//! Options, and where the API and its token are.
//!
//! Neither stands in the manifest, which may come from anybody: the token comes from `HCLOUD_TOKEN`, where Hetzner's own tools
//! look for it too, and an address other than Hetzner's own from `HCLOUD_ENDPOINT`.

use std::time::Duration;

use remint_core::provider::{BuildContext, Error, ErrorKind, RatePolicy, Result, RetryPolicy, support::endpoint};
use schemars::JsonSchema;
use secrecy::SecretString;
use serde::Deserialize;
use url::Url;

/// Hetzner's own API.
const ENDPOINT: &str = "https://api.hetzner.cloud/v1";
pub(crate) const OPERATION: &str = "configure hetzner";

/// The options of `[providers.hetzner.options]`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// What to call the project that the token belongs to; the API does not tell.
    pub project: Option<String>,
}

/// What the provider is made with.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where the API is, version included. Plain HTTP only on loopback.
    pub endpoint: Url,
    /// The API token, which is of one project.
    pub token: SecretString,
    /// What the project is called.
    pub project: String,
    /// How many calls the API takes of the project, at once and in the long run.
    pub rate: RatePolicy,
    /// How calls are repeated.
    pub retry: RetryPolicy,
    /// The pause between two looks at an action that must end before a method does.
    pub poll: Duration,
}

impl Options {
    /// Reads a context: the manifest's options and the environment.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for an unknown option or an address over which a token must not go; `Unauthenticated` without a token.
    pub fn from_context(context: &BuildContext) -> Result<Self> {
        context.refuse_outside_only("endpoint", "HCLOUD_ENDPOINT")?;
        let config: Config = context.options.clone().try_into().map_err(|error| {
            Error::new(ErrorKind::InvalidInput, OPERATION, format!("{error}").trim())
                .with_resource("[providers.hetzner.options]")
                .with_hint("the only option is `project`; the token comes from HCLOUD_TOKEN")
        })?;
        let set = |name: &str| context.env.get(name).map(|value| value.trim()).filter(|value| !value.is_empty());
        let endpoint = endpoint(OPERATION, "HCLOUD_ENDPOINT", set("HCLOUD_ENDPOINT").unwrap_or(ENDPOINT))?;
        let token = set("HCLOUD_TOKEN").filter(|token| token.chars().all(|c| c.is_ascii_graphic()));
        let token = token.ok_or_else(|| {
            Error::new(ErrorKind::Unauthenticated, OPERATION, "no API token in HCLOUD_TOKEN")
                .with_hint("make one in the project's Security settings and export HCLOUD_TOKEN")
        })?;
        let retry = RetryPolicy::from_env(&context.env)?;
        let project = config.project.unwrap_or_else(|| "default".to_owned());
        Ok(Self { retry, ..Self::new(endpoint, token.into(), project) })
    }

    /// What holds for Hetzner itself: 3,600 calls an hour, of which one comes back each second; some are left for others.
    pub fn new(endpoint: Url, token: SecretString, project: String) -> Self {
        let rate = RatePolicy { burst: 600, per_second: 1.0, reserved_for_mutations: 100 };
        Self { endpoint, token, project, rate, retry: RetryPolicy::default(), poll: Duration::from_millis(500) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context(options: &str, env: &[(&str, &str)]) -> BuildContext {
        let env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        BuildContext { options: options.parse().unwrap(), env, ..BuildContext::default() }
    }

    #[test]
    fn the_environment_and_the_manifest_are_read_and_checked() {
        let token = ("HCLOUD_TOKEN", "secret-token");
        let options = Options::from_context(&context("project = 'shop'", &[token])).unwrap();
        assert_eq!((options.endpoint.as_str(), options.project.as_str()), (ENDPOINT, "shop"));
        let elsewhere = ("HCLOUD_ENDPOINT", "http://127.0.0.1:8080/v1");
        assert_eq!(Options::from_context(&context("", &[token, elsewhere])).unwrap().endpoint.port(), Some(8080));

        for (options, env, kind) in [
            ("token = 'x'", vec![token], ErrorKind::InvalidInput),
            ("endpoint = 'https://example.com/v1'", vec![token], ErrorKind::InvalidInput),
            ("", vec![token, ("HCLOUD_ENDPOINT", "http://example.com/v1")], ErrorKind::InvalidInput),
            ("", vec![], ErrorKind::Unauthenticated),
            ("", vec![("HCLOUD_TOKEN", "secret token")], ErrorKind::Unauthenticated),
        ] {
            let error = Options::from_context(&context(options, &env)).unwrap_err();
            assert_eq!(error.kind(), kind, "{error}");
            assert!(!format!("{error} {error:?}").contains("secret"), "{error:?}");
        }
    }
}
