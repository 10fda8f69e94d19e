# Gives the machine another host key: the private part comes on standard input, the public one as $PUBLIC.
#
# The file is replaced as a whole, so that a machine that loses its power has one key or the other. That the server shows the
# new key is proven from outside, by connecting to it.
umask 077
key=/etc/ssh/ssh_host_ed25519_key
cat >"$key.remint"
echo "$PUBLIC" >"$key.pub.remint"
chmod 600 "$key.remint"
chmod 644 "$key.pub.remint"
rm -f "$key-cert.pub"
mv -f "$key.pub.remint" "$key.pub"
mv -f "$key.remint" "$key"
if command -v restorecon >/dev/null 2>&1; then restorecon "$key" "$key.pub" || true; fi
sync || true

# A server that is started for each connection needs no word.
systemctl reload ssh 2>/dev/null || systemctl reload sshd 2>/dev/null || service ssh reload 2>/dev/null ||
    rc-service sshd reload 2>/dev/null || kill -HUP "$(cat /run/sshd.pid 2>/dev/null)" 2>/dev/null || true
