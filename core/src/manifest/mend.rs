//! Makes a manifest that is wrong readable, so that all that is wrong with it is found in one run: unknown keys are removed, and
//! what is missing or of the wrong type is replaced by a stand-in.
//!
//! A stand-in has the place of what was reported, and a place is reported once: so nothing is said about a stand-in itself.

use std::{collections::BTreeMap, ops::Range};

use serde_json::Value as Json;

use super::{
    resolved::Resolved,
    statuses,
    tree::{Node, Step, Value},
};

/// What has to be done to a tree that does not have its shape.
#[derive(Debug, Default)]
pub(crate) struct Mends {
    unknown: Vec<Vec<Step>>,
    stand_ins: Vec<(Vec<Step>, Node)>,
}

impl Mends {
    pub(super) fn remove(&mut self, path: &[Step], key: &str) {
        self.unknown.push(below(path, key));
    }

    pub(super) fn replace(&mut self, path: &[Step], resolved: &Resolved, span: &Range<usize>) {
        self.stand_ins.push((path.to_vec(), stand_in(resolved, span)));
    }

    /// A key that is missing; `span` is where that was reported.
    pub(super) fn add(&mut self, path: &[Step], key: &str, schema: &'static Json, span: &Range<usize>) {
        self.stand_ins.push((below(path, key), stand_in(&Resolved::new(schema), span)));
    }

    pub(crate) fn apply(self, root: &mut Node) {
        self.unknown.iter().for_each(|path| root.remove(path));
        self.stand_ins.into_iter().for_each(|(path, node)| root.put(&path, node));
    }
}

fn below(path: &[Step], key: &str) -> Vec<Step> {
    path.iter().cloned().chain([Step::Key(key.to_owned())]).collect()
}

/// The simplest value that a schema allows.
fn stand_in(resolved: &Resolved, span: &Range<usize>) -> Node {
    let node = |value| Node { key: None, span: span.clone(), value };
    let nested = |schema: &'static Json| stand_in(&Resolved::new(schema), span);
    if let Some(value) = resolved.get("default").or_else(|| resolved.get("const")) {
        return plain(value, span);
    }
    if let Some(first) = resolved.alternatives().as_deref().and_then(<[_]>::first) {
        return nested(first);
    }
    let string = |text: &str| node(Value::Leaf(toml::Value::String(text.to_owned())));
    match resolved.types().first().copied() {
        Some("object") => {
            let properties = resolved.properties();
            let keys = resolved.required().filter_map(|key| Some((key.to_owned(), nested(properties.get(key)?))));
            node(Value::Table(keys.collect()))
        }
        Some("array") => node(Value::Array(Vec::new())),
        Some("integer") => {
            let least = resolved.get("minimum").and_then(Json::as_i64).unwrap_or(0);
            node(Value::Leaf(toml::Value::Integer(least.max(1))))
        }
        Some("number") => node(Value::Leaf(toml::Value::Float(1.0))),
        Some("boolean") => node(Value::Leaf(toml::Value::Boolean(false))),
        _ if resolved.duration => string("1s"),
        _ => match resolved.get("format").and_then(Json::as_str) {
            Some("ip") => string("127.0.0.1"),
            Some(statuses::FORMAT) => string("200"),
            _ => string("x"),
        },
    }
}

/// A value of a schema as a node of a tree.
fn plain(value: &Json, span: &Range<usize>) -> Node {
    let value = match value {
        Json::Object(object) => Value::Table(
            object.iter().map(|(key, inner)| (key.clone(), plain(inner, span))).collect::<BTreeMap<_, _>>(),
        ),
        Json::Array(items) => Value::Array(items.iter().map(|item| plain(item, span)).collect()),
        Json::Bool(value) => Value::Leaf(toml::Value::Boolean(*value)),
        Json::Number(number) => Value::Leaf(match number.as_i64() {
            Some(whole) => toml::Value::Integer(whole),
            None => toml::Value::Float(number.as_f64().unwrap_or_default()),
        }),
        Json::String(text) => Value::Leaf(toml::Value::String(text.clone())),
        Json::Null => Value::Leaf(toml::Value::String(String::new())),
    };
    Node { key: None, span: span.clone(), value }
}
