//! What runs on a simulated machine while it has power: the boot, cloud-init, the SSH server, the services.

mod behaviour;
mod boot;
mod cloud_init;
mod cut;
mod http;
mod services;
mod sftp;
mod ssh;

pub(super) use boot::live;
#[cfg(test)]
pub(super) use cloud_init::read_user_data;
