//! The only place that writes to the terminal: results to standard output, everything for people to standard error.
//!
//! Three ways to show what happens: [`json`], a line an event on standard output; [`live`], a line a task that is
//! redrawn, on a terminal; [`plain`], a line an event, in a pipe.
//!
//! Whatever is written passes [`remint_core::redact`] here: foreign text is clean, and known secrets are masked ([`paint`], [`json`],
//! [`log`]). The one exception is [`Printer::exact`].

mod json;
mod live;
pub(crate) mod log;
mod paint;
mod plain;
mod summary;
mod text;

use std::{
    io::{BufRead, IsTerminal, Read, Write},
    sync::Arc,
};

use remint_core::{
    events::{Event, Events, Level},
    redact,
};
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use crate::{
    args::ColorChoice,
    exit::Failure,
    settings::{Settings, Verbosity},
};

pub use summary::{ProbeFigures, Summary};
pub use text::{Styled, duration, size};

/// Shows events as they happen. `of` is the provider whose event it is, where several are at work.
trait Display: Send + Sync {
    fn event(&self, of: Option<&str>, event: Event);
    /// Leaves the terminal as it was found.
    fn close(&self) {}
}

/// How much of an answer to a question is read.
const LONGEST_ANSWER: u64 = 1024;

/// Shows nothing; results and failures still appear.
struct Silent;

impl Display for Silent {
    fn event(&self, _: Option<&str>, _: Event) {}
}

/// Writes results, events and failures the way that the user asked for. Clones share the terminal.
#[derive(Clone)]
pub struct Printer {
    display: Arc<dyn Display>,
    gatherer: Arc<summary::Gatherer>,
    of: Option<Arc<str>>,
    json: bool,
    quiet: bool,
    interactive: bool,
    cancel: CancellationToken,
}

impl std::fmt::Debug for Printer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Printer").field("json", &self.json).finish_non_exhaustive()
    }
}

impl Printer {
    /// A printer for these settings and this terminal. A question ends without an answer once `cancel` is cancelled.
    pub fn new(settings: &Settings, cancel: CancellationToken) -> Self {
        let choice = match settings.color {
            ColorChoice::Auto => anstream::ColorChoice::Auto,
            ColorChoice::Always => anstream::ColorChoice::Always,
            ColorChoice::Never => anstream::ColorChoice::Never,
        };
        choice.write_global();
        let terminal = std::io::stderr().is_terminal();
        let quiet = settings.verbosity == Verbosity::Quiet;
        let display: Arc<dyn Display> = if settings.json {
            Arc::new(json::Json)
        } else if quiet {
            Arc::new(Silent)
        } else if terminal && settings.verbosity < Verbosity::Trace {
            Arc::new(live::Live::new())
        } else {
            Arc::new(plain::Plain::new())
        };
        let interactive = terminal && std::io::stdin().is_terminal() && !settings.json;
        Self { display, gatherer: Arc::default(), of: None, json: settings.json, quiet, interactive, cancel }
    }

    /// A printer for what one of several providers does: its lines and events say so, and its figures are its own.
    #[must_use]
    pub fn of(&self, provider: &str) -> Self {
        Self { gatherer: Arc::default(), of: Some(provider.into()), ..self.clone() }
    }

    /// Where the engine reports to.
    pub fn events(&self) -> Events {
        let (display, gatherer, of) = (Arc::clone(&self.display), Arc::clone(&self.gatherer), self.of.clone());
        Events::new(move |event| {
            gatherer.see(&event);
            display.event(of.as_deref(), event);
        })
    }

    /// The figures of what was reported so far.
    pub fn summary(&self) -> Summary {
        self.gatherer.summary()
    }

    /// Asks a question that only `yes` answers. Without a terminal the answer is no.
    ///
    /// # Errors
    ///
    /// When the terminal cannot be read, and when the user interrupts the command instead of answering.
    pub async fn confirm(&self, question: &str) -> Result<bool, Failure> {
        if !self.interactive {
            return Ok(false);
        }
        self.display.close();
        write!(anstream::stderr(), "{} [y/N] ", redact::show(question))?;
        std::io::stderr().flush()?;
        // The thread stays behind when there is no answer, and ends with the process.
        let answer = tokio::task::spawn_blocking(|| {
            let mut line = String::new();
            std::io::stdin().lock().take(LONGEST_ANSWER).read_line(&mut line).map(|_| line)
        });
        tokio::select! {
            biased;
            () = self.cancel.cancelled() => Err(Failure::interrupted()),
            answer = answer => {
                let answer = answer.map_err(std::io::Error::other)??;
                Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
            }
        }
    }

    /// Whether questions can be asked.
    pub fn is_interactive(&self) -> bool {
        self.interactive
    }

    /// Writes a command's result: the value as JSON under `--json`, else the text for people, both to standard output.
    ///
    /// # Errors
    ///
    /// When the value cannot be serialised or standard output is closed.
    pub fn result<T: Serialize>(&self, command: &str, value: &T, text: impl FnOnce() -> String) -> anyhow::Result<()> {
        if self.json {
            return json::result(command, value);
        }
        self.display.close();
        self.data(&text())
    }

    /// The JSON Schema of each line that `--json` prints.
    pub fn line_schema() -> schemars::Schema {
        json::line_schema()
    }

    /// The JSON Schema of the line in which [`result`](Self::result) prints a value of this type.
    pub fn result_schema<T: schemars::JsonSchema>() -> schemars::Schema {
        json::result_schema::<T>()
    }

    /// Writes a value as one line of JSON without an envelope, so that a script reads it as it is.
    ///
    /// # Errors
    ///
    /// When the value cannot be serialised or standard output is closed.
    pub fn bare<T: Serialize>(&self, value: &T) -> anyhow::Result<()> {
        json::bare(value)
    }

    /// Writes text that is the result (a schema, a console's output), under `--json` too.
    ///
    /// # Errors
    ///
    /// When standard output is closed.
    pub fn data(&self, text: &str) -> anyhow::Result<()> {
        self.exact(&paint::render(text))
    }

    /// Writes a text that is all Remint's own, exactly: a script for a shell to run.
    ///
    /// # Errors
    ///
    /// When standard output is closed.
    pub fn exact(&self, text: &str) -> anyhow::Result<()> {
        let mut out = anstream::stdout().lock();
        out.write_all(text.as_bytes())?;
        if !text.is_empty() && !text.ends_with('\n') {
            out.write_all(b"\n")?;
        }
        Ok(out.flush()?)
    }

    /// Writes a line for people, unless `--quiet`; under `--json`, a note.
    pub fn say(&self, text: &str) {
        if self.json {
            self.display.event(self.of.as_deref(), Event::Note { level: Level::Info, message: text.to_owned() });
        } else if !self.quiet {
            self.display.close();
            text::to_stderr(text);
        }
    }

    /// Shows how the command failed.
    pub fn failure(&self, failure: &Failure) {
        self.display.close();
        if self.json {
            json::failure(self.of.as_deref(), failure);
        } else {
            text::failure(self.of.as_deref(), failure);
        }
    }

    /// Leaves the terminal as it was found.
    pub fn close(&self) {
        self.display.close();
    }
}
