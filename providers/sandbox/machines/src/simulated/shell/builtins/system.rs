//! Commands on the system: who, what, units, packages, power.

use std::fmt::Write;

use super::super::{flags::Words, host::Request, work::Work};
use crate::simulated::disk::{lock, parent};

pub(super) fn hostname(work: &mut Work<'_>, words: Words) {
    if let Some(name) = words.operands.first() {
        let written = lock(work.disk).write("/etc/hostname", format!("{name}\n").as_bytes());
        return written.unwrap_or_else(|error| work.fail(error));
    }
    let name = lock(work.disk).text("/etc/hostname");
    let name = name.trim();
    work.line(if words.has("s") { name.split('.').next().unwrap_or_default() } else { name })
}

pub(super) fn uname(work: &mut Work<'_>, words: Words) {
    let host = lock(work.disk).text("/etc/hostname").trim().to_owned();
    if words.has("a") {
        return work.line(&format!("Linux {host} 6.1.0-remint #1 SMP x86_64 GNU/Linux"));
    }
    let parts = [("s", "Linux"), ("n", &host), ("r", "6.1.0-remint"), ("m", "x86_64")];
    let shown = parts.iter().filter(|(flag, _)| words.has(flag) || *flag == "s" && !words.has("n r m"));
    work.line(&shown.map(|(_, text)| *text).collect::<Vec<_>>().join(" "))
}

pub(super) fn date(work: &mut Work<'_>, words: Words) {
    let format = match words.operands.first().map(|word| word.strip_prefix('+').ok_or(word)) {
        None => "%a %b %e %H:%M:%S UTC %Y",
        Some(Ok(format)) => format,
        Some(Err(other)) => return work.fail(format!("invalid date '{other}'")),
    };
    let mut text = String::new();
    match write!(text, "{}", jiff::Timestamp::now().strftime(format)) {
        Ok(()) => work.line(&text),
        Err(_) => work.fail("invalid format"),
    }
}

/// The verbs of `systemctl` that are known; those that [`systemctl`] does not name do nothing.
const VERBS: [&str; 24] = [
    "daemon-reexec",
    "daemon-reload",
    "disable",
    "enable",
    "is-active",
    "is-enabled",
    "is-system-running",
    "kill",
    "list-timers",
    "list-unit-files",
    "list-units",
    "mask",
    "preset",
    "reload",
    "reload-or-restart",
    "reset-failed",
    "restart",
    "set-property",
    "show",
    "start",
    "status",
    "stop",
    "try-restart",
    "unmask",
];

/// Units have two states on the disk: enabled (a link, as on a real system) and active (a file in `/run`).
pub(super) fn systemctl(work: &mut Work<'_>, words: Words) {
    let now = words.has("now");
    let Some((verb, units)) = words.operands.split_first() else { return };
    let file = |unit: &str| if unit.contains('.') { unit.to_owned() } else { format!("{unit}.service") };
    if verb == "reboot" || verb == "poweroff" || verb == "halt" {
        work.requests.push(if verb == "reboot" { Request::Reboot } else { Request::PowerOff });
        return;
    }
    if !VERBS.contains(&verb.as_str()) {
        return work.lack(verb);
    }
    work.note();
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
                if !words.has("q") {
                    work.line(word);
                }
                if !holds {
                    work.status = if verb == "is-active" { 3 } else { 1 };
                }
                continue;
            }
            _ => None,
        };
        drop(disk);
        if let Some(error) = error {
            work.fail(error);
        }
        if ["ssh.service", "sshd.service"].contains(&&*unit) && (verb.contains("reload") || verb.contains("restart")) {
            work.requests.push(Request::ReloadSsh);
        }
    }
    if verb == "is-system-running" {
        work.line("running");
    }
    work.requests.push(Request::RefreshServices);
}

pub(super) fn power(work: &mut Work<'_>, words: Words) {
    let again = work.name == "reboot" || words.has("r");
    work.requests.push(if again { Request::Reboot } else { Request::PowerOff });
}
