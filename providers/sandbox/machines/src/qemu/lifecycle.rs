//! A machine's disk and power, step by step: making it, starting it, giving it another disk, capturing it.

use std::{collections::BTreeSet, fs};

use serde_json::json;

use super::{
    accel::Kind,
    command::{Launch, Start, forward, process},
    disk::{bytes, gib, grow, overlay},
    hypervisor::Qemu,
    layers::{Layer, State},
    process::{launch, restore, stop},
    qmp::Qmp,
    record::{Record, write_private},
    seed::{SEED, SIZE, seed},
    warm,
};
use crate::{
    DiskImage, DiskInfo, MachineSpec,
    base_image::{Boot, Staging},
};

/// What a new disk rests on.
struct Ground {
    layer: String,
    /// The size that the disk has at first, in bytes.
    size: u64,
    warm: Option<String>,
}

impl Qemu {
    /// Makes a machine's folder.
    pub(super) async fn make(&self, spec: &MachineSpec) -> Result<(), String> {
        let saved = self.saved_for(spec, &spec.image).await;
        let _layer = self.in_use.read().await;
        let ground = self.ground(spec, &spec.image, saved)?;
        let store = self.machines_dir();
        let failed = |error: std::io::Error| format!("{}: {error}", store.display());
        let staging = Staging::new(&store).map_err(failed)?;
        let folder = staging.folder();
        write_private(&folder, SEED, &seed(spec)).map_err(failed)?;
        let record = Record::new(spec.clone(), ground.layer, ground.warm);
        overlay(&folder.join(record.disk_file()), &record.layer, ground.size).await?;
        record.write(&folder).map_err(failed)?;
        staging.publish(&spec.id.to_string()).map_err(failed)
    }

    /// Switches a machine on.
    pub(super) async fn power_on(&self, id: u64) -> Result<(), String> {
        let mut record = self.record(id)?;
        let folder = self.folder(id);
        if process(&folder).is_some() {
            return Ok(());
        }
        let engine = self.engine().await?;
        let layer = self.layer(&record.layer)?;
        let spec = &record.spec;
        let ports: BTreeSet<u16> = spec.open.iter().copied().chain([22]).collect();
        let kind = Kind { accel: engine.accel, qemu: &engine.version, vcpus: spec.vcpus, memory_mib: spec.memory_mib };
        let mut machine = Launch {
            name: format!("remint-{id}"),
            folder: &folder,
            kind,
            disk: record.disk_file(),
            start: self.start_of(&layer, self.options.warm || record.warm.is_some()),
            forwards: ports.iter().map(|port| forward(spec.address, &spec.ports, *port)).collect(),
            incoming: false,
        };
        let size = bytes(spec.disk_gib);
        if let Some(name) = record.warm.take() {
            // Once it has run, the disk is ahead of the saved memory; so the record forgets it before that.
            record.write(&folder).map_err(|error| format!("its record: {error}"))?;
            if kind.name() == name {
                let state = self.layers.folder(&record.layer).join(warm::STATE);
                machine.incoming = true;
                match restore(&machine, &state, size).await {
                    Ok(()) => return Ok(()),
                    Err(error) => tracing::warn!(id, error, "the machine boots cold: the saved guest cannot be used"),
                }
                machine.incoming = false;
            }
        }
        grow(&folder.join(&machine.disk), size).await?;
        launch(&machine).await
    }

    /// Gives a machine a fresh disk.
    pub(super) async fn replace(&self, id: u64, image: &DiskImage) -> Result<(), String> {
        let mut record = self.record(id)?;
        let folder = self.folder(id);
        let saved = self.saved_for(&record.spec, image).await;
        {
            let _layer = self.in_use.read().await;
            let ground = self.ground(&record.spec, image, saved)?;
            stop(&folder).await?;
            let old = record.disk_file();
            record.disk += 1;
            record.layer = ground.layer;
            record.warm = ground.warm;
            record.spec.image = image.clone();
            overlay(&folder.join(record.disk_file()), &record.layer, ground.size).await?;
            write_private(&folder, SEED, &seed(&record.spec)).map_err(|error| format!("its seed: {error}"))?;
            record.write(&folder).map_err(|error| format!("its record: {error}"))?;
            fs::remove_file(folder.join(&old)).map_err(|error| format!("its old disk: {error}"))?;
        }
        self.collect().await
    }

    /// Makes the machine's disk an image, and lets the machine go on with an empty disk on top of it. Nothing is copied.
    ///
    /// Whenever this is interrupted, the record's disk is good: it is either the old file, or an empty one on a layer that
    /// is the very same file as the old one.
    pub(super) async fn take(&self, id: u64, image: &DiskImage) -> Result<DiskInfo, String> {
        let name = &image.0;
        let mut record = self.record(id)?;
        let folder = self.folder(id);
        match self.layers.get(name).map_err(|error| error.to_string())? {
            // Interrupted after the machine had moved on: what is left is to tell.
            Some(layer) if layer.state == State::Pending && record.layer == *name => return self.publish(name),
            Some(layer) if layer.state != State::Pending => return Err(format!("image {name} exists already")),
            _ => {}
        }
        let _layer = self.in_use.read().await;
        let old = folder.join(record.disk_file());
        // Its size may have grown at a start only, so this is the disk's.
        let size = bytes(record.spec.disk_gib);
        self.layers.capture(name, &old, &record.layer, size).map_err(|error| format!("layer {name}: {error}"))?;
        let before = record.clone();
        record.disk += 1;
        record.layer.clone_from(name);
        record.warm = None;
        let new = folder.join(record.disk_file());
        overlay(&new, name, size).await?;
        record.write(&folder).map_err(|error| format!("its record: {error}"))?;
        if process(&folder).is_some()
            && let Err(error) = switch(&folder, &new, record.disk).await
        {
            before.write(&folder).map_err(|error| format!("its record: {error}"))?;
            // The layer, known to nobody, goes with the next one that does.
            return Err(error);
        }
        fs::remove_file(&old).map_err(|error| format!("{}: {error}", old.display()))?;
        self.publish(name)
    }

    /// Makes a captured layer known.
    fn publish(&self, name: &str) -> Result<DiskInfo, String> {
        let failed = |error: std::io::Error| format!("layer {name}: {error}");
        self.layers.set_state(name, State::Image).map_err(failed)?;
        Ok(DiskInfo {
            size_bytes: self.layers.size(name).map_err(failed)?,
            virtual_gib: gib(self.layer(name)?.virtual_bytes),
        })
    }

    /// The saved guest that a machine could go on from, made if need be. Without one it boots cold.
    async fn saved_for(&self, spec: &MachineSpec, image: &DiskImage) -> Option<(std::path::PathBuf, String)> {
        let base = self.base(image)?;
        if !self.options.warm || !warm::possible(&base) || seed(spec).len() != SIZE {
            return None;
        }
        let progress = |line: &str| tracing::info!(image = image.0, "{line}");
        match self.saved(&base, spec.vcpus, spec.memory_mib, &progress).await {
            Ok(saved) => Some(saved),
            Err(error) => {
                tracing::warn!(image = image.0, error, "machines boot cold: no guest can be saved");
                None
            }
        }
    }

    /// What a new disk of a machine rests on.
    fn ground(
        &self,
        spec: &MachineSpec,
        image: &DiskImage,
        saved: Option<(std::path::PathBuf, String)>,
    ) -> Result<Ground, String> {
        let failed = |error: std::io::Error| format!("image {}: {error}", image.0);
        let (layer, size, warm) = match self.base(image) {
            Some(base) => {
                let layer = self.layers.adopt(&self.options.images, &base).map_err(failed)?;
                match saved {
                    Some((folder, name)) => {
                        let layer = self.layers.adopt_warm(&layer, &folder, &name).map_err(failed)?;
                        (layer, base.virtual_bytes, Some(name))
                    }
                    None => (layer, base.virtual_bytes, None),
                }
            }
            None => match self.layers.get(&image.0).map_err(failed)? {
                Some(layer) if layer.state == State::Image => (image.0.clone(), layer.virtual_bytes, None),
                _ => return Err(format!("there is no image {}", image.0)),
            },
        };
        let disk = bytes(spec.disk_gib);
        // What lies beyond its end would be cut off.
        if size > disk {
            return Err(format!("its disk of {disk} bytes is smaller than its image, {size} bytes"));
        }
        Ok(Ground { layer, size, warm })
    }

    fn layer(&self, name: &str) -> Result<Layer, String> {
        match self.layers.get(name) {
            Ok(Some(layer)) => Ok(layer),
            Ok(None) => Err(format!("its layer {name} is missing")),
            Err(error) => Err(format!("its layer {name}: {error}")),
        }
    }

    /// How a machine on a layer starts; with `quick`, an image that can be saved while it runs does its first boot as a
    /// saved guest goes on, with one cloud-init process instead of four.
    fn start_of(&self, layer: &Layer, quick: bool) -> Start {
        match &layer.boot {
            Boot::Direct { kernel, initrd, command_line, warm } => {
                let base = self.layers.folder(&layer.base);
                let command_line = if quick && *warm { warm::command_line(command_line) } else { command_line.clone() };
                Start::Direct { kernel: base.join(kernel), initrd: base.join(initrd), command_line }
            }
            Boot::Firmware => Start::Firmware,
        }
    }
}

/// Lets a running machine go on writing to another file.
async fn switch(folder: &std::path::Path, new: &std::path::Path, number: u32) -> Result<(), String> {
    let mut qmp = Qmp::connect(folder).await?;
    let node = qmp.disk_node().await?;
    let arguments = json!({
        "node-name": node,
        "snapshot-file": new,
        "snapshot-node-name": format!("disk-{number}"),
        "mode": "existing",
        "format": "qcow2",
    });
    qmp.execute("blockdev-snapshot-sync", arguments).await.map(drop)
}
