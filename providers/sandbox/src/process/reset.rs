//! Deleting everything in a sandbox.

use std::{fs, io::ErrorKind};

use super::{Folder, Result, SandboxError, Settings, control, machines};

/// Stops a sandbox and deletes everything in it: machines, images that were captured, state, token. Base images, which all
/// sandboxes share, are kept. Returns whether there was one.
///
/// # Errors
///
/// `Stop`; those of destroying machines, of which those that could not be are kept, with everything else.
pub async fn reset(name: &str) -> Result<bool> {
    let folder = Folder::of(name)?;
    if !folder.path().is_dir() {
        return Ok(false);
    }
    let starting = {
        let folder = folder.clone();
        tokio::task::spawn_blocking(move || folder.lock("start.lock")).await
    };
    let _starting = starting.map_err(|_| SandboxError::Busy(name.to_owned()))??;
    control::end(&folder).await?;
    let Some(_lock) = folder.try_lock("lock")? else { return Err(SandboxError::Busy(name.to_owned())) };
    // Settings that cannot be read are no reason to keep what they are about: then only what has a process is at stake.
    let settings = Settings::read(&folder).ok().flatten();
    if let Some(settings) = settings.filter(|had| folder.file("machines").join(had.kind.name()).is_dir()) {
        let hypervisor = machines::open(&folder, &settings).await?;
        let failed = |error: crate::machine::MachineError| SandboxError::Machines(error.to_string());
        for id in hypervisor.machines().await.map_err(failed)? {
            hypervisor.destroy(id).await.map_err(failed)?;
        }
    }
    match fs::remove_dir_all(folder.path()) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(SandboxError::file("remove", folder.path())(error)),
        _ => Ok(true),
    }
}
