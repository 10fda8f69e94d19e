//! Keys for the S3 API that the environment does not have: those of the profiles of Amazon's tools.
//!
//! Core reads keys that are written in the files of the profiles. What must be fetched first (single sign-on, a role that is
//! assumed, a process that prints keys) needs Amazon's own library, which core does not have: a provider crate that has it
//! submits [`AwsProfiles`], and then that is asked instead.

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use futures::future::BoxFuture;
use jiff::Timestamp;
use object_store::{
    CredentialProvider,
    aws::{AwsCredential, AwsCredentialProvider},
};
use secrecy::ExposeSecret;
use tokio::sync::Mutex;

use super::{
    keys::{AwsKeys, Env},
    profile::{self, Profile},
};
use crate::{clock, redact};

/// Keys that would expire sooner than this are fetched again.
const FRESH: Duration = Duration::from_secs(300);

/// Why a profile gives no keys.
pub type ProfileError = Box<dyn std::error::Error + Send + Sync>;

/// Finds the keys of a profile, or of the usual one.
pub type LoadProfile = fn(profile: Option<String>) -> BoxFuture<'static, Result<Option<AwsKeys>, ProfileError>>;

/// Finds keys as Amazon's tools do, from profiles above all. At most one crate of a build submits one by `inventory`.
#[derive(Debug)]
pub struct AwsProfiles {
    /// Finds the keys of a profile, or of the usual one. `None` where there is no such profile, and none was asked for: then keys
    /// of the instance that this runs on are looked for. Must not show a secret in its error.
    pub load: LoadProfile,
}

inventory::collect!(AwsProfiles);

/// Keys of a profile, or else those that the instance has that this runs on.
pub(super) struct Profiles {
    instance: AwsCredentialProvider,
    env: Env,
    found: Mutex<Option<(Arc<AwsCredential>, Option<Timestamp>)>>,
}

impl Profiles {
    pub(super) fn or(instance: AwsCredentialProvider, env: Env) -> Self {
        Self { instance, env, found: Mutex::default() }
    }
}

impl fmt::Debug for Profiles {
    /// Without the environment and the keys.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Profiles")
    }
}

#[async_trait]
impl CredentialProvider for Profiles {
    type Credential = AwsCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<AwsCredential>> {
        let mut found = self.found.lock().await;
        if let Some((keys, expires)) = &*found
            && expires.is_none_or(|expires| clock::wall() + FRESH < expires)
        {
            return Ok(Arc::clone(keys));
        }
        let name = profile::chosen(&self.env);
        let keys = match inventory::iter::<AwsProfiles>.into_iter().next() {
            Some(profiles) => (profiles.load)(name.map(str::to_owned)).await.map_err(failed)?,
            None => of_files(name, &self.env).map_err(failed)?,
        };
        let Some(AwsKeys { id, secret, token, expires }) = keys else {
            if self.env.get("AWS_EC2_METADATA_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true")) {
                return Err(failed("neither the environment nor a profile has keys".into()));
            }
            // It renews them by itself.
            return self.instance.get_credential().await;
        };
        redact::learn(&secret);
        token.iter().for_each(redact::learn);
        let keys = Arc::new(AwsCredential {
            key_id: id,
            secret_key: secret.expose_secret().to_owned(),
            token: token.map(|token| token.expose_secret().to_owned()),
        });
        *found = Some((Arc::clone(&keys), expires));
        Ok(keys)
    }
}

fn of_files(name: Option<&str>, env: &Env) -> Result<Option<AwsKeys>, ProfileError> {
    let keys = Profile::read(name.unwrap_or("default"), env).keys;
    match (name, keys) {
        (Some(name), None) => Err(format!(
            "profile `{name}` (AWS_PROFILE) has no keys in its files, and this remint cannot log in for it"
        )
        .into()),
        (_, keys) => Ok(keys),
    }
}

fn failed(source: ProfileError) -> object_store::Error {
    object_store::Error::Generic { store: "profile", source }
}
