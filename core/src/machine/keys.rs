//! The keys of a new machine.

use crate::remote::{HostKey, LoginKey};

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
    pub(crate) fn generate() -> Self {
        Self { host: HostKey::generate(), next: HostKey::generate(), login: LoginKey::generate() }
    }

    /// Keys for machines that nobody logs in to: host keys that are always the same, and a login key of their own, because clouds
    /// tell keys apart by their content.
    #[cfg(test)]
    pub(crate) fn any() -> Self {
        static ANY: std::sync::LazyLock<Keys> = std::sync::LazyLock::new(Keys::generate);
        Self { login: LoginKey::of_many(), ..ANY.clone() }
    }
}
