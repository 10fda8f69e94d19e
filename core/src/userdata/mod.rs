//! What a machine is told at its first boot: cloud-init user data as multi-part MIME.

mod builder;
mod cloud_config;
pub(crate) mod env_file;
mod mime;

pub use builder::{UserData, UserDataError};
pub(crate) use env_file::is_name;
