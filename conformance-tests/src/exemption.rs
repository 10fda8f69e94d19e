//! Cases that are known to fail, and excused for a while.

use std::fmt;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

/// Excuses a case: for a reason that can be read up, and not for ever.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exemption {
    /// The id of the case, such as `instances.launch`.
    pub case: String,
    /// Why it cannot pass.
    pub reason: String,
    /// Where that is written down: a bug report, a cloud's documentation.
    pub link: String,
    /// The last day on which it is excused.
    pub until: Date,
}

impl Exemption {
    /// Whether the last day has passed.
    pub fn has_expired(&self, today: Date) -> bool {
        today > self.until
    }
}

impl fmt::Display for Exemption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}), until {}", self.reason, self.link, self.until)
    }
}
