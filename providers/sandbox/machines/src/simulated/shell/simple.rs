//! Simple commands: assignments, redirections, functions, builtins, programs on the disk.

use super::{
    ast::{Redirect, Target, Word},
    io::{Input, Output},
    limits::Limit,
    program::{installed, is_lacking},
    state::{Builtin, Call, Flow, Plain, Reads, Run, Shell, Stop, Variable},
    work::Work,
};
use crate::simulated::disk::{absolute, lock};

impl Shell {
    pub(super) async fn simple(
        &mut self,
        assignments: &[(String, Word)],
        words: &[Word],
        redirects: &[Redirect],
    ) -> Flow {
        let before_words = self.status;
        let arguments = self.fields(words).await?;
        if arguments.is_empty() {
            self.status = 0;
            for (name, word) in assignments {
                let value = self.text(word).await?;
                self.set(name, value);
            }
            let status = self.status;
            let io = self.io.clone();
            let redirected = self.redirect(redirects).await?;
            self.io = io;
            return match redirected {
                Ok(()) => Ok(status),
                Err(message) => {
                    self.complain(&message).await;
                    Ok(2)
                }
            };
        }
        self.status = before_words;
        // They stay while what is called runs, however deep it calls itself.
        let _held = self.host.limits.charge(arguments.iter().map(String::len).sum());
        if self.xtrace {
            let line = format!("+ {}\n", arguments.join(" "));
            self.io.err.write(line.as_bytes()).await.ok();
        }
        if self.bash && arguments[0] == "[[" {
            // Before its `<` and `>` are taken for redirections.
            return Err(self.not_simulated("[[").await);
        }
        let io = self.io.clone();
        if let Err(message) = self.redirect(redirects).await? {
            self.io = io;
            self.complain(&message).await;
            return Ok(2);
        }
        let mut former: Vec<(String, Option<Variable>)> = Vec::new();
        for (name, word) in assignments {
            let value = self.text(word).await?;
            former.push((name.clone(), self.variables.get(name).cloned()));
            self.variables.insert(name.clone(), Variable { value, exported: true });
        }
        let outcome = self.invoke(&arguments).await;
        for (name, variable) in former.into_iter().rev() {
            match variable {
                Some(variable) => self.variables.insert(name, variable),
                None => self.variables.remove(&name),
            };
        }
        // `exec > file` changes the shell's own descriptors.
        if !(arguments[0] == "exec" && arguments.len() == 1) {
            self.io = io;
        }
        outcome
    }

    /// Opens what a command's redirections name. The inner error is what the shell says about it.
    pub(super) async fn redirect(&mut self, redirects: &[Redirect]) -> Flow<Result<(), String>> {
        for redirect in redirects {
            let (word, truncate) = match &redirect.target {
                Target::Here(word) => {
                    let text = self.text(word).await?;
                    self.io.input = Input::bytes(text.into_bytes(), &self.host.limits);
                    continue;
                }
                Target::Duplicate(word) => {
                    let output = match self.text(word).await?.as_str() {
                        "1" => self.io.out.clone(),
                        "2" => self.io.err.clone(),
                        "-" => Output::Null,
                        "0" if redirect.fd == 0 => continue,
                        other => return Ok(Err(format!("{other}: bad file descriptor"))),
                    };
                    self.point(redirect.fd, output);
                    continue;
                }
                Target::Read(word) => {
                    let name = self.text(word).await?;
                    let path = absolute(&self.cwd, &name);
                    let read =
                        if path == "/dev/null" { Ok(Default::default()) } else { lock(&self.host.disk).read(&path) };
                    match read {
                        Ok(data) => self.io.input = Input::bytes(data.to_vec(), &self.host.limits),
                        Err(error) => return Ok(Err(format!("cannot open {name}: {error}"))),
                    }
                    continue;
                }
                Target::Write(word) => (word, true),
                Target::Append(word) => (word, false),
            };
            let name = self.text(word).await?;
            let path = absolute(&self.cwd, &name);
            let output = match path.as_str() {
                "/dev/null" => Output::Null,
                "/dev/stdout" => self.io.out.clone(),
                "/dev/stderr" => self.io.err.clone(),
                _ => {
                    let mut disk = lock(&self.host.disk);
                    let opened = if truncate { disk.write(&path, b"") } else { disk.append(&path, b"") };
                    if let Err(error) = opened {
                        return Ok(Err(format!("cannot create {name}: {error}")));
                    }
                    Output::File { disk: self.host.disk.clone(), path }
                }
            };
            self.point(redirect.fd, output);
        }
        Ok(Ok(()))
    }

    fn point(&mut self, fd: u8, output: Output) {
        match fd {
            1 => self.io.out = output,
            2 => self.io.err = output,
            _ => {}
        }
    }

    /// Runs a command by its name: a function, a builtin, a program on the disk.
    pub(super) async fn invoke(&mut self, arguments: &[String]) -> Flow {
        let name = arguments[0].as_str();
        if let Some(function) = self.functions.get(name).cloned() {
            let before = std::mem::replace(&mut self.arguments, arguments[1..].to_vec());
            let outcome = self.command(&function.body).await;
            self.arguments = before;
            return match outcome {
                Err(Stop::Return(status)) => Ok(status),
                other => other,
            };
        }
        if name.contains('/') {
            let path = absolute(&self.cwd, name);
            if lock(&self.host.disk).exists(&path) {
                return self.program_file(&path, arguments).await;
            }
            let Some(short) = installed(name) else {
                self.complain(&format!("{name}: not found")).await;
                return Ok(127);
            };
            return self.builtin(short, arguments).await;
        }
        if self.known(name).is_some() {
            return self.builtin(name, arguments).await;
        }
        let path = self.get("PATH").unwrap_or_default().to_owned();
        for folder in path.split(':') {
            let file = format!("{folder}/{name}");
            if lock(&self.host.disk).read(&file).is_ok() {
                return self.program_file(&file, arguments).await;
            }
        }
        self.builtin(name, arguments).await
    }

    pub(super) async fn builtin(&mut self, name: &str, arguments: &[String]) -> Flow {
        let Some(command) = self.known(name) else {
            if is_lacking(self, name) {
                return Err(self.not_simulated(name).await);
            }
            self.complain(&format!("{name}: not found")).await;
            return Ok(127);
        };
        let arguments = arguments[1..].to_vec();
        let words = match command.flags.read(&arguments) {
            Ok(words) => words,
            Err(flag) => return Err(self.not_simulated(&format!("{name} {flag}")).await),
        };
        let call = Call { name: name.to_owned(), arguments, words };
        match command.run {
            Run::Own(run) => run(self, &call).await,
            Run::Plain(run) => self.plain(command, call, run).await,
        }
    }

    async fn plain(&mut self, command: &Builtin, call: Call, run: Plain) -> Flow {
        let words = &call.words;
        let reads = match command.reads {
            Reads::Nothing | Reads::Itself => false,
            Reads::All => true,
            Reads::Files(before) => {
                let before = if words.has("e f") { 0 } else { before };
                let files = words.operands.get(before..).unwrap_or_default();
                files.is_empty() || files.iter().any(|file| file == "-") || words.value("f") == Some("-")
            }
        };
        let input = if reads { self.io.input.read_all().await } else { Vec::new() };
        let (disk, cwd) = (self.host.disk.clone(), self.cwd.clone());
        let mut work = Work {
            name: &call.name,
            arguments: &call.arguments,
            disk: &disk,
            cwd: &cwd,
            read: input.len(),
            input,
            out: Vec::new(),
            err: Vec::new(),
            status: 0,
            requests: Vec::new(),
            lacks: None,
            full: false,
        };
        run(&mut work, call.words);
        let Work { read, out, err, mut status, requests, lacks, full, .. } = work;
        if let Some(what) = lacks {
            return Err(self.not_simulated(&what).await);
        }
        if full {
            return Err(Limit::Memory.into());
        }
        self.work.effort(read + out.len())?;
        for request in requests {
            // A machine whose power is gone has nobody who listens.
            self.host.requests.send(request).ok();
        }
        // A reader that went away is the writer's failure, as with a broken pipe.
        if self.io.err.write(&err).await.is_err() {
            status = 1;
        }
        if let Err(message) = self.io.out.write(&out).await {
            self.complain(&format!("{}: write error: {message}", call.name)).await;
            status = 1;
        }
        Ok(status)
    }
}
