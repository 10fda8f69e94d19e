# Looks for what seal.sh should have removed. Each line of its output names one thing that is still there.
#
# Run by `sh -eu` after seal.sh. It looks by itself, and does not trust that the former has done what it was asked to.

for file in /etc/ssh/ssh_host_*; do
    if test -e "$file"; then echo "host key $file"; fi
done
for file in /root/.ssh/authorized_keys /root/.ssh/authorized_keys2 /home/*/.ssh/authorized_keys; do
    if test -s "$file"; then echo "login key $file"; fi
done
if test -s /etc/machine-id; then echo "machine id /etc/machine-id"; fi
if test -e /var/lib/dbus/machine-id; then echo "machine id /var/lib/dbus/machine-id"; fi
for path in /var/lib/cloud/instance /var/lib/cloud/instances /var/lib/cloud/data /var/lib/cloud/sem; do
    if test -e "$path"; then echo "cloud-init state $path"; fi
done
for file in /var/log/cloud-init.log /var/log/cloud-init-output.log; do
    if test -s "$file"; then echo "cloud-init log $file"; fi
done
for file in /root/.bash_history /root/.sh_history /home/*/.bash_history; do
    if test -s "$file"; then echo "shell history $file"; fi
done
if test -e /var/lib/systemd/random-seed; then echo "random seed /var/lib/systemd/random-seed"; fi
