//! The rules of labels and of their selectors.

use serde_json::Value;

use super::refusal::Refusal;

/// Refuses labels that the API refuses.
pub(super) fn check(labels: &Value) -> Result<(), Refusal> {
    for (key, value) in labels.as_object().into_iter().flatten() {
        let name = key.rsplit('/').next().unwrap_or(key);
        if name.is_empty() || !is_word(name) {
            return Err(Refusal::invalid("labels", &format!("`{key}` is not a valid key")));
        }
        if !value.as_str().is_some_and(is_word) {
            return Err(Refusal::invalid("labels", &format!("{value} is not a valid value")));
        }
    }
    Ok(())
}

/// At most 63 of letters, digits, `-`, `_`, `.`, with a letter or digit at both ends.
fn is_word(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric();
    let inner = |c: char| plain(c) || matches!(c, '-' | '_' | '.');
    text.is_empty() || (text.len() <= 63 && text.starts_with(plain) && text.ends_with(plain) && text.chars().all(inner))
}

/// Whether a resource's labels are as a selector says: terms `k`, `k=v` and `k==v`, separated by commas.
pub(super) fn selects(selector: &str, labels: &Value) -> bool {
    selector.split(',').all(|term| match term.split_once('=') {
        Some((key, value)) => labels[key].as_str() == Some(value.trim_start_matches('=')),
        None => labels.get(term).is_some(),
    })
}
