//! The machines of one sandbox, as the API sees them.

use std::{
    collections::HashMap,
    fs, io,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use serde_json::json;
use tokio::sync::{Mutex as AsyncMutex, OnceCell, OwnedMutexGuard, RwLock};

use super::{
    accel::{self, Accel, Kind},
    command::{forward, process},
    disk::gib,
    layers::{Layers, State},
    options::QemuOptions,
    process::{console, stop},
    qmp::Qmp,
    record::Record,
    warm,
};
use crate::{
    DiskImage, DiskInfo, Hypervisor, MachineError, MachineSpec, Power, Result,
    base_image::{self, Manifest, Staging},
};

/// Real virtual machines in one folder.
#[derive(Debug)]
pub struct Qemu {
    pub(super) dir: PathBuf,
    pub(super) options: QemuOptions,
    pub(super) layers: Layers,
    /// Held for reading while a layer is used that no record names yet, for writing while unneeded ones are removed.
    pub(super) in_use: RwLock<()>,
    engine: OnceCell<Engine>,
    /// One saved guest is made at a time.
    warming: AsyncMutex<()>,
    locks: Mutex<HashMap<u64, Arc<AsyncMutex<()>>>>,
}

/// The QEMU of this machine.
#[derive(Debug, Clone)]
pub(super) struct Engine {
    pub(super) accel: Accel,
    pub(super) version: String,
}

impl Qemu {
    /// Takes over the machines in `dir`, which is made if it does not exist. Only one process may do so at a time.
    pub fn new(dir: PathBuf, options: QemuOptions) -> io::Result<Self> {
        fs::create_dir_all(dir.join("layers"))?;
        fs::create_dir_all(dir.join("machines"))?;
        // QEMU keeps the folder's path for as long as it runs.
        let dir = dir.canonicalize()?;
        Ok(Self {
            layers: Layers::new(dir.join("layers")),
            dir,
            options,
            in_use: RwLock::new(()),
            engine: OnceCell::new(),
            warming: AsyncMutex::new(()),
            locks: Mutex::default(),
        })
    }

    /// How the machines are run.
    pub fn options(&self) -> &QemuOptions {
        &self.options
    }

    /// Whether guests run under KVM here; emulated ones boot in a minute rather than in seconds. The first answer takes up
    /// to 15 s.
    ///
    /// # Errors
    /// QEMU is not installed.
    pub async fn accelerated(&self) -> Result<bool> {
        let engine = self.engine().await.map_err(|message| error("probe", "QEMU", message))?;
        Ok(engine.accel == Accel::Kvm)
    }

    /// Saves a booted guest of a base image for machines of one size, if there is none yet.
    pub async fn warm(
        &self,
        image: &str,
        vcpus: u32,
        memory_mib: u64,
        progress: base_image::Progress<'_>,
    ) -> Result<()> {
        let failed = |message: String| error("warm", image, message);
        let manifest = base_image::open(&self.options.images, image).map_err(|error| failed(error.to_string()))?;
        self.saved(&manifest, vcpus, memory_mib, progress).await.map(drop).map_err(failed)
    }

    /// The folder of the saved guest, and its name.
    pub(super) async fn saved(
        &self,
        image: &Manifest,
        vcpus: u32,
        memory_mib: u64,
        progress: base_image::Progress<'_>,
    ) -> Result<(PathBuf, String), String> {
        let engine = self.engine().await?;
        let kind = Kind { accel: engine.accel, qemu: &engine.version, vcpus, memory_mib };
        let _one = self.warming.lock().await;
        let folder = warm::ensure(&self.options.images, image, &kind, progress).await?;
        Ok((folder, kind.name()))
    }

    pub(super) async fn engine(&self) -> Result<&Engine, String> {
        self.engine
            .get_or_try_init(|| async {
                let version = accel::version().await?;
                let accel = accel::choose(self.options.accel, &self.dir.join("accel.json"), &version).await;
                Ok(Engine { accel, version })
            })
            .await
    }

    /// The base image of a name, if it is one.
    pub(super) fn base(&self, image: &DiskImage) -> Option<Manifest> {
        base_image::open(&self.options.images, &image.0).ok()
    }

    pub(super) fn machines_dir(&self) -> PathBuf {
        self.dir.join("machines")
    }

    pub(super) fn folder(&self, id: u64) -> PathBuf {
        self.machines_dir().join(id.to_string())
    }

    /// Keeps others from the machine until it is dropped.
    pub(super) async fn lock(&self, id: u64) -> OwnedMutexGuard<()> {
        let mutex = {
            let mut locks = self.locks.lock().unwrap_or_else(PoisonError::into_inner);
            // Those that nobody holds need not be kept.
            locks.retain(|_, mutex| Arc::strong_count(mutex) > 1);
            locks.entry(id).or_default().clone()
        };
        mutex.lock_owned().await
    }

    /// A machine that must exist.
    pub(super) fn record(&self, id: u64) -> Result<Record, String> {
        match Record::read(&self.folder(id)) {
            Ok(Some(record)) => Ok(record),
            Ok(None) => Err("there is no such machine".to_owned()),
            Err(error) => Err(format!("its record: {error}")),
        }
    }

    /// Removes the layers that nobody needs any more.
    pub(super) async fn collect(&self) -> Result<(), String> {
        let _none_half_made = self.in_use.write().await;
        let mut used = Vec::new();
        for id in self.ids().map_err(|error| error.to_string())? {
            used.push(self.record(id)?.layer);
        }
        self.layers.collect(used).map_err(|error| format!("removing unneeded layers: {error}"))
    }

    /// The machines that exist.
    fn ids(&self) -> io::Result<Vec<u64>> {
        let mut ids = Vec::new();
        for entry in fs::read_dir(self.machines_dir())? {
            if let Some(id) = entry?.file_name().to_str().and_then(|name| name.parse().ok()) {
                ids.push(id);
            }
        }
        ids.sort_unstable();
        Ok(ids)
    }

    /// Opens further ports of one machine.
    async fn open_on(&self, id: u64, ports: &[u16]) -> Result<(), String> {
        let _alone = self.lock(id).await;
        let folder = self.folder(id);
        let Ok(mut record) = self.record(id) else { return Ok(()) };
        let new: Vec<u16> =
            ports.iter().copied().filter(|port| *port != 22 && !record.spec.open.contains(port)).collect();
        if process(&folder).is_some() {
            let mut qmp = Qmp::connect(&folder).await?;
            for port in &new {
                let rule = forward(record.spec.address, &record.spec.ports, *port);
                let line = json!({"command-line": format!("hostfwd_add net0 {rule}")});
                let said = qmp.execute("human-monitor-command", line).await?;
                // This command has no error of its own: it succeeds without a word.
                if let Some(said) = said.as_str().map(str::trim).filter(|said| !said.is_empty()) {
                    return Err(format!("port {port}: {said}"));
                }
            }
        }
        record.spec.open.extend(new);
        record.write(&folder).map_err(|error| format!("its record: {error}"))
    }
}

/// An error of one operation on one machine.
pub(super) fn error(operation: &'static str, machine: impl ToString, message: impl ToString) -> MachineError {
    MachineError { operation, machine: machine.to_string(), message: message.to_string() }
}

#[async_trait]
impl Hypervisor for Qemu {
    async fn create(&self, spec: &MachineSpec) -> Result<()> {
        let _alone = self.lock(spec.id).await;
        if self.folder(spec.id).exists() {
            return Err(error("create", spec.id, "it exists already"));
        }
        self.make(spec).await.map_err(|message| error("create", spec.id, message))
    }

    async fn start(&self, id: u64) -> Result<()> {
        let _alone = self.lock(id).await;
        self.power_on(id).await.map_err(|message| error("start", id, message))
    }

    async fn shutdown(&self, id: u64) -> Result<()> {
        let failed = |message: String| error("shut down", id, message);
        self.record(id).map_err(failed)?;
        let folder = self.folder(id);
        if process(&folder).is_none() {
            return Ok(());
        }
        let asked = async { Qmp::connect(&folder).await?.execute("system_powerdown", json!({})).await };
        asked.await.map(drop).map_err(failed)
    }

    async fn power_off(&self, id: u64) -> Result<()> {
        let _alone = self.lock(id).await;
        let failed = |message: String| error("power off", id, message);
        self.record(id).map_err(failed)?;
        stop(&self.folder(id)).await.map_err(failed)
    }

    async fn reboot(&self, id: u64) -> Result<()> {
        let failed = |message: String| error("reboot", id, message);
        self.record(id).map_err(failed)?;
        // Three keys mean a reboot to every system; ACPI knows only a button that switches off.
        let keys: Vec<_> = ["ctrl", "alt", "delete"].map(|key| json!({"type": "qcode", "data": key})).into();
        let asked = async { Qmp::connect(&self.folder(id)).await?.execute("send-key", json!({"keys": keys})).await };
        asked.await.map(drop).map_err(failed)
    }

    async fn power(&self, id: u64) -> Result<Power> {
        self.record(id).map_err(|message| error("look at", id, message))?;
        Ok(if process(&self.folder(id)).is_some() { Power::On } else { Power::Off })
    }

    async fn capture(&self, id: u64, image: &DiskImage) -> Result<DiskInfo> {
        let _alone = self.lock(id).await;
        self.take(id, image).await.map_err(|message| error("capture", id, message))
    }

    async fn replace_disk(&self, id: u64, image: &DiskImage) -> Result<()> {
        let _alone = self.lock(id).await;
        self.replace(id, image).await.map_err(|message| error("replace the disk of", id, message))
    }

    async fn resize(&self, id: u64, vcpus: u32, memory_mib: u64, disk_gib: u64) -> Result<()> {
        let _alone = self.lock(id).await;
        let failed = |message: String| error("resize", id, message);
        let mut record = self.record(id).map_err(failed)?;
        // A guest that is saved is of one size only.
        record.warm = None;
        record.spec.vcpus = vcpus;
        record.spec.memory_mib = memory_mib;
        record.spec.disk_gib = record.spec.disk_gib.max(disk_gib);
        record.write(&self.folder(id)).map_err(|error| failed(error.to_string()))
    }

    async fn destroy(&self, id: u64) -> Result<()> {
        let _alone = self.lock(id).await;
        let failed = |message: String| error("destroy", id, message);
        let folder = self.folder(id);
        stop(&folder).await.map_err(failed)?;
        Staging::discard(&self.machines_dir(), &id.to_string()).map_err(|error| failed(error.to_string()))?;
        self.collect().await.map_err(failed)
    }

    async fn console(&self, id: u64) -> Result<String> {
        self.record(id).map_err(|message| error("look at", id, message))?;
        console(&self.folder(id)).map_err(|message| error("read the console of", id, message))
    }

    async fn machines(&self) -> Result<Vec<u64>> {
        self.ids().map_err(|message| error("list", self.dir.display(), message))
    }

    async fn base_images(&self) -> Result<Vec<DiskImage>> {
        let images = base_image::list(&self.options.images);
        let images = images.map_err(|message| error("list", self.options.images.display(), message))?;
        Ok(images.into_iter().map(|image| DiskImage(image.name)).collect())
    }

    async fn image(&self, image: &DiskImage) -> Result<DiskInfo> {
        let failed = |message: String| error("look at image of", &image.0, message);
        if let Some(base) = self.base(image) {
            return Ok(DiskInfo { size_bytes: base.size_bytes, virtual_gib: gib(base.virtual_bytes) });
        }
        match self.layers.get(&image.0) {
            Ok(Some(layer)) if layer.state == State::Image => Ok(DiskInfo {
                size_bytes: self.layers.size(&image.0).map_err(|error| failed(error.to_string()))?,
                virtual_gib: gib(layer.virtual_bytes),
            }),
            Ok(_) => Err(failed("there is no such image".to_owned())),
            Err(error) => Err(failed(error.to_string())),
        }
    }

    async fn delete_image(&self, image: &DiskImage) -> Result<()> {
        let failed = |message: String| error("delete image of", &image.0, message);
        match self.layers.get(&image.0) {
            Ok(Some(_)) => self.layers.set_state(&image.0, State::Inner).map_err(|error| failed(error.to_string()))?,
            Ok(None) => {}
            Err(error) => return Err(failed(error.to_string())),
        }
        self.collect().await.map_err(failed)
    }

    async fn open_ports(&self, ports: &[u16]) -> Result<()> {
        for id in self.machines().await? {
            self.open_on(id, ports).await.map_err(|message| error("open ports of", id, message))?;
        }
        Ok(())
    }
}
