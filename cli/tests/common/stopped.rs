//! A `remint` that is stopped by a signal on its way.

use std::process::{ExitStatus, Output, Stdio};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, BufReader, Lines},
    process::{Child, ChildStdout, Command},
    task::JoinHandle,
};

use crate::common::{Ended, World};

/// A `remint --json` that runs; its events pass by one after the other.
pub(crate) struct Running {
    args: String,
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    stdout: String,
    stderr: JoinHandle<Vec<u8>>,
}

impl Running {
    pub(crate) fn start(world: &World, args: &[&str]) -> Self {
        Self::of(world.command(&with_json(args)), args)
    }

    /// Starts it so that it and all others take each other for processes of another machine.
    pub(crate) fn start_elsewhere(world: &World, args: &[&str]) -> Self {
        Self::of(world.elsewhere(&with_json(args)), args)
    }

    /// Starts a command that is a `remint --json`.
    pub(crate) fn of(mut command: Command, args: &[&str]) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut pipe = child.stderr.take().unwrap();
        let stderr = tokio::spawn(async move {
            let mut bytes = Vec::new();
            pipe.read_to_end(&mut bytes).await.unwrap();
            bytes
        });
        Self { args: args.join(" "), child, lines, stdout: String::new(), stderr }
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id().unwrap()
    }

    async fn event(&mut self) -> Option<Value> {
        let line = self.lines.next_line().await.unwrap()?;
        self.stdout.push_str(&line);
        self.stdout.push('\n');
        Some(serde_json::from_str(&line).unwrap())
    }

    /// Reads until an event passes by: the beginning of a phase of this name, or an event of this kind or with this text.
    pub(crate) async fn until(&mut self, moment: &str) {
        if !self.reaches(moment).await {
            let status = self.child.wait().await.unwrap();
            let stderr = String::from_utf8_lossy(&(&mut self.stderr).await.unwrap()).into_owned();
            panic!("`remint {}` ended without {moment}: {status}\n{}\n{stderr}", self.args, self.stdout);
        }
    }

    /// As [`Running::until`]; `false` where it ends before.
    pub(crate) async fn reaches(&mut self, moment: &str) -> bool {
        while let Some(event) = self.event().await {
            let is = |field: &str| event[field] == moment;
            // A single word is a phase or an event: tasks use such words in their messages, too.
            let says = moment.contains(' ') && event["message"].as_str().is_some_and(|text| text.contains(moment));
            if is("event") || (event["event"] == "phase_started" && is("phase")) || is("line") || says {
                return true;
            }
        }
        false
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.pid().try_into().unwrap()), signal).unwrap();
    }

    /// Reads on until it has ended.
    pub(crate) async fn end(mut self) -> Ended {
        while self.event().await.is_some() {}
        let status: ExitStatus = self.child.wait().await.unwrap();
        let stderr = self.stderr.await.unwrap();
        Ended::of(&[&self.args], Output { status, stdout: self.stdout.into_bytes(), stderr })
    }
}

fn with_json<'a>(args: &[&'a str]) -> Vec<&'a str> {
    std::iter::once("--json").chain(args.iter().copied()).collect()
}

/// As [`stop_at`]; one that ends before the event is left alone.
pub(crate) async fn stop_if_at(world: &World, args: &[&str], moment: &str, signal: Signal) -> Ended {
    let mut running = Running::start(world, args);
    if running.reaches(moment).await {
        running.signal(signal);
    }
    running.end().await
}

/// Runs it until an event passes by, sends the signal, and waits for its end.
pub(crate) async fn stop_at(world: &World, args: &[&str], moment: &str, signal: Signal) -> Ended {
    let mut running = Running::start(world, args);
    running.until(moment).await;
    running.signal(signal);
    running.end().await
}
