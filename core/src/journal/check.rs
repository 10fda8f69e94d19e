//! Finding out what is wrong with a journal, without changing anything.

use serde::Serialize;

use super::{
    Journal, JournalError, LockRecord,
    history::{self, Fault},
    layout::{self, Object},
    lock_record, mark,
};

type Result<T> = std::result::Result<T, JournalError>;

/// Something about a journal that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The path of the object in the journal, such as `default/releases/000007/release.json`.
    pub object: String,
    /// What is wrong with it, in words that follow its name: `it is empty`.
    pub what: String,
    /// What `remint journal repair` does about it.
    pub repair: Remedy,
}

/// What `remint journal repair` does about a [`Finding`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Remedy {
    /// Takes it away, and keeps a copy: it was being written when its process died, and nothing that depends on it was done.
    TakeAway,
    /// Makes a new lock with a higher number, and keeps a copy: whoever held this one, if anybody did, is fenced off.
    NewLock,
    /// Nothing, and that does no harm.
    Ignored,
    /// Nothing: what it said cannot be known.
    Restore,
    /// Nothing: a newer Remint wrote it.
    UseNewer,
    /// Nothing: the journal is at another place now.
    UseMoved,
    /// Nothing: a move to here has to be finished.
    FinishMove,
}

impl Remedy {
    /// What is done, or is to be done, as a sentence without a period.
    pub fn advice(self) -> &'static str {
        match self {
            Self::TakeAway => "repair takes it away and keeps a copy: it was being written when its process died",
            Self::NewLock => "repair makes a new lock with a higher number and keeps a copy",
            Self::Ignored => "it is ignored",
            Self::Restore => {
                "it cannot be mended: restore it from a backup of the journal; without one, move the journal away and run \
                 `remint adopt`, which writes a new one"
            }
            Self::UseNewer => "use the newer remint that wrote it",
            Self::UseMoved => "change `[journal]` in the manifest; nothing here is used any more",
            Self::FinishMove => "repeat `remint journal move` with the old place in `[journal]`",
        }
    }

    /// Whether repair does something about it.
    pub fn mends(self) -> bool {
        matches!(self, Self::TakeAway | Self::NewLock)
    }
}

impl Finding {
    fn new(object: impl Into<String>, what: impl Into<String>, repair: Remedy) -> Self {
        Self { object: object.into(), what: what.into(), repair }
    }

    /// The finding that an error stands for; the error again, if it is about the store and not about an object.
    fn of(error: JournalError, repair: Remedy) -> Result<Self> {
        match error {
            JournalError::Damaged { path, what, .. } => Ok(Self::new(path, what, repair)),
            JournalError::TooNew { path, found, known } => {
                let what = format!("it has format {found}, and this remint reads up to {known}");
                Ok(Self::new(path, what, Remedy::UseNewer))
            }
            error @ (JournalError::Moved { .. } | JournalError::Arriving { .. }) => {
                let remedy =
                    if matches!(error, JournalError::Moved { .. }) { Remedy::UseMoved } else { Remedy::FinishMove };
                let what = error.hint().map_or_else(|| error.to_string(), |hint| format!("{error}; {hint}"));
                Ok(Self::new(mark::NAME, what, remedy))
            }
            error => Err(error),
        }
    }

    /// Whether the journal is whole nevertheless.
    pub fn is_harmless(&self) -> bool {
        self.repair == Remedy::Ignored
    }
}

impl Journal {
    /// What is wrong with the journal of the environment: empty when it is whole and there is nothing else in its folder.
    ///
    /// # Errors
    ///
    /// The store's.
    pub async fn check(&self) -> Result<Vec<Finding>> {
        match self.store.look_again().await {
            Ok(()) => {}
            Err(error) => return Ok(vec![Finding::of(error, Remedy::Restore)?]),
        }
        let mut findings = self.check_locks().await?;
        for release in history::read(&self.store, &self.environment).await?.releases.into_values() {
            for Fault { error, torn } in release.err().into_iter().flatten() {
                findings.push(Finding::of(error, if torn { Remedy::TakeAway } else { Remedy::Restore })?);
            }
        }
        self.check_readable(layout::SERVICE, Remedy::Restore, &mut findings).await?;
        let environment = &*self.environment;
        for name in self.store.list(environment).await? {
            match Object::parse(environment, &name) {
                Some(Object::Environment) => self.check_readable(&name, Remedy::Restore, &mut findings).await?,
                // It is written before the capture is asked for.
                Some(Object::Capture) => self.check_readable(&name, Remedy::TakeAway, &mut findings).await?,
                Some(_) => {}
                None => findings.push(Finding::new(name, "Remint did not write it", Remedy::Ignored)),
            }
        }
        // One that is damaged, or missing although it was written, keeps others from being read, too: it is listed once.
        for error in [self.resources().await.err(), self.identity().await.err()].into_iter().flatten() {
            let finding = Finding::of(error, Remedy::Restore)?;
            if !findings.iter().any(|known| known.object == finding.object) {
                findings.push(finding);
            }
        }
        for name in self.store.unfinished(environment)? {
            findings.push(Finding::new(name, "a run that was killed left it half-written", Remedy::Ignored));
        }
        if let Some((folder, what)) = self.store.weakness() {
            findings.push(Finding::new(folder, what, Remedy::Ignored));
        }
        // All of it is among the findings.
        self.take_notes();
        Ok(findings)
    }

    /// What is wrong with the locks; only the highest counts.
    pub(super) async fn check_locks(&self) -> Result<Vec<Finding>> {
        let mut findings = Vec::new();
        let numbers = lock_record::numbers(&self.store, &self.environment).await?;
        for (number, highest) in numbers.iter().zip(numbers.iter().map(|number| Some(number) == numbers.last())) {
            let name = layout::lock(&self.environment, *number);
            let repair = if highest { Remedy::NewLock } else { Remedy::TakeAway };
            match self.store.get::<LockRecord>(&name).await {
                Ok(Some(lock)) if lock.token != *number => {
                    let what = format!("it says that its number is {}", lock.token);
                    findings.push(Finding::new(name, what, repair));
                }
                // One that is gone was deleted since.
                Ok(_) => {}
                Err(error) => findings.push(Finding::of(error, repair)?),
            }
        }
        Ok(findings)
    }

    /// Whether an object says anything at all; what, is for others to judge.
    async fn check_readable(&self, name: &str, repair: Remedy, findings: &mut Vec<Finding>) -> Result<()> {
        if let Err(error) = self.store.get::<serde_json::Value>(name).await {
            findings.push(Finding::of(error, repair)?);
        }
        Ok(())
    }
}
