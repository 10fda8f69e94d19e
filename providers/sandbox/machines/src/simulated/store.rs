//! Where machines and images are kept: `machines/ID/{machine.json,disk,console.log}` and `images/NAME.disk`.

use std::{
    fs,
    io::{self, ErrorKind},
    path::PathBuf,
};

use super::disk::{self, Disk};
use crate::{
    DiskImage, DiskInfo,
    base_image::{Staging, check_name},
};

/// What a base image would occupy on a real machine's disk, in GiB: the API refuses sizes with a smaller disk.
const VIRTUAL_GIB: u64 = 10;

/// The folders of the simulated machines.
#[derive(Debug)]
pub(super) struct Store {
    dir: PathBuf,
    base_images: Vec<DiskImage>,
}

impl Store {
    /// Opens the folders, making them if they are not there.
    pub(super) fn open(dir: PathBuf, base_images: Vec<DiskImage>) -> io::Result<Self> {
        fs::create_dir_all(dir.join("machines"))?;
        fs::create_dir_all(dir.join("images"))?;
        Ok(Self { dir, base_images })
    }

    /// The public images.
    pub(super) fn base_images(&self) -> &[DiskImage] {
        &self.base_images
    }

    pub(super) fn machine(&self, id: u64) -> PathBuf {
        self.dir.join("machines").join(id.to_string())
    }

    /// Removes a machine's folder; one that is gone is a success.
    pub(super) fn remove(&self, id: u64) -> io::Result<()> {
        Staging::discard(&self.dir.join("machines"), &id.to_string())
    }

    /// The folders of all machines, with their ids.
    pub(super) fn machines(&self) -> io::Result<Vec<(u64, PathBuf)>> {
        let mut found = Vec::new();
        for entry in fs::read_dir(self.dir.join("machines"))? {
            let path = entry?.path();
            let id = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.parse().ok());
            // A folder without a record is a creation that was killed half-way: nobody was told of that machine.
            match id {
                Some(id) if path.join("machine.json").is_file() => found.push((id, path)),
                _ => fs::remove_dir_all(&path).or_else(ignore_missing)?,
            }
        }
        found.sort();
        Ok(found)
    }

    fn image_file(&self, image: &DiskImage) -> io::Result<PathBuf> {
        check_name(&image.0).map_err(io::Error::other)?;
        Ok(self.dir.join("images").join(format!("{}.disk", image.0)))
    }

    /// A copy of an image's disk.
    pub(super) fn load_image(&self, image: &DiskImage) -> io::Result<Disk> {
        match disk::load(&self.image_file(image)?) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                if self.base_images.contains(image) {
                    disk::base_image().map_err(io::Error::other)
                } else {
                    Err(io::Error::new(ErrorKind::NotFound, format!("no image {}", image.0)))
                }
            }
            other => other,
        }
    }

    /// Keeps a disk as an image.
    pub(super) fn save_image(&self, image: &DiskImage, disk: &Disk) -> io::Result<DiskInfo> {
        disk::save(disk, &self.image_file(image)?)?;
        Ok(info(disk))
    }

    /// What is known of an image.
    pub(super) fn image(&self, image: &DiskImage) -> io::Result<DiskInfo> {
        self.load_image(image).map(|disk| info(&disk))
    }

    /// Deletes an image; a public one is made anew when it is asked for.
    pub(super) fn delete_image(&self, image: &DiskImage) -> io::Result<()> {
        fs::remove_file(self.image_file(image)?).or_else(ignore_missing)
    }
}

fn info(disk: &Disk) -> DiskInfo {
    DiskInfo { size_bytes: disk.used(), virtual_gib: VIRTUAL_GIB }
}

fn ignore_missing(error: io::Error) -> io::Result<()> {
    if error.kind() == ErrorKind::NotFound { Ok(()) } else { Err(error) }
}
