//! One account's share of the machines: those whose numbers it gave.

use std::{ops::Range, sync::Arc};

use async_trait::async_trait;

use super::{DiskImage, DiskInfo, Hypervisor, MachineSpec, Power, Result};

/// A hypervisor of which only the machines with numbers in a range are seen.
///
/// Several accounts stand over one hypervisor, and each destroys the machines that it does not know when it starts; so
/// none may see another's.
pub struct Share {
    /// All machines.
    pub whole: Arc<dyn Hypervisor>,
    /// The numbers that are the account's.
    pub ids: Range<u64>,
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Hypervisor for Share {
    async fn create(&self, spec: &MachineSpec) -> Result<()> {
        self.whole.create(spec).await
    }

    async fn start(&self, id: u64) -> Result<()> {
        self.whole.start(id).await
    }

    async fn shutdown(&self, id: u64) -> Result<()> {
        self.whole.shutdown(id).await
    }

    async fn power_off(&self, id: u64) -> Result<()> {
        self.whole.power_off(id).await
    }

    async fn reboot(&self, id: u64) -> Result<()> {
        self.whole.reboot(id).await
    }

    async fn power(&self, id: u64) -> Result<Power> {
        self.whole.power(id).await
    }

    async fn capture(&self, id: u64, image: &DiskImage) -> Result<DiskInfo> {
        self.whole.capture(id, image).await
    }

    async fn replace_disk(&self, id: u64, image: &DiskImage) -> Result<()> {
        self.whole.replace_disk(id, image).await
    }

    async fn resize(&self, id: u64, vcpus: u32, memory_mib: u64, disk_gib: u64) -> Result<()> {
        self.whole.resize(id, vcpus, memory_mib, disk_gib).await
    }

    async fn destroy(&self, id: u64) -> Result<()> {
        self.whole.destroy(id).await
    }

    async fn console(&self, id: u64) -> Result<String> {
        self.whole.console(id).await
    }

    async fn machines(&self) -> Result<Vec<u64>> {
        let all = self.whole.machines().await?;
        Ok(all.into_iter().filter(|id| self.ids.contains(id)).collect())
    }

    async fn base_images(&self) -> Result<Vec<DiskImage>> {
        self.whole.base_images().await
    }

    async fn image(&self, image: &DiskImage) -> Result<DiskInfo> {
        self.whole.image(image).await
    }

    async fn delete_image(&self, image: &DiskImage) -> Result<()> {
        self.whole.delete_image(image).await
    }

    async fn open_ports(&self, ports: &[u16]) -> Result<()> {
        self.whole.open_ports(ports).await
    }
}
