//! A small POSIX shell over a virtual disk: what scripts that bake and check images use of `sh` and of the commands
//! around it.
//!
//! It is an interpreter, not an emulator: commands are functions over the disk, everything runs as root, pipelines run
//! one command after the other. A command in the background runs beside its script and, as on a real machine, outlives it. What it
//! bounds (steps, time, memory, nesting, output) ends a script with an error, so that no script can hold the sandbox. A script
//! that needs what a real machine has and this one lacks ends with status 126 and says so: it never counts as done.

mod arithmetic;
mod ast;
mod background;
mod builtins;
mod expand;
mod flags;
mod host;
mod interpreter;
mod io;
mod job;
mod limits;
mod parser;
mod pattern;
mod program;
mod simple;
mod state;
mod word;
mod work;

#[cfg(test)]
mod tests;

pub use builtins::commands;
pub(super) use host::{CloudInit, Host, Request};
pub(super) use io::{Input, Output};
pub(super) use job::{Job, run};
pub(super) use limits::Limits;
pub(super) use state::Ended;
