//! Filters of lists: which items a client wants to see.
//!
//! The language of `filter` in Compute Engine's lists: comparisons (`=`, `!=`, `<`, `<=`, `>`, `>=`, `:`) of fields with
//! values, in which `*` stands for any text; `AND`, `OR`, `NOT` and parentheses, where two expressions side by side are
//! both meant and `OR` binds tighter than `AND`; and `eq` and `ne`, which match whole values with a regular expression.

use std::cmp::Ordering;

use regex::Regex;
use serde_json::Value;

use super::error::{Refusal, Result};

/// A filter, read.
#[derive(Debug)]
pub(super) enum Filter {
    /// All of them.
    And(Vec<Filter>),
    /// Any of them.
    Or(Vec<Filter>),
    /// Not this.
    Not(Box<Filter>),
    /// A field and what is said of it.
    Field(Vec<String>, Test),
}

/// What is said of a field.
#[derive(Debug)]
pub(super) enum Test {
    /// It is there, with whatever value.
    Present,
    /// Its text matches.
    Matches(Regex),
    /// Its text does not match, or it is not there.
    Differs(Regex),
    /// It is before or behind a value: the ordering, and whether equal ones are meant too.
    Compares(Ordering, bool, String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Open,
    Close,
    Operator(&'static str),
    Word(String),
    /// In quotes: never a keyword.
    Text(String),
}

impl Filter {
    /// Reads one; an empty text lets everything through.
    pub(super) fn parse(text: &str) -> Result<Self> {
        let refuse = || Refusal::invalid("filter", text, "Invalid list filter expression.");
        let tokens = tokens(text).ok_or_else(refuse)?;
        let mut parser = Parser { tokens, at: 0 };
        let filter = if parser.tokens.is_empty() { Some(Self::And(Vec::new())) } else { parser.all() };
        filter.filter(|_| parser.at == parser.tokens.len()).ok_or_else(refuse)
    }

    /// Whether an item, as the API shows it, is among what is wanted.
    pub(super) fn lets_through(&self, item: &Value) -> bool {
        match self {
            Self::And(all) => all.iter().all(|filter| filter.lets_through(item)),
            Self::Or(any) => any.iter().any(|filter| filter.lets_through(item)),
            Self::Not(filter) => !filter.lets_through(item),
            Self::Field(path, test) => {
                let mut values = Vec::new();
                collect(item, path, &mut values);
                match test {
                    Test::Present => !values.is_empty(),
                    Test::Matches(regex) => values.iter().any(|value| regex.is_match(value)),
                    Test::Differs(regex) => !values.iter().any(|value| regex.is_match(value)),
                    Test::Compares(wanted, equal, with) => values.iter().any(|value| {
                        let found = compare(value, with);
                        found == *wanted || (*equal && found == Ordering::Equal)
                    }),
                }
            }
        }
    }
}

/// The texts at a path; of a list, those of all its items.
fn collect(value: &Value, path: &[String], found: &mut Vec<String>) {
    match (value, path.split_first()) {
        (Value::Array(items), _) => items.iter().for_each(|item| collect(item, path, found)),
        (Value::Object(object), Some((first, rest))) => {
            if let Some(inner) = object.get(first) {
                collect(inner, rest, found);
            }
        }
        (Value::String(text), None) => found.push(text.clone()),
        (Value::Number(number), None) => found.push(number.to_string()),
        (Value::Bool(flag), None) => found.push(flag.to_string()),
        // Something is there, though it has no text of its own.
        (Value::Object(_), None) => found.push(String::new()),
        _ => {}
    }
}

/// Numbers by their value, everything else as text.
fn compare(one: &str, other: &str) -> Ordering {
    match (one.parse::<f64>(), other.parse::<f64>()) {
        (Ok(one), Ok(other)) => one.total_cmp(&other),
        _ => one.cmp(other),
    }
}

fn tokens(text: &str) -> Option<Vec<Token>> {
    const OPERATORS: [&str; 7] = ["!=", "<=", ">=", "=", "<", ">", ":"];
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let operator = OPERATORS.into_iter().find(|operator| rest.starts_with(operator));
        let used = match first {
            '(' => {
                tokens.push(Token::Open);
                1
            }
            ')' => {
                tokens.push(Token::Close);
                1
            }
            '"' | '\'' => {
                let inner = rest.get(1..)?;
                let end = inner.find(first)?;
                tokens.push(Token::Text(inner.get(..end)?.to_owned()));
                end + 2
            }
            _ => match operator {
                Some(operator) => {
                    tokens.push(Token::Operator(operator));
                    operator.len()
                }
                None => {
                    // A value may hold colons, as times and links do; a field's name may not.
                    let after_operator = matches!(tokens.last(), Some(Token::Operator(_)));
                    let ends = |c: char| c.is_whitespace() || "()=!<>\"'".contains(c) || (c == ':' && !after_operator);
                    let end = rest.find(ends).unwrap_or(rest.len());
                    if end == 0 {
                        return None;
                    }
                    tokens.push(Token::Word(rest.get(..end)?.to_owned()));
                    end
                }
            },
        };
        rest = rest.get(used..)?.trim_start();
    }
    Some(tokens)
}

struct Parser {
    tokens: Vec<Token>,
    at: usize,
}

impl Parser {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    fn next(&mut self) -> Option<Token> {
        let token = self.peek().cloned();
        self.at += 1;
        token
    }

    fn word(&mut self, wanted: &str) -> bool {
        let found = matches!(self.peek(), Some(Token::Word(word)) if word == wanted);
        self.at += usize::from(found);
        found
    }

    fn all(&mut self) -> Option<Filter> {
        let mut parts = vec![self.any()?];
        while !matches!(self.peek(), None | Some(Token::Close)) {
            self.word("AND");
            parts.push(self.any()?);
        }
        Some(Filter::And(parts))
    }

    fn any(&mut self) -> Option<Filter> {
        let mut parts = vec![self.one()?];
        while self.word("OR") {
            parts.push(self.one()?);
        }
        Some(Filter::Or(parts))
    }

    fn one(&mut self) -> Option<Filter> {
        if self.word("NOT") || self.word("-") {
            return Some(Filter::Not(Box::new(self.one()?)));
        }
        match self.next()? {
            Token::Open => {
                let inner = self.all()?;
                (self.next()? == Token::Close).then_some(inner)
            }
            Token::Word(word) => match word.strip_prefix('-') {
                Some(field) => Some(Filter::Not(Box::new(self.comparison(field)?))),
                None => self.comparison(&word),
            },
            _ => None,
        }
    }

    fn comparison(&mut self, field: &str) -> Option<Filter> {
        let path = field.split('.').map(str::to_owned).collect();
        let operator = match self.next()? {
            Token::Operator(operator) => operator,
            Token::Word(word) if word == "eq" => "eq",
            Token::Word(word) if word == "ne" => "ne",
            _ => return None,
        };
        let value = match self.next()? {
            Token::Word(value) | Token::Text(value) => value,
            _ => return None,
        };
        let test = match operator {
            ":" | "=" if value == "*" => Test::Present,
            "=" => Test::Matches(wildcard(&value, true)?),
            "!=" => Test::Differs(wildcard(&value, true)?),
            ":" => Test::Matches(wildcard(&value, false)?),
            "eq" => Test::Matches(Regex::new(&format!("^(?:{value})$")).ok()?),
            "ne" => Test::Differs(Regex::new(&format!("^(?:{value})$")).ok()?),
            "<" => Test::Compares(Ordering::Less, false, value),
            "<=" => Test::Compares(Ordering::Less, true, value),
            ">" => Test::Compares(Ordering::Greater, false, value),
            _ => Test::Compares(Ordering::Greater, true, value),
        };
        Some(Filter::Field(path, test))
    }
}

/// A text in which `*` stands for any, to be matched whole or anywhere.
fn wildcard(text: &str, whole: bool) -> Option<Regex> {
    let inner = regex::escape(text).replace("\\*", ".*");
    Regex::new(&if whole { format!("^(?s:{inner})$") } else { format!("(?is:{inner})") }).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn lets_through(filter: &str) -> bool {
        let item = json!({
            "name": "web-1",
            "status": "RUNNING",
            "labels": { "remint_service": "web", "n": "7" },
            "diskSizeGb": "10",
            "tags": { "items": ["http", "https"] },
            "creationTimestamp": "2026-11-25T10:00:00.000+00:00",
        });
        Filter::parse(filter).unwrap().lets_through(&item)
    }

    #[test]
    fn what_is_wanted_is_let_through() {
        for filter in [
            "",
            "name=web-1",
            "name = \"web-1\"",
            "name=web-*",
            "name eq web-.*",
            "name eq '.*-1'",
            "name ne db",
            "labels.remint_service=web",
            "labels.remint_service:*",
            "labels.remint_service = web AND labels.n = 7",
            "(labels.remint_service=web) (name=web-1)",
            "(labels.remint_service = \"web\") AND (status != \"TERMINATED\")",
            "name=db OR name=web-1",
            "NOT name=db",
            "-name=db",
            "diskSizeGb>9",
            "diskSizeGb<=10",
            "tags.items=http",
            "name:eb",
            "creationTimestamp > 2026-11-25T09:00:00.000+00:00",
            "labels.missing != x",
        ] {
            assert!(lets_through(filter), "{filter}");
        }
    }

    #[test]
    fn what_is_not_is_held_back() {
        for filter in [
            "name=web",
            "name eq web",
            "labels.remint_service=we",
            "labels.missing=web",
            "labels.missing:*",
            "labels.remint_service=web AND labels.n=8",
            "name=web-1 AND name=db OR name=cache",
            "diskSizeGb>10",
            "NOT (name=web-1)",
            "tags.items=ftp",
        ] {
            assert!(!lets_through(filter), "{filter}");
        }
    }

    #[test]
    fn what_is_no_filter_is_refused() {
        for filter in ["name", "name=", "=web", "(name=web", "name=web)", "name eq [", "a=b AND", "name='web", "a b c"]
        {
            assert_eq!(Filter::parse(filter).unwrap_err().reason, "invalid", "{filter}");
        }
    }
}
