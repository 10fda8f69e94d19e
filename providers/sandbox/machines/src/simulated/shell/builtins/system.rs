//! Commands on the system: who, what, units, packages, power.

use std::fmt::Write;

use super::{
    super::{
        super::{disk::parent, machine::lock},
        host::Request,
    },
    Plain, Work,
};

pub(super) fn find(name: &str) -> Option<Plain> {
    Some(match name {
        "whoami" | "logname" => |work| say(work, "root"),
        "hostname" => hostname,
        "uname" => uname,
        "date" => date,
        "pwd" => |work| say(work, work.cwd),
        "nproc" => |work| say(work, "1"),
        "systemctl" => systemctl,
        "curl" | "wget" => |work| work.fail("this simulated machine has no network"),
        "reboot" | "shutdown" | "poweroff" | "halt" => power,
        "pkill"
        | "killall"
        | "sync"
        | "history"
        | "fstrim"
        | "journalctl"
        | "apt-get"
        | "apt"
        | "dpkg"
        | "usermod"
        | "passwd"
        | "chpasswd"
        | "update-rc.d"
        | "logger"
        | "clear"
        | "ldconfig"
        | "hostnamectl"
        | "timedatectl"
        | "sysctl"
        | "ufw"
        | "setcap"
        | "ssh-keygen"
        | "stty"
        | "hash"
        | "debconf-set-selections"
        | "update-ca-certificates"
        | "systemd-tmpfiles"
        | "dbus-uuidgen"
        | "modprobe"
        | "mount"
        | "umount"
        | "swapoff" => accepted,
        _ => return None,
    })
}

fn say(work: &mut Work<'_>, text: &str) -> i32 {
    let text = text.to_owned();
    work.line(&text);
    0
}

/// Keeps what was asked for, in a log that nobody takes for the real thing.
pub(super) fn note(work: &mut Work<'_>) -> i32 {
    let line = format!("{} {}\n", work.name, work.arguments.join(" "));
    let written = {
        let mut disk = lock(work.disk);
        disk.mkdir_all("/var/log").and_then(|()| disk.append("/var/log/simulated-commands.log", line.as_bytes()))
    };
    match written {
        Ok(()) => 0,
        Err(error) => work.fail(error),
    }
}

fn accepted(work: &mut Work<'_>) -> i32 {
    note(work)
}

fn hostname(work: &mut Work<'_>) -> i32 {
    match work.arguments.iter().find(|argument| !argument.starts_with('-')).cloned() {
        Some(name) => {
            let written = lock(work.disk).write("/etc/hostname", format!("{name}\n").as_bytes());
            written.map_or_else(|error| work.fail(error), |()| 0)
        }
        None => {
            let name = lock(work.disk).text("/etc/hostname");
            say(work, name.trim())
        }
    }
}

fn uname(work: &mut Work<'_>) -> i32 {
    let host = lock(work.disk).text("/etc/hostname").trim().to_owned();
    let text = match work.arguments.first().map(String::as_str) {
        Some("-r") => "6.1.0-remint".to_owned(),
        Some("-m") => "x86_64".to_owned(),
        Some("-n") => host,
        Some("-a") => format!("Linux {host} 6.1.0-remint #1 SMP x86_64 GNU/Linux"),
        _ => "Linux".to_owned(),
    };
    say(work, &text)
}

fn date(work: &mut Work<'_>) -> i32 {
    let format =
        work.arguments.iter().find_map(|argument| argument.strip_prefix('+')).unwrap_or("%a %b %e %H:%M:%S UTC %Y");
    let mut text = String::new();
    match write!(text, "{}", jiff::Timestamp::now().strftime(format)) {
        Ok(()) => say(work, &text),
        Err(_) => work.fail("invalid format"),
    }
}

/// Units have two states on the disk: enabled (a link, as on a real system) and active (a file in `/run`).
fn systemctl(work: &mut Work<'_>) -> i32 {
    let (_, words) = work.options("");
    let now = work.arguments.iter().any(|argument| argument == "--now");
    let Some((verb, units)) = words.split_first() else { return 0 };
    let file = |unit: &str| if unit.contains('.') { unit.to_owned() } else { format!("{unit}.service") };
    if verb == "reboot" || verb == "poweroff" || verb == "halt" {
        return power(work);
    }
    let mut status = note(work);
    for unit in units.iter().map(|unit| file(unit)) {
        let active = format!("/run/systemd/units/{unit}");
        let enabled = format!("/etc/systemd/system/multi-user.target.wants/{unit}");
        let mut disk = lock(work.disk);
        let mut write = |path: &str| {
            let text = format!("{verb}\n");
            disk.mkdir_all(parent(path)).and_then(|()| disk.write(path, text.as_bytes())).err()
        };
        let error = match verb.as_str() {
            "start" | "restart" | "reload" | "try-restart" | "reload-or-restart" => write(&active),
            "enable" => write(&enabled).or_else(|| if now { write(&active) } else { None }),
            "stop" => {
                // A unit that is not there is stopped.
                disk.unlink(&active).ok();
                None
            }
            "disable" | "mask" => {
                disk.unlink(&enabled).ok();
                None
            }
            "is-active" | "is-enabled" => {
                let at_boot = disk.exists(&enabled);
                let holds = at_boot || (verb == "is-active" && disk.exists(&active));
                drop(disk);
                let word = match (verb.as_str(), holds) {
                    ("is-active", true) => "active",
                    ("is-active", false) => "inactive",
                    (_, true) => "enabled",
                    (_, false) => "disabled",
                };
                if !work.arguments.iter().any(|argument| argument == "-q" || argument == "--quiet") {
                    work.line(word);
                }
                if !holds {
                    status = if verb == "is-active" { 3 } else { 1 };
                }
                continue;
            }
            _ => None,
        };
        drop(disk);
        if let Some(error) = error {
            status = work.fail(error);
        }
        if ["ssh.service", "sshd.service"].contains(&&*unit) && (verb.contains("reload") || verb.contains("restart")) {
            work.requests.push(Request::ReloadSsh);
        }
    }
    if verb == "is-system-running" {
        work.line("running");
    }
    work.requests.push(Request::RefreshServices);
    status
}

fn power(work: &mut Work<'_>) -> i32 {
    let has = |word: &str| work.arguments.iter().any(|argument| argument == word);
    let again = work.name == "reboot" || has("-r") || has("reboot") || has("--reboot");
    work.requests.push(if again { Request::Reboot } else { Request::PowerOff });
    0
}
