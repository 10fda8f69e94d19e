//! What disks rest on.
//!
//! A layer is a folder with a `disk.qcow2` that nothing writes to any more: a base image, or what a capture took away from
//! a machine. Base images are hard-linked from the users' common store (copied where that lies on another file system), so
//! that a replaced or removed base image breaks nothing here. A layer goes when neither the API knows it nor any disk
//! rests on it.

use std::{
    collections::{HashMap, HashSet},
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::record::write_private;
use crate::base_image::{Boot, DISK, Manifest, Staging};

/// The name of a layer's description.
const FILE: &str = "layer.json";

/// The version that this release writes.
const FORMAT: u32 = 1;

/// Who knows a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum State {
    /// Nobody but the disks that rest on it: a base image, or a deleted capture.
    Inner,
    /// A capture that is not done: nobody, if it was interrupted.
    Pending,
    /// The API, as a disk image.
    Image,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Layer {
    format: u32,
    /// Who knows it.
    pub(super) state: State,
    /// The layer that it rests on.
    pub(super) parent: Option<String>,
    /// How a machine with such a disk starts.
    pub(super) boot: Boot,
    /// The layer with the kernel that `boot` names.
    pub(super) base: String,
    /// The size that a guest sees, in bytes.
    pub(super) virtual_bytes: u64,
}

#[derive(Debug, Clone)]
pub(super) struct Layers {
    dir: PathBuf,
}

impl Layers {
    pub(super) fn new(dir: PathBuf) -> Self {
        Self { dir }
    }

    /// A layer's folder. A saved guest's disk is named `LAYER/warm-…`.
    pub(super) fn folder(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// Reads a layer, or the one that a saved guest's disk belongs to; `None` where there is none.
    pub(super) fn get(&self, name: &str) -> io::Result<Option<Layer>> {
        let own = name.split('/').next().unwrap_or(name);
        match fs::read(self.dir.join(own).join(FILE)) {
            Ok(text) => {
                let layer: Layer = serde_json::from_slice(&text)?;
                if layer.format > FORMAT {
                    return Err(io::Error::other(format!("layer {own} has format {}", layer.format)));
                }
                Ok(Some(layer))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// All layers, by name.
    pub(super) fn all(&self) -> io::Result<HashMap<String, Layer>> {
        let mut all = HashMap::new();
        for entry in fs::read_dir(&self.dir)? {
            let Ok(name) = entry?.file_name().into_string() else { continue };
            if name.starts_with('.') {
                continue;
            }
            if let Some(layer) = self.get(&name)? {
                all.insert(name, layer);
            }
        }
        Ok(all)
    }

    /// Takes a base image in, and returns its layer's name.
    pub(super) fn adopt(&self, images: &Path, image: &Manifest) -> io::Result<String> {
        let name = format!("{}@{}", image.name, image.sha256.get(..16).unwrap_or(&image.sha256));
        if self.get(&name)?.is_some() {
            return Ok(name);
        }
        let staging = Staging::new(&self.dir)?;
        let folder = staging.folder();
        let source = images.join(&image.name);
        link(&source.join(DISK), &folder.join(DISK))?;
        if let Boot::Direct { kernel, initrd, .. } = &image.boot {
            link(&source.join(kernel), &folder.join(kernel))?;
            link(&source.join(initrd), &folder.join(initrd))?;
        }
        let layer = Layer {
            format: FORMAT,
            state: State::Inner,
            parent: None,
            boot: image.boot.clone(),
            base: name.clone(),
            virtual_bytes: image.virtual_bytes,
        };
        write_private(&folder, FILE, &serde_json::to_vec_pretty(&layer)?)?;
        staging.publish(&name)?;
        Ok(name)
    }

    /// Takes a saved guest of a base image in (its disk and its memory), and returns its name as a layer.
    pub(super) fn adopt_warm(&self, layer: &str, saved: &Path, name: &str) -> io::Result<String> {
        let target = self.dir.join(layer).join(name);
        if !target.is_dir() {
            let staging = Staging::new(&self.dir.join(layer))?;
            let folder = staging.folder();
            for file in [DISK, super::warm::STATE] {
                link(&saved.join(file), &folder.join(file))?;
            }
            staging.publish(name)?;
        }
        Ok(format!("{layer}/{name}"))
    }

    /// Makes a machine's disk a layer: first as a pending one, while the machine is still to be moved to another file.
    pub(super) fn capture(&self, name: &str, disk: &Path, parent: &str, virtual_bytes: u64) -> io::Result<()> {
        let below = self.get(parent)?.ok_or_else(|| io::Error::other(format!("layer {parent} is missing")))?;
        let staging = Staging::new(&self.dir)?;
        let folder = staging.folder();
        fs::hard_link(disk, folder.join(DISK))?;
        let layer = Layer {
            format: FORMAT,
            state: State::Pending,
            parent: Some(parent.to_owned()),
            boot: below.boot,
            base: below.base,
            virtual_bytes,
        };
        write_private(&folder, FILE, &serde_json::to_vec_pretty(&layer)?)?;
        staging.publish(name)
    }

    /// Changes who knows a layer.
    pub(super) fn set_state(&self, name: &str, state: State) -> io::Result<()> {
        match self.get(name)? {
            Some(layer) => {
                let layer = Layer { state, ..layer };
                write_private(&self.dir.join(name), FILE, &serde_json::to_vec_pretty(&layer)?)
            }
            None => Err(io::Error::other(format!("layer {name} is missing"))),
        }
    }

    /// What a layer and all below it occupy, in bytes.
    pub(super) fn size(&self, name: &str) -> io::Result<u64> {
        let mut size = 0;
        let mut next = Some(name.to_owned());
        while let Some(name) = next {
            size += fs::metadata(self.folder(&name).join(DISK))?.blocks() * 512;
            // A saved guest's disk lies in the folder of what it rests on.
            next = match name.split_once('/') {
                Some((base, _)) => Some(base.to_owned()),
                None => self.get(&name)?.and_then(|layer| layer.parent),
            };
        }
        Ok(size)
    }

    /// Removes the layers that nobody needs; `used` are those that machines' disks rest on.
    pub(super) fn collect(&self, used: impl IntoIterator<Item = String>) -> io::Result<()> {
        let all = self.all()?;
        for name in unneeded(&all, used) {
            Staging::discard(&self.dir, &name)?;
        }
        Ok(())
    }
}

/// Which layers neither the API nor a disk needs.
fn unneeded(all: &HashMap<String, Layer>, used: impl IntoIterator<Item = String>) -> Vec<String> {
    let images = all.iter().filter(|(_, layer)| layer.state == State::Image).map(|(name, _)| name.clone());
    let mut open: Vec<String> = images.chain(used).collect();
    let mut needed = HashSet::new();
    while let Some(name) = open.pop() {
        let own = name.split('/').next().unwrap_or(&name).to_owned();
        if let Some(layer) = all.get(&own)
            && needed.insert(own)
        {
            open.extend(layer.parent.clone());
            open.push(layer.base.clone());
        }
    }
    let mut rest: Vec<String> = all.keys().filter(|name| !needed.contains(*name)).cloned().collect();
    rest.sort();
    rest
}

/// A hard link, or a copy where the two places are on different file systems.
fn link(from: &Path, to: &Path) -> io::Result<()> {
    match fs::hard_link(from, to) {
        Err(error) if error.kind() == io::ErrorKind::CrossesDevices => fs::copy(from, to).map(drop),
        done => done,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layer(state: State, parent: Option<&str>) -> Layer {
        Layer {
            format: FORMAT,
            state,
            parent: parent.map(str::to_owned),
            boot: Boot::Firmware,
            base: "base@1".into(),
            virtual_bytes: 0,
        }
    }

    #[test]
    fn only_what_nobody_needs_goes() {
        let all = HashMap::from([
            ("base@1".to_owned(), layer(State::Inner, None)),
            ("base@2".to_owned(), layer(State::Inner, None)),
            ("one".to_owned(), layer(State::Inner, Some("base@1/warm-x"))),
            ("two".to_owned(), layer(State::Image, Some("one"))),
            ("three".to_owned(), layer(State::Pending, Some("two"))),
            ("four".to_owned(), layer(State::Inner, Some("two"))),
        ]);
        assert_eq!(unneeded(&all, []), ["base@2", "four", "three"]);
        assert_eq!(unneeded(&all, ["base@2/warm-x".to_owned(), "three".to_owned()]), ["four"]);
    }

    #[test]
    fn a_captured_disk_is_the_same_file_and_counts_what_is_below() {
        let dir = tempfile::tempdir().unwrap();
        let images = dir.path().join("images");
        fs::create_dir_all(images.join("base")).unwrap();
        fs::write(images.join("base").join(DISK), vec![1; 8192]).unwrap();
        let manifest = Manifest {
            format: 1,
            name: "base".into(),
            description: String::new(),
            sha256: "ab".into(),
            size_bytes: 0,
            virtual_bytes: 1 << 30,
            boot: Boot::Firmware,
            built_at: jiff::Timestamp::UNIX_EPOCH,
        };
        let layers = Layers::new(dir.path().join("layers"));
        fs::create_dir(dir.path().join("layers")).unwrap();
        let base = layers.adopt(&images, &manifest).unwrap();
        assert_eq!(base, "base@ab");
        fs::remove_dir_all(&images).unwrap();

        let disk = dir.path().join("disk-0.qcow2");
        fs::write(&disk, vec![2; 4096]).unwrap();
        layers.capture("snapshot-1", &disk, &base, 1 << 30).unwrap();
        assert_eq!(layers.get("snapshot-1").unwrap().unwrap().state, State::Pending);
        layers.set_state("snapshot-1", State::Image).unwrap();
        assert_eq!(layers.size("snapshot-1").unwrap(), 12288);
        layers.collect([]).unwrap();
        assert_eq!(layers.all().unwrap().len(), 2);
        layers.set_state("snapshot-1", State::Inner).unwrap();
        layers.collect([]).unwrap();
        assert_eq!(fs::read_dir(dir.path().join("layers")).unwrap().count(), 0);
    }
}
