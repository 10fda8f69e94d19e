# Makes an image out of a builder: what is its own, and must not be in its copies, is removed.
#
# Run by `sh -eu` as the builder's last act. Nothing here may fail because something is not there; what must be gone at
# the end is looked for by check.sh. Only rm, find, truncate, test, cat and what the shell itself has is needed.

# Login keys: Remint's own, and any that the cloud put there. New instances get theirs from their user data.
rm -f /root/.ssh/authorized_keys /root/.ssh/authorized_keys2 /root/.ssh/known_hosts
find /home -name authorized_keys -delete 2>/dev/null || true

# Host keys: each instance's own come with its user data. Without any, sshd does not start before cloud-init has put them
# there; Debian's own unit for making missing ones runs only when its package is set up.
rm -f /etc/ssh/ssh_host_rsa_key /etc/ssh/ssh_host_ecdsa_key /etc/ssh/ssh_host_ed25519_key /etc/ssh/ssh_host_dsa_key
rm -f /etc/ssh/ssh_host_rsa_key.pub /etc/ssh/ssh_host_ecdsa_key.pub /etc/ssh/ssh_host_ed25519_key.pub
rm -f /etc/ssh/ssh_host_dsa_key.pub
find /etc/ssh -name 'ssh_host_*' -delete 2>/dev/null || true

# The machine id: an empty file means "make one at the next boot"; a missing one would mean that on some systems only.
if test -e /etc/machine-id; then truncate -s 0 /etc/machine-id; fi
rm -f /var/lib/dbus/machine-id

# cloud-init: what it knows of this builder, its user data included, so that an instance's first boot is a first boot.
# A folder with a seed that came with the base image, from which machines without a metadata service start, is kept.
rm -rf /var/lib/cloud/instance /var/lib/cloud/instances /var/lib/cloud/data /var/lib/cloud/sem /var/lib/cloud/handlers
rm -rf /run/cloud-init
rm -f /var/log/cloud-init.log /var/log/cloud-init-output.log
# What cloud-init derived from the builder's metadata; it is made anew, and would be wrong until then.
rm -f /etc/netplan/50-cloud-init.yaml /etc/network/interfaces.d/50-cloud-init
rm -f /etc/udev/rules.d/70-persistent-net.rules

# Histories.
rm -f /root/.bash_history /root/.sh_history /root/.ash_history /root/.lesshst /root/.viminfo /root/.wget-hsts
find /home -name .bash_history -delete 2>/dev/null || true

# Logs: kept as empty files, so that whoever writes to them finds them as they were.
rm -rf /var/log/journal/* /run/log/journal/*
find /var/log -name '*.gz' -delete 2>/dev/null || true
for log in /var/log/*.log /var/log/apt/*.log /var/log/syslog /var/log/messages /var/log/wtmp /var/log/btmp /var/log/lastlog; do
    if test -f "$log"; then truncate -s 0 "$log"; fi
done

# Randomness and leases that copies must not share.
rm -f /var/lib/systemd/random-seed /var/lib/systemd/credential.secret /boot/loader/random-seed
rm -f /var/lib/dhcp/*.leases /var/lib/dhclient/*.leases /var/lib/NetworkManager/*.lease
rm -rf /run/systemd/netif/leases

# Scratch space and package caches.
rm -rf /tmp/* /var/tmp/* /var/cache/apt/archives/*.deb
