//! Base images: what real virtual machines start from.
//!
//! An image is one folder of a store that all sandboxes of a user share, named by its slug (`debian-12-x64`): the disk,
//! the kernel and initial RAM file system where the disk has no boot loader, and [`Manifest`]. It appears by one rename
//! and is never changed afterwards; sandboxes hold hard links to what they use, so that replacing or removing an image
//! here breaks no machine.
//!
//! [`build`] makes Debian 12 with mmdebstrap, [`import`] takes any bootable qcow2. Both are long and tell their progress
//! line by line. Neither needs root: without it, mmdebstrap works in a user namespace.

mod build;
mod disk;
mod error;
mod import;
mod layout;
mod manifest;
mod sources;
mod tool;

pub use build::{BuildOptions, DEBIAN_12, build};
pub use error::{ImageError, Result};
pub use import::{ImportOptions, import};
pub use layout::{default_dir, list, open, remove};
pub use manifest::{Boot, Manifest};

pub(crate) use disk::info;
pub(crate) use layout::{DISK, Staging, check_name};
pub(crate) use tool::run;

/// Where progress goes: one line at a time, without its line feed.
pub type Progress<'a> = &'a (dyn Fn(&str) + Send + Sync);
