//! What is a builder's own.

use crate::{bake::apt, userdata::SSH_DROP_IN};

/// Something that copies of a builder must not have.
///
/// What is in memory, such as `/run`, is on no disk and not named here.
///
/// A pattern is an absolute path with `*`, `?` and `[…]` in its parts, as in a shell; `BASE//NAME` is everything of that name at
/// any depth below `BASE`, hidden files included.
#[derive(Debug, Clone, Copy)]
pub struct Sealed {
    /// A name for messages, which the check prints before the path: `login keys`.
    pub what: &'static str,
    /// Why copies must not have it.
    pub why: &'static str,
    /// What does not exist afterwards.
    pub gone: &'static [&'static str],
    /// Files that are empty afterwards where they exist.
    pub emptied: &'static [&'static str],
    /// Programs that run may write to the emptied files before the builder is off; only the disk can tell.
    pub is_busy: bool,
    /// Lines of shell for what no pattern says. `$r` stands before every path.
    pub also: &'static str,
    /// Files in which no line may start with a text and go on with another character than the given ones: the path, the text,
    /// the characters.
    pub lines: &'static [(&'static str, &'static str, &'static str)],
}

const fn gone(what: &'static str, why: &'static str, gone: &'static [&'static str]) -> Sealed {
    Sealed { what, why, gone, emptied: &[], is_busy: false, also: "", lines: &[] }
}

/// All of it, in the order in which it is removed.
pub const TABLE: &[Sealed] = &[
    gone(
        "login keys",
        "the builder's own key, and those that a cloud put there, would open every copy",
        &[
            "/root//authorized_keys*",
            "/home//authorized_keys*",
            "/etc//authorized_keys*",
            "/var//authorized_keys*",
            "/opt//authorized_keys*",
            "/srv//authorized_keys*",
        ],
    ),
    gone("host keys", "copies could pass for each other; each instance gets its own", &["/etc/ssh/ssh_host_*"]),
    gone(
        "Remint's settings of the SSH server",
        "an image holds what its recipe says; the user data of each instance writes them again",
        &[SSH_DROP_IN],
    ),
    gone(
        "private SSH keys and known hosts",
        "a key pair that was made on the builder would be every copy's",
        &["/root/.ssh/id_*", "/root/.ssh/known_hosts*", "/home/*/.ssh/id_*", "/home/*/.ssh/known_hosts*"],
    ),
    Sealed {
        lines: &[("/etc/shadow", "root:", "*!:")],
        also: "if test -f \"$r/etc/shadow\"; then sed -i 's/^root:[^:*!][^:]*:/root:*:/' \"$r/etc/shadow\"; fi\nrm -f \
               \"$r/etc/shadow-\"\n",
        ..gone("root's password", "some clouds set one, which would open the console of every copy", &["/etc/shadow-"])
    },
    Sealed {
        emptied: &["/etc/machine-id"],
        ..gone(
            "machine id",
            "names the machine in DHCP, logs and licences; an empty file means that the next boot makes one",
            &["/var/lib/dbus/machine-id"],
        )
    },
    gone(
        "cloud-init's state",
        "holds the builder's user data with its private host key; without it, an instance's first boot is a first boot",
        &[
            "/var/lib/cloud/instance",
            "/var/lib/cloud/instances",
            "/var/lib/cloud/data",
            "/var/lib/cloud/sem",
            "/var/lib/cloud/handlers",
        ],
    ),
    Sealed {
        also: "# Lines with nothing but that name.
if test -s \"$r/etc/hostname\" && test -f \"$r/etc/hosts\"; then
    name=$(head -n 1 \"$r/etc/hostname\")
    for before in '127[.]0[.]1[.]1[[:space:]]' '127[.]0[.]1[.]1[[:space:]].*[[:space:]]' \"127[.]0[.]0[.]1[[:space:]][[:space:]]*$name.*[[:space:]]\"; do
        sed -i \"/^$before$name\\$/d\" \"$r/etc/hosts\"
    done
fi
",
        ..gone("the builder's name in `/etc/hosts`", "cloud-init keeps the lines that it finds; copies would answer to it", &[])
    },
    gone(
        "network configuration of the builder",
        "cloud-init derived it from the builder's addresses and makes it again",
        &[
            "/etc/netplan/50-cloud-init.yaml",
            "/etc/network/interfaces.d/50-cloud-init*",
            "/etc/systemd/network/10-cloud-init-*",
            "/etc/NetworkManager/system-connections/cloud-init-*",
            "/etc/sysconfig/network-scripts/ifcfg-cloud-init*",
            "/etc/udev/rules.d/70-persistent-net.rules",
        ],
    ),
    gone(
        "DHCP leases",
        "copies would ask for the builder's address",
        &[
            "/var/lib/dhcp/*.lease*",
            "/var/lib/dhclient/*.lease*",
            "/var/lib/dhcpcd/*",
            "/var/lib/NetworkManager/*.lease",
        ],
    ),
    Sealed {
        also: "# systemd saves a new one at shutdown, after the check; its unit is kept from that until the next boot.
if test -z \"$r\" && test -d /run/systemd/system && command -v systemctl >/dev/null 2>&1; then
    for unit in systemd-random-seed systemd-update-utmp; do
        mkdir -p \"/run/systemd/system/$unit.service.d\"
        printf '[Service]\\nExecStop=\\n' >\"/run/systemd/system/$unit.service.d/remint.conf\"
    done
    systemctl daemon-reload || true
fi
",
        ..gone(
            "random seeds",
            "copies that start with the same seed may make the same keys",
            &[
                "/var/lib/systemd/random-seed",
                "/var/lib/systemd/credential.secret",
                "/var/lib/urandom/random-seed",
                "/var/lib/seedrng/*",
                "/var/lib/misc/random-seed",
                "/var/lib/random-seed",
                "/boot/loader/random-seed",
                "/boot/efi/loader/random-seed",
                "/efi/loader/random-seed",
            ],
        )
    },
    Sealed {
        also: "if test -f \"$r/lib/open-iscsi/startup-checks.sh\"; then
    echo GenerateName=yes >\"$r/etc/iscsi/initiatorname.iscsi\"
else
    rm -f \"$r/etc/iscsi/initiatorname.iscsi\"
fi
",
        lines: &[("/etc/iscsi/initiatorname.iscsi", "InitiatorName=", "")],
        ..gone(
            "names of storage initiators",
            "two machines of one name would break each other's disks",
            &["/etc/nvme/hostid", "/etc/nvme/hostnqn"],
        )
    },
    gone(
        "identities of agents",
        "copies would report as one machine, or with the builder's rights",
        &[
            "/var/lib/amazon/ssm/*",
            "/var/lib/google/*",
            "/etc/salt/pki/minion/minion.*",
            "/etc/puppetlabs/puppet/ssl",
            "/var/lib/puppet/ssl",
            "/etc/chef/client.pem",
            "/var/lib/tailscale/*",
            "/var/lib/zerotier-one/identity.*",
            "/var/lib/netdata/registry/*",
            "/etc/docker/key.json",
            "/var/lib/ubuntu-advantage/private/*",
        ],
    ),
    gone(
        "histories",
        "commands that somebody typed may hold secrets",
        &[
            "/root/.*_history",
            "/root/.history",
            "/root/.lesshst",
            "/root/.viminfo",
            "/root/.wget-hsts",
            "/home/*/.*_history",
            "/home/*/.history",
            "/home/*/.lesshst",
            "/home/*/.viminfo",
            "/home/*/.wget-hsts",
        ],
    ),
    Sealed {
        emptied: &["/var/log//*"],
        is_busy: true,
        also: "# Loggers are stopped, so that the shutdown is not logged.
if test -z \"$r\" && test -d /run/systemd/system && command -v systemctl >/dev/null 2>&1; then
    systemctl stop syslog.socket rsyslog.service syslog-ng.service >/dev/null 2>&1 || true
    if command -v journalctl >/dev/null 2>&1; then journalctl --relinquish-var >/dev/null 2>&1 || true; fi
    # Only a file that is there gets the record of the shutdown; systemd makes it again at the next boot.
    rm -f /var/log/wtmp
    if command -v auditctl >/dev/null 2>&1; then auditctl -e 0 >/dev/null 2>&1 || true; fi
fi
",
        ..gone(
            "logs",
            "tell of the builder alone; those that programs write to are kept as empty files",
            &[
                "/var/log/cloud-init.log*",
                "/var/log/cloud-init-output.log*",
                "/var/log/journal/*",
                "/var/log//*.gz",
                "/var/log//*.xz",
                "/var/log//*.zst",
                "/var/log//*.old",
                "/var/log//*.[0-9]",
                "/var/log//*-20[0-9][0-9][0-9][0-9][0-9][0-9]*",
            ],
        )
    },
    gone(
        "dumps of crashed programs",
        "hold the memory of the builder's programs",
        &["/var/lib/systemd/coredump/*", "/var/crash/*"],
    ),
    gone(
        "Remint's settings of apt, and scripts of steps",
        "they were for the recipe",
        &[apt::SETTINGS, "/var/lib/remint/remint-step-*"],
    ),
    gone(
        "scratch space and package caches",
        "what steps left there was for the builder",
        &["/tmp//*", "/var/tmp//*", "/var/cache/apt/archives/*.deb"],
    ),
];
