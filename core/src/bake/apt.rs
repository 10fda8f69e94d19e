//! apt on the builder: it waits for a lock that another process holds.
//!
//! Images of the clouds update themselves soon after their first boot (`apt-daily`, `unattended-upgrades`), and a step that installs
//! something meanwhile would fail at once. The settings lie in a file and not in the environment of the steps, so that they count
//! behind `sudo` and `env -i`, too. The seal removes the file.

use std::time::Duration;

use crate::remote::Command;

/// Settings that count for everything that uses apt on the builder.
pub const SETTINGS: &str = "/etc/apt/apt.conf.d/99remint";

/// How long apt waits for its lock (`DPkg::Lock::Timeout` in `apt-get(8)`, since apt 1.9.11), and Remint for apt's own timers.
const PATIENCE: Duration = Duration::from_secs(300);

/// Writes the settings, where there is an apt. The timers are stopped until the next boot, and what they have started is waited
/// for: `apt-get update` takes a lock for which it does not wait.
pub fn set_up() -> Command {
    let seconds = PATIENCE.as_secs();
    Command::shell(format!(
        r#"if test -d /etc/apt/apt.conf.d; then
    echo 'DPkg::Lock::Timeout "{seconds}";' >{SETTINGS}
    if test -d /run/systemd/system; then
        systemctl stop apt-daily.timer apt-daily-upgrade.timer >/dev/null 2>&1 || true
        waited=0
        while test "$waited" -lt {seconds}; do
            case " $(systemctl is-active apt-daily.service apt-daily-upgrade.service | tr '\n' ' ')" in
            *" activating "* | *" active "*) sleep 1; waited=$((waited + 1)) ;;
            *) break ;;
            esac
        done
    fi
fi"#
    ))
}
