//! Parameters of the Query API: `Filter.1.Name`, `TagSpecification.1.Tag.1.Key`.

use std::collections::{BTreeMap, BTreeSet};

use sha2::{Digest as _, Sha256};

use super::reply::{invalid_value, missing, not_a, refuse, unsupported};
use remint_sandbox_cloud::ApiResult;

/// How many parameters a call may have.
const MOST: usize = 10_000;

/// How many names and numbers a parameter's name may be made of: `TagSpecification.1.Tag.1.Key` has five.
const DEPTH: usize = 16;

/// The parameters of a call, or what is below one of them.
#[derive(Debug, Clone, Default)]
pub(super) struct Params(BTreeMap<String, String>);

impl Params {
    /// Reads a form.
    pub(super) fn parse(body: &[u8]) -> ApiResult<Self> {
        let mut params = BTreeMap::new();
        for (name, value) in url::form_urlencoded::parse(body) {
            if name.matches('.').count() >= DEPTH {
                let name: String = name.chars().take(64).collect();
                return Err(refuse("MalformedQueryString", format!("The parameter {name}... is nested too deeply.")));
            }
            params.insert(name.into_owned(), value.into_owned());
            if params.len() > MOST {
                let message = format!("The request has more than {MOST} parameters.");
                return Err(refuse("MalformedQueryString", message));
            }
        }
        Ok(Self(params))
    }

    /// Refuses what an operation would have to ignore. `taken` are the parameters that it takes, with spaces between them: `N` in
    /// a name stands for a number, and behind a `=` is the only value that is taken.
    pub(super) fn only(&self, operation: &str, taken: &[&str]) -> ApiResult<()> {
        let every = "Action Version DryRun X-Amz-Algorithm X-Amz-Credential X-Amz-Date X-Amz-Expires X-Amz-SignedHeaders \
                     X-Amz-Signature";
        let taken: BTreeSet<&str> = taken.iter().chain([&every]).flat_map(|words| words.split_whitespace()).collect();
        for (name, value) in self.0.iter().filter(|(_, value)| !value.is_empty()) {
            let plain = name.split('.').map(|part| if part.parse::<u32>().is_ok() { "N" } else { part });
            let plain = plain.collect::<Vec<_>>().join(".");
            if taken.contains(plain.as_str()) || taken.contains(format!("{plain}={value}").as_str()) {
                continue;
            }
            let (name, value): (String, String) = (name.chars().take(128).collect(), value.chars().take(64).collect());
            let only = taken.iter().any(|word| word.split_once('=').is_some_and(|(word, _)| word == plain));
            return Err(unsupported(&match only {
                true => format!("{name} {value} of {operation}"),
                false => format!("the parameter {name} of {operation}"),
            }));
        }
        Ok(())
    }

    /// The name of the operation that a form asks for, whatever else is in it.
    pub(super) fn action(body: &[u8]) -> String {
        let named = url::form_urlencoded::parse(body).filter(|(name, _)| name == "Action").last();
        named.map(|(_, value)| value.into_owned()).unwrap_or_default()
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

    /// One of a few words.
    pub(super) fn choice(&self, name: &str, allowed: &[&str]) -> ApiResult<Option<&str>> {
        match self.get(name) {
            Some(other) if !allowed.contains(&other) => Err(not_a(other, name)),
            found => Ok(found),
        }
    }

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

    /// What a call sets: by `Name.Value=…`, or by `Attribute=name&Value=…`.
    pub(super) fn attributes(&self) -> Self {
        let structured =
            |(key, value): (&String, &String)| Some((key.strip_suffix(".Value")?.to_owned(), value.clone()));
        let mut set: BTreeMap<_, _> = self.0.iter().filter_map(structured).collect();
        if let (Some(name), Some(value)) = (self.get("Attribute"), self.given("Value")) {
            let mut letters = name.chars();
            let first = letters.next().map(|letter| letter.to_ascii_uppercase());
            set.insert(first.into_iter().chain(letters).collect(), value.to_owned());
        }
        Self(set)
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// The accounts and groups that get a permission of this name, and those that lose it.
    pub(super) fn permissions(&self, name: &str) -> ApiResult<(Vec<String>, Vec<String>)> {
        let below = |change: &str| {
            let all = self.groups(&format!("{name}.{change}"));
            all.iter().filter_map(|one| one.get("UserId").or(one.get("Group")).map(str::to_owned)).collect::<Vec<_>>()
        };
        let (mut add, mut remove) = (below("Add"), below("Remove"));
        let flat = ["UserId", "UserGroup"].iter().flat_map(|name| self.list(name)).map(str::to_owned);
        match self.choice("OperationType", &["add", "remove"])? {
            Some("remove") => remove.extend(flat),
            _ => add.extend(flat),
        }
        Ok((add, remove))
    }

    /// What is below a name.
    pub(super) fn below(&self, name: &str) -> Self {
        let prefix = format!("{name}.");
        Self(self.inside(&prefix).map(|(key, value)| (key.to_owned(), value.to_owned())).collect())
    }

    /// The parameters whose names begin with a prefix, without it. Only these are looked at: a list of structures takes
    /// as long as it is, not its square.
    fn inside<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        let from = self.0.range::<str, _>((std::ops::Bound::Included(prefix), std::ops::Bound::Unbounded));
        from.map_while(move |(key, value)| Some((key.strip_prefix(prefix)?, value.as_str())))
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
        self.inside(&prefix).filter_map(|(key, _)| key.split('.').next()?.parse().ok()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_and_structures_are_read_in_the_order_of_their_numbers() {
        let body = b"Action=X&Id.2=b&Id.10=c&Id.1=a&Tag.1.Key=k&Tag.1.Value=&Tag.2.Key=a+b%26&On=true&N=x";
        let params = Params::parse(body).unwrap();
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
        let digest = |body: &[u8]| Params::parse(body).unwrap().digest(&["T"]);
        assert_eq!(digest(b"a=1&b=2&T=x"), digest(b"b=2&T=y&a=1"));
        assert_ne!(digest(b"a=1&b=2"), digest(b"a=12&b="));
    }

    #[test]
    fn what_an_operation_does_not_take_is_refused() {
        let only = |body: &str| Params::parse(body.as_bytes()).unwrap().only("Op", &["Id.N A", "Off=false"]);
        only("Action=Op&Id.1=a&Id.12=b&A=x&Off=false&Unset=").unwrap();
        for (body, named) in
            [("Id=a", "parameter Id of Op"), ("A.1=x", "parameter A.1"), ("Off=true", "Off true of Op")]
        {
            let refused = only(body).unwrap_err();
            assert!(refused.id == "UnsupportedOperation" && refused.message.contains(named), "{refused:?}");
        }
    }

    #[test]
    fn nesting_and_number_have_limits() {
        let deep = format!("{}=x", "1.".repeat(5000));
        let many: String = (0..=MOST).map(|at| format!("Tag.{at}.Key=x&")).collect();
        for body in [deep, many] {
            assert_eq!(Params::parse(body.as_bytes()).unwrap_err().id, "MalformedQueryString");
        }
        let many: String = (0..MOST).map(|at| format!("Tag.{at}.Key=x&")).collect();
        assert_eq!(Params::parse(many.as_bytes()).unwrap().groups("Tag").len(), MOST);
        assert_eq!(Params::action(b"A=1&Action=X&Action=Y"), "Y");
    }
}
