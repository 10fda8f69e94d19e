//! Parameters of the Query API: `Filter.1.Name`, `TagSpecification.1.Tag.1.Key`.

use std::collections::{BTreeMap, BTreeSet};

use sha2::{Digest as _, Sha256};

use super::reply::{invalid_value, missing};
use crate::cloud::ApiResult;

/// The parameters of a call, or what is below one of them.
#[derive(Debug, Clone, Default)]
pub(super) struct Params(BTreeMap<String, String>);

impl Params {
    /// Reads a form.
    pub(super) fn parse(body: &[u8]) -> Self {
        Self(url::form_urlencoded::parse(body).into_owned().collect())
    }

    /// A parameter that is there and not empty.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.given(name).filter(|value| !value.is_empty())
    }

    /// A parameter that is there, empty or not.
    pub(super) fn given(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// A parameter that has to be there.
    pub(super) fn need(&self, name: &str) -> ApiResult<&str> {
        self.get(name).ok_or_else(|| missing(name))
    }

    /// `true` or `false`; `false` where it is left out.
    pub(super) fn flag(&self, name: &str) -> ApiResult<bool> {
        Ok(self.maybe_flag(name)?.unwrap_or(false))
    }

    /// `true` or `false`.
    pub(super) fn maybe_flag(&self, name: &str) -> ApiResult<Option<bool>> {
        match self.get(name) {
            None => Ok(None),
            Some("true" | "True" | "1") => Ok(Some(true)),
            Some("false" | "False" | "0") => Ok(Some(false)),
            Some(other) => Err(invalid_value(format!("Invalid value '{other}' for boolean parameter {name}"))),
        }
    }

    /// A number.
    pub(super) fn number(&self, name: &str) -> ApiResult<Option<u64>> {
        let read = |text: &str| {
            text.parse().map_err(|_| invalid_value(format!("Invalid value '{text}' for {name}. It must be a number.")))
        };
        self.get(name).map(read).transpose()
    }

    /// The values of a list, in their order: `name.1`, `name.2`.
    pub(super) fn list(&self, name: &str) -> Vec<&str> {
        self.indexes(name).into_iter().filter_map(|index| self.given(&format!("{name}.{index}"))).collect()
    }

    /// The structures of a list, in their order: what is below `name.1`, `name.2`.
    pub(super) fn groups(&self, name: &str) -> Vec<Self> {
        self.indexes(name).into_iter().map(|index| self.below(&format!("{name}.{index}"))).collect()
    }

    /// What is below a name.
    pub(super) fn below(&self, name: &str) -> Self {
        let prefix = format!("{name}.");
        let inside =
            self.0.iter().filter_map(|(key, value)| Some((key.strip_prefix(&prefix)?.to_owned(), value.clone())));
        Self(inside.collect())
    }

    /// The same parameters, each below a name.
    pub(super) fn under(&self, name: &str) -> Self {
        Self(self.0.iter().map(|(key, value)| (format!("{name}.{key}"), value.clone())).collect())
    }

    /// A digest of all parameters but these, to tell whether two calls ask for the same.
    pub(super) fn digest(&self, but: &[&str]) -> String {
        let mut hash = Sha256::new();
        for (name, value) in self.0.iter().filter(|(name, _)| !but.contains(&name.as_str())) {
            // Lengths, so that no two sets of parameters are hashed alike.
            hash.update(format!("{}:{name}{}:{value}", name.len(), value.len()));
        }
        hex::encode(hash.finalize())
    }

    fn indexes(&self, name: &str) -> BTreeSet<u32> {
        let prefix = format!("{name}.");
        let index = |key: &String| key.strip_prefix(&prefix)?.split('.').next()?.parse().ok();
        self.0.keys().filter_map(index).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_and_structures_are_read_in_the_order_of_their_numbers() {
        let body = b"Action=X&Id.2=b&Id.10=c&Id.1=a&Tag.1.Key=k&Tag.1.Value=&Tag.2.Key=a+b%26&On=true&N=x";
        let params = Params::parse(body);
        assert_eq!(params.list("Id"), ["a", "b", "c"]);
        let tags = params.groups("Tag");
        assert_eq!((tags[0].get("Key"), tags[0].get("Value"), tags[0].given("Value")), (Some("k"), None, Some("")));
        assert_eq!(tags[1].need("Key").unwrap(), "a b&");
        assert!(params.flag("On").unwrap() && !params.flag("Off").unwrap());
        assert_eq!(params.number("N").unwrap_err().id, "InvalidParameterValue");
        assert_eq!(params.need("Gone").unwrap_err().id, "MissingParameter");
    }

    #[test]
    fn a_digest_tells_requests_apart_and_leaves_out_what_it_is_told_to() {
        let digest = |body: &[u8]| Params::parse(body).digest(&["T"]);
        assert_eq!(digest(b"a=1&b=2&T=x"), digest(b"b=2&T=y&a=1"));
        assert_ne!(digest(b"a=1&b=2"), digest(b"a=12&b="));
    }
}
