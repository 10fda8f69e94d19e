//! QEMU's command line.

use std::{
    fmt::Write,
    fs,
    net::Ipv4Addr,
    path::{Path, PathBuf},
};

use remint_core::provider::PortMap;
use serde_json::json;
use tokio::process::Command;

use super::{
    accel::{Kind, QEMU},
    qmp::SOCKET,
    seed::SEED,
};

/// The names of files in a machine's folder.
pub(super) const CONSOLE: &str = "console.log";
pub(super) const PID: &str = "pid";

/// How a machine starts, with absolute paths.
#[derive(Debug, Clone)]
pub(super) enum Start {
    Direct { kernel: PathBuf, initrd: PathBuf, command_line: String },
    Firmware,
}

/// One run of a machine.
#[derive(Debug)]
pub(super) struct Launch<'a> {
    /// Shows in the process list.
    pub(super) name: String,
    pub(super) folder: &'a Path,
    pub(super) kind: Kind<'a>,
    /// The disk's file name in the folder.
    pub(super) disk: String,
    pub(super) start: Start,
    /// Port forwards, as [`forward`] writes them.
    pub(super) forwards: Vec<String>,
    /// Whether it waits for a saved state.
    pub(super) incoming: bool,
}

impl Launch<'_> {
    /// The command, which returns when QEMU is ready and stays behind as a process of its own session.
    ///
    /// What a guest can see must not depend on paths, ports or the folder: a saved guest goes on in another machine.
    pub(super) fn command(&self) -> Command {
        let mut command = Command::new(QEMU);
        let mut arg = |name: &str, value: &str| {
            command.arg(name).arg(value);
        };
        arg("-name", &self.name);
        arg("-machine", &format!("pc,accel={}", self.kind.accel.name()));
        arg("-cpu", self.kind.accel.cpu());
        arg("-smp", &self.kind.vcpus.to_string());
        arg("-m", &self.kind.memory_mib.to_string());
        arg("-rtc", "base=utc,clock=host");
        arg("-display", "none");

        let disk = json!({
            "driver": "qcow2", "node-name": "disk", "discard": "unmap",
            "file": {"driver": "file", "filename": self.folder.join(&self.disk), "discard": "unmap"},
        });
        arg("-blockdev", &disk.to_string());
        arg("-device", "virtio-blk-pci,drive=disk,id=vda,addr=0x4,bootindex=1");
        let seed = json!({
            "driver": "raw", "node-name": "seed", "read-only": true,
            "file": {"driver": "file", "filename": self.folder.join(SEED)},
        });
        arg("-blockdev", &seed.to_string());
        arg("-device", "virtio-blk-pci,drive=seed,id=vdb,addr=0x5");

        let mut network = "user,id=net0".to_owned();
        for forward in &self.forwards {
            // Writing to a string cannot fail.
            let _ = write!(network, ",hostfwd={forward}");
        }
        arg("-netdev", &network);
        arg("-device", "virtio-net-pci,netdev=net0,id=nic0,addr=0x3,romfile=");
        arg("-object", "rng-random,id=rng0,filename=/dev/urandom");
        arg("-device", "virtio-rng-pci,rng=rng0,addr=0x6");

        arg("-chardev", &format!("file,id=console,path={CONSOLE},append=on"));
        arg("-serial", "chardev:console");
        arg("-chardev", &format!("socket,id=qmp,path={SOCKET},server=on,wait=off"));
        arg("-mon", "chardev=qmp,mode=control");
        arg("-pidfile", PID);
        if let Start::Direct { kernel, initrd, command_line } = &self.start {
            command.arg("-kernel").arg(kernel).arg("-initrd").arg(initrd);
            command.arg("-append").arg(format!("{command_line} console=ttyS0"));
        }
        if self.incoming {
            command.args(["-S", "-incoming", "defer"]);
        }
        command.args(["-nodefaults", "-no-user-config", "-daemonize"]);
        // Relative paths for what may only be so long, and for what QEMU separates by commas.
        command.current_dir(self.folder);
        command
    }
}

/// A port forward to a guest, as QEMU writes it.
pub(super) fn forward(address: Ipv4Addr, ports: &PortMap, port: u16) -> String {
    format!("tcp:{address}:{}-:{port}", ports.resolve(port))
}

/// The process that runs the machine in `folder`, if it lives.
///
/// The number alone could belong to another program by now: it must be a QEMU that has this folder on its command line.
pub(super) fn process(folder: &Path) -> Option<i32> {
    let pid: i32 = fs::read_to_string(folder.join(PID)).ok()?.trim().parse().ok()?;
    let command_line = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let wanted = json!(folder.join(SEED)).to_string();
    let mut words = command_line.split(|byte| *byte == 0).map(String::from_utf8_lossy);
    let program = words.next()?;
    (program.ends_with(QEMU) && words.any(|word| word.contains(&wanted))).then_some(pid)
}

#[cfg(test)]
mod tests {
    use super::{super::accel::Accel, *};

    fn words(launch: &Launch<'_>) -> Vec<String> {
        launch.command().as_std().get_args().map(|word| word.to_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn ports_are_forwarded_where_the_map_moves_them() {
        let ports = PortMap { through: 1023, offset: 20000 };
        assert_eq!(forward([127, 1, 0, 7].into(), &ports, 22), "tcp:127.1.0.7:20022-:22");
        assert_eq!(forward([127, 1, 0, 7].into(), &ports, 8080), "tcp:127.1.0.7:8080-:8080");
    }

    #[test]
    fn no_secret_and_no_reserved_character_is_in_the_way() {
        let folder = Path::new("/tmp/a,b \"c\"");
        let mut launch = Launch {
            name: "remint-7".into(),
            folder,
            kind: Kind { accel: Accel::Tcg, qemu: "9", vcpus: 2, memory_mib: 1024 },
            disk: "disk-3.qcow2".into(),
            start: Start::Direct { kernel: "/k".into(), initrd: "/i".into(), command_line: "root=/dev/vda".into() },
            forwards: vec!["tcp:127.1.0.7:22-:22".into(), "tcp:127.1.0.7:80-:80".into()],
            incoming: false,
        };
        let words_cold = words(&launch);
        let disk: serde_json::Value =
            serde_json::from_str(words_cold.iter().find(|word| word.contains("disk-3")).unwrap()).unwrap();
        assert_eq!(disk["file"]["filename"], "/tmp/a,b \"c\"/disk-3.qcow2");
        assert!(words_cold.contains(&"user,id=net0,hostfwd=tcp:127.1.0.7:22-:22,hostfwd=tcp:127.1.0.7:80-:80".into()));
        assert!(words_cold.contains(&"root=/dev/vda console=ttyS0".into()));
        assert!(!words_cold.contains(&"-incoming".into()));
        launch.incoming = true;
        launch.start = Start::Firmware;
        assert!(words(&launch).contains(&"defer".into()) && !words(&launch).contains(&"-kernel".into()));
    }

    #[test]
    fn another_program_with_the_number_is_not_the_machine() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(process(folder.path()), None);
        fs::write(folder.path().join(PID), std::process::id().to_string()).unwrap();
        assert_eq!(process(folder.path()), None);
    }
}
