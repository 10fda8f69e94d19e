//! Building Debian 12 from its packages.
//!
//! mmdebstrap makes a root file system, `mke2fs -d` a disk of it; there is no partition and no boot loader, since the
//! hypervisor loads the kernel. Nothing here needs root or a loop device.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use nix::unistd::geteuid;
use tokio::process::Command;

use super::{
    Progress,
    disk::describe,
    error::{ImageError, Result},
    layout::{DISK, Staging, check_name, write_manifest},
    manifest::{Boot, Manifest},
    sources,
    tool::run,
};

/// The slug of the image that [`build`] makes by default, as DigitalOcean calls it.
pub const DEBIAN_12: &str = "debian-12-x64";

/// The smallest disk that a machine from this image can have; the file system grows to the machine's disk at boot.
const DISK_SIZE: &str = "8G";

/// What every instance's image holds beside the essential packages.
const PACKAGES: &str = "systemd-sysv,udev,dbus,libpam-systemd,cloud-init,openssh-server,python3,curl,ca-certificates,\
    sudo,iproute2,procps,e2fsprogs,kmod,zstd,less,initramfs-tools,linux-image-cloud-amd64";

/// What the initial RAM file system must load to reach the root file system. It is kept this small because an emulated
/// processor unpacks it at every boot.
const INITRAMFS: &str = "mkdir -p \"$1/etc/initramfs-tools/conf.d\" \
    && printf 'MODULES=list\\nCOMPRESS=zstd\\nFSTYPE=ext4\\n' > \"$1/etc/initramfs-tools/conf.d/remint\" \
    && printf 'virtio_pci\\nvirtio_blk\\next4\\n' > \"$1/etc/initramfs-tools/modules\"";

/// Turns the archive `root.tar` into `disk.raw`, and takes the kernel out. As an ordinary user it runs in a user
/// namespace, so that the files belong to whom they should.
const TO_DISK: &str = "set -eu; mkdir root; tar -C root --numeric-owner -xpf root.tar; mkdir -p root/dev; rm root.tar; \
    cp -L root/vmlinuz vmlinuz 2>/dev/null || cp root/boot/vmlinuz-* vmlinuz; \
    cp -L root/initrd.img initrd.img 2>/dev/null || cp root/boot/initrd.img-* initrd.img; \
    mke2fs -q -t ext4 -L root -d root -E lazy_itable_init=1,assume_storage_prezeroed=1,root_owner=0:0 \
        disk.raw \"$DISK_SIZE\"; rm -rf root";

/// The kernel's command line: old interface names, no checks that an emulator only loses time with, and no initialisation
/// of empty inode tables, which would fill every machine's disk file.
const COMMAND_LINE: &str = "root=/dev/vda rw rootflags=noinit_itable net.ifnames=0 mitigations=off fsck.mode=skip systemd.firstboot=off panic=5";

/// What [`build`] makes. By default, Debian 12 from this machine's package sources.
#[derive(Debug, Clone)]
pub struct BuildOptions {
    /// The slug under which instances launch from it.
    pub name: String,
    /// `deb` lines of the package sources, for the build and inside the image; those of this machine if empty.
    pub sources: Vec<String>,
    /// Names of Debian packages that are installed in addition to those that every image has.
    pub packages: Vec<String>,
}

impl Default for BuildOptions {
    fn default() -> Self {
        Self { name: DEBIAN_12.to_owned(), sources: Vec::new(), packages: Vec::new() }
    }
}

/// Builds Debian 12 into the store `dir`; takes one to three minutes, and about 2 GiB there while it runs.
///
/// - *Behaviour*: the image appears at once and whole, in place of one of that name. Dropping the future ends the
///   programs and removes what they made.
/// - *Errors*: a missing program (mmdebstrap, mke2fs, qemu-img), no mirror with Debian 12, an ordinary user without
///   subordinate ids.
pub async fn build(dir: &Path, options: &BuildOptions, progress: Progress<'_>) -> Result<Manifest> {
    let BuildOptions { name, sources, packages } = options;
    check_name(name)?;
    let failed = |message: String| ImageError::new("build", name, message);
    let unwritable = |error: io::Error| failed(format!("{}: {error}", dir.display()));

    let sources = if sources.is_empty() { sources::of_this_machine().await.map_err(failed)? } else { sources.clone() };
    let staging = Staging::new(dir).map_err(unwritable)?;
    let (work, folder) = (staging.path(), staging.folder());
    write_files(work).map_err(unwritable)?;

    progress("building a root file system with mmdebstrap");
    run(debootstrap(work, &sources, packages), progress).await.map_err(failed)?;
    progress("making the disk");
    run(to_disk(work), progress).await.map_err(failed)?;
    let mut convert = Command::new("qemu-img");
    convert.args(["convert", "-f", "raw", "-O", "qcow2"]).arg(work.join("disk.raw")).arg(folder.join(DISK));
    run(convert, progress).await.map_err(failed)?;
    for file in ["vmlinuz", "initrd.img"] {
        fs::rename(work.join(file), folder.join(file)).map_err(unwritable)?;
    }
    let boot = Boot::Direct {
        kernel: "vmlinuz".to_owned(),
        initrd: "initrd.img".to_owned(),
        command_line: COMMAND_LINE.to_owned(),
        warm: true,
    };
    let manifest = describe(&folder, name, "Debian 12 (bookworm) x64".to_owned(), boot, progress).await?;
    write_manifest(&folder, &manifest).map_err(unwritable)?;
    staging.publish(name).map_err(unwritable)?;
    progress(&format!("image {name} is ready"));
    Ok(manifest)
}

/// The files that go into the system, in the folders where they belong.
fn write_files(work: &Path) -> io::Result<()> {
    let files: [(PathBuf, &str); 3] = [
        (work.join("files/etc/cloud/cloud.cfg.d/90_remint.cfg"), include_str!("files/cloud.cfg")),
        (work.join("files/usr/lib/remint/warm.py"), include_str!("files/warm.py")),
        (work.join("files/usr/lib/remint/setup.sh"), include_str!("files/setup.sh")),
    ];
    for (path, text) in files {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(path, text)?;
    }
    Ok(())
}

fn debootstrap(work: &Path, sources: &[String], packages: &[String]) -> Command {
    let mut include = PACKAGES.to_owned();
    for package in packages {
        include.push(',');
        include.push_str(package);
    }
    let mut command = Command::new("mmdebstrap");
    // With relative paths throughout, no path of this machine passes through mmdebstrap's shell.
    command.current_dir(work);
    command.arg(if geteuid().is_root() { "--mode=root" } else { "--mode=unshare" });
    command.args(["--variant=apt", "--architectures=amd64", "--format=tar", "--skip=output/dev"]);
    command.arg(format!("--include={include}"));
    for exclude in ["doc", "man", "locale", "info"] {
        command.arg(format!("--dpkgopt=path-exclude=/usr/share/{exclude}/*"));
    }
    command.arg(format!("--essential-hook={INITRAMFS}"));
    command.arg("--customize-hook=sync-in files /");
    command.arg("--customize-hook=chroot \"$1\" sh /usr/lib/remint/setup.sh && rm \"$1/usr/lib/remint/setup.sh\"");
    command.args(["bookworm", "root.tar"]);
    command.args(sources);
    command
}

fn to_disk(work: &Path) -> Command {
    let mut command = if geteuid().is_root() {
        Command::new("sh")
    } else {
        let mut command = Command::new("unshare");
        command.args(["--map-root-user", "--map-auto", "sh"]);
        command
    };
    command.current_dir(work).env("DISK_SIZE", DISK_SIZE).args(["-c", TO_DISK]);
    command
}
