//! A bucket in which a journal is: opened by its URL, looked at when it is first used, and tried before it is first changed.

use std::{
    collections::BTreeSet,
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures::StreamExt;
use object_store::{
    BackoffConfig, ClientConfigKey, ClientOptions, Error, ObjectStore, RetryConfig,
    aws::{AmazonS3, AmazonS3Builder, AmazonS3ConfigKey as S3Key, S3ConditionalPut, resolve_bucket_region},
    gcp::{GoogleCloudStorage, GoogleCloudStorageBuilder, GoogleConfigKey as GcsKey},
    path::Path,
    prefix::PrefixStore,
};
use secrecy::SecretString;
use tokio::{sync::OnceCell, time::timeout};
use url::Url;

use super::{
    Env,
    credentials::Profiles,
    fault::{self, Fault},
    profile::{self, Profile},
    proof::{self, Unproven},
};
use crate::{
    journal::JournalError,
    manifest::{Bucket, JournalSection, is_here},
    redact,
};

/// How long a request is repeated: less than the minute that a lock lasts, so that its holder learns in time that it was not renewed.
const RETRIED: Duration = Duration::from_secs(15);
/// How long one request may take, as the builders read it. The largest objects have some hundred kilobytes.
const REQUEST: &str = "10s";
/// How long the search for credentials may take. Where there are none, an instance's metadata service is waited for.
const CREDENTIALS: Duration = Duration::from_secs(10);

/// Variables of which each says where credentials are, so that profiles are not looked at.
const IN_ENVIRONMENT: [&str; 5] = [
    "AWS_ACCESS_KEY_ID",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_SKIP_SIGNATURE",
];

/// What this process has proven to honour conditional writes.
static PROVEN: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

type Result<T> = std::result::Result<T, JournalError>;

/// A bucket, or a part of one.
pub(in crate::journal) struct BucketStore {
    url: String,
    bucket: String,
    cloud: Cloud,
    objects: Arc<dyn ObjectStore>,
    looked: OnceCell<()>,
    proven: OnceCell<()>,
}

enum Cloud {
    /// The endpoint, where it is not Amazon's; the region.
    S3(AmazonS3, Option<String>, String),
    Gcs(GoogleCloudStorage),
}

impl fmt::Debug for BucketStore {
    /// Without the clients, which know credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("BucketStore").field(&self.url).finish()
    }
}

impl BucketStore {
    /// A bucket at a server that speaks Amazon's API. The manifest counts before the environment.
    pub(in crate::journal) fn s3(section: &JournalSection, bucket: &Bucket, env: &Env) -> Result<Self> {
        let failed = |error: Error| unusable(&section.url, fault::words(&error), "correct the variables that it names");
        let mut builder = AmazonS3Builder::new();
        for (name, value) in env.range("AWS_".to_owned()..).take_while(|(name, _)| name.starts_with("AWS_")) {
            if let Ok(key) = name.to_ascii_lowercase().parse::<S3Key>() {
                builder = builder.with_config(key, value);
            }
        }
        builder = builder
            .with_bucket_name(&bucket.name)
            .with_retry(retry())
            .with_conditional_put(S3ConditionalPut::ETagMatch)
            .with_config(S3Key::Client(ClientConfigKey::Timeout), REQUEST)
            // Objects are deleted one at a time.
            .with_config(S3Key::DisableBulkDelete, "true");
        if let Some(endpoint) = &section.endpoint {
            builder = builder.with_config(S3Key::S3Endpoint, endpoint);
        }
        if let Some(path_style) = section.path_style {
            builder = builder.with_virtual_hosted_style_request(!path_style);
        }
        let has = |builder: &AmazonS3Builder, key| builder.get_config_value(&key);
        let of_profile = || Profile::read(profile::chosen(env).unwrap_or("default"), env).region;
        let region = section.region.clone().or_else(|| has(&builder, S3Key::Region)).or_else(of_profile);
        let region = region.unwrap_or("us-east-1".to_owned());
        builder = builder.with_region(&region);
        let endpoint = has(&builder, S3Key::S3Endpoint).or_else(|| has(&builder, S3Key::Endpoint));
        if endpoint.as_ref().and_then(|endpoint| Url::parse(endpoint).ok()).as_ref().is_some_and(is_here) {
            builder = builder.with_config(S3Key::Client(ClientConfigKey::AllowHttp), "true");
        }
        let in_host = has(&builder, S3Key::VirtualHostedStyleRequest).as_deref() == Some("true");
        if let (Some(endpoint), true) = (&endpoint, in_host) {
            builder = builder.with_config(S3Key::S3Endpoint, with_bucket(endpoint, &bucket.name));
        }
        for key in [S3Key::SecretAccessKey, S3Key::Token] {
            has(&builder, key).map(SecretString::from).iter().for_each(redact::learn);
        }
        let mut store = builder.clone().build().map_err(failed)?;
        if !IN_ENVIRONMENT.iter().any(|name| env.contains_key(*name)) {
            let profiles = Profiles::or(Arc::clone(store.credentials()), env.clone());
            store = builder.with_credentials(Arc::new(profiles)).build().map_err(failed)?;
        }
        let objects = Arc::new(PrefixStore::new(store.clone(), bucket.prefix.as_str()));
        Ok(Self::new(&section.url, bucket, Cloud::S3(store, endpoint, region), objects))
    }

    /// A bucket of Google Cloud Storage.
    pub(in crate::journal) fn gcs(section: &JournalSection, bucket: &Bucket, env: &Env) -> Result<Self> {
        let mut builder = GoogleCloudStorageBuilder::new();
        // The builder's own `from_env` also reads `SERVICE_ACCOUNT`, which may be anything.
        for (name, value) in env.range("GOOGLE_".to_owned()..).take_while(|(name, _)| name.starts_with("GOOGLE_")) {
            if let Ok(key) = name.to_ascii_lowercase().parse::<GcsKey>() {
                builder = builder.with_config(key, value);
            }
        }
        let store = builder
            .with_bucket_name(&bucket.name)
            .with_retry(retry())
            .with_config(GcsKey::Client(ClientConfigKey::Timeout), REQUEST)
            .build()
            .map_err(|error| {
                let why = io_error(&error).map_or(String::new(), |error| format!(": {error}"));
                unusable(
                    &section.url,
                    format!("Google's credentials cannot be read{why}"),
                    "`GOOGLE_APPLICATION_CREDENTIALS` must name a service account's key, or be unset: then the credentials \
                     count that `gcloud auth application-default login` writes. Others, such as workload identity \
                     federation, are not read",
                )
            })?;
        let objects = Arc::new(PrefixStore::new(store.clone(), bucket.prefix.as_str()));
        Ok(Self::new(&section.url, bucket, Cloud::Gcs(store), objects))
    }

    fn new(url: &str, bucket: &Bucket, cloud: Cloud, objects: Arc<dyn ObjectStore>) -> Self {
        let (url, bucket) = (url.to_owned(), bucket.name.clone());
        Self { url, bucket, cloud, objects, looked: OnceCell::new(), proven: OnceCell::new() }
    }

    pub(in crate::journal) fn url(&self) -> &str {
        &self.url
    }

    pub(in crate::journal) fn objects(&self) -> Arc<dyn ObjectStore> {
        Arc::clone(&self.objects)
    }

    /// Makes sure, once, that the bucket is there and that its objects may be listed. Without this, a bucket that is missing
    /// would look like a journal without an object.
    pub(in crate::journal) async fn look(&self) -> Result<()> {
        let look = async || {
            let nothing = match &self.cloud {
                Cloud::S3(store, ..) => timeout(CREDENTIALS, store.credentials().get_credential()).await.map(drop_ok),
                Cloud::Gcs(store) => timeout(CREDENTIALS, store.credentials().get_credential()).await.map(drop_ok),
            };
            match nothing {
                Ok(Ok(())) => {}
                Ok(Err(error)) => return Err(self.no_credentials(&fault::words(&error))),
                Err(_) => return Err(self.no_credentials("nothing answers that could have some")),
            }
            match self.objects.list(Some(&Path::from(proof::NAME))).next().await {
                None | Some(Ok(_)) => Ok(()),
                Some(Err(error)) => Err(self.explain_region("list", "", error).await),
            }
        };
        self.looked.get_or_try_init(look).await.map(|_| ())
    }

    /// Makes sure, once in a process, that the bucket honours conditional writes.
    pub(in crate::journal) async fn prove(&self) -> Result<()> {
        self.look().await?;
        let key = match &self.cloud {
            Cloud::S3(_, endpoint, _) => format!("{} {endpoint:?}", self.url),
            Cloud::Gcs(_) => self.url.clone(),
        };
        let prove = async || {
            if PROVEN.lock().unwrap_or_else(PoisonError::into_inner).contains(&key) {
                return Ok(());
            }
            match proof::prove(&*self.objects).await {
                Ok(()) => {
                    PROVEN.lock().unwrap_or_else(PoisonError::into_inner).insert(key.clone());
                    Ok(())
                }
                Err(Unproven::Failed(error)) => Err(self.explain_region("write", proof::NAME, error).await),
                Err(Unproven::Ignored(what)) => Err(self.no_conditions(what)),
            }
        };
        self.proven.get_or_try_init(prove).await.map(|_| ())
    }

    /// What an error means, with the region of the bucket where Amazon tells it.
    async fn explain_region(&self, operation: &'static str, path: &str, error: Error) -> JournalError {
        if let (Fault::Region(None), Cloud::S3(_, None, _)) = (Fault::of(&error), &self.cloud) {
            let options = ClientOptions::new();
            let region = timeout(CREDENTIALS, resolve_bucket_region(&self.bucket, &options)).await;
            return self.other_region(region.ok().and_then(std::result::Result::ok));
        }
        self.explain(operation, path, error)
    }

    /// What an error means. One of an object that is missing must have been dealt with.
    pub(in crate::journal) fn explain(&self, operation: &'static str, path: &str, error: Error) -> JournalError {
        match Fault::of(&error) {
            Fault::NoBucket => {
                let place = match &self.cloud {
                    Cloud::S3(_, Some(endpoint), _) => format!(" at {endpoint}"),
                    _ => String::new(),
                };
                let reason = format!("there is no bucket `{}`{place}", self.bucket);
                unusable(&self.url, reason, "create the bucket first, or correct `url` in `[journal]`")
            }
            Fault::Region(region) => self.other_region(region),
            Fault::Rights => {
                let needed = match &self.cloud {
                    Cloud::S3(..) => {
                        "they need `s3:ListBucket` on the bucket, and `s3:GetObject`, `s3:PutObject` and `s3:DeleteObject` \
                         on the objects below the prefix"
                    }
                    Cloud::Gcs(_) => {
                        "they need the role Storage Object User (`roles/storage.objectUser`) on the bucket"
                    }
                };
                unusable(&self.url, format!("the credentials have no right to {operation} objects there"), needed)
            }
            Fault::Credentials(code) => {
                let reason = format!("the server does not accept the credentials ({code})");
                unusable(&self.url, reason, self.where_credentials_are())
            }
            Fault::Clock => {
                unusable(&self.url, "the clock of this machine is wrong".to_owned(), "set the clock, and run it again")
            }
            Fault::NoConditions => self.no_conditions("it says that it has none"),
            Fault::Other(words) => JournalError::Store { operation, path: path.to_owned(), source: words.into() },
        }
    }

    fn other_region(&self, region: Option<String>) -> JournalError {
        let asked = match &self.cloud {
            Cloud::S3(_, _, asked) => asked.as_str(),
            Cloud::Gcs(_) => "",
        };
        let (reason, hint) = match region {
            Some(region) => (
                format!("the bucket is in {region}, not in {asked}"),
                format!("write `region = \"{region}\"` in `[journal]`, or set `AWS_REGION`"),
            ),
            None => (
                format!("the bucket is in another region than {asked}"),
                "write the bucket's `region` in `[journal]`, or set `AWS_REGION`".to_owned(),
            ),
        };
        unusable(&self.url, reason, hint)
    }

    fn no_conditions(&self, what: &str) -> JournalError {
        let reason = format!("the server ignores conditional writes: {what}; two runs could deploy at the same time");
        unusable(
            &self.url,
            reason,
            "keep the journal at a server that honours `If-None-Match` and `If-Match`, such as Amazon S3 or Google Cloud \
             Storage, or in a folder",
        )
    }

    fn no_credentials(&self, why: &str) -> JournalError {
        unusable(&self.url, format!("no credentials were found: {why}"), self.where_credentials_are())
    }

    fn where_credentials_are(&self) -> &'static str {
        match &self.cloud {
            Cloud::S3(..) => {
                "set `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`, or `AWS_PROFILE` for a profile that has keys"
            }
            Cloud::Gcs(_) => {
                "run `gcloud auth application-default login`, or let `GOOGLE_APPLICATION_CREDENTIALS` name a service account's \
                 key"
            }
        }
    }
}

fn unusable(url: &str, reason: String, hint: impl Into<String>) -> JournalError {
    JournalError::Unusable { url: url.to_owned(), reason, hint: hint.into() }
}

fn retry() -> RetryConfig {
    let backoff = BackoffConfig { max_backoff: Duration::from_secs(2), ..BackoffConfig::default() };
    RetryConfig { backoff, retry_timeout: RETRIED, ..RetryConfig::default() }
}

/// The endpoint with the bucket in the name of its host, as the builder wants it for such requests.
fn with_bucket(endpoint: &str, bucket: &str) -> String {
    let Ok(mut url) = Url::parse(endpoint) else { return endpoint.to_owned() };
    let host = url.host_str().map(|host| format!("{bucket}.{host}"));
    match url.set_host(host.as_deref()) {
        Ok(()) => url.as_str().trim_end_matches('/').to_owned(),
        Err(_) => endpoint.to_owned(),
    }
}

fn drop_ok<T>(result: object_store::Result<T>) -> object_store::Result<()> {
    result.map(drop)
}

/// The system's error below one of reading a file; what a parser says could quote the file.
fn io_error(error: &Error) -> Option<&std::io::Error> {
    let mut source = std::error::Error::source(error);
    while let Some(inner) = source {
        if let Some(found) = inner.downcast_ref() {
            return Some(found);
        }
        source = inner.source();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_goes_into_the_name_of_the_host() {
        assert_eq!(
            with_bucket("https://fra1.digitaloceanspaces.com", "team"),
            "https://team.fra1.digitaloceanspaces.com"
        );
        assert_eq!(with_bucket("https://example.org:9000/", "team"), "https://team.example.org:9000");
    }
}
