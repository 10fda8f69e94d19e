//! The base image: as much of a Debian 12 as what bakes and checks images looks at.

use super::tree::{Disk, DiskError};

const FOLDERS: [&str; 17] = [
    "/bin",
    "/etc/ssh",
    "/etc/systemd/system",
    "/etc/default",
    "/home",
    "/opt",
    "/proc",
    "/root",
    "/run",
    "/srv",
    "/tmp",
    "/usr/bin",
    "/usr/local/bin",
    "/usr/local/sbin",
    "/var/lib/cloud",
    "/var/log",
    "/var/tmp",
];

const OS_RELEASE: &str = r#"PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"
NAME="Debian GNU/Linux"
VERSION_ID="12"
VERSION="12 (bookworm)"
VERSION_CODENAME=bookworm
ID=debian
HOME_URL="https://www.debian.org/"
SUPPORT_URL="https://www.debian.org/support"
BUG_REPORT_URL="https://bugs.debian.org/"
"#;

const FILES: [(&str, &str); 11] = [
    ("/etc/os-release", OS_RELEASE),
    ("/etc/debian_version", "12.9\n"),
    ("/etc/hostname", "debian\n"),
    ("/etc/hosts", "127.0.0.1 localhost\n"),
    ("/etc/machine-id", ""),
    ("/etc/passwd", "root:x:0:0:root:/root:/bin/bash\n"),
    ("/etc/group", "root:x:0:\n"),
    ("/etc/shadow", "root:*:19000:0:99999:7:::\n"),
    ("/etc/ssh/sshd_config", "PermitRootLogin prohibit-password\nPasswordAuthentication no\n"),
    ("/var/log/cloud-init.log", ""),
    ("/var/log/cloud-init-output.log", ""),
];

/// A fresh base disk.
pub(in super::super) fn base_image() -> Result<Disk, DiskError> {
    let mut disk = Disk::default();
    for folder in FOLDERS {
        disk.mkdir_all(folder)?;
    }
    for (path, text) in FILES {
        disk.write(path, text.as_bytes())?;
    }
    disk.update("/etc/shadow", |node| node.mode = 0o640)?;
    disk.update("/root", |node| node.mode = 0o700)?;
    for folder in ["/tmp", "/var/tmp"] {
        disk.update(folder, |node| node.mode = 0o1777)?;
    }
    Ok(disk)
}
