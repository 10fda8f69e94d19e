//! One machine: its record, its disk and its power.

use std::{
    fs, io,
    path::PathBuf,
    sync::{Arc, Mutex},
};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{
    disk::{self, Disk, SharedDisk, lock},
    record::Record,
};
use crate::{MachineSpec, Power};

/// How much of the console is kept.
const CONSOLE: usize = 64 * 1024;

/// How a machine comes to power.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Start {
    Boot,
    /// It never stopped, as far as anyone outside can tell: the sandbox did.
    Resume,
}

#[derive(Debug)]
pub(super) struct Machine {
    folder: PathBuf,
    record: Mutex<Record>,
    disk: SharedDisk,
    console: Mutex<Vec<u8>>,
    /// What guest and services run on.
    supply: Mutex<Supply>,
    /// Goes up whenever the services should look at their configuration again.
    services: watch::Sender<u64>,
    /// The version of the disk that was written last; held while writing.
    saved: Arc<tokio::sync::Mutex<Option<u64>>>,
}

/// Where a machine's power comes from.
#[derive(Debug)]
enum Supply {
    Off,
    /// Cancelled when the power goes.
    On(CancellationToken),
    /// The machine is destroyed, and has no power any more.
    Gone,
}

impl Machine {
    /// Makes a machine, and its folder, with power off.
    pub(super) async fn create(folder: PathBuf, spec: MachineSpec, disk: Disk) -> io::Result<Arc<Self>> {
        fs::create_dir(&folder)?;
        let machine = Arc::new(Self::assemble(folder, Record::new(spec), disk, Vec::new()));
        machine.save().await?;
        machine.save_record()?;
        Ok(machine)
    }

    /// Finds a machine again, without power; [`Self::had_power`] says whether it is to have it.
    pub(super) fn load(folder: PathBuf) -> io::Result<Arc<Self>> {
        let record = Record::load(&folder.join("machine.json"))?;
        let disk = disk::load(&folder.join("disk"))?;
        let console = fs::read(folder.join("console.log")).unwrap_or_default();
        Ok(Arc::new(Self::assemble(folder, record, disk, console)))
    }

    /// Whether it has power, or had it when the sandbox ended.
    pub(super) fn had_power(&self) -> bool {
        lock(&self.record).power == Power::On
    }

    fn assemble(folder: PathBuf, record: Record, disk: Disk, console: Vec<u8>) -> Self {
        Self {
            folder,
            record: Mutex::new(record),
            disk: Arc::new(Mutex::new(disk)),
            console: Mutex::new(console),
            supply: Mutex::new(Supply::Off),
            services: watch::Sender::new(0),
            saved: Arc::default(),
        }
    }

    /// As the API asked for it.
    pub(super) fn spec(&self) -> MachineSpec {
        lock(&self.record).spec.clone()
    }

    /// Changes what the API asked for.
    pub(super) fn change(&self, change: impl FnOnce(&mut MachineSpec)) -> io::Result<()> {
        change(&mut lock(&self.record).spec);
        self.save_record()
    }

    pub(super) fn disk(&self) -> &SharedDisk {
        &self.disk
    }

    /// Writes a line to the console.
    pub(super) fn log(&self, line: &str) {
        let mut console = lock(&self.console);
        console.extend_from_slice(line.as_bytes());
        console.extend_from_slice(b"\r\n");
        let surplus = console.len().saturating_sub(CONSOLE);
        console.drain(..surplus);
    }

    /// What was written to the console.
    pub(super) fn console(&self) -> String {
        String::from_utf8_lossy(&lock(&self.console)).into_owned()
    }

    /// Lets the services look at their configuration again; those that did not change keep their connections.
    pub(super) fn refresh_services(&self) {
        self.services.send_modify(|count| *count += 1);
    }

    /// Tells when [`Self::refresh_services`] is called.
    pub(super) fn service_changes(&self) -> watch::Receiver<u64> {
        self.services.subscribe()
    }

    /// Whether it has power.
    pub(super) fn power(&self) -> Power {
        if matches!(*lock(&self.supply), Supply::On(_)) { Power::On } else { Power::Off }
    }

    /// Gives it power, if it is off; `None` where it has it already. The token is cancelled when the power goes.
    pub(super) fn switch_on(&self) -> io::Result<Option<CancellationToken>> {
        let token = CancellationToken::new();
        match &mut *lock(&self.supply) {
            supply @ Supply::Off => *supply = Supply::On(token.clone()),
            Supply::On(_) => return Ok(None),
            Supply::Gone => return Err(io::Error::new(io::ErrorKind::NotFound, "it is destroyed")),
        }
        self.set_power(Power::On)?;
        Ok(Some(token))
    }

    /// Cancelled when the power goes that it has now; `None` where it has none.
    pub(super) fn supply(&self) -> Option<CancellationToken> {
        match &*lock(&self.supply) {
            Supply::On(token) => Some(token.clone()),
            Supply::Off | Supply::Gone => None,
        }
    }

    /// Cuts the power, and writes the disk.
    pub(super) async fn power_off(&self) -> io::Result<()> {
        if self.cut(Supply::Off) {
            self.set_power(Power::Off)?;
        }
        self.save().await
    }

    /// Cuts the power for ever. When this returns, nothing is being written, and nothing will be.
    pub(super) async fn retire(&self) {
        self.cut(Supply::Gone);
        drop(self.saved.lock().await);
        drop(lock(&self.record));
    }

    pub(super) fn is_gone(&self) -> bool {
        matches!(*lock(&self.supply), Supply::Gone)
    }

    /// Leaves it without power, and says whether it had any.
    fn cut(&self, left: Supply) -> bool {
        let mut supply = lock(&self.supply);
        if matches!(*supply, Supply::Gone) {
            return false;
        }
        let had = std::mem::replace(&mut *supply, left);
        if let Supply::On(token) = &had {
            token.cancel();
        }
        matches!(had, Supply::On(_))
    }

    /// Gives it another disk; it is off.
    pub(super) async fn replace_disk(&self, disk: Disk) -> io::Result<()> {
        *self.saved.lock().await = None;
        *lock(&self.disk) = disk;
        self.save().await
    }

    /// Writes the disk and the console, if the disk changed since it was written last. What is begun is written to its
    /// end, also when the caller is dropped meanwhile: two that write at once would leave the older disk behind. The last
    /// connections of a destroyed machine have nowhere to write: no error.
    pub(super) async fn save(&self) -> io::Result<()> {
        let mut saved = self.saved.clone().lock_owned().await;
        if self.is_gone() {
            return Ok(());
        }
        let console = lock(&self.console).clone();
        let disk = {
            let disk = lock(&self.disk);
            (*saved != Some(disk.version())).then(|| disk.clone())
        };
        let folder = self.folder.clone();
        let write = move || {
            fs::write(folder.join("console.log"), console)?;
            if let Some(disk) = disk {
                disk::save(&disk, &folder.join("disk"))?;
                *saved = Some(disk.version());
            }
            Ok(())
        };
        tokio::task::spawn_blocking(write).await.map_err(io::Error::other)?
    }

    fn set_power(&self, power: Power) -> io::Result<()> {
        lock(&self.record).power = power;
        self.save_record()
    }

    fn save_record(&self) -> io::Result<()> {
        let record = lock(&self.record);
        if self.is_gone() { Ok(()) } else { record.save(&self.folder.join("machine.json")) }
    }
}
