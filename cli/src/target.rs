//! Whose account a command works in, and where it sends credentials: what `plan` and `doctor` show before anything is changed.

use std::fmt;

use remint_core::provider::{Account, Provider, ProviderId, Region};
use serde::Serialize;

/// An account at a cloud, and where it is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub(crate) struct Target {
    provider: String,
    /// The account's name, and its id where that is another; `None` where the cloud does not tell.
    account: Option<String>,
    endpoints: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    region: Option<String>,
}

impl Target {
    /// A provider's account, as far as it is known without asking the cloud.
    pub(crate) fn new(id: &ProviderId, provider: &dyn Provider, region: Option<&Region>) -> Self {
        let region = region.map(ToString::to_string);
        Self { provider: id.to_string(), account: None, endpoints: provider.endpoints(), region }
    }

    /// The same with the account.
    #[must_use]
    pub(crate) fn of(self, account: &Account) -> Self {
        let name = match account.id == account.name {
            true => account.name.clone(),
            false => format!("{} ({})", account.name, account.id),
        };
        Self { account: Some(name), ..self }
    }

    /// The cloud that it is in.
    pub(crate) fn provider(&self) -> &str {
        &self.provider
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.account {
            Some(account) => write!(f, "account {account}")?,
            None => f.write_str("account not known")?,
        }
        if let Some(region) = &self.region {
            write!(f, ", in {region}")?;
        }
        write!(f, ", at {}", self.endpoints.join(" and "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn account_region_and_every_endpoint_are_shown() {
        let target = Target {
            provider: "gcp".to_owned(),
            account: None,
            endpoints: vec!["https://compute.example".to_owned(), "https://dns.example".to_owned()],
            region: Some("here".to_owned()),
        };
        let endpoints = "in here, at https://compute.example and https://dns.example";
        assert_eq!(target.to_string(), format!("account not known, {endpoints}"));
        let account = |name: &str| Account { id: "7".to_owned(), name: name.to_owned(), quotas: Vec::new() };
        assert_eq!(target.clone().of(&account("me")).to_string(), format!("account me (7), {endpoints}"));
        assert_eq!(target.of(&account("7")).to_string(), format!("account 7, {endpoints}"));
    }
}
