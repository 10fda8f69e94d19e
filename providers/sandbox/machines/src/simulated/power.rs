//! A machine's power: switching on, and shutting down in order.

use std::{io, sync::Arc, time::Duration};

use tokio::sync::mpsc;

use super::{
    guest,
    machine::{Machine, Start},
};

/// How long an orderly shutdown takes. The machine is seen running for that time after the request, as a real one is.
const SHUTDOWN: Duration = Duration::from_millis(100);

/// Switches on, if it is off.
pub(super) fn start(machine: &Arc<Machine>, how: Start) -> io::Result<()> {
    let Some(power) = machine.switch_on()? else { return Ok(()) };
    let machine = machine.clone();
    tokio::spawn(async move {
        let (shutdowns, mut asked) = mpsc::unbounded_channel();
        let heed = async {
            while let Some(again) = asked.recv().await {
                shutdown(&machine, again);
            }
        };
        let life = async { tokio::join!(guest::live(&machine, &power, how, shutdowns), heed) };
        power.run_until_cancelled(life).await;
    });
    Ok(())
}

/// Shuts down in order, and starts again if `again`; returns at once.
pub(super) fn shutdown(machine: &Arc<Machine>, again: bool) {
    let Some(token) = machine.supply() else { return };
    let machine = machine.clone();
    tokio::spawn(async move {
        machine.log(if again { "reboot: Restarting system" } else { "reboot: Power down" });
        // The power may be cut, and come again, meanwhile: then this shutdown has nothing left to do.
        if token.run_until_cancelled(tokio::time::sleep(SHUTDOWN)).await.is_none() {
            return;
        }
        let done = async {
            machine.power_off().await?;
            if again { start(&machine, Start::Boot) } else { Ok(()) }
        };
        if let Err(error) = done.await
            && !machine.is_gone()
        {
            tracing::error!(machine = machine.spec().id, %error, "cannot keep a simulated machine");
        }
    });
}
