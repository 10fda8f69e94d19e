//! The way to machines.

use std::{fmt, sync::Arc};

use async_trait::async_trait;

use super::{ConnectOptions, HostKey, LoginKey, RemoteError, Session, WaitOptions, wait_for_ssh};

/// The keys of one new machine. They live in memory only, as long as this.
#[derive(Clone)]
pub(crate) struct Keys {
    /// The host key that user data carries.
    pub(crate) host: HostKey,
    /// The host key that takes its place once Remint is in: nobody has ever had it in user data.
    pub(crate) next: HostKey,
    /// The key by which Remint logs in.
    pub(crate) login: LoginKey,
}

impl Keys {
    /// The same way in, to a machine that gets another host key afterwards than those that were launched with it.
    pub(crate) fn with_another_next(&self, machines: &dyn Machines) -> Self {
        Self { next: machines.keys().next, ..self.clone() }
    }
}

/// Hears why an attempt to log in failed.
pub(crate) type OnFailure<'a> = dyn FnMut(&RemoteError) + Send + 'a;

/// Makes the keys by which Remint and new machines know each other, and logs in with them.
#[async_trait]
pub(crate) trait Machines: fmt::Debug + Send + Sync {
    /// Keys that no other machine has.
    fn keys(&self) -> Keys;

    /// Logs in as soon as the machine lets us in, as [`wait_for_ssh`] does.
    async fn reach(
        &self,
        options: &ConnectOptions,
        wait: &WaitOptions,
        on_failure: &mut OnFailure<'_>,
    ) -> Result<Arc<dyn Session>, RemoteError>;
}

/// Machines that answer SSH.
#[derive(Debug)]
pub(crate) struct Ssh;

#[async_trait]
impl Machines for Ssh {
    fn keys(&self) -> Keys {
        Keys { host: HostKey::generate(), next: HostKey::generate(), login: LoginKey::generate() }
    }

    async fn reach(
        &self,
        options: &ConnectOptions,
        wait: &WaitOptions,
        on_failure: &mut OnFailure<'_>,
    ) -> Result<Arc<dyn Session>, RemoteError> {
        Ok(Arc::new(wait_for_ssh(options, wait, on_failure).await?))
    }
}

#[cfg(test)]
impl Keys {
    /// Keys for machines that only a test has: host keys that are always the same, and a login key of their own, because clouds tell
    /// keys apart by their content.
    pub(crate) fn any() -> Self {
        static ANY: std::sync::LazyLock<Keys> = std::sync::LazyLock::new(|| Ssh.keys());
        Self { login: LoginKey::of_many(), ..ANY.clone() }
    }
}
