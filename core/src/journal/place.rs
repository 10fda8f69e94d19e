//! Where something of an environment can be.

use serde::{Deserialize, Serialize};

use crate::provider::{ProviderId, Region};

/// A region at a provider.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Place {
    /// The provider whose API is asked.
    pub provider: ProviderId,
    /// A region in that provider's words; on Google Cloud a zone.
    pub region: Region,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.provider, self.region)
    }
}
