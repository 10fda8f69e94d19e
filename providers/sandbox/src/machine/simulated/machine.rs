//! One machine: its record, its disk and its power.

use std::{
    fs, io,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{
    disk::{self, Disk},
    guest,
    record::Record,
};
use crate::machine::{MachineSpec, Power};

/// How much of the console is kept.
const CONSOLE: usize = 64 * 1024;

/// How long an orderly shutdown takes, so that whoever asks for one sees the machine still running for a moment.
const SHUTDOWN: Duration = Duration::from_millis(100);

/// A disk that the guest's parts share.
pub(super) type SharedDisk = Arc<Mutex<Disk>>;

/// Locks, also after a panic of another holder: every change here is whole by itself.
pub(super) fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How a machine comes to power.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Start {
    /// It boots.
    Boot,
    /// It never stopped, as far as anyone outside can tell: the sandbox did.
    Resume,
}

/// One machine.
#[derive(Debug)]
pub(super) struct Machine {
    folder: PathBuf,
    record: Mutex<Record>,
    disk: SharedDisk,
    console: Mutex<Vec<u8>>,
    /// Cancelled when the power goes; `None` while it is off.
    power: Mutex<Option<CancellationToken>>,
    /// Goes up whenever the services should look at their configuration again.
    services: watch::Sender<u64>,
    /// The version of the disk that was written last; held while writing.
    saved: tokio::sync::Mutex<Option<u64>>,
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

    /// Finds a machine again; one that had power gets it back.
    pub(super) fn load(folder: PathBuf) -> io::Result<Arc<Self>> {
        let record = Record::load(&folder.join("machine.json"))?;
        let disk = disk::load(&folder.join("disk"))?;
        let console = fs::read(folder.join("console.log")).unwrap_or_default();
        let power = record.power;
        let machine = Arc::new(Self::assemble(folder, record, disk, console));
        if power == Power::On {
            machine.start(Start::Resume)?;
        }
        Ok(machine)
    }

    fn assemble(folder: PathBuf, record: Record, disk: Disk, console: Vec<u8>) -> Self {
        Self {
            folder,
            record: Mutex::new(record),
            disk: Arc::new(Mutex::new(disk)),
            console: Mutex::new(console),
            power: Mutex::new(None),
            services: watch::Sender::new(0),
            saved: tokio::sync::Mutex::new(None),
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

    /// The disk.
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
        if lock(&self.power).is_some() { Power::On } else { Power::Off }
    }

    /// Switches on, if it is off.
    pub(super) fn start(self: &Arc<Self>, how: Start) -> io::Result<()> {
        let token = {
            let mut power = lock(&self.power);
            if power.is_some() {
                return Ok(());
            }
            power.insert(CancellationToken::new()).clone()
        };
        self.set_power(Power::On)?;
        guest::run(self.clone(), token, how);
        Ok(())
    }

    /// Cuts the power, and writes the disk.
    pub(super) async fn power_off(&self) -> io::Result<()> {
        let token = lock(&self.power).take();
        if let Some(token) = token {
            token.cancel();
            self.set_power(Power::Off)?;
        }
        self.save().await
    }

    /// Shuts down in order, and starts again if `again`; returns at once.
    pub(super) fn shutdown(self: &Arc<Self>, again: bool) {
        let Some(token) = lock(&self.power).clone() else { return };
        let machine = self.clone();
        tokio::spawn(async move {
            machine.log(if again { "reboot: Restarting system" } else { "reboot: Power down" });
            // The power may be cut, and come again, meanwhile: then this shutdown has nothing left to do.
            tokio::select! {
                () = token.cancelled() => return,
                () = tokio::time::sleep(SHUTDOWN) => {}
            }
            let done = async {
                machine.power_off().await?;
                if again { machine.start(Start::Boot) } else { Ok(()) }
            };
            if let Err(error) = done.await {
                tracing::error!(machine = %machine.folder.display(), %error, "cannot keep a simulated machine");
            }
        });
    }

    /// Gives it another disk; it is off.
    pub(super) async fn replace_disk(&self, disk: Disk) -> io::Result<()> {
        *self.saved.lock().await = None;
        *lock(&self.disk) = disk;
        self.save().await
    }

    /// Writes the disk and the console, if the disk changed since it was written last.
    pub(super) async fn save(&self) -> io::Result<()> {
        let mut saved = self.saved.lock().await;
        fs::write(self.folder.join("console.log"), &*lock(&self.console)).or_else(|error| self.unless_gone(error))?;
        let disk = {
            let disk = lock(&self.disk);
            if *saved == Some(disk.version()) {
                return Ok(());
            }
            disk.clone()
        };
        let file = self.folder.join("disk");
        let version = disk.version();
        tokio::task::spawn_blocking(move || disk::save(&disk, &file))
            .await
            .map_err(io::Error::other)?
            .or_else(|error| self.unless_gone(error))?;
        *saved = Some(version);
        Ok(())
    }

    /// A destroyed machine's folder is gone, and its last connections have nowhere to write: no error.
    fn unless_gone(&self, error: io::Error) -> io::Result<()> {
        if self.folder.exists() { Err(error) } else { Ok(()) }
    }

    fn set_power(&self, power: Power) -> io::Result<()> {
        lock(&self.record).power = power;
        self.save_record()
    }

    fn save_record(&self) -> io::Result<()> {
        let record = lock(&self.record);
        record.save(&self.folder.join("machine.json")).or_else(|error| self.unless_gone(error))
    }
}
