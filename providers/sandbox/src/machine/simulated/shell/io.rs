//! Where commands read from and write to.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use tokio::sync::mpsc;

use super::super::machine::{SharedDisk, lock};

/// What a command that is read as a whole may be given, and what a substitution or pipe may hold.
const LIMIT: usize = 64 * 1024 * 1024;

#[derive(Debug)]
struct Source {
    buffer: Vec<u8>,
    at: usize,
    more: Option<mpsc::Receiver<Bytes>>,
}

/// An input, shared by the commands that inherit it.
#[derive(Debug, Clone)]
pub(in super::super) struct Input(Arc<tokio::sync::Mutex<Source>>);

impl Input {
    /// What is all there already.
    pub(in super::super) fn bytes(buffer: Vec<u8>) -> Self {
        Self(Arc::new(tokio::sync::Mutex::new(Source { buffer, at: 0, more: None })))
    }

    /// Nothing.
    pub(in super::super) fn empty() -> Self {
        Self::bytes(Vec::new())
    }

    /// What a client sends.
    pub(in super::super) fn stream(more: mpsc::Receiver<Bytes>) -> Self {
        Self(Arc::new(tokio::sync::Mutex::new(Source { buffer: Vec::new(), at: 0, more: Some(more) })))
    }

    /// All that is left.
    pub(super) async fn read_all(&self) -> Vec<u8> {
        let mut source = self.0.lock().await;
        while source.fill().await {}
        let at = source.at;
        source.at = source.buffer.len();
        source.buffer[at..].to_vec()
    }

    /// The next piece, as it comes; `None` at the end.
    pub(super) async fn read_some(&self) -> Option<Vec<u8>> {
        let mut source = self.0.lock().await;
        if source.at == source.buffer.len() && !source.fill().await {
            return None;
        }
        let at = source.at;
        let piece = source.buffer.split_off(at);
        source.buffer.clear();
        source.at = 0;
        Some(piece)
    }

    /// Exactly so many bytes, fewer at the end.
    pub(super) async fn read_exact(&self, count: usize) -> Vec<u8> {
        let mut source = self.0.lock().await;
        while source.buffer.len() - source.at < count && source.fill().await {}
        let end = source.buffer.len().min(source.at + count);
        let piece = source.buffer[source.at..end].to_vec();
        source.at = end;
        piece
    }

    /// The next line with its newline; `None` at the end.
    pub(super) async fn read_line(&self) -> Option<Vec<u8>> {
        let mut source = self.0.lock().await;
        loop {
            let rest = &source.buffer[source.at..];
            if let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
                let line = rest[..=end].to_vec();
                source.at += end + 1;
                return Some(line);
            }
            if !source.fill().await {
                let line = source.buffer[source.at..].to_vec();
                source.at = source.buffer.len();
                return (!line.is_empty()).then_some(line);
            }
        }
    }
}

impl Source {
    async fn fill(&mut self) -> bool {
        let Some(more) = &mut self.more else { return false };
        if self.buffer.len() > LIMIT {
            return false;
        }
        match more.recv().await {
            Some(bytes) => {
                self.buffer.extend_from_slice(&bytes);
                true
            }
            None => false,
        }
    }
}

/// An output.
#[derive(Debug, Clone)]
pub(in super::super) enum Output {
    /// To a client, as it is written.
    Stream(mpsc::Sender<Bytes>),
    /// Into memory.
    Buffer(Arc<Mutex<Vec<u8>>>),
    /// To the end of a file.
    File {
        /// The disk.
        disk: SharedDisk,
        /// The file.
        path: String,
    },
    /// Nowhere.
    Null,
}

impl Output {
    /// A buffer, and the output that fills it.
    pub(in super::super) fn buffer() -> (Arc<Mutex<Vec<u8>>>, Self) {
        let buffer = Arc::new(Mutex::new(Vec::new()));
        (buffer.clone(), Self::Buffer(buffer))
    }

    /// Writes; the error is what a command would say of it.
    pub(super) async fn write(&self, bytes: &[u8]) -> Result<(), String> {
        if bytes.is_empty() {
            return Ok(());
        }
        match self {
            Self::Null => Ok(()),
            Self::Stream(sender) => {
                sender.send(Bytes::copy_from_slice(bytes)).await.map_err(|_| "Broken pipe".to_owned())
            }
            Self::Buffer(buffer) => {
                let mut buffer = lock(buffer);
                if buffer.len() + bytes.len() > LIMIT {
                    return Err("Broken pipe".to_owned());
                }
                buffer.extend_from_slice(bytes);
                Ok(())
            }
            Self::File { disk, path } => lock(disk).append(path, bytes).map_err(|error| error.to_string()),
        }
    }
}

/// The three descriptors of a command.
#[derive(Debug, Clone)]
pub(super) struct Io {
    pub(super) input: Input,
    pub(super) out: Output,
    pub(super) err: Output,
}
