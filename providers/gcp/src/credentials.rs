//! Application Default Credentials, found in the environment of the context.
//!
//! In this order: the file that `GOOGLE_APPLICATION_CREDENTIALS` names, the one that `gcloud auth application-default
//! login` writes, the metadata server of a machine in Google Cloud.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Duration,
};

use google_cloud_auth::{
    build_errors,
    credentials::{
        CacheableResource, Credentials, CredentialsProvider, external_account, impersonated, mds, service_account,
        user_account,
    },
    errors::CredentialsError,
};
use http::{Extensions, HeaderMap, header::AUTHORIZATION};
use remint_core::{
    provider::{Error, ErrorKind, Result},
    redact,
};
use secrecy::SecretString;
use serde_json::Value;

use crate::config::{OPERATION, set};

pub(crate) const FILE_VARIABLE: &str = "GOOGLE_APPLICATION_CREDENTIALS";
const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";
/// What is secret in a file of credentials.
const SECRET_KEYS: [&str; 3] = ["private_key", "client_secret", "refresh_token"];
/// How long the metadata server is given; it answers in milliseconds where there is one.
const METADATA_TIMEOUT: Duration = Duration::from_secs(3);

/// Credentials, and the project that they name.
#[derive(Debug)]
pub struct Found {
    /// What signs the requests; it fetches access tokens itself.
    pub credentials: Credentials,
    /// The project that the file names; `None` where it names none, or they come from elsewhere.
    pub project: Option<String>,
}

/// Finds the credentials.
///
/// # Errors
///
/// `Unauthenticated`, naming the file that is wrong, or all places that were looked at.
pub async fn find(env: &BTreeMap<String, String>) -> Result<Found> {
    match file(env) {
        Some(path) => from_file(&path),
        None => from_metadata().await,
    }
}

/// The file of the credentials, where there is one.
fn file(env: &BTreeMap<String, String>) -> Option<PathBuf> {
    if let Some(path) = set(env, FILE_VARIABLE) {
        return Some(PathBuf::from(path));
    }
    let folder = match (set(env, "CLOUDSDK_CONFIG"), set(env, "HOME")) {
        (Some(folder), _) => PathBuf::from(folder),
        (None, Some(home)) => Path::new(home).join(".config/gcloud"),
        (None, None) => return None,
    };
    Some(folder.join("application_default_credentials.json")).filter(|path| path.is_file())
}

/// Reads credentials from a file. No message quotes it: it holds a key.
///
/// # Errors
///
/// `Unauthenticated`, naming the file.
pub fn from_file(path: &Path) -> Result<Found> {
    let failed = |what: String| {
        Error::new(ErrorKind::Unauthenticated, OPERATION, format!("{} {what}", path.display())).with_hint(format!(
            "check the file that {FILE_VARIABLE} names, or run `gcloud auth application-default login`"
        ))
    };
    let text = std::fs::read_to_string(path).map_err(|error| failed(format!("cannot be read: {error}")))?;
    let json: Value = serde_json::from_str(&text).map_err(|_| failed("is not JSON".to_owned()))?;
    let text_of = |key: &str| json.get(key).and_then(Value::as_str).map(str::to_owned);
    let project = text_of("project_id").or_else(|| text_of("quota_project_id"));
    let kind = text_of("type").unwrap_or_default();
    let secrets: Vec<SecretString> =
        SECRET_KEYS.iter().filter_map(|key| text_of(key)).map(SecretString::from).collect();
    let credentials =
        build(&kind, json).ok_or_else(|| failed(format!("holds credentials of the unknown type `{kind}`")))?;
    let credentials = credentials.map_err(|_| failed(format!("is not a complete {kind} file")))?;
    secrets.iter().for_each(redact::learn);
    Ok(Found { credentials: Masked(credentials).into(), project })
}

/// The credentials of a file's type; `None` for a type that is not known.
fn build(kind: &str, json: Value) -> Option<std::result::Result<Credentials, build_errors::Error>> {
    let scopes = [SCOPE];
    Some(match kind {
        "service_account" => {
            let access = service_account::AccessSpecifier::from_scopes(scopes);
            service_account::Builder::new(json).with_access_specifier(access).build()
        }
        "authorized_user" => user_account::Builder::new(json).with_scopes(scopes).build(),
        "impersonated_service_account" => impersonated::Builder::new(json).with_scopes(scopes).build(),
        "external_account" => external_account::Builder::new(json).with_scopes(scopes).build(),
        _ => return None,
    })
}

/// The credentials of the machine, if it is one of Google's: without a look, the first call would wait for minutes.
async fn from_metadata() -> Result<Found> {
    let missing = || {
        Error::new(
            ErrorKind::Unauthenticated,
            OPERATION,
            format!("no credentials in {FILE_VARIABLE}, from `gcloud auth application-default login` or on a metadata server"),
        )
        .with_hint(format!("run `gcloud auth application-default login`, or export {FILE_VARIABLE} with a key file"))
    };
    let credentials =
        mds::Builder::default().with_scopes([SCOPE]).build().map_err(|error| missing().with_source(error))?;
    match tokio::time::timeout(METADATA_TIMEOUT, credentials.headers(Default::default())).await {
        Ok(Ok(_)) => Ok(Found { credentials: Masked(credentials).into(), project: None }),
        Ok(Err(error)) => Err(missing().with_source(error)),
        Err(_) => Err(missing()),
    }
}

/// Credentials whose tokens are masked wherever this process writes, as soon as it has them.
#[derive(Debug)]
struct Masked(Credentials);

impl CredentialsProvider for Masked {
    async fn headers(
        &self,
        extensions: Extensions,
    ) -> std::result::Result<CacheableResource<HeaderMap>, CredentialsError> {
        let headers = self.0.headers(extensions).await?;
        if let CacheableResource::New { data, .. } = &headers
            && let Some(value) = data.get(AUTHORIZATION).and_then(|value| value.to_str().ok())
        {
            redact::learn(&SecretString::from(value.trim_start_matches("Bearer ")));
        }
        Ok(headers)
    }

    async fn universe_domain(&self) -> Option<String> {
        self.0.universe_domain().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn the_variable_goes_before_the_file_of_gcloud() {
        let home = tempfile::tempdir().unwrap();
        let at_home = env(&[("HOME", home.path().to_str().unwrap())]);
        assert_eq!(file(&at_home), None, "there is none yet");
        let folder = home.path().join(".config/gcloud");
        std::fs::create_dir_all(&folder).unwrap();
        let known = folder.join("application_default_credentials.json");
        std::fs::write(&known, "{}").unwrap();
        assert_eq!(file(&at_home), Some(known));
        let both = env(&[("HOME", home.path().to_str().unwrap()), (FILE_VARIABLE, "/else/where.json")]);
        assert_eq!(
            file(&both),
            Some(PathBuf::from("/else/where.json")),
            "also where it does not exist: that is an error"
        );
    }

    #[tokio::test]
    async fn a_file_gives_credentials_and_project() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("user.json");
        let user = r#"{"type": "authorized_user", "client_id": "a", "client_secret": "b", "refresh_token": "c",
            "quota_project_id": "mine"}"#;
        std::fs::write(&path, user).unwrap();
        let found = find(&env(&[(FILE_VARIABLE, path.to_str().unwrap())])).await.unwrap();
        assert_eq!(found.project.as_deref(), Some("mine"));
    }

    #[tokio::test]
    async fn a_wrong_file_is_named_and_not_quoted() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key.json");
        let named = env(&[(FILE_VARIABLE, path.to_str().unwrap())]);
        for text in ["s3cret", r#"{"type": "s3cret_type"}"#, r#"{"type": "service_account", "private_key": "s3cret"}"#]
        {
            std::fs::write(&path, text).unwrap();
            let error = find(&named).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unauthenticated);
            assert!(error.message().contains("key.json"), "{error}");
            let shown = format!("{error} {error:?}").replace("`s3cret_type`", "");
            assert!(!shown.contains("s3cret"), "{shown}");
        }
        std::fs::remove_file(&path).unwrap();
        assert!(find(&named).await.unwrap_err().message().contains("cannot be read"));
    }
}
