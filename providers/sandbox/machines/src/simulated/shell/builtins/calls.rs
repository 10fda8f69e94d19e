//! Commands that run others, or wait for them.

use std::time::Duration;

use super::super::state::{Call, Flow, Shell, Stop, Variable, finish};
use crate::simulated::disk::{absolute, lock};

/// Runs the rest of a command line as a command.
pub(super) async fn rest(shell: &mut Shell, call: &Call) -> Flow {
    through(shell, &call.words.operands).await
}

/// Runs the rest of a command line as a command.
async fn through(shell: &mut Shell, arguments: &[String]) -> Flow {
    if arguments.is_empty() { Ok(0) } else { Box::pin(shell.invoke(arguments)).await }
}

pub(super) async fn eval(shell: &mut Shell, call: &Call) -> Flow {
    shell.script(&call.arguments.join(" ")).await
}

pub(super) async fn exec(shell: &mut Shell, call: &Call) -> Flow {
    if call.arguments.is_empty() {
        return Ok(0);
    }
    Err(Stop::Exit(through(shell, &call.arguments).await?))
}

pub(super) async fn dot(shell: &mut Shell, call: &Call) -> Flow {
    if call.name == "source" && !shell.bash {
        shell.complain("source: not found").await;
        return Ok(127);
    }
    let file = call.arguments.first().map_or("", String::as_str);
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

pub(super) async fn sh(shell: &mut Shell, call: &Call) -> Flow {
    let mut program = shell.program(&call.name, Vec::new());
    program.bash = call.name == "bash";
    let mut rest = call.arguments.iter();
    let mut inline = false;
    let mut file = None;
    while let Some(argument) = rest.next() {
        match argument.as_str() {
            "--" => {}
            flags if flags.starts_with(['-', '+']) && flags.len() > 1 => {
                inline |= options(&mut program, &call.name, flags, &mut rest).await?;
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

/// Sets the options in `-eux` or `+e`, and `-o` with the name that follows; gives whether a script was asked for (`-c`).
pub(super) async fn options<'a>(
    shell: &mut Shell,
    name: &str,
    flags: &str,
    rest: &mut impl Iterator<Item = &'a String>,
) -> Flow<bool> {
    let on = flags.starts_with('-');
    let mut inline = false;
    for flag in flags.chars().skip(1) {
        match flag {
            'e' => shell.errexit = on,
            'u' => shell.nounset = on,
            'x' => shell.xtrace = on,
            'c' if name != "set" => inline = true,
            // A login shell, or one that reads from standard input, is the same here; no trap is run, so that none is inherited.
            's' | 'l' if name != "set" => {}
            'E' | 'h' => {}
            'o' => match rest.next().map_or("", String::as_str) {
                "errexit" => shell.errexit = on,
                "nounset" => shell.nounset = on,
                "xtrace" => shell.xtrace = on,
                "pipefail" if shell.bash => shell.pipefail = on,
                // Debian 12's dash does not have it: it ends the script.
                "pipefail" => {
                    shell.complain("set: Illegal option -o pipefail").await;
                    return Err(Stop::Exit(2));
                }
                other => return Err(shell.not_simulated(&format!("{name} -o {other}")).await),
            },
            other => return Err(shell.not_simulated(&format!("{name} -{other}")).await),
        }
    }
    Ok(inline)
}

pub(super) async fn env(shell: &mut Shell, call: &Call) -> Flow {
    let mut program = shell.program(&shell.name, shell.arguments.clone());
    let words = &call.words;
    if words.has("i") {
        program.variables.retain(|name, _| name == "PATH" || name == "IFS");
    }
    for name in words.values("u") {
        program.variables.remove(&name);
    }
    // `#!/usr/bin/env -S sh -eu` gives it all as one argument.
    let split = words.value("S").into_iter().flat_map(str::split_whitespace).map(str::to_owned);
    let mut command: Vec<String> = split.chain(words.operands.iter().cloned()).collect();
    let assigned = command.iter().take_while(|word| word.contains('=')).count();
    for (name, value) in command.drain(..assigned).collect::<Vec<_>>().iter().filter_map(|word| word.split_once('=')) {
        program.variables.insert(name.to_owned(), Variable { value: value.to_owned(), exported: true });
    }
    if command.is_empty() {
        let lines: String = program.environment().iter().map(|(name, value)| format!("{name}={value}\n")).collect();
        return shell.print(&lines).await;
    }
    if !command[0].contains('/') && !program.has(&command[0]) {
        let said = format!("env: '{}': No such file or directory\n", command[0].escape_debug());
        shell.io.err.write(said.as_bytes()).await.ok();
        return Ok(127);
    }
    finish(Box::pin(program.invoke(&command)).await)
}

pub(super) async fn timeout(shell: &mut Shell, call: &Call) -> Flow {
    let arguments = &call.words.operands;
    let Some(limit) = arguments.first().and_then(|text| duration(text)) else {
        shell.complain("timeout: invalid time interval").await;
        return Ok(125);
    };
    match tokio::time::timeout(limit, through(shell, &arguments[1..])).await {
        Ok(outcome) => outcome,
        Err(_) => Ok(124),
    }
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

pub(super) async fn sleep(shell: &mut Shell, call: &Call) -> Flow {
    let arguments = &call.words.operands;
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

pub(super) async fn xargs(shell: &mut Shell, call: &Call) -> Flow {
    let input = shell.io.input.read_all().await;
    let separators: &[char] = if call.words.has("0") { &['\0'] } else { &['\n', ' ', '\t'] };
    let text = String::from_utf8_lossy(&input);
    let more: Vec<String> = text.split(separators).filter(|word| !word.is_empty()).map(str::to_owned).collect();
    if more.is_empty() && call.words.has("r") {
        return Ok(0);
    }
    through(shell, &[call.words.operands.as_slice(), &more].concat()).await
}

pub(super) async fn command(shell: &mut Shell, call: &Call) -> Flow {
    let words = &call.words;
    if call.name == "command" && !words.has("v") {
        return through(shell, &words.operands).await;
    }
    let mut status = 0;
    for wanted in &words.operands {
        let on_disk = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"]
            .iter()
            .map(|folder| format!("{folder}/{wanted}"))
            .chain(wanted.contains('/').then(|| wanted.clone()))
            .find(|file| lock(&shell.host.disk).read(file).is_ok());
        let known = shell.known(wanted).is_some() || shell.functions.contains_key(wanted);
        match on_disk.or_else(|| known.then(|| format!("/usr/bin/{wanted}"))) {
            Some(path) => {
                shell.print(format!("{path}\n")).await?;
            }
            None => status = 1,
        }
    }
    Ok(status)
}
