//! The ledger as a file: appended to, and on the disk before a call goes out.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{File, OpenOptions, TryLockError},
    io::{self, Write as _},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use jiff::Timestamp;
use remint_core::provider::InstanceId;
use serde::{Deserialize, Serialize};

use super::Resource;

/// The version of the format that is written; a file of a newer version is refused.
pub const LEDGER_VERSION: u32 = 1;

/// The first line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// The version of the format: [`LEDGER_VERSION`] of the Remint that wrote it.
    pub version: u32,
    /// The id of the provider, such as `aws`. A sweep passes over ledgers of others.
    pub provider: String,
    /// The cloud's id of the account. A sweep passes over ledgers of others.
    pub account: String,
    /// The run's id, which is the value of [`crate::RUN_LABEL`] on all that it makes.
    pub run: String,
    /// When the run began, by this machine's clock.
    pub started: Timestamp,
}

/// Every line after the first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// When the line was written, by this machine's clock.
    pub at: Timestamp,
    /// The id of the case that wrote the line, such as `instances.launch`.
    pub case: String,
    /// Whether the resources may come to be, are there, or are gone.
    pub step: Step,
    /// The resources that the step is about; empty for `clean` and `finished`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resources: Vec<Resource>,
}

/// What a line says of its resources.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// A call goes out that may make the resources.
    Intent,
    /// They are there, and their ids or labels are known.
    Made,
    /// All that the case made is gone.
    Clean,
    /// The run came to its end. What was not clean by then is left.
    Finished,
}

/// Why a ledger cannot be written or read.
#[derive(Debug, thiserror::Error)]
#[error("ledger {}: {problem}", path.display())]
pub struct LedgerError {
    /// The path of the ledger, or of the folder that it is in.
    pub path: PathBuf,
    /// What is wrong, as a fragment: `it cannot be locked`.
    pub problem: String,
    /// The system's own error; `None` where Remint refuses the file.
    pub source: Option<io::Error>,
}

impl LedgerError {
    fn new(path: &Path, problem: impl Into<String>) -> Self {
        Self { path: path.to_owned(), problem: problem.into(), source: None }
    }

    fn io(path: &Path, problem: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |error| Self { path: path.to_owned(), problem: problem.to_owned(), source: Some(error) }
    }
}

/// The ledger of a run that is under way. It is locked for as long as this exists.
#[derive(Debug)]
pub struct LedgerFile {
    path: PathBuf,
    file: Arc<Mutex<File>>,
}

impl LedgerFile {
    /// Makes a new file and writes its header.
    ///
    /// # Errors
    ///
    /// When the file exists already, or cannot be written.
    pub fn create(path: &Path, header: &Header) -> Result<Self, LedgerError> {
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder).map_err(LedgerError::io(path, "its folder cannot be made"))?;
        }
        let file = OpenOptions::new().create_new(true).append(true).open(path);
        let mut file = file.map_err(LedgerError::io(path, "it cannot be made"))?;
        file.lock().map_err(LedgerError::io(path, "it cannot be locked"))?;
        append(&mut file, header).map_err(LedgerError::io(path, "it cannot be written"))?;
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            // The file's name has to be on the disk as well as its contents.
            let synced = File::open(folder).and_then(|folder| folder.sync_all());
            synced.map_err(LedgerError::io(path, "its folder cannot be written"))?;
        }
        Ok(Self { path: path.to_owned(), file: Arc::new(Mutex::new(file)) })
    }

    /// The path of the file, for messages.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Appends a line, and returns once it is on the disk.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub async fn append(&self, case: &str, step: Step, resources: Vec<Resource>) -> Result<(), LedgerError> {
        let line = Line { at: Timestamp::now(), case: case.to_owned(), step, resources };
        let file = Arc::clone(&self.file);
        let write = move || append(&mut file.lock().unwrap_or_else(PoisonError::into_inner), &line);
        let written = tokio::task::spawn_blocking(write).await.map_err(io::Error::other).and_then(|written| written);
        written.map_err(LedgerError::io(&self.path, "it cannot be written"))
    }
}

/// A single write, so that a line is torn only where the machine stops in the middle of it.
fn append(file: &mut File, line: &impl Serialize) -> io::Result<()> {
    let mut text = serde_json::to_vec(line)?;
    text.push(b'\n');
    file.write_all(&text)?;
    file.sync_data()
}

/// A run that left a ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PastRun {
    /// The path of the ledger: `RUN.jsonl` in the folder of ledgers.
    pub path: PathBuf,
    /// The first line of the ledger: run, provider and account.
    pub header: Header,
    /// Whether the run came to its end.
    pub finished: bool,
    /// Resources of the cases that were not clean when the file ends. Some of them may never have come to be.
    pub left: BTreeSet<Resource>,
}

impl PastRun {
    /// Captures that may have been under way at the end: the images' names, and the instances.
    pub fn captures(&self) -> impl Iterator<Item = (&str, &InstanceId)> {
        self.left.iter().filter_map(|resource| match resource {
            Resource::Image { name, instance: Some(instance) } => {
                let done = Resource::Image { name: name.clone(), instance: None };
                (!self.left.contains(&done)).then_some((name.as_str(), instance))
            }
            _ => None,
        })
    }

    /// Reads all ledgers (`*.jsonl`) of a folder; one that is not there has none.
    ///
    /// # Errors
    ///
    /// As [`PastRun::read`].
    pub fn read_all(folder: &Path) -> Result<Vec<Self>, LedgerError> {
        let entries = match std::fs::read_dir(folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(LedgerError::io(folder, "the folder cannot be read"))?,
        };
        let mut paths = Vec::new();
        for entry in entries {
            let path = entry.map_err(LedgerError::io(folder, "the folder cannot be read"))?.path();
            if path.extension().is_some_and(|extension| extension == "jsonl") {
                paths.push(path);
            }
        }
        paths.sort();
        paths.iter().map(|path| Self::read(path)).collect()
    }

    /// Reads a ledger. A last line that the end of the run tore is passed over: the call that it was for never went out.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, is no ledger or one of a newer version, or its run is still under way.
    pub fn read(path: &Path) -> Result<Self, LedgerError> {
        let file = File::open(path).map_err(LedgerError::io(path, "it cannot be read"))?;
        match file.try_lock_shared() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(LedgerError::new(path, "its run is still under way")),
            Err(TryLockError::Error(error)) => return Err(LedgerError::io(path, "it cannot be locked")(error)),
        }
        let text = std::fs::read_to_string(path).map_err(LedgerError::io(path, "it cannot be read"))?;
        Self::parse(path, &text)
    }

    fn parse(path: &Path, text: &str) -> Result<Self, LedgerError> {
        // What stands after the last line break is a torn line.
        let whole = &text[..text.rfind('\n').map_or(0, |end| end + 1)];
        let mut lines = whole.lines().zip(1..);
        let (first, _) = lines.next().ok_or_else(|| LedgerError::new(path, "it is empty"))?;
        let header: Header = serde_json::from_str(first)
            .map_err(|error| LedgerError::new(path, format!("line 1 is no header of a ledger: {error}")))?;
        if header.version > LEDGER_VERSION {
            let problem =
                format!("it has version {}; this build knows versions up to {LEDGER_VERSION}", header.version);
            return Err(LedgerError::new(path, problem));
        }
        let mut cases: BTreeMap<String, BTreeSet<Resource>> = BTreeMap::new();
        let mut finished = false;
        for (text, number) in lines {
            let line: Line = serde_json::from_str(text)
                .map_err(|error| LedgerError::new(path, format!("line {number} cannot be read: {error}")))?;
            match line.step {
                Step::Intent | Step::Made => cases.entry(line.case).or_default().extend(line.resources),
                Step::Clean => drop(cases.remove(&line.case)),
                Step::Finished => finished = true,
            }
        }
        Ok(Self { path: path.to_owned(), header, finished, left: cases.into_values().flatten().collect() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> Header {
        let started = "2026-11-25T08:00:00Z".parse().unwrap();
        Header {
            version: LEDGER_VERSION,
            provider: "digitalocean".into(),
            account: "a".into(),
            run: "r".into(),
            started,
        }
    }

    fn instance(name: &str) -> Resource {
        Resource::Instance { name: name.to_owned() }
    }

    #[tokio::test]
    async fn what_was_intended_and_not_cleaned_is_left() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("runs").join("one.jsonl");
        let file = LedgerFile::create(&path, &header()).unwrap();
        file.append("a.b", Step::Intent, vec![instance("one"), instance("two")]).await.unwrap();
        file.append("c.d", Step::Intent, vec![instance("three")]).await.unwrap();
        let ip = Resource::StaticIp { instance: "7".into(), id: Some("192.0.2.1".into()) };
        file.append("c.d", Step::Made, vec![ip.clone()]).await.unwrap();
        file.append("a.b", Step::Clean, Vec::new()).await.unwrap();
        assert!(PastRun::read(&path).unwrap_err().to_string().contains("under way"));
        assert!(LedgerFile::create(&path, &header()).is_err(), "a ledger is never written over");
        drop(file);
        let run = PastRun::read(&path).unwrap();
        assert_eq!(run.left, BTreeSet::from([instance("three"), ip]));
        assert_eq!((run.finished, run.header), (false, header()));
    }

    #[test]
    fn a_capture_is_under_way_until_its_image_is_there() {
        let image = |name: &str, from: Option<&str>| Resource::Image {
            name: name.to_owned(),
            instance: from.map(InstanceId::from),
        };
        let left =
            BTreeSet::from([image("old", None), image("one", Some("1")), image("two", Some("2")), image("two", None)]);
        let run = PastRun { path: "x".into(), header: header(), finished: false, left };
        assert_eq!(run.captures().collect::<Vec<_>>(), [("one", &InstanceId::from("1"))]);
    }

    #[test]
    fn a_torn_last_line_is_passed_over_and_one_in_the_middle_is_not() {
        let path = Path::new("x.jsonl");
        let head = serde_json::to_string(&header()).unwrap();
        let line =
            r#"{"at":"2026-11-25T08:00:00Z","case":"a.b","step":"intent","resources":[{"kind":"image","name":"i"}]}"#;
        let run = PastRun::parse(path, &format!("{head}\n{line}\n{{\"at\":\"20")).unwrap();
        assert_eq!(run.left.len(), 1);
        let error = PastRun::parse(path, &format!("{head}\n{{\"at\":\n{line}\n")).unwrap_err();
        assert!(error.to_string().contains("line 2"), "{error}");
    }

    #[test]
    fn a_newer_version_is_refused() {
        let head = serde_json::to_string(&Header { version: LEDGER_VERSION + 1, ..header() }).unwrap();
        let error = PastRun::parse(Path::new("x.jsonl"), &format!("{head}\n")).unwrap_err();
        assert!(error.to_string().contains("versions up to"), "{error}");
    }

    #[test]
    fn version_1_is_read() {
        let run = PastRun::parse(Path::new("x.jsonl"), include_str!("../../tests/fixtures/ledger-v1.jsonl")).unwrap();
        assert_eq!(run.header.version, 1);
        assert!(!run.finished);
        assert_eq!(run.left.len(), 6, "one of each kind: {:?}", run.left);
    }
}
