//! Single files to and from a machine, by SFTP. Trees go by [`Connection::unpack`].

use std::path::Path;

use russh_sftp::{
    client::{SftpSession, error::Error as SftpError},
    protocol::{FileAttributes, StatusCode},
};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};

use super::{Command, Connection, RemoteError};

/// The most that is read from a file of the machine into memory.
const MAX_DOWNLOAD: u64 = 16 * 1024 * 1024;
/// How long the machine may take to answer one SFTP request, in seconds.
const ANSWER_WITHIN: u64 = 60;

/// What an uploaded file is like.
#[derive(Debug, Clone, Default)]
pub struct UploadOptions {
    /// Permissions; 0644 when not given.
    pub mode: Option<u32>,
    /// `user` or `user:group`; whoever is logged in when not given.
    pub owner: Option<String>,
}

impl Connection {
    /// Copies a file. It appears under its name complete or not at all, with its mode and owner; parent folders are made.
    ///
    /// # Errors
    ///
    /// [`RemoteError::Local`] when the source cannot be read, [`RemoteError::Transfer`], [`RemoteError::ConnectionLost`].
    pub async fn upload_file(&self, source: &Path, path: &str, options: &UploadOptions) -> Result<(), RemoteError> {
        let mut file = tokio::fs::File::open(source).await.map_err(|error| local(source, error))?;
        let sftp = self.sftp().await?;
        self.place(&sftp, &mut file, path, options).await
    }

    /// Writes a small file from memory, as [`Connection::upload_file`] does.
    ///
    /// # Errors
    ///
    /// [`RemoteError::Transfer`], [`RemoteError::ConnectionLost`].
    pub async fn upload_bytes(&self, content: &[u8], path: &str, options: &UploadOptions) -> Result<(), RemoteError> {
        let sftp = self.sftp().await?;
        self.place(&sftp, &mut &*content, path, options).await
    }

    /// Reads a file of the machine, at most 16 MiB.
    ///
    /// # Errors
    ///
    /// [`RemoteError::Transfer`], [`RemoteError::ConnectionLost`].
    pub async fn download(&self, path: &str) -> Result<Vec<u8>, RemoteError> {
        let sftp = self.sftp().await?;
        let file = sftp.open(path).await.map_err(|error| failed("open", path, &error))?;
        let mut content = Vec::new();
        let read = file.take(MAX_DOWNLOAD + 1).read_to_end(&mut content).await;
        read.map_err(|error| failed("read", path, &error))?;
        if content.len() as u64 > MAX_DOWNLOAD {
            return Err(failed("read", path, &"larger than 16 MiB"));
        }
        Ok(content)
    }

    async fn sftp(&self) -> Result<SftpSession, RemoteError> {
        let channel = self.channel("files").await?;
        let requested = channel.request_subsystem(true, "sftp").await;
        requested.map_err(|_| self.lost("starting SFTP", Vec::new()))?;
        let refused = |error: SftpError| {
            tracing::debug!(%error, "SFTP did not start");
            RemoteError::Refused { endpoint: self.endpoint, what: "a file transfer (SFTP)".to_owned() }
        };
        let session = SftpSession::new(channel.into_stream()).await.map_err(refused)?;
        session.set_timeout(ANSWER_WITHIN);
        Ok(session)
    }

    /// Writes under a temporary name beside the target, then renames.
    async fn place(
        &self,
        sftp: &SftpSession,
        content: &mut (dyn AsyncRead + Send + Unpin),
        path: &str,
        options: &UploadOptions,
    ) -> Result<(), RemoteError> {
        if let Some((parent, _)) = path.rsplit_once('/') {
            ensure_dir(sftp, parent).await?;
        }
        let temporary = format!("{path}.remint-{}", &uuid::Uuid::new_v4().simple().to_string()[..8]);
        let placed = async {
            write(sftp, content, &temporary).await?;
            self.own(&temporary, options).await?;
            // After the owner: changing that takes a set-user-ID bit away.
            set_mode(sftp, &temporary, options.mode.unwrap_or(0o644)).await?;
            rename(sftp, &temporary, path).await
        };
        let result = placed.await;
        if result.is_err()
            && let Err(error) = sftp.remove_file(&temporary).await
        {
            tracing::debug!(%error, temporary, "a half-written file could not be removed");
        }
        match result {
            Err(RemoteError::Transfer { .. }) if self.is_closed() => {
                Err(self.lost(format!("writing {path}"), Vec::new()))
            }
            other => other,
        }
    }

    async fn own(&self, path: &str, options: &UploadOptions) -> Result<(), RemoteError> {
        let Some(owner) = &options.owner else { return Ok(()) };
        self.run_quietly(&Command::argv(["chown", owner, path]), "change the owner of", path).await
    }

    async fn run_quietly(&self, command: &Command, what: &'static str, path: &str) -> Result<(), RemoteError> {
        let outcome = self.exec(command, &mut |_, _| {}).await?;
        if outcome.exit.is_success() { Ok(()) } else { Err(failed(what, path, &outcome.tail.join("; "))) }
    }
}

/// Writes a file that nobody else can read until it has its own mode.
async fn write(
    sftp: &SftpSession,
    content: &mut (dyn AsyncRead + Send + Unpin),
    path: &str,
) -> Result<(), RemoteError> {
    let mut file = sftp.create(path).await.map_err(|error| failed("create", path, &error))?;
    set_mode(sftp, path, 0o600).await?;
    tokio::io::copy(content, &mut file).await.map_err(|error| failed("write", path, &error))?;
    file.shutdown().await.map_err(|error| failed("write", path, &error))
}

async fn set_mode(sftp: &SftpSession, path: &str, mode: u32) -> Result<(), RemoteError> {
    let attributes = FileAttributes { permissions: Some(mode), ..FileAttributes::empty() };
    sftp.set_metadata(path, attributes).await.map_err(|error| failed("set the mode of", path, &error))
}

/// Renames over what is there. SFTP's own rename refuses an existing target; then the target is removed first.
async fn rename(sftp: &SftpSession, from: &str, to: &str) -> Result<(), RemoteError> {
    if sftp.rename(from, to).await.is_ok() {
        return Ok(());
    }
    sftp.remove_file(to).await.map_err(|error| failed("replace", to, &error))?;
    sftp.rename(from, to).await.map_err(|error| failed("rename to", to, &error))
}

/// Makes a folder and those above it.
async fn ensure_dir(sftp: &SftpSession, path: &str) -> Result<(), RemoteError> {
    let mut missing = Vec::new();
    let mut current = path.trim_end_matches('/');
    while !current.is_empty() {
        match sftp.metadata(current).await {
            Ok(found) if found.file_type().is_dir() => break,
            Ok(_) => return Err(failed("make the folder", path, &format!("{current} is not a folder"))),
            Err(SftpError::Status(status)) if status.status_code == StatusCode::NoSuchFile => missing.push(current),
            Err(error) => return Err(failed("look at", current, &error)),
        }
        current = current.rsplit_once('/').map_or("", |(parent, _)| parent);
    }
    for folder in missing.into_iter().rev() {
        sftp.create_dir(folder).await.map_err(|error| failed("make the folder", folder, &error))?;
    }
    Ok(())
}

fn failed(operation: &'static str, path: &str, reason: &dyn std::fmt::Display) -> RemoteError {
    RemoteError::Transfer { operation, path: path.to_owned(), reason: reason.to_string() }
}

fn local(path: &Path, source: std::io::Error) -> RemoteError {
    RemoteError::Local { path: path.display().to_string(), source }
}
