//! The virtual disk of a simulated machine: a tree of directories, files and symbolic links held in memory, and the form
//! in which it is kept on the real disk.

mod accounts;
mod base;
mod format;
mod path;
mod shared;
mod tree;

pub(super) use accounts::{Accounts, add_group, add_user, free, login_group, owners};
pub(super) use base::base_image;
pub(super) use format::{load, save};
pub(super) use path::{absolute, basename, join, parent};
pub(super) use shared::{SharedDisk, lock};
pub(super) use tree::{Disk, DiskError, Kind, Node};
