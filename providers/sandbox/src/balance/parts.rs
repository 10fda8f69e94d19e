//! The parts of HAProxy's configuration that have a listener's members, and what is done to a member in all of them.

use std::{net::Ipv4Addr, path::Path};

use remint_core::provider::PortMap;

use super::{
    config::{at, unchecked},
    control,
};
use crate::cloud::balancer::{Listener, MemberCheck};

/// The parts that have a listener's members.
#[derive(Debug, Clone)]
pub(super) struct Parts {
    pub(super) backend: String,
    /// The one without checks, where connections go to all members when none is healthy.
    pub(super) spare: Option<String>,
}

impl Parts {
    /// Adds a member. It gets connections once its checks have passed, or where nobody passes.
    pub(super) async fn add(
        &self,
        folder: &Path,
        id: u64,
        address: Ipv4Addr,
        listener: &Listener,
        check: &MemberCheck,
        ports: PortMap,
    ) -> Result<(), String> {
        if let Some(spare) = &self.spare {
            control::add_unchecked(folder, spare, id, &unchecked(address, listener.target_port, ports)).await?;
        }
        control::add(folder, &self.backend, id, &at(address, listener.target_port, check, ports)).await
    }

    /// Gives a member no further connections, and leaves it those that it has.
    pub(super) async fn drain(&self, folder: &Path, id: u64) -> Result<(), String> {
        for part in self.all() {
            control::drain(folder, part, id).await?;
        }
        Ok(())
    }

    /// Lets a member that drains have connections again.
    pub(super) async fn again(&self, folder: &Path, id: u64) -> Result<(), String> {
        for part in self.all() {
            control::again(folder, part, id).await?;
        }
        Ok(())
    }

    /// Cuts all connections of a member.
    pub(super) async fn cut(&self, folder: &Path, id: u64) -> Result<(), String> {
        for part in self.all() {
            control::cut(folder, part, id).await?;
        }
        Ok(())
    }

    /// Removes a member that has no connections.
    pub(super) async fn remove(&self, folder: &Path, id: u64) -> Result<(), String> {
        for part in self.all() {
            control::remove(folder, part, id).await?;
        }
        Ok(())
    }

    /// The one without checks is first: as long as the other one has the member, it is seen, and tried again.
    fn all(&self) -> impl Iterator<Item = &String> {
        self.spare.iter().chain([&self.backend])
    }
}
