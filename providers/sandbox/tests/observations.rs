//! Simulated machines do what real ones do, or say that they do not. The same table runs on a real one in `qemu.rs`.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

#[path = "common/observations.rs"]
mod observations;

use std::time::Duration;

use remint_core::{
    provider::{Address, Guest, PortMap},
    remote::{Boot, ConnectOptions, HostKey, LoginKey, WaitOptions, wait_for_ssh},
};
use remint_sandbox::machine::{DiskImage, Hypervisor, MachineSpec, simulated::Simulated};
use secrecy::ExposeSecret;

#[tokio::test(flavor = "multi_thread")]
async fn simulated_machines_do_what_the_table_says() {
    let dir = tempfile::tempdir().unwrap();
    let image = DiskImage("debian-12-x64".to_owned());
    let machines = Simulated::new(dir.path().to_owned(), vec![image.clone()]).await.unwrap();
    let (login, host) = (LoginKey::generate(), HostKey::generate());
    let config = serde_json::json!({ "ssh_keys": {
        "ed25519_private": host.private_pem().expose_secret(), "ed25519_public": host.public().line(),
    } });
    let [a, b] = (std::process::id() as u16).to_be_bytes();
    let spec = MachineSpec {
        id: 1,
        name: "machine-1".to_owned(),
        address: [127, 197, a, b].into(),
        ports: PortMap { through: 1023, offset: 20000 },
        open: vec![],
        image,
        region: "fra1".to_owned(),
        vcpus: 1,
        memory_mib: 512,
        disk_gib: 10,
        user_data: Some(format!("#cloud-config\n{config}")),
        ssh_keys: vec![login.public().line()],
        boot_delay: Duration::ZERO,
    };
    machines.create(&spec).await.unwrap();
    machines.start(1).await.unwrap();
    let endpoint = Address { ip: spec.address.into(), ports: spec.ports }.endpoint(22);
    let wait = WaitOptions {
        deadline: tokio::time::Instant::now() + Duration::from_secs(30),
        boot: Boot::First(&Guest::CLOUD_INIT),
        cancel: tokio_util::sync::CancellationToken::new(),
    };
    let options = ConnectOptions::new(endpoint, login, host.public());
    let connection = wait_for_ssh(&options, &wait, &mut |_| ()).await.unwrap();
    let found = observations::differences(&connection, false).await;
    assert!(found.is_empty(), "{}", found.join("\n"));
    machines.destroy(1).await.unwrap();
}
