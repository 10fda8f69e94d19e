//! `--json`: one versioned object a line on standard output.

use std::io::Write;

use jiff::Timestamp;
use remint_core::events::{Event, Record, SCHEMA};
use serde::Serialize;

use crate::exit::Failure;

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
    fn event(&self, event: Event) {
        let record = Record { schema: SCHEMA, at: Timestamp::now(), event };
        // A reader that went away cannot be told so; the run itself must not fail for it.
        let _ = write(&record);
    }
}

fn write(value: &impl Serialize) -> anyhow::Result<()> {
    let mut line = serde_json::to_vec(value)?;
    line.push(b'\n');
    let mut out = std::io::stdout().lock();
    out.write_all(&line)?;
    Ok(out.flush()?)
}

pub(super) fn result<T: Serialize>(command: &str, data: &T) -> anyhow::Result<()> {
    write(&ResultRecord { schema: SCHEMA, at: Timestamp::now(), event: "result", command, data })
}

pub(super) fn failure(failure: &Failure) {
    let event = Event::Failed {
        exit_code: failure.status.code(),
        chain: failure.error.chain().map(ToString::to_string).collect(),
        hints: failure.hints.clone(),
    };
    let _ = write(&Record { schema: SCHEMA, at: Timestamp::now(), event });
}
