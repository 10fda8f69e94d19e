#!/usr/bin/env bash
# Looks into the disk of a captured image, from outside, for what must not be in its copies: login keys, host keys, the
# machine id, cloud-init's state and shell histories of the machine that it was captured from.
#
#   sealed.sh DISK.qcow2 WORK-FOLDER
#
# The disk is one ext4 file system without a partition, as those of the sandbox's own base images are. Needs qemu-img and
# e2fsprogs; nothing is mounted.
set -euo pipefail
PATH=$PATH:/usr/sbin:/sbin
disk=$1
raw=$2/sealed.raw
trap 'rm -f "$raw"' EXIT

qemu-img convert -O raw "$disk" "$raw"
# What a machine that lost its power had only in the journal belongs to the disk too.
e2fsck -E journal_only -y "$raw" >/dev/null 2>&1 || true

ask() { debugfs -R "$1" "$raw" 2>&1; }
exists() { ask "stat $1" | grep -q '^Inode:'; }
content() { debugfs -R "cat $1" "$raw" 2>/dev/null; }

# If the disk could not be read, nothing would be found on it either.
exists /etc/debian_version && exists /etc/ssh/sshd_config || {
  echo "sealed: $disk cannot be read" >&2
  exit 2
}

left=0
found() {
  echo "found $*" >&2
  left=1
}
for path in /var/lib/cloud/instance /var/lib/cloud/instances /var/lib/cloud/data /var/lib/cloud/sem \
  /root/.bash_history /root/.sh_history /var/lib/dbus/machine-id; do
  if exists "$path"; then found "$path"; fi
done
for path in /root/.ssh/authorized_keys /etc/machine-id /var/log/cloud-init.log; do
  if exists "$path" && [ -n "$(content "$path" | tr -d '\0')" ]; then found "$path"; fi
done
# cloud-init makes the folder for seeds that come with an image; there must be none in it.
seeds=$(ask "ls -p /var/lib/cloud/seed" | grep '^/' | grep -v -e '/\./' -e '/\.\./' || true)
if [ -n "$seeds" ]; then found "a seed: $seeds"; fi
keys=$(ask "ls -p /etc/ssh" | grep -o 'ssh_host_[a-z0-9_.]*' || true)
if [ -n "$keys" ]; then found "host keys:" $keys; fi

[ "$left" = 0 ] || exit 1
echo "no login key, no host key, no machine id, no cloud-init state, no shell history"
