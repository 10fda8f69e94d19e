//! Running commands: lists, pipelines, conditions, loops.

use std::{collections::BTreeMap, sync::Arc};

use futures::future::BoxFuture;
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use tokio_util::sync::CancellationToken;

use super::{
    super::{disk::basename, machine::lock},
    ast::{AndOr, Body, Command, Joint, List, Pipeline},
    background::Child,
    host::Host,
    io::{Input, Io, Output},
    limits::{Charge, Limit, TIME, Work, parsed},
    parser::parse,
    program::interpreter,
};

/// How deep commands, functions and scripts may call one another.
const DEPTH: usize = 64;

/// The stack of a job's thread: an unoptimised build takes some 100 KiB a level. Only what is touched is real memory.
const STACK: usize = 32 * 1024 * 1024;

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

/// What to run.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) script: String,
    /// `$0` and the positional parameters.
    pub(crate) arguments: Vec<String>,
    /// The environment, beside what root always has.
    pub(crate) environment: Vec<(String, String)>,
    /// Standard input.
    pub(crate) input: Input,
    /// Standard output.
    pub(crate) out: Output,
    /// Standard error.
    pub(crate) err: Output,
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
    tested: usize,
    /// What this shell itself has started in the background.
    pub(super) children: Vec<Child>,
    pub(super) work: Work,
    /// Of its variables, arguments and functions.
    held: Charge,
    pub(super) cancel: CancellationToken,
}

/// A function: its body, and how much memory that takes.
#[derive(Debug, Clone)]
pub(super) struct Function {
    pub(super) body: Arc<Command>,
    size: usize,
}

/// Runs a job to its end; a cancelled one is killed where it stands.
///
/// Each job has a thread of its own with a large stack, since commands nest as deep as [`DEPTH`] allows and no script may
/// bring the sandbox down.
pub(crate) async fn run(host: &Host, job: Job, cancel: &CancellationToken) -> Ended {
    let Some(permit) = host.limits.job() else {
        job.err.write(b"sh: 0: Cannot fork\n").await.ok();
        return Ended::Code(2);
    };
    let cancel = cancel.child_token();
    // Whoever drops this future wants the job to end too.
    let _ends = cancel.clone().drop_guard();
    let (sender, ended) = oneshot::channel();
    let shell = Shell::new(host.clone(), &job, &cancel);
    let started = on_thread(
        permit,
        async move {
            let mut shell = shell;
            let err = job.err.clone();
            let ended = until_ended(&cancel, &shell.name.clone(), &err, shell.script(&job.script)).await;
            (shell, ended)
        },
        |ended| {
            // Nobody waits for a job that was dropped.
            sender.send(ended).ok();
        },
    );
    if !started {
        return Ended::Signal("KILL");
    }
    ended.await.unwrap_or(Ended::Signal("ABRT"))
}

/// Runs a job on a thread of its own, and says how it ended once all that it held is given back. Whether there is a thread.
pub(super) fn on_thread<F>(permit: OwnedSemaphorePermit, job: F, ended: impl FnOnce(Ended) + Send + 'static) -> bool
where
    F: Future<Output = (Shell, Ended)> + Send + 'static,
{
    let runtime = tokio::runtime::Handle::current();
    let work = move || {
        let (shell, how) = runtime.block_on(job);
        drop(shell);
        drop(permit);
        ended(how);
    };
    let thread = std::thread::Builder::new().name("simulated-shell".to_owned()).stack_size(STACK).spawn(work);
    thread
        .inspect_err(|error| tracing::error!(%error, "cannot start a thread for a simulated machine's command"))
        .is_ok()
}

/// Waits for a job's end, which its cancellation may be.
pub(super) async fn until_ended(
    cancel: &CancellationToken,
    name: &str,
    err: &Output,
    job: impl Future<Output = Flow>,
) -> Ended {
    let job = async {
        let outcome = tokio::time::timeout(TIME, job).await;
        match outcome.unwrap_or(Err(Stop::Limit(Limit::Time))) {
            Ok(code) | Err(Stop::Exit(code) | Stop::Return(code)) => Ended::Code(code & 0xff),
            Err(Stop::Break(_) | Stop::Continue(_)) => Ended::Code(0),
            Err(Stop::Killed(signal)) => Ended::Signal(signal),
            Err(Stop::NotSimulated) => Ended::Code(126),
            Err(Stop::Limit(limit)) => {
                // Whoever does not read it is not waited for: the job is over.
                err.write(format!("{name}: {}\n", limit.message()).as_bytes()).await.ok();
                Ended::Signal(limit.signal())
            }
        }
    };
    cancel.run_until_cancelled(job).await.unwrap_or(Ended::Signal("HUP"))
}

impl Shell {
    fn new(host: Host, job: &Job, cancel: &CancellationToken) -> Self {
        let path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
        let base = [("HOME", "/root"), ("USER", "root"), ("LOGNAME", "root"), ("SHELL", "/bin/sh"), ("PATH", path)];
        let base = base.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let mut variables: BTreeMap<String, Variable> = base
            .into_iter()
            .chain(job.environment.iter().cloned())
            .map(|(name, value)| (name, Variable { value, exported: true }))
            .collect();
        variables.insert("IFS".to_owned(), Variable { value: " \t\n".to_owned(), exported: false });
        let mut arguments = job.arguments.clone();
        let name = if arguments.is_empty() { "sh".to_owned() } else { arguments.remove(0) };
        let (held, work) = (host.limits.charge(0), host.limits.work());
        let cwd = if lock(&host.disk).is_dir("/root") { "/root" } else { "/" }.to_owned();
        Self {
            host,
            variables,
            name,
            arguments,
            functions: BTreeMap::new(),
            errexit: false,
            nounset: false,
            xtrace: false,
            pipefail: false,
            // Root's login shell, by which the SSH server runs commands, is bash; a script may name another.
            bash: interpreter(&job.script).is_none_or(|(path, _)| basename(path) == "bash"),
            cwd,
            status: 0,
            io: Io { input: job.input.clone(), out: job.out.clone(), err: job.err.clone() },
            depth: 0,
            tested: 0,
            children: Vec::new(),
            work,
            held,
            cancel: cancel.clone(),
        }
    }

    /// Parses and runs a script in this shell.
    pub(super) fn script<'a>(&'a mut self, script: &'a str) -> BoxFuture<'a, Flow> {
        Box::pin(async move {
            let _held = self.host.limits.script(script)?;
            match parse(script) {
                Ok(list) => self.list(&list).await,
                Err(error) => {
                    self.complain(&error.to_string()).await;
                    Err(Stop::Exit(2))
                }
            }
        })
    }

    /// Says something on standard error, in the shell's name.
    pub(super) async fn complain(&self, message: &str) {
        // There is nobody left to tell when standard error is closed.
        self.io.err.write(format!("{}: {message}\n", self.name).as_bytes()).await.ok();
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

    /// Runs a list; its status is the last one's.
    pub(super) fn list<'a>(&'a mut self, list: &'a List) -> BoxFuture<'a, Flow> {
        Box::pin(async move {
            if self.depth >= DEPTH {
                self.complain("commands call one another too deeply for this simulated machine").await;
                return Err(Stop::Killed("SEGV"));
            }
            self.depth += 1;
            let mut outcome = Ok(0);
            for and_or in list {
                outcome = if and_or.background { self.background(and_or).await } else { self.and_or(and_or).await };
                match outcome {
                    Ok(status) => self.status = status,
                    Err(_) => break,
                }
            }
            self.depth -= 1;
            outcome
        })
    }

    pub(super) async fn and_or(&mut self, list: &AndOr) -> Flow {
        let last = list.rest.len();
        let mut ran = 0;
        let mut status = self.tested_pipeline(&list.first, last > 0).await?;
        let mut negated = list.first.negated;
        for (index, (joint, pipeline)) in list.rest.iter().enumerate() {
            self.status = status;
            if (*joint == Joint::And) == (status == 0) {
                ran = index + 1;
                negated = pipeline.negated;
                status = self.tested_pipeline(pipeline, ran < last).await?;
            }
        }
        if status != 0 && self.errexit && self.tested == 0 && ran == last && !negated {
            return Err(Stop::Exit(status));
        }
        Ok(status)
    }

    async fn tested_pipeline(&mut self, pipeline: &Pipeline, tested: bool) -> Flow {
        let tested = usize::from(tested || pipeline.negated);
        self.tested += tested;
        let outcome = self.pipeline(pipeline).await;
        self.tested -= tested;
        Ok(if pipeline.negated { i32::from(outcome? == 0) } else { outcome? })
    }

    async fn pipeline(&mut self, pipeline: &Pipeline) -> Flow {
        if let [command] = pipeline.commands.as_slice() {
            return self.command(command).await;
        }
        let mut input = self.io.input.clone();
        let mut status = 0;
        for (index, command) in pipeline.commands.iter().enumerate() {
            let mut shell = self.subshell();
            shell.io.input = input.clone();
            let (buffer, out) = Output::buffer(&self.host.limits);
            if index + 1 < pipeline.commands.len() {
                shell.io.out = out;
            }
            let last = match shell.command(command).await {
                Ok(status) | Err(Stop::Exit(status) | Stop::Return(status)) => status,
                Err(Stop::Break(_) | Stop::Continue(_)) => 0,
                Err(stop) => return Err(stop),
            };
            status = if self.pipefail && last == 0 { status } else { last };
            input = Input::written(lock(&buffer).take());
        }
        Ok(status)
    }

    /// Runs a command with its redirections.
    pub(super) fn command<'a>(&'a mut self, command: &'a Command) -> BoxFuture<'a, Flow> {
        Box::pin(async move {
            self.step().await?;
            if let Body::Simple { assignments, words } = &command.body {
                return self.simple(assignments, words, &command.redirects).await;
            }
            let before = self.io.clone();
            if let Err(message) = self.redirect(&command.redirects).await? {
                self.io = before;
                self.complain(&message).await;
                return Ok(2);
            }
            let outcome = self.compound(&command.body).await;
            self.io = before;
            outcome
        })
    }

    async fn compound(&mut self, body: &Body) -> Flow {
        match body {
            Body::Simple { .. } => Ok(0),
            Body::Group(list) => self.list(list).await,
            Body::Subshell(list) => {
                let mut shell = self.subshell();
                match shell.list(list).await {
                    Err(Stop::Exit(status) | Stop::Return(status)) => Ok(status),
                    Err(Stop::Break(_) | Stop::Continue(_)) => Ok(0),
                    other => other,
                }
            }
            Body::If { branches, otherwise } => {
                for (condition, body) in branches {
                    if self.condition(condition).await? == 0 {
                        return self.list(body).await;
                    }
                }
                match otherwise {
                    Some(body) => self.list(body).await,
                    None => Ok(0),
                }
            }
            Body::For { variable, words, body } => {
                let values = match words {
                    Some(words) => self.fields(words).await?,
                    None => self.arguments.clone(),
                };
                let mut status = 0;
                let _held = self.host.limits.charge(values.iter().map(String::len).sum());
                for value in values {
                    self.step().await?;
                    self.set(variable, value);
                    match turn(self.list(body).await)? {
                        Turn::On(code) => status = code,
                        Turn::Out => break,
                    }
                }
                Ok(status)
            }
            Body::While { condition, until, body } => {
                let mut status = 0;
                loop {
                    self.step().await?;
                    let holds = match turn(self.condition(condition).await)? {
                        Turn::On(code) => (code == 0) != *until,
                        Turn::Out => false,
                    };
                    if !holds {
                        return Ok(status);
                    }
                    match turn(self.list(body).await)? {
                        Turn::On(code) => status = code,
                        Turn::Out => return Ok(status),
                    }
                }
            }
            Body::Case { word, arms } => {
                let text = self.text(word).await?;
                for (patterns, body) in arms {
                    for pattern in patterns {
                        let pattern = self.pattern(pattern).await?;
                        self.work.effort(pattern.len().saturating_mul(text.len()))?;
                        if super::pattern::matches(&pattern, &text) {
                            return self.list(body).await;
                        }
                    }
                }
                Ok(0)
            }
            Body::Function { name, body, size } => {
                self.functions.insert(name.clone(), Function { body: body.clone(), size: parsed(*size) });
                Ok(0)
            }
        }
    }

    async fn condition(&mut self, list: &List) -> Flow {
        self.tested += 1;
        let outcome = self.list(list).await;
        self.tested -= 1;
        outcome
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

enum Turn {
    On(i32),
    Out,
}

/// What a turn of a loop means for the loop.
fn turn(outcome: Flow) -> Flow<Turn> {
    match outcome {
        Ok(status) => Ok(Turn::On(status)),
        Err(Stop::Continue(1)) => Ok(Turn::On(0)),
        Err(Stop::Break(1)) => Ok(Turn::Out),
        Err(Stop::Continue(levels)) => Err(Stop::Continue(levels - 1)),
        Err(Stop::Break(levels)) => Err(Stop::Break(levels - 1)),
        Err(other) => Err(other),
    }
}
