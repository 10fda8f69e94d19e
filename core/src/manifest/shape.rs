//! Holds a tree against the schema and reports every key and type that does not fit, each at its line.
//!
//! serde stops at the first error, knows no places once a document was merged, and cannot refuse unknown keys together
//! with `flatten` and `tag`. So the shape is checked here first, against the schema that is made from the same types.

use std::{collections::BTreeMap, ops::Range};

use serde_json::Value as Json;

use super::{
    HumanDuration, Share,
    diagnostics::{Reporter, list, suggest},
    mend::Mends,
    resolved::Resolved,
    rollout, statuses,
    tree::{Node, Step, Value, show},
};

/// A walk over one tree.
#[derive(Debug)]
pub(crate) struct Shape<'r, 't> {
    reporter: &'r mut Reporter<'t>,
    path: Vec<Step>,
    /// References are not filled in yet, so texts that hold one are taken as they are.
    raw: bool,
    mends: Mends,
}

impl<'r, 't> Shape<'r, 't> {
    /// Checks a tree; `raw` when references in it are not filled in yet. What it gives makes the rest of the tree readable.
    pub(crate) fn check(
        node: &Node,
        schema: &'static Json,
        path: Vec<Step>,
        raw: bool,
        reporter: &'r mut Reporter<'t>,
    ) -> Mends {
        let mut walk = Self { reporter, path, raw, mends: Mends::default() };
        walk.node(node, schema);
        walk.mends
    }

    /// Reports that the node on this path is not what its schema says, and has it replaced.
    fn wrong(&mut self, span: Range<usize>, resolved: &Resolved, message: String, help: Option<String>) {
        self.mends.replace(&self.path, resolved, &span);
        self.reporter.report(span, &show(&self.path), message, help);
    }

    fn unknown(&mut self, key: &str, value: &Node, help: Option<String>) {
        self.reporter.report(value.head(), &show(&self.path), format!("unknown key `{key}`"), help);
        self.mends.remove(&self.path, key);
    }

    fn node(&mut self, node: &Node, schema: &'static Json) {
        let resolved = Resolved::new(schema);
        if let Some(alternatives) = resolved.alternatives() {
            return self.choose(node, &resolved, &alternatives);
        }
        let wanted = resolved.types();
        if wanted.is_empty() {
            return;
        }
        if !wanted.iter().any(|wanted| fits(node, wanted)) {
            let names: Vec<&str> = wanted.iter().map(|wanted| noun(wanted)).collect();
            let help = unquoted(node, &wanted);
            let expected = if resolved.duration { "a duration such as \"90s\"".to_owned() } else { names.join(" or ") };
            return self.wrong(
                node.span.clone(),
                &resolved,
                format!("expected {expected}, found {}", node.kind()),
                help,
            );
        }
        match &node.value {
            Value::Table(table) => self.table(node, table, &resolved),
            Value::Array(items) => {
                let Some(inner) = resolved.get("items") else { return };
                for (index, item) in items.iter().enumerate() {
                    self.below(Step::Index(index), |walk| walk.node(item, inner));
                }
            }
            Value::Leaf(leaf) => self.leaf(node, leaf, &resolved),
        }
    }

    fn below(&mut self, step: Step, check: impl FnOnce(&mut Self)) {
        self.path.push(step);
        check(self);
        self.path.pop();
    }

    fn table(&mut self, node: &Node, table: &BTreeMap<String, Node>, resolved: &Resolved) {
        let properties = resolved.properties();
        let others = resolved.get("additionalProperties");
        for (key, value) in table {
            match (properties.get(key.as_str()), others) {
                (Some(schema), _) => self.below(Step::Key(key.clone()), |walk| walk.node(value, schema)),
                (None, Some(schema @ Json::Object(_))) => {
                    self.below(Step::Key(key.clone()), |walk| walk.node(value, schema));
                }
                (None, Some(Json::Bool(true))) => {}
                _ => {
                    let help = suggest(key, "keys", properties.keys().copied());
                    self.unknown(key, value, help);
                }
            }
        }
        let missing: Vec<&str> = resolved.required().filter(|key| !table.contains_key(*key)).collect();
        if !missing.is_empty() {
            let noun = if missing.len() == 1 { "key" } else { "keys" };
            let help = missing.iter().find_map(|key| {
                let text = properties.get(key)?.get("description")?.as_str()?;
                Some(format!("`{key}`: {}", text.lines().next().unwrap_or(text)))
            });
            let message = format!("missing {noun} {}", list(missing.iter().copied()));
            self.reporter.report(node.head(), &show(&self.path), message, help);
            for key in missing {
                let Some(schema) = properties.get(key) else { continue };
                self.mends.add(&self.path, key, schema, &node.head());
            }
        }
    }

    fn leaf(&mut self, node: &Node, leaf: &toml::Value, resolved: &Resolved) {
        match leaf {
            toml::Value::Integer(number) => {
                let bound = |key| resolved.get(key).and_then(Json::as_i64);
                let least = bound("minimum").unwrap_or(i64::MIN);
                let unsigned = resolved.get("format").and_then(Json::as_str) == Some("uint32");
                let most = bound("maximum").unwrap_or(if unsigned { u32::MAX.into() } else { i64::MAX });
                if !(least..=most).contains(number) {
                    let message = format!("`{number}` is out of range: it must be between {least} and {most}");
                    self.wrong(node.span.clone(), resolved, message, None);
                }
            }
            toml::Value::String(text)
                if self.raw && text.contains("${") && (resolved.duration || resolved.get("format").is_some()) =>
            {
                self.mends.replace(&self.path, resolved, &node.span);
            }
            toml::Value::String(text) => {
                let problem = if resolved.duration {
                    text.parse::<HumanDuration>().err()
                } else {
                    match resolved.get("format").and_then(Json::as_str) {
                        Some("ip") => {
                            text.parse::<std::net::IpAddr>().err().map(|_| format!("`{text}` is not an IP address"))
                        }
                        Some(statuses::FORMAT) => text.parse::<statuses::Range>().err(),
                        Some(rollout::FORMAT) => text.parse::<Share>().err(),
                        _ => None,
                    }
                };
                if let Some(problem) = problem {
                    self.wrong(node.span.clone(), resolved, problem, None);
                }
            }
            _ => {}
        }
    }

    /// One of several shapes: an optional value, a choice by a `type` key, a word, or a table with one of several keys.
    fn choose(&mut self, node: &Node, resolved: &Resolved, alternatives: &[&'static Json]) {
        if let [only] = alternatives {
            return self.node(node, only);
        }
        let tags: Vec<(&str, &'static Json)> = alternatives
            .iter()
            .filter_map(|one| Some((one.get("properties")?.get("type")?.get("const")?.as_str()?, *one)))
            .collect();
        if !tags.is_empty() {
            return self.by_type(node, resolved, &tags);
        }
        let words: Vec<&str> = alternatives.iter().filter_map(|one| one.get("const")?.as_str()).collect();
        let keyed: Vec<(&str, &'static Json)> = alternatives
            .iter()
            .filter_map(|one| one.get("properties")?.as_object()?.iter().next())
            .map(|(key, schema)| (key.as_str(), schema))
            .collect();
        let keys = || keyed.iter().map(|(key, _)| *key);
        match &node.value {
            Value::Leaf(toml::Value::String(word)) if !words.is_empty() => {
                if self.raw && word.contains("${") {
                    self.mends.replace(&self.path, resolved, &node.span);
                } else if !words.contains(&word.as_str()) {
                    let help = suggest(word, "values", words.iter().copied());
                    self.wrong(node.span.clone(), resolved, format!("`{word}` is not a choice"), help);
                }
            }
            Value::Table(table) if !keyed.is_empty() => {
                for (key, value) in table {
                    match keyed.iter().find(|(name, _)| name == key) {
                        Some((_, schema)) => self.below(Step::Key(key.clone()), |walk| walk.node(value, schema)),
                        None => {
                            let help = suggest(key, "keys", keys());
                            self.unknown(key, value, help);
                            self.mends.replace(&self.path, resolved, &value.head());
                        }
                    }
                }
                if table.len() != 1 {
                    let message = format!("exactly one of {} is wanted, found {}", list(keys()), table.len());
                    self.wrong(node.head(), resolved, message, None);
                }
            }
            _ => {
                let mut wanted = Vec::new();
                if !words.is_empty() {
                    wanted.push(format!("one of {}", list(words.iter().copied())));
                }
                if !keyed.is_empty() {
                    wanted.push(format!("a table with one of {}", list(keys())));
                }
                let message = format!("expected {}, found {}", wanted.join(" or "), node.kind());
                self.wrong(node.span.clone(), resolved, message, None);
            }
        }
    }

    fn by_type(&mut self, node: &Node, resolved: &Resolved, tags: &[(&str, &'static Json)]) {
        let names = || tags.iter().map(|(name, _)| *name);
        let Some(table) = node.as_table() else {
            return self.wrong(node.span.clone(), resolved, format!("expected a table, found {}", node.kind()), None);
        };
        let (span, message, help) = match table.get("type") {
            None => {
                let help = format!("`type` is one of {}", list(names()));
                (node.head(), "missing key `type`".to_owned(), Some(help))
            }
            Some(chosen) => match chosen.as_str() {
                Some(word) => match tags.iter().find(|(name, _)| *name == word) {
                    Some((_, schema)) => return self.table(node, table, &Resolved::new(schema)),
                    None => {
                        let help = suggest(word, "types", names());
                        (chosen.span.clone(), format!("`{word}` is not a type of step"), help)
                    }
                },
                None => (chosen.span.clone(), format!("expected a string, found {}", chosen.kind()), None),
            },
        };
        self.wrong(span, resolved, message, help);
    }
}

fn fits(node: &Node, wanted: &str) -> bool {
    matches!(
        (&node.value, wanted),
        (Value::Table(_), "object")
            | (Value::Array(_), "array")
            | (Value::Leaf(toml::Value::String(_)), "string")
            | (Value::Leaf(toml::Value::Integer(_)), "integer" | "number")
            | (Value::Leaf(toml::Value::Float(_)), "number")
            | (Value::Leaf(toml::Value::Boolean(_)), "boolean")
    )
}

fn noun(wanted: &str) -> &'static str {
    match wanted {
        "object" => "a table",
        "array" => "an array",
        "string" => "a string",
        "integer" => "an integer",
        "number" => "a number",
        _ => "a boolean",
    }
}

/// A hint when only the quotes are wrong.
fn unquoted(node: &Node, wanted: &[&str]) -> Option<String> {
    match &node.value {
        Value::Leaf(toml::Value::String(text)) => {
            let bare = wanted.iter().any(|wanted| match *wanted {
                "integer" => text.parse::<i64>().is_ok(),
                "boolean" => text.parse::<bool>().is_ok(),
                _ => false,
            });
            bare.then(|| format!("write `{text}` without quotes"))
        }
        Value::Leaf(other) if wanted == ["string"] => Some(format!("write it in quotes: \"{other}\"")),
        _ => None,
    }
}
