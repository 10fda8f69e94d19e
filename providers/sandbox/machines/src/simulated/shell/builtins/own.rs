//! Commands that act on the shell itself.

use super::{
    super::state::{Call, Flow, Shell, Stop},
    calls::options,
};
use crate::simulated::disk::{absolute, lock};

/// The first operand as a number.
fn number(call: &Call, default: i32) -> i32 {
    call.words.operands.first().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// `exit`, `return`, `break` and `continue`.
pub(super) async fn leave(shell: &mut Shell, call: &Call) -> Flow {
    let levels = number(call, 1).max(1) as u64;
    Err(match call.name.as_str() {
        "exit" => Stop::Exit(number(call, shell.status)),
        "return" => Stop::Return(number(call, shell.status)),
        "break" => Stop::Break(levels),
        _ => Stop::Continue(levels),
    })
}

pub(super) async fn shift(shell: &mut Shell, call: &Call) -> Flow {
    let count = (number(call, 1).max(0) as usize).min(shell.arguments.len());
    shell.arguments.drain(..count);
    Ok(0)
}

pub(super) async fn export(shell: &mut Shell, call: &Call) -> Flow {
    for operand in &call.words.operands {
        let (name, value) =
            operand.split_once('=').map_or((operand.as_str(), None), |(name, value)| (name, Some(value)));
        let variable = shell.variables.entry(name.to_owned()).or_default();
        if let Some(value) = value {
            variable.value = value.to_owned();
        }
        variable.exported |= call.name == "export";
    }
    Ok(0)
}

pub(super) async fn unset(shell: &mut Shell, call: &Call) -> Flow {
    for name in &call.words.operands {
        shell.variables.remove(name);
        shell.functions.remove(name);
    }
    Ok(0)
}

pub(super) async fn wait(shell: &mut Shell, call: &Call) -> Flow {
    shell.wait(&call.words.operands).await
}

pub(super) async fn cd(shell: &mut Shell, call: &Call) -> Flow {
    let home = shell.get("HOME").unwrap_or("/root").to_owned();
    let to = call.words.operands.first().map(String::as_str);
    let path = absolute(&shell.cwd, to.unwrap_or(&home));
    if lock(&shell.host.disk).is_dir(&path) {
        shell.cwd.clone_from(&path);
        shell.set("PWD", path);
        return Ok(0);
    }
    shell.complain(&format!("cd: can't cd to {}", to.unwrap_or(&home))).await;
    Ok(2)
}

pub(super) async fn set(shell: &mut Shell, call: &Call) -> Flow {
    let mut rest = call.arguments.iter();
    while let Some(argument) = rest.next() {
        match argument.as_str() {
            "--" => shell.arguments = rest.by_ref().cloned().collect(),
            // `-euo pipefail`: the name after the flags belongs to the `o`.
            flags if flags.starts_with(['-', '+']) => {
                options(shell, "set", flags, &mut rest).await?;
            }
            word => {
                shell.arguments = std::iter::once(word.to_owned()).chain(rest.by_ref().cloned()).collect();
            }
        }
    }
    Ok(0)
}

/// The signals by which a shell ends itself; others, and other processes, do not heed.
const ENDS: [(&str, &str); 4] = [("9", "KILL"), ("2", "INT"), ("1", "HUP"), ("15", "TERM")];

/// The names of those that nobody here heeds.
const UNHEEDED: [&str; 7] = ["QUIT", "USR1", "USR2", "STOP", "CONT", "PIPE", "ALRM"];

pub(super) async fn kill(shell: &mut Shell, call: &Call) -> Flow {
    let (flag, processes) = match call.arguments.split_first() {
        Some((flag, rest)) if flag.starts_with('-') && flag != "--" => (flag.as_str(), rest),
        _ => ("-TERM", call.arguments.as_slice()),
    };
    let signal = flag.trim_start_matches('-').trim_start_matches("SIG");
    let ends = ENDS.iter().find(|(number, name)| *number == signal || *name == signal).map(|(_, name)| *name);
    if ends.is_none() && signal.parse::<u8>().is_err() && !UNHEEDED.contains(&signal) {
        return Err(shell.not_simulated(&format!("kill {flag}")).await);
    }
    if let Some(child) = processes.last().and_then(|last| shell.child(last)) {
        return match signal {
            "0" => Ok(i32::from(!child.runs())),
            _ => {
                child.kill();
                Ok(0)
            }
        };
    }
    match ends {
        Some(signal) if processes.iter().any(|process| process == "1000") => Err(Stop::Killed(signal)),
        _ => Ok(0),
    }
}
