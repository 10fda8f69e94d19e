//! The base image: as much of a Debian 12 as what bakes and checks images looks at.

use super::tree::{Disk, DiskError};

const FOLDERS: &str = "/bin /etc/apt/apt.conf.d /etc/ssh /etc/systemd/system /etc/default /home /opt /proc /root /run /srv \
                       /tmp /usr/bin /usr/local/bin /usr/local/sbin /var/lib/cloud /var/log /var/tmp";

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

/// Those users and groups of Debian's that recipes name as owners.
const PASSWD: &str = "root:x:0:0:root:/root:/bin/bash
daemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin
bin:x:2:2:bin:/bin:/usr/sbin/nologin
sys:x:3:3:sys:/dev:/usr/sbin/nologin
mail:x:8:8:mail:/var/mail:/usr/sbin/nologin
www-data:x:33:33:www-data:/var/www:/usr/sbin/nologin
backup:x:34:34:backup:/var/backups:/usr/sbin/nologin
nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin
";

const GROUP: &str = "root:x:0:
daemon:x:1:
bin:x:2:
sys:x:3:
adm:x:4:
tty:x:5:
disk:x:6:
mail:x:8:
www-data:x:33:
backup:x:34:
sudo:x:27:
shadow:x:42:
staff:x:50:
users:x:100:
nogroup:x:65534:
";

const FILES: [(&str, &str); 11] = [
    ("/etc/os-release", OS_RELEASE),
    ("/etc/debian_version", "12.9\n"),
    ("/etc/hostname", "debian\n"),
    ("/etc/hosts", "127.0.0.1 localhost\n"),
    ("/etc/machine-id", ""),
    ("/etc/passwd", PASSWD),
    ("/etc/group", GROUP),
    ("/etc/shadow", "root:*:19000:0:99999:7:::\n"),
    ("/etc/ssh/sshd_config", "PermitRootLogin prohibit-password\nPasswordAuthentication no\n"),
    ("/var/log/cloud-init.log", ""),
    ("/var/log/cloud-init-output.log", ""),
];

/// A fresh base disk.
pub(crate) fn base_image() -> Result<Disk, DiskError> {
    let mut disk = Disk::default();
    for folder in FOLDERS.split(' ') {
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
