//! A store that the suite checks, which several processes can open.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::{
    journal::{buckets::Env, store::Store},
    manifest::JournalSection,
};

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Target {
    section: JournalSection,
    env: Env,
}

impl Target {
    pub(super) fn new(url: &str) -> Self {
        let section = JournalSection { url: url.to_owned(), ..JournalSection::default() };
        Self { section, env: Env::new() }
    }

    /// A bucket at a server that speaks Amazon's API, with s3rver's keys, which moto takes, too.
    pub(super) fn s3(url: &str, endpoint: &str) -> Self {
        let mut target = Self::new(url).with("AWS_ACCESS_KEY_ID", "S3RVER").with("AWS_SECRET_ACCESS_KEY", "S3RVER");
        target.section.endpoint = Some(endpoint.to_owned());
        target
    }

    /// A bucket at a server that speaks Google's XML API.
    pub(super) fn gcs(url: &str, endpoint: &str) -> Self {
        let account = serde_json::json!({
            "gcs_base_url": endpoint, "disable_oauth": true, "client_email": "", "private_key": "", "private_key_id": "",
        });
        let target = Self::new(url).with("GOOGLE_SERVICE_ACCOUNT_KEY", &account.to_string());
        target.with("GOOGLE_ALLOW_HTTP", "true").with("GOOGLE_BASE_URL", endpoint)
    }

    pub(super) fn with(mut self, name: &str, value: &str) -> Self {
        self.env.insert(name.to_owned(), value.to_owned());
        self
    }

    pub(super) fn without(mut self, names: &[&str]) -> Self {
        names.iter().for_each(|name| drop(self.env.remove(*name)));
        self
    }

    /// The store as another process sees it.
    pub(super) fn open(&self) -> Store {
        Store::open_with(&self.section, Path::new("/"), &self.env).unwrap()
    }
}
