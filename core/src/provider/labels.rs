//! Labels: how Remint recognises what it made.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::EnvironmentId;

/// The label keys that Remint sets. All start with `remint:`.
pub mod label {
    /// `service` of the manifest. Several journals may use one name: [`SERVICE_ID`] tells them apart.
    pub const SERVICE: &str = "remint:service";
    /// The service's id, on images: proof that they are of the journal that holds the id. A name is no proof.
    pub const SERVICE_ID: &str = "remint:service-id";
    /// The environment's name in the manifest, `default` where it has none.
    pub const ENV: &str = "remint:env";
    /// The environment's id, on instances, builders, check machines and, where the cloud labels them, static IPs: proof that
    /// they are of the journal that holds the id.
    pub const ENV_ID: &str = "remint:env-id";
    /// The release's number, without the `r`.
    pub const RELEASE: &str = "remint:release";
    /// What an instance is for: `builder`, `instance`, `check` (a throw-away boot of a new image).
    pub const ROLE: &str = "remint:role";
    /// The image's fingerprint, 64 hexadecimal digits.
    pub const FINGERPRINT: &str = "remint:fingerprint";
    /// Set to the time (RFC 3339, seconds, UTC) when somebody logged in to an instance through `remint ssh`.
    pub const TOUCHED: &str = "remint:touched";
    /// Set to the time (RFC 3339, seconds, UTC) when an image passed its boot check.
    pub const CHECKED: &str = "remint:checked";
    /// The run (a UUID) that made a builder; tells two bakes of one fingerprint apart.
    pub const RUN: &str = "remint:run";
    /// Set on the builder of a bake that failed, when it is kept: until when (RFC 3339, seconds, UTC). Nothing sweeps it away before.
    pub const KEPT_UNTIL: &str = "remint:kept-until";
    /// When (RFC 3339, seconds, UTC) whatever carries it may be swept away: set by conformance runs on an account.
    pub const EXPIRES: &str = "remint:expires";
}

/// Labels on a resource: keys to values, both non-empty.
///
/// A provider stores them in whatever its cloud has (tags, labels, names), reversibly, and hands back only those it can
/// attribute to Remint (keys that start with `remint:`).
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Labels(pub BTreeMap<String, String>);

impl Labels {
    /// No labels.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a label, replacing a former value of that key.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<String>) -> Self {
        self.0.insert(key.to_owned(), value.into());
        self
    }

    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    /// The environment's id, where there is one: 16 hexadecimal digits, which any name of any cloud can hold.
    pub fn environment_id(&self) -> Option<EnvironmentId> {
        let is_id = |text: &&str| text.len() == 16 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        self.get(label::ENV_ID).filter(is_id).map(EnvironmentId::from)
    }

    /// Keys and values in the order of the keys.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// Whether every label of the selector is here with the same value.
    pub fn matches(&self, selector: &Selector) -> bool {
        selector.0.iter().all(|(key, value)| self.get(key) == Some(value))
    }
}

/// Which resources to list: those that carry all of these labels. An empty one selects whatever Remint made.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Selector(pub BTreeMap<String, String>);

impl Selector {
    /// Everything that Remint made in the account.
    pub fn all() -> Self {
        Self::default()
    }

    /// Narrows to resources that carry this label.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<String>) -> Self {
        self.0.insert(key.to_owned(), value.into());
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_selector_matches_a_superset_with_equal_values() {
        let labels = Labels::new().with(label::SERVICE, "app").with(label::ENV, "prod");
        assert!(labels.matches(&Selector::all()));
        assert!(labels.matches(&Selector::all().with(label::SERVICE, "app")));
        assert!(!labels.matches(&Selector::all().with(label::SERVICE, "other")));
        assert!(!labels.matches(&Selector::all().with(label::ROLE, "builder")));
    }
}
