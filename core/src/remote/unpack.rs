//! A tree on its way to a machine: one compressed archive, over the standard input of one `tar`.
//!
//! A file costs its bytes and no round trip, which is what copies of many small files are made of. Nothing of the archive is
//! kept: a thread reads the files and packs, and waits while the machine is slower. The alternative not taken is SFTP, with
//! several round trips a file and no way to set an owner.

use std::{
    fmt::Write as _,
    fs::File,
    io::{self, Read, Write},
    os::unix::{
        ffi::OsStrExt,
        fs::{MetadataExt, OpenOptionsExt},
    },
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use russh::ChannelMsg;
use tar::{EntryType, Header};
use tokio::{
    sync::mpsc,
    time::{Instant, MissedTickBehavior, interval},
};

use super::{Connection, Exit, RemoteError, exec::signal_text};

/// What unpacks on the machine. Root keeps the numbers of owners that the archive has; `p` sets modes whatever the umask is, `m`
/// leaves the times to the machine's own clock. The paths are in the archive, not in the arguments.
const TAR: &str = "env LC_ALL=C tar -xzpmf - -C /";
/// How much is compressed before it is sent, in bytes.
const PIECE: usize = 32 * 1024;
/// How many pieces may wait to be sent.
const WAITING: usize = 8;
/// How often the caller is told how far it is.
const TELL: Duration = Duration::from_millis(500);
/// How long the machine may take nothing and say nothing.
const SILENCE: Duration = Duration::from_secs(600);
/// How much of what `tar` says is kept, in bytes: a full disk is told once for each file.
const SAID: usize = 8 * 1024;
/// How long a name or a link's text fits into an entry's header, in bytes.
const SHORT: usize = 100;

/// Who owns a file on a machine. Root by default.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Owner {
    /// The user's number.
    pub user: u64,
    /// The group's number.
    pub group: u64,
}

/// One thing that [`Connection::unpack`] creates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upload {
    /// Its absolute path on the machine, without a final slash.
    pub path: PathBuf,
    /// The owner that it gets, by number.
    pub owner: Owner,
    /// A file, a folder or a link, with its permission bits or its text.
    pub kind: UploadKind,
}

/// What is created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UploadKind {
    /// A file that is read on this side.
    File {
        /// The path on this side.
        source: PathBuf,
        /// Its permission bits on the machine.
        mode: u32,
        /// Its length in bytes. One that is shorter or longer when it is read is refused.
        size: u64,
    },
    /// A folder that the machine does not have.
    Directory {
        /// Its permission bits.
        mode: u32,
    },
    /// A symbolic link.
    Symlink {
        /// Where the link points, as it is written into the link.
        target: PathBuf,
    },
}

/// How far a copy is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Copied {
    /// Files, folders and links that were read.
    pub items: u64,
    /// The bytes of the files that were read.
    pub bytes: u64,
}

#[derive(Default)]
struct Counts {
    items: AtomicU64,
    bytes: AtomicU64,
}

impl Counts {
    fn now(&self) -> Copied {
        Copied { items: self.items.load(Ordering::Relaxed), bytes: self.bytes.load(Ordering::Relaxed) }
    }
}

/// Why packing ended early.
enum Stopped {
    /// Nobody takes the archive any more.
    Gone,
    /// A file of this side.
    Local(RemoteError),
}

impl Connection {
    /// Creates files, folders and links in this order. A file or link replaces a file or link of the same name; folders that
    /// the machine has must be left out, or their owner and mode would change.
    ///
    /// # Errors
    ///
    /// - [`RemoteError::Local`] when a file of this side cannot be read, or changes its length meanwhile.
    /// - [`RemoteError::Unpack`] when the machine cannot take them. Some may be there then.
    /// - [`RemoteError::ConnectionLost`], [`RemoteError::Refused`].
    pub async fn unpack(
        &self,
        items: Vec<Upload>,
        on_progress: &mut (dyn FnMut(Copied) + Send),
    ) -> Result<Copied, RemoteError> {
        let channel = self.channel("files").await?;
        channel.exec(true, TAR).await.map_err(|_| self.lost("starting tar", Vec::new()))?;
        let (mut from, to) = channel.split();
        let (counts, all) = (Arc::new(Counts::default()), items.len() as u64);
        let (sender, mut pieces) = mpsc::channel::<Bytes>(WAITING);
        let packing = tokio::task::spawn_blocking({
            let counts = Arc::clone(&counts);
            move || pack(&items, sender, &counts)
        });
        let send = async {
            while let Some(piece) = pieces.recv().await {
                if to.data_bytes(piece).await.is_err() {
                    break;
                }
            }
            drop(pieces);
            match packing.await {
                // Only a whole archive gets its end of file: what was cut off must not pass for a smaller one.
                Ok(Ok(())) => to.eof().await.ok(),
                // Why nobody takes it is what the machine says.
                Ok(Err(Stopped::Gone)) => None,
                Ok(Err(Stopped::Local(error))) => {
                    to.close().await.ok();
                    return Err(error);
                }
                // The task is never aborted, so it only fails when it panics.
                Err(panic) => std::panic::resume_unwind(panic.into_panic()),
            };
            Ok(())
        };
        tokio::pin!(send);
        let mut sending = true;
        let (mut said, mut exit) = (Vec::new(), None);
        let (mut last, mut moved) = (Copied::default(), Instant::now());
        let mut tick = interval(TELL);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let message = tokio::select! {
                sent = &mut send, if sending => {
                    sent?;
                    sending = false;
                    continue;
                }
                message = from.wait() => message,
                _ = tick.tick() => {
                    let now = counts.now();
                    if now != last {
                        (last, moved) = (now, Instant::now());
                        on_progress(now);
                    } else if moved.elapsed() > SILENCE {
                        let reason = format!("it has taken nothing for {} s", SILENCE.as_secs());
                        return Err(RemoteError::Unpack { reason });
                    }
                    continue;
                }
            };
            match message {
                Some(ChannelMsg::Data { data } | ChannelMsg::ExtendedData { data, .. }) => {
                    said.extend_from_slice(&data[..data.len().min(SAID.saturating_sub(said.len()))]);
                }
                Some(ChannelMsg::ExitStatus { exit_status }) => exit = Some(Exit::Status(exit_status)),
                Some(ChannelMsg::ExitSignal { signal_name, .. }) => {
                    exit = Some(Exit::Signal(signal_text(&signal_name)))
                }
                Some(ChannelMsg::Failure) => {
                    return Err(RemoteError::Refused { endpoint: self.endpoint, what: "to run tar".to_owned() });
                }
                Some(ChannelMsg::Close) | None => break,
                Some(_) => {}
            }
        }
        match exit {
            None => Err(self.lost("copying files", lines(&said))),
            Some(exit) if exit.is_success() && counts.now().items == all => Ok(counts.now()),
            Some(exit) => Err(RemoteError::Unpack { reason: reason(&exit, &lines(&said)) }),
        }
    }
}

fn lines(said: &[u8]) -> Vec<String> {
    String::from_utf8_lossy(said).lines().map(str::to_owned).collect()
}

/// What `tar` makes of its failure, in a few words: the first errors, and not what it says about itself.
fn reason(exit: &Exit, said: &[String]) -> String {
    if *exit == Exit::Status(127) {
        return "it has no `tar`".to_owned();
    }
    if said.iter().any(|line| line.contains("gzip") && (line.contains("exec") || line.contains("not found"))) {
        return "it has no `gzip`".to_owned();
    }
    let own = ["Exiting with failure status", "Error is not recoverable", "Child returned status"];
    let errors: Vec<&str> = said
        .iter()
        .filter(|line| !own.iter().any(|own| line.contains(own)))
        .map(|line| line.strip_prefix("tar: ").unwrap_or(line))
        .collect();
    let mut text = errors.iter().take(3).copied().collect::<Vec<_>>().join("; ");
    if errors.len() > 3 {
        let _ = write!(text, "; and {} more", errors.len() - 3);
    }
    if text.is_empty() { format!("tar: {exit}") } else { text }
}

/// Sends what is written to it, and fails when nobody takes it any more.
struct Pieces(mpsc::Sender<Bytes>);

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let sent = self.0.blocking_send(Bytes::copy_from_slice(bytes));
        sent.map(|()| bytes.len()).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes the archive. Blocking.
fn pack(items: &[Upload], to: mpsc::Sender<Bytes>, counts: &Counts) -> Result<(), Stopped> {
    let out = io::BufWriter::with_capacity(PIECE, Pieces(to));
    let mut archive = tar::Builder::new(GzEncoder::new(out, Compression::fast()));
    for item in items {
        add(&mut archive, item, counts)?;
        counts.items.fetch_add(1, Ordering::Relaxed);
    }
    let ended = archive.into_inner().and_then(GzEncoder::finish).and_then(|mut out| out.flush());
    ended.map_err(|_| Stopped::Gone)
}

fn add(archive: &mut tar::Builder<impl Write>, item: &Upload, counts: &Counts) -> Result<(), Stopped> {
    let mut header = Header::new_gnu();
    header.set_uid(item.owner.user);
    header.set_gid(item.owner.group);
    header.set_size(0);
    let path = item.path.strip_prefix("/").unwrap_or(&item.path);
    match &item.kind {
        UploadKind::File { source, mode, size } => {
            header.set_entry_type(EntryType::Regular);
            header.set_mode(*mode);
            header.set_size(*size);
            let mut content = Content::open(source, *size, counts).map_err(|error| stopped(source, error))?;
            let added = archive.append_data(&mut header, path, &mut content);
            content.whole().map_err(|error| stopped(source, error))?;
            added.map_err(|_| Stopped::Gone)
        }
        UploadKind::Directory { mode } => {
            header.set_entry_type(EntryType::Directory);
            header.set_mode(*mode);
            archive.append_data(&mut header, path, io::empty()).map_err(|_| Stopped::Gone)
        }
        UploadKind::Symlink { target } => {
            header.set_entry_type(EntryType::Symlink);
            header.set_mode(0o777);
            add_link_text(archive, &mut header, target.as_os_str().as_bytes()).map_err(|_| Stopped::Gone)?;
            archive.append_data(&mut header, path, io::empty()).map_err(|_| Stopped::Gone)
        }
    }
}

/// Writes where a link leads, byte for byte: the archive's own way would tidy up `a//b` and `./a`.
fn add_link_text(archive: &mut tar::Builder<impl Write>, header: &mut Header, text: &[u8]) -> io::Result<()> {
    if text.len() <= SHORT {
        return header.set_link_name_literal(text);
    }
    let mut long = Header::new_gnu();
    long.set_entry_type(EntryType::GNULongLink);
    long.set_path("././@LongLink")?;
    long.set_mode(0);
    long.set_uid(0);
    long.set_gid(0);
    long.set_mtime(0);
    long.set_size(text.len() as u64 + 1);
    long.set_cksum();
    archive.append(&long, text.chain(&[0][..]))?;
    header.set_link_name_literal(&text[..SHORT])
}

fn stopped(path: &Path, source: io::Error) -> Stopped {
    Stopped::Local(RemoteError::Local { path: path.display().to_string(), source })
}

/// The content of a file, which must have the length that its header says: the archive has no way back.
struct Content<'a> {
    file: File,
    left: u64,
    counts: &'a Counts,
    failed: Option<io::Error>,
}

impl<'a> Content<'a> {
    fn open(path: &Path, size: u64, counts: &'a Counts) -> io::Result<Self> {
        // A pipe that took the file's place would block whoever opens it.
        let nonblocking = nix::fcntl::OFlag::O_NONBLOCK.bits();
        let file = File::options().read(true).custom_flags(nonblocking).open(path)?;
        let metadata = file.metadata()?;
        if !metadata.is_file() || metadata.size() != size {
            return Err(changed());
        }
        Ok(Self { file, left: size, counts, failed: None })
    }

    /// Fails unless exactly so many bytes were read as there are.
    fn whole(mut self) -> io::Result<()> {
        match self.failed {
            Some(error) => Err(error),
            None if self.left == 0 && self.file.read(&mut [0])? > 0 => Err(changed()),
            None => Ok(()),
        }
    }
}

impl Read for Content<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = buffer.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let read = match self.file.read(&mut buffer[..most]) {
            Ok(0) if most > 0 => Err(changed()),
            other => other,
        };
        match read {
            Ok(count) => {
                self.left -= count as u64;
                self.counts.bytes.fetch_add(count as u64, Ordering::Relaxed);
                Ok(count)
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Err(error),
            Err(error) => {
                self.failed = Some(error);
                Err(io::ErrorKind::Other.into())
            }
        }
    }
}

fn changed() -> io::Error {
    io::Error::other("the file changes while it is copied: its fingerprint would be wrong")
}

#[cfg(test)]
#[path = "unpack_tests.rs"]
mod tests;
