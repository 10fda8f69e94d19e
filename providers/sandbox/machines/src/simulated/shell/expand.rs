//! From words to fields: parameters, substitutions, splitting, globs.

use futures::future::BoxFuture;

use super::{
    arithmetic::evaluate,
    ast::{Change, List, Operator, Part, Word},
    io::Output,
    limits::{Charge, Limit, Work},
    pattern::{self, Marked},
    state::{Flow, Shell, Stop, finish},
};
use crate::simulated::disk::{absolute, join, lock};

/// Fields while they are put together.
struct Fields {
    done: Vec<Vec<Marked>>,
    open: Option<Vec<Marked>>,
    charge: Charge,
    work: Work,
}

impl Fields {
    fn new(shell: &Shell) -> Self {
        Self { done: Vec::new(), open: None, charge: shell.host.limits.charge(0), work: shell.work.clone() }
    }

    /// Makes room for a text.
    fn room(&mut self, text: &str) -> Flow<()> {
        self.charge.grow(text.len() * size_of::<Marked>());
        self.work.effort(text.len())?;
        if self.charge.fits() { Ok(()) } else { Err(Limit::Memory.into()) }
    }

    fn push(&mut self, text: &str, quoted: bool) -> Flow<()> {
        self.room(text)?;
        self.open.get_or_insert_default().extend(text.chars().map(|c| (c, quoted)));
        Ok(())
    }

    fn end(&mut self) {
        self.done.extend(self.open.take());
    }

    /// Adds a value that is split where the separators stand.
    fn split(&mut self, value: &str, separators: &str) -> Flow<()> {
        self.room(value)?;
        for c in value.chars() {
            if separators.contains(c) {
                self.end();
            } else {
                self.open.get_or_insert_default().push((c, false));
            }
        }
        Ok(())
    }
}

impl Shell {
    /// The fields that words expand to, globs included.
    pub(super) async fn fields(&mut self, words: &[Word]) -> Flow<Vec<String>> {
        let mut all = Vec::new();
        let mut all_held = self.host.limits.charge(0);
        for word in words {
            let mut fields = Fields::new(self);
            self.expand(word, true, &mut fields).await?;
            fields.end();
            for field in fields.done {
                let plain: String = field.iter().map(|(c, _)| c).collect();
                let found = if pattern::is_glob(&field) { self.glob(&field)? } else { Vec::new() };
                all_held.grow(plain.len() + found.iter().map(String::len).sum::<usize>());
                self.host.limits.check()?;
                if found.is_empty() {
                    all.push(plain);
                } else {
                    all.extend(found);
                }
            }
        }
        Ok(all)
    }

    /// The text that a word expands to, without splitting.
    pub(super) async fn text(&mut self, word: &Word) -> Flow<String> {
        Ok(self.pattern(word).await?.iter().map(|(c, _)| c).collect())
    }

    /// The same, with what was quoted marked.
    pub(super) async fn pattern(&mut self, word: &Word) -> Flow<Vec<Marked>> {
        let mut fields = Fields::new(self);
        self.expand(word, false, &mut fields).await?;
        fields.end();
        Ok(fields.done.join(&(' ', false)))
    }

    fn expand<'a>(&'a mut self, word: &'a Word, split: bool, fields: &'a mut Fields) -> BoxFuture<'a, Flow<()>> {
        Box::pin(async move {
            for (index, part) in word.0.iter().enumerate() {
                match part {
                    Part::Text { text, quoted } => {
                        let home = (index == 0 && !quoted && (text == "~" || text.starts_with("~/")))
                            .then(|| self.get("HOME").unwrap_or("/root").to_owned());
                        match home {
                            Some(home) => fields.push(&format!("{home}{}", &text[1..]), true)?,
                            None => fields.push(text, *quoted)?,
                        }
                    }
                    Part::Length { name } => {
                        let length = self.value(name).await?.unwrap_or_default().chars().count();
                        fields.push(&length.to_string(), true)?;
                    }
                    Part::Arithmetic { word } => {
                        let text = self.text(word).await?;
                        let variable = |name: &str| self.get(name).unwrap_or_default().to_owned();
                        match evaluate(&text, &variable) {
                            Ok(value) => fields.push(&value.to_string(), true)?,
                            Err(message) => {
                                self.complain(&message).await;
                                return Err(Stop::Exit(2));
                            }
                        }
                    }
                    Part::Command { list, quoted } => {
                        let text = self.substitute(list).await?;
                        self.add(fields, &text, *quoted, split)?;
                    }
                    Part::Parameter { name, change: None, quoted: true } if name == "@" && split => {
                        for (index, argument) in self.arguments.iter().enumerate() {
                            if index > 0 {
                                fields.end();
                            }
                            fields.push(argument, true)?;
                        }
                        // `"$@"` without arguments is no field at all; the empty text of the quotes made one.
                        if self.arguments.is_empty()
                            && fields.open.as_ref().is_some_and(Vec::is_empty)
                            && word.0.len() == 2
                        {
                            fields.open = None;
                        }
                    }
                    Part::Parameter { name, change, quoted } => match change {
                        None => {
                            let value = self.value(name).await?.unwrap_or_default();
                            self.add(fields, &value, *quoted, split)?;
                        }
                        Some(change) => self.changed(name, change, *quoted, split, fields).await?,
                    },
                }
            }
            Ok(())
        })
    }

    fn add(&self, fields: &mut Fields, value: &str, quoted: bool, split: bool) -> Flow<()> {
        if split && !quoted {
            fields.split(value, self.get("IFS").unwrap_or(" \t\n"))
        } else {
            // Without splitting, a value keeps its globs only where a pattern is wanted, and is unquoted there.
            fields.push(value, quoted)
        }
    }

    async fn changed(
        &mut self,
        name: &str,
        change: &Change,
        quoted: bool,
        split: bool,
        fields: &mut Fields,
    ) -> Flow<()> {
        let value = self.lookup(name);
        let missing = value.as_ref().is_none_or(|value| change.colon && value.is_empty());
        let kept = value.clone().unwrap_or_default();
        match change.operator {
            Operator::Default if missing => return self.expand(&change.word, split && !quoted, fields).await,
            Operator::Alternative if !missing => return self.expand(&change.word, split && !quoted, fields).await,
            Operator::Alternative => {}
            Operator::Assign if missing => {
                let text = self.text(&change.word).await?;
                self.set(name, text.clone());
                self.add(fields, &text, quoted, split)?;
            }
            Operator::Error if missing => {
                let text = self.text(&change.word).await?;
                let text = if text.is_empty() { "parameter not set or null".to_owned() } else { text };
                self.complain(&format!("{name}: {text}")).await;
                return Err(Stop::Exit(2));
            }
            Operator::Default | Operator::Assign | Operator::Error => self.add(fields, &kept, quoted, split)?,
            operator => {
                let pattern = self.pattern(&change.word).await?;
                let value = self.value(name).await?.unwrap_or_default();
                let effort = |characters| self.work.effort(characters);
                let beginning = matches!(operator, Operator::ShortestPrefix | Operator::LongestPrefix);
                let longest = matches!(operator, Operator::LongestPrefix | Operator::LongestSuffix);
                let text = pattern::strip(&pattern, &value, beginning, longest, effort)?;
                self.add(fields, text, quoted, split)?;
            }
        }
        Ok(())
    }

    /// A parameter's value; under `set -u` an unset one ends the script.
    async fn value(&self, name: &str) -> Flow<Option<String>> {
        let value = self.lookup(name);
        if value.is_none() && self.nounset {
            self.complain(&format!("{name}: parameter not set")).await;
            return Err(Stop::Exit(2));
        }
        Ok(value)
    }

    fn lookup(&self, name: &str) -> Option<String> {
        match name {
            "?" => Some(self.status.to_string()),
            "#" => Some(self.arguments.len().to_string()),
            "$" => Some("1000".to_owned()),
            "!" => self.children.last().map(|child| child.pid.to_string()),
            "@" | "*" => Some(self.arguments.join(" ")),
            "-" => {
                let flags = [(self.errexit, 'e'), (self.nounset, 'u'), (self.xtrace, 'x')];
                Some(flags.iter().filter(|(set, _)| *set).map(|(_, flag)| flag).collect())
            }
            digits if digits.starts_with(|c: char| c.is_ascii_digit()) => {
                let index: usize = digits.parse().ok()?;
                match index {
                    0 => Some(self.name.clone()),
                    _ => self.arguments.get(index - 1).cloned(),
                }
            }
            name => self.get(name).map(str::to_owned),
        }
    }

    async fn substitute(&mut self, list: &List) -> Flow<String> {
        let mut shell = self.subshell();
        let (buffer, out) = Output::buffer(&self.host.limits);
        shell.io.out = out;
        self.status = finish(shell.list(list).await)?;
        let text = String::from_utf8_lossy(&lock(&buffer).bytes).into_owned();
        Ok(text.trim_end_matches('\n').to_owned())
    }

    /// The paths that a glob matches, sorted.
    fn glob(&self, field: &[Marked]) -> Flow<Vec<String>> {
        let disk = lock(&self.host.disk);
        let rooted = field.first().is_some_and(|(c, _)| *c == '/');
        let mut found = vec![if rooted { "/".to_owned() } else { String::new() }];
        for part in field.split(|(c, _)| *c == '/').filter(|part| !part.is_empty()) {
            let mut next = Vec::new();
            let mut held = self.host.limits.charge(0);
            for base in &found {
                let plain: String = part.iter().map(|(c, _)| c).collect();
                let at = |name: &str| if base.is_empty() { name.to_owned() } else { join(base, name) };
                if !pattern::is_glob(part) {
                    if disk.get_link(&absolute(&self.cwd, &at(&plain))).is_ok() {
                        next.push(at(&plain));
                    }
                    continue;
                }
                for name in disk.list(&absolute(&self.cwd, base)).unwrap_or_default() {
                    self.work.effort(part.len().saturating_mul(name.len()))?;
                    if (!name.starts_with('.') || plain.starts_with('.')) && pattern::matches(part, &name) {
                        next.push(at(&name));
                        held.grow(base.len() + name.len());
                        self.host.limits.check()?;
                    }
                }
            }
            found = next;
        }
        Ok(found)
    }
}
