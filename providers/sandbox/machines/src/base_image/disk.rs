//! Disk files: their digest, their size, and what qemu-img does with them.

use std::{
    fs,
    io::{self, Read},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use serde::Deserialize;
use sha2::{Digest, Sha256};
use tokio::process::Command;

use super::{
    Progress,
    error::{ImageError, Result},
    layout::DISK,
    manifest::{Boot, FORMAT, Manifest},
    tool::run,
};

/// What qemu-img says of a disk.
#[derive(Debug, Deserialize)]
pub(crate) struct Info {
    /// The size as a guest sees it, in bytes.
    #[serde(rename = "virtual-size")]
    pub(crate) virtual_size: u64,
    /// `qcow2`, `raw`, …
    pub(super) format: String,
    /// The file that this one rests on.
    #[serde(rename = "backing-filename")]
    pub(super) backing: Option<String>,
    /// What qcow2 alone knows.
    #[serde(rename = "format-specific")]
    specific: Option<Specific>,
}

#[derive(Debug, Deserialize)]
struct Specific {
    data: SpecificData,
}

#[derive(Debug, Deserialize)]
struct SpecificData {
    #[serde(rename = "data-file")]
    data_file: Option<String>,
}

impl Info {
    /// Whether reading the disk reads other files too.
    pub(super) fn is_self_contained(&self) -> bool {
        self.backing.is_none() && self.specific.as_ref().is_none_or(|specific| specific.data.data_file.is_none())
    }
}

/// Asks qemu-img about a disk.
pub(crate) async fn info(path: &Path) -> Result<Info, String> {
    let mut command = Command::new("qemu-img");
    command.args(["info", "--output=json", "--force-share"]).arg(path);
    let output = run(command, &|_| ()).await?;
    serde_json::from_slice(&output).map_err(|error| format!("what qemu-img says of {}: {error}", path.display()))
}

/// SHA-256 of a file, in hexadecimal.
pub(super) async fn sha256(path: PathBuf) -> io::Result<String> {
    tokio::task::spawn_blocking(move || {
        let mut file = fs::File::open(path)?;
        let mut digest = Sha256::new();
        let mut buffer = vec![0; 1 << 20];
        loop {
            match file.read(&mut buffer)? {
                0 => return Ok(hex::encode(digest.finalize())),
                n => digest.update(&buffer[..n]),
            }
        }
    })
    .await
    .map_err(io::Error::other)?
}

/// Describes the disk that lies ready in `folder`.
pub(super) async fn describe(
    folder: &Path,
    name: &str,
    description: String,
    boot: Boot,
    progress: Progress<'_>,
) -> Result<Manifest> {
    let disk = folder.join(DISK);
    let failed = |message: String| ImageError::new("describe", name, message);
    progress("computing the checksum");
    let info = info(&disk).await.map_err(failed)?;
    let metadata = fs::metadata(&disk).map_err(|error| failed(format!("{}: {error}", disk.display())))?;
    Ok(Manifest {
        format: FORMAT,
        name: name.to_owned(),
        description,
        sha256: sha256(disk).await.map_err(|error| failed(error.to_string()))?,
        size_bytes: metadata.blocks() * 512,
        virtual_bytes: info.virtual_size,
        boot,
        built_at: jiff::Timestamp::now(),
    })
}
