//! What several tests need: a real SSH server.

pub(crate) mod sshd;
