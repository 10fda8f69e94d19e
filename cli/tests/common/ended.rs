//! How a run of the command ended.

use std::process::Output;

use serde_json::Value;

/// How a run ended, and what it wrote.
#[derive(Debug)]
pub(crate) struct Ended {
    args: String,
    /// The exit code; `None` when a signal ended it.
    pub(crate) code: Option<i32>,
    /// Standard output.
    pub(crate) stdout: String,
    /// Standard error.
    pub(crate) stderr: String,
}

impl Ended {
    /// Reads what a process left.
    pub(crate) fn of(args: &[&str], output: Output) -> Self {
        Self {
            args: args.join(" "),
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Of no run: for messages of what nothing came before.
    pub(crate) fn nothing() -> Self {
        Self { args: String::new(), code: None, stdout: String::new(), stderr: String::new() }
    }

    /// All that it wrote, for messages.
    pub(crate) fn text(&self) -> String {
        let Self { args, code, stdout, stderr } = self;
        format!("remint {args} ended with {code:?}\n--- stdout\n{stdout}\n--- stderr\n{stderr}")
    }

    /// Asserts that it succeeded.
    #[track_caller]
    pub(crate) fn success(self) -> Self {
        self.code(0)
    }

    /// Asserts the exit code.
    #[track_caller]
    pub(crate) fn code(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{}", self.text());
        self
    }

    /// Asserts that it says something, on either stream.
    #[track_caller]
    pub(crate) fn says(self, text: &str) -> Self {
        let found = self.stdout.contains(text) || self.stderr.contains(text);
        assert!(found, "{text:?} is not in what it wrote\n{}", self.text());
        self
    }

    /// Asserts that it does not say something.
    #[track_caller]
    pub(crate) fn says_not(self, text: &str) -> Self {
        let found = self.stdout.contains(text) || self.stderr.contains(text);
        assert!(!found, "{text:?} is in what it wrote\n{}", self.text());
        self
    }

    /// The lines of `--json`, each of which must be an object of schema 1.
    #[track_caller]
    pub(crate) fn records(&self) -> Vec<Value> {
        let read = |line: &str| -> Value {
            let value: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{line:?}: {error}"));
            assert_eq!(value["schema"], 1, "{line}");
            assert!(value["at"].is_string() && value["event"].is_string(), "{line}");
            value
        };
        self.stdout.lines().map(read).collect()
    }

    /// The events of a kind.
    #[track_caller]
    pub(crate) fn events(&self, kind: &str) -> Vec<Value> {
        self.records().into_iter().filter(|record| record["event"] == kind).collect()
    }

    /// The data of the last line of `--json`, which must be a result.
    #[track_caller]
    pub(crate) fn result(&self) -> Value {
        let last = self.records().pop().unwrap_or_else(|| panic!("no output\n{}", self.text()));
        assert_eq!(last["event"], "result", "{}", self.text());
        last["data"].clone()
    }
}
