//! `scp` in its own protocol, as `scp -O` and older clients speak it: both sides of a copy.
//!
//! The sending side writes `T` lines (times), `C` lines (a file, whose bytes follow), `D` and `E` lines (into a folder, and out of it).
//! The receiving side answers each with a zero, or with a 1 and a line that says what went wrong.

use futures::future::BoxFuture;

use super::super::state::{Call, Flow, Shell};
use crate::simulated::disk::{DiskError, Node, absolute, basename, join, lock};

/// How many bytes of a file are in memory at once.
const PIECE: usize = 1 << 20;

/// What a new file may be used for by default, as by a umask of 022.
const UMASK: u32 = 0o022;

/// Nobody is at the other end any more, or what it says makes no sense.
struct Lost;

pub(super) async fn scp(shell: &mut Shell, call: &Call) -> Flow {
    let (times, tree) = (call.words.has("p"), call.words.has("r"));
    let mut copy = Copy { shell, times, tree, failed: false };
    let done = match call.words.operands.as_slice() {
        sources if call.words.has("f") => copy.send(sources).await,
        [target] if call.words.has("t") => copy.receive(target, call.words.has("d")).await,
        _ => return Err(shell.not_simulated("scp from a machine to another").await),
    };
    Ok(i32::from(done.is_err() || copy.failed))
}

struct Copy<'a> {
    shell: &'a mut Shell,
    times: bool,
    tree: bool,
    failed: bool,
}

impl Copy<'_> {
    async fn write(&self, bytes: &[u8]) -> Result<(), Lost> {
        self.shell.io.out.write(bytes).await.map_err(|_| Lost)
    }

    /// Tells the other side what went wrong.
    async fn complain(&mut self, message: String) -> Result<(), Lost> {
        self.failed = true;
        self.write(format!("\u{1}scp: {message}\n").as_bytes()).await
    }

    /// Whether the other side agrees. It prints itself what is wrong with it.
    async fn agreed(&mut self) -> Result<bool, Lost> {
        match self.shell.io.input.read_exact(1).await.first() {
            Some(0) => Ok(true),
            Some(1) => {
                self.shell.io.input.read_line().await;
                self.failed = true;
                Ok(false)
            }
            _ => Err(Lost),
        }
    }

    async fn send(&mut self, sources: &[String]) -> Result<(), Lost> {
        self.agreed().await?;
        for source in sources {
            let path = absolute(&self.shell.cwd, source);
            self.send_one(&path, source).await?;
        }
        Ok(())
    }

    /// Sends what is at a path; `shown` is how it was asked for.
    fn send_one<'a>(&'a mut self, path: &'a str, shown: &'a str) -> BoxFuture<'a, Result<(), Lost>> {
        Box::pin(async move {
            let found = lock(&self.shell.host.disk).get(path).cloned();
            let node = match found {
                Ok(node) => node,
                Err(error) => return self.complain(format!("{shown}: {error}")).await,
            };
            if node.is_dir() && !self.tree {
                return self.complain(format!("{shown}: not a regular file")).await;
            }
            let (name, time) = (basename(path).to_owned(), node.mtime);
            if self.times && !self.said(format!("T{time} 0 {time} 0\n")).await? {
                return Ok(());
            }
            if node.is_dir() {
                self.send_folder(path, &node, &name).await
            } else {
                self.send_file(path, &node, &name).await
            }
        })
    }

    /// Writes a line; whether the other side agrees to it.
    async fn said(&mut self, line: String) -> Result<bool, Lost> {
        self.write(line.as_bytes()).await?;
        self.agreed().await
    }

    async fn send_file(&mut self, path: &str, node: &Node, name: &str) -> Result<(), Lost> {
        let read = lock(&self.shell.host.disk).read(path);
        let data = match read {
            Ok(data) => data,
            Err(error) => return self.complain(format!("{path}: {error}")).await,
        };
        if self.said(format!("C{:04o} {} {name}\n", node.mode, data.len())).await? {
            for piece in data.chunks(PIECE) {
                self.write(piece).await?;
            }
            self.write(&[0]).await?;
            self.agreed().await?;
        }
        Ok(())
    }

    async fn send_folder(&mut self, path: &str, node: &Node, name: &str) -> Result<(), Lost> {
        if self.said(format!("D{:04o} 0 {name}\n", node.mode)).await? {
            let names = lock(&self.shell.host.disk).list(path).unwrap_or_default();
            for name in names {
                let below = join(path, &name);
                self.send_one(&below, &below).await?;
            }
            self.said("E\n".to_owned()).await?;
        }
        Ok(())
    }

    async fn receive(&mut self, target: &str, into_folder: bool) -> Result<(), Lost> {
        let path = absolute(&self.shell.cwd, target);
        if into_folder && !lock(&self.shell.host.disk).is_dir(&path) {
            return self.complain(format!("{target}: Not a directory")).await;
        }
        self.write(&[0]).await?;
        self.receive_into(&path).await
    }

    /// Receives what comes until the folder ends, or all does.
    fn receive_into<'a>(&'a mut self, target: &'a str) -> BoxFuture<'a, Result<(), Lost>> {
        Box::pin(async move {
            let is_folder = lock(&self.shell.host.disk).is_dir(target);
            let mut time = None;
            while let Some(line) = self.shell.io.input.read_line().await {
                let line = String::from_utf8_lossy(&line).trim_end_matches('\n').to_owned();
                let Some(kind) = line.chars().next() else { return Err(Lost) };
                let rest = &line[kind.len_utf8()..];
                match (kind, rest.splitn(3, ' ').collect::<Vec<_>>().as_slice()) {
                    // What the other side could not read; it says so itself.
                    ('\u{1}', _) => self.failed = true,
                    ('E', _) => return self.write(&[0]).await,
                    ('T', [seconds, ..]) => {
                        time = seconds.parse().ok();
                        self.write(&[0]).await?;
                    }
                    ('C' | 'D', [mode, size, name]) => {
                        let (Ok(mode), Ok(size)) = (u32::from_str_radix(mode, 8), size.parse()) else {
                            return Err(Lost);
                        };
                        let path = if is_folder { join(target, basename(name)) } else { target.to_owned() };
                        let made = match kind {
                            'C' => self.receive_file(&path, mode, size).await?,
                            _ => self.receive_folder(&path, mode).await?,
                        };
                        let settled = made.and_then(|()| self.settle(&path, mode, time.take()));
                        match settled {
                            Ok(()) if kind == 'C' => self.write(&[0]).await?,
                            Ok(()) => {}
                            Err(error) => self.complain(format!("{path}: {error}")).await?,
                        }
                    }
                    _ => {
                        self.complain(format!("protocol error: {line}")).await?;
                        return Err(Lost);
                    }
                }
            }
            Ok(())
        })
    }

    /// With `-p`, mode and time are the source's; otherwise a file that was there keeps its mode.
    fn settle(&self, path: &str, mode: u32, time: Option<u64>) -> Result<(), DiskError> {
        if !self.times {
            return Ok(());
        }
        lock(&self.shell.host.disk).update(path, |node| {
            node.mode = mode & 0o7777;
            node.mtime = time.unwrap_or(node.mtime);
        })
    }

    /// The outer error is the connection's, the inner one the disk's. All bytes of the file are taken, whatever becomes of them.
    async fn receive_file(&mut self, path: &str, mode: u32, size: usize) -> Result<Result<(), DiskError>, Lost> {
        let opened = {
            let mut disk = lock(&self.shell.host.disk);
            disk.edit(path, mode & 0o777 & !UMASK, Vec::clear)
        };
        if let Err(error) = opened {
            return Ok(Err(error));
        }
        self.write(&[0]).await?;
        let (mut left, mut written) = (size, Ok(()));
        while left > 0 {
            let piece = self.shell.io.input.read_exact(left.min(PIECE)).await;
            if piece.is_empty() {
                return Err(Lost);
            }
            left -= piece.len();
            written = written.and_then(|()| lock(&self.shell.host.disk).append(path, &piece));
        }
        // How it went on the other side.
        self.agreed().await?;
        Ok(written)
    }

    async fn receive_folder(&mut self, path: &str, mode: u32) -> Result<Result<(), DiskError>, Lost> {
        let made = {
            let mut disk = lock(&self.shell.host.disk);
            if disk.is_dir(path) { Ok(()) } else { disk.mkdir(path, (mode | 0o700) & 0o777 & !UMASK) }
        };
        if made.is_ok() {
            self.write(&[0]).await?;
            self.receive_into(path).await?;
        }
        Ok(made)
    }
}
