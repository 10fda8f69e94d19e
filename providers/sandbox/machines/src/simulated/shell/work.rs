//! What a plain command works with: it only looks at the disk and its input, and writes.

use super::{host::Request, limits::HELD};
use crate::simulated::disk::{SharedDisk, absolute, lock};

pub(super) struct Work<'a> {
    pub(super) name: &'a str,
    /// The words as they were given.
    pub(super) arguments: &'a [String],
    pub(super) disk: &'a SharedDisk,
    pub(super) cwd: &'a str,
    pub(super) input: Vec<u8>,
    /// How many bytes were read, from the input and from files.
    pub(super) read: usize,
    pub(super) out: Vec<u8>,
    pub(super) err: Vec<u8>,
    /// What the command ends with; 0 where nothing fails.
    pub(super) status: i32,
    pub(super) requests: Vec<Request>,
    /// What a real machine's has and this one has not: no script goes on from there.
    pub(super) lacks: Option<String>,
    /// Whether more was to be printed than a command may.
    pub(super) full: bool,
}

impl Work<'_> {
    pub(super) fn path(&self, name: &str) -> String {
        absolute(self.cwd, name)
    }

    pub(super) fn print(&mut self, text: &str) {
        if self.out.len() + text.len() > HELD {
            self.full = true;
        }
        if !self.full {
            self.out.extend_from_slice(text.as_bytes());
        }
    }

    pub(super) fn line(&mut self, text: &str) {
        self.print(text);
        self.print("\n");
    }

    /// Says what went wrong; the status is 1.
    pub(super) fn fail(&mut self, message: impl std::fmt::Display) {
        self.fail_with(1, message);
    }

    /// Says what went wrong, and sets the status.
    pub(super) fn fail_with(&mut self, status: i32, message: impl std::fmt::Display) {
        self.err.extend_from_slice(format!("{}: {message}\n", self.name).as_bytes());
        self.status = status;
    }

    /// Ends the script: a real machine's may know this word.
    pub(super) fn lack(&mut self, word: &str) {
        self.lacks = Some(format!("{} {word}", self.name));
    }

    /// Keeps what was asked for, in a log that nobody takes for the real thing.
    pub(super) fn note(&mut self) {
        let line = format!("{} {}\n", self.name, self.arguments.join(" "));
        let written = {
            let mut disk = lock(self.disk);
            disk.mkdir_all("/var/log").and_then(|()| disk.append("/var/log/simulated-commands.log", line.as_bytes()))
        };
        written.unwrap_or_else(|error| self.fail(error));
    }

    /// The contents of the files, or of the input where none is named; complains about those that cannot be read.
    pub(super) fn inputs(&mut self, files: &[String]) -> Vec<(String, Vec<u8>)> {
        if files.is_empty() {
            return vec![(String::new(), self.input.clone())];
        }
        let (mut found, mut size) = (Vec::new(), 0);
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
                    Err(error) => self.fail(format!("{file}: {error}")),
                }
            }
        }
        self.read += size;
        found
    }
}
