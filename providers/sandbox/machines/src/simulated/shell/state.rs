//! The state of a shell, and what a command of it is.

use std::{collections::BTreeMap, sync::Arc};

use futures::future::BoxFuture;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{
    ast,
    flags::{Flags, Words},
    host::Host,
    io::Io,
    limits::{Charge, Limit, Work as Limited},
    work::Work,
};

/// After so many commands others get a turn.
const TURN: u64 = 64;

/// How a job ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// With a status.
    Code(i32),
    /// By a signal, named without `SIG`.
    Signal(&'static str),
}

/// Why the usual order of commands ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    Exit(i32),
    Return(i32),
    Break(u64),
    Continue(u64),
    Killed(&'static str),
    Limit(Limit),
    /// Something that a real machine has and this one has not: no script goes on from there, whatever it would do about a
    /// failure.
    NotSimulated,
}

impl From<Limit> for Stop {
    fn from(limit: Limit) -> Self {
        Self::Limit(limit)
    }
}

pub(super) type Flow<T = i32> = Result<T, Stop>;

#[derive(Debug, Clone, Default)]
pub(super) struct Variable {
    pub(super) value: String,
    pub(super) exported: bool,
}

/// The state of a shell; a subshell is a copy of it.
#[derive(Debug, Clone)]
pub(super) struct Shell {
    /// The commands that it has.
    pub(super) commands: &'static [Builtin],
    pub(super) host: Host,
    pub(super) variables: BTreeMap<String, Variable>,
    pub(super) name: String,
    pub(super) arguments: Vec<String>,
    pub(super) functions: BTreeMap<String, Function>,
    pub(super) errexit: bool,
    pub(super) nounset: bool,
    pub(super) xtrace: bool,
    pub(super) pipefail: bool,
    /// Whether it is bash, which has some of its ways; otherwise it is dash, as on Debian.
    pub(super) bash: bool,
    pub(super) cwd: String,
    pub(super) status: i32,
    pub(super) io: Io,
    pub(super) depth: usize,
    /// In how many conditions we stand, in which a failure is an answer.
    pub(super) tested: usize,
    /// What this shell itself has started in the background.
    pub(super) children: Vec<Child>,
    pub(super) work: Limited,
    /// Of its variables, arguments and functions.
    pub(super) held: Charge,
    pub(super) cancel: CancellationToken,
}

/// A function: its body, and how much memory that takes.
#[derive(Debug, Clone)]
pub(super) struct Function {
    pub(super) body: Arc<ast::Command>,
    pub(super) size: usize,
}

/// A command in the background, as the shell that started it knows it.
#[derive(Debug, Clone)]
pub(super) struct Child {
    pub(super) pid: u64,
    /// Nothing until it has ended.
    pub(super) ended: watch::Receiver<Option<Ended>>,
    pub(super) cancel: CancellationToken,
}

impl Child {
    /// Its status, as soon as it has ended.
    pub(super) async fn wait(&mut self) -> i32 {
        // The sender is dropped without a word where there was no thread for it.
        let ended = self.ended.wait_for(Option::is_some).await.ok().and_then(|ended| *ended);
        match ended {
            Some(Ended::Code(code)) => code,
            // Cancelled, which is how `kill` ends it.
            Some(Ended::Signal("HUP")) => 128 + 15,
            Some(Ended::Signal(_)) | None => 128 + 9,
        }
    }

    /// Whether it still runs.
    pub(super) fn runs(&self) -> bool {
        self.ended.borrow().is_none()
    }

    pub(super) fn kill(&self) {
        self.cancel.cancel();
    }
}

/// A command that every simulated machine has.
#[derive(Debug)]
pub(super) struct Builtin {
    /// By which it is called, with blanks between them.
    pub(super) names: &'static str,
    pub(super) flags: Flags,
    pub(super) reads: Reads,
    /// What it does of what the real one does, in short.
    pub(super) imitates: &'static str,
    pub(super) run: Run,
}

/// What a command reads of standard input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reads {
    /// Nothing: it must not wait for a client's end of file.
    Nothing,
    /// All of it, before it begins.
    All,
    /// All of it where no file is named after so many operands, or `-` is; `-e` and `-f` take the place of these operands.
    Files(usize),
    /// As much as it wants, while it runs.
    Itself,
}

/// A command over the disk alone: it says in its [`Work`] what came of its words.
pub(super) type Plain = fn(&mut Work<'_>, Words);

/// How a command is carried out.
#[derive(Debug, Clone, Copy)]
pub(super) enum Run {
    /// By a function over the disk.
    Plain(Plain),
    /// By one that acts on the shell itself, waits, or speaks with the machine.
    Own(for<'a> fn(&'a mut Shell, &'a Call) -> BoxFuture<'a, Flow>),
}

/// A command line of a builtin.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) name: String,
    /// The words as they were given.
    pub(super) arguments: Vec<String>,
    pub(super) words: Words,
}

impl Shell {
    /// The builtin of a name.
    pub(super) fn known(&self, name: &str) -> Option<&'static Builtin> {
        self.commands.iter().find(|command| command.names.split(' ').any(|known| known == name))
    }

    /// Says something on standard error, in the shell's name.
    pub(super) async fn complain(&self, message: &str) {
        // There is nobody left to tell when standard error is closed.
        self.io.err.write(format!("{}: {message}\n", self.name).as_bytes()).await.ok();
    }

    /// Prints on standard output; gives the status 0.
    pub(super) async fn print(&self, text: impl AsRef<[u8]>) -> Flow {
        match self.io.out.write(text.as_ref()).await {
            Ok(()) => Ok(0),
            // What outlives its session, and goes on to print.
            Err(_) if self.io.out.is_closed() => Err(Stop::Killed("PIPE")),
            Err(message) => {
                self.complain(&format!("write error: {message}")).await;
                Ok(1)
            }
        }
    }

    /// Says that this machine lacks what a real one has; nothing runs after that.
    pub(super) async fn not_simulated(&self, what: &str) -> Stop {
        self.complain(&format!("{what}: not simulated: this needs a real machine (`--kind qemu`)")).await;
        Stop::NotSimulated
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(|variable| variable.value.as_str())
    }

    pub(super) fn set(&mut self, name: &str, value: String) {
        self.variables.entry(name.to_owned()).or_default().value = value;
    }

    /// Counts a step, and weighs what the shell holds; stops a script that takes too much, or that nobody wants any more.
    pub(super) async fn step(&mut self) -> Flow<()> {
        if self.work.step()?.is_multiple_of(TURN) || self.cancel.is_cancelled() {
            // A job that was cancelled goes no further than this.
            tokio::task::yield_now().await;
        }
        let variables = self.variables.iter().map(|(name, variable)| name.len() + variable.value.len());
        let arguments = self.arguments.iter().map(String::len);
        let functions = self.functions.iter().map(|(name, function)| name.len() + function.size);
        let each = size_of::<Variable>();
        self.held.set(variables.chain(arguments).chain(functions).map(|size| size + each).sum());
        self.work.effort(self.variables.len() + self.arguments.len() + self.functions.len())?;
        self.host.limits.check()?;
        Ok(())
    }

    /// The exported variables, as a program sees them.
    pub(super) fn environment(&self) -> Vec<(String, String)> {
        let exported = self.variables.iter().filter(|(_, variable)| variable.exported);
        exported.map(|(name, variable)| (name.clone(), variable.value.clone())).collect()
    }

    /// A copy, to which nothing that was started in the background belongs.
    pub(super) fn subshell(&self) -> Self {
        Self { children: Vec::new(), ..self.clone() }
    }

    /// A shell that a script is run in as a program: it inherits the environment and nothing else.
    pub(super) fn program(&self, name: &str, arguments: Vec<String>) -> Self {
        let mut shell = self.subshell();
        shell.variables.retain(|name, variable| variable.exported || name == "IFS");
        shell.functions.clear();
        (shell.errexit, shell.nounset, shell.xtrace, shell.pipefail, shell.tested) = (false, false, false, false, 0);
        shell.name = name.to_owned();
        shell.arguments = arguments;
        shell
    }
}

/// What the end of a script, or of a subshell, means to who called it.
pub(super) fn finish(outcome: Flow) -> Flow {
    match outcome {
        Err(Stop::Exit(status) | Stop::Return(status)) => Ok(status),
        Err(Stop::Break(_) | Stop::Continue(_)) => Ok(0),
        other => other,
    }
}
