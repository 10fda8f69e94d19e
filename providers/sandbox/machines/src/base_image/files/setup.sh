# Runs inside the new system. What it writes is what makes a plain Debian a droplet's image.
set -eu

# Files come in with the owner and the folders' modes that they had outside.
for path in / /etc /etc/cloud /etc/cloud/cloud.cfg.d /usr /usr/lib /usr/lib/remint; do
    chown root:root "$path"
    chmod 755 "$path"
done
chown root:root /etc/cloud/cloud.cfg.d/* /usr/lib/remint/*
chmod 644 /etc/cloud/cloud.cfg.d/* /usr/lib/remint/*

printf '/dev/vda / ext4 defaults 0 1\n' > /etc/fstab
printf 'localhost\n' > /etc/hostname
printf '127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n' > /etc/hosts
rm -f /etc/resolv.conf
printf 'nameserver 10.0.2.3\n' > /etc/resolv.conf
: > /etc/machine-id
rm -f /etc/ssh/ssh_host_*
rm -rf /var/lib/cloud /var/log/cloud-init*.log

mkdir -p /etc/systemd/network
cat > /etc/systemd/network/10-remint.network <<'END'
[Match]
Name=eth*

[Network]
DHCP=ipv4
LinkLocalAddressing=no
IPv6AcceptRA=no
END
systemctl enable systemd-networkd.service
# Its answer would be worth waiting for on a network that may be missing; this one is a part of the hypervisor.
systemctl disable systemd-networkd-wait-online.service
systemctl mask apt-daily.timer apt-daily-upgrade.timer e2scrub_all.timer fstrim.timer \
    dpkg-db-backup.timer
# Nothing on a virtual machine is served by these, and an emulated processor waits for each.
systemctl mask systemd-binfmt.service systemd-pstore.service systemd-rfkill.socket systemd-hwdb-update.service \
    modprobe@drm.service modprobe@efi_pstore.service e2scrub_reap.service dev-hugepages.mount dev-mqueue.mount \
    sys-kernel-debug.mount sys-kernel-tracing.mount
# Says that nothing has changed under /usr since /etc and /var were made, or the first boot would look for it.
touch /etc/.updated /var/.updated

# Without host keys (a sealed image, a saved guest) the server has nothing to offer yet: skipped, not failed.
mkdir -p /etc/systemd/system/ssh.service.d
printf '[Unit]\nConditionPathExistsGlob=/etc/ssh/ssh_host_*_key\n' > /etc/systemd/system/ssh.service.d/10-remint.conf

# A first boot with this flag is without cloud-init's own units; from the second on, everything is as ever.
for unit in cloud-init-local cloud-init cloud-config cloud-final; do
    mkdir -p "/etc/systemd/system/$unit.service.d"
    printf '[Unit]\nConditionKernelCommandLine=|!remint.warm\nConditionPathExists=|/var/lib/cloud/instance\n' \
        > "/etc/systemd/system/$unit.service.d/10-remint.conf"
done
cat > /etc/systemd/system/remint-warm.service <<'END'
[Unit]
Description=cloud-init's stages at the first boot, in one process
ConditionKernelCommandLine=remint.warm
ConditionPathExists=!/var/lib/cloud/instance
After=network.target systemd-networkd.service

[Service]
ExecStart=/usr/bin/python3 /usr/lib/remint/warm.py
KillMode=process
TasksMax=infinity

[Install]
WantedBy=multi-user.target
END
systemctl enable remint-warm.service
