#!/bin/sh
# Installs the service from /tmp/hello, where the manifest's first step put it. VERSION comes from the manifest.
set -eu

install -d -m 0755 /opt/hello /etc/hello
install -m 0755 /tmp/hello/hello.py /opt/hello/hello.py
printf '%s\n' "$VERSION" > /opt/hello/version
install -m 0644 /tmp/hello/hello.service /etc/systemd/system/hello.service
systemctl enable hello.service

# Read only by the sandbox's simulated machines, which do not run programs; harmless elsewhere.
install -m 0644 /tmp/hello/simulation.toml /etc/simulation.toml

rm -rf /tmp/hello
echo "installed hello $VERSION"
