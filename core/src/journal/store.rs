//! Objects by URL.

use std::{
    path::{Path as FilePath, PathBuf},
    sync::Arc,
};

use futures::TryStreamExt;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutOptions, local::LocalFileSystem, path::Path};
use serde::{Serialize, de::DeserializeOwned};

use super::JournalError;

/// The format of all objects that this Remint writes.
pub(super) const FORMAT: u32 = 1;

/// Where objects are kept.
#[derive(Debug, Clone)]
pub(super) struct Store {
    objects: Arc<dyn ObjectStore>,
    prefix: Path,
    /// The folder of a local store: its files are closed to other users.
    folder: Option<PathBuf>,
}

type Result<T> = std::result::Result<T, JournalError>;

impl Store {
    /// Opens the store of a URL. A `file:` path is relative to the manifest's folder.
    pub(super) fn open(url: &str, base_dir: &FilePath) -> Result<Self> {
        let refuse = |reason: String| JournalError::Url { url: url.to_owned(), reason };
        if let Some(path) = url.strip_prefix("file:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            let folder = base_dir.join(path);
            make_folder(&folder).map_err(|error| refuse(error.to_string()))?;
            let folder = folder.canonicalize().map_err(|error| refuse(error.to_string()))?;
            let local = LocalFileSystem::new_with_prefix(&folder).map_err(|error| refuse(error.to_string()))?;
            // An intent must be on the disk before the call that it announces.
            let objects = Arc::new(local.with_fsync(true));
            return Ok(Self { objects, prefix: Path::default(), folder: Some(folder) });
        }
        let parsed = url::Url::parse(url).map_err(|error| refuse(error.to_string()))?;
        let (objects, prefix) = object_store::parse_url(&parsed).map_err(|error| refuse(error.to_string()))?;
        Ok(Self { objects: Arc::from(objects), prefix, folder: None })
    }

    /// A store over given objects.
    #[cfg(test)]
    pub(super) fn over(objects: Arc<dyn ObjectStore>) -> Self {
        Self { objects, prefix: Path::default(), folder: None }
    }

    fn path(&self, name: &str) -> Path {
        name.split('/').filter(|part| !part.is_empty()).fold(self.prefix.clone(), |path, part| path.join(part))
    }

    /// Writes an object that must not be there yet; `false` when it is.
    pub(super) async fn create<T: Serialize>(&self, name: &str, body: &T) -> Result<bool> {
        self.put(name, body, PutMode::Create).await
    }

    /// Writes an object, whatever was there.
    pub(super) async fn replace<T: Serialize>(&self, name: &str, body: &T) -> Result<()> {
        self.put(name, body, PutMode::Overwrite).await.map(|_| ())
    }

    async fn put<T: Serialize>(&self, name: &str, body: &T, mode: PutMode) -> Result<bool> {
        let damaged = |source| JournalError::Damaged { path: name.to_owned(), source };
        let mut value = serde_json::to_value(body).map_err(damaged)?;
        if let Some(object) = value.as_object_mut() {
            object.insert("format".to_owned(), FORMAT.into());
        }
        let mut bytes = serde_json::to_vec_pretty(&value).map_err(damaged)?;
        bytes.push(b'\n');
        let options = PutOptions { mode, ..PutOptions::default() };
        match self.objects.put_opts(&self.path(name), bytes.into(), options).await {
            Ok(_) => {}
            Err(object_store::Error::AlreadyExists { .. }) => return Ok(false),
            Err(error) => return Err(store_error("write", name, error)),
        }
        if let Some(folder) = &self.folder {
            close_to_others(&folder.join(name));
        }
        Ok(true)
    }

    /// Reads an object; `None` when it is not there.
    pub(super) async fn get<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>> {
        let bytes = match self.objects.get(&self.path(name)).await {
            Ok(found) => found.bytes().await.map_err(|error| store_error("read", name, error))?,
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(store_error("read", name, error)),
        };
        parse(name, &bytes).map(Some)
    }

    /// The names below a prefix, in their order.
    pub(super) async fn list(&self, prefix: &str) -> Result<Vec<String>> {
        let path = self.path(prefix);
        let found: Vec<_> =
            self.objects.list(Some(&path)).try_collect().await.map_err(|error| store_error("list", prefix, error))?;
        let strip = |location: &Path| -> Option<String> {
            let rest: Vec<_> = location.prefix_match(&self.prefix)?.map(|part| part.as_ref().to_owned()).collect();
            Some(rest.join("/"))
        };
        let mut names: Vec<String> = found.iter().filter_map(|meta| strip(&meta.location)).collect();
        names.sort();
        Ok(names)
    }

    /// Deletes an object, if it is there.
    pub(super) async fn delete(&self, name: &str) -> Result<()> {
        match self.objects.delete(&self.path(name)).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(store_error("delete", name, error)),
        }
    }
}

fn parse<T: DeserializeOwned>(name: &str, bytes: &[u8]) -> Result<T> {
    #[derive(serde::Deserialize)]
    struct Format {
        format: u32,
    }
    let damaged = |source| JournalError::Damaged { path: name.to_owned(), source };
    // The format first: the rest of a newer one may not parse at all.
    let Format { format } = serde_json::from_slice(bytes).map_err(damaged)?;
    if format > FORMAT {
        return Err(JournalError::TooNew { path: name.to_owned(), found: format, known: FORMAT });
    }
    serde_json::from_slice(bytes).map_err(damaged)
}

fn store_error(operation: &'static str, path: &str, source: object_store::Error) -> JournalError {
    JournalError::Store { operation, path: path.to_owned(), source: Box::new(source) }
}

#[cfg(unix)]
fn make_folder(folder: &FilePath) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

#[cfg(not(unix))]
fn make_folder(folder: &FilePath) -> std::io::Result<()> {
    std::fs::create_dir_all(folder)
}

/// The folder is closed already; this is for a folder that the user opened.
fn close_to_others(file: &FilePath) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        if let Err(error) = std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o600)) {
            tracing::debug!(%error, file = %file.display(), "cannot close a journal file to others");
        }
    }
    #[cfg(not(unix))]
    let _ = file;
}
