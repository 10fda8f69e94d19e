//! Durations as people write them: `90s`, `5m`, `1h 30m`.

use std::{fmt, str::FromStr, time::Duration};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

const LONGEST: Duration = Duration::from_secs(366 * 24 * 3600);

/// A duration that reads and writes as `250ms`, `90s`, `5m`, `1h 30m`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HumanDuration(pub Duration);

impl HumanDuration {
    /// So many seconds.
    pub const fn seconds(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }
}

impl From<HumanDuration> for Duration {
    fn from(duration: HumanDuration) -> Self {
        duration.0
    }
}

impl FromStr for HumanDuration {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let refuse = || format!("`{text}` is not a duration; write it like \"250ms\", \"90s\", \"5m\" or \"1h 30m\"");
        let signed: jiff::SignedDuration = text.parse().map_err(|_| refuse())?;
        let duration = Duration::try_from(signed).map_err(|_| refuse())?;
        // What is added to a time must not overflow it.
        if duration > LONGEST {
            return Err(format!("`{text}` is longer than a year"));
        }
        Ok(Self(duration))
    }
}

impl fmt::Display for HumanDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let signed = jiff::SignedDuration::try_from(self.0).unwrap_or(jiff::SignedDuration::MAX);
        write!(f, "{signed:#}")
    }
}

impl Serialize for HumanDuration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for HumanDuration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl schemars::JsonSchema for HumanDuration {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Duration".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "description": "A duration such as \"250ms\", \"90s\", \"5m\" or \"1h 30m\".",
            "examples": ["90s", "5m"]
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_people_write() {
        let read = |text: &str| text.parse::<HumanDuration>().unwrap().0;
        assert_eq!(read("250ms"), Duration::from_millis(250));
        assert_eq!(read("90s"), Duration::from_secs(90));
        assert_eq!(read("1h 30m"), Duration::from_secs(5400));
        for bad in ["", "90", "-5s", "soon"] {
            assert!(bad.parse::<HumanDuration>().unwrap_err().contains("not a duration"), "{bad}");
        }
    }

    #[test]
    fn writes_what_it_reads() {
        for text in ["250ms", "1m 30s", "5m"] {
            assert_eq!(text.parse::<HumanDuration>().unwrap().to_string().parse::<HumanDuration>(), text.parse());
        }
    }
}
