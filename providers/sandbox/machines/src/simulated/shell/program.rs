//! Files that are run as programs, as the kernel and the shell together do it (`execve(2)`).

use super::state::{Flow, Shell, finish};
use crate::simulated::disk::{DiskError, absolute, basename, lock};

/// How many scripts may interpret one another, as Linux has it.
const INTERPRETERS: usize = 4;

/// Where the programs are that every machine has.
const FOLDERS: [&str; 4] = ["/bin/", "/sbin/", "/usr/bin/", "/usr/sbin/"];

/// What a Debian 12 of the clouds has and this machine has not: languages of their own.
const LANGUAGES: [&str; 6] = ["python3", "python3.11", "perl", "awk", "mawk", "busybox"];

/// Words of bash that its imitation here does not know.
const BASH: &str = "[[ (( declare typeset let shopt mapfile readarray select function coproc pushd popd disown";

/// The name of a program that every machine has, where the path is that of one.
pub(super) fn installed(path: &str) -> Option<&str> {
    let name = basename(path);
    FOLDERS.iter().any(|folder| path.strip_prefix(folder) == Some(name)).then_some(name)
}

/// Whether a real machine has it and this one lacks it.
pub(super) fn is_lacking(shell: &Shell, name: &str) -> bool {
    LANGUAGES.contains(&name) || (shell.bash && BASH.split(' ').any(|word| word == name))
}

impl Shell {
    /// Runs a file: a script by its interpreter, and one that names none by `sh`, which is what the shell does when the
    /// kernel does not know a file's format.
    pub(super) async fn program_file(&mut self, path: &str, arguments: &[String]) -> Flow {
        self.interpreted(path, arguments, 0).await
    }

    async fn interpreted(&mut self, path: &str, arguments: &[String], level: usize) -> Flow {
        let name = arguments[0].as_str();
        let found = {
            let disk = lock(&self.host.disk);
            disk.get(path).map(|node| (node.mode, node.is_dir())).and_then(|(mode, folder)| {
                if folder { Err(DiskError::IsDirectory) } else { disk.read(path).map(|data| (mode, data)) }
            })
        };
        let (mode, data) = match found {
            Ok(found) => found,
            Err(DiskError::IsDirectory) => return self.refused(name, "Permission denied", 126).await,
            Err(_) => return self.refused(name, "not found", 127).await,
        };
        if mode & 0o111 == 0 {
            return self.refused(name, "Permission denied", 126).await;
        }
        if data.starts_with(b"\x7fELF") {
            return Err(self.not_simulated(&format!("{name}, a compiled program")).await);
        }
        let text = String::from_utf8_lossy(&data);
        let Some((interpreter, argument)) = interpreter(&text) else {
            let mut program = self.program(path, arguments[1..].to_vec());
            program.bash = false;
            return finish(program.script(&text).await);
        };
        let mut words = vec![interpreter.to_owned()];
        words.extend(argument.map(str::to_owned));
        words.push(path.to_owned());
        words.extend_from_slice(&arguments[1..]);
        let at = absolute(&self.cwd, interpreter);
        if lock(&self.host.disk).exists(&at) {
            if level >= INTERPRETERS {
                return self.refused(name, "Too many levels of symbolic links", 126).await;
            }
            return Box::pin(self.interpreted(&at, &words, level + 1)).await;
        }
        match installed(interpreter) {
            Some(short) if self.known(short).is_some() || is_lacking(self, short) => {
                let short = short.to_owned();
                Box::pin(self.program(interpreter, Vec::new()).builtin(&short, &words)).await
            }
            // The kernel does not find the interpreter, and the shell says it of the script.
            _ => self.refused(name, "not found", 127).await,
        }
    }

    /// Whether there is a command of that name; one that only a real machine has counts, too.
    pub(super) fn has(&self, name: &str) -> bool {
        let path = self.get("PATH").unwrap_or_default();
        let disk = lock(&self.host.disk);
        self.known(name).is_some()
            || is_lacking(self, name)
            || path.split(':').any(|folder| disk.read(&format!("{folder}/{name}")).is_ok())
    }

    async fn refused(&self, name: &str, why: &str, status: i32) -> Flow {
        self.complain(&format!("{name}: {why}")).await;
        Ok(status)
    }
}

/// The interpreter that a script's first line names, and its argument: one, with all blanks in it.
pub(super) fn interpreter(text: &str) -> Option<(&str, Option<&str>)> {
    let line = text.strip_prefix("#!")?.split('\n').next()?.trim_matches([' ', '\t']);
    let (interpreter, argument) = line.split_once([' ', '\t']).unwrap_or((line, ""));
    let argument = argument.trim_start_matches([' ', '\t']);
    (!interpreter.is_empty()).then_some((interpreter, (!argument.is_empty()).then_some(argument)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_is_read_as_the_kernel_reads_it() {
        assert_eq!(interpreter("#!/bin/sh\n"), Some(("/bin/sh", None)));
        assert_eq!(interpreter("#! \t/bin/sh -eu  -x \n"), Some(("/bin/sh", Some("-eu  -x"))));
        assert_eq!(interpreter("#!/bin/sh\r\n"), Some(("/bin/sh\r", None)));
        assert_eq!(interpreter("#!/usr/bin/env bash\r\n"), Some(("/usr/bin/env", Some("bash\r"))));
        for none in ["", "#!", "#!  \n", "echo", " #!/bin/sh", "\u{feff}#!/bin/sh"] {
            assert_eq!(interpreter(none), None, "{none:?}");
        }
    }
}
