//! A manifest as a tree whose every value knows where it was written, so that a value that came from an environment is
//! reported at its line there.

use std::{collections::BTreeMap, ops::Range};

use toml::de::{DeTable, DeValue};

use super::limits::MAX_DEPTH;

/// A value and where it stands.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    /// Where its key stands; `None` for an element of an array and the root.
    pub(crate) key: Option<Range<usize>>,
    /// Where the value stands.
    pub(crate) span: Range<usize>,
    pub(crate) value: Value,
}

#[derive(Debug, Clone)]
pub(crate) enum Value {
    Table(BTreeMap<String, Node>),
    Array(Vec<Node>),
    Leaf(toml::Value),
}

impl Node {
    /// Reads a document, and tells where it is nested deeper than [`MAX_DEPTH`]; what is deeper is left out. Each error
    /// has a message and a place.
    pub(crate) fn parse(text: &str) -> Result<(Self, Option<Range<usize>>), Vec<toml::de::Error>> {
        let (document, errors) = DeTable::parse_recoverable(text);
        if !errors.is_empty() {
            return Err(errors);
        }
        let mut deep = None;
        let value = table(document.get_ref(), 1, &mut deep);
        Ok((Self { key: None, span: 0..0, value }, deep))
    }

    /// What it is, as an English noun with its article.
    pub(crate) fn kind(&self) -> &'static str {
        match &self.value {
            Value::Table(_) => "a table",
            Value::Array(_) => "an array",
            Value::Leaf(toml::Value::String(_)) => "a string",
            Value::Leaf(toml::Value::Integer(_)) => "an integer",
            Value::Leaf(toml::Value::Float(_)) => "a float",
            Value::Leaf(toml::Value::Boolean(_)) => "a boolean",
            Value::Leaf(_) => "a date or time",
        }
    }

    pub(crate) fn as_table(&self) -> Option<&BTreeMap<String, Node>> {
        match &self.value {
            Value::Table(table) => Some(table),
            _ => None,
        }
    }

    pub(crate) fn as_str(&self) -> Option<&str> {
        match &self.value {
            Value::Leaf(toml::Value::String(text)) => Some(text),
            _ => None,
        }
    }

    /// The place to show for the node as a whole: its key, else the value.
    pub(crate) fn head(&self) -> Range<usize> {
        self.key.clone().unwrap_or_else(|| self.span.clone())
    }

    /// The deepest node on a path that exists: of a key that is missing, the table it is missing in.
    pub(crate) fn find(&self, path: &[Step]) -> &Self {
        let Some((first, rest)) = path.split_first() else { return self };
        let child = match (&self.value, first) {
            (Value::Table(table), Step::Key(key)) => table.get(key),
            (Value::Array(array), Step::Index(index)) => array.get(*index),
            _ => None,
        };
        child.map_or(self, |child| child.find(rest))
    }

    /// Takes away what is at a path, if anything is.
    pub(crate) fn remove(&mut self, path: &[Step]) {
        match (&mut self.value, path) {
            (Value::Table(table), [Step::Key(key)]) => drop(table.remove(key)),
            (Value::Table(table), [Step::Key(key), rest @ ..]) => {
                if let Some(child) = table.get_mut(key) {
                    child.remove(rest);
                }
            }
            (Value::Array(array), [Step::Index(index), rest @ ..]) if !rest.is_empty() => {
                if let Some(child) = array.get_mut(*index) {
                    child.remove(rest);
                }
            }
            _ => {}
        }
    }

    /// Puts a node where a path leads, whether something is there or not. Of a path through what does not exist, nothing is done.
    pub(crate) fn put(&mut self, path: &[Step], node: Self) {
        match (&mut self.value, path) {
            (_, []) => *self = node,
            (Value::Table(table), [Step::Key(key)]) => drop(table.insert(key.clone(), node)),
            (Value::Table(table), [Step::Key(key), rest @ ..]) => {
                if let Some(child) = table.get_mut(key) {
                    child.put(rest, node);
                }
            }
            (Value::Array(array), [Step::Index(index), rest @ ..]) => {
                if let Some(child) = array.get_mut(*index) {
                    child.put(rest, node);
                }
            }
            _ => {}
        }
    }

    /// The plain value.
    pub(crate) fn to_toml(&self) -> toml::Value {
        match &self.value {
            Value::Table(table) => {
                toml::Value::Table(table.iter().map(|(key, node)| (key.clone(), node.to_toml())).collect())
            }
            Value::Array(array) => toml::Value::Array(array.iter().map(Self::to_toml).collect()),
            Value::Leaf(leaf) => leaf.clone(),
        }
    }

    /// Lays another tree over this one: tables are merged key by key, everything else is replaced.
    ///
    /// `is_choice` names the tables that hold one of several keys (`health.check`, a secret's source): when the other
    /// tree chooses another key there, its choice replaces this one's.
    pub(crate) fn overlay(&mut self, other: Self, path: &mut Vec<String>, is_choice: &dyn Fn(&[String]) -> bool) {
        match (&mut self.value, other.value) {
            (Value::Table(base), Value::Table(over)) => {
                if is_choice(path) && !over.keys().all(|key| base.contains_key(key)) {
                    base.clear();
                }
                for (key, node) in over {
                    match base.get_mut(&key) {
                        Some(existing) => {
                            path.push(key);
                            existing.overlay(node, path, is_choice);
                            path.pop();
                        }
                        None => {
                            base.insert(key, node);
                        }
                    }
                }
            }
            (_, value) => *self = Self { key: other.key, span: other.span, value },
        }
    }
}

/// One step of a path into a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    Key(String),
    Index(usize),
}

/// Writes a path as people read it: `image.provision[0].env`.
pub(crate) fn show(path: &[Step]) -> String {
    let mut out = String::new();
    for step in path {
        match step {
            Step::Index(index) => out += &format!("[{index}]"),
            Step::Key(key) => {
                if !out.is_empty() {
                    out.push('.');
                }
                let bare = key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-') && !key.is_empty();
                out += &if bare { key.clone() } else { format!("{key:?}") };
            }
        }
    }
    out
}

fn table(table: &DeTable<'_>, depth: usize, deep: &mut Option<Range<usize>>) -> Value {
    let entries = table.iter().map(|(key, value)| {
        let inner = convert(value.get_ref(), &value.span(), depth, deep);
        (key.get_ref().to_string(), Node { key: Some(key.span()), span: value.span(), value: inner })
    });
    Value::Table(entries.collect())
}

/// A value within `depth` others; where it is too deep, its place is noted, and what is in it left out.
fn convert(value: &DeValue<'_>, span: &Range<usize>, depth: usize, deep: &mut Option<Range<usize>>) -> Value {
    if depth > MAX_DEPTH && matches!(value, DeValue::Array(_) | DeValue::Table(_)) {
        deep.get_or_insert_with(|| span.clone());
        return Value::Array(Vec::new());
    }
    match value {
        DeValue::String(text) => Value::Leaf(toml::Value::String(text.to_string())),
        // A number that does not fit is handed on as text, and refused as being of the wrong type.
        DeValue::Integer(number) => Value::Leaf(
            i64::from_str_radix(number.as_str(), number.radix())
                .map_or_else(|_| toml::Value::String(number.as_str().to_owned()), toml::Value::Integer),
        ),
        DeValue::Float(number) => Value::Leaf(
            number
                .as_str()
                .parse()
                .map_or_else(|_| toml::Value::String(number.as_str().to_owned()), toml::Value::Float),
        ),
        DeValue::Boolean(value) => Value::Leaf(toml::Value::Boolean(*value)),
        DeValue::Datetime(value) => Value::Leaf(toml::Value::Datetime(*value)),
        DeValue::Array(array) => Value::Array(
            array
                .iter()
                .map(|item| {
                    let value = convert(item.get_ref(), &item.span(), depth + 1, deep);
                    Node { key: None, span: item.span(), value }
                })
                .collect(),
        ),
        DeValue::Table(inner) => table(inner, depth + 1, deep),
    }
}
