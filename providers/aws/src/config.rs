//! Options, and where credentials and the region come from.
//!
//! Credentials come from the SDK's own chain: environment variables, the shared configuration with its profiles, IAM
//! Identity Center (SSO), a credential process, web identity, the container's and the instance's metadata service. None of
//! it can stand in the manifest, which may come from anybody: not even the name of a profile, which chooses credentials, may
//! bring an address of its own and start its credential process.

use std::{collections::BTreeMap, time::Duration};

use aws_config::{BehaviorVersion, SdkConfig, retry::RetryConfig};
use aws_credential_types::Credentials;
use aws_smithy_types::timeout::TimeoutConfig;
use remint_core::provider::{BuildContext, Calls, Error, ErrorKind, Region, Result};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::{
    ids::{is_arn, is_id},
    tags::{LONGEST_KEY, LONGEST_VALUE, NAME},
    transport,
};

const OPERATION: &str = "configure aws";
/// How long a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// The largest `gp3` volume that every region offers, in GiB (EBS user guide, "General Purpose SSD volumes").
pub(crate) const LARGEST_DISK: u32 = 16_384;

/// The most security groups that a network interface can have (Amazon VPC quotas; five, unless the account's quota is raised).
const MOST_GROUPS: usize = 16;
/// How many tags are left to the user: EC2 takes 50 on a resource, and Remint's labels need the others.
const MOST_TAGS: usize = 10;

/// The options of `[providers.aws.options]`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where to look for what stands; the section's `region` when not given, and the SDK's own (`AWS_REGION`, the profile)
    /// without a section.
    pub region: Option<Region>,
    /// The VPC of the instances (`vpc-…`); the region's default VPC when neither this nor `subnet` is given.
    pub vpc: Option<String>,
    /// The subnet of the instances (`subnet-…`); it must route to the internet.
    pub subnet: Option<String>,
    /// The security groups of the instances (`sg-…`), at most 16. When none is given, Remint makes one that opens port 22 and
    /// the service's ports.
    pub security_groups: Vec<String>,
    /// The IAM instance profile of the instances, builders included: its name, or its ARN (`arn:aws:iam::…:instance-profile/…`).
    pub instance_profile: Option<String>,
    /// More tags for instances, their volumes, images, their snapshots, static IPs and load balancers, at most 10. Keys that begin
    /// with `aws:` or `remint`, and `Name`, are taken.
    pub tags: BTreeMap<String, String>,
    /// Encrypt the disks of instances, and so the images that are captured from them and their copies.
    pub encrypt: bool,
    /// Launch builders as spot instances.
    pub spot_builders: bool,
    /// The root disk of builders and instances, in GiB. When not given, it is as large as the image was.
    pub disk_gib: Option<u32>,
}

impl Config {
    /// Reads the options of a context, and refuses unknown ones.
    ///
    /// # Errors
    ///
    /// `InvalidInput` that names the option.
    pub fn from_context(context: &BuildContext) -> Result<Self> {
        context.refuse_outside_only("profile", "AWS_PROFILE")?;
        context.refuse_outside_only("endpoint_url", "AWS_ENDPOINT_URL")?;
        if context.options.contains_key("security_group") {
            return Err(invalid("`security_group` is a list now: write `security_groups = [\"sg-…\"]`"));
        }
        let config: Self =
            context.options.clone().try_into().map_err(|error: toml::de::Error| invalid(error.message().trim()))?;
        config.check()?;
        Ok(config)
    }

    fn check(&self) -> Result<()> {
        if let Some(region) = &self.region {
            check_region(region)?;
        }
        let ids = [("vpc", &self.vpc, "vpc-"), ("subnet", &self.subnet, "subnet-")];
        let groups = self.security_groups.iter().map(|group| ("security_groups", group, "sg-"));
        let ids = ids.into_iter().filter_map(|(option, value, prefix)| Some((option, value.as_ref()?, prefix)));
        for (option, value, prefix) in ids.chain(groups) {
            if !is_id(value, prefix) {
                return Err(invalid(&format!("`{option}` takes ids such as `{prefix}0a1b2c3d`, not `{value}`")));
            }
        }
        if self.security_groups.len() > MOST_GROUPS {
            let given = self.security_groups.len();
            return Err(invalid(&format!("`security_groups` has {given} groups; {MOST_GROUPS} are the most")));
        }
        if let Some(profile) = &self.instance_profile
            && !is_profile(profile)
        {
            let message = format!("`instance_profile` is the name of an instance profile or its ARN, not `{profile}`");
            return Err(invalid(&message));
        }
        check_tags(&self.tags)?;
        match self.disk_gib {
            Some(gib) if !(1..=LARGEST_DISK).contains(&gib) => {
                Err(invalid(&format!("`disk_gib` is from 1 to {LARGEST_DISK}, not {gib}")))
            }
            _ => Ok(()),
        }
    }
}

/// Refuses a region that is no name: it becomes a part of the host that signed requests go to.
pub(crate) fn check_region(region: &Region) -> Result<()> {
    let name = region.as_str();
    let fits = (1..=63).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        && !name.starts_with('-')
        && !name.ends_with('-');
    if fits {
        return Ok(());
    }
    let message = format!("`{name}` cannot be the name of a region");
    Err(Error::new(ErrorKind::InvalidInput, OPERATION, message).with_hint("regions are named as in `eu-central-1`"))
}

/// Whether a text can be an instance profile's name or ARN (IAM user guide, "IAM and AWS STS quotas": names have at most 128
/// letters, digits and `+=,.@-_`).
fn is_profile(text: &str) -> bool {
    let is_name = |name: &str| {
        (1..=128).contains(&name.len())
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+=,.@-_".contains(&byte))
    };
    match text.rsplit_once('/') {
        Some((_, name)) => is_arn(text) && is_name(name),
        None => is_name(text),
    }
}

/// Refuses tags that EC2 would refuse, or that are Remint's own (EC2 user guide, "Tag restrictions").
fn check_tags(tags: &BTreeMap<String, String>) -> Result<()> {
    if tags.len() > MOST_TAGS {
        return Err(invalid(&format!("`tags` has {} tags; {MOST_TAGS} are the most", tags.len())));
    }
    for (key, value) in tags {
        let lower = key.to_lowercase();
        let taken = lower.starts_with("aws:") || lower.starts_with("remint") || key == NAME;
        let what = if taken {
            "this key is AWS's or Remint's own"
        } else if key.trim() != key || !(1..=LONGEST_KEY).contains(&key.chars().count()) {
            "a key has 1 to 128 characters, and no space around it"
        } else if value.trim() != value || value.chars().count() > LONGEST_VALUE {
            "a value has at most 256 characters, and no space around it"
        } else if key.chars().chain(value.chars()).any(char::is_control) {
            "a tag has no control characters"
        } else {
            continue;
        };
        return Err(invalid(&format!("tag `{}` in `tags`: {what}", key.escape_debug())));
    }
    Ok(())
}

fn invalid(problem: &str) -> Error {
    Error::new(ErrorKind::InvalidInput, OPERATION, problem).with_resource("[providers.aws.options]").with_hint(
        "options: region, vpc, subnet, security_groups, instance_profile, tags, encrypt, spot_builders, disk_gib; \
         credentials come from the environment or AWS's own configuration",
    )
}

/// Loads the SDK's configuration: by its own chain, in which the variables of the context stand in for the process's.
///
/// Only what differs from the process's environment is set by hand, so that the chain's own rules (service-specific
/// endpoints, the order of sources) hold in ordinary use.
pub(crate) async fn load(config: &Config, env: &BTreeMap<String, String>, calls: &Calls) -> SdkConfig {
    let differing = |name: &str| {
        let value = env.get(name).filter(|value| !value.trim().is_empty())?;
        (std::env::var(name).ok().as_ref() != Some(value)).then(|| value.trim().to_owned())
    };
    let http = transport::bounded(calls);
    let mut loader = aws_config::defaults(BehaviorVersion::latest())
        // Repetitions are counted, and are the business of `Calls` alone.
        .retry_config(RetryConfig::disabled())
        .timeout_config(timeouts(calls))
        .http_client(http);
    if let Some(id) = differing("AWS_ACCESS_KEY_ID")
        && let Some(secret) = env.get("AWS_SECRET_ACCESS_KEY")
    {
        let session = env.get("AWS_SESSION_TOKEN").filter(|token| !token.is_empty()).cloned();
        loader = loader.credentials_provider(Credentials::new(id, secret.trim(), session, None, "environment"));
    } else if let Some(profile) = differing("AWS_PROFILE") {
        loader = loader.profile_name(profile);
    }
    let region = config.region.as_ref().map(|region| region.as_str().to_owned());
    if let Some(region) = region.or_else(|| differing("AWS_REGION")).or_else(|| differing("AWS_DEFAULT_REGION")) {
        loader = loader.region(aws_config::Region::new(region));
    }
    if let Some(url) = differing("AWS_ENDPOINT_URL") {
        loader = loader.endpoint_url(url);
    }
    loader.load().await
}

/// How long one attempt may take.
pub(crate) fn timeouts(calls: &Calls) -> TimeoutConfig {
    let attempt = calls.retry_policy().attempt;
    TimeoutConfig::builder().connect_timeout(CONNECT_TIMEOUT).operation_attempt_timeout(attempt).build()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context(text: &str) -> BuildContext {
        BuildContext { options: text.parse().unwrap(), ..BuildContext::default() }
    }

    #[test]
    fn options_are_checked() {
        let config = Config::from_context(&context("vpc = 'vpc-0a1b2c3d'\nencrypt = true\ndisk_gib = 20")).unwrap();
        assert_eq!(config.vpc.as_deref(), Some("vpc-0a1b2c3d"));
        assert!(config.encrypt && !config.spot_builders);
        for text in [
            "security_groups = ['sg-0a1b2c3d', 'sg-0a1b2c3e']",
            "instance_profile = 'web@prod'",
            "instance_profile = 'arn:aws-cn:iam::123456789012:instance-profile/team/web'",
            "tags = { 'cost centre' = '', team = 'web' }",
        ] {
            Config::from_context(&context(text)).unwrap();
        }
        for (text, named) in [
            ("secret_access_key = 'hunter2'", "secret_access_key"),
            ("subnet = 'default'", "subnet"),
            ("vpc = 'vpc-XYZ'", "vpc"),
            ("disk_gib = 0", "disk_gib"),
            ("security_group = 'sg-0a1b2c3d'", "security_groups = [\"sg-…\"]"),
            ("security_groups = ['sg-0a1b2c3d', 'web']", "`web`"),
            ("instance_profile = 'a b'", "instance_profile"),
            ("instance_profile = 'arn:aws:iam::123456789012:role/x'", "instance_profile"),
            ("tags = { 'remint:env-id' = 'x' }", "remint:env-id"),
            ("tags = { Remint = 'x' }", "own"),
            ("tags = { 'AWS:x' = 'y' }", "own"),
            ("tags = { Name = 'x' }", "own"),
            ("tags = { ' x' = 'y' }", "no space"),
            ("tags = { x = \"a\\tb\" }", "control"),
        ] {
            let error = Config::from_context(&context(text)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            assert!(error.to_string().contains(named), "{error}");
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
        }
    }

    #[tokio::test]
    async fn the_variables_of_the_context_stand_in_for_the_process() {
        use aws_credential_types::provider::ProvideCredentials;
        use remint_core::provider::RetryPolicy;

        let env = [
            ("AWS_ACCESS_KEY_ID", "AKIDCONTEXT"),
            ("AWS_SECRET_ACCESS_KEY", "secret"),
            ("AWS_REGION", "eu-central-1"),
            ("AWS_ENDPOINT_URL", "http://127.0.0.1:1"),
        ];
        let env = env.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let calls = Calls::new(crate::RATE, RetryPolicy::default());
        let sdk = load(&Config::default(), &env, &calls).await;
        assert_eq!(sdk.region().map(AsRef::as_ref), Some("eu-central-1"));
        assert_eq!(sdk.endpoint_url(), Some("http://127.0.0.1:1"));
        let found = sdk.credentials_provider().unwrap().provide_credentials().await.unwrap();
        assert_eq!(found.access_key_id(), "AKIDCONTEXT");
        let config = Config { region: Some(Region::from("us-west-2")), ..Config::default() };
        assert_eq!(
            load(&config, &env, &calls).await.region().map(AsRef::as_ref),
            Some("us-west-2"),
            "the option goes first"
        );
    }
}
