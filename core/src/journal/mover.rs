//! Moving the journal to another place: all environments, copied under the locks of all of them.
//!
//! Whatever happens in between, one place has the whole journal, and no other place accepts a write:
//!
//! 1. All locks of the old place are taken, and the old place is marked as *leaving*. A run that takes a lock after this one has
//!    lost it cancels the move ([`mark`]).
//! 2. The new place is marked as *arriving*: commands refuse it. A run that was killed there is continued from here.
//! 3. All objects are copied byte for byte, and read back. Locks are written as given back, with the runs that they know.
//! 4. *Leaving* becomes *moved*, by a compare-and-swap. From then on, commands refuse the old place.
//! 5. *Arriving* becomes *arrived*. A run that is killed before this is finished by the same command.
//!
//! Deleting the mark of the new place before step 4 would save the repetition after step 5, and would leave two journals in
//! use when the run is killed in between.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    time::Duration,
};

use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use serde::Serialize;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{
    Holder, Journal, JournalError, LockGuard, LockRecord, ServiceRecord, buckets, ci,
    layout::{self, Object, SERVICE},
    lock_record,
    mark::{self, Mark, Pointer},
    store::{Store, parse},
};
use crate::{
    clock,
    events::Events,
    manifest::{JournalSection, journal_problem},
};

/// How many objects are copied at once.
const AT_ONCE: usize = 8;

type Result<T> = std::result::Result<T, JournalError>;

/// A journal that was moved.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Moved {
    /// What `[journal]` in the manifest must say from now on.
    pub journal: JournalSection,
    /// The environments that were moved, in the order of their names.
    pub environments: Vec<String>,
}

impl Journal {
    /// Moves the journal, with all its environments, to another place, which must be empty of a journal, or have what an interrupted
    /// move of this journal has left. Nothing is deleted here, and nothing is accepted here any more.
    ///
    /// A folder is relative to `base_dir`. Repeating an interrupted move continues it; repeating a finished one changes nothing.
    ///
    /// # Errors
    ///
    /// [`JournalError::NotMoved`], [`JournalError::Url`] and [`JournalError::Unusable`] when the place cannot be used;
    /// [`JournalError::Held`] when somebody holds the lock of an environment for longer than `wait`; [`JournalError::Moved`] when
    /// the journal is at a third place already; [`JournalError::Damaged`]; [`JournalError::MoveInterrupted`]; the stores'.
    pub async fn move_to(
        &self,
        to: &JournalSection,
        base_dir: &Path,
        holder: Holder,
        wait: Option<Duration>,
        events: &Events,
        cancel: &CancellationToken,
    ) -> Result<Moved> {
        if let Some((reason, hint)) = journal_problem(to) {
            return Err(JournalError::NotMoved { to: to.url.clone(), reason, hint });
        }
        let new = Store::open(to, base_dir)?;
        // The old place may be used from other folders than this one.
        let url = if to.url.starts_with("file:") { new.url() } else { to.url.clone() };
        self.move_into(new, JournalSection { url, ..to.clone() }, holder, wait, events, cancel).await
    }

    pub(super) async fn move_into(
        &self,
        new: Store,
        to: JournalSection,
        holder: Holder,
        wait: Option<Duration>,
        events: &Events,
        cancel: &CancellationToken,
    ) -> Result<Moved> {
        let mut old = self.clone();
        old.store = old.store.of_mover();
        let mover = Mover { old, new: new.of_mover(), to, id: Uuid::now_v7(), holder, wait, events, cancel };
        match mover.old.store.mark().await? {
            Some(Mark::Moved(pointer)) if pointer.to == mover.to => mover.finish(pointer.id).await?,
            mark => match mark.and_then(|mark| mark.refusal()) {
                Some(refusal) => return Err(refusal),
                None => {
                    mover.transfer().await?;
                    mover.finish(mover.id).await?;
                }
            },
        }
        let environments = journal_names(&mover.new).await?.iter().filter_map(|name| environment(name)).collect();
        Ok(Moved { journal: mover.to, environments: unique(environments) })
    }
}

/// The environment of an object.
fn environment(name: &str) -> Option<String> {
    let (environment, _) = name.split_once('/')?;
    Object::parse(environment, name).map(|_| environment.to_owned())
}

fn is_journals(name: &str) -> bool {
    name == SERVICE || environment(name).is_some()
}

fn unique(mut sorted: Vec<String>) -> Vec<String> {
    sorted.dedup();
    sorted
}

fn is_lock(name: &str) -> bool {
    let environment = name.split_once('/').map_or("", |(environment, _)| environment);
    matches!(Object::parse(environment, name), Some(Object::Lock(_)))
}

/// The names of a store that are a journal's.
async fn journal_names(store: &Store) -> Result<Vec<String>> {
    let mut names = store.list("").await?;
    names.retain(|name| is_journals(name));
    Ok(names)
}

struct Mover<'a> {
    old: Journal,
    new: Store,
    /// What the manifest must say.
    to: JournalSection,
    /// Of this move.
    id: Uuid,
    holder: Holder,
    wait: Option<Duration>,
    events: &'a Events,
    cancel: &'a CancellationToken,
}

#[derive(Debug, Clone, Copy)]
enum Pass {
    /// Writes the object at the new place.
    Copy,
    /// Reads it there, and compares it with the one at the old place.
    Compare,
}

/// The lock of each environment.
type Locks = BTreeMap<String, LockGuard>;

impl Mover<'_> {
    /// Everything up to the pointer.
    async fn transfer(&self) -> Result<()> {
        let Some(service) = self.old.service().await? else {
            return Err(self.refuse(
                "there is no journal here with a service's id",
                "a journal gets its id with the first command that changes something, such as `remint gc`",
            ));
        };
        let mut locks = Locks::new();
        let done = match self.lock_all(&mut locks).await {
            Ok(()) => self.transfer_locked(&service, &locks).await,
            Err(error) => Err(error),
        };
        // Those of a place that the journal has left are nobody's any more.
        if done.is_err() {
            for lock in locks.into_values() {
                if let Err(error) = lock.release_unsettled().await {
                    self.events.warn(format!("cannot release a lock, which expires by itself: {error}"));
                }
            }
        }
        done
    }

    /// Takes the lock of every environment, and marks the journal as leaving while all of them are held.
    async fn lock_all(&self, locks: &mut Locks) -> Result<()> {
        let started = Instant::now();
        loop {
            let names = journal_names(&self.old.store).await?;
            let missing: BTreeSet<String> =
                names.iter().filter_map(|name| environment(name)).filter(|name| !locks.contains_key(name)).collect();
            if missing.is_empty() && self.is_leaving().await? {
                return Ok(());
            }
            for environment in missing {
                let wait = self.wait.map(|wait| wait.saturating_sub(started.elapsed()));
                let journal = self.old.sibling(&environment);
                let lock = journal.lock_within(self.holder.clone(), wait, self.events, self.cancel).await?;
                locks.insert(environment, lock);
            }
            // Once it is marked, a run that begins a further environment cancels the move, or is in the next list.
            self.old.store.mark().await?;
            self.old.store.update(mark::NAME, &Mark::Leaving { id: self.id }).await?;
        }
    }

    async fn is_leaving(&self) -> Result<bool> {
        Ok(self.old.store.mark().await? == Some(Mark::Leaving { id: self.id }))
    }

    async fn transfer_locked(&self, service: &ServiceRecord, locks: &Locks) -> Result<()> {
        self.check_apart(locks).await?;
        let found = self.enter(service).await?;
        let names = self.names_to_copy().await?;
        for name in found.iter().filter(|name| !is_lock(name)) {
            if !names.contains(name) {
                return Err(self.occupied(format!("`{name}` is there, and not in this journal")));
            }
        }
        self.events.info(format!("copying {} objects to {}", names.len(), self.to.url));
        self.each(Pass::Copy, &names, locks).await?;
        for (environment, lock) in locks {
            self.copy_lock(environment, lock).await?;
        }
        self.verify(&names, locks).await?;
        self.commit(locks).await
    }

    /// Refuses a place that is the journal's own, by whatever name, or inside it.
    async fn check_apart(&self, locks: &Locks) -> Result<()> {
        const HINT: &str = "give `--to` another place, which has no journal";
        let (old, new) = (self.old.store.url(), self.new.url());
        if new.starts_with(&format!("{}/", old.trim_end_matches('/'))) {
            return Err(self.refuse("it is inside the place where the journal is", HINT));
        }
        for (environment, lock) in locks {
            let found: Option<LockRecord> = self.new.get(&layout::lock(environment, lock.token())).await?;
            if found.is_some_and(|found| found.holder.run == self.holder.run) {
                return Err(self.refuse("the journal is there already", HINT));
            }
        }
        Ok(())
    }

    /// Marks the new place as arriving. Returns what an interrupted move has left there.
    async fn enter(&self, service: &ServiceRecord) -> Result<Vec<String>> {
        let found = journal_names(&self.new).await?;
        match self.new.mark().await? {
            Some(Mark::Arriving { service: of, .. }) if of == service.id => {}
            Some(Mark::Arriving { from, .. }) => {
                return Err(self.occupied(format!("another journal is being moved there, from `{}`", ci::line(&from))));
            }
            Some(Mark::Moved(_)) => return Err(self.occupied("a journal was there, which has moved away".to_owned())),
            _ if !found.is_empty() => return Err(self.occupied("a journal is there already".to_owned())),
            _ => {}
        }
        let (id, from) = (self.id, self.old.store.url());
        let mark = Mark::Arriving { id, service: service.id.clone(), from };
        if !self.new.update(mark::NAME, &mark).await? {
            return Err(self.occupied("another run has just begun to use it".to_owned()));
        }
        Ok(found)
    }

    /// The names of all objects but locks. What is not Remint's stays, with a note.
    async fn names_to_copy(&self) -> Result<BTreeSet<String>> {
        let mut names = BTreeSet::new();
        for name in self.old.store.list("").await? {
            if is_journals(&name) {
                names.insert(name);
            } else if !matches!(&*name, mark::NAME | buckets::PROOF) {
                self.old.store.ignore(&name);
            }
        }
        names.retain(|name| !is_lock(name));
        Ok(names)
    }

    /// Copies or compares all of these, until a lock is lost or the user asks to stop.
    async fn each(&self, pass: Pass, names: &BTreeSet<String>, locks: &Locks) -> Result<()> {
        let all: Vec<_> = names.iter().map(|name| self.one(pass, name, locks)).collect();
        stream::iter(all).buffer_unordered(AT_ONCE).try_collect().await
    }

    async fn one(&self, pass: Pass, name: &str, locks: &Locks) -> Result<()> {
        if self.cancel.is_cancelled() {
            return Err(JournalError::MoveInterrupted);
        }
        locks.values().try_for_each(LockGuard::check_here)?;
        let bytes = self.source(name).await?;
        match pass {
            Pass::Copy if self.new.create_copy(name, bytes.clone()).await? => Ok(()),
            Pass::Copy => Err(self.occupied(format!("`{name}` is there, and is not as it is in this journal"))),
            Pass::Compare if self.new.read(name).await?.as_ref() == Some(&bytes) => Ok(()),
            Pass::Compare => Err(self.differs(name)),
        }
    }

    /// The bytes of an object, which this Remint can read: of a newer one, there may be more than it knows of.
    async fn source(&self, name: &str) -> Result<Bytes> {
        let Some(bytes) = self.old.store.read(name).await? else {
            return Err(JournalError::damaged(name, "it was listed, and is gone"));
        };
        let environment = name.split_once('/').map_or("", |(environment, _)| environment);
        // A copy that `remint journal repair` kept is of what could not be read.
        if Object::parse(environment, name) != Some(Object::Copy) {
            parse::<serde_json::Value>(name, &bytes)?;
        }
        Ok(bytes)
    }

    /// Writes the lock of an environment as one that was given back, so that it can be taken at once. Runs that held it, and
    /// whether one of them has left anything behind, stay known.
    async fn copy_lock(&self, environment: &str, lock: &LockGuard) -> Result<()> {
        let record = Self::given_back(lock);
        let known = record.known_runs();
        let former = lock_record::numbers(&self.new, environment).await?;
        for number in &former {
            let found: Option<LockRecord> = self.new.get(&layout::lock(environment, *number)).await?;
            if found.is_some_and(|found| !found.released || !known.has(Some(&found.holder.run.to_string()))) {
                return Err(self.occupied(format!("another run has taken the lock of {environment} there")));
            }
        }
        if !self.new.create(&layout::lock(environment, record.token), &record).await? {
            return Err(self.occupied(format!("another run has taken the lock of {environment} there")));
        }
        for number in former {
            self.new.delete(&layout::lock(environment, number)).await?;
        }
        Ok(())
    }

    fn given_back(lock: &LockGuard) -> LockRecord {
        LockRecord { released: true, ..lock.record().clone() }
    }

    /// Reads all of it back, and compares.
    async fn verify(&self, names: &BTreeSet<String>, locks: &Locks) -> Result<()> {
        let locked = locks.iter().map(|(environment, lock)| layout::lock(environment, lock.token()));
        let expected: BTreeSet<String> = names.iter().cloned().chain(locked).collect();
        let found: BTreeSet<String> = journal_names(&self.new).await?.into_iter().collect();
        if let Some(name) = expected.symmetric_difference(&found).next() {
            return Err(self.differs(name));
        }
        if let Some(name) = names.symmetric_difference(&self.names_to_copy().await?).next() {
            return Err(self.raced(&format!("`{name}` was written while the journal was copied")));
        }
        for (environment, lock) in locks {
            let name = layout::lock(environment, lock.token());
            if self.new.get::<LockRecord>(&name).await?.as_ref() != Some(&Self::given_back(lock)) {
                return Err(self.differs(&name));
            }
        }
        self.each(Pass::Compare, names, locks).await
    }

    /// Leaves the pointer, unless another run has taken any of the locks since they were all held.
    async fn commit(&self, locks: &Locks) -> Result<()> {
        for lock in locks.values() {
            lock.check().await?;
        }
        let (to, by) = (self.to.clone(), self.holder.author());
        let pointer = Mark::Moved(Pointer { id: self.id, to, at: clock::wall(), by });
        // The mark is read right before, because the update is compared with what was read last.
        if self.is_leaving().await? && self.old.store.update(mark::NAME, &pointer).await? {
            return Ok(());
        }
        Err(self.raced("another run has taken a lock while the journal was copied"))
    }

    /// Opens the new place.
    async fn finish(&self, id: Uuid) -> Result<()> {
        match self.new.mark().await? {
            Some(Mark::Arriving { id: of, from, .. }) if of == id => {
                // Where this is not written, another run of this move has.
                self.new.update(mark::NAME, &Mark::Arrived { id, from }).await.map(drop)
            }
            Some(Mark::Arriving { .. }) | None => {
                Err(self.occupied("it is not as the move of this journal has left it".to_owned()))
            }
            Some(_) => Ok(()),
        }
    }

    fn refuse(&self, reason: &str, hint: &'static str) -> JournalError {
        JournalError::NotMoved { to: self.to.url.clone(), reason: reason.to_owned(), hint }
    }

    fn occupied(&self, reason: String) -> JournalError {
        self.refuse(
            &reason,
            "give `--to` a place that has no journal; nothing was changed in the journal of this manifest",
        )
    }

    fn differs(&self, name: &str) -> JournalError {
        self.refuse(&format!("`{name}` there is not what was written"), "repeat the move, to an empty place")
    }

    fn raced(&self, reason: &str) -> JournalError {
        self.refuse(reason, "repeat the move; until then, the journal is where it was")
    }
}
