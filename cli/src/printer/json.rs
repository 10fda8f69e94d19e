//! `--json`: one versioned object a line on standard output.

use std::io::Write;

use jiff::Timestamp;
use remint_core::{
    events::{Event, Record, SCHEMA},
    redact,
};
use serde::Serialize;

use crate::exit::Failure;

/// An event, and whose it is where several providers are at work.
#[derive(Debug, Serialize)]
struct EventRecord<'a> {
    #[serde(flatten)]
    record: Record,
    #[serde(skip_serializing_if = "Option::is_none")]
    provider: Option<&'a str>,
}

/// The result of a command: the last line, unless it failed.
#[derive(Debug, Serialize)]
struct ResultRecord<'a, T> {
    schema: u32,
    at: Timestamp,
    event: &'static str,
    command: &'a str,
    data: &'a T,
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
