//! The SSH server of a simulated machine.

use std::{
    collections::HashMap,
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use russh::{
    Channel, ChannelId, ChannelMsg, ChannelReadHalf, Pty, Sig,
    keys::{Algorithm, PrivateKey, PublicKey, ssh_key::LineEnding},
    server::{self, Auth, ChannelOpenHandle, Handle, Msg, PublicKeyOffer, Session, VerifiedPublicKey},
};
use tokio::{
    io::AsyncWriteExt as _,
    net::TcpListener,
    sync::{Semaphore, mpsc, watch},
};
use tokio_util::sync::CancellationToken;

use super::{cut::Cut, sftp::Sftp};
use crate::simulated::{
    disk::{Disk, lock},
    machine::Machine,
    shell::{self, Ended, Host, Input, Job, Output},
};

const HOST_KEY: &str = "/etc/ssh/ssh_host_ed25519_key";
const AUTHORIZED_KEYS: &str = "/root/.ssh/authorized_keys";

/// How many connections there may be at once.
const CONNECTIONS: usize = 128;

/// How long a client may take until it has logged in, as OpenSSH has it.
const GRACE: Duration = Duration::from_secs(120);

/// How many bytes of SFTP may wait in each direction.
const WAITING: usize = 256 * 1024;

/// How many variables a client may set for a command.
const VARIABLES: usize = 256;

/// The machine's host key, as its disk has it; where there is none a new one is written there.
pub(super) fn host_key(disk: &mut Disk) -> io::Result<PrivateKey> {
    let key = match disk.read(HOST_KEY) {
        Ok(data) => PrivateKey::from_openssh(data.as_slice()).map_err(io::Error::other)?,
        Err(_) => {
            let key = PrivateKey::random(&mut rand::rng(), Algorithm::Ed25519).map_err(io::Error::other)?;
            let private = key.to_openssh(LineEnding::LF).map_err(io::Error::other)?;
            disk.mkdir_all("/etc/ssh").map_err(io::Error::other)?;
            disk.write(HOST_KEY, private.as_bytes()).map_err(io::Error::other)?;
            disk.update(HOST_KEY, |node| node.mode = 0o600).map_err(io::Error::other)?;
            key
        }
    };
    // cloud-init, too, derives the public half of a private key that it was given alone.
    let public = key.public_key().to_openssh().map_err(io::Error::other)?;
    disk.write(&format!("{HOST_KEY}.pub"), format!("{public}\n").as_bytes()).map_err(io::Error::other)?;
    Ok(key)
}

/// Accepts connections until the power goes.
pub(super) async fn serve(
    machine: Arc<Machine>,
    host: Host,
    key: watch::Receiver<Option<PrivateKey>>,
    listener: TcpListener,
    power: CancellationToken,
) {
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    while let Some(accepted) = power.run_until_cancelled(listener.accept()).await {
        let Ok((stream, _)) = accepted else {
            // Out of descriptors, most likely: the connections that are there must end first.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        // One too many is closed at once, as with `MaxStartups`.
        let Ok(permit) = room.clone().try_acquire_owned() else { continue };
        let known = Arc::new(AtomicBool::default());
        let connection = Connection {
            known: known.clone(),
            machine: machine.clone(),
            host: host.clone(),
            power: power.clone(),
            channels: HashMap::new(),
            environment: HashMap::new(),
        };
        let life = power.child_token();
        let config = Arc::new(server::Config {
            keys: key.borrow().iter().cloned().collect(),
            // Nobody guesses passwords on loopback, and a client that tries several keys should not wait for each.
            auth_rejection_time: Duration::ZERO,
            auth_rejection_time_initial: Some(Duration::ZERO),
            inactivity_timeout: None,
            nodelay: true,
            ..Default::default()
        });
        let stream = Cut::new(stream, life.clone());
        tokio::spawn(async move {
            let _permit = permit;
            // Whatever ends this ends the connection too.
            let _life = life.drop_guard();
            let talk = async {
                match server::run_stream(config, stream, connection).await {
                    Ok(session) => session.await,
                    Err(error) => Err(error),
                }
            };
            let grace = async {
                tokio::time::sleep(GRACE).await;
                if known.load(Ordering::Relaxed) {
                    std::future::pending::<()>().await;
                }
            };
            let ended = tokio::select! {
                ended = talk => ended,
                () = grace => Err(russh::Error::ConnectionTimeout),
            };
            if let Err(error) = ended {
                tracing::debug!(%error, "a connection to a simulated machine ended");
            }
        });
    }
}

/// One client.
struct Connection {
    /// Whether it has logged in.
    known: Arc<AtomicBool>,
    machine: Arc<Machine>,
    host: Host,
    power: CancellationToken,
    channels: HashMap<ChannelId, Channel<Msg>>,
    environment: HashMap<ChannelId, Vec<(String, String)>>,
}

impl Connection {
    /// Whether root's authorized keys have this one now.
    fn authorized(&self, user: &str, key: &PublicKey) -> bool {
        let text = lock(self.machine.disk()).text(AUTHORIZED_KEYS);
        let mut keys = text.lines().filter_map(|line| PublicKey::from_openssh(line.trim()).ok());
        user == "root" && keys.any(|known| known.key_data() == key.key_data())
    }

    fn answer(&self, user: &str, key: &PublicKey) -> Auth {
        if self.authorized(user, key) { Auth::Accept } else { Auth::reject() }
    }

    /// Runs a command on a channel; without one, what comes on standard input.
    fn start(&mut self, id: ChannelId, script: Option<String>, session: &mut Session) -> Result<(), russh::Error> {
        let Some(channel) = self.channels.remove(&id) else { return session.channel_failure(id) };
        session.channel_success(id)?;
        let cancel = self.power.child_token();
        let (input, more) = mpsc::channel(16);
        let (reader, writer) = channel.split();
        tokio::spawn(pump(reader, input, cancel.clone()));
        let (out, mut out_pieces) = mpsc::channel::<Bytes>(16);
        let (err, mut err_pieces) = mpsc::channel::<Bytes>(16);
        let job = Job {
            script: script.unwrap_or_else(|| "sh".to_owned()),
            arguments: Vec::new(),
            environment: self.environment.remove(&id).unwrap_or_default(),
            input: Input::stream(more, &self.host.limits),
            out: Output::Stream(out),
            err: Output::Stream(err),
        };
        let (machine, host, handle) = (self.machine.clone(), self.host.clone(), session.handle());
        tokio::spawn(async move {
            let running = async {
                let ended = shell::run(&host, job, &cancel).await;
                if let Err(error) = machine.save().await {
                    tracing::error!(%error, "cannot keep the disk of a simulated machine");
                }
                report(&handle, id, ended).await;
            };
            let forward = async {
                let (mut out_open, mut err_open) = (true, true);
                while out_open || err_open {
                    tokio::select! {
                        piece = out_pieces.recv(), if out_open => match piece {
                            Some(piece) => out_open = writer.data_bytes(piece).await.is_ok(),
                            None => out_open = false,
                        },
                        piece = err_pieces.recv(), if err_open => match piece {
                            Some(piece) => err_open = writer.extended_data_bytes(1, piece).await.is_ok(),
                            None => err_open = false,
                        },
                    }
                }
            };
            // As with OpenSSH, the client learns the command's end at once, and the channel stays open for what the command has left
            // in the background, until the client closes it. Errors mean that the client is gone.
            let ((), _) = tokio::join!(running, cancel.run_until_cancelled(forward));
            close(&handle, id).await;
        });
        Ok(())
    }
}

/// Tells the client how its command ended. Errors mean that it is gone.
async fn report(handle: &Handle, id: ChannelId, ended: Ended) {
    match ended {
        Ended::Code(code) => handle.exit_status_request(id, code as u32).await.ok(),
        Ended::Signal(name) => {
            let signal = Sig::Custom(name.to_owned());
            handle.exit_signal_request(id, signal, false, String::new(), String::new()).await.ok()
        }
    };
}

/// Ends a channel. Errors mean that the client is gone.
async fn close(handle: &Handle, id: ChannelId) {
    handle.eof(id).await.ok();
    handle.close(id).await.ok();
}

/// Passes a client's data on, and cancels the command when the client closes the channel.
async fn pump(mut reader: ChannelReadHalf, input: mpsc::Sender<Bytes>, cancel: CancellationToken) {
    let mut input = Some(input);
    loop {
        match reader.wait().await {
            Some(ChannelMsg::Data { data }) => {
                if let Some(sender) = &input
                    && cancel.run_until_cancelled(sender.send(data)).await.is_none_or(|sent| sent.is_err())
                {
                    // Nobody reads any more: the rest of what the client sends is dropped.
                    input = None;
                }
            }
            Some(ChannelMsg::Eof) => input = None,
            Some(ChannelMsg::Signal { .. } | ChannelMsg::Close) | None => {
                cancel.cancel();
                return;
            }
            Some(_) => {}
        }
    }
}

impl server::Handler for Connection {
    type Error = russh::Error;

    async fn auth_publickey_offered(&mut self, user: &str, offer: PublicKeyOffer<'_>) -> Result<Auth, Self::Error> {
        Ok(self.answer(user, offer.public_key))
    }

    async fn auth_publickey(&mut self, user: &str, key: VerifiedPublicKey<'_>) -> Result<Auth, Self::Error> {
        let answer = self.answer(user, key.public_key);
        self.known.fetch_or(matches!(answer, Auth::Accept), Ordering::Relaxed);
        Ok(answer)
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        self.channels.insert(channel.id(), channel);
        reply.accept().await;
        Ok(())
    }

    async fn channel_close(&mut self, channel: ChannelId, _: &mut Session) -> Result<(), Self::Error> {
        self.channels.remove(&channel);
        self.environment.remove(&channel);
        Ok(())
    }

    async fn pty_request(
        &mut self,
        channel: ChannelId,
        _: &str,
        _: u32,
        _: u32,
        _: u32,
        _: u32,
        _: &[(Pty, u32)],
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        // There is no terminal, and commands that were promised one run without it.
        session.channel_success(channel)
    }

    async fn env_request(
        &mut self,
        channel: ChannelId,
        name: &str,
        value: &str,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        let variables = self.environment.entry(channel).or_default();
        if variables.len() >= VARIABLES {
            return session.channel_failure(channel);
        }
        variables.push((name.to_owned(), value.to_owned()));
        session.channel_success(channel)
    }

    async fn shell_request(&mut self, channel: ChannelId, session: &mut Session) -> Result<(), Self::Error> {
        self.start(channel, None, session)
    }

    async fn exec_request(
        &mut self,
        channel: ChannelId,
        data: &[u8],
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        self.start(channel, Some(String::from_utf8_lossy(data).into_owned()), session)
    }

    async fn subsystem_request(&mut self, id: ChannelId, name: &str, session: &mut Session) -> Result<(), Self::Error> {
        let Some(channel) = self.channels.remove(&id).filter(|_| name == "sftp") else {
            return session.channel_failure(id);
        };
        session.channel_success(id)?;
        // Not the channel's own stream, which would close the channel before the client has heard how it ended.
        let (near, far) = tokio::io::duplex(WAITING);
        russh_sftp::server::run(far, Sftp::new(self.machine.clone())).await;
        let handle = session.handle();
        tokio::spawn(async move {
            let (mut reader, writer) = channel.split();
            let (mut answers, mut questions) = tokio::io::split(near);
            let ask = async {
                tokio::io::copy(&mut reader.make_reader(), &mut questions).await.ok();
                questions.shutdown().await.ok();
            };
            // It ends when nothing more is asked and all is answered, or when the client is gone.
            let answer = async { tokio::io::copy(&mut answers, &mut writer.make_writer()).await.ok() };
            tokio::join!(ask, answer);
            report(&handle, id, Ended::Code(0)).await;
            close(&handle, id).await;
        });
        Ok(())
    }
}
