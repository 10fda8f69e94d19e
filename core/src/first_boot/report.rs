//! Reading what cloud-init says, whatever its version.
//!
//! `cloud-init status --format json` and `result.json` have the same lists. `errors` holds an entry for each failed module, which is
//! Python's way of writing a pair: `('locale', ProcessExecutionError('…'))`. `recoverable_errors`, since 23.4, holds log messages by
//! level, among them `DEPRECATED` (cloudinit/cmd/status.py, cloudinit/config/modules.py). Modules are `users-groups` until 23.1 and
//! `users_groups` later.

use serde_json::Value;

use crate::{redact, userdata::SAYS};

/// How many failed modules are read: more than cloud-init has, so that none that Remint needs is left out.
const MODULES: usize = 100;
/// How many errors without a module, and how many warnings, are read.
const ENTRIES: usize = 8;
/// How long one of them may be, in bytes.
const ENTRY_BYTES: usize = 300;
/// How long the name of a module may be, in bytes. The longest of cloud-init's has 29.
const NAME_BYTES: usize = 40;
/// The most lines of logs that a report shows.
const LOG_LINES: usize = 30;
/// How many of these may be of `cloud-init.log`.
const MODULE_LINES: usize = 12;
/// How long one of them may be, in bytes.
const LINE_BYTES: usize = 400;

/// What the machine answered, as it came.
#[derive(Debug, Default)]
pub(super) struct Answers {
    /// `cloud-init status --format json`; empty where it does not know that.
    pub(super) status: String,
    /// `result.json`.
    pub(super) result: String,
    /// The lines of `cloud-init.log` that warn.
    pub(super) log: String,
    /// The end of `cloud-init-output.log`.
    pub(super) output: String,
}

/// A module that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failed {
    /// Its name, as cloud-init says it.
    pub(super) module: String,
    /// Why; may be empty.
    pub(super) reason: String,
}

impl Failed {
    /// Its name in the form of newer versions: `users_groups`.
    pub(super) fn key(&self) -> String {
        key(&self.module)
    }
}

/// What cloud-init says, clean and bounded.
#[derive(Debug, Default)]
pub(super) struct Report {
    pub(super) failed: Vec<Failed>,
    /// Errors that name no module.
    pub(super) unnamed: Vec<String>,
    /// Warnings that are no deprecations, and no failures of a module.
    pub(super) warnings: Vec<String>,
    /// What Remint's own commands on the machine say of their failure.
    pub(super) own: Vec<String>,
    /// Lines of its logs, those of the failed modules first.
    pub(super) log: Vec<String>,
    /// Whether there were lists to read at all.
    pub(super) is_known: bool,
}

impl Report {
    pub(super) fn read(answers: &Answers) -> Self {
        let mut report = Self::default();
        let result: Option<Value> = serde_json::from_str(&answers.result).ok();
        let documents = [
            serde_json::from_str::<Value>(from_brace(&answers.status)).ok(),
            result.and_then(|mut result| result.get_mut("v1").map(Value::take)),
        ];
        for document in documents.iter().flatten() {
            report.is_known |= document.get("errors").is_some();
            report.add_errors(document.get("errors"));
            report.add_recoverable(document.get("recoverable_errors"));
        }
        report.add_log(&answers.log, &answers.output);
        report
    }

    fn add_errors(&mut self, errors: Option<&Value>) {
        for text in errors.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str) {
            match module_error(text) {
                Some((module, reason)) => self.add_failed(module, reason),
                None => push(&mut self.unnamed, text),
            }
        }
    }

    fn add_recoverable(&mut self, levels: Option<&Value>) {
        let levels = levels.and_then(Value::as_object).into_iter().flatten();
        for (level, messages) in levels {
            // A key that a later version will not know, and a remark: neither says that something failed.
            if matches!(level.as_str(), "DEPRECATED" | "INFO" | "DEBUG") {
                continue;
            }
            for text in messages.as_array().into_iter().flatten().filter_map(Value::as_str) {
                match module_warning(text) {
                    Some(module) => self.add_failed(module, ""),
                    None => push(&mut self.warnings, text),
                }
            }
        }
    }

    fn add_failed(&mut self, module: &str, reason: &str) {
        match self.failed.iter_mut().find(|failed| failed.key() == key(module)) {
            Some(failed) if failed.reason.is_empty() => failed.reason = told(reason),
            Some(_) => {}
            None => {
                if self.failed.len() < MODULES {
                    self.failed.push(Failed { module: redact::excerpt(module, NAME_BYTES), reason: told(reason) });
                }
            }
        }
    }

    fn add_log(&mut self, log: &str, output: &str) {
        for said in output.lines().filter_map(|line| line.strip_prefix(SAYS)) {
            push(&mut self.own, said);
        }
        let keys: Vec<String> = self.failed.iter().map(Failed::key).collect();
        // The end of a traceback names no module, and belongs to the line before it.
        let mut follows = false;
        let of_failed = |line: &&str| {
            let plain = line.replace('-', "_");
            follows = keys.iter().any(|name| plain.contains(name.as_str())) || follows && is_exception(line);
            follows
        };
        let all: Vec<&str> = log.lines().collect();
        let named: Vec<&str> = all.iter().copied().filter(of_failed).collect();
        let lines = if named.is_empty() { all } else { named };
        let shown = last(&lines, MODULE_LINES).iter().map(|line| cut(line));
        self.log.extend(shown);
        let output: Vec<&str> = output.lines().collect();
        let rest = LOG_LINES - self.log.len();
        self.log.extend(last(&output, rest).iter().map(|line| cut(line)));
    }
}

fn key(module: &str) -> String {
    module.trim_start_matches("config-").trim_start_matches("cc_").replace('-', "_")
}

fn told(text: &str) -> String {
    redact::excerpt(&redact::show_line(text), ENTRY_BYTES)
}

fn cut(line: &str) -> String {
    redact::excerpt(&redact::show_line(line), LINE_BYTES)
}

fn push(list: &mut Vec<String>, text: &str) {
    if list.len() < ENTRIES {
        let text = told(text);
        if !list.contains(&text) {
            list.push(text);
        }
    }
}

fn last<'a, 'b>(lines: &'a [&'b str], count: usize) -> &'a [&'b str] {
    &lines[lines.len().saturating_sub(count)..]
}

/// What stands before the document, such as the dots of a wait, goes.
fn from_brace(text: &str) -> &str {
    text.find('{').map_or("", |at| &text[at..])
}

/// `('locale', ProcessExecutionError('…'))`: the module, and the error.
fn module_error(text: &str) -> Option<(&str, &str)> {
    let inner = text.strip_prefix("('")?;
    let (module, rest) = inner.split_once('\'')?;
    let reason = rest.strip_prefix(", ")?;
    is_name(module).then(|| (module, reason.strip_suffix(')').unwrap_or(reason)))
}

/// `Running module locale (<module …>) failed`: the module.
fn module_warning(text: &str) -> Option<&str> {
    let rest = text.strip_prefix("Running module ")?;
    let (module, rest) = rest.split_once(' ')?;
    (is_name(module) && rest.trim_end().ends_with("failed")).then_some(module)
}

/// `OSError: Unknown user or group: …`, without the time that begins a line of the log.
fn is_exception(line: &str) -> bool {
    let class = line.split(": ").next().unwrap_or_default();
    let is_class = class.ends_with("Error") || class.ends_with("Exception");
    is_class && class.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.'))
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))
}

#[cfg(test)]
#[path = "report_tests.rs"]
pub(super) mod tests;
