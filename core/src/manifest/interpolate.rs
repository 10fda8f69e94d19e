//! Fills in `${var.…}`, `${env.…}` and `${git.…}` when a manifest is loaded, and checks what is left for later.

use std::{
    cell::Cell,
    collections::{BTreeMap, BTreeSet},
    ops::Range,
    path::Path,
};

use super::{
    LoadOptions,
    diagnostics::{Reporter, list, suggest},
    git::{self, Git},
    limits::{MAX_CHAIN, MAX_FILLED, MAX_TEXT, MAX_VARS, mib},
    references::{LATE, NAMESPACES, Piece, Reference, escape, pieces},
    tree::{Node, Step, Value, show},
};

/// What is wrong with one reference.
#[derive(Debug)]
struct Problem {
    reference: String,
    message: String,
    help: Option<String>,
}

/// Whether late references may stand in a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// The text is final.
    Final,
    /// The text becomes a [`super::Template`].
    Template,
}

/// Knows every value that is known at load.
#[derive(Debug)]
pub(crate) struct Interpolator<'a> {
    options: &'a LoadOptions,
    git: Git,
    secrets: BTreeSet<String>,
    /// `None`: declared, but its value could not be made out, which was reported.
    vars: BTreeMap<String, Option<String>>,
    /// Bytes of all texts that were filled in.
    filled: Cell<usize>,
    /// Whether a chain that is too long was reported.
    too_long: bool,
}

impl<'a> Interpolator<'a> {
    /// Works out the variables.
    pub(crate) fn new(root: &Node, options: &'a LoadOptions, base_dir: &Path, reporter: &mut Reporter<'_>) -> Self {
        let table = |key: &str| root.as_table().and_then(|root| root.get(key)).and_then(Node::as_table);
        let secrets = table("secrets").map(|table| table.keys().cloned().collect()).unwrap_or_default();
        let mut out = Self {
            options,
            git: Git::new(base_dir),
            secrets,
            vars: BTreeMap::new(),
            filled: Cell::default(),
            too_long: false,
        };
        let empty = BTreeMap::new();
        let declared = table("vars").unwrap_or(&empty);
        if declared.len() > MAX_VARS {
            let span = root.find(&[Step::Key("vars".to_owned())]).head();
            let message = format!("a manifest may have at most {MAX_VARS} variables; there are {}", declared.len());
            reporter.report(span, "vars", message, None);
            // Nothing that refers to them is reported.
            out.vars = declared.keys().map(|name| (name.clone(), None)).collect();
            return out;
        }
        for name in options.vars.keys().filter(|name| !declared.contains_key(*name)) {
            let span = root.find(&[Step::Key("vars".to_owned())]).head();
            let help = suggest(name, "variables", declared.keys().map(String::as_str));
            reporter.report(span, "vars", format!("`--var {name}=…`: there is no variable `{name}`"), help);
        }
        for name in declared.keys() {
            out.resolve(name, declared, &mut Vec::new(), reporter);
        }
        out
    }

    /// Works out one variable, those it refers to first.
    fn resolve(
        &mut self,
        name: &str,
        declared: &BTreeMap<String, Node>,
        chain: &mut Vec<String>,
        reporter: &mut Reporter<'_>,
    ) {
        let Some(node) = declared.get(name) else { return };
        if self.vars.contains_key(name) {
            return;
        }
        if let Some(value) = self.options.vars.get(name) {
            self.vars.insert(name.to_owned(), Some(value.clone()));
            return;
        }
        if let Some(start) = chain.iter().position(|before| before == name) {
            let mut circle = chain[start..].to_vec();
            circle.push(name.to_owned());
            let message = format!("variables refer to each other in a circle: {}", circle.join(" → "));
            reporter.report(node.span.clone(), &format!("vars.{name}"), message, None);
            for member in circle {
                self.vars.insert(member, None);
            }
            return;
        }
        if chain.len() >= MAX_CHAIN {
            if !std::mem::replace(&mut self.too_long, true) {
                let message = format!("more than {MAX_CHAIN} variables refer to each other in a row");
                reporter.report(node.span.clone(), &format!("vars.{name}"), message, None);
            }
            self.vars.insert(name.to_owned(), None);
            return;
        }
        let Some(text) = node.as_str() else {
            self.vars.insert(name.to_owned(), None);
            return;
        };
        chain.push(name.to_owned());
        for piece in pieces(text) {
            if let Piece::Reference(Reference { namespace: "var", name: other, .. }) = piece {
                self.resolve(other, declared, chain, reporter);
            }
        }
        chain.pop();
        if self.vars.contains_key(name) {
            return;
        }
        let path = [Step::Key("vars".to_owned()), Step::Key(name.to_owned())];
        let value = self.text(text, Mode::Final, &node.span, &path, reporter);
        self.vars.insert(name.to_owned(), value);
    }

    /// Fills in a whole tree.
    pub(crate) fn fill(&self, root: &mut Node, reporter: &mut Reporter<'_>) {
        self.node(root, &mut Vec::new(), reporter);
    }

    /// Fills in a file whose late references stay.
    pub(crate) fn file(&self, text: &str, reporter: &mut Reporter<'_>) -> Option<String> {
        self.text(text, Mode::Template, &(0..text.len()), &[], reporter)
    }

    fn node(&self, node: &mut Node, path: &mut Vec<Step>, reporter: &mut Reporter<'_>) {
        match &mut node.value {
            Value::Table(table) => {
                for (key, child) in table {
                    path.push(Step::Key(key.clone()));
                    match path.as_slice() {
                        [Step::Key(section), Step::Key(name)] if section == "vars" => {
                            if let (Some(Some(value)), Value::Leaf(leaf)) = (self.vars.get(name), &mut child.value) {
                                *leaf = toml::Value::String(value.clone());
                            }
                        }
                        _ => self.node(child, path, reporter),
                    }
                    path.pop();
                }
            }
            Value::Array(items) => {
                for (index, item) in items.iter_mut().enumerate() {
                    path.push(Step::Index(index));
                    self.node(item, path, reporter);
                    path.pop();
                }
            }
            Value::Leaf(toml::Value::String(text)) => {
                let mode = if is_template(path) { Mode::Template } else { Mode::Final };
                if let Some(filled) = self.text(text, mode, &node.span, path, reporter) {
                    *text = filled;
                }
            }
            Value::Leaf(_) => {}
        }
    }

    /// Fills in one text; `None` when that failed, which was reported.
    fn text(
        &self,
        text: &str,
        mode: Mode,
        span: &Range<usize>,
        path: &[Step],
        reporter: &mut Reporter<'_>,
    ) -> Option<String> {
        let mut out = String::with_capacity(text.len());
        let mut failed = false;
        for piece in pieces(text) {
            let kind = hidden(&piece);
            let result = match piece {
                Piece::Text(text) => {
                    out.push_str(text);
                    continue;
                }
                Piece::Escape => {
                    out.push_str(if mode == Mode::Template { "$${" } else { "${" });
                    continue;
                }
                Piece::Unclosed(rest) => Err(Some(Problem {
                    reference: rest.lines().next().unwrap_or(rest).to_owned(),
                    message: "the reference is not closed".to_owned(),
                    help: Some("add `}`, or write `$${` for a literal `${`".to_owned()),
                })),
                Piece::Reference(reference) => self.value(&reference, mode),
            };
            match result {
                Ok(Filled::Value(value)) if mode == Mode::Template => append_literal(&mut out, &value),
                Ok(Filled::Value(value)) => out.push_str(&value),
                Ok(Filled::Later(text)) => out.push_str(&text),
                Err(problem) => {
                    failed = true;
                    if let Some(Problem { reference, message, help }) = problem {
                        let (message, help) = match (reporter.shows(), kind) {
                            (true, _) => (message, help),
                            (false, Some(instead)) => instead,
                            // The line is not shown, so the message names what it is about.
                            (false, None) if !message.contains(&reference) => {
                                (format!("`{reference}`: {message}"), help)
                            }
                            (false, None) => (message, help),
                        };
                        let source = reporter.source(span);
                        let start = span.start + source.find(&reference).unwrap_or(0);
                        let width = if source.contains(&reference) { reference.len() } else { source.len() };
                        reporter.report(start..start + width, &show(path), message, help);
                    }
                    if reporter.is_full() {
                        return None;
                    }
                }
            }
            if out.len() > MAX_TEXT {
                let message = format!("the text is larger than {} when it is filled in", mib(MAX_TEXT));
                reporter.report(span.clone(), &show(path), message, None);
                return None;
            }
        }
        let before = self.filled.get();
        self.filled.set(before + out.len());
        if self.filled.get() > MAX_FILLED {
            if before <= MAX_FILLED {
                let message = format!(
                    "the texts of the manifest are larger than {} in all when they are filled in",
                    mib(MAX_FILLED)
                );
                reporter.report(span.clone(), &show(path), message, None);
            }
            return None;
        }
        (!failed).then_some(out)
    }

    fn value(&self, reference: &Reference<'_>, mode: Mode) -> Result<Filled, Option<Problem>> {
        let Reference { text, namespace, name } = *reference;
        let refuse =
            |message: String, help: Option<String>| Err(Some(Problem { reference: text.to_owned(), message, help }));
        match namespace {
            "var" => match self.vars.get(name) {
                Some(value) => value.clone().map(Filled::Value).ok_or(None),
                None => {
                    let help = suggest(name, "variables", self.vars.keys().map(String::as_str));
                    refuse(format!("there is no variable `{name}`"), help)
                }
            },
            "env" => {
                let (name, default) = name.split_once(":-").map_or((name, None), |(name, value)| (name, Some(value)));
                let set = self.options.process_env.get(name).filter(|value| default.is_none() || !value.is_empty());
                match set.map(String::as_str).or(default) {
                    Some(value) => Ok(Filled::Value(value.to_owned())),
                    None => {
                        let help = format!("set it, or give a default: `${{env.{name}:-default}}`");
                        refuse(format!("the environment variable `{name}` is not set"), Some(help))
                    }
                }
            }
            "git" if git::NAMES.contains(&name) => match self.git.get(name) {
                Ok(value) => Ok(Filled::Value(value)),
                Err(why) => refuse(format!("`{text}` has no value: {why}"), None),
            },
            "git" => refuse(format!("there is no `{text}`"), suggest(name, "names", git::NAMES.iter().copied())),
            "secret" if !self.secrets.contains(name) => {
                let help = suggest(name, "secrets", self.secrets.iter().map(String::as_str));
                refuse(format!("there is no secret `{name}`"), help)
            }
            _ if reference.late().is_some() && mode == Mode::Template => Ok(Filled::Later(text.to_owned())),
            _ if reference.late().is_some() => refuse(
                format!("`{text}` cannot stand here"),
                Some(match namespace {
                    "secret" => {
                        "a secret can stand in `secret_env` of a step, in `[config.env]`, in headers of the health check, \
                                 and in user data files with `interpolate = true`"
                            .to_owned()
                    }
                    _ => "it is known only when a release is made: it can stand in `[config.env]`, in headers of the health \
                          check, and in user data files with `interpolate = true`"
                        .to_owned(),
                }),
            ),
            _ if NAMESPACES.contains(&namespace) => {
                let known = LATE.iter().filter(|(space, _)| *space == namespace).map(|(_, name)| *name);
                refuse(format!("there is no `{text}`"), suggest(name, "names", known))
            }
            _ => {
                let help = suggest(namespace, "kinds", NAMESPACES.iter().copied());
                let help = help.map(|help| format!("{help} `$${{` stands for a literal `${{`"));
                refuse(
                    format!("`{namespace}` is not a kind of reference; there are {}", list(NAMESPACES.iter().copied())),
                    help,
                )
            }
        }
    }
}

/// What is said of a reference in a file whose text must not be shown; `None` where it is a plain name, which may be said.
fn hidden(piece: &Piece<'_>) -> Option<(String, Option<String>)> {
    let plain = |name: &str| name.len() <= 64 && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let message = match piece {
        Piece::Reference(Reference { namespace, name, .. }) if NAMESPACES.contains(namespace) && plain(name) => {
            return None;
        }
        Piece::Reference(Reference { namespace, .. }) if NAMESPACES.contains(namespace) => {
            format!("this `${{{namespace}.…}}` has no value")
        }
        Piece::Reference(_) => {
            format!("this is not a kind of reference; there are {}", list(NAMESPACES.iter().copied()))
        }
        _ => "this reference is not closed".to_owned(),
    };
    Some((message, None))
}

enum Filled {
    Value(String),
    Later(String),
}

/// Appends a value so that no reference comes into being, not even together with what stands before it.
fn append_literal(out: &mut String, value: &str) {
    match value.strip_prefix('{') {
        Some(rest) if out.ends_with('$') => {
            out.push_str("${");
            out.push_str(&escape(rest));
        }
        _ => out.push_str(&escape(value)),
    }
}

/// The keys whose texts are filled in when a step is run or a release is made.
fn is_template(path: &[Step]) -> bool {
    match path {
        [Step::Key(config), Step::Key(env), Step::Key(_)] => config == "config" && env == "env",
        [Step::Key(health), Step::Key(check), Step::Key(http), Step::Key(headers), Step::Key(_)] => {
            health == "health" && check == "check" && http == "http" && headers == "headers"
        }
        // Those that are not secrets are refused by the checks, which know why.
        [Step::Key(image), Step::Key(provision), Step::Index(_), Step::Key(env), Step::Key(_)] => {
            image == "image" && provision == "provision" && env == "secret_env"
        }
        _ => false,
    }
}
