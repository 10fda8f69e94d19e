//! Small named values kept with an account.

use async_trait::async_trait;

use super::Result;

/// Small named values kept with the account itself, not with a resource. *Requires* [`super::Capability::Marker`]
/// throughout.
///
/// They tell accounts apart: the conformance suite makes billable things only in an account that carries its marker. Names
/// are 1 to 32 characters of `a-z`, `0-9` and `-`, starting with a letter; values are 1 to 64 characters of the same.
#[async_trait]
pub trait Markers: Send + Sync {
    /// The value of a marker, or `None`.
    ///
    /// - *Errors*: `InvalidInput` for a name that is none.
    async fn get(&self, name: &str) -> Result<Option<String>>;

    /// Sets a marker, replacing a former value.
    ///
    /// - *Behaviour*: before: none, or another value. After: `get` answers this one.
    /// - *Idempotency*: the same value twice is one.
    /// - *Errors*: `InvalidInput` for a name or value that is none, before anything is changed.
    async fn set(&self, name: &str, value: &str) -> Result<()>;

    /// Removes a marker.
    ///
    /// - *Idempotency*: one that is not there is a success.
    /// - *Errors*: `InvalidInput` for a name that is none.
    async fn remove(&self, name: &str) -> Result<()>;
}

/// Whether a text can be a marker's name; providers refuse others.
#[must_use]
pub fn is_marker_name(text: &str) -> bool {
    text.len() <= 32 && text.starts_with(|c: char| c.is_ascii_lowercase()) && is_plain(text)
}

/// Whether a text can be a marker's value; providers refuse others.
#[must_use]
pub fn is_marker_value(text: &str) -> bool {
    (1..=64).contains(&text.len()) && is_plain(text)
}

fn is_plain(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_values_are_plain_and_short() {
        assert!(is_marker_name("conformance") && is_marker_name("a-1") && is_marker_value("2026-11-25"));
        for bad in ["", "1a", "-a", "A", "a_b", "a b", &"a".repeat(33)] {
            assert!(!is_marker_name(bad), "{bad}");
        }
        for bad in ["", "A", "a:b", &"a".repeat(65)] {
            assert!(!is_marker_value(bad), "{bad}");
        }
    }
}
