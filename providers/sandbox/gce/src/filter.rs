//! Filters of lists: which items a client wants to see.
//!
//! The language of `filter` in Compute Engine's lists: comparisons (`=`, `!=`, `<`, `<=`, `>`, `>=`, `:`) of fields with
//! values, in which `*` stands for any text; `AND`, `OR`, `NOT` and parentheses, where two expressions side by side are
//! both meant and `OR` binds tighter than `AND`; and `eq` and `ne`, which match whole values with a regular expression.

use std::cmp::Ordering;

use regex::{Regex, RegexBuilder};
use serde_json::Value;

use super::error::{Refusal, Result};

/// How long a filter may be, in bytes. Google's own limit is 2,048 characters.
const LONGEST: usize = 8192;

/// How deep parentheses and `NOT` may stand in one another.
const DEPTH: usize = 32;

/// How large a compiled expression may be, in bytes.
const EXPRESSION: usize = 256 << 10;

/// A filter, read.
#[derive(Debug)]
pub(super) enum Filter {
    And(Vec<Filter>),
    Or(Vec<Filter>),
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
    /// Reads one; an empty text lets everything through. One that is too long or too deeply nested is refused.
    pub(super) fn parse(text: &str) -> Result<Self> {
        if text.len() > LONGEST {
            let why = format!("A list filter may have {LONGEST} bytes, this one has {}.", text.len());
            return Err(Refusal::invalid(
                "filter",
                format_args!("{}...", text.chars().take(64).collect::<String>()),
                why,
            ));
        }
        let refuse = |why: &str| Refusal::invalid("filter", text, why);
        let wrong = || refuse("Invalid list filter expression.");
        let tokens = tokens(text).ok_or_else(wrong)?;
        let mut parser = Parser { tokens, at: 0, depth: 0 };
        let filter = if parser.tokens.is_empty() { Some(Self::And(Vec::new())) } else { parser.all() };
        if parser.depth > DEPTH {
            return Err(refuse("Invalid list filter expression: it is nested too deeply."));
        }
        filter.filter(|_| parser.at == parser.tokens.len()).ok_or_else(wrong)
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
    /// Above [`DEPTH`], reading has ended there.
    depth: usize,
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
        self.depth += 1;
        if self.depth > DEPTH {
            return None;
        }
        let filter = self.inside()?;
        self.depth -= 1;
        Some(filter)
    }

    fn inside(&mut self) -> Option<Filter> {
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
            "eq" => Test::Matches(expression(&format!("^(?:{value})$"))?),
            "ne" => Test::Differs(expression(&format!("^(?:{value})$"))?),
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
    expression(&if whole { format!("^(?s:{inner})$") } else { format!("(?is:{inner})") })
}

fn expression(text: &str) -> Option<Regex> {
    RegexBuilder::new(text).size_limit(EXPRESSION).build().ok()
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
    fn nesting_and_length_have_limits() {
        let nested = |depth: usize| format!("{}name=web-1{}", "(".repeat(depth), ")".repeat(depth));
        let negated = |depth: usize| format!("{}name=web-1", "NOT ".repeat(depth));
        assert!(lets_through(&nested(DEPTH - 1)) && lets_through(&negated(DEPTH - 2)));
        for filter in
            [nested(DEPTH), nested(800), "(".repeat(8000), negated(2000), "-".repeat(8000), "(a=b ".repeat(1600)]
        {
            let refusal = Filter::parse(&filter).unwrap_err();
            assert_eq!((refusal.code, refusal.reason), (400, "invalid"));
        }
        assert!(Filter::parse(&nested(800)).unwrap_err().message.contains("nested too deeply"));
        let long = format!("name={}", "x".repeat(LONGEST));
        assert!(Filter::parse(&long).unwrap_err().message.contains("may have 8192 bytes"));
        assert!(Filter::parse("name eq (((a{99}){99}){99})").is_err(), "an expression as large as that");
    }

    #[test]
    fn what_is_no_filter_is_refused() {
        for filter in ["name", "name=", "=web", "(name=web", "name=web)", "name eq [", "a=b AND", "name='web", "a b c"]
        {
            assert_eq!(Filter::parse(filter).unwrap_err().reason, "invalid", "{filter}");
        }
    }
}
