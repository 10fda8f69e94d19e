//! Credentials that are masked wherever this process writes, as soon as it has them: the chain may fetch them from anywhere, and
//! fetches new ones before the old ones expire.

use aws_config::SdkConfig;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider, future};
use remint_core::redact;
use secrecy::SecretString;

/// Credentials of another source.
#[derive(Debug)]
pub(crate) struct Masked(SharedCredentialsProvider);

impl Masked {
    /// The configuration, with the credentials that it finds masked.
    pub(crate) fn credentials_of(sdk: SdkConfig) -> SdkConfig {
        let Some(found) = sdk.credentials_provider() else { return sdk };
        sdk.into_builder().credentials_provider(SharedCredentialsProvider::new(Self(found))).build()
    }
}

impl ProvideCredentials for Masked {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(async {
            let found = self.0.provide_credentials().await?;
            for secret in std::iter::once(found.secret_access_key()).chain(found.session_token()) {
                redact::learn(&SecretString::from(secret));
            }
            Ok(found)
        })
    }
}
