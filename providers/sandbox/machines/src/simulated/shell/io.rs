//! Where commands read from and write to.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use tokio::sync::mpsc;

use super::limits::{Charge, HELD, Limits};
use crate::simulated::disk::{SharedDisk, lock};

#[derive(Debug)]
struct Source {
    buffer: Vec<u8>,
    at: usize,
    more: Option<mpsc::Receiver<Bytes>>,
    /// Of what it holds; none where that is nothing.
    charge: Option<Charge>,
}

impl Source {
    fn input(buffer: Vec<u8>, more: Option<mpsc::Receiver<Bytes>>, charge: Option<Charge>) -> Input {
        Input(Arc::new(tokio::sync::Mutex::new(Self { buffer, at: 0, more, charge })))
    }
}

/// An input, shared by the commands that inherit it.
#[derive(Debug, Clone)]
pub(crate) struct Input(Arc<tokio::sync::Mutex<Source>>);

impl Input {
    /// What is all there already.
    pub(crate) fn bytes(buffer: Vec<u8>, limits: &Limits) -> Self {
        let charge = limits.charge(buffer.len());
        Source::input(buffer, None, Some(charge))
    }

    /// What another command has written.
    pub(super) fn written(held: Held) -> Self {
        Source::input(held.bytes, None, Some(held.charge))
    }

    /// Nothing.
    pub(crate) fn empty() -> Self {
        Source::input(Vec::new(), None, None)
    }

    /// What a client sends.
    pub(crate) fn stream(more: mpsc::Receiver<Bytes>, limits: &Limits) -> Self {
        Source::input(Vec::new(), Some(more), Some(limits.charge(0)))
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
        if let Some(charge) = &mut source.charge {
            charge.set(0);
        }
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
        if self.at > HELD / 2 {
            // What was read line by line is behind us.
            self.buffer.drain(..self.at);
            self.at = 0;
        }
        if self.buffer.len() > HELD {
            return false;
        }
        match more.recv().await {
            Some(bytes) => {
                self.buffer.extend_from_slice(&bytes);
                if let Some(charge) = &mut self.charge {
                    charge.set(self.buffer.len());
                }
                true
            }
            None => false,
        }
    }
}

/// What was written into memory, and its charge.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) bytes: Vec<u8>,
    charge: Charge,
}

impl Held {
    /// Takes what is there, and its charge with it.
    pub(super) fn take(&mut self) -> Self {
        let mut charge = self.charge.clone();
        std::mem::swap(&mut charge, &mut self.charge);
        self.charge.set(0);
        Self { bytes: std::mem::take(&mut self.bytes), charge }
    }
}

#[derive(Debug, Clone)]
pub(crate) enum Output {
    /// To a client, as it is written.
    Stream(mpsc::Sender<Bytes>),
    /// Into memory.
    Buffer(Arc<Mutex<Held>>),
    /// To the end of a file.
    File { disk: SharedDisk, path: String },
    /// Nowhere.
    Null,
}

impl Output {
    /// A buffer, and the output that fills it.
    pub(crate) fn buffer(limits: &Limits) -> (Arc<Mutex<Held>>, Self) {
        let buffer = Arc::new(Mutex::new(Held { bytes: Vec::new(), charge: limits.charge(0) }));
        (buffer.clone(), Self::Buffer(buffer))
    }

    /// Whether a client does not read it any more.
    pub(super) fn is_closed(&self) -> bool {
        matches!(self, Self::Stream(sender) if sender.is_closed())
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
                let Held { bytes: held, charge } = &mut *lock(buffer);
                if held.len() + bytes.len() > HELD || !charge.fits() {
                    return Err("Broken pipe".to_owned());
                }
                held.extend_from_slice(bytes);
                charge.grow(bytes.len());
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
