//! The simulated kind of [`Hypervisor`].

use std::{
    collections::{BTreeMap, btree_map::Entry},
    io,
    path::PathBuf,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;

use super::{
    disk::lock,
    machine::{Machine, Start},
    power,
    store::Store,
};
use crate::{DiskImage, DiskInfo, Hypervisor, MachineError, MachineSpec, Power, Result};

/// Machines that exist only in this process; see the [module](super).
#[derive(Debug)]
pub struct Simulated {
    store: Arc<Store>,
    machines: Mutex<BTreeMap<u64, Arc<Machine>>>,
    /// Held while a machine is made or destroyed, so that the same id is not made twice.
    making: tokio::sync::Mutex<()>,
}

impl Simulated {
    /// Opens the machines under `dir`. Those that had power when the sandbox ended have it again. Every one of
    /// `base_images` is the same small Debian 12.
    ///
    /// # Errors
    ///
    /// When the folder cannot be made, or what is in it cannot be read.
    pub async fn new(dir: PathBuf, base_images: Vec<DiskImage>) -> Result<Arc<Self>> {
        let name = dir.display().to_string();
        let open = move || {
            let store = Store::open(dir, base_images)?;
            let found = store.machines()?;
            Ok((store, found))
        };
        let (store, found) = blocking(open).await.map_err(|error| failed("open", &name, &error))?;
        let mut machines = BTreeMap::new();
        for (id, folder) in found {
            let machine = Machine::load(folder).map_err(|error| failed("load", id, &error))?;
            if machine.had_power() {
                power::start(&machine, Start::Resume).map_err(|error| failed("load", id, &error))?;
            }
            machines.insert(id, machine);
        }
        let (machines, making) = (Mutex::new(machines), tokio::sync::Mutex::default());
        Ok(Arc::new(Self { store: Arc::new(store), machines, making }))
    }

    fn machine(&self, operation: &'static str, id: u64) -> Result<Arc<Machine>> {
        let machine = lock(&self.machines).get(&id).cloned();
        machine.ok_or_else(|| failed(operation, id, &io::Error::other("there is no such machine")))
    }

    /// Runs something on the store, away from the threads that serve connections.
    async fn on_store<T: Send + 'static>(
        &self,
        operation: &'static str,
        name: &str,
        run: impl FnOnce(&Store) -> io::Result<T> + Send + 'static,
    ) -> Result<T> {
        let store = self.store.clone();
        blocking(move || run(&store)).await.map_err(|error| failed(operation, name, &error))
    }
}

async fn blocking<T: Send + 'static>(run: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(run).await.map_err(io::Error::other)?
}

fn failed(operation: &'static str, machine: impl ToString, error: &io::Error) -> MachineError {
    MachineError { operation, machine: machine.to_string(), message: error.to_string() }
}

#[async_trait]
impl Hypervisor for Simulated {
    async fn create(&self, spec: &MachineSpec) -> Result<()> {
        let _making = self.making.lock().await;
        let id = spec.id;
        if lock(&self.machines).contains_key(&id) {
            return Err(failed("create", id, &io::Error::other("a machine of that id exists")));
        }
        let image = spec.image.clone();
        let disk = self.on_store("create", &id.to_string(), move |store| store.load_image(&image)).await?;
        let made = Machine::create(self.store.machine(id), spec.clone(), disk).await;
        let machine = made.map_err(|error| {
            // Nothing half-made stays behind; the error itself says what went wrong.
            self.store.remove(id).ok();
            failed("create", id, &error)
        })?;
        match lock(&self.machines).entry(id) {
            Entry::Vacant(entry) => entry.insert(machine),
            Entry::Occupied(entry) => entry.into_mut(),
        };
        Ok(())
    }

    async fn start(&self, id: u64) -> Result<()> {
        power::start(&self.machine("start", id)?, Start::Boot).map_err(|error| failed("start", id, &error))
    }

    async fn shutdown(&self, id: u64) -> Result<()> {
        power::shutdown(&self.machine("shut down", id)?, false);
        Ok(())
    }

    async fn power_off(&self, id: u64) -> Result<()> {
        self.machine("power off", id)?.power_off().await.map_err(|error| failed("power off", id, &error))
    }

    async fn reboot(&self, id: u64) -> Result<()> {
        power::shutdown(&self.machine("reboot", id)?, true);
        Ok(())
    }

    async fn power(&self, id: u64) -> Result<Power> {
        Ok(self.machine("look at", id)?.power())
    }

    async fn capture(&self, id: u64, image: &DiskImage) -> Result<DiskInfo> {
        let machine = self.machine("capture", id)?;
        machine.save().await.map_err(|error| failed("capture", id, &error))?;
        let disk = lock(machine.disk()).clone();
        let image = image.clone();
        self.on_store("capture", &id.to_string(), move |store| store.save_image(&image, &disk)).await
    }

    async fn replace_disk(&self, id: u64, image: &DiskImage) -> Result<()> {
        let machine = self.machine("replace the disk of", id)?;
        let fail = |error: io::Error| failed("replace the disk of", id, &error);
        let name = image.clone();
        let disk = self.on_store("replace the disk of", &id.to_string(), move |store| store.load_image(&name)).await?;
        machine.power_off().await.map_err(fail)?;
        machine.replace_disk(disk).await.map_err(fail)?;
        machine.change(|spec| spec.image = image.clone()).map_err(fail)
    }

    async fn resize(&self, id: u64, vcpus: u32, memory_mib: u64, disk_gib: u64) -> Result<()> {
        let change = |spec: &mut MachineSpec| {
            spec.vcpus = vcpus;
            spec.memory_mib = memory_mib;
            spec.disk_gib = spec.disk_gib.max(disk_gib);
        };
        self.machine("resize", id)?.change(change).map_err(|error| failed("resize", id, &error))
    }

    async fn destroy(&self, id: u64) -> Result<()> {
        let _making = self.making.lock().await;
        let Some(machine) = lock(&self.machines).get(&id).cloned() else { return Ok(()) };
        machine.retire().await;
        self.on_store("destroy", &id.to_string(), move |store| store.remove(id)).await?;
        lock(&self.machines).remove(&id);
        Ok(())
    }

    async fn console(&self, id: u64) -> Result<String> {
        Ok(self.machine("read the console of", id)?.console())
    }

    async fn machines(&self) -> Result<Vec<u64>> {
        Ok(lock(&self.machines).keys().copied().collect())
    }

    async fn base_images(&self) -> Result<Vec<DiskImage>> {
        Ok(self.store.base_images().to_vec())
    }

    async fn image(&self, image: &DiskImage) -> Result<DiskInfo> {
        let name = image.clone();
        self.on_store("look at image", &image.0, move |store| store.image(&name)).await
    }

    async fn delete_image(&self, image: &DiskImage) -> Result<()> {
        let name = image.clone();
        self.on_store("delete image", &image.0, move |store| store.delete_image(&name)).await
    }

    async fn open_ports(&self, ports: &[u16]) -> Result<()> {
        let machines: Vec<_> = lock(&self.machines).iter().map(|(id, machine)| (*id, machine.clone())).collect();
        for (id, machine) in machines {
            let new = |spec: &mut MachineSpec| {
                spec.open.extend(ports);
                spec.open.sort_unstable();
                spec.open.dedup();
            };
            machine.change(new).map_err(|error| failed("open ports of", id, &error))?;
            machine.refresh_services();
        }
        Ok(())
    }
}
