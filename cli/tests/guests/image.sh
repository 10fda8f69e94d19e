#!/bin/sh
# Builds the guests' disk into the folder $1: Debian 12 with cloud-init and google-guest-agent as they are packaged, that is
# without a configuration, a list of data sources or a seed of ours. Leaves disk.raw, vmlinuz and initrd.img there.
#
# As in Google's images, the SSH server's own configuration refuses root, and the metadata server's name needs no DNS.
set -eu
cd "$1"

sources=$(apt-get indextargets --format 'deb $(REPO_URI) $(RELEASE) $(COMPONENT)' 'Identifier: Packages' |
    awk '$3 ~ /^bookworm(-updates|-security)?$/ && $4 == "main"' | sort -u)
case $sources in
*" bookworm main"*) ;;
*) echo "apt of this machine knows no mirror with Debian 12 (bookworm)" >&2; exit 1 ;;
esac

packages=systemd-sysv,udev,dbus,libpam-systemd,cloud-init,openssh-server,python3,curl,ca-certificates,sudo,iproute2,procps
packages=$packages,e2fsprogs,kmod,zstd,less,initramfs-tools,linux-image-cloud-amd64
packages=$packages,netplan.io,systemd-resolved,cloud-guest-utils,google-guest-agent

cat >initramfs.sh <<'HOOK'
set -eu
mkdir -p "$1/etc/initramfs-tools/conf.d"
printf 'MODULES=list\nCOMPRESS=zstd\nFSTYPE=ext4\n' >"$1/etc/initramfs-tools/conf.d/guests"
printf 'virtio_pci\nvirtio_blk\next4\n' >"$1/etc/initramfs-tools/modules"
HOOK

cat >system.sh <<'HOOK'
set -eu
printf '/dev/vda / ext4 defaults 0 1\n' >"$1/etc/fstab"
printf 'localhost\n' >"$1/etc/hostname"
printf '127.0.0.1 localhost\n169.254.169.254 metadata.google.internal metadata\n' >"$1/etc/hosts"
# cloud-init's module `locale` fails without it.
printf 'LANG=C.UTF-8\n' >"$1/etc/default/locale"
printf 'PermitRootLogin no\n' >>"$1/etc/ssh/sshd_config"
: >"$1/etc/machine-id"
rm -rf "$1"/etc/ssh/ssh_host_* "$1/var/lib/cloud" "$1"/var/log/cloud-init*.log
# The emulated network has no IPv6: waiting for a link-local address takes two minutes.
mkdir -p "$1/etc/systemd/network/10-netplan-eth0.network.d"
printf '[Network]\nLinkLocalAddressing=no\nIPv6AcceptRA=no\n' >"$1/etc/systemd/network/10-netplan-eth0.network.d/guests.conf"
chroot "$1" systemctl enable systemd-networkd.service systemd-resolved.service
# What only takes time on an emulated processor.
chroot "$1" systemctl mask apt-daily.timer apt-daily-upgrade.timer e2scrub_all.timer fstrim.timer dpkg-db-backup.timer \
    systemd-binfmt.service systemd-pstore.service systemd-hwdb-update.service e2scrub_reap.service
touch "$1/etc/.updated" "$1/var/.updated"
HOOK

mode=unshare
as_root() { unshare --map-root-user --map-auto "$@"; }
if [ "$(id -u)" = 0 ]; then
    mode=root
    as_root() { "$@"; }
fi
printf '%s\n' "$sources" | mmdebstrap --mode=$mode --variant=apt --architectures=amd64 --format=tar --skip=output/dev \
    "--include=$packages" '--dpkgopt=path-exclude=/usr/share/doc/*' '--dpkgopt=path-exclude=/usr/share/man/*' \
    '--dpkgopt=path-exclude=/usr/share/locale/*' '--essential-hook=sh initramfs.sh "$1"' \
    '--customize-hook=sh system.sh "$1"' bookworm root.tar -

as_root sh -euc '
    mkdir root
    tar -C root --numeric-owner -xpf root.tar
    mkdir -p root/dev
    rm root.tar
    cp root/boot/vmlinuz-* vmlinuz
    cp root/boot/initrd.img-* initrd.img
    PATH=$PATH:/usr/sbin:/sbin mke2fs -q -t ext4 -L root -d root \
        -E lazy_itable_init=1,assume_storage_prezeroed=1,root_owner=0:0 disk.raw 4G
    rm -rf root'
rm initramfs.sh system.sh
