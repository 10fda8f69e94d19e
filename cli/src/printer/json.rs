//! `--json`: one versioned object a line on standard output.

use std::io::Write;

use jiff::Timestamp;
use remint_core::{
    events::{Event, Record, SCHEMA},
    redact,
};
use schemars::{JsonSchema, Schema, generate::SchemaSettings};
use serde::Serialize;

use crate::exit::Failure;

/// An event, and whose it is where several providers are at work.
#[derive(Debug, Serialize, JsonSchema)]
struct EventRecord<'a> {
    #[serde(flatten)]
    record: Record,
    /// The provider that it is about, where the command works on several.
    #[serde(skip_serializing_if = "Option::is_none")]
    provider: Option<&'a str>,
}

/// The result of a command: the last line, unless it failed.
#[derive(Debug, Serialize, JsonSchema)]
struct ResultRecord<'a, T> {
    /// The version of this form.
    schema: u32,
    /// When the command ended.
    #[schemars(with = "String", extend("format" = "date-time"))]
    at: Timestamp,
    #[schemars(extend("const" = "result"))]
    event: &'static str,
    /// The command, without `remint`.
    command: &'a str,
    /// Its result, in a form of its own for each command.
    data: &'a T,
}

/// A line of standard output.
#[derive(Debug, JsonSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "only its schema is used")]
enum Line<'a> {
    Event(EventRecord<'a>),
    Result(ResultRecord<'a, serde_json::Value>),
}

/// The JSON Schema of each line that a command prints.
pub(super) fn line_schema() -> Schema {
    schema::<Line<'_>>()
}

/// The JSON Schema of the line with a command's result.
pub(super) fn result_schema<T: JsonSchema>() -> Schema {
    schema::<ResultRecord<'_, T>>()
}

/// Of what is written, and not of what could be read.
fn schema<T: JsonSchema>() -> Schema {
    SchemaSettings::draft2020_12().for_serialize().into_generator().into_root_schema_for::<T>()
}

pub(super) struct Json;

impl super::Display for Json {
    fn event(&self, of: Option<&str>, event: Event) {
        let record = Record { schema: SCHEMA, at: Timestamp::now(), event };
        // A reader that went away cannot be told so; the run itself must not fail for it.
        let _ = write(&EventRecord { record, provider: of });
    }
}

/// The only place that writes JSON: all text in it is clean and without secrets.
fn write(value: &impl Serialize) -> anyhow::Result<()> {
    let mut value = serde_json::to_value(value)?;
    redact::show_json(&mut value);
    let mut line = serde_json::to_vec(&value)?;
    line.push(b'\n');
    let mut out = std::io::stdout().lock();
    out.write_all(&line)?;
    Ok(out.flush()?)
}

/// A value alone, without an envelope.
pub(super) fn bare(value: &impl Serialize) -> anyhow::Result<()> {
    write(value)
}

pub(super) fn result<T: Serialize>(command: &str, data: &T) -> anyhow::Result<()> {
    write(&ResultRecord { schema: SCHEMA, at: Timestamp::now(), event: "result", command, data })
}

pub(super) fn failure(of: Option<&str>, failure: &Failure) {
    let event = Event::Failed {
        exit_code: failure.status.code(),
        chain: failure.error.chain().map(ToString::to_string).collect(),
        hints: failure.hints.clone(),
    };
    super::Display::event(&Json, of, event);
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use remint_core::events::Level;
    use serde_json::{Value, json};

    use super::*;

    fn fits(schema: &Schema, line: &Value) -> bool {
        jsonschema::validator_for(schema.as_value()).unwrap().is_valid(line)
    }

    #[test]
    fn the_schema_takes_what_is_written_and_nothing_else() {
        let schema = line_schema();
        let line = |event, provider| {
            let record = Record { schema: SCHEMA, at: Timestamp::now(), event };
            serde_json::to_value(EventRecord { record, provider }).unwrap()
        };
        let note = line(Event::Note { level: Level::Info, message: "so".to_owned() }, Some("here"));
        let probed = line(Event::Probed { sent: 3, failed: 0, longest_gap: Duration::from_millis(1500) }, None);
        let result =
            ResultRecord { schema: SCHEMA, at: Timestamp::now(), event: "result", command: "plan", data: &json!({}) };
        let result = serde_json::to_value(&result).unwrap();
        for good in [&note, &probed, &result] {
            assert!(fits(&schema, good), "{good}");
        }
        for (line, key) in [(&note, "level"), (&probed, "longest_gap"), (&result, "command"), (&note, "at")] {
            let mut bad = line.clone();
            bad.as_object_mut().unwrap().remove(key);
            assert!(!fits(&schema, &bad), "{bad}");
        }
    }
}
