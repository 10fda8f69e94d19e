//! The commands that every simulated machine has.

mod accounts;
mod files;
mod flow;
mod scp;
mod search;
mod sshd;
mod system;
mod tar;
mod test;
mod text;

use super::{
    super::{
        disk::absolute,
        machine::{SharedDisk, lock},
    },
    host::Request,
    interpreter::{Flow, Shell},
    limits::{HELD, Limit},
    program::is_lacking,
};

#[derive(Debug)]
pub(super) struct Invocation {
    pub(super) name: String,
    pub(super) arguments: Vec<String>,
}

/// What the plain commands work with: they only look at the disk and their input, and write.
struct Work<'a> {
    name: &'a str,
    arguments: &'a [String],
    disk: &'a SharedDisk,
    cwd: &'a str,
    input: Vec<u8>,
    /// How many bytes were read, from the input and from files.
    read: usize,
    out: Vec<u8>,
    err: Vec<u8>,
    requests: Vec<Request>,
    /// Whether more was to be printed than a command may.
    full: bool,
}

impl Work<'_> {
    fn path(&self, name: &str) -> String {
        absolute(self.cwd, name)
    }

    fn print(&mut self, text: &str) {
        if self.out.len() + text.len() > HELD {
            self.full = true;
        }
        if !self.full {
            self.out.extend_from_slice(text.as_bytes());
        }
    }

    fn line(&mut self, text: &str) {
        self.print(text);
        self.print("\n");
    }

    /// Says what went wrong; gives the status 1.
    fn fail(&mut self, message: impl std::fmt::Display) -> i32 {
        self.err.extend_from_slice(format!("{}: {message}\n", self.name).as_bytes());
        1
    }

    /// The flags (single letters; long options by their first letter's sake are not flags) and the operands. `valued`
    /// are the letters that take a value.
    fn options(&self, valued: &str) -> (Vec<(char, String)>, Vec<String>) {
        let (mut flags, mut operands) = (Vec::new(), Vec::new());
        let mut rest = self.arguments.iter();
        while let Some(argument) = rest.next() {
            match argument.strip_prefix('-') {
                Some("-") => {
                    operands.extend(rest.by_ref().cloned());
                }
                Some("") | None => operands.push(argument.clone()),
                Some(long) if long.starts_with('-') => {
                    let (name, value) = long[1..].split_once('=').unwrap_or((&long[1..], ""));
                    let short = match name {
                        "recursive" => 'r',
                        "force" => 'f',
                        "parents" => 'p',
                        "quiet" | "silent" => 'q',
                        "size" => 's',
                        "mode" => 'm',
                        "owner" => 'o',
                        "group" => 'g',
                        "lines" => 'n',
                        "bytes" => 'c',
                        _ => continue,
                    };
                    let value = if value.is_empty() && valued.contains(short) {
                        rest.next().cloned().unwrap_or_default()
                    } else {
                        value.to_owned()
                    };
                    flags.push((short, value));
                }
                Some(short) => {
                    let letters = short.char_indices();
                    for (at, letter) in letters {
                        if !valued.contains(letter) {
                            flags.push((letter, String::new()));
                            continue;
                        }
                        let inline = &short[at + letter.len_utf8()..];
                        let value = if inline.is_empty() {
                            rest.next().cloned().unwrap_or_default()
                        } else {
                            inline.to_owned()
                        };
                        flags.push((letter, value));
                        break;
                    }
                }
            }
        }
        (flags, operands)
    }

    /// The contents of the files, or of the input where none is named; complains about those that cannot be read.
    fn inputs(&mut self, files: &[String]) -> (Vec<(String, Vec<u8>)>, i32) {
        if files.is_empty() {
            return (vec![(String::new(), self.input.clone())], 0);
        }
        let (mut found, mut status) = (Vec::new(), 0);
        let mut size = 0;
        for file in files {
            let path = self.path(file);
            if size > HELD {
                self.full = true;
                break;
            }
            if file == "-" {
                size += self.input.len();
                found.push((file.clone(), self.input.clone()));
            } else if path == "/dev/null" {
                found.push((file.clone(), Vec::new()));
            } else {
                let read = lock(self.disk).read(&path);
                match read {
                    Ok(data) => {
                        size += data.len();
                        found.push((file.clone(), data.to_vec()));
                    }
                    Err(error) => status = self.fail(format!("{file}: {error}")),
                }
            }
        }
        self.read += size;
        (found, status)
    }
}

type Plain = fn(&mut Work<'_>) -> i32;

fn plain(name: &str) -> Option<Plain> {
    files::find(name)
        .or_else(|| text::find(name))
        .or_else(|| search::find(name))
        .or_else(|| accounts::find(name))
        .or_else(|| system::find(name))
        .or_else(|| sshd::find(name))
}

/// Whether a command of that name is there.
pub(super) fn is_known(name: &str) -> bool {
    flow::NAMES.contains(&name) || plain(name).is_some()
}

pub(super) async fn run(shell: &mut Shell, call: &Invocation) -> Flow {
    if flow::NAMES.contains(&call.name.as_str()) {
        return flow::run(shell, call).await;
    }
    let Some(command) = plain(&call.name) else {
        if is_lacking(shell, &call.name) {
            return Err(shell.not_simulated(&call.name).await);
        }
        shell.complain(&format!("{}: not found", call.name)).await;
        return Ok(127);
    };
    // Only these read their input, and only without a file to read: others must not wait for a client's end of file.
    let operands = call.arguments.iter().filter(|argument| !argument.starts_with('-') || *argument == "-").count();
    let reads = match call.name.as_str() {
        "sort" | "uniq" | "wc" | "head" | "tail" | "cut" | "sha256sum" | "base64" | "nl" | "tac" => {
            operands == 0
                || call.arguments.iter().any(|argument| argument == "-" || argument == "-n" || argument == "-c")
                || ["cut", "head", "tail", "sort"].contains(&call.name.as_str())
        }
        "tr" | "tee" | "chpasswd" => true,
        "grep" | "egrep" | "fgrep" | "sed" => operands <= 1 || call.arguments.iter().any(|argument| argument == "-e"),
        _ => false,
    };
    let asks = call.name.ends_with("grep") && call.arguments.windows(2).any(|pair| pair == ["-f", "-"]);
    let input =
        if asks || (reads && !names_existing_file(shell, call)) { shell.io.input.read_all().await } else { Vec::new() };
    let disk = shell.host.disk.clone();
    let cwd = shell.cwd.clone();
    let mut work = Work {
        name: &call.name,
        arguments: &call.arguments,
        disk: &disk,
        cwd: &cwd,
        read: input.len(),
        input,
        out: Vec::new(),
        err: Vec::new(),
        requests: Vec::new(),
        full: false,
    };
    let mut status = command(&mut work);
    let Work { read, out, err, requests, full, .. } = work;
    if full {
        return Err(Limit::Memory.into());
    }
    shell.work.effort(read + out.len())?;
    for request in requests {
        // A machine whose power is gone has nobody who listens.
        shell.host.requests.send(request).ok();
    }
    // A reader that went away is the writer's failure, as with a broken pipe.
    if shell.io.err.write(&err).await.is_err() {
        status = 1;
    }
    if let Err(message) = shell.io.out.write(&out).await {
        shell.complain(&format!("{}: write error: {message}", call.name)).await;
        status = 1;
    }
    Ok(status)
}

/// Whether the last operand is a file on the disk, for commands whose first operands are not files.
fn names_existing_file(shell: &Shell, call: &Invocation) -> bool {
    !["tr", "tee"].contains(&call.name.as_str())
        && call.arguments.last().is_some_and(|last| {
            !last.starts_with('-') && lock(&shell.host.disk).read(&absolute(&shell.cwd, last)).is_ok()
        })
}
