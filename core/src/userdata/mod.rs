//! What a machine is told at its first boot: cloud-init user data as multi-part MIME.

mod builder;
mod cloud_config;
pub(crate) mod env_file;
mod error;
mod mime;
mod overridden;
mod owner;
mod pack;

pub(crate) use builder::SSH_DROP_IN;
pub use builder::UserData;
pub use error::UserDataError;
pub use overridden::{Overridden, overridden};
pub(crate) use owner::SAYS;
