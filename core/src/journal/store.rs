//! Objects by URL.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path as FilePath, PathBuf},
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use futures::TryStreamExt;
use object_store::{
    ObjectStore, ObjectStoreExt, PutMode, PutOptions, UpdateVersion, local::LocalFileSystem, path::Path,
};
use serde::{Serialize, de::DeserializeOwned};

use tokio::{sync::OnceCell, time::sleep};
use uuid::Uuid;

use super::{
    JournalError,
    buckets::{BucketStore, Env},
    folder,
    mark::{self, Mark},
};
use crate::manifest::{JournalSection, JournalUrl};

/// The format of all objects that this Remint writes. It reads those of earlier ones, too.
pub(super) const FORMAT: u32 = 2;

/// The most that an object may have, in bytes; the largest that Remint writes has a few hundred kilobytes.
const MAX_OBJECT: u64 = 4 * 1024 * 1024;

/// Where objects are kept. Clones share everything.
#[derive(Debug, Clone)]
pub(super) struct Store {
    objects: Objects,
    /// The folder of a local store: its files are closed to other users.
    folder: Option<Arc<PathBuf>>,
    /// The kind of network file system that the folder is on, if it is on one.
    network: Option<&'static str>,
    /// What was ignored while reading, for the user to know.
    notes: Arc<Mutex<BTreeSet<String>>>,
    /// Which versions of objects this process has last read or written.
    seen: Arc<Mutex<BTreeMap<String, UpdateVersion>>>,
    /// Whether a move has left the journal here, seen before anything else is read or written; `None` for the run that moves it.
    here: Option<Arc<OnceCell<()>>>,
}

/// What holds the objects.
#[derive(Debug, Clone)]
enum Objects {
    #[cfg(test)]
    Given(Arc<dyn ObjectStore>),
    /// A folder, opened once it exists: a command that only reads does not create it.
    Folder(Arc<OnceLock<Arc<dyn ObjectStore>>>),
    /// A bucket. Whether it can be used is seen when it first is.
    Bucket(Arc<BucketStore>),
}

/// How often a create is repeated that was refused although nothing is there.
const CREATES: u32 = 10;
const CREATE_PAUSE: Duration = Duration::from_millis(100);

/// What is there in the place of what was to be written.
enum Found {
    Nothing,
    Ours,
    Others,
}

type Result<T> = std::result::Result<T, JournalError>;

impl Store {
    /// Opens the store of a URL. A `file:` path is relative to the manifest's folder.
    ///
    /// Anything that keeps nothing (`memory:`) is refused: it would forget what was created as soon as the command ends.
    pub(super) fn open(section: &JournalSection, base_dir: &FilePath) -> Result<Self> {
        let env =
            || std::env::vars_os().filter_map(|(name, value)| name.into_string().ok().zip(value.into_string().ok()));
        Self::open_with(section, base_dir, &env().collect())
    }

    /// The same with the variables that clouds' tools read.
    pub(super) fn open_with(section: &JournalSection, base_dir: &FilePath, env: &Env) -> Result<Self> {
        let refuse = |reason: String| JournalError::Url { url: section.url.clone(), reason };
        let bucket = match JournalUrl::parse(&section.url).map_err(|(reason, _)| refuse(reason))? {
            JournalUrl::Folder(path) => return Self::open_folder(&path, base_dir).map_err(refuse),
            JournalUrl::S3(bucket) => BucketStore::s3(section, &bucket, env)?,
            JournalUrl::Gcs(bucket) => BucketStore::gcs(section, &bucket, env)?,
        };
        Ok(Self::new(Objects::Bucket(Arc::new(bucket)), None))
    }

    fn open_folder(path: &str, base_dir: &FilePath) -> std::result::Result<Self, String> {
        let root = std::path::absolute(base_dir.join(path)).map_err(|error| error.to_string())?;
        if root.exists() && !root.is_dir() {
            return Err("it is not a folder".to_owned());
        }
        let network = root.ancestors().find(|above| above.exists()).and_then(folder::network);
        let store = Self { network, ..Self::new(Objects::Folder(Arc::default()), Some(root)) };
        if let Some((folder, what)) = store.weakness() {
            store.note(format!("the journal in {folder}: {what}"));
        }
        Ok(store)
    }

    fn new(objects: Objects, folder: Option<PathBuf>) -> Self {
        let folder = folder.map(Arc::new);
        Self { objects, folder, network: None, notes: Arc::default(), seen: Arc::default(), here: Some(Arc::default()) }
    }

    /// A store over given objects.
    #[cfg(test)]
    pub(super) fn over(objects: Arc<dyn ObjectStore>) -> Self {
        Self::new(Objects::Given(objects), None)
    }

    /// The same store for the run that moves a journal, wherever the journal is.
    pub(super) fn of_mover(self) -> Self {
        Self { here: None, ..self }
    }

    /// Where it is, as a URL: `file:` with the absolute path.
    pub(super) fn url(&self) -> String {
        match (&self.objects, &self.folder) {
            (Objects::Bucket(bucket), _) => bucket.url().to_owned(),
            (_, Some(folder)) => format!("file:{}", folder.display()),
            (_, None) => "memory:".to_owned(),
        }
    }

    /// What holds the objects; `None` while the folder does not exist.
    fn objects(&self) -> object_store::Result<Option<Arc<dyn ObjectStore>>> {
        let opened = match (&self.objects, &self.folder) {
            #[cfg(test)]
            (Objects::Given(objects), _) => return Ok(Some(Arc::clone(objects))),
            (Objects::Bucket(bucket), _) => return Ok(Some(bucket.objects())),
            (Objects::Folder(opened), Some(root)) if root.is_dir() => opened,
            (Objects::Folder(_), _) => return Ok(None),
        };
        if let Some(objects) = opened.get() {
            return Ok(Some(Arc::clone(objects)));
        }
        let root = self.folder.as_deref().map(PathBuf::as_path).unwrap_or(FilePath::new("."));
        // An intent must be on the disk before the call that it announces.
        let local: Arc<dyn ObjectStore> = Arc::new(LocalFileSystem::new_with_prefix(root)?.with_fsync(true));
        Ok(Some(Arc::clone(opened.get_or_init(|| local))))
    }

    /// Where a local journal is, and why the lock may not keep two hosts apart there.
    pub(super) fn weakness(&self) -> Option<(String, String)> {
        let (folder, kind) = (self.folder.as_ref()?, self.network?);
        let what = format!(
            "it is on a network file system ({kind}); where that answers from a cache, the lock does not keep two hosts apart"
        );
        Some((folder.display().to_string(), what))
    }

    /// The files that runs left behind which were killed while they wrote them.
    pub(super) fn unfinished(&self, prefix: &str) -> Result<Vec<String>> {
        let Some(root) = &self.folder else { return Ok(Vec::new()) };
        folder::unfinished(root, prefix).map_err(|error| JournalError::Store {
            operation: "list",
            path: prefix.to_owned(),
            source: error.into(),
        })
    }

    /// Keeps a sentence for the user.
    pub(super) fn note(&self, note: String) {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner).insert(note);
    }

    /// Notes that an object is not the journal's.
    pub(super) fn ignore(&self, name: &str) {
        self.note(format!("ignored `{name}` in the journal: Remint did not write it"));
    }

    /// What was ignored since this was last asked.
    pub(super) fn take_notes(&self) -> Vec<String> {
        let notes = std::mem::take(&mut *self.notes.lock().unwrap_or_else(PoisonError::into_inner));
        notes.into_iter().collect()
    }

    /// Makes sure that a bucket can be used, before anything of it is read.
    async fn reach(&self) -> Result<()> {
        match &self.objects {
            Objects::Bucket(bucket) => bucket.look().await,
            _ => Ok(()),
        }
    }

    /// Makes sure that the store can be used, and that its journal has not moved.
    ///
    /// # Errors
    ///
    /// [`JournalError::Moved`]; [`JournalError::Arriving`]; the store's.
    pub(super) async fn look(&self) -> Result<()> {
        self.reach().await?;
        let Some(here) = &self.here else { return Ok(()) };
        here.get_or_try_init(|| self.look_again()).await.map(|_| ())
    }

    /// Looks whether the journal has moved, also where this store has looked before.
    pub(super) async fn look_again(&self) -> Result<()> {
        self.mark().await?.and_then(|mark| mark.refusal()).map_or(Ok(()), Err)
    }

    /// What a move has left here.
    pub(super) async fn mark(&self) -> Result<Option<Mark>> {
        self.reach().await?;
        let found = self.fetch_now(mark::NAME).await?;
        self.remember(mark::NAME, found).map(|bytes| parse(mark::NAME, &bytes)).transpose()
    }

    /// Keeps the journal here, by a run that has just taken a lock: a run that was about to move it has lost that lock.
    ///
    /// # Errors
    ///
    /// [`JournalError::Moved`] when it was faster; the store's.
    pub(super) async fn stay(&self) -> Result<()> {
        loop {
            match self.mark().await? {
                Some(Mark::Leaving { id }) => {
                    if self.update(mark::NAME, &Mark::Cancelled { id }).await? {
                        return Ok(());
                    }
                }
                mark => return mark.and_then(|mark| mark.refusal()).map_or(Ok(()), Err),
            }
        }
    }

    /// Makes sure that a bucket keeps two writers apart, before anything of it is changed.
    async fn prove(&self) -> Result<()> {
        self.look().await?;
        match &self.objects {
            Objects::Bucket(bucket) => bucket.prove().await,
            _ => Ok(()),
        }
    }

    /// What an error of the store means.
    fn error(&self, operation: &'static str, path: &str, error: object_store::Error) -> JournalError {
        match &self.objects {
            Objects::Bucket(bucket) => bucket.explain(operation, path, error),
            _ => JournalError::Store { operation, path: path.to_owned(), source: Box::new(error) },
        }
    }

    /// Writes an object that must not be there yet; `false` when another one is.
    ///
    /// A store that repeats a request whose answer was lost says of our own object that it exists already. So what is there
    /// is compared: the same bytes are ours, as no two bodies are the same. S3 also refuses one of two requests that arrive at
    /// once, and the other one may fail: where nothing is there, it is tried again.
    pub(super) async fn create<T: Serialize>(&self, name: &str, body: &T) -> Result<bool> {
        self.create_copy(name, serialize(name, body)?).await
    }

    /// Writes an object's bytes; `false` when others are there.
    pub(super) async fn create_copy(&self, name: &str, bytes: Bytes) -> Result<bool> {
        self.prove().await?;
        for round in 1..=CREATES {
            match self.put(name, bytes.clone(), PutMode::Create).await {
                Ok(()) => return Ok(true),
                Err(object_store::Error::AlreadyExists { .. }) => {}
                Err(error) => return self.unless_done(name, &bytes, None, error).await,
            }
            match self.found(name, &bytes).await? {
                Found::Ours => return Ok(true),
                Found::Others => return Ok(false),
                Found::Nothing => sleep(CREATE_PAUSE * (round - 1)).await,
            }
        }
        let source = "the store says that it exists, and that it does not".into();
        Err(JournalError::Store { operation: "write", path: name.to_owned(), source })
    }

    /// Writes an object in the place of the one that this process has last read or written; `false` when another process has
    /// written it since, and then nothing is changed.
    ///
    /// Versions of S3 follow an object's bytes: one that became what it was before would pass for unchanged. So no two bodies
    /// are the same.
    pub(super) async fn update<T: Serialize>(&self, name: &str, body: &T) -> Result<bool> {
        self.prove().await?;
        let seen = self.seen().get(name).cloned();
        let mode = seen.clone().map_or(PutMode::Create, PutMode::Update);
        let bytes = serialize(name, body)?;
        match self.put(name, bytes.clone(), mode).await {
            Ok(()) => Ok(true),
            // One that is gone was deleted by another process.
            Err(
                object_store::Error::AlreadyExists { .. }
                | object_store::Error::Precondition { .. }
                | object_store::Error::NotFound { .. },
            ) => Ok(matches!(self.found(name, &bytes).await?, Found::Ours)),
            Err(error) => self.unless_done(name, &bytes, seen, error).await,
        }
    }

    /// What is there after a write whose condition was not met, as the store says. The reply to our own may have been lost, and
    /// the request repeated.
    async fn found(&self, name: &str, ours: &Bytes) -> Result<Found> {
        Ok(match self.fetch(name).await? {
            Some((found, version)) if found == ours => {
                self.seen().insert(name.to_owned(), version);
                Found::Ours
            }
            Some(_) => Found::Others,
            None => Found::Nothing,
        })
    }

    /// What became of a write that failed, where that can be seen; else its error. A conditional request is not repeated when
    /// the connection breaks while its reply is awaited.
    async fn unless_done(
        &self,
        name: &str,
        ours: &Bytes,
        expected: Option<UpdateVersion>,
        error: object_store::Error,
    ) -> Result<bool> {
        match self.fetch(name).await {
            Ok(Some((found, version))) if found == ours => {
                self.seen().insert(name.to_owned(), version);
                Ok(true)
            }
            // Its condition is not met, whether it has arrived or not.
            Ok(Some((_, version))) if expected.as_ref() != Some(&version) => Ok(false),
            _ => Err(self.error("write", name, error)),
        }
    }

    /// Writes an object, whatever was there.
    pub(super) async fn replace<T: Serialize>(&self, name: &str, body: &T) -> Result<()> {
        self.write(name, serialize(name, body)?).await
    }

    /// Writes an object's bytes, whatever was there.
    pub(super) async fn write(&self, name: &str, bytes: Bytes) -> Result<()> {
        self.prove().await?;
        self.put(name, bytes, PutMode::Overwrite).await.map_err(|error| self.error("write", name, error))
    }

    async fn put(&self, name: &str, bytes: Bytes, mode: PutMode) -> object_store::Result<()> {
        let file = self.folder.as_ref().map(|folder| folder.join(name));
        if let Some(parent) = file.as_ref().and_then(|file| file.parent()) {
            let failed =
                |error: std::io::Error| object_store::Error::Generic { store: "folder", source: Box::new(error) };
            folder::create(parent).map_err(failed)?;
        }
        let Some(objects) = self.objects()? else {
            let gone = std::io::Error::new(std::io::ErrorKind::NotFound, "the journal's folder is gone");
            return Err(object_store::Error::Generic { store: "folder", source: Box::new(gone) });
        };
        let path = Path::from(name);
        let (mode, held) = match (mode, &self.folder) {
            // A folder compares nothing by itself.
            (PutMode::Update(expected), Some(root)) => {
                let held = folder::hold(root).await;
                let found = objects.head(&path).await?;
                if found.e_tag != expected.e_tag {
                    let source = "another process has written it".into();
                    return Err(object_store::Error::Precondition { path: name.to_owned(), source });
                }
                (PutMode::Overwrite, held)
            }
            (mode, _) => (mode, None),
        };
        let put = objects.put_opts(&path, bytes.into(), PutOptions { mode, ..PutOptions::default() }).await?;
        drop(held);
        if let Some(file) = file {
            folder::close(&file);
        }
        self.seen().insert(name.to_owned(), put.into());
        Ok(())
    }

    fn seen(&self) -> MutexGuard<'_, BTreeMap<String, UpdateVersion>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads an object; `None` when it is not there.
    pub(super) async fn get<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>> {
        self.read(name).await?.map(|bytes| parse(name, &bytes)).transpose()
    }

    /// Reads an object's bytes; `None` when it is not there.
    pub(super) async fn read(&self, name: &str) -> Result<Option<Bytes>> {
        let found = self.fetch(name).await?;
        Ok(self.remember(name, found))
    }

    /// The bytes of what was read, of which the version is remembered.
    fn remember(&self, name: &str, found: Option<(Bytes, UpdateVersion)>) -> Option<Bytes> {
        match found {
            Some((bytes, version)) => {
                self.seen().insert(name.to_owned(), version);
                Some(bytes)
            }
            None => {
                self.seen().remove(name);
                None
            }
        }
    }

    /// An object's bytes and their version, without remembering that they were seen.
    async fn fetch(&self, name: &str) -> Result<Option<(Bytes, UpdateVersion)>> {
        self.look().await?;
        self.fetch_now(name).await
    }

    async fn fetch_now(&self, name: &str) -> Result<Option<(Bytes, UpdateVersion)>> {
        let failed = |error| self.error("read", name, error);
        let Some(objects) = self.objects().map_err(failed)? else { return Ok(None) };
        match objects.get(&Path::from(name)).await {
            Ok(found) if found.meta.size > MAX_OBJECT => {
                let what =
                    format!("it is larger than {} MiB, as no object of the journal is", MAX_OBJECT / 1024 / 1024);
                Err(JournalError::damaged(name, what))
            }
            Ok(found) => {
                let version = UpdateVersion { e_tag: found.meta.e_tag.clone(), version: found.meta.version.clone() };
                Ok(Some((found.bytes().await.map_err(failed)?, version)))
            }
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(failed(error)),
        }
    }

    /// The names below a prefix, in their order.
    pub(super) async fn list(&self, prefix: &str) -> Result<Vec<String>> {
        self.look().await?;
        if let Some(root) = self.folder.clone() {
            let (found, notes) = folder::list(root, prefix.to_owned()).await.map_err(|error| JournalError::Store {
                operation: "list",
                path: prefix.to_owned(),
                source: error.into(),
            })?;
            notes.into_iter().for_each(|note| self.note(note));
            return Ok(found);
        }
        let failed = |error| self.error("list", prefix, error);
        let Some(objects) = self.objects().map_err(failed)? else { return Ok(Vec::new()) };
        let found = objects.list(Some(&Path::from(prefix))).map_ok(|meta| meta.location.to_string());
        let mut names: Vec<String> = found.try_collect().await.map_err(failed)?;
        names.sort();
        Ok(names)
    }

    /// How long ago an object was written, by its store's clock; `None` when it is not there.
    pub(super) async fn age(&self, name: &str) -> Result<Option<Duration>> {
        self.look().await?;
        let failed = |error| self.error("read", name, error);
        let Some(objects) = self.objects().map_err(failed)? else { return Ok(None) };
        match objects.head(&Path::from(name)).await {
            Ok(meta) => {
                let age = std::time::SystemTime::now().duration_since(meta.last_modified.into());
                Ok(Some(age.unwrap_or_default()))
            }
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(failed(error)),
        }
    }

    /// Deletes an object, if it is there.
    pub(super) async fn delete(&self, name: &str) -> Result<()> {
        self.prove().await?;
        let failed = |error| self.error("delete", name, error);
        let Some(objects) = self.objects().map_err(failed)? else { return Ok(()) };
        match objects.delete(&Path::from(name)).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => {
                self.seen().remove(name);
                Ok(())
            }
            Err(error) => Err(failed(error)),
        }
    }
}

/// The bytes of an object, which are never those of another one.
fn serialize<T: Serialize>(name: &str, body: &T) -> Result<Bytes> {
    let failed = |error: serde_json::Error| JournalError::Store {
        operation: "write",
        path: name.to_owned(),
        source: Box::new(error),
    };
    let mut value = serde_json::to_value(body).map_err(failed)?;
    if let Some(object) = value.as_object_mut() {
        object.insert("format".to_owned(), FORMAT.into());
        object.insert("nonce".to_owned(), Uuid::new_v4().to_string().into());
    }
    let mut bytes = serde_json::to_vec_pretty(&value).map_err(failed)?;
    bytes.push(b'\n');
    Ok(bytes.into())
}

pub(crate) fn parse<T: DeserializeOwned>(name: &str, bytes: &[u8]) -> Result<T> {
    #[derive(serde::Deserialize)]
    struct Format {
        format: u32,
    }
    let damaged = |error: serde_json::Error| {
        let what = match error.classify() {
            _ if bytes.is_empty() => "it is empty".to_owned(),
            serde_json::error::Category::Eof => format!("it breaks off after {} bytes", bytes.len()),
            // What it quotes of a wrong value is the file's content, and where the journal is, is the manifest's choice.
            serde_json::error::Category::Data if !error.to_string().starts_with("missing field") => {
                format!("line {}, column {} is not what a journal has there", error.line(), error.column())
            }
            _ => error.to_string(),
        };
        JournalError::damaged(name, what)
    };
    // The format first: the rest of a newer one may not parse at all.
    let Format { format } = serde_json::from_slice(bytes).map_err(|error| match error.classify() {
        serde_json::error::Category::Data => JournalError::damaged(name, "it has no format number"),
        _ => damaged(error),
    })?;
    if format > FORMAT {
        return Err(JournalError::TooNew { path: name.to_owned(), found: format, known: FORMAT });
    }
    serde_json::from_slice(bytes).map_err(damaged)
}
