//! Running commands.

use std::{collections::VecDeque, fmt, time::Duration};

use russh::{Channel, ChannelMsg, Sig, client::Msg};
use secrecy::ExposeSecret;
use tokio::time::{Instant, timeout, timeout_at};

use super::{Command, Connection, RemoteError, command::PID_MARK, lines::LineSplitter};
use crate::{
    events::Stream,
    redact::{LineMasker, Masker},
};

/// How many lines are kept for an error.
const TAIL: usize = 30;
/// How long a command's output may pause after the command itself has ended, until it counts as complete. A process that it
/// left in the background may hold the output open forever.
const AFTERMATH: Duration = Duration::from_secs(2);
/// How long output may come at all after the command has ended: a process in the background may also write forever.
const AFTERMATH_AT_MOST: Duration = Duration::from_secs(5);
/// How long a command may take to heed a signal.
const MERCY: Duration = Duration::from_secs(3);

/// How a command ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Exit {
    /// By itself, with this exit status; 0 is success.
    Status(u32),
    /// By a signal: `KILL`, `TERM`, …
    Signal(String),
}

impl Exit {
    /// Whether it ended with status 0.
    pub fn is_success(&self) -> bool {
        *self == Self::Status(0)
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => write!(f, "exit status {status}"),
            Self::Signal(signal) => write!(f, "killed by signal {signal}"),
        }
    }
}

/// A command that has run to its end.
#[derive(Debug, Clone)]
pub struct Completed {
    /// How it ended.
    pub exit: Exit,
    /// The last 30 lines that it wrote, both streams in the order of their arrival, clean and without secrets.
    pub tail: Vec<String>,
    /// How long it ran.
    pub elapsed: Duration,
}

impl Connection {
    /// Runs a command and hands over each line that it writes, as it comes.
    ///
    /// A command that fails is not an error here: see [`Completed::exit`].
    ///
    /// # Errors
    ///
    /// - [`RemoteError::ConnectionLost`] when the connection breaks before the command's end is known: it may have run to
    ///   its end or not.
    /// - [`RemoteError::CommandTimeout`] when it exceeded its time; it was sent TERM, then KILL.
    /// - [`RemoteError::Refused`] when the machine does not run commands at all.
    pub async fn exec(
        &self,
        command: &Command,
        on_line: &mut (dyn FnMut(Stream, &str) + Send),
    ) -> Result<Completed, RemoteError> {
        let started = Instant::now();
        let mut running = Running { output: Output::new(on_line), exit: None };
        let mut channel = self.start(command).await?;
        let ended = match command.time_allowed() {
            None => running.follow(&mut channel).await,
            Some(after) => match timeout_at(started + after, running.follow(&mut channel)).await {
                Ok(ended) => ended,
                // The command itself is done, and something that it left behind still holds the output open.
                Err(_) if running.exit.is_some() => Ok(()),
                Err(_) => {
                    self.kill(&mut channel, &mut running).await;
                    let tail = running.output.finish();
                    return Err(RemoteError::CommandTimeout { after, tail });
                }
            },
        };
        let tail = running.output.finish();
        match (running.exit, ended) {
            (Some(exit), _) => Ok(Completed { exit, tail, elapsed: started.elapsed() }),
            (None, Err(Denied)) => {
                Err(RemoteError::Refused { endpoint: self.endpoint, what: "to run a command".to_owned() })
            }
            (None, Ok(())) => Err(self.lost("running a command", tail)),
        }
    }

    /// Ends a command that has used up its time: TERM to its process group, then KILL.
    async fn kill(&self, channel: &mut Channel<Msg>, running: &mut Running<'_>) {
        for signal in ["TERM", "KILL"] {
            if let Some(pid) = running.output.pid {
                let kill = Command::shell(format!("kill -{signal} -{pid} 2>/dev/null || kill -{signal} {pid}"));
                if let Err(error) = Box::pin(self.exec(&kill, &mut |_, _| {})).await {
                    tracing::debug!(%error, pid, "a command that hangs could not be killed");
                }
            }
            if timeout(MERCY, running.follow(channel)).await.is_ok() || running.exit.is_some() {
                break;
            }
        }
        if let Err(error) = channel.close().await {
            tracing::debug!(%error, "the channel of a killed command was gone already");
        }
    }

    async fn start(&self, command: &Command) -> Result<Channel<Msg>, RemoteError> {
        let lost = |_| self.lost("starting a command", Vec::new());
        let channel = self.channel("a command").await?;
        channel.exec(true, command.interpreter()).await.map_err(lost)?;
        channel.data_bytes(command.to_script().expose_secret().as_bytes().to_vec()).await.map_err(lost)?;
        channel.eof().await.map_err(lost)?;
        Ok(channel)
    }
}

/// The machine refused to run anything.
struct Denied;

/// A command under way.
struct Running<'a> {
    output: Output<'a>,
    exit: Option<Exit>,
}

impl Running<'_> {
    /// Reads until the command has ended and its output is closed, or the connection is gone.
    async fn follow(&mut self, channel: &mut Channel<Msg>) -> Result<(), Denied> {
        let mut ended = None;
        loop {
            let message = match &self.exit {
                None => channel.wait().await,
                Some(_) => {
                    let latest = *ended.get_or_insert_with(Instant::now) + AFTERMATH_AT_MOST;
                    timeout_at(latest.min(Instant::now() + AFTERMATH), channel.wait()).await.unwrap_or(None)
                }
            };
            match message {
                Some(ChannelMsg::Data { data }) => self.output.push(Stream::Stdout, &data),
                Some(ChannelMsg::ExtendedData { data, ext: 1 }) => self.output.push(Stream::Stderr, &data),
                Some(ChannelMsg::ExitStatus { exit_status }) => self.exit = Some(Exit::Status(exit_status)),
                Some(ChannelMsg::ExitSignal { signal_name, .. }) => {
                    self.exit = Some(Exit::Signal(signal_text(&signal_name)));
                }
                Some(ChannelMsg::Failure) if self.exit.is_none() => return Err(Denied),
                Some(ChannelMsg::Close) | None => return Ok(()),
                Some(_) => {}
            }
        }
    }
}

pub(super) fn signal_text(signal: &Sig) -> String {
    match signal {
        Sig::Custom(name) => name.clone(),
        known => format!("{known:?}"),
    }
}

/// Both streams, split into lines, with the last ones kept.
struct Output<'a> {
    on_line: &'a mut (dyn FnMut(Stream, &str) + Send),
    stdout: Lines,
    stderr: Lines,
    /// Masked as they come: where lines fall out of it, half a secret could be left that nobody recognises any more.
    tail: VecDeque<String>,
    pid: Option<u32>,
}

struct Lines {
    splitter: LineSplitter,
    masker: LineMasker,
}

impl Default for Lines {
    fn default() -> Self {
        Self { splitter: LineSplitter::default(), masker: LineMasker::new(Masker::process()) }
    }
}

impl<'a> Output<'a> {
    fn new(on_line: &'a mut (dyn FnMut(Stream, &str) + Send)) -> Self {
        Self { on_line, stdout: Lines::default(), stderr: Lines::default(), tail: VecDeque::new(), pid: None }
    }

    fn push(&mut self, stream: Stream, bytes: &[u8]) {
        self.split(stream, Some(bytes));
    }

    fn finish(&mut self) -> Vec<String> {
        self.split(Stream::Stdout, None);
        self.split(Stream::Stderr, None);
        self.tail.drain(..).collect()
    }

    fn split(&mut self, stream: Stream, bytes: Option<&[u8]>) {
        let Self { on_line, stdout, stderr, tail, pid } = self;
        let Lines { splitter, masker } = if stream == Stream::Stdout { stdout } else { stderr };
        let mut keep = |line: String| {
            if tail.len() == TAIL {
                tail.pop_front();
            }
            tail.push_back(line);
        };
        let mut emit = |line: String| {
            if pid.is_none()
                && let Some(number) = line.strip_prefix(PID_MARK)
            {
                *pid = number.parse().ok();
                return;
            }
            on_line(stream, &line);
            masker.push(&line, &mut keep);
        };
        match bytes {
            Some(bytes) => splitter.push(bytes, &mut emit),
            None => {
                splitter.finish(&mut emit);
                masker.finish(&mut keep);
            }
        }
    }
}
