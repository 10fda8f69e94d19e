//! All environments of a journal, as the journal alone knows them.

use jiff::Timestamp;
use serde::Serialize;

use super::{EntryRecord, Journal, JournalError, LockRecord, Phase, Release, current, lock_record};
use crate::{clock, provider::ReleaseId};

/// An environment, as the journal knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EnvironmentOverview {
    /// Its name.
    pub environment: String,
    /// The release that serves.
    pub current: Option<ReleaseId>,
    /// The release that a run works on, or has left unfinished, and where.
    pub unfinished: Option<(ReleaseId, Phase)>,
    /// The lock, where somebody holds it now.
    pub lock: Option<LockRecord>,
    /// The last change of a release; `None` where there was none yet.
    pub changed: Option<Change>,
    /// Why the above is not known in full: a part of the journal is damaged.
    pub problem: Option<String>,
}

/// A change of a release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// When it was written down.
    pub at: Timestamp,
    /// Who made it and from where. The journal knows that of the run that created the release, and of the last run that held the
    /// lock; `None` where another one made it.
    pub by: Option<String>,
}

impl Journal {
    /// All environments that the journal has, in the order of their names. One that is damaged does not hide the others.
    ///
    /// # Errors
    ///
    /// The store's; [`JournalError::Moved`].
    pub async fn overview(&self) -> Result<Vec<EnvironmentOverview>, JournalError> {
        let mut all = Vec::new();
        for environment in self.environments().await? {
            all.push(self.sibling(&environment).overview_of_one().await?);
        }
        Ok(all)
    }

    async fn overview_of_one(&self) -> Result<EnvironmentOverview, JournalError> {
        let mut problems = Vec::new();
        let at = clock::wall();
        let latest = known(lock_record::latest(&self.store, &self.environment).await, &mut problems)?.flatten();
        let history = known(self.history().await, &mut problems)?.unwrap_or_default();
        let unfinished = history.last().filter(|last| !last.phase().is_final());
        Ok(EnvironmentOverview {
            environment: self.environment.to_string(),
            current: current(&history).map(Release::id),
            unfinished: unfinished.map(|last| (last.id(), last.phase())),
            changed: history
                .iter()
                .max_by_key(|release| release.changed_at())
                .map(|last| change(last, latest.as_ref())),
            lock: latest.filter(|lock| lock.is_held(self.liveness.of(&lock.holder), at)),
            problem: (!problems.is_empty()).then(|| problems.join("; ")),
        })
    }
}

/// What was read, unless it is damaged, which is one of the problems then.
fn known<T>(read: Result<T, JournalError>, problems: &mut Vec<String>) -> Result<Option<T>, JournalError> {
    match read {
        Ok(read) => Ok(Some(read)),
        Err(error @ (JournalError::Damaged { .. } | JournalError::TooNew { .. })) => {
            problems.push(error.to_string());
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// The last change of a release.
fn change(release: &Release, lock: Option<&LockRecord>) -> Change {
    let run = |entry: &EntryRecord| entry.run;
    let last = release.entries.last().map(run);
    let by = match lock.map(|lock| &lock.holder).filter(|holder| last == Some(holder.run)) {
        Some(holder) => Some(holder.author()),
        // The run that created a release also writes its first entry.
        None if last == release.entries.first().map(run) => Some(release.record.author()),
        None => None,
    };
    Change { at: release.changed_at(), by }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use object_store::{ObjectStoreExt as _, memory::InMemory};
    use uuid::Uuid;

    use super::*;
    use crate::journal::{Entry, Holder, history_tests::written, tests::record};

    fn run(user: &str, command: &str) -> Holder {
        let place = None;
        Holder { user: user.to_owned(), host: "there".to_owned(), place, ..Holder::current(Uuid::now_v7(), command) }
    }

    async fn enter(journal: &Journal, user: &str, release: &mut Release, phase: Phase) {
        let lock = journal.lock(run(user, "resume")).await.unwrap();
        journal.append(&lock, release, Entry::Phase { phase }).await.unwrap();
        lock.release().await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn each_environment_is_listed_with_who_changed_it_last() {
        let objects = Arc::new(InMemory::new());
        let production = written(Arc::clone(&objects) as _).await;
        let staging = production.sibling("staging");
        let lock = staging.lock(run("ann", "deploy")).await.unwrap();
        let mut first = staging.create(&lock, record(1)).await.unwrap();
        staging.append(&lock, &mut first, Entry::Phase { phase: Phase::Done }).await.unwrap();
        let all = production.overview().await.unwrap();
        assert_eq!(all.iter().map(|one| one.environment.as_str()).collect::<Vec<_>>(), ["production", "staging"]);
        assert_eq!(all[0].current, Some(ReleaseId(2)));
        assert_eq!(all[0].unfinished, Some((ReleaseId(3), Phase::Switching)));
        assert!(all[0].lock.is_none() && all[0].problem.is_none());
        assert_eq!((all[1].current, all[1].unfinished), (Some(ReleaseId(1)), None));
        assert_eq!(all[1].lock.as_ref().unwrap().holder.user, "ann");
        let by = async || production.overview().await.unwrap()[1].changed.clone().unwrap().by;
        assert_eq!(by().await.unwrap(), "ann@there", "the run that holds the lock wrote the last entry");
        lock.release().await.unwrap();
        // One that only takes the lock changes no release: the release's author is known from its record.
        staging.lock(run("bob", "gc")).await.unwrap().release().await.unwrap();
        assert_eq!(by().await.unwrap(), "me@here");
        // A destroy changes an earlier release, and is the last change all the same.
        enter(&staging, "cy", &mut first, Phase::Destroyed).await;
        assert_eq!(by().await.unwrap(), "cy@there");
        staging.lock(run("bob", "gc")).await.unwrap().release().await.unwrap();
        assert_eq!(by().await, None, "nobody knows the run that destroyed it any more");
        assert_eq!(production.overview().await.unwrap()[1].current, None);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_damaged_in_one_does_not_hide_the_others() {
        let objects = Arc::new(InMemory::new());
        let production = written(Arc::clone(&objects) as _).await;
        let staging = production.sibling("staging");
        let lock = staging.lock(run("ann", "deploy")).await.unwrap();
        staging.create(&lock, record(1)).await.unwrap();
        for damaged in ["production/releases/000002/release.json", "production/lock/000000000001.json"] {
            objects.put(&damaged.into(), "{".into()).await.unwrap();
        }
        let all = production.overview().await.unwrap();
        let problem = all[0].problem.as_ref().unwrap();
        assert!(problem.contains("000000000001.json` in the journal is damaged"), "{problem}");
        assert!(problem.contains("000002/release.json` in the journal is damaged"), "{problem}");
        assert_eq!((all[0].current, &all[0].changed), (None, &None));
        let (id, phase) = all[1].unfinished.unwrap();
        assert_eq!((id, phase), (ReleaseId(1), Phase::Planned));
        assert!(all[1].lock.is_some() && all[1].problem.is_none());
    }
}
