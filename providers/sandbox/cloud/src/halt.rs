//! Stopping a machine in order, or by cutting its power where it does not heed.

use std::time::Instant;

use super::{
    Cloud, Front,
    delays::{LOOK, PATIENCE},
};
use remint_sandbox_machines::{MachineError, Power};

impl<F: Front> Cloud<F> {
    /// Asks the guest to shut down unless `force` is set, and cuts the power when it does not in time. Returns when the
    /// machine is off.
    pub(super) async fn halt(&self, machine: u64, force: bool) -> Result<(), MachineError> {
        let hypervisor = &self.inner.hypervisor;
        if !force && hypervisor.power(machine).await? == Power::On {
            hypervisor.shutdown(machine).await?;
            let begun = Instant::now();
            while begun.elapsed() < PATIENCE {
                if hypervisor.power(machine).await? == Power::Off {
                    return Ok(());
                }
                tokio::time::sleep(LOOK).await;
            }
            tracing::warn!(machine, "the guest does not shut down: cutting its power");
        }
        hypervisor.power_off(machine).await
    }
}
