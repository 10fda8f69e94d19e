//! A verified connection.

use std::{
    fmt,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use russh::{
    Channel,
    client::{self, Handle, Msg},
    keys::{Algorithm, PrivateKeyWithHashAlg, PublicKeyOrCertificate},
};
use tokio::{
    net::TcpStream,
    time::{Instant, timeout_at},
};

use super::{LoginKey, PublicKey, RemoteError};

/// How often a silent machine is asked whether it is still there.
const KEEPALIVE: Duration = Duration::from_secs(15);
/// After so many unanswered questions the connection counts as lost.
const KEEPALIVE_MISSES: usize = 3;

/// Whom to connect to, and as whom.
#[derive(Debug, Clone)]
pub struct ConnectOptions {
    /// The socket address, from [`crate::provider::Address::endpoint`].
    pub endpoint: SocketAddr,
    /// The user to log in as.
    pub user: String,
    /// The key to log in with.
    pub login: LoginKey,
    /// The only host key that is accepted.
    pub host_key: PublicKey,
    /// How long TCP connection and banner may take together.
    pub banner_timeout: Duration,
    /// How long the whole may take.
    pub timeout: Duration,
}

impl ConnectOptions {
    /// Logs in as root, within 30 s, of which 5 s until the machine says its first word.
    pub fn new(endpoint: SocketAddr, login: LoginKey, host_key: PublicKey) -> Self {
        Self {
            endpoint,
            user: "root".to_owned(),
            login,
            host_key,
            banner_timeout: Duration::from_secs(5),
            timeout: Duration::from_secs(30),
        }
    }
}

/// An SSH connection to a machine whose host key was verified. Commands and transfers may run on it side by side.
pub struct Connection {
    pub(super) handle: Handle<Verifier>,
    pub(super) endpoint: SocketAddr,
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Connection({})", self.endpoint)
    }
}

impl Connection {
    /// Connects, verifies the host key, logs in.
    ///
    /// # Errors
    ///
    /// - [`RemoteError::Unreachable`] until something speaks SSH there. A connection that is accepted and closed counts as
    ///   that: user-mode networking accepts for a guest that is not up yet.
    /// - [`RemoteError::HostKeyMismatch`] before anything was sent to a machine that presents another key.
    /// - [`RemoteError::AuthRefused`] when the machine is the right one and the login key is not accepted.
    pub async fn connect(options: &ConnectOptions) -> Result<Self, RemoteError> {
        let endpoint = options.endpoint;
        let unreachable = |reason: String| RemoteError::Unreachable { endpoint, reason };
        let started = Instant::now();
        let stream = first_word(options, started + options.banner_timeout).await.map_err(&unreachable)?;
        let seen = Arc::new(Mutex::new(None));
        let verifier = Verifier { expected: options.host_key.clone(), presented: Arc::clone(&seen) };
        let deadline = started + options.timeout;
        let session = timeout_at(deadline, client::connect_stream(config(), stream, verifier)).await;
        let mut handle = match session {
            Ok(Ok(handle)) => handle,
            Ok(Err(error)) => return Err(refusal(options, &seen, &error)),
            Err(_) => return Err(unreachable("no key exchange in time".to_owned())),
        };
        let key = PrivateKeyWithHashAlg::new(Arc::clone(&options.login.0), None);
        let accepted = timeout_at(deadline, handle.authenticate_publickey(&options.user, key)).await;
        match accepted {
            Ok(Ok(result)) if result.success() => Ok(Self { handle, endpoint }),
            Ok(Ok(_)) => Err(RemoteError::AuthRefused { endpoint, user: options.user.clone() }),
            Ok(Err(error)) => Err(unreachable(format!("closed while logging in ({error})"))),
            Err(_) => Err(unreachable("no answer to the login in time".to_owned())),
        }
    }

    /// Where the machine is.
    pub fn endpoint(&self) -> SocketAddr {
        self.endpoint
    }

    /// Whether the connection is known to be gone.
    pub fn is_closed(&self) -> bool {
        self.handle.is_closed()
    }

    /// Says goodbye. Dropping the connection closes it too.
    pub async fn close(self) {
        let goodbye = self.handle.disconnect(russh::Disconnect::ByApplication, "", "en");
        if let Err(error) = goodbye.await {
            tracing::debug!(%error, endpoint = %self.endpoint, "the connection was gone already");
        }
    }

    pub(super) fn lost(&self, doing: impl Into<String>, tail: Vec<String>) -> RemoteError {
        RemoteError::ConnectionLost { endpoint: self.endpoint, doing: doing.into(), tail }
    }

    pub(super) async fn channel(&self, what: &str) -> Result<Channel<Msg>, RemoteError> {
        self.handle.channel_open_session().await.map_err(|error| match error {
            russh::Error::ChannelOpenFailure(_) => {
                RemoteError::Refused { endpoint: self.endpoint, what: format!("a channel for {what}") }
            }
            _ => self.lost(format!("opening a channel for {what}"), Vec::new()),
        })
    }
}

/// Connects by TCP and waits for the machine's first byte: an SSH server speaks first.
async fn first_word(options: &ConnectOptions, deadline: Instant) -> Result<TcpStream, String> {
    let connected = timeout_at(deadline, TcpStream::connect(options.endpoint)).await;
    let stream = connected.map_err(|_| "no connection in time".to_owned())?.map_err(|error| reason(&error))?;
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "TCP_NODELAY not set");
    }
    match timeout_at(deadline, stream.peek(&mut [0])).await {
        Ok(Ok(0)) => Err("closed before the banner".to_owned()),
        Ok(Ok(_)) => Ok(stream),
        Ok(Err(error)) => Err(reason(&error)),
        Err(_) => Err("accepted, and no banner in time".to_owned()),
    }
}

fn reason(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::ConnectionRefused => "connection refused".to_owned(),
        std::io::ErrorKind::ConnectionReset => "connection reset".to_owned(),
        _ => error.to_string(),
    }
}

/// Why the key exchange ended.
fn refusal(options: &ConnectOptions, seen: &Mutex<Option<String>>, error: &russh::Error) -> RemoteError {
    let endpoint = options.endpoint;
    let expected = options.host_key.fingerprint();
    let presented = seen.lock().unwrap_or_else(PoisonError::into_inner).take();
    match (presented, error) {
        (Some(got), _) => RemoteError::HostKeyMismatch { endpoint, expected, got },
        (None, russh::Error::NoCommonAlgo { kind: russh::AlgorithmKind::Key, theirs, .. }) => {
            let got = format!("no ed25519 key but {}", theirs.join(", "));
            RemoteError::HostKeyMismatch { endpoint, expected, got }
        }
        (None, error) => RemoteError::Unreachable { endpoint, reason: format!("key exchange failed ({error})") },
    }
}

fn config() -> Arc<client::Config> {
    let mut config = client::Config {
        keepalive_interval: Some(KEEPALIVE),
        keepalive_max: KEEPALIVE_MISSES,
        nodelay: true,
        ..client::Config::default()
    };
    // The expected key is an ed25519 key. Asking for that kind alone keeps a server from choosing another of its keys.
    config.preferred.key = vec![Algorithm::Ed25519].into();
    Arc::new(config)
}

/// Compares the host key; keeps the fingerprint of one that is wrong.
pub(super) struct Verifier {
    expected: PublicKey,
    presented: Arc<Mutex<Option<String>>>,
}

impl client::Handler for Verifier {
    type Error = russh::Error;

    async fn check_server_key(&mut self, presented: &PublicKeyOrCertificate) -> Result<bool, Self::Error> {
        let wrong = match presented {
            PublicKeyOrCertificate::PublicKey { key, .. } => {
                let same = key.key_data() == self.expected.0.key_data();
                (!same).then(|| PublicKey(key.clone()).fingerprint())
            }
            PublicKeyOrCertificate::Certificate(_) => Some("a certificate".to_owned()),
        };
        let right = wrong.is_none();
        *self.presented.lock().unwrap_or_else(PoisonError::into_inner) = wrong;
        Ok(right)
    }
}
