//! What Remint does on a machine, whatever the way to it.

use std::{fmt, net::SocketAddr, path::Path};

use async_trait::async_trait;

use super::{Command, Completed, Connection, Copied, RemoteError, Upload, UploadOptions};
use crate::events::Stream;

/// How much of the output is collected, in bytes.
const MAX_CAPTURE: usize = 1024 * 1024;

/// Takes each line of a command's output.
pub type OnLine<'a> = dyn FnMut(Stream, &str) + Send + 'a;

/// A machine that lets us in. [`Connection`] is the real one, whose methods of these names say how each behaves; a simulation
/// answers for machines that do not exist.
#[async_trait]
pub trait Session: fmt::Debug + Send + Sync {
    /// Where the machine is.
    fn endpoint(&self) -> SocketAddr;

    /// Whether the way to the machine is known to be gone.
    fn is_closed(&self) -> bool;

    /// Runs a command and hands over each line that it writes, as it comes.
    async fn exec(&self, command: &Command, on_line: &mut OnLine<'_>) -> Result<Completed, RemoteError>;

    /// Copies a file.
    async fn upload_file(&self, source: &Path, path: &str, options: &UploadOptions) -> Result<(), RemoteError>;

    /// Writes a small file from memory.
    async fn upload_bytes(&self, content: &[u8], path: &str, options: &UploadOptions) -> Result<(), RemoteError>;

    /// Reads a file of the machine.
    async fn download(&self, path: &str) -> Result<Vec<u8>, RemoteError>;

    /// Creates files, folders and links in this order.
    async fn unpack(
        &self,
        items: Vec<Upload>,
        on_progress: &mut (dyn FnMut(Copied) + Send),
    ) -> Result<Copied, RemoteError>;
}

#[async_trait]
impl Session for Connection {
    fn endpoint(&self) -> SocketAddr {
        Self::endpoint(self)
    }

    fn is_closed(&self) -> bool {
        Self::is_closed(self)
    }

    async fn exec(&self, command: &Command, on_line: &mut OnLine<'_>) -> Result<Completed, RemoteError> {
        Self::exec(self, command, on_line).await
    }

    async fn upload_file(&self, source: &Path, path: &str, options: &UploadOptions) -> Result<(), RemoteError> {
        Self::upload_file(self, source, path, options).await
    }

    async fn upload_bytes(&self, content: &[u8], path: &str, options: &UploadOptions) -> Result<(), RemoteError> {
        Self::upload_bytes(self, content, path, options).await
    }

    async fn download(&self, path: &str) -> Result<Vec<u8>, RemoteError> {
        Self::download(self, path).await
    }

    async fn unpack(
        &self,
        items: Vec<Upload>,
        on_progress: &mut (dyn FnMut(Copied) + Send),
    ) -> Result<Copied, RemoteError> {
        Self::unpack(self, items, on_progress).await
    }
}

impl dyn Session + '_ {
    /// Runs a command and collects what it wrote to standard output, of which it keeps a megabyte.
    ///
    /// # Errors
    ///
    /// As [`Session::exec`].
    pub async fn capture(&self, command: &Command) -> Result<(Completed, String), RemoteError> {
        let mut text = String::new();
        let mut collect = |stream: Stream, line: &str| {
            if stream == Stream::Stdout && text.len() < MAX_CAPTURE {
                text.push_str(line);
                text.push('\n');
            }
        };
        let outcome = self.exec(command, &mut collect).await?;
        Ok((outcome, text))
    }
}

impl Connection {
    /// Runs a command and collects what it wrote to standard output, of which it keeps a megabyte.
    ///
    /// # Errors
    ///
    /// As [`Connection::exec`].
    pub async fn capture(&self, command: &Command) -> Result<(Completed, String), RemoteError> {
        let session: &dyn Session = self;
        session.capture(command).await
    }
}
