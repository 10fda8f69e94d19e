//! Running commands: lists, pipelines, conditions, loops.

use futures::future::BoxFuture;

use super::{
    ast::{AndOr, Body, Command, Joint, List, Pipeline},
    io::{Input, Output},
    limits::parsed,
    parser::parse,
    state::{Flow, Function, Shell, Stop, finish},
};
use crate::simulated::disk::lock;

/// How deep commands, functions and scripts may call one another.
const DEPTH: usize = 64;

impl Shell {
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
            let last = finish(shell.command(command).await)?;
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
                finish(shell.list(list).await)
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
