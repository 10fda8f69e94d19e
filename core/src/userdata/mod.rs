//! What a machine is told at its first boot: cloud-init user data as multi-part MIME.

mod builder;
mod cloud_config;
pub(crate) mod env_file;
mod mime;
mod overridden;
mod owner;
mod pack;

pub(crate) use builder::SSH_DROP_IN;
pub use builder::{UserData, UserDataError};
pub(crate) use env_file::is_name;
pub use overridden::{Overridden, overridden};
pub(crate) use owner::{is_root, problem as owner_problem};
pub use pack::{is_packed, size};
