//! The way into a machine: SSH and SFTP, to a host key that Remint made itself.
//!
//! Remint generates the host key of every machine that it logs in to ([`HostKey`]), installs it through user data, and
//! compares it before anything else is sent; there is no "accept on first use". Every attempt that meets another key is
//! refused, also while a machine boots; see [`wait_for_ssh`] for what is then tried again.
//!
//! Commands never carry environment variables or scripts in their process arguments, which every process on the machine
//! can read: [`Connection::exec`] sends them over the standard input of `sh -eu -s`.
//!
//! The alternative not taken is the `ssh` program: it needs the host key and the login key in files, and its exit code
//! does not tell a lost connection from a command that failed.

mod command;
mod connection;
mod error;
mod exec;
mod key;
mod lines;
mod look;
mod machines;
mod reach;
mod session;
mod transfer;
mod unpack;

pub use command::{Command, quote};
pub use connection::{ConnectOptions, Connection};
pub use error::{ForeignKey, RemoteError};
pub use exec::{Completed, Exit};
pub use key::{HostKey, LoginKey, PublicKey};
pub use look::Found;
#[cfg(test)]
pub(crate) use machines::OnFailure;
pub(crate) use machines::{Keys, Machines, Ssh};
pub use reach::{Boot, WaitOptions, wait_for_ssh};
pub use session::{OnLine, Session};
pub use transfer::UploadOptions;
pub use unpack::{Copied, Owner, Upload, UploadKind};
