//! QEMU's control socket.
//!
//! One connection per exchange: QEMU serves one client at a time, and a connection kept open would have to be watched for
//! the events that nobody here reads. A folder's path may be longer than a socket's may be, so the socket is reached
//! through the open folder.

use std::{
    fs::File,
    io,
    os::fd::{AsRawFd, OwnedFd},
    path::Path,
    time::Duration,
};

use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Interest},
    net::UnixStream,
};

/// The socket's name in a machine's folder.
pub(super) const SOCKET: &str = "qmp.sock";

/// How long QEMU may take to answer; on a loaded machine an answer waits behind the guest's disk writes.
const TIMEOUT: Duration = Duration::from_secs(60);

/// A conversation with one QEMU.
#[derive(Debug)]
pub(super) struct Qmp {
    stream: BufReader<UnixStream>,
}

impl Qmp {
    /// Connects to the QEMU whose socket lies in `folder`.
    pub(super) async fn connect(folder: &Path) -> Result<Self, String> {
        let work = async {
            let open = File::open(folder)?;
            let path = format!("/proc/self/fd/{}/{SOCKET}", open.as_raw_fd());
            let mut qmp = Self { stream: BufReader::new(UnixStream::connect(path).await?) };
            qmp.read().await?;
            Ok::<_, io::Error>(qmp)
        };
        let mut qmp = tokio::time::timeout(TIMEOUT, work)
            .await
            .map_err(|_| "QEMU's control socket does not answer".to_owned())?
            .map_err(|error| format!("QEMU's control socket: {error}"))?;
        qmp.execute("qmp_capabilities", json!({})).await?;
        Ok(qmp)
    }

    /// Gives a command and waits for its answer.
    pub(super) async fn execute(&mut self, command: &str, arguments: Value) -> Result<Value, String> {
        let request = format!("{}\n", json!({"execute": command, "arguments": arguments}));
        let work = async {
            self.stream.get_mut().write_all(request.as_bytes()).await?;
            self.answer().await
        };
        finish(command, work).await
    }

    /// Lends QEMU an open file, which it then knows as `fd:NAME`.
    pub(super) async fn lend(&mut self, name: &str, file: OwnedFd) -> Result<(), String> {
        let request = format!("{}\n", json!({"execute": "getfd", "arguments": {"fdname": name}}));
        let work = async {
            let stream = self.stream.get_mut();
            let sent = stream
                .async_io(Interest::WRITABLE, || {
                    let fds = [file.as_raw_fd()];
                    let parts = [io::IoSlice::new(request.as_bytes())];
                    let control = [ControlMessage::ScmRights(&fds)];
                    sendmsg::<()>(stream.as_raw_fd(), &parts, &control, MsgFlags::empty(), None)
                        .map_err(io::Error::from)
                })
                .await?;
            stream.write_all(&request.as_bytes()[sent..]).await?;
            self.answer().await
        };
        finish("getfd", work).await.map(drop)
    }

    /// Waits until a saved state has been written or read whole.
    pub(super) async fn migrated(&mut self) -> Result<(), String> {
        loop {
            let state = self.execute("query-migrate", json!({})).await?;
            match state["status"].as_str() {
                Some("completed") => return Ok(()),
                Some(ended @ ("failed" | "cancelled")) => {
                    return Err(format!("the guest's state: {ended}: {}", state["error-desc"].as_str().unwrap_or("")));
                }
                _ => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    }

    /// The node that the guest's first disk uses now.
    pub(super) async fn disk_node(&mut self) -> Result<String, String> {
        let blocks = self.execute("query-block", json!({})).await?;
        blocks
            .as_array()
            .into_iter()
            .flatten()
            .find(|block| block["qdev"].as_str().is_some_and(|path| path.contains("/vda/")))
            .and_then(|block| block["inserted"]["node-name"].as_str())
            .map(str::to_owned)
            .ok_or_else(|| "QEMU does not show the machine's disk".to_owned())
    }

    /// The answer to the last command; events in between are passed over.
    async fn answer(&mut self) -> io::Result<Result<Value, String>> {
        loop {
            let mut message = self.read().await?;
            if let Some(answer) = message.get_mut("return") {
                return Ok(Ok(answer.take()));
            }
            if let Some(error) = message.get("error") {
                return Ok(Err(error["desc"].as_str().unwrap_or("unknown error").to_owned()));
            }
        }
    }

    async fn read(&mut self) -> io::Result<Value> {
        let mut line = String::new();
        if self.stream.read_line(&mut line).await? == 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "closed by QEMU"));
        }
        serde_json::from_str(&line).map_err(io::Error::from)
    }
}

async fn finish(command: &str, work: impl Future<Output = io::Result<Result<Value, String>>>) -> Result<Value, String> {
    match tokio::time::timeout(TIMEOUT, work).await {
        Ok(Ok(answer)) => answer.map_err(|error| format!("{command}: {error}")),
        Ok(Err(error)) => Err(format!("{command}: {error}")),
        Err(_) => Err(format!("{command}: QEMU gave no answer within {} s", TIMEOUT.as_secs())),
    }
}
