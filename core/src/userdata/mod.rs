//! What a machine is told at its first boot: cloud-init user data as multi-part MIME.

mod builder;
mod cloud_config;
pub(crate) mod env_file;
mod mime;

pub(crate) use builder::SSH_DROP_IN;
pub use builder::{UserData, UserDataError};
pub(crate) use env_file::is_name;
