//! Waiting until a machine lets us in.

use std::time::Duration;

use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::{ConnectOptions, Connection, ForeignKey, RemoteError};
use crate::provider::Guest;

/// The shortest and the longest pause between two attempts.
const PAUSE: (Duration, Duration) = (Duration::from_millis(50), Duration::from_millis(500));
/// The pause as a part of the time waited so far: at most so much later than possible are we in.
const SHARE: f64 = 0.05;
/// The shortest time that an attempt waits for the banner; it grows with the time waited, for slow machines.
const FIRST_PATIENCE: Duration = Duration::from_secs(3);

/// How long and for what kind of machine [`wait_for_ssh`] waits.
#[derive(Debug, Clone)]
pub struct WaitOptions {
    /// When to give up.
    pub deadline: Instant,
    /// Which boot it is, which decides how the first refusals are read.
    pub boot: Boot,
    /// Ends the wait with [`RemoteError::Cancelled`].
    pub cancel: CancellationToken,
}

/// Which boot of a machine is waited for.
#[derive(Debug, Clone, Copy)]
pub enum Boot {
    /// The first: cloud-init may not yet have replaced the host keys of the image, or not yet have installed the login key.
    /// The timeout says what the cloud's machines do with their host keys.
    First(&'static Guest),
    /// A later one: both are final at once.
    Later,
}

/// Connects as soon as the machine lets us in.
///
/// Each attempt that meets another host key is refused before anything is sent. When the machine boots for the first
/// time, later attempts are made all the same, until the deadline: an image may start its SSH server with keys of its own
/// before cloud-init has installed the right one. The mismatch is passed to `on_failure` at once, and the timeout names the
/// last foreign key that was seen, whatever became of later attempts. There is no shorter grace, since nothing can be
/// learnt from a machine that proves nothing, and nothing is risked by asking again.
///
/// `on_failure` hears why each attempt failed.
///
/// # Errors
///
/// [`RemoteError::NotInTime`] with the reason of the last attempt and the last foreign key; [`RemoteError::Cancelled`]; on a machine that is not in
/// its first boot, [`RemoteError::HostKeyMismatch`] and [`RemoteError::AuthRefused`] at once.
pub async fn wait_for_ssh(
    options: &ConnectOptions,
    wait: &WaitOptions,
    on_failure: &mut (dyn FnMut(&RemoteError) + Send),
) -> Result<Connection, RemoteError> {
    let started = Instant::now();
    let mut foreign = None;
    loop {
        let mut attempt = options.clone();
        attempt.banner_timeout = options.banner_timeout.max(FIRST_PATIENCE.max(started.elapsed().mul_f64(0.2)));
        attempt.timeout = options.timeout.max(attempt.banner_timeout);
        let connected = tokio::select! {
            connected = Connection::connect(&attempt) => connected,
            () = wait.cancel.cancelled() => return Err(RemoteError::Cancelled),
        };
        let error = match connected {
            Ok(connection) => return Ok(connection),
            Err(error) => error,
        };
        on_failure(&error);
        match (&error, wait.boot) {
            (RemoteError::HostKeyMismatch { .. } | RemoteError::AuthRefused { .. }, Boot::Later) => return Err(error),
            (RemoteError::HostKeyMismatch { expected, got, .. }, Boot::First(guest)) => {
                let (expected, got) = (expected.clone(), got.clone());
                foreign = Some(Box::new(ForeignKey { expected, got, explained: guest.host_keys }));
            }
            // It has shown Remint's key since.
            (RemoteError::AuthRefused { .. }, Boot::First(_)) => foreign = None,
            _ => {}
        }
        let pause = started.elapsed().mul_f64(SHARE).clamp(PAUSE.0, PAUSE.1).mul_f64(rand::random_range(0.8..=1.2));
        if Instant::now() + pause >= wait.deadline {
            return Err(RemoteError::NotInTime { waited: started.elapsed(), last: Box::new(error), foreign });
        }
        tokio::select! {
            () = sleep(pause) => {}
            () = wait.cancel.cancelled() => return Err(RemoteError::Cancelled),
        }
    }
}
