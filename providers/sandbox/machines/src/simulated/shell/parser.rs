//! From a script's text to its commands: a hand-written parser without a separate lexer, since what a character means
//! in a shell depends on where it stands.

use std::sync::Arc;

use super::ast::{AndOr, Body, Command, Joint, List, Part, Pipeline, Redirect, Target, Word};

/// How deep commands may stand in one another.
const DEPTH: usize = 40;

/// Words that end a list where they stand first.
const RESERVED: [&str; 10] = ["then", "else", "elif", "fi", "do", "done", "esac", "}", "in", ";;"];

/// A script that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{line}: Syntax error: {message}")]
pub(super) struct SyntaxError {
    line: usize,
    message: String,
}

/// Reads a script.
pub(super) fn parse(script: &str) -> Result<List, SyntaxError> {
    let mut parser = Parser::new(script, 0);
    let list = parser.list(&[])?;
    match parser.peek() {
        None => Ok(list),
        Some(c) => Err(parser.error(&format!("\"{c}\" unexpected"))),
    }
}

/// A here-document that was announced on this line and begins on the next.
struct Here {
    end: String,
    literal: bool,
    tabs: bool,
}

/// The place in the script.
pub(super) struct Parser {
    characters: Vec<char>,
    pub(super) at: usize,
    pub(super) depth: usize,
    heres: Vec<Here>,
    /// How many characters of here-documents were cut out.
    cut: usize,
}

impl Parser {
    fn new(text: &str, depth: usize) -> Self {
        Self { characters: text.chars().collect(), at: 0, depth, heres: Vec::new(), cut: 0 }
    }

    pub(super) fn peek(&self) -> Option<char> {
        self.peek_at(0)
    }

    pub(super) fn peek_at(&self, ahead: usize) -> Option<char> {
        self.characters.get(self.at + ahead).copied()
    }

    pub(super) fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += 1;
        Some(c)
    }

    /// The characters from here on that are wanted.
    pub(super) fn take_while(&mut self, wanted: impl Fn(char) -> bool) -> String {
        let taken: Vec<char> = self.characters[self.at..].iter().copied().take_while(|c| wanted(*c)).collect();
        self.at += taken.len();
        taken.into_iter().collect()
    }

    /// Goes a level deeper, as far as it is allowed.
    pub(super) fn deeper(&mut self) -> Result<(), SyntaxError> {
        self.depth += 1;
        if self.depth > DEPTH { Err(self.error("too deeply nested")) } else { Ok(()) }
    }

    pub(super) fn error(&self, message: &str) -> SyntaxError {
        let line = 1 + self.characters[..self.at].iter().filter(|c| **c == '\n').count();
        SyntaxError { line, message: message.to_owned() }
    }

    /// Parses another text at this depth.
    pub(super) fn nested(&mut self, script: &str) -> Result<List, SyntaxError> {
        Self::new(script, self.depth + 1).list(&[])
    }

    /// Expands another text as double quotes do.
    pub(super) fn nested_text(&mut self, text: &str) -> Result<Word, SyntaxError> {
        let mut parts = Vec::new();
        Self::new(text, self.depth + 1).quoted(&mut parts, None)?;
        Ok(Word(parts))
    }

    /// Skips blanks, continued lines and a comment.
    fn blanks(&mut self) {
        loop {
            match self.peek() {
                Some(' ' | '\t') => self.at += 1,
                Some('\\') if self.peek_at(1) == Some('\n') => self.at += 2,
                Some('#') => _ = self.take_while(|c| c != '\n'),
                _ => return,
            }
        }
    }

    fn newlines(&mut self) {
        loop {
            self.blanks();
            if self.peek() != Some('\n') {
                return;
            }
            self.at += 1;
        }
    }

    fn starts(&self, text: &str) -> bool {
        text.chars().enumerate().all(|(index, c)| self.peek_at(index) == Some(c))
    }

    /// Whether a reserved word stands here by itself.
    fn at_word(&self, word: &str) -> bool {
        let after = self.peek_at(word.chars().count());
        self.starts(word) && after.is_none_or(|c| " \t\n;&|<>()".contains(c))
    }

    fn take_word(&mut self, word: &str) -> bool {
        self.blanks();
        let found = self.at_word(word);
        if found {
            self.at += word.chars().count();
        }
        found
    }

    fn expect(&mut self, word: &str) -> Result<(), SyntaxError> {
        self.newlines();
        if self.take_word(word) { Ok(()) } else { Err(self.error(&format!("expecting \"{word}\""))) }
    }

    /// Commands in parentheses, of which the first is here.
    pub(super) fn parenthesized(&mut self) -> Result<List, SyntaxError> {
        self.at += 1;
        let list = self.list(&[")"])?;
        if self.next() == Some(')') { Ok(list) } else { Err(self.error("expecting \")\"")) }
    }

    /// Commands up to one of `ends`, or the end.
    pub(super) fn list(&mut self, ends: &[&str]) -> Result<List, SyntaxError> {
        self.deeper()?;
        let mut list = Vec::new();
        loop {
            self.newlines();
            let Some(c) = self.peek() else { break };
            let closing = ends.contains(&")") && c == ')';
            if closing || ends.iter().any(|end| *end != ")" && (self.at_word(end) || *end == ";;" && self.starts(end)))
            {
                break;
            }
            if let Some(word) = RESERVED.iter().find(|word| self.at_word(word)) {
                return Err(self.error(&format!("\"{word}\" unexpected")));
            }
            let mut and_or = self.and_or()?;
            self.blanks();
            and_or.background = self.peek() == Some('&');
            list.push(Arc::new(and_or));
            match self.peek() {
                Some(';') if !self.starts(";;") => self.at += 1,
                Some('&') => self.at += 1,
                Some('\n') | None => {}
                Some(')') if ends.contains(&")") => {}
                Some(';') if ends.contains(&";;") => {}
                Some(c) => return Err(self.error(&format!("\"{c}\" unexpected"))),
            }
        }
        self.depth -= 1;
        Ok(list)
    }

    fn and_or(&mut self) -> Result<AndOr, SyntaxError> {
        let first = self.pipeline()?;
        let mut rest = Vec::new();
        loop {
            self.blanks();
            let joint = if self.starts("&&") {
                Joint::And
            } else if self.starts("||") {
                Joint::Or
            } else {
                return Ok(AndOr { first, rest, background: false });
            };
            self.at += 2;
            self.newlines();
            rest.push((joint, self.pipeline()?));
        }
    }

    fn pipeline(&mut self) -> Result<Pipeline, SyntaxError> {
        let negated = self.take_word("!");
        let mut commands = vec![self.command()?];
        loop {
            self.blanks();
            if self.peek() != Some('|') || self.starts("||") {
                return Ok(Pipeline { negated, commands });
            }
            self.at += 1;
            self.newlines();
            commands.push(self.command()?);
        }
    }

    fn command(&mut self) -> Result<Command, SyntaxError> {
        self.blanks();
        let mut redirects = Vec::new();
        let body = if self.peek() == Some('(') {
            Body::Subshell(self.parenthesized()?)
        } else if self.take_word("{") {
            let list = self.list(&["}"])?;
            self.expect("}")?;
            Body::Group(list)
        } else if self.take_word("if") {
            self.if_body()?
        } else if self.take_word("for") {
            self.for_body()?
        } else if self.take_word("while") {
            self.while_body(false)?
        } else if self.take_word("until") {
            self.while_body(true)?
        } else if self.take_word("case") {
            self.case_body()?
        } else {
            return self.simple();
        };
        while let Some(redirect) = self.redirect()? {
            redirects.push(redirect);
        }
        let mut command = Command { body, redirects };
        self.here_documents(&mut command)?;
        Ok(command)
    }

    fn if_body(&mut self) -> Result<Body, SyntaxError> {
        let mut branches = Vec::new();
        loop {
            let condition = self.list(&["then"])?;
            self.expect("then")?;
            let body = self.list(&["elif", "else", "fi"])?;
            branches.push((condition, body));
            if self.take_word("elif") {
                continue;
            }
            let otherwise = if self.take_word("else") { Some(self.list(&["fi"])?) } else { None };
            self.expect("fi")?;
            return Ok(Body::If { branches, otherwise });
        }
    }

    fn for_body(&mut self) -> Result<Body, SyntaxError> {
        self.blanks();
        let variable = self.plain_word()?;
        self.newlines();
        let words = if self.take_word("in") {
            let mut words = Vec::new();
            loop {
                self.blanks();
                match self.word()? {
                    Some(word) => words.push(word),
                    None => break Some(words),
                }
            }
        } else {
            None
        };
        self.blanks();
        if self.peek() == Some(';') {
            self.at += 1;
        }
        self.expect("do")?;
        let body = self.list(&["done"])?;
        self.expect("done")?;
        Ok(Body::For { variable, words, body })
    }

    fn while_body(&mut self, until: bool) -> Result<Body, SyntaxError> {
        let condition = self.list(&["do"])?;
        self.expect("do")?;
        let body = self.list(&["done"])?;
        self.expect("done")?;
        Ok(Body::While { condition, until, body })
    }

    fn case_body(&mut self) -> Result<Body, SyntaxError> {
        self.blanks();
        let word = self.word()?.ok_or_else(|| self.error("word expected"))?;
        self.expect("in")?;
        let mut arms = Vec::new();
        loop {
            self.newlines();
            if self.take_word("esac") {
                return Ok(Body::Case { word, arms });
            }
            if self.peek() == Some('(') {
                self.at += 1;
            }
            let mut patterns = Vec::new();
            loop {
                self.blanks();
                patterns.push(self.word()?.ok_or_else(|| self.error("pattern expected"))?);
                self.blanks();
                match self.next() {
                    Some('|') => {}
                    Some(')') => break,
                    _ => return Err(self.error("expecting \")\"")),
                }
            }
            let body = self.list(&[";;", "esac"])?;
            arms.push((patterns, body));
            if self.starts(";;") {
                self.at += 2;
            }
        }
    }

    fn plain_word(&mut self) -> Result<String, SyntaxError> {
        match self.word()?.map(|word| word.0).as_deref() {
            Some([Part::Text { text, quoted: false }]) => Ok(text.clone()),
            _ => Err(self.error("Bad name")),
        }
    }

    fn simple(&mut self) -> Result<Command, SyntaxError> {
        let (mut assignments, mut words, mut redirects) = (Vec::new(), Vec::<Word>::new(), Vec::new());
        loop {
            self.blanks();
            if let Some(redirect) = self.redirect()? {
                redirects.push(redirect);
                continue;
            }
            if words.len() == 1 && assignments.is_empty() && self.starts("()") {
                let [Part::Text { text: name, .. }] = words[0].0.as_slice() else {
                    return Err(self.error("Bad function name"));
                };
                let name = name.clone();
                let start = self.at + self.cut;
                self.at += 2;
                self.newlines();
                self.deeper()?;
                let body = Arc::new(self.command()?);
                self.depth -= 1;
                let size = (self.at + self.cut).saturating_sub(start);
                return Ok(Command { body: Body::Function { name, body, size }, redirects });
            }
            let Some(word) = self.word()? else { break };
            match words.is_empty().then(|| assignment(&word)).flatten() {
                Some(assignment) => assignments.push(assignment),
                None => words.push(word),
            }
        }
        if assignments.is_empty() && words.is_empty() && redirects.is_empty() {
            let what = self.peek().map_or("end of file".to_owned(), |c| format!("\"{c}\""));
            return Err(self.error(&format!("{what} unexpected")));
        }
        let mut command = Command { body: Body::Simple { assignments, words }, redirects };
        self.here_documents(&mut command)?;
        Ok(command)
    }

    fn redirect(&mut self) -> Result<Option<Redirect>, SyntaxError> {
        self.blanks();
        let digit = self.peek().and_then(|c| c.to_digit(10)).filter(|_| matches!(self.peek_at(1), Some('<' | '>')));
        let start = if digit.is_some() { 1 } else { 0 };
        let operator = match (self.peek_at(start), self.peek_at(start + 1)) {
            (Some('>'), Some('>')) => ">>",
            (Some('>'), Some('&')) => ">&",
            (Some('>'), Some('|')) => ">|",
            (Some('>'), _) => ">",
            (Some('<'), Some('<')) if self.peek_at(start + 2) == Some('<') => {
                return Err(self.error("redirection unexpected"));
            }
            (Some('<'), Some('<')) => "<<",
            (Some('<'), Some('&')) => "<&",
            (Some('<'), _) => "<",
            _ => return Ok(None),
        };
        self.at += start + operator.len();
        let fd = digit.unwrap_or(u32::from(operator.starts_with('>'))) as u8;
        if operator == "<<" {
            let tabs = self.peek() == Some('-');
            if tabs {
                self.at += 1;
            }
            self.blanks();
            let word = self.word()?.ok_or_else(|| self.error("word expected"))?;
            let literal = word.0.iter().any(|part| matches!(part, Part::Text { quoted: true, .. }));
            let end = word
                .0
                .iter()
                .filter_map(|part| if let Part::Text { text, .. } = part { Some(text.as_str()) } else { None });
            self.heres.push(Here { end: end.collect(), literal, tabs });
            return Ok(Some(Redirect { fd, target: Target::Here(Word::default()) }));
        }
        self.blanks();
        let word = self.word()?.ok_or_else(|| self.error("word expected"))?;
        let target = match operator {
            ">>" => Target::Append(word),
            ">&" | "<&" => Target::Duplicate(word),
            "<" => Target::Read(word),
            _ => Target::Write(word),
        };
        Ok(Some(Redirect { fd, target }))
    }

    /// Reads the bodies of the here-documents of a command. They stand after the end of the line; what follows the
    /// command on its own line is read later, so the bodies are cut out of the text here and skipped then.
    fn here_documents(&mut self, command: &mut Command) -> Result<(), SyntaxError> {
        if self.heres.is_empty() {
            return Ok(());
        }
        let resume = self.at;
        self.take_while(|c| c != '\n');
        self.next();
        let start = self.at;
        let mut bodies = Vec::new();
        for here in std::mem::take(&mut self.heres) {
            bodies.push(self.here_body(&here)?);
        }
        let mut bodies = bodies.into_iter();
        for redirect in &mut command.redirects {
            if let Target::Here(word) = &mut redirect.target {
                *word = bodies.next().unwrap_or_default();
            }
        }
        self.cut += self.at - start;
        self.characters.drain(start..self.at);
        self.at = resume;
        Ok(())
    }

    fn here_body(&mut self, here: &Here) -> Result<Word, SyntaxError> {
        let mut text = String::new();
        loop {
            let line = self.take_while(|c| c != '\n');
            let ended = self.next().is_some();
            let line = if here.tabs { line.trim_start_matches('\t') } else { &line };
            if line == here.end || (!ended && line.is_empty()) {
                break;
            }
            text.push_str(line);
            text.push('\n');
        }
        if here.literal {
            return Ok(Word(vec![Part::Text { text, quoted: true }]));
        }
        self.nested_text(&text)
    }
}

/// `NAME=value` at the beginning of a command.
fn assignment(word: &Word) -> Option<(String, Word)> {
    let Some(Part::Text { text, quoted: false }) = word.0.first() else { return None };
    let (name, value) = text.split_once('=')?;
    let mut characters = name.chars();
    let first = characters.next()?;
    if !(first.is_ascii_alphabetic() || first == '_') || !characters.all(|c| c.is_ascii_alphanumeric() || c == '_') {
        return None;
    }
    let mut parts = vec![Part::Text { text: value.to_owned(), quoted: false }];
    parts.extend(word.0[1..].iter().cloned());
    Some((name.to_owned(), Word(parts)))
}
