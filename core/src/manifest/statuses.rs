//! The statuses that an HTTP health check accepts, as load balancers and proxies write them.

use std::{fmt, str::FromStr};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// The `format` that this type's schema gives its texts.
pub(super) const FORMAT: &str = "http-status";

/// Statuses and ranges of them: `200`, `"200-299"`, `"2xx"`, `["200-299", 304]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub struct Statuses(Vec<Range>);

/// From the first to the last, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Range {
    first: u16,
    last: u16,
}

/// The forms in a manifest.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(untagged)]
enum Written {
    One(Item),
    Many(Vec<Item>),
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(untagged)]
enum Item {
    Number(u16),
    Text(String),
}

impl Statuses {
    /// One status alone.
    pub fn one(status: u16) -> Self {
        Self(vec![Range { first: status, last: status }])
    }

    /// Whether a status is one of them.
    pub fn contain(&self, status: u16) -> bool {
        self.0.iter().any(|range| (range.first..=range.last).contains(&status))
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromStr for Range {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let refuse = || format!("`{text}` is not an HTTP status or a range of them");
        let number = |digits: &str| {
            let three = digits.len() == 3 && digits.bytes().all(|byte| byte.is_ascii_digit());
            let number = digits.parse().ok().filter(|number| (100..=599).contains(number));
            if three { number.ok_or_else(refuse) } else { Err(refuse()) }
        };
        if let Some(class) = text.strip_suffix("xx").or_else(|| text.strip_suffix("XX")) {
            let first = number(&format!("{class}00"))?;
            return Ok(Self { first, last: first + 99 });
        }
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let (first, last) = (number(first.trim())?, number(last.trim())?);
        if first > last {
            return Err(format!("the range `{text}` is empty: its first status is greater than its last"));
        }
        Ok(Self { first, last })
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { first, last } = self;
        if first == last { write!(f, "{first}") } else { write!(f, "{first}-{last}") }
    }
}

impl fmt::Display for Statuses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all: Vec<_> = self.0.iter().map(Range::to_string).collect();
        f.write_str(&all.join(", "))
    }
}

impl TryFrom<Written> for Statuses {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        let items = match written {
            Written::One(item) => vec![item],
            Written::Many(items) => items,
        };
        let range = |item| match item {
            Item::Number(number) => number.to_string().parse(),
            Item::Text(text) => text.parse(),
        };
        Ok(Self(items.into_iter().map(range).collect::<Result<_, _>>()?))
    }
}

impl From<Statuses> for Written {
    fn from(statuses: Statuses) -> Self {
        let item = |range: Range| match range {
            Range { first, last } if first == last => Item::Number(first),
            range => Item::Text(range.to_string()),
        };
        let mut items: Vec<_> = statuses.0.into_iter().map(item).collect();
        if items.len() == 1 { Self::One(items.remove(0)) } else { Self::Many(items) }
    }
}

impl JsonSchema for Statuses {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Statuses".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": ["integer", "string", "array"],
            "minimum": 100,
            "maximum": 599,
            "format": FORMAT,
            "items": { "type": ["integer", "string"], "minimum": 100, "maximum": 599, "format": FORMAT },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Statuses, String> {
        serde_json::from_str(json).map_err(|error| error.to_string())
    }

    #[test]
    fn takes_the_forms_of_balancers_and_proxies() {
        for (json, inside, outside) in [
            ("200", vec![200], vec![199, 201]),
            ("\"204\"", vec![204], vec![200]),
            ("\"200-299\"", vec![200, 299], vec![199, 300]),
            ("\"200 - 399\"", vec![200, 399], vec![400]),
            ("\"2xx\"", vec![200, 299], vec![199, 300]),
            ("[\"2XX\", 304, \"401-403\"]", vec![200, 304, 402], vec![303, 305, 404]),
        ] {
            let statuses = read(json).unwrap();
            assert!(inside.iter().all(|status| statuses.contain(*status)), "{json}");
            assert!(!outside.iter().any(|status| statuses.contain(*status)), "{json}");
            let again: Statuses = read(&serde_json::to_string(&statuses).unwrap()).unwrap();
            assert_eq!(again, statuses, "{json}");
        }
        assert_eq!(read("[\"2xx\", 304]").unwrap().to_string(), "200-299, 304");
    }

    #[test]
    fn refuses_what_is_no_status() {
        for text in ["", "-", "ok", "200,204", "200-", "-299", "99", "600", "6xx", "xx", "2x", "20x", "+200", "299-200"]
        {
            assert!(text.parse::<Range>().is_err(), "{text}");
        }
        assert!(read("0").is_err() && read("[600]").is_err() && read("70000").is_err());
    }
}
