//! Reading words: quotes, parameters, substitutions.

use std::sync::Arc;

use super::{
    ast::{Change, Operator, Part, Word},
    parser::{Parser, SyntaxError},
};

/// What ends an unquoted word.
const BREAKS: &str = " \t\n;&|<>()";

impl Parser {
    /// Reads a word at this place; `None` if there is none.
    pub(super) fn word(&mut self) -> Result<Option<Word>, SyntaxError> {
        let mut parts = Vec::new();
        let mut seen = false;
        while let Some(c) = self.peek() {
            if BREAKS.contains(c) {
                break;
            }
            seen = true;
            match c {
                '\'' => {
                    self.next();
                    parts.push(Part::Text { text: self.until_quote()?, quoted: true });
                }
                '"' => {
                    self.next();
                    // An empty part keeps an empty word alive.
                    parts.push(Part::Text { text: String::new(), quoted: true });
                    self.quoted(&mut parts, Some('"'))?;
                }
                '\\' => {
                    self.next();
                    match self.next() {
                        Some('\n') => {}
                        Some(c) => parts.push(Part::Text { text: c.to_string(), quoted: true }),
                        None => parts.push(Part::Text { text: "\\".to_owned(), quoted: true }),
                    }
                }
                '$' => self.dollar(&mut parts, false)?,
                '`' => self.backquote(&mut parts, false)?,
                c => {
                    self.next();
                    push_text(&mut parts, c, false);
                }
            }
        }
        Ok(seen.then_some(Word(parts)))
    }

    fn until_quote(&mut self) -> Result<String, SyntaxError> {
        let text = self.take_while(|c| c != '\'');
        if self.next().is_some() { Ok(text) } else { Err(self.error("unterminated quoted string")) }
    }

    /// Reads what stands in double quotes (or a here-document) up to `end`, or to the end of the input.
    pub(super) fn quoted(&mut self, parts: &mut Vec<Part>, end: Option<char>) -> Result<(), SyntaxError> {
        loop {
            match self.peek() {
                None if end.is_none() => return Ok(()),
                None => return Err(self.error("unterminated quoted string")),
                c if c == end => {
                    self.next();
                    return Ok(());
                }
                Some('\\') => {
                    self.next();
                    match self.next() {
                        Some('\n') => {}
                        Some(c) if "$`\\".contains(c) || Some(c) == end => push_text(parts, c, true),
                        Some(c) => {
                            push_text(parts, '\\', true);
                            push_text(parts, c, true);
                        }
                        None => push_text(parts, '\\', true),
                    }
                }
                Some('$') => self.dollar(parts, true)?,
                Some('`') => self.backquote(parts, true)?,
                Some(c) => {
                    self.next();
                    push_text(parts, c, true);
                }
            }
        }
    }

    fn backquote(&mut self, parts: &mut Vec<Part>, quoted: bool) -> Result<(), SyntaxError> {
        self.next();
        let mut script = String::new();
        loop {
            match self.next() {
                None => return Err(self.error("unterminated backquote")),
                Some('`') => break,
                Some('\\') if self.peek().is_some_and(|c| "$`\\".contains(c)) => script.extend(self.next()),
                Some(c) => script.push(c),
            }
        }
        let list = self.nested(&script)?;
        parts.push(Part::Command { list: Arc::new(list), quoted });
        Ok(())
    }

    fn dollar(&mut self, parts: &mut Vec<Part>, quoted: bool) -> Result<(), SyntaxError> {
        self.deeper()?;
        self.dollar_inside(parts, quoted)?;
        self.depth -= 1;
        Ok(())
    }

    fn dollar_inside(&mut self, parts: &mut Vec<Part>, quoted: bool) -> Result<(), SyntaxError> {
        self.next();
        match self.peek() {
            Some('(') if self.peek_at(1) == Some('(') => {
                let (start, depth) = (self.at, self.depth);
                if let Some(word) = self.arithmetic()? {
                    parts.push(Part::Arithmetic { word });
                } else {
                    // `$((…) …)`: a subshell in a substitution after all.
                    (self.at, self.depth) = (start, depth);
                    self.substitution(parts, quoted)?;
                }
            }
            Some('(') => self.substitution(parts, quoted)?,
            Some('{') => self.braces(parts, quoted)?,
            Some(c) if c.is_ascii_alphabetic() || c == '_' => {
                let name = self.name();
                parts.push(Part::Parameter { name, change: None, quoted });
            }
            Some(c) if c.is_ascii_digit() || "@*#?$!-".contains(c) => {
                self.next();
                parts.push(Part::Parameter { name: c.to_string(), change: None, quoted });
            }
            _ => push_text(parts, '$', quoted),
        }
        Ok(())
    }

    fn substitution(&mut self, parts: &mut Vec<Part>, quoted: bool) -> Result<(), SyntaxError> {
        let list = Arc::new(self.parenthesized()?);
        parts.push(Part::Command { list, quoted });
        Ok(())
    }

    /// `((…))` after the dollar sign; `None` if it does not end with two parentheses.
    fn arithmetic(&mut self) -> Result<Option<Word>, SyntaxError> {
        self.next();
        self.next();
        let mut text = String::new();
        let mut depth = 0;
        loop {
            match self.next() {
                None => return Ok(None),
                Some('(') => {
                    depth += 1;
                    text.push('(');
                }
                Some(')') if depth == 0 => {
                    if self.next() != Some(')') {
                        return Ok(None);
                    }
                    return self.nested_text(&text).map(Some);
                }
                Some(')') => {
                    depth -= 1;
                    text.push(')');
                }
                Some(c) => text.push(c),
            }
        }
    }

    fn name(&mut self) -> String {
        self.take_while(|c| c.is_ascii_alphanumeric() || c == '_')
    }

    fn braces(&mut self, parts: &mut Vec<Part>, quoted: bool) -> Result<(), SyntaxError> {
        self.next();
        if self.peek() == Some('#') && self.peek_at(1) != Some('}') {
            self.next();
            let name = self.parameter_name()?;
            self.expect_brace()?;
            parts.push(Part::Length { name });
            return Ok(());
        }
        let name = self.parameter_name()?;
        let colon = self.peek() == Some(':');
        if colon {
            self.next();
        }
        let operator = match self.peek() {
            Some('}') if !colon => {
                self.next();
                parts.push(Part::Parameter { name, change: None, quoted });
                return Ok(());
            }
            Some('-') => Operator::Default,
            Some('=') => Operator::Assign,
            Some('?') => Operator::Error,
            Some('+') => Operator::Alternative,
            Some('#') if self.peek_at(1) == Some('#') => Operator::LongestPrefix,
            Some('#') => Operator::ShortestPrefix,
            Some('%') if self.peek_at(1) == Some('%') => Operator::LongestSuffix,
            Some('%') => Operator::ShortestSuffix,
            _ => return Err(self.error("Bad substitution")),
        };
        self.next();
        if matches!(operator, Operator::LongestPrefix | Operator::LongestSuffix) {
            self.next();
        }
        // The quotes around a `${name%pattern}` are not the pattern's own.
        let is_pattern =
            !matches!(operator, Operator::Default | Operator::Assign | Operator::Error | Operator::Alternative);
        let word = self.brace_word(quoted && !is_pattern)?;
        parts.push(Part::Parameter { name, change: Some(Change { operator, colon, word }), quoted });
        Ok(())
    }

    fn parameter_name(&mut self) -> Result<String, SyntaxError> {
        match self.peek() {
            Some(c) if c.is_ascii_alphabetic() || c == '_' => Ok(self.name()),
            Some(c) if c.is_ascii_digit() => Ok(self.take_while(|c| c.is_ascii_digit())),
            Some(c) if "@*#?$!-".contains(c) => {
                self.next();
                Ok(c.to_string())
            }
            _ => Err(self.error("Bad substitution")),
        }
    }

    fn expect_brace(&mut self) -> Result<(), SyntaxError> {
        if self.next() == Some('}') { Ok(()) } else { Err(self.error("Bad substitution")) }
    }

    fn brace_word(&mut self, quoted: bool) -> Result<Word, SyntaxError> {
        let mut parts = Vec::new();
        loop {
            match self.peek() {
                None => return Err(self.error("expecting \"}\"")),
                Some('}') => {
                    self.next();
                    return Ok(Word(parts));
                }
                Some('\'') if !quoted => {
                    self.next();
                    parts.push(Part::Text { text: self.until_quote()?, quoted: true });
                }
                Some('"') => {
                    self.next();
                    parts.push(Part::Text { text: String::new(), quoted: true });
                    self.quoted(&mut parts, Some('"'))?;
                }
                Some('\\') => {
                    self.next();
                    parts.extend(self.next().map(|c| Part::Text { text: c.to_string(), quoted: true }));
                }
                Some('$') => self.dollar(&mut parts, quoted)?,
                Some('`') => self.backquote(&mut parts, quoted)?,
                Some(c) => {
                    self.next();
                    push_text(&mut parts, c, quoted);
                }
            }
        }
    }
}

fn push_text(parts: &mut Vec<Part>, c: char, quoted: bool) {
    match parts.last_mut() {
        Some(Part::Text { text, quoted: same }) if *same == quoted => text.push(c),
        _ => parts.push(Part::Text { text: c.to_string(), quoted }),
    }
}
