//! From power-on to a running system.

use std::{sync::Arc, time::Duration};

use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{behaviour::Behaviour, cloud_init, services, ssh};
use crate::simulated::{
    disk::{Disk, DiskError, lock},
    machine::{Machine, Start},
    shell::{CloudInit, Host, Limits, Request},
};

/// Runs the machine until the power goes. What its system asks of the power goes to `shutdowns`: whether it is to start again.
pub(crate) async fn live(
    machine: &Arc<Machine>,
    power: &CancellationToken,
    how: Start,
    shutdowns: mpsc::UnboundedSender<bool>,
) {
    let spec = machine.spec();
    if how == Start::Boot {
        machine.log("[    0.000000] Linux version 6.1.0-remint (simulated)");
        let behaviour = Behaviour::read(&lock(machine.disk()), |_| {});
        let delay = behaviour.boot_delay.map_or(spec.boot_delay, Duration::from);
        tokio::time::sleep(delay).await;
        if let Err(error) = volatile(&mut lock(machine.disk())) {
            machine.log(&format!("systemd[1]: cannot set up /run: {error}"));
        }
        machine.log("systemd[1]: Reached target basic.target.");
    }
    let (requests, mut asked) = mpsc::unbounded_channel();
    let stage = watch::Sender::new(CloudInit::Running);
    let cloud_init = stage.subscribe();
    let host =
        Host { disk: machine.disk().clone(), requests, cloud_init, power: power.clone(), limits: Limits::default() };
    // The key that the server shows: what its disk had when it was started or told to read it again.
    let shown = watch::Sender::new(None);
    let boot = async {
        let progress = cloud_init::early(machine, &host, power).await;
        let key = ssh::host_key(&mut lock(machine.disk()));
        match key {
            Ok(key) => {
                if let Some(listener) = services::listen(machine, spec.address, spec.ports.resolve(22)).await {
                    machine.log("systemd[1]: Started ssh.service - OpenBSD Secure Shell server.");
                    shown.send_replace(Some(key));
                    tokio::spawn(ssh::serve(machine.clone(), host.clone(), shown.subscribe(), listener, power.clone()));
                }
            }
            Err(error) => machine.log(&format!("sshd[400]: cannot use the host key: {error}")),
        }
        tokio::spawn(services::run(machine.clone(), power.clone()));
        let well = cloud_init::late(progress, machine, &host, power).await;
        machine.refresh_services();
        if let Err(error) = machine.save().await {
            tracing::error!(machine = spec.id, %error, "cannot keep a simulated machine");
        }
        stage.send_replace(if well { CloudInit::Done } else { CloudInit::Failed });
        machine.log(&format!("{} login:", lock(machine.disk()).text("/etc/hostname").trim()));
        std::future::pending::<()>().await;
    };
    let heed = async {
        while let Some(request) = asked.recv().await {
            match request {
                // The task that receives it runs for as long as the power is on.
                Request::Reboot => _ = shutdowns.send(true),
                Request::PowerOff => _ = shutdowns.send(false),
                Request::RefreshServices => machine.refresh_services(),
                Request::ReloadSsh => match ssh::host_key(&mut lock(machine.disk())) {
                    Ok(key) => _ = shown.send_replace(Some(key)),
                    Err(error) => machine.log(&format!("sshd[400]: cannot use the host key: {error}")),
                },
            }
        }
    };
    tokio::join!(boot, heed);
}

/// What is in memory on a real machine, and so new at every boot; and the machine id, where an image was sealed.
fn volatile(disk: &mut Disk) -> Result<(), DiskError> {
    for folder in ["/run", "/tmp", "/proc"] {
        if disk.exists(folder) {
            for name in disk.list(folder)? {
                disk.remove_tree(&format!("{folder}/{name}"))?;
            }
        }
    }
    disk.mkdir_all("/proc/sys/kernel/random")?;
    disk.write("/proc/sys/kernel/random/boot_id", format!("{}\n", Uuid::new_v4()).as_bytes())?;
    disk.mkdir_all("/run")?;
    if disk.text("/etc/machine-id").trim().is_empty() {
        disk.write("/etc/machine-id", format!("{}\n", Uuid::new_v4().simple()).as_bytes())?;
    }
    Ok(())
}
