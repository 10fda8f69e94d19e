//! Commands that act on the shell itself, wait, or speak with the machine.

use std::time::Duration;

use super::{
    super::{
        super::{disk::absolute, machine::lock},
        host::{CloudInit, Request},
        interpreter::{Flow, Shell, Stop},
        limits::Limit,
        simple::finish,
    },
    Invocation, scp, tar, test,
};

/// The names of these commands.
pub(super) const NAMES: [&str; 44] = [
    ":",
    "true",
    "false",
    "exit",
    "return",
    "break",
    "continue",
    "cd",
    "set",
    "shift",
    "export",
    "unset",
    "readonly",
    "local",
    "eval",
    "exec",
    ".",
    "source",
    "sh",
    "bash",
    "dash",
    "env",
    "nohup",
    "setsid",
    "sudo",
    "timeout",
    "command",
    "type",
    "which",
    "trap",
    "wait",
    "umask",
    "read",
    "cat",
    "echo",
    "printf",
    "test",
    "[",
    "sleep",
    "kill",
    "scp",
    "tar",
    "xargs",
    "cloud-init",
];

/// Names of commands that act on the machine's power are here too, so that they are found without a table of their own.
pub(super) async fn run(shell: &mut Shell, call: &Invocation) -> Flow {
    let arguments = call.arguments.as_slice();
    let first = arguments.first().map(String::as_str);
    let number = |default: i32| first.and_then(|text| text.parse().ok()).unwrap_or(default);
    match call.name.as_str() {
        ":" | "true" | "trap" | "umask" => Ok(0),
        "wait" => shell.wait(arguments).await,
        "false" => Ok(1),
        "exit" => Err(Stop::Exit(number(shell.status))),
        "return" => Err(Stop::Return(number(shell.status))),
        "break" => Err(Stop::Break(number(1).max(1) as u64)),
        "continue" => Err(Stop::Continue(number(1).max(1) as u64)),
        "cd" => cd(shell, first).await,
        "set" => set(shell, arguments).await,
        "shift" => {
            let count = (number(1).max(0) as usize).min(shell.arguments.len());
            shell.arguments.drain(..count);
            Ok(0)
        }
        "export" | "readonly" | "local" => {
            for argument in arguments.iter().filter(|argument| !argument.starts_with('-')) {
                let (name, value) =
                    argument.split_once('=').map_or((argument.as_str(), None), |(name, value)| (name, Some(value)));
                let variable = shell.variables.entry(name.to_owned()).or_default();
                if let Some(value) = value {
                    variable.value = value.to_owned();
                }
                variable.exported |= call.name == "export";
            }
            Ok(0)
        }
        "unset" => {
            for argument in arguments {
                shell.variables.remove(argument);
                shell.functions.remove(argument);
            }
            Ok(0)
        }
        "eval" => shell.script(&arguments.join(" ")).await,
        "exec" if arguments.is_empty() => Ok(0),
        "exec" => Err(Stop::Exit(Box::pin(shell.invoke(arguments)).await?)),
        "source" if !shell.bash => {
            shell.complain("source: not found").await;
            Ok(127)
        }
        "." | "source" => dot(shell, first.unwrap_or_default()).await,
        "sh" | "bash" | "dash" => sh(shell, &call.name, arguments).await,
        "env" => env(shell, arguments).await,
        "nohup" | "setsid" => through(shell, arguments).await,
        "sudo" => {
            let start = arguments.iter().position(|argument| !argument.starts_with('-')).unwrap_or(arguments.len());
            env(shell, &arguments[start..]).await
        }
        "timeout" => timeout(shell, arguments).await,
        "command" | "type" | "which" => command(shell, &call.name, arguments).await,
        "read" => read(shell, arguments).await,
        "cat" => cat(shell, arguments).await,
        "echo" => {
            let text = super::text::echo(arguments, shell.bash);
            print(shell, &text).await
        }
        "printf" => {
            let text = super::text::printf(arguments).ok_or(Limit::Memory)?;
            print(shell, &text).await
        }
        "test" | "[" => match test::evaluate(shell, &call.name, arguments) {
            Ok(holds) => Ok(i32::from(!holds)),
            Err(message) => {
                shell.complain(&format!("{}: {message}", call.name)).await;
                Ok(2)
            }
        },
        "sleep" => sleep(shell, arguments).await,
        "kill" => {
            let own = arguments.iter().any(|argument| argument == "1000");
            if let Some(child) = arguments.last().and_then(|last| shell.child(last)) {
                return match first {
                    Some("-0") => Ok(i32::from(!child.runs())),
                    _ => {
                        child.kill();
                        Ok(0)
                    }
                };
            }
            let signal = first.and_then(|flag| flag.strip_prefix('-')).unwrap_or("TERM");
            match signal.trim_start_matches("SIG") {
                "0" => Ok(0),
                "9" | "KILL" if own => Err(Stop::Killed("KILL")),
                "2" | "INT" if own => Err(Stop::Killed("INT")),
                "1" | "HUP" if own => Err(Stop::Killed("HUP")),
                "15" | "TERM" if own => Err(Stop::Killed("TERM")),
                _ => Ok(0),
            }
        }
        "scp" => scp::run(shell, arguments).await,
        "tar" => tar::run(shell, arguments).await,
        "xargs" => {
            let input = shell.io.input.read_all().await;
            let words = arguments.iter().filter(|argument| !argument.starts_with('-')).cloned();
            let all: Vec<String> = words
                .chain(
                    String::from_utf8_lossy(&input)
                        .split(['\n', ' ', '\0'])
                        .filter(|word| !word.is_empty())
                        .map(str::to_owned),
                )
                .collect();
            through(shell, &all).await
        }
        _ => cloud_init(shell, arguments).await,
    }
}

/// Runs the rest of a command line as a command.
async fn through(shell: &mut Shell, arguments: &[String]) -> Flow {
    if arguments.is_empty() { Ok(0) } else { Box::pin(shell.invoke(arguments)).await }
}

async fn print(shell: &mut Shell, text: impl AsRef<[u8]>) -> Flow {
    match shell.io.out.write(text.as_ref()).await {
        Ok(()) => Ok(0),
        // What outlives its session, and goes on to print.
        Err(_) if shell.io.out.is_closed() => Err(Stop::Killed("PIPE")),
        Err(message) => {
            shell.complain(&format!("write error: {message}")).await;
            Ok(1)
        }
    }
}

async fn cd(shell: &mut Shell, to: Option<&str>) -> Flow {
    let home = shell.get("HOME").unwrap_or("/root").to_owned();
    let path = absolute(&shell.cwd, to.unwrap_or(&home));
    if lock(&shell.host.disk).is_dir(&path) {
        shell.cwd.clone_from(&path);
        shell.set("PWD", path);
        return Ok(0);
    }
    shell.complain(&format!("cd: can't cd to {}", to.unwrap_or(&home))).await;
    Ok(2)
}

async fn set(shell: &mut Shell, arguments: &[String]) -> Flow {
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        match argument.as_str() {
            "-o" | "+o" => match rest.next().map(String::as_str) {
                Some("errexit") => shell.errexit = argument == "-o",
                Some("nounset") => shell.nounset = argument == "-o",
                Some("xtrace") => shell.xtrace = argument == "-o",
                Some("pipefail") => pipefail(shell, argument == "-o").await?,
                _ => {}
            },
            "--" => shell.arguments = rest.by_ref().cloned().collect(),
            // `-euo pipefail`: the name after the flags belongs to the `o`.
            flags if flags.starts_with(['-', '+']) => {
                shell.flags(flags);
                if flags.ends_with('o') && rest.next().is_some_and(|name| name == "pipefail") {
                    pipefail(shell, flags.starts_with('-')).await?;
                }
            }
            word => {
                shell.arguments = std::iter::once(word.to_owned()).chain(rest.by_ref().cloned()).collect();
            }
        }
    }
    Ok(0)
}

/// Debian 12's dash does not have it: it ends the script.
async fn pipefail(shell: &mut Shell, on: bool) -> Flow<()> {
    if !shell.bash {
        shell.complain("set: Illegal option -o pipefail").await;
        return Err(Stop::Exit(2));
    }
    shell.pipefail = on;
    Ok(())
}

async fn dot(shell: &mut Shell, file: &str) -> Flow {
    let read = lock(&shell.host.disk).read(&absolute(&shell.cwd, file));
    match read {
        Ok(data) => match shell.script(&String::from_utf8_lossy(&data)).await {
            Err(Stop::Return(status)) => Ok(status),
            other => other,
        },
        Err(_) => {
            shell.complain(&format!(".: cannot open {file}: No such file")).await;
            Err(Stop::Exit(2))
        }
    }
}

async fn sh(shell: &mut Shell, name: &str, arguments: &[String]) -> Flow {
    let mut program = shell.program(name, Vec::new());
    program.bash = name == "bash";
    let mut rest = arguments.iter();
    let mut inline = false;
    let mut file = None;
    while let Some(argument) = rest.next() {
        match argument.as_str() {
            "--" => {}
            flags if flags.starts_with(['-', '+']) && flags.len() > 1 => {
                program.flags(flags);
                inline |= flags.contains('c') && !flags.starts_with("--");
                if flags.ends_with('o') && rest.next().is_some_and(|name| name == "pipefail") {
                    pipefail(&mut program, true).await?;
                }
            }
            _ => {
                file = Some(argument);
                break;
            }
        }
    }
    let script = match file {
        Some(script) if inline => {
            if let Some(zero) = rest.next() {
                program.name.clone_from(zero);
            }
            script.clone()
        }
        Some(file) if file != "-" => {
            let read = lock(&shell.host.disk).read(&absolute(&shell.cwd, file));
            match read {
                Ok(data) => {
                    program.name.clone_from(file);
                    String::from_utf8_lossy(&data).into_owned()
                }
                Err(error) => {
                    shell.complain(&format!("0: cannot open {file}: {error}")).await;
                    return Ok(127);
                }
            }
        }
        _ => String::from_utf8_lossy(&shell.io.input.read_all().await).into_owned(),
    };
    program.arguments = rest.cloned().collect();
    finish(program.script(&script).await)
}

async fn env(shell: &mut Shell, arguments: &[String]) -> Flow {
    let mut program = shell.program(&shell.name, shell.arguments.clone());
    let mut rest = arguments.iter().peekable();
    let mut split = Vec::new();
    while let Some(argument) = rest.peek() {
        if let Some((name, value)) = argument.split_once('=') {
            let variable = program.variables.entry(name.to_owned()).or_default();
            (variable.value, variable.exported) = (value.to_owned(), true);
        } else if let Some(words) = argument.strip_prefix("-S") {
            // `#!/usr/bin/env -S sh -eu` gives it all as one argument.
            split = words.split_whitespace().map(str::to_owned).collect();
            rest.next();
            break;
        } else if *argument == "-i" {
            program.variables.retain(|name, _| name == "PATH" || name == "IFS");
        } else if *argument == "-u" {
            rest.next();
            if let Some(name) = rest.peek() {
                program.variables.remove(*name);
            }
        } else {
            break;
        }
        rest.next();
    }
    let command: Vec<String> = split.into_iter().chain(rest.cloned()).collect();
    if command.is_empty() {
        let lines: String = program.environment().iter().map(|(name, value)| format!("{name}={value}\n")).collect();
        return print(shell, &lines).await;
    }
    if !command[0].contains('/') && !program.has(&command[0]) {
        shell
            .io
            .err
            .write(format!("env: '{}': No such file or directory\n", command[0].escape_debug()).as_bytes())
            .await
            .ok();
        return Ok(127);
    }
    finish(Box::pin(program.invoke(&command)).await)
}

async fn timeout(shell: &mut Shell, arguments: &[String]) -> Flow {
    let start = arguments.iter().position(|argument| !argument.starts_with('-')).unwrap_or(arguments.len());
    let Some(limit) = arguments.get(start).and_then(|text| duration(text)) else {
        shell.complain("timeout: invalid time interval").await;
        return Ok(125);
    };
    match tokio::time::timeout(limit, through(shell, &arguments[start + 1..])).await {
        Ok(outcome) => outcome,
        Err(_) => Ok(124),
    }
}

async fn command(shell: &mut Shell, name: &str, arguments: &[String]) -> Flow {
    if name == "command" && !arguments.first().is_some_and(|flag| flag == "-v" || flag == "-V") {
        return through(shell, arguments).await;
    }
    let mut status = 0;
    for wanted in arguments.iter().filter(|argument| !argument.starts_with('-')) {
        let on_disk = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"]
            .iter()
            .map(|folder| format!("{folder}/{wanted}"))
            .chain(wanted.contains('/').then(|| wanted.clone()))
            .find(|file| lock(&shell.host.disk).read(file).is_ok());
        let known = super::is_known(wanted) || shell.functions.contains_key(wanted);
        match on_disk.or_else(|| known.then(|| format!("/usr/bin/{wanted}"))) {
            Some(path) => {
                print(shell, format!("{path}\n")).await?;
            }
            None => status = 1,
        }
    }
    Ok(status)
}

async fn read(shell: &mut Shell, arguments: &[String]) -> Flow {
    let names: Vec<&String> = arguments.iter().filter(|argument| !argument.starts_with('-')).collect();
    let Some(line) = shell.io.input.read_line().await else { return Ok(1) };
    let line = String::from_utf8_lossy(&line).into_owned();
    let separators = shell.get("IFS").unwrap_or(" \t\n").to_owned();
    let mut rest = line.trim_end_matches('\n').trim_matches(|c: char| separators.contains(c) && c.is_whitespace());
    for (index, name) in names.iter().enumerate() {
        let (value, after) = if index + 1 == names.len() {
            (rest, "")
        } else {
            rest.split_once(|c: char| separators.contains(c)).unwrap_or((rest, ""))
        };
        shell.set(name, value.to_owned());
        rest = after.trim_start_matches(|c: char| separators.contains(c) && c.is_whitespace());
    }
    Ok(0)
}

async fn cat(shell: &mut Shell, arguments: &[String]) -> Flow {
    let files: Vec<&String> =
        arguments.iter().filter(|argument| !argument.starts_with('-') || *argument == "-").collect();
    let mut status = 0;
    let input = "-".to_owned();
    for file in if files.is_empty() { vec![&input] } else { files } {
        if file == "-" {
            while let Some(piece) = shell.io.input.read_some().await {
                if let Err(message) = shell.io.out.write(&piece).await {
                    shell.complain(&format!("cat: write error: {message}")).await;
                    return Ok(1);
                }
            }
            continue;
        }
        let path = absolute(&shell.cwd, file);
        let read = if path == "/dev/null" { Ok(Default::default()) } else { lock(&shell.host.disk).read(&path) };
        let written = match read {
            Ok(data) => shell.io.out.write(&data).await,
            Err(error) => Err(format!("{file}: {error}")),
        };
        if let Err(message) = written {
            shell.io.err.write(format!("cat: {message}\n").as_bytes()).await.ok();
            status = 1;
        }
    }
    Ok(status)
}

fn duration(text: &str) -> Option<Duration> {
    let (digits, unit) = match text.char_indices().next_back()? {
        (at, 's') => (&text[..at], 1.0),
        (at, 'm') => (&text[..at], 60.0),
        (at, 'h') => (&text[..at], 3600.0),
        _ => (text, 1.0),
    };
    Duration::try_from_secs_f64(digits.parse::<f64>().ok()? * unit).ok()
}

async fn sleep(shell: &mut Shell, arguments: &[String]) -> Flow {
    match arguments.iter().map(|text| duration(text)).sum::<Option<Duration>>() {
        Some(time) if !arguments.is_empty() => {
            tokio::time::sleep(time).await;
            Ok(0)
        }
        _ => {
            shell.complain("sleep: invalid time interval").await;
            Ok(1)
        }
    }
}

async fn cloud_init(shell: &mut Shell, arguments: &[String]) -> Flow {
    let has =
        |word: &str| arguments.iter().any(|argument| argument == word || argument.starts_with(&format!("{word}=")));
    match arguments.first().map(String::as_str) {
        Some("status") => {
            let mut stage = shell.host.cloud_init.clone();
            if has("--wait") {
                // The sender lives as long as the machine has power, and this command not longer than that.
                stage.wait_for(|stage| *stage != CloudInit::Running).await.ok();
            }
            let stage = *stage.borrow();
            let word = match stage {
                CloudInit::Running => "running",
                CloudInit::Done => "done",
                CloudInit::Failed => "error",
            };
            let json = has("--format") && arguments.iter().any(|argument| argument.ends_with("json"));
            let text = if json {
                let result = lock(&shell.host.disk).text("/run/cloud-init/result.json");
                let errors = serde_json::from_str::<serde_json::Value>(&result)
                    .ok()
                    .and_then(|value| value.pointer("/v1/errors").cloned())
                    .unwrap_or_else(|| serde_json::json!([]));
                // As 22.4.2, which knows no recoverable errors.
                let value = serde_json::json!({
                    "boot_status_code": "enabled-by-generator", "datasource": "digitalocean",
                    "detail": "DataSourceDigitalOcean", "errors": errors, "last_update": "", "status": word,
                });
                format!("{value:#}\n")
            } else {
                format!("status: {word}\n")
            };
            print(shell, text).await?;
            Ok(i32::from(stage == CloudInit::Failed))
        }
        Some("clean") => {
            let mut disk = lock(&shell.host.disk);
            let logs = has("--logs") || has("-l");
            let cleaned = ["/var/lib/cloud", "/run/cloud-init"].iter().try_for_each(|folder| {
                for name in disk.list(folder).unwrap_or_default() {
                    disk.remove_tree(&format!("{folder}/{name}"))?;
                }
                Ok::<_, super::super::super::disk::DiskError>(())
            });
            if logs {
                for log in ["/var/log/cloud-init.log", "/var/log/cloud-init-output.log"] {
                    // Logs that are gone are as clean as they can be.
                    disk.unlink(log).ok();
                }
            }
            if has("--machine-id") && disk.write("/etc/machine-id", b"uninitialized\n").is_err() {
                return Ok(1);
            }
            if has("--reboot") || has("-r") {
                shell.host.requests.send(Request::Reboot).ok();
            }
            Ok(i32::from(cleaned.is_err()))
        }
        Some("--version") => print(shell, "/usr/bin/cloud-init 22.4.2\n").await,
        _ => Ok(0),
    }
}
