//! The commands that every simulated machine has: [`COMMANDS`] is all that there is of them.

mod accounts;
mod calls;
mod cloud_init;
mod files;
mod own;
mod page;
mod scp;
mod search;
mod sshd;
mod streams;
mod system;
mod table;
mod tar;
mod test;
mod text;

pub use page::commands;
pub(super) use table::COMMANDS;
