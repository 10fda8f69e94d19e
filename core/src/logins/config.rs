//! OpenSSH's configuration: what `sshd -T` prints, and what stands in the files.

use std::collections::{BTreeMap, BTreeSet};

/// What `sshd -T` prints: keywords in lower case with their values.
#[derive(Debug, Clone, Default)]
pub(super) struct Settings {
    /// The user that it is for; empty where it is for nobody in particular.
    pub(super) user: String,
    values: BTreeMap<String, Vec<String>>,
}

impl Settings {
    pub(super) fn parse<S: AsRef<str>>(user: String, lines: &[S]) -> Self {
        let mut values: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for line in lines {
            let (keyword, value) = line.as_ref().trim().split_once(' ').unwrap_or((line.as_ref().trim(), ""));
            values.entry(keyword.to_ascii_lowercase()).or_default().push(value.trim().to_owned());
        }
        Self { user, values }
    }

    /// All values of a keyword.
    pub(super) fn all(&self, keyword: &str) -> &[String] {
        self.values.get(keyword).map_or(&[], Vec::as_slice)
    }

    /// The words of all values of a keyword.
    pub(super) fn words(&self, keyword: &str) -> impl Iterator<Item = &str> {
        self.all(keyword).iter().flat_map(|value| value.split_whitespace())
    }

    /// The items of all comma-separated values of a keyword.
    pub(super) fn items(&self, keyword: &str) -> impl Iterator<Item = &str> {
        self.words(keyword).flat_map(|word| word.split(','))
    }

    pub(super) fn is(&self, keyword: &str, value: &str) -> bool {
        self.all(keyword).iter().any(|found| found.eq_ignore_ascii_case(value))
    }

    /// Its keywords and values, one by one.
    pub(super) fn each(&self) -> impl Iterator<Item = (&str, &str)> {
        self.values.iter().flat_map(|(keyword, values)| values.iter().map(|value| (keyword.as_str(), value.as_str())))
    }
}

/// A line of a configuration file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Directive {
    /// In lower case.
    pub(super) keyword: String,
    /// The rest, without quotes.
    pub(super) value: String,
    /// Where it stands: the block.
    pub(super) block: String,
}

impl Directive {
    pub(super) fn words(&self) -> impl Iterator<Item = &str> {
        self.value.split_whitespace()
    }
}

/// A keyword and its words, as OpenSSH reads a line: `Keyword value`, `Keyword=value`, `Keyword "a value"`.
fn line(text: &str) -> Option<(String, Vec<String>)> {
    let text = text.trim_matches([' ', '\t', '\r', '\u{c}']);
    if text.is_empty() || text.starts_with('#') {
        return None;
    }
    let text = text.strip_prefix('"').map_or_else(|| text.to_owned(), |rest| rest.replacen('"', " ", 1));
    let end = text.find([' ', '\t', '=']).unwrap_or(text.len());
    let (keyword, rest) = text.split_at(end);
    let rest = rest.trim_start_matches([' ', '\t']);
    let rest = rest.strip_prefix('=').unwrap_or(rest);
    let (mut words, mut word, mut quoted, mut started) = (Vec::new(), String::new(), None, false);
    for character in rest.chars() {
        match (character, quoted) {
            (quote, Some(open)) if quote == open => quoted = None,
            (quote @ ('"' | '\''), None) => {
                quoted = Some(quote);
                started = true;
            }
            ('#', None) if !started && word.is_empty() => break,
            (' ' | '\t', None) => {
                if started || !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
                started = false;
            }
            (other, _) => word.push(other),
        }
    }
    if started || !word.is_empty() {
        words.push(word);
    }
    Some((keyword.to_ascii_lowercase(), words))
}

/// A configuration file with what it includes.
#[derive(Debug)]
pub(super) struct Text {
    main: String,
    /// The files of each pattern that was asked for.
    patterns: BTreeMap<String, Vec<(String, String)>>,
}

impl Text {
    pub(super) fn new(main: &str) -> Self {
        Self { main: main.to_owned(), patterns: BTreeMap::new() }
    }

    pub(super) fn len(&self) -> usize {
        self.patterns.values().map(Vec::len).sum()
    }

    pub(super) fn add(&mut self, pattern: String, files: Vec<(String, String)>) {
        self.patterns.insert(pattern, files);
    }

    /// The patterns that are named and were not asked for yet.
    pub(super) fn missing(&self) -> Vec<String> {
        let mut named = BTreeSet::from([self.main.clone()]);
        for (_, text) in self.patterns.values().flatten() {
            for (keyword, words) in text.lines().filter_map(line) {
                if keyword == "include" {
                    named.extend(words.iter().map(|word| absolute(word)));
                }
            }
        }
        named.into_iter().filter(|pattern| !self.patterns.contains_key(pattern)).collect()
    }

    /// Every line that applies to some connections only.
    pub(super) fn matched(&self) -> Vec<Directive> {
        let mut found = Vec::new();
        self.walk(&self.main, &mut None, 0, &mut found);
        found
    }

    fn walk(&self, pattern: &str, block: &mut Option<String>, depth: usize, found: &mut Vec<Directive>) {
        if depth > DEPTH {
            return;
        }
        for (_, text) in self.patterns.get(pattern).into_iter().flatten() {
            // A block that an included file begins ends with that file.
            let outer = block.clone();
            for (keyword, words) in text.lines().filter_map(line) {
                match keyword.as_str() {
                    "match" => *block = Some(format!("Match {}", words.join(" "))),
                    "include" => {
                        for word in &words {
                            self.walk(&absolute(word), block, depth + 1, found);
                        }
                    }
                    _ => found.extend(block.as_ref().map(|block| Directive {
                        keyword: keyword.clone(),
                        value: words.join(" "),
                        block: block.clone(),
                    })),
                }
            }
            if depth > 0 {
                *block = outer;
            }
        }
    }
}

const DEPTH: usize = 16;

fn absolute(pattern: &str) -> String {
    if pattern.starts_with('/') { pattern.to_owned() } else { format!("/etc/ssh/{pattern}") }
}

/// The arguments of a server that listens, for `sshd -T`, from its title: `sshd: /usr/sbin/sshd -D -f FILE [listener] …`.
/// `None` for a process that serves one connection.
pub(super) fn listener_arguments(title: &str) -> Option<Vec<String>> {
    let title = match title.strip_prefix("sshd: ") {
        Some(rest) => rest.split_once(" [listener]")?.0,
        None => title,
    };
    let mut words = title.split_whitespace();
    words.next().filter(|program| program.starts_with('/') || *program == "sshd")?;
    let mut arguments: Vec<String> = Vec::new();
    let mut takes_more = false;
    for word in words {
        let flag = word.strip_prefix('-').filter(|rest| rest.starts_with(|c: char| c.is_ascii_alphabetic()));
        match flag {
            Some(flag) => {
                takes_more = false;
                // These take a value; others say how the process runs, and nothing of who may log in.
                let (letter, value) = flag.split_at(1);
                if "fophcu".contains(letter) {
                    arguments.push(format!("-{letter}"));
                    if value.is_empty() {
                        takes_more = letter == "o";
                        arguments.push(String::new());
                    } else {
                        arguments.push(value.to_owned());
                    }
                }
            }
            // A value; one of `-o` may have several words, whose quotes the title does not show.
            None => {
                if let Some(value) = arguments.last_mut()
                    && (value.is_empty() || takes_more)
                {
                    if !value.is_empty() {
                        value.push(' ');
                    }
                    value.push_str(word);
                }
            }
        }
    }
    Some(arguments)
}
