//! Slots: which 127.SLOT.x.y a sandbox has its addresses from.
//!
//! A slot is claimed by a lock on a file in a folder that all sandboxes of the user share, whatever their roots are. The
//! file also names the owner's folder, so that a stopped sandbox keeps its slot as long as its folder says so. Sandboxes
//! of other users are noticed by a socket that each sandbox holds on an address of its slot.

use std::{
    fs::{self, File, OpenOptions},
    io::{Read as _, Seek as _, SeekFrom, Write as _},
    net::{Ipv4Addr, TcpListener},
    ops::RangeInclusive,
    os::unix::{
        ffi::OsStrExt as _,
        fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _},
    },
    path::{Path, PathBuf},
};

use super::{Folder, Record, Result, SandboxError};

/// The slots that sandboxes take.
pub(super) const SLOTS: RangeInclusive<u8> = 16..=250;

/// The port of the socket that shows other users that a slot is taken.
const MARK: u16 = 7069;

/// A slot that is ours until this is dropped.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) number: u8,
    _lock: File,
    _mark: TcpListener,
}

impl Slot {
    /// An address of the slot that no droplet and no reserved IP gets.
    pub(super) fn own_address(number: u8) -> Ipv4Addr {
        Ipv4Addr::new(127, number, 0, 1)
    }
}

/// Claims the slot that the sandbox had, or the first free one.
pub(super) fn claim(folder: &Folder, had: Option<u8>) -> Result<Slot> {
    claim_in(&runtime_dir()?, folder, had)
}

fn claim_in(dir: &Path, folder: &Folder, had: Option<u8>) -> Result<Slot> {
    if let Some(number) = had {
        return try_claim(dir, folder, number)?.map_err(|holder| SandboxError::SlotTaken { slot: number, holder });
    }
    for number in SLOTS {
        if let Ok(slot) = try_claim(dir, folder, number)? {
            return Ok(slot);
        }
    }
    Err(SandboxError::NoSlot)
}

/// The slot, or who has it.
fn try_claim(dir: &Path, folder: &Folder, number: u8) -> Result<std::result::Result<Slot, String>> {
    let path = dir.join(number.to_string());
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)
        .map_err(SandboxError::file("open", &path))?;
    let mut owner = Vec::new();
    file.read_to_end(&mut owner).map_err(SandboxError::file("read", &path))?;
    let owner = PathBuf::from(std::ffi::OsStr::from_bytes(&owner));
    match file.try_lock() {
        Ok(()) => {}
        Err(fs::TryLockError::WouldBlock) => return Ok(Err(format!("the sandbox in {}", owner.display()))),
        Err(fs::TryLockError::Error(error)) => return Err(SandboxError::file("lock", &path)(error)),
    }
    if owner != folder.path() && keeps(&owner, number) {
        return Ok(Err(format!("the stopped sandbox in {}", owner.display())));
    }
    let Ok(mark) = TcpListener::bind((Slot::own_address(number), MARK)) else {
        return Ok(Err("another user's sandbox".to_owned()));
    };
    let write = |file: &mut File| -> std::io::Result<()> {
        file.set_len(0)?;
        file.seek(SeekFrom::Start(0))?;
        file.write_all(folder.path().as_os_str().as_bytes())
    };
    write(&mut file).map_err(SandboxError::file("write", &path))?;
    Ok(Ok(Slot { number, _lock: file, _mark: mark }))
}

/// Whether the sandbox in that folder, which does not run, still has addresses in the slot.
fn keeps(owner: &Path, number: u8) -> bool {
    let (Some(root), Some(name)) = (owner.parent(), owner.file_name().and_then(|name| name.to_str())) else {
        return false;
    };
    let record = Folder::below(root, name).and_then(|folder| Record::read(&folder));
    matches!(record, Ok(Some(record)) if record.slot == number)
}

/// The folder of the lock files: `$XDG_RUNTIME_DIR/remint/slots`, else one in `/tmp` that belongs to this user alone.
fn runtime_dir() -> Result<PathBuf> {
    let uid = nix::unistd::getuid();
    let base = match std::env::var_os("XDG_RUNTIME_DIR").filter(|value| !value.is_empty()) {
        Some(dir) if Path::new(&dir).is_dir() => PathBuf::from(dir).join("remint"),
        _ => PathBuf::from(format!("/tmp/remint-{uid}")),
    };
    let dir = base.join("slots");
    fs::DirBuilder::new().recursive(true).mode(0o700).create(&dir).map_err(SandboxError::file("make", &dir))?;
    // /tmp is everyone's: a folder that somebody else has put there is not to be trusted.
    let metadata = fs::symlink_metadata(&base).map_err(SandboxError::file("look at", &base))?;
    if !metadata.is_dir() || metadata.uid() != uid.as_raw() {
        return Err(SandboxError::Setting(format!(
            "{} does not belong to this user: remove it, or set XDG_RUNTIME_DIR",
            base.display()
        )));
    }
    Ok(dir)
}

#[cfg(test)]
mod tests {
    use remint_core::provider::PortMap;

    use super::*;
    use crate::process::Kind;

    fn folder(root: &Path, name: &str) -> Folder {
        let folder = Folder::below(root, name).unwrap();
        folder.make().unwrap();
        folder
    }

    fn record(folder: &Folder, slot: u8) {
        let address = "127.0.0.1:1".parse().unwrap();
        let (version, kind, ports) = (1, Kind::Simulated, PortMap::default());
        Record { version, pid: 1, api: address, dns: address, slot, kind, ports }.write(folder).unwrap();
    }

    #[test]
    fn two_sandboxes_never_share_a_slot_and_a_stopped_one_keeps_its_own() {
        let dir = tempfile::tempdir().unwrap();
        let (one, two) = (folder(dir.path(), "one"), folder(dir.path(), "two"));
        let locks = dir.path().join("locks");
        fs::create_dir(&locks).unwrap();
        let first = claim_in(&locks, &one, None).unwrap();
        let second = claim_in(&locks, &two, None).unwrap();
        assert!(SLOTS.contains(&first.number) && second.number > first.number);
        let taken = claim_in(&locks, &two, Some(first.number)).unwrap_err();
        assert!(taken.to_string().contains("one"), "{taken}");

        // Stopped with its record: kept. Its folder gone: free.
        record(&one, first.number);
        let number = first.number;
        drop((first, second));
        assert!(claim_in(&locks, &two, Some(number)).is_err());
        assert_eq!(claim_in(&locks, &one, Some(number)).unwrap().number, number);
        fs::remove_dir_all(one.path()).unwrap();
        assert_eq!(claim_in(&locks, &two, Some(number)).unwrap().number, number);
    }

    #[test]
    fn a_slot_of_another_user_is_noticed_by_its_socket() {
        let dir = tempfile::tempdir().unwrap();
        let one = folder(dir.path(), "one");
        let (theirs, ours) = (dir.path().join("theirs"), dir.path().join("ours"));
        fs::create_dir(&theirs).unwrap();
        fs::create_dir(&ours).unwrap();
        let held = claim_in(&theirs, &one, None).unwrap();
        let error = claim_in(&ours, &one, Some(held.number)).unwrap_err();
        assert!(error.to_string().contains("another user's sandbox"), "{error}");
        assert_ne!(claim_in(&ours, &one, None).unwrap().number, held.number);
    }
}
