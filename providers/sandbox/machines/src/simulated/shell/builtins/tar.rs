//! `tar`, as far as files are copied to machines with it: unpacking a compressed archive from standard input.
//!
//! What GNU's does with what is there: a file or link replaces a file, a link, or an empty folder; a folder that is there gets the
//! mode and owner of the archive's.

use std::io::{self, Read};

use flate2::read::GzDecoder;
use tar::{Archive, Entry, EntryType};
use tokio::sync::mpsc;

use super::super::state::{Call, Flow, Shell};
use crate::simulated::disk::{Accounts, Disk, DiskError, SharedDisk, absolute, join, lock, parent};

/// How many pieces of the archive may wait to be unpacked.
const WAITING: usize = 8;

pub(super) async fn tar(shell: &mut Shell, call: &Call) -> Flow {
    let words: Vec<&str> = call.arguments.iter().map(String::as_str).collect();
    let ["-xzpmf", "-", "-C", folder] = words[..] else {
        return Err(shell.not_simulated(&format!("tar {}", words.join(" "))).await);
    };
    let folder = absolute(&shell.cwd, folder);
    let (sender, pieces) = mpsc::channel(WAITING);
    let disk = shell.host.disk.clone();
    let unpacking =
        tokio::task::spawn_blocking(move || unpack(Pieces { pieces, piece: Vec::new(), at: 0 }, &disk, &folder));
    while let Some(piece) = shell.io.input.read_some().await {
        // Whoever unpacks has seen enough, or too much.
        if sender.send(piece).await.is_err() {
            break;
        }
    }
    drop(sender);
    let errors = unpacking.await.unwrap_or_else(|error| vec![error.to_string()]);
    for error in &errors {
        shell.io.err.write(format!("tar: {error}\n").as_bytes()).await.ok();
    }
    if errors.is_empty() {
        return Ok(0);
    }
    shell.io.err.write(b"tar: Exiting with failure status due to previous errors\n").await.ok();
    Ok(2)
}

struct Pieces {
    pieces: mpsc::Receiver<Vec<u8>>,
    piece: Vec<u8>,
    at: usize,
}

impl Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.at == self.piece.len() {
            let Some(piece) = self.pieces.blocking_recv() else { return Ok(0) };
            (self.piece, self.at) = (piece, 0);
        }
        let count = buffer.len().min(self.piece.len() - self.at);
        buffer[..count].copy_from_slice(&self.piece[self.at..self.at + count]);
        self.at += count;
        Ok(count)
    }
}

/// How many errors are told: a full disk is one for each file.
const ERRORS: usize = 100;

/// What goes wrong, in GNU's words.
fn unpack(input: impl Read, disk: &SharedDisk, folder: &str) -> Vec<String> {
    let mut errors = Vec::new();
    let mut archive = Archive::new(GzDecoder::new(input));
    let entries = match archive.entries() {
        Ok(entries) => entries,
        Err(error) => return vec![error.to_string()],
    };
    for entry in entries {
        let placed = entry
            .map_err(|error| format!("Unexpected EOF in archive: {error}"))
            .and_then(|entry| place(entry, disk, folder));
        match placed {
            Ok(()) => {}
            Err(error) if error.starts_with("Unexpected") => {
                errors.push(error);
                break;
            }
            Err(error) if errors.len() < ERRORS => errors.push(error),
            Err(_) => {}
        }
    }
    // What follows the archive's end still says whether it is whole.
    let rest = io::copy(&mut archive.into_inner(), &mut io::sink());
    if let (Err(error), true) = (rest, errors.is_empty()) {
        errors.push(format!("Unexpected EOF in archive: {error}"));
    }
    errors
}

fn text(bytes: &[u8]) -> Result<String, String> {
    let shown = String::from_utf8_lossy(bytes).into_owned();
    match std::str::from_utf8(bytes) {
        Ok(_) => Ok(shown),
        Err(_) => Err(format!("{shown}: not simulated: this machine's disk has names in UTF-8 only")),
    }
}

fn place(mut entry: Entry<'_, impl Read>, shared: &SharedDisk, folder: &str) -> Result<(), String> {
    let name = text(&entry.path_bytes())?;
    let link = entry.link_name_bytes().map(|link| text(&link)).transpose()?;
    let path = join(folder, name.trim_end_matches('/'));
    let header = entry.header();
    let number = |field: io::Result<u64>| field.map_err(|error| format!("{name}: {error}"));
    let (mode, kind) = (number(header.mode().map(u64::from))? as u32 & 0o7777, header.entry_type());
    let (user, group) = (number(header.uid())?, number(header.gid())?);
    let size = entry.size();
    let mut content = Vec::new();
    if kind == EntryType::Regular {
        if !lock(shared).fits(size) {
            return Err(format!("{name}: Cannot write: {}", DiskError::Full));
        }
        entry.read_to_end(&mut content).map_err(|error| format!("Unexpected EOF in archive: {error}"))?;
    }
    let mut disk = lock(shared);
    let failed = |what: &'static str| {
        let name = name.clone();
        move |error: DiskError| format!("{name}: Cannot {what}: {error}")
    };
    disk.mkdir_all(parent(&path)).map_err(failed("open"))?;
    match kind {
        EntryType::Directory => {
            if !disk.get_link(&path).is_ok_and(|node| node.is_dir()) {
                make_room(&mut disk, &path).and_then(|()| disk.mkdir(&path, mode)).map_err(failed("mkdir"))?;
            }
        }
        EntryType::Regular => {
            make_room(&mut disk, &path).and_then(|()| disk.write(&path, &content)).map_err(failed("open"))?;
        }
        EntryType::Symlink => {
            let target = link.ok_or_else(|| format!("{name}: a link without a text"))?;
            make_room(&mut disk, &path)
                .and_then(|()| disk.symlink(&target, &path))
                .map_err(failed("create symlink"))?;
        }
        _ => return Err(format!("{name}: not simulated: an entry of this kind")),
    }
    let (owner, group) = (Accounts::Users.name(&disk, user), Accounts::Groups.name(&disk, group));
    let change = disk.update_link(&path, |node| {
        (node.owner, node.group) = (owner, group);
        if kind != EntryType::Symlink {
            node.mode = mode;
        }
    });
    change.map_err(failed("change ownership"))
}

/// Removes what is to be replaced.
fn make_room(disk: &mut Disk, path: &str) -> Result<(), DiskError> {
    match disk.get_link(path).map(|node| node.is_dir()) {
        Err(DiskError::NotFound) => Ok(()),
        Err(error) => Err(error),
        Ok(false) => disk.unlink(path),
        Ok(true) => {
            disk.rmdir(path).map_err(|error| if error == DiskError::NotEmpty { DiskError::Exists } else { error })
        }
    }
}
