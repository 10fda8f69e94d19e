//! `report.json`: versioned, and read again by later builds.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use remint_core::{provider::Descriptor, redact};
use serde::{Deserialize, Serialize};

use crate::{Cost, Counts, Ended, Level, OutcomeKind, Verdict};

/// The version of `report.json`. It grows when a reader of the former one would misread a field; new fields alone do
/// not make a new version.
pub const FORMAT_VERSION: u32 = 1;

/// A run of the suite.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// [`FORMAT_VERSION`] of the Remint that wrote it.
    pub version: u32,
    /// The id of the provider, such as `aws`.
    pub provider: String,
    /// The provider's name for people: `Google Cloud`.
    pub title: String,
    /// What it ran against: `sandbox`, `account`, or another word.
    pub target: String,
    /// The id that everything the run made was labelled with; for runs on accounts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// When the run began, by the clock of the machine that ran it.
    pub started: Timestamp,
    /// How long the cases took together, in seconds.
    pub seconds: f64,
    /// What the provider declares.
    pub capabilities: Vec<String>,
    /// What the run says of the provider.
    pub verdict: Verdict,
    /// How many cases came to which end.
    pub counts: Counts,
    /// What was found by the run's label after everything had been taken away. One that is not empty makes the verdict
    /// `failed`.
    #[serde(default)]
    pub leaks: Vec<String>,
    /// The cases, in the order in which they ended.
    pub cases: Vec<CaseReport>,
}

/// What a report says of one case.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CaseReport {
    /// Its dotted id, such as `instances.launch`; it stays the same between versions.
    pub id: String,
    /// What the provider is held to, as a sentence without a period.
    pub title: String,
    /// Whether every provider has to pass it.
    pub level: Level,
    /// The dearest thing that the case creates, whether it was run or not.
    pub cost: Cost,
    /// The capabilities without which the case says nothing; it is not run where one is missing.
    #[serde(default)]
    pub needs: Vec<String>,
    /// Whether it passed, and if not, whether it failed or was not run.
    pub outcome: OutcomeKind,
    /// What there is to say about that.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub detail: String,
    /// How long it took, in seconds.
    pub seconds: f64,
}

impl From<&Ended> for CaseReport {
    fn from(ended: &Ended) -> Self {
        let case = &ended.case;
        Self {
            id: case.id.to_owned(),
            title: case.title.to_owned(),
            level: case.level,
            cost: case.cost,
            needs: case.needs.iter().map(ToString::to_string).collect(),
            outcome: ended.outcome.kind(),
            detail: ended.outcome.detail(),
            seconds: ended.took.as_secs_f64(),
        }
    }
}

/// Why a report cannot be written or read.
#[derive(Debug, thiserror::Error)]
#[error("report {}: {problem}", path.display())]
pub struct ReportError {
    /// The file or folder that cannot be written or read.
    pub path: PathBuf,
    /// What is wrong, as a fragment.
    pub problem: String,
}

impl Report {
    /// The report of a run.
    pub fn new(descriptor: &Descriptor, target: &str, started: Timestamp, ended: &[Ended]) -> Self {
        let cases: Vec<CaseReport> = ended.iter().map(CaseReport::from).collect();
        let counts: Counts = cases.iter().map(|case| case.outcome).collect();
        Self {
            version: FORMAT_VERSION,
            provider: descriptor.id.to_owned(),
            title: descriptor.title.to_owned(),
            target: target.to_owned(),
            run: None,
            started,
            seconds: cases.iter().map(|case| case.seconds).sum(),
            capabilities: descriptor.capabilities.iter().map(ToString::to_string).collect(),
            verdict: counts.verdict(),
            counts,
            leaks: Vec::new(),
            cases,
        }
    }

    /// Says what was found after everything had been taken away. The verdict becomes `failed`, if anything was.
    #[must_use]
    pub fn with_leaks(mut self, run: &str, leaks: Vec<String>) -> Self {
        if !leaks.is_empty() {
            self.verdict = Verdict::Failed;
        }
        (self.run, self.leaks) = (Some(run.to_owned()), leaks);
        self
    }

    /// Reads a report of this or an older version.
    ///
    /// # Errors
    ///
    /// When it cannot be read, or its version is newer.
    pub fn read(path: &Path) -> Result<Self, ReportError> {
        let error = |problem: String| ReportError { path: path.to_owned(), problem };
        let text = std::fs::read_to_string(path).map_err(|e| error(format!("it cannot be read: {e}")))?;
        let value: serde_json::Value =
            serde_json::from_str(&text).map_err(|e| error(format!("it is not JSON: {e}")))?;
        match value.get("version").and_then(serde_json::Value::as_u64) {
            Some(version) if version > u64::from(FORMAT_VERSION) => {
                return Err(error(format!("it has version {version}; this build knows up to {FORMAT_VERSION}")));
            }
            Some(_) => {}
            None => return Err(error("it has no version".to_owned())),
        }
        serde_json::from_value(value).map_err(|e| error(format!("it is no report: {e}")))
    }

    /// Writes `report.json`, `junit.xml` and `report.md` into `folder/PROVIDER`, and returns that folder.
    ///
    /// # Errors
    ///
    /// When they cannot be written.
    pub fn write(&self, folder: &Path) -> Result<PathBuf, ReportError> {
        let folder = folder.join(&self.provider);
        let error = |problem: String| ReportError { path: folder.clone(), problem };
        std::fs::create_dir_all(&folder).map_err(|e| error(format!("its folder cannot be made: {e}")))?;
        for (name, text) in self.files(&folder)? {
            std::fs::write(folder.join(name), redact::show(&text))
                .map_err(|e| error(format!("{name} cannot be written: {e}")))?;
        }
        Ok(folder)
    }

    /// `report.json`, `junit.xml` and `report.md`, as text that is not yet masked. `folder` is for errors.
    pub(super) fn files(&self, folder: &Path) -> Result<[(&'static str, String); 3], ReportError> {
        let error = |problem: String| ReportError { path: folder.to_owned(), problem };
        let json = serde_json::to_string_pretty(self).map_err(|e| error(e.to_string()))? + "\n";
        let junit = self.junit().map_err(|e| error(format!("no JUnit can be made of it: {e}")))?;
        Ok([("report.json", json), ("junit.xml", junit), ("report.md", self.markdown())])
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A report with one case of each outcome.
    pub(crate) fn sample() -> Report {
        let fixture = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/report-v1.json");
        Report::read(Path::new(fixture)).unwrap()
    }

    #[test]
    fn version_1_is_read() {
        let report = sample();
        assert_eq!((report.version, report.verdict), (1, Verdict::Failed));
        assert_eq!(report.counts, report.cases.iter().map(|case| case.outcome).collect(), "counted as listed");
        assert!(report.leaks.is_empty(), "the first reports had no such field");
        for kind in OutcomeKind::ALL {
            assert_eq!(report.counts.of(kind), 1, "{kind:?}");
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        let dir = tempfile::tempdir().unwrap();
        let report = sample().with_leaks("0190", vec!["instance 7".to_owned()]);
        let folder = report.write(dir.path()).unwrap();
        assert_eq!(folder, dir.path().join("digitalocean"));
        assert_eq!(Report::read(&folder.join("report.json")).unwrap(), report);
        assert!(folder.join("junit.xml").is_file() && folder.join("report.md").is_file());
    }

    #[test]
    fn a_newer_version_and_what_has_none_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("report.json");
        for (text, problem) in [(r#"{"version":2}"#, "up to 1"), ("{}", "no version"), ("[", "not JSON")] {
            std::fs::write(&path, text).unwrap();
            let error = Report::read(&path).unwrap_err().to_string();
            assert!(error.contains(problem), "{error}");
        }
    }

    #[test]
    fn leaks_fail_a_run_that_passed() {
        let passed = Report { verdict: Verdict::Passed, ..sample() };
        assert_eq!(passed.clone().with_leaks("r", Vec::new()).verdict, Verdict::Passed);
        assert_eq!(passed.with_leaks("r", vec!["image 7".to_owned()]).verdict, Verdict::Failed);
    }
}
