//! Bodies as Google's APIs read JSON: numbers and booleans may be text, and a null is nothing.
//!
//! A field that the sandbox does not read and that asks for something is refused, in whatever depth, so that nothing is accepted
//! and dropped. What a client sends back of an answer is let through.

use std::fmt;

use serde::{
    Deserializer,
    de::{
        DeserializeOwned, IntoDeserializer, Visitor,
        value::{MapDeserializer, SeqDeserializer},
    },
    forward_to_deserialize_any,
};
use serde_json::{Map, Number, Value};

use super::error::{Refusal, Result};

/// Fields that only answers have. Google reads over them too.
const OUTPUT_ONLY: [&str; 28] = [
    "archiveSizeBytes",
    "cpuPlatform",
    "creationTime",
    "creationTimestamp",
    "fingerprint",
    "id",
    "index",
    "isServing",
    "kind",
    "labelFingerprint",
    "lastAttachTimestamp",
    "lastStartTimestamp",
    "lastStopTimestamp",
    "licenseCodes",
    "licenses",
    "nameServers",
    "region",
    "selfLink",
    "selfLinkWithId",
    "signatureRrdatas",
    "sourceDiskId",
    "sourceImageId",
    "startRestricted",
    "startTime",
    "status",
    "statusMessage",
    "users",
    "zone",
];

/// Whether a text is a boolean, as protobuf's `safe_strtob` reads it.
pub(super) fn boolean(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "t" | "yes" | "y" | "1" => Some(true),
        "false" | "f" | "no" | "n" | "0" => Some(false),
        _ => None,
    }
}

/// Reads a body.
pub(super) fn read<T: DeserializeOwned>(body: Value) -> Result<T> {
    T::deserialize(Reader { value: body, at: String::new() }).map_err(|wrong| match wrong {
        Wrong::Unread(at) => Refusal::not_implemented(format_args!("the field `{at}`")),
        // The words quote a value only where its type is wrong; user data and keys are text, as they should be.
        Wrong::Value { at, why } if at.is_empty() => Refusal::unreadable(why),
        Wrong::Value { at, why } => Refusal::unreadable(format_args!("Invalid value at '{at}': {why}")),
    })
}

/// What there is with a patch laid over it: objects are merged at any depth, and a null takes a field away (RFC 7396).
pub(super) fn patched(before: Value, patch: Value) -> Value {
    let Value::Object(patch) = patch else { return patch };
    let mut both = match before {
        Value::Object(fields) => fields,
        _ => Map::new(),
    };
    for (name, value) in patch {
        if value.is_null() {
            both.remove(&name);
        } else {
            let before = both.remove(&name).unwrap_or_default();
            both.insert(name, patched(before, value));
        }
    }
    both.into()
}

/// Whether a value is what a field has that was not sent.
fn asks_for_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(flag) => !flag,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => {
            fields.iter().all(|(name, value)| OUTPUT_ONLY.contains(&name.as_str()) || asks_for_nothing(value))
        }
    }
}

#[derive(Debug)]
enum Wrong {
    /// The path of a field that the sandbox does not read.
    Unread(String),
    /// The path of a value, and what is wrong with it.
    Value { at: String, why: String },
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

impl std::error::Error for Wrong {}

impl serde::de::Error for Wrong {
    fn custom<T: fmt::Display>(why: T) -> Self {
        Self::Value { at: String::new(), why: why.to_string() }
    }
}

/// A value, and its path in the body.
struct Reader {
    value: Value,
    at: String,
}

impl Reader {
    fn number<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        let value = match &self.value {
            Value::String(text) => text.parse::<Number>().map_or(self.value, Value::Number),
            _ => self.value,
        };
        Self { value, at: self.at }.deserialize_any(visitor)
    }
}

macro_rules! numbers {
    ($($method:ident)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
            self.number(visitor)
        })*
    };
}

impl<'de> Deserializer<'de> for Reader {
    type Error = Wrong;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        let Self { value, at } = self;
        let read = match value {
            Value::Null => visitor.visit_unit(),
            Value::Bool(flag) => visitor.visit_bool(flag),
            Value::Number(number) => match (number.as_u64(), number.as_i64()) {
                (Some(number), _) => visitor.visit_u64(number),
                (_, Some(number)) => visitor.visit_i64(number),
                _ => visitor.visit_f64(number.as_f64().unwrap_or_default()),
            },
            Value::String(text) => visitor.visit_string(text),
            Value::Array(items) => {
                let items = items.into_iter().enumerate();
                let items = items.map(|(index, value)| Self { value, at: format!("{at}[{index}]") });
                visitor.visit_seq(SeqDeserializer::new(items))
            }
            Value::Object(fields) => {
                let below = |name: &str| if at.is_empty() { name.to_owned() } else { format!("{at}.{name}") };
                let fields = fields.into_iter().map(|(name, value)| {
                    let at = below(&name);
                    (name, Self { value, at })
                });
                visitor.visit_map(MapDeserializer::new(fields))
            }
        };
        read.map_err(|wrong| match wrong {
            Wrong::Value { at: unknown, why } if unknown.is_empty() => Wrong::Value { at, why },
            wrong => wrong,
        })
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        let value = match &self.value {
            Value::String(text) => boolean(text).map_or(self.value, Value::Bool),
            _ => self.value,
        };
        Self { value, at: self.at }.deserialize_any(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        if self.value.is_null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Wrong> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        known: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        let Value::Object(fields) = self.value else { return self.deserialize_any(visitor) };
        let mut read = Map::new();
        for (name, value) in fields {
            if known.contains(&name.as_str()) {
                // A null is a field that was not sent.
                if !value.is_null() {
                    read.insert(name, value);
                }
            } else if !OUTPUT_ONLY.contains(&name.as_str()) && !asks_for_nothing(&value) {
                let at = if self.at.is_empty() { name } else { format!("{}.{name}", self.at) };
                return Err(Wrong::Unread(at));
            }
        }
        Self { value: read.into(), at: self.at }.deserialize_any(visitor)
    }

    numbers! {
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_u8 deserialize_u16 deserialize_u32
        deserialize_u64 deserialize_f32 deserialize_f64
    }

    forward_to_deserialize_any! {
        char str string bytes byte_buf unit unit_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

impl IntoDeserializer<'_, Wrong> for Reader {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::json;

    use super::*;

    #[derive(Debug, Default, PartialEq, Deserialize)]
    #[serde(default)]
    struct Outer {
        flag: bool,
        number: Option<u32>,
        text: String,
        inner: Vec<Inner>,
        free: Value,
    }

    #[derive(Debug, Default, PartialEq, Deserialize)]
    #[serde(default)]
    struct Inner {
        large: u64,
    }

    #[test]
    fn numbers_and_booleans_may_be_text() {
        let body = json!({
            "flag": "False", "number": "300", "text": null, "inner": [{ "large": "7" }, { "large": 8 }], "free": { "a": ["1"] },
        });
        let inner = vec![Inner { large: 7 }, Inner { large: 8 }];
        let free = json!({ "a": ["1"] });
        let outer = Outer { flag: false, number: Some(300), text: String::new(), inner, free };
        assert_eq!(read::<Outer>(body).unwrap(), outer);
        assert!(read::<Outer>(json!({ "flag": "TRUE" })).unwrap().flag);
        for (bad, at) in [
            (json!({ "flag": "maybe" }), "'flag'"),
            (json!({ "flag": 1 }), "'flag'"),
            (json!({ "number": "ten" }), "'number'"),
            (json!({ "number": "-1" }), "'number'"),
            (json!({ "text": 5 }), "'text'"),
            (json!({ "inner": [{}, { "large": "x" }] }), "'inner[1].large'"),
        ] {
            let refusal = read::<Outer>(bad.clone()).unwrap_err();
            assert!(refusal.code == 400 && refusal.message.contains(at), "{bad}: {}", refusal.message);
        }
    }

    #[test]
    fn a_patch_is_merged_at_any_depth() {
        let before = json!({ "a": 1, "b": { "c": 2, "d": [3] }, "e": 4 });
        let patch = json!({ "b": { "d": [5], "f": { "g": null } }, "e": null });
        assert_eq!(patched(before, patch), json!({ "a": 1, "b": { "c": 2, "d": [5], "f": {} } }));
    }

    #[test]
    fn what_is_not_read_is_refused_at_any_depth_unless_it_asks_for_nothing() {
        for (body, at) in [
            (json!({ "other": 1 }), "`other`"),
            (json!({ "inner": [{}, { "other": { "a": [1] } }] }), "`inner[1].other`"),
        ] {
            let refusal = read::<Outer>(body).unwrap_err();
            assert!(refusal.code == 501 && refusal.message.contains(at), "{}", refusal.message);
        }
        let nothing = json!({ "a": false, "b": "", "c": [], "d": { "e": 0, "f": null }, "selfLink": "x", "inner": [{ "kind": "x" }] });
        assert_eq!(read::<Outer>(nothing).unwrap().inner, [Inner { large: 0 }]);
    }
}
