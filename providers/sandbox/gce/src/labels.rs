//! Labels, tags and metadata: what a client writes on a resource, and the fingerprints that guard them.

use std::{collections::BTreeMap, fmt};

use base64::{Engine as _, engine::general_purpose::URL_SAFE};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{
    error::{Refusal, Result},
    reference::check_name,
};

/// How many labels a resource may have.
const LABELS: usize = 64;
/// How many bytes all metadata of one resource may have.
const METADATA: usize = 512 * 1024;
/// How many bytes a value of metadata may have.
const VALUE: usize = 256 * 1024;

/// Labels: keys and values.
pub(super) type Labels = BTreeMap<String, String>;

/// Refuses labels that are none: keys and values of lower-case letters, digits, `-` and `_`, 63 at most, keys beginning with
/// a letter.
pub(super) fn check_labels(labels: &Labels) -> Result<()> {
    let good = |text: &str| {
        text.chars().count() <= 63
            && text.chars().all(|c| (c.is_alphanumeric() && !c.is_uppercase()) || matches!(c, '-' | '_'))
    };
    if labels.len() > LABELS {
        return Err(Refusal::invalid("resource.labels", labels.len(), "At most 64 labels are allowed."));
    }
    for (key, value) in labels {
        if !good(key) || !key.starts_with(|c: char| c.is_lowercase()) {
            return Err(Refusal::invalid(
                "resource.labels",
                key,
                "Label keys must match [\\p{Ll}\\p{Lo}][\\p{Ll}\\p{Lo}\\p{N}_-]{0,62}.",
            ));
        }
        if !good(value) {
            return Err(Refusal::invalid(
                "resource.labels",
                value,
                "Label values must match [\\p{Ll}\\p{Lo}\\p{N}_-]{0,63}.",
            ));
        }
    }
    Ok(())
}

/// A fingerprint of whatever is written as JSON.
pub(super) fn fingerprint(of: &impl Serialize) -> String {
    let text = serde_json::to_vec(of).unwrap_or_default();
    URL_SAFE.encode(&Sha256::digest(text)[..8])
}

/// Refuses a change of labels that were changed since the client read them.
pub(super) fn check_label_fingerprint(now: &Labels, sent: Option<&str>) -> Result<()> {
    if sent == Some(fingerprint(now).as_str()) {
        return Ok(());
    }
    Err(Refusal::condition("Labels fingerprint either invalid or resource labels have changed"))
}

/// The body of the calls that set labels.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SetLabels {
    #[serde(default)]
    pub(super) labels: Labels,
    pub(super) label_fingerprint: Option<String>,
}

/// Network tags, as a client sends them.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct SentTags {
    pub(super) items: Vec<String>,
    pub(super) fingerprint: Option<String>,
}

/// Refuses network tags that are none.
pub(super) fn check_tags(tags: &[String]) -> Result<()> {
    tags.iter().try_for_each(|tag| check_name("resource.tags.items", tag))
}

/// Metadata: what a guest reads, user data and login keys among it.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Metadata(Vec<(String, String)>);

impl fmt::Debug for Metadata {
    /// Without the values: they may hold secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.iter().map(|(key, _)| key)).finish()
    }
}

/// Metadata as a client sends it.
#[derive(Clone, Default, Deserialize)]
pub(super) struct SentMetadata {
    #[serde(default)]
    items: Vec<Item>,
    pub(super) fingerprint: Option<String>,
}

#[derive(Clone, Deserialize)]
struct Item {
    #[serde(default)]
    key: String,
    #[serde(default)]
    value: String,
}

impl Metadata {
    /// What a client sent, after all checks.
    pub(super) fn read(sent: &SentMetadata) -> Result<Self> {
        let mut items: Vec<(String, String)> = Vec::new();
        for Item { key, value } in &sent.items {
            let good = (1..=128).contains(&key.len())
                && key.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'));
            if !good {
                return Err(Refusal::invalid(
                    "metadata.items.key",
                    key,
                    "Must be a match of regex '[a-zA-Z0-9-_]{1,128}'",
                ));
            }
            if items.iter().any(|(known, _)| known == key) {
                return Err(Refusal::invalid("metadata.items.key", key, "The key is there twice."));
            }
            // The value is not told: it may be a secret.
            if value.len() > VALUE {
                let why = "Value is too large: maximum size 262144 character(s); actual size exceeds it.";
                return Err(Refusal::invalid("metadata.items.value", key, why));
            }
            items.push((key.clone(), value.clone()));
        }
        if items.iter().map(|(key, value)| key.len() + value.len()).sum::<usize>() > METADATA {
            return Err(Refusal::invalid("metadata.items", "", "The total size of metadata is more than 512 KiB."));
        }
        let metadata = Self(items);
        // What a guest's agent would act on, which the sandbox's guests do not have.
        if metadata.get("startup-script").is_some() || metadata.get("startup-script-url").is_some() {
            return Err(Refusal::not_implemented("startup scripts; `user-data` is read"));
        }
        if metadata.login_lines().any(|(user, _)| user != "root") {
            return Err(Refusal::not_implemented("ssh-keys of other users than root; `user-data` may make them"));
        }
        Ok(metadata)
    }

    pub(super) fn get(&self, key: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == key).map(|(_, value)| value.as_str())
    }

    pub(super) fn fingerprint(&self) -> String {
        fingerprint(&self.0)
    }

    /// Refuses a change of metadata that was changed since the client read it.
    pub(super) fn check_fingerprint(&self, sent: Option<&str>) -> Result<()> {
        if sent == Some(self.fingerprint().as_str()) {
            return Ok(());
        }
        Err(Refusal::condition("Supplied fingerprint does not match current metadata fingerprint."))
    }

    /// As the API shows it.
    pub(super) fn view(&self) -> Value {
        let items: Vec<Value> = self.0.iter().map(|(key, value)| json!({ "key": key, "value": value })).collect();
        let mut view = json!({ "kind": "compute#metadata", "fingerprint": self.fingerprint() });
        // An empty list is left out, as in all of Google's answers.
        if !items.is_empty() {
            view["items"] = items.into();
        }
        view
    }

    /// The users and public keys in `ssh-keys`, which has lines of `USER:KEY`.
    pub(super) fn login_lines(&self) -> impl Iterator<Item = (&str, &str)> {
        let lines = self.get("ssh-keys").unwrap_or_default().lines();
        lines.filter_map(|line| line.trim().split_once(':')).map(|(user, key)| (user, key.trim()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(key: &str, value: &str) -> Labels {
        [(key.to_owned(), value.to_owned())].into()
    }

    #[test]
    fn labels_are_small_letters_digits_and_lines() {
        for (key, value) in [("remint_service", "web-1"), ("a", ""), (&"a".repeat(63), &"1".repeat(63))] {
            assert!(check_labels(&labels(key, value)).is_ok(), "{key}={value}");
        }
        for (key, value) in [
            ("A", "x"),
            ("1a", "x"),
            ("a:b", "x"),
            ("a", "X"),
            ("a", "x.y"),
            ("", "x"),
            (&"a".repeat(64), "x"),
            ("a", &"1".repeat(64)),
        ] {
            assert_eq!(check_labels(&labels(key, value)).unwrap_err().code, 400, "{key}={value}");
        }
        let many: Labels = (0..65).map(|n| (format!("k{n}"), String::new())).collect();
        assert!(check_labels(&many).is_err());
    }

    #[test]
    fn fingerprints_guard_changes() {
        let now = labels("a", "b");
        // Google's clients read them as base64 for URLs.
        let texts = (0..50).map(|n: u32| fingerprint(&n)).collect::<String>();
        assert!(!texts.contains(['+', '/']), "{texts}");
        assert!(check_label_fingerprint(&now, Some(&fingerprint(&now))).is_ok());
        for stale in [None, Some(""), Some(fingerprint(&labels("a", "c"))).as_deref()] {
            assert_eq!(check_label_fingerprint(&now, stale).unwrap_err().code, 412);
        }
    }

    #[test]
    fn metadata_has_each_key_once_and_is_not_debugged() {
        let sent = |text: &str| serde_json::from_str::<SentMetadata>(text).unwrap();
        let good = sent(
            r##"{"items": [{"key": "user-data", "value": "#cloud-config"}, {"key": "ssh-keys", "value": "root:ssh-ed25519 A\n root:ssh-ed25519 B"}]}"##,
        );
        let metadata = Metadata::read(&good).unwrap();
        assert_eq!(metadata.get("user-data"), Some("#cloud-config"));
        let logins: Vec<_> = metadata.login_lines().collect();
        assert_eq!(logins, [("root", "ssh-ed25519 A"), ("root", "ssh-ed25519 B")]);
        assert!(!format!("{metadata:?}").contains("cloud-config"));
        for bad in [r#"{"items": [{"key": "a b", "value": ""}]}"#, r#"{"items": [{"key": "a"}, {"key": "a"}]}"#] {
            assert!(Metadata::read(&sent(bad)).is_err(), "{bad}");
        }
        assert!(metadata.check_fingerprint(Some(&metadata.fingerprint())).is_ok());
        assert_eq!(metadata.check_fingerprint(None).unwrap_err().code, 412);
    }
}
