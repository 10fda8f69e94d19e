//! Taking a disk image that someone else made.

use std::{fs, path::PathBuf};

use tokio::process::Command;

use super::{
    Progress,
    disk::{describe, info, sha256},
    error::{ImageError, Result},
    layout::{DISK, Staging, check_name, write_manifest},
    manifest::{Boot, Manifest},
    tool::run,
};

/// The file that [`import`] copies into the store, and how it is checked.
#[derive(Debug, Clone)]
pub struct ImportOptions {
    /// The slug under which instances launch from it.
    pub name: String,
    /// The qcow2 or raw file; it is copied.
    pub file: PathBuf,
    /// What SHA-256 of the file must be, in hexadecimal.
    pub sha256: String,
}

/// Imports a disk that has its own boot loader, cloud-init and an SSH server, and a driver for virtio disks.
///
/// - *Behaviour*: the file is checked before anything else is done with it. An image of that name is replaced.
/// - *Errors*: another checksum than the given one; a file that is neither qcow2 nor raw, or that rests on another one.
pub async fn import(dir: &std::path::Path, options: &ImportOptions, progress: Progress<'_>) -> Result<Manifest> {
    let ImportOptions { name, file, sha256: expected } = options;
    check_name(name)?;
    let failed = |message: String| ImageError::new("import", name, message);
    let unusable = |error: std::io::Error| failed(format!("{}: {error}", file.display()));

    let staging = Staging::new(dir).map_err(unusable)?;
    let folder = staging.folder();
    // A copy is checked, not the original: nobody else can change it between the check and its use.
    progress(&format!("copying {}", file.display()));
    let copy = folder.join("original");
    tokio::fs::copy(file, &copy).await.map_err(unusable)?;
    let found = sha256(copy.clone()).await.map_err(unusable)?;
    if !found.eq_ignore_ascii_case(expected.trim()) {
        return Err(failed(format!("{} has SHA-256 {found}, expected {}", file.display(), expected.trim())));
    }
    let about = info(&copy).await.map_err(failed)?;
    if !about.is_self_contained() {
        return Err(failed(format!("{} rests on another file: flatten it with qemu-img convert", file.display())));
    }
    match about.format.as_str() {
        "qcow2" => fs::rename(&copy, folder.join(DISK)).map_err(unusable)?,
        "raw" => {
            progress("converting to qcow2");
            let mut command = Command::new("qemu-img");
            command.args(["convert", "-f", "raw", "-O", "qcow2"]).arg(&copy).arg(folder.join(DISK));
            run(command, progress).await.map_err(failed)?;
            fs::remove_file(&copy).map_err(unusable)?;
        }
        other => return Err(failed(format!("{} is {other}, not qcow2", file.display()))),
    }
    let manifest = describe(&folder, name, format!("imported, SHA-256 {found}"), Boot::Firmware, progress).await?;
    write_manifest(&folder, &manifest).map_err(unusable)?;
    staging.publish(name).map_err(unusable)?;
    progress(&format!("image {name} is ready"));
    Ok(manifest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base_image::{list, open};

    #[tokio::test]
    async fn a_wrong_checksum_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("disk.raw");
        fs::write(&file, vec![7_u8; 65536]).unwrap();
        let store = dir.path().join("images");
        let mut options = ImportOptions { name: "mine".into(), file: file.clone(), sha256: "00".into() };
        let error = import(&store, &options, &|_| ()).await.unwrap_err();
        assert!(error.message.contains("expected 00"), "{error}");
        assert_eq!(fs::read_dir(&store).unwrap().count(), 0);

        if std::process::Command::new("qemu-img").arg("--version").output().is_err() {
            eprintln!("NOT RUN: importing a good disk (qemu-img is not installed)");
            return;
        }
        options.sha256 = sha256(file).await.unwrap().to_uppercase();
        let manifest = import(&store, &options, &|_| ()).await.unwrap();
        assert_eq!(manifest.virtual_bytes, 65536);
        assert_eq!(open(&store, "mine").unwrap(), manifest);
        assert_eq!(list(&store).unwrap().len(), 1);
        let names: Vec<_> = fs::read_dir(store.join("mine")).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(names.len(), 2, "{names:?}");
    }
}
