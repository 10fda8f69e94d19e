//! Keys for a journal in S3, where Amazon's own tools find them: a profile with keys, single sign-on, a role that is assumed, or a
//! process that prints keys.

use std::error::Error;

use aws_config::profile::ProfileFileCredentialsProvider;
use aws_credential_types::provider::{ProvideCredentials, error::CredentialsError};
use aws_runtime::env_config::file::EnvConfigFiles;
use remint_core::journal::{AwsKeys, AwsProfiles, ProfileError};

inventory::submit! {
    AwsProfiles { load: |profile| Box::pin(load(profile, None)) }
}

/// The keys of a profile of these files, or of the usual ones. `None` where none was asked for and the usual one has none.
async fn load(profile: Option<String>, files: Option<EnvConfigFiles>) -> Result<Option<AwsKeys>, ProfileError> {
    let mut builder = ProfileFileCredentialsProvider::builder();
    if let Some(name) = &profile {
        builder = builder.profile_name(name);
    }
    if let Some(files) = files {
        builder = builder.profile_files(files);
    }
    let found = match builder.build().provide_credentials().await {
        Ok(found) => found,
        Err(CredentialsError::CredentialsNotLoaded(_)) if profile.is_none() => return Ok(None),
        Err(error) => {
            let name = profile.as_deref().unwrap_or("default");
            return Err(format!(
                "profile `{name}` gives no keys: {}; `aws sts get-caller-identity` shows more",
                causes(&error)
            )
            .into());
        }
    };
    Ok(Some(AwsKeys {
        id: found.access_key_id().to_owned(),
        secret: found.secret_access_key().into(),
        token: found.session_token().map(Into::into),
        expires: found.expiry().and_then(|expires| expires.try_into().ok()),
    }))
}

/// What led to an error, without the sentence that each error of this kind begins with.
fn causes(error: &CredentialsError) -> String {
    let mut causes = Vec::new();
    let mut next = error.source();
    while let Some(cause) = next {
        causes.push(cause.to_string());
        next = cause.source();
    }
    if causes.is_empty() { error.to_string() } else { causes.join(": ") }
}

#[cfg(test)]
mod tests {
    use aws_runtime::env_config::file::EnvConfigFileKind;
    use secrecy::ExposeSecret;

    use super::*;

    const PRINTS: &str = r#"{"Version":1,"AccessKeyId":"AKIDPROCESS","SecretAccessKey":"s","SessionToken":"t","Expiration":"2099-01-01T00:00:00Z"}"#;

    async fn keys(config: &str, profile: Option<&str>) -> Result<Option<AwsKeys>, ProfileError> {
        let files = EnvConfigFiles::builder().with_contents(EnvConfigFileKind::Config, config).build();
        load(profile.map(str::to_owned), Some(files)).await
    }

    #[tokio::test]
    async fn keys_come_from_a_profile_s_process_and_from_its_text() {
        let config = format!(
            "[profile team]\ncredential_process = echo '{PRINTS}'\n\
             [profile plain]\naws_access_key_id = AKIDPLAIN\naws_secret_access_key = p\n"
        );
        let found = keys(&config, Some("team")).await.unwrap().unwrap();
        assert_eq!((found.id.as_str(), found.secret.expose_secret()), ("AKIDPROCESS", "s"));
        assert_eq!(found.token.unwrap().expose_secret(), "t");
        assert_eq!(found.expires.unwrap().to_string(), "2099-01-01T00:00:00Z");
        let found = keys(&config, Some("plain")).await.unwrap().unwrap();
        assert_eq!((found.id.as_str(), found.expires), ("AKIDPLAIN", None));
    }

    #[tokio::test]
    async fn a_profile_that_gives_no_keys_is_named_and_one_that_nobody_asked_for_is_not_missed() {
        let config = "[profile broken]\ncredential_process = sh -c 'echo no login >&2; exit 1'\n\
                      [profile role]\nrole_arn = arn:aws:iam::1:role/x\nsource_profile = missing\n";
        for (profile, says) in [("broken", "no login"), ("role", "missing"), ("absent", "absent")] {
            let error = keys(config, Some(profile)).await.unwrap_err().to_string();
            assert!(error.contains(&format!("profile `{profile}`")) && error.contains(says), "{error}");
        }
        assert!(keys(config, None).await.unwrap().is_none());
    }
}
