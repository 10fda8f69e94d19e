//! Files of a recipe on their way to a machine. `docs/files.md` has the rules; [`super::place`] is what they are in code.

use std::path::{Path, PathBuf};

use super::place::{self, Machine, PlaceError};
use crate::{
    manifest::FileProvisioner,
    recipe::Destination,
    remote::{Copied, Owner, RemoteError, Session, Upload, UploadKind},
    spawn,
    tree::{self, Source, TreeError},
};

/// Why files were not copied.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// They cannot be listed.
    #[error(transparent)]
    Tree(#[from] TreeError),
    /// They do not fit what the machine has.
    #[error(transparent)]
    Place(#[from] PlaceError),
    /// The machine, or the way to it.
    #[error(transparent)]
    Remote(#[from] RemoteError),
}

/// How far a copy is, and how far it goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// What was read on this side so far.
    pub done: Copied,
    /// What the whole copy holds, counted before it begins.
    pub all: Copied,
}

/// Does what a `file` step says.
///
/// # Errors
///
/// [`CopyError`]. The machine may have some of the files then.
pub async fn copy_step(
    session: &dyn Session,
    base_dir: &Path,
    step: &FileProvisioner,
    on_progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<Copied, CopyError> {
    let (base_dir, own) = (base_dir.to_owned(), step.clone());
    let source = spawn::blocking(move || tree::read(&base_dir, own.tree())).await?;
    copy(session, source, &step.destination, step.owner.as_deref(), on_progress).await
}

/// Copies to a `destination` as manifests have it.
pub(super) async fn copy(
    session: &dyn Session,
    source: Source,
    destination: &str,
    owner: Option<&str>,
    on_progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<Copied, CopyError> {
    let destination = Destination::new(destination);
    let owner = match owner {
        Some(owner) => session.owner(owner).await?,
        None => Owner::default(),
    };
    let mut machine = Machine::default();
    // Each answer says what to ask next: nothing of what is in a folder that is missing.
    learn(session, &mut machine, destination.way()).await?;
    let folders = place::folders(&destination, &source, &machine);
    learn(session, &mut machine, folders).await?;
    let files = place::files(&destination, &source, &machine);
    learn(session, &mut machine, files).await?;
    let items = place::plan(&destination, source, owner, &machine)?;
    if items.is_empty() {
        return Ok(Copied::default());
    }
    let all = Copied { items: items.len() as u64, bytes: items.iter().map(size).sum() };
    let mut tell = |done: Copied| on_progress(Progress { done, all });
    Ok(session.unpack(items, &mut tell).await?)
}

async fn learn(session: &dyn Session, machine: &mut Machine, paths: Vec<PathBuf>) -> Result<(), RemoteError> {
    let found = session.look(&paths).await?;
    machine.learn(paths, found);
    Ok(())
}

fn size(item: &Upload) -> u64 {
    if let UploadKind::File { size, .. } = item.kind { size } else { 0 }
}
