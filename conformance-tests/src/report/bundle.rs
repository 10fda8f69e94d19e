//! The folder that `remint conformance run --report` writes: all that a maintainer needs of a run, and no secret.

use std::{
    collections::BTreeMap,
    fs::{DirBuilder, OpenOptions},
    io::Write as _,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use remint_core::{provider::CallCount, redact};
use serde::{Deserialize, Serialize};

use super::{CaseReport, Report, ReportError};
use crate::CallLine;

/// Who may read the folder: its owner. Names and ids of an account are nobody else's business.
const FOLDER_MODE: u32 = 0o700;
/// As the folder.
const FILE_MODE: u32 = 0o600;
/// How many calls of a failed case `failures.md` shows; `calls.jsonl` has all.
const CALLS_SHOWN: usize = 60;

/// The calls that create what costs money.
const BILLABLE: [&str; 5] =
    ["launch instance", "capture image", "copy image", "ensure static IP", "ensure load balancer"];

/// Explains the folder to a reader who did not make the run.
const README: &str = "\
# A run of Remint's conformance suite

Send this folder to a maintainer when a case fails and should not. It was written by `remint conformance run --report`.

| file | what is in it |
|---|---|
| `run.json` | versions, operating system, the options of the command, how many requests were sent, how much was created |
| `report.json` | all cases and what came of them; version 1 of Remint's format |
| `junit.xml`, `report.md` | the same for other programs and for people |
| `failures.md` | each case that failed, with the calls that it made, and what was left over |
| `calls.jsonl` | each call of the provider, one a line: when, for which case, on what, how long, how it ended; of a failed one the \
cloud's message and request id |

**Not in it:** tokens, keys, passwords, headers, bodies of requests and answers, user data. Secrets that Remint knows are masked in
every file.

**In it:** names and ids of what the run made, regions, sizes, the zone, addresses. A message of the cloud may name your account, \
project or user. Read `failures.md` and `calls.jsonl` before you publish them.
";

/// What ran, and what it asked of the cloud.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunFacts {
    /// The version of the command: `0.1.0`.
    pub remint: String,
    /// The operating system and the processor that `remint` was built for: `linux/x86_64`.
    pub system: String,
    /// The options of the command, by their names; none of them is a secret.
    pub options: BTreeMap<String, String>,
    /// The requests that were sent by the run's first client, repetitions included.
    pub requests: CallCount,
    /// How often each call succeeded that creates something which costs money.
    pub billable: BTreeMap<String, usize>,
}

impl RunFacts {
    /// Those of this build and this run.
    pub fn new(remint: &str, options: BTreeMap<String, String>, requests: CallCount, calls: &[CallLine]) -> Self {
        let mut billable = BTreeMap::new();
        for line in calls.iter().filter(|line| line.is_ok() && BILLABLE.contains(&line.call.as_str())) {
            *billable.entry(line.call.clone()).or_default() += 1;
        }
        let system = format!("{}/{}", std::env::consts::OS, std::env::consts::ARCH);
        Self { remint: remint.to_owned(), system, options, requests, billable }
    }
}

/// A folder for the report of one run.
#[derive(Debug)]
pub struct Bundle {
    folder: PathBuf,
}

impl Bundle {
    /// Makes the folder, or takes it where it is empty.
    ///
    /// # Errors
    ///
    /// When something is in it: a report of two runs would be one of none.
    pub fn create(folder: &Path) -> Result<Self, ReportError> {
        let error = |problem: String| ReportError { path: folder.to_owned(), problem };
        match std::fs::read_dir(folder).map(|mut entries| entries.next().is_some()) {
            Ok(true) => {
                return Err(error("the folder is not empty; name another one, or remove it".to_owned()));
            }
            Ok(false) => {}
            Err(missing) if missing.kind() == std::io::ErrorKind::NotFound => {
                let made = DirBuilder::new().recursive(true).mode(FOLDER_MODE).create(folder);
                made.map_err(|e| error(format!("its folder cannot be created: {e}")))?;
            }
            Err(e) => return Err(error(format!("its folder cannot be read: {e}"))),
        }
        std::fs::set_permissions(folder, std::os::unix::fs::PermissionsExt::from_mode(FOLDER_MODE))
            .map_err(|e| error(format!("its folder cannot be made private: {e}")))?;
        Ok(Self { folder: folder.to_owned() })
    }

    /// The folder that holds the files of the report.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Writes all files, masked and cleaned.
    ///
    /// # Errors
    ///
    /// When one of them cannot be written.
    pub fn write(&self, report: &Report, facts: &RunFacts, calls: &[CallLine]) -> Result<(), ReportError> {
        let error = |problem: String| ReportError { path: self.folder.clone(), problem };
        let json = |e: serde_json::Error| error(e.to_string());
        let lines: Result<Vec<String>, _> = calls.iter().map(serde_json::to_string).collect();
        let lines: String = lines.map_err(json)?.into_iter().map(|line| line + "\n").collect();
        let run = serde_json::to_string_pretty(facts).map_err(json)? + "\n";
        let files = [("README.md", README.to_owned()), ("run.json", run), ("calls.jsonl", lines)];
        let files = files.into_iter().chain([("failures.md", failures(report, calls))]);
        for (name, text) in files.chain(report.files(&self.folder)?) {
            let path = self.folder.join(name);
            let file = OpenOptions::new().write(true).create_new(true).mode(FILE_MODE).open(&path);
            let written = file.and_then(|mut file| file.write_all(redact::show(&text).as_bytes()));
            written.map_err(|e| error(format!("{name} cannot be written: {e}")))?;
        }
        Ok(())
    }
}

/// Each case that failed, with its calls, and what was left over.
fn failures(report: &Report, calls: &[CallLine]) -> String {
    let mut text = format!("# {} on {}: {}\n", report.title, report.target, report.counts);
    let bad: Vec<&CaseReport> = report.cases.iter().filter(|case| case.outcome.is_bad()).collect();
    if bad.is_empty() {
        text += "\nNo case failed.\n";
    }
    for case in bad {
        let (id, title, kind, detail) = (&case.id, &case.title, case.outcome.as_str(), &case.detail);
        text += &format!("\n## `{id}` {kind}\n\nHeld: {title}. It took {:.1} s.\n\n", case.seconds);
        text += &block(std::iter::once(detail.as_str()));
        let own: Vec<&CallLine> = calls.iter().filter(|line| line.case == *id).collect();
        let shown = &own[own.len().saturating_sub(CALLS_SHOWN)..];
        text += &format!("\nIts last {} of {} calls:\n\n", shown.len(), own.len());
        text += &block(shown.iter().map(|line| described(line)));
    }
    if !report.leaks.is_empty() {
        text += "\n## Left over\n\n";
        text += &block(report.leaks.iter().map(String::as_str));
    }
    text
}

/// A block that text within it cannot end.
fn block<T: AsRef<str>>(lines: impl Iterator<Item = T>) -> String {
    let lines: String =
        lines.flat_map(|line| line.as_ref().lines().map(|line| format!("    {line}\n")).collect::<Vec<_>>()).collect();
    if lines.is_empty() { "    (nothing)\n".to_owned() } else { lines }
}

fn described(line: &CallLine) -> String {
    let CallLine { at, call, on, requests, millis, outcome, effect, request_id, error, .. } = line;
    let mut text = format!("{at} {call} {on}: {outcome}, {millis} ms, {requests} requests");
    for (name, value) in [("effect", effect), ("request id", request_id), ("error", error)] {
        if let Some(value) = value {
            text += &format!("; {name}: {value}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::{super::document::tests::sample, *};
    use crate::OutcomeKind;

    fn facts() -> RunFacts {
        let options = BTreeMap::from([("only".to_owned(), "dns.*".to_owned())]);
        RunFacts::new("0.1.0", options, CallCount::default(), &[])
    }

    fn line(case: &str, error: &str) -> CallLine {
        CallLine {
            at: jiff::Timestamp::UNIX_EPOCH,
            case: case.to_owned(),
            call: "launch instance".to_owned(),
            on: "cf-1".to_owned(),
            requests: 2,
            millis: 7,
            outcome: "unavailable".to_owned(),
            effect: Some("unknown".to_owned()),
            request_id: Some("req-77".to_owned()),
            error: Some(error.to_owned()),
        }
    }

    #[test]
    fn a_failed_case_is_described_with_its_calls_and_no_secret_is_in_any_file() {
        let secret = "dop_v1_bundle_secret_of_a_test";
        redact::learn(&secret.to_owned().into());
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("a/b");
        let report = sample().with_leaks("0190", vec![format!("instance 7 ({secret})")]);
        let failed = report.cases.iter().find(|case| case.outcome == OutcomeKind::Failed).unwrap().id.clone();
        let lines = [line(&failed, &format!("503 \u{1b}[2J {secret}")), line("another.case", "x")];
        let bundle = Bundle::create(&folder).unwrap();
        bundle.write(&report, &facts(), &lines).unwrap();
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&folder).unwrap() {
            let entry = entry.unwrap();
            let text = std::fs::read_to_string(entry.path()).unwrap();
            assert!(!text.contains(secret) && !text.contains('\u{1b}'), "{:?}: {text}", entry.path());
            assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, FILE_MODE);
            names.push(entry.file_name().into_string().unwrap());
        }
        names.sort();
        let all = ["README.md", "calls.jsonl", "failures.md", "junit.xml", "report.json", "report.md", "run.json"];
        assert_eq!(names, all);
        assert_eq!(std::fs::metadata(&folder).unwrap().permissions().mode() & 0o777, FOLDER_MODE);
        let told = std::fs::read_to_string(folder.join("failures.md")).unwrap();
        assert!(told.contains(&format!("## `{failed}` failed")) && told.contains("Its last 1 of 1 calls"), "{told}");
        assert!(told.contains("request id: req-77") && told.contains("## Left over"), "{told}");
        let calls = std::fs::read_to_string(folder.join("calls.jsonl")).unwrap();
        let lines: Vec<CallLine> = calls.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), 2);
    }

    #[test]
    fn a_folder_with_something_in_it_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        Bundle::create(dir.path()).unwrap();
        std::fs::write(dir.path().join("x"), "").unwrap();
        let error = Bundle::create(dir.path()).unwrap_err().to_string();
        assert!(error.contains("not empty"), "{error}");
    }
}
