//! A small cloud-init: what a machine does with its user data at its first boot.
//!
//! As the real one it has two stages: what the network's services need (boot commands, files, users, keys) happens before
//! SSH answers, scripts and `runcmd` after it. Whether this is a first boot is decided by the instance's id under
//! `/var/lib/cloud/instances`, so that a machine from a captured image runs it anew.

mod accounts;
mod apply;
mod parts;

pub(super) use apply::{early, late};

/// The scripts in user data, and what could not be read: for the fuzz target.
#[cfg(test)]
pub(crate) fn read_user_data(user_data: &[u8]) -> (Vec<String>, Vec<String>) {
    let parts = parts::parse(user_data);
    (parts.scripts.into_iter().map(|(_, script)| script).collect(), parts.errors)
}
