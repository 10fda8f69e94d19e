//! A guest under QEMU.

use std::{
    fs,
    hash::{DefaultHasher, Hash, Hasher},
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::OnceLock,
};

use super::cloud::{Cloud, GUEST_ADDRESS, MAC, NETWORK, RESOLVER, ROUTER};

const BUILD: &str = include_str!("image.sh");
const PIPE: &str = include_str!("pipe.py");

/// The kernel's command line, as the sandbox's own base image has it.
const COMMAND_LINE: &str =
    "root=/dev/vda rw rootflags=noinit_itable net.ifnames=0 mitigations=off fsck.mode=skip panic=5 console=ttyS0";

/// What the tests need, and the packages of Debian that bring it.
const PROGRAMS: &[(&str, &[&str], &str)] = &[
    ("QEMU", &["/usr/bin/qemu-system-x86_64"], "qemu-system-x86"),
    ("qemu-img", &["/usr/bin/qemu-img"], "qemu-utils"),
    ("mmdebstrap", &["/usr/bin/mmdebstrap"], "mmdebstrap"),
    ("mke2fs", &["/usr/sbin/mke2fs", "/sbin/mke2fs"], "e2fsprogs"),
    ("Python", &["/usr/bin/python3", "/usr/local/bin/python3"], "python3"),
];

fn program(name: &str) -> &'static str {
    let (_, places, package) = PROGRAMS.iter().find(|(known, _, _)| *known == name).unwrap();
    let found = places.iter().copied().find(|place| Path::new(place).exists());
    found.unwrap_or_else(|| panic!("these tests need {name}: apt-get install {package}"))
}

/// The folder with the guests' disk and kernel, which the first test of the first run makes.
fn image() -> &'static Path {
    static IMAGE: OnceLock<PathBuf> = OnceLock::new();
    IMAGE.get_or_init(|| {
        for (name, ..) in PROGRAMS {
            program(name);
        }
        let mut hasher = DefaultHasher::new();
        BUILD.hash(&mut hasher);
        let images = Path::new(env!("CARGO_TARGET_TMPDIR")).join("guests");
        let image = images.join(format!("{:016x}", hasher.finish()));
        if !image.exists() {
            // One of another recipe is of no use any more.
            let _ = fs::remove_dir_all(&images);
            fs::create_dir_all(&images).unwrap();
            let staging = tempfile::tempdir_in(&images).unwrap();
            let script = staging.path().join("image.sh");
            fs::write(&script, BUILD).unwrap();
            let status = Command::new("sh").arg(&script).arg(staging.path()).stdin(Stdio::null()).status().unwrap();
            assert!(status.success(), "the guests' disk could not be built; see above");
            fs::rename(staging.keep(), &image).unwrap();
        }
        image
    })
}

/// A guest that runs; it is switched off when this is dropped.
#[derive(Debug)]
pub(crate) struct Machine {
    folder: tempfile::TempDir,
    process: Child,
    /// Where its SSH server is.
    pub(crate) endpoint: SocketAddr,
}

impl Machine {
    /// Boots a new disk as a guest of a cloud whose metadata service is at a port of loopback.
    pub(crate) fn boot(cloud: Cloud, metadata: SocketAddr) -> Self {
        let image = image();
        let folder = tempfile::tempdir().unwrap();
        let disk = folder.path().join("disk.qcow2");
        let made = Command::new(program("qemu-img"))
            .args(["create", "-q", "-f", "qcow2", "-F", "raw", "-b"])
            .arg(image.join("disk.raw"))
            .arg(&disk)
            .status();
        assert!(made.unwrap().success(), "no disk");
        fs::write(folder.path().join("pipe.py"), PIPE).unwrap();

        let endpoint = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).unwrap();
        let pipe = format!("{} -S {} {}", program("Python"), folder.path().join("pipe.py").display(), metadata.port());
        let network = format!(
            "user,id=net0,ipv6=off,net={NETWORK},host={ROUTER},dns={RESOLVER},dhcpstart={GUEST_ADDRESS},\
             hostfwd=tcp:127.0.0.1:{}-{GUEST_ADDRESS}:22,guestfwd=tcp:169.254.169.254:80-cmd:{pipe}",
            endpoint.port()
        );
        let masks: String = cloud.masked().iter().map(|unit| format!(" systemd.mask={unit}")).collect();
        let log = |name: &str| fs::File::create(folder.path().join(name)).unwrap();
        let process = Command::new(program("QEMU"))
            .args(["-nodefaults", "-no-user-config", "-display", "none", "-machine", "pc,accel=tcg", "-cpu", "max"])
            .args(["-smp", "1", "-m", "1024", "-rtc", "base=utc,clock=host", "-smbios", cloud.smbios()])
            .arg("-kernel")
            .arg(image.join("vmlinuz"))
            .arg("-initrd")
            .arg(image.join("initrd.img"))
            .args(["-append", &format!("{COMMAND_LINE}{masks}")])
            .arg("-drive")
            .arg(format!("if=virtio,format=qcow2,discard=unmap,file={}", disk.display()))
            .args(["-netdev", &network, "-device", &format!("virtio-net-pci,netdev=net0,mac={MAC},romfile=")])
            .args(["-object", "rng-random,id=rng0,filename=/dev/urandom", "-device", "virtio-rng-pci,rng=rng0"])
            .args(["-chardev", &format!("file,id=console,path={}", folder.path().join("console.log").display())])
            .args(["-serial", "chardev:console"])
            .stdin(Stdio::null())
            .stderr(log("qemu.log"))
            .spawn()
            .unwrap();
        Self { folder, process, endpoint }
    }

    /// The end of what it wrote to its console, and what QEMU said.
    pub(crate) fn console(&self) -> String {
        let read = |name: &str| {
            let bytes = fs::read(self.folder.path().join(name)).unwrap_or_default();
            let text = String::from_utf8_lossy(&bytes).into_owned();
            let lines: Vec<_> = text.lines().collect();
            lines[lines.len().saturating_sub(60)..].join("\n")
        };
        format!("{}\n{}", read("console.log"), read("qemu.log"))
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
