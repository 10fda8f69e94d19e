//! `[deploy]` of several instances: in which steps new ones take over from old ones.

use std::{fmt, str::FromStr};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// The `format` that the schema of [`Share`] gives its texts.
pub(super) const FORMAT: &str = "share";

/// In which steps new instances take over from old ones behind a load balancer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// All new instances are launched next to the old ones, and take over at once. Fastest, and needs room for twice as many.
    #[default]
    All,
    /// `batch` instances after `batch`.
    Rolling,
    /// `canary` instances first, which are watched for `observe` while all old ones serve; then as `"rolling"`.
    Canary,
}

impl Strategy {
    /// The word in the manifest.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Rolling => "rolling",
            Self::Canary => "canary",
        }
    }
}

/// Some of the instances: a number (`2`), or a share of `instance.count` (`"25%"`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub enum Share {
    /// So many.
    Number(u32),
    /// So many of a hundred.
    Percent(u32),
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(untagged)]
enum Written {
    Number(u32),
    Text(String),
}

impl Share {
    /// How many of `count` that is, rounded up.
    #[must_use]
    pub fn of(self, count: u32) -> u32 {
        match self {
            Self::Number(number) => number,
            Self::Percent(percent) => self.hundredths(count, percent).div_ceil(100).try_into().unwrap_or(u32::MAX),
        }
    }

    /// How many of `count` that is, rounded down: what must not be exceeded.
    #[must_use]
    pub fn at_most_of(self, count: u32) -> u32 {
        match self {
            Self::Number(number) => number,
            Self::Percent(percent) => (self.hundredths(count, percent) / 100).try_into().unwrap_or(u32::MAX),
        }
    }

    fn hundredths(self, count: u32, percent: u32) -> u64 {
        u64::from(count) * u64::from(percent)
    }
}

impl FromStr for Share {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let percent = text.strip_suffix('%').and_then(|digits| digits.trim().parse().ok());
        match percent {
            Some(percent) if percent <= 100 => Ok(Self::Percent(percent)),
            _ => Err(format!("`{text}` is neither a number nor per cent of the instances, such as \"25%\"")),
        }
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number}"),
            Self::Percent(percent) => write!(f, "{percent}%"),
        }
    }
}

impl TryFrom<Written> for Share {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        match written {
            Written::Number(number) => Ok(Self::Number(number)),
            Written::Text(text) => text.parse(),
        }
    }
}

impl From<Share> for Written {
    fn from(share: Share) -> Self {
        match share {
            Share::Number(number) => Self::Number(number),
            Share::Percent(_) => Self::Text(share.to_string()),
        }
    }
}

impl JsonSchema for Share {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Share".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["integer", "string"], "minimum": 0, "format": FORMAT })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Share, String> {
        serde_json::from_str(json).map_err(|error| error.to_string())
    }

    #[test]
    fn a_share_is_a_number_or_per_cent() {
        for (json, of_ten, at_most) in [("3", 3, 3), ("\"25%\"", 3, 2), ("\"30 %\"", 3, 3), ("\"0%\"", 0, 0)] {
            let share = read(json).unwrap();
            assert_eq!((share.of(10), share.at_most_of(10)), (of_ten, at_most), "{json}");
            assert_eq!(read(&serde_json::to_string(&share).unwrap()).unwrap(), share);
        }
        assert_eq!(read("\"100%\"").unwrap().of(u32::MAX), u32::MAX);
        for bad in ["\"3\"", "\"101%\"", "\"-1%\"", "\"%\"", "-1", "1.5", "\"a%\""] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
