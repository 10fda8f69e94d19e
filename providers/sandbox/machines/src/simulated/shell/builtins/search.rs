//! Commands that look for something: `ls`, `find`, `grep`, `sed`.

use regex::{Regex, RegexBuilder};

use super::super::{
    flags::Words,
    limits::HELD,
    pattern::{marked, matches},
    work::Work,
};
use crate::simulated::disk::{Kind, Node, basename, join, lock};

/// How large a compiled expression may be, in bytes.
const EXPRESSION: usize = 256 << 10;

fn describe(node: &Node, name: &str) -> String {
    let kind = match node.kind {
        Kind::Directory => 'd',
        Kind::File(_) => '-',
        Kind::Symlink(_) => 'l',
    };
    let bits: String =
        (0..9).rev().map(|bit| if node.mode >> bit & 1 == 0 { '-' } else { ['x', 'w', 'r'][bit % 3] }).collect();
    let target = if let Kind::Symlink(target) = &node.kind { format!(" -> {target}") } else { String::new() };
    format!("{kind}{bits} 1 {} {} {} {} {name}{target}", node.owner, node.group, node.size(), node.mtime)
}

pub(super) fn ls(work: &mut Work<'_>, words: Words) {
    let mut operands = words.operands.clone();
    if operands.is_empty() {
        operands.push(".".to_owned());
    }
    let many = operands.len() > 1;
    for operand in operands {
        let path = work.path(&operand);
        let found = {
            let disk = lock(work.disk);
            let node = disk.get_link(&path).cloned();
            node.map(|node| {
                let names = if disk.is_dir(&path) && !words.has("d") { disk.list(&path).ok() } else { None };
                let entries = names.map(|names| {
                    let shown = names.into_iter().filter(|name| words.has("a A") || !name.starts_with('.'));
                    shown
                        .filter_map(|name| Some((disk.get_link(&join(&path, &name)).ok()?.clone(), name)))
                        .collect::<Vec<_>>()
                });
                (node, entries)
            })
        };
        match found {
            Err(error) => {
                work.fail_with(2, format!("cannot access '{operand}': {error}"));
            }
            Ok((node, None)) => work.line(&if words.has("l") { describe(&node, &operand) } else { operand }),
            Ok((_, Some(entries))) => {
                if many {
                    work.line(&format!("{operand}:"));
                }
                for (node, name) in entries {
                    work.line(&if words.has("l") { describe(&node, &name) } else { name });
                }
            }
        }
    }
}

pub(super) fn find(work: &mut Work<'_>, _: Words) {
    let tests = work
        .arguments
        .iter()
        .position(|argument| argument.starts_with(['-', '(', '!']))
        .unwrap_or(work.arguments.len());
    let (roots, tests) = work.arguments.split_at(tests);
    let roots = if roots.is_empty() { vec![".".to_owned()] } else { roots.to_vec() };
    for root in roots {
        let start = work.path(&root);
        let nodes: Vec<(String, Node)> = {
            let disk = lock(work.disk);
            let prefix = join(&start, "");
            disk.nodes()
                .filter(|(path, _)| *path == start || path.starts_with(&prefix))
                .map(|(path, node)| (path.to_owned(), node.clone()))
                .collect()
        };
        if nodes.is_empty() {
            work.fail(format!("'{root}': No such file or directory"));
        }
        // Children before their folders where they are deleted.
        let ordered: Vec<_> =
            if tests.iter().any(|test| test == "-delete") { nodes.into_iter().rev().collect() } else { nodes };
        for (path, node) in ordered {
            let shown = format!("{root}{}", &path[start.len().min(path.len())..]);
            let depth = path[start.len()..].matches('/').count();
            match accepts(tests, &path, &shown, &node, depth) {
                Err(message) => return work.fail(message),
                Ok(Accepted::Lacks(what)) => return work.lack(&what),
                Ok(Accepted::No) => {}
                Ok(Accepted::Print) => work.line(&shown),
                Ok(Accepted::Print0) => work.print(&format!("{shown}\0")),
                Ok(Accepted::Delete) => {
                    let removed = lock(work.disk).remove_tree(&path);
                    if let Err(error) = removed {
                        work.fail(format!("cannot delete '{shown}': {error}"));
                    }
                }
                Ok(Accepted::Truncate) => {
                    // Only files are asked for; anything else has nothing to cut.
                    lock(work.disk).truncate(&path, 0).ok();
                }
            }
        }
    }
}

enum Accepted {
    No,
    Print,
    Print0,
    Delete,
    Truncate,
    /// A test or action that is not known.
    Lacks(String),
}

fn accepts(tests: &[String], path: &str, shown: &str, node: &Node, depth: usize) -> Result<Accepted, String> {
    let mut holds = true;
    let mut alternatives = false;
    let mut negate = false;
    let mut action = Accepted::Print;
    let mut rest = tests.iter();
    while let Some(test) = rest.next() {
        let mut argument = || rest.next().map(String::as_str).ok_or_else(|| format!("missing argument to `{test}'"));
        let result = match test.as_str() {
            "-name" => matches(&marked(argument()?), basename(path)),
            "-path" => matches(&marked(argument()?), shown),
            "-type" => matches!(
                (argument()?, &node.kind),
                ("f", Kind::File(_)) | ("d", Kind::Directory) | ("l", Kind::Symlink(_))
            ),
            "-maxdepth" => depth <= argument()?.parse().unwrap_or(usize::MAX),
            "-mindepth" => depth >= argument()?.parse().unwrap_or(0),
            "-empty" => node.size() == 0,
            "-size" => argument()? != "+0" || node.size() > 0,
            "-not" | "!" => {
                negate = !negate;
                continue;
            }
            "-o" => {
                alternatives |= holds;
                holds = true;
                continue;
            }
            "-print0" => {
                action = Accepted::Print0;
                continue;
            }
            "-delete" => {
                action = Accepted::Delete;
                continue;
            }
            "-exec" => {
                let command: Vec<&str> =
                    rest.by_ref().map(String::as_str).take_while(|word| !matches!(*word, ";" | "+")).collect();
                action = match command.first() {
                    Some(&"rm") => Accepted::Delete,
                    Some(&"truncate") => Accepted::Truncate,
                    other => return Ok(Accepted::Lacks(format!("-exec {}", other.unwrap_or(&"")))),
                };
                continue;
            }
            "-print" | "(" | ")" | "-xdev" | "-mount" | "-depth" | "-a" => continue,
            other => return Ok(Accepted::Lacks(other.to_owned())),
        };
        holds &= result != negate;
        negate = false;
    }
    Ok(if holds || alternatives { action } else { Accepted::No })
}

/// A basic regular expression in the notation of extended ones.
fn extended(basic: &str) -> String {
    let mut out = String::new();
    let mut rest = basic.chars();
    while let Some(c) = rest.next() {
        match c {
            '\\' => match rest.next() {
                Some(c) if "(){}|+?".contains(c) => out.push(c),
                Some(c) => out.extend(['\\', c]),
                None => out.push('\\'),
            },
            c if "(){}|+?".contains(c) => out.extend(['\\', c]),
            c => out.push(c),
        }
    }
    out
}

fn expression(pattern: &str, is_extended: bool, ignore_case: bool) -> Result<Regex, String> {
    let pattern = if is_extended { pattern.to_owned() } else { extended(pattern) };
    RegexBuilder::new(&pattern)
        .case_insensitive(ignore_case)
        .size_limit(EXPRESSION)
        .build()
        .map_err(|_| "Invalid regular expression".to_owned())
}

pub(super) fn grep(work: &mut Work<'_>, words: Words) {
    let mut operands = words.operands.clone();
    let named = words.value("e").map(str::to_owned);
    // Patterns of a file, one a line.
    let listed = words.value("f").map(|file| work.inputs(&[file.to_owned()]));
    let pattern = match (named, listed) {
        (Some(pattern), _) => pattern,
        (None, Some(files)) => {
            files.iter().map(|(_, data)| String::from_utf8_lossy(data).trim_end_matches('\n').to_owned()).collect()
        }
        (None, None) if operands.is_empty() => return work.fail_with(2, "missing pattern"),
        (None, None) => operands.remove(0),
    };
    let fixed = words.has("F") || work.name == "fgrep";
    let source = match fixed {
        // Each line is a pattern of its own.
        true => pattern.lines().map(regex::escape).collect::<Vec<_>>().join("|"),
        false => pattern,
    };
    let source = if words.has("x") {
        format!("^({source})$")
    } else if words.has("w") {
        format!(r"\b({source})\b")
    } else {
        source
    };
    let regex = match expression(&source, fixed || words.has("E x w") || work.name == "egrep", words.has("i")) {
        Ok(regex) => regex,
        Err(message) => return work.fail_with(2, message),
    };
    if words.has("r") {
        let below: Vec<String> = {
            let disk = lock(work.disk);
            let roots: Vec<String> = operands.iter().map(|operand| work.path(operand)).collect();
            let inside = |path: &str| roots.iter().any(|root| path == root || path.starts_with(&join(root, "")));
            disk.nodes()
                .filter(|(path, node)| inside(path) && matches!(node.kind, Kind::File(_)))
                .map(|(path, _)| path.to_owned())
                .collect()
        };
        operands = below;
        if operands.is_empty() {
            work.status = 1;
            return;
        }
    }
    let many = operands.len() > 1 && !words.has("h") || words.has("H");
    let mut found = false;
    for (name, data) in work.inputs(&operands) {
        let text = String::from_utf8_lossy(&data).into_owned();
        let lines = (1_usize..).zip(text.lines());
        let hits: Vec<(usize, &str)> = lines.filter(|(_, line)| regex.is_match(line) != words.has("v")).collect();
        found |= !hits.is_empty();
        if words.has("q") || hits.is_empty() && !words.has("c") {
            continue;
        }
        if words.has("l") {
            work.line(&name);
        } else if words.has("c") {
            work.line(&hits.len().to_string());
        } else {
            for (number, hit) in hits {
                let mut prefix = if many { format!("{name}:") } else { String::new() };
                if words.has("n") {
                    prefix += &format!("{number}:");
                }
                if words.has("o") {
                    for part in regex.find_iter(hit) {
                        work.line(&format!("{prefix}{}", part.as_str()));
                    }
                } else {
                    work.line(&format!("{prefix}{hit}"));
                }
            }
        }
    }
    if words.has("s") {
        work.err.clear();
    }
    work.status = match (found, work.status) {
        (true, _) => 0,
        (false, 0) => 1,
        (false, _) => 2,
    };
}

/// `s/a/b/flags`, `/a/d`, `/a/p`; other commands are refused.
pub(super) fn sed(work: &mut Work<'_>, words: Words) {
    let mut operands = words.operands.clone();
    let mut scripts = words.values("e");
    if scripts.is_empty() && !operands.is_empty() {
        scripts.push(operands.remove(0));
    }
    let mut edits = Vec::new();
    for script in &scripts {
        match edit(script, words.has("E")) {
            Ok(edit) => edits.push(edit),
            Err(message) => return work.fail(format!("-e expression #1, char 1: {message}")),
        }
    }
    for (name, data) in work.inputs(&operands) {
        let mut out = String::new();
        for line in String::from_utf8_lossy(&data).lines() {
            let mut line = Some(line.to_owned());
            for edit in &edits {
                line = line.and_then(|line| match edit {
                    Edit::Replace { regex, with, all } => {
                        let replaced = replace(regex, with, &line, *all);
                        work.full |= replaced.is_none();
                        replaced
                    }
                    Edit::Delete(regex) => (!regex.is_match(&line)).then_some(line),
                    Edit::Print(regex) => (regex.is_match(&line) || !words.has("n")).then_some(line),
                });
            }
            work.full |= out.len() > HELD;
            if work.full {
                return;
            }
            if let Some(line) = line {
                out.push_str(&line);
                out.push('\n');
            }
        }
        if words.has("i") && !name.is_empty() {
            let written = lock(work.disk).write(&work.path(&name), out.as_bytes());
            if let Err(error) = written {
                return work.fail(format!("{name}: {error}"));
            }
        } else {
            work.print(&out);
        }
    }
}

/// The line with its first match, or all of them, replaced; `None` where that is more than a command may hold.
fn replace(regex: &Regex, with: &str, line: &str, all: bool) -> Option<String> {
    let references = with.matches("${").count();
    let mut out = String::new();
    let mut end = 0;
    for found in regex.captures_iter(line).take(if all { usize::MAX } else { 1 }) {
        let place = found.get(0)?;
        out.push_str(&line[end..place.start()]);
        // Each reference stands for at most the whole match.
        if out.len() + with.len() + references.saturating_mul(place.len()) > HELD {
            return None;
        }
        found.expand(with, &mut out);
        end = place.end();
    }
    out.push_str(&line[end..]);
    Some(out)
}

enum Edit {
    Replace { regex: Regex, with: String, all: bool },
    Delete(Regex),
    Print(Regex),
}

fn edit(script: &str, is_extended: bool) -> Result<Edit, String> {
    let mut characters = script.trim().chars();
    let substitute = characters.next() == Some('s');
    let separator = if substitute { characters.next().ok_or("unterminated `s' command")? } else { '/' };
    let mut parts = vec![String::new()];
    while let Some(c) = characters.next() {
        if c == '\\' {
            match characters.next() {
                Some(next) if next == separator => parts.last_mut().into_iter().for_each(|part| part.push(next)),
                Some(next) => parts.last_mut().into_iter().for_each(|part| part.extend(['\\', next])),
                None => {}
            }
        } else if c == separator {
            parts.push(String::new());
        } else {
            parts.last_mut().into_iter().for_each(|part| part.push(c));
        }
    }
    match (substitute, parts.as_slice()) {
        (true, [pattern, with, flags]) => {
            let mut replacement = String::new();
            let mut rest = with.chars();
            while let Some(c) = rest.next() {
                match c {
                    '\\' => match rest.next() {
                        Some(digit) if digit.is_ascii_digit() => replacement.push_str(&format!("${{{digit}}}")),
                        Some('n') => replacement.push('\n'),
                        Some(other) => replacement.push(other),
                        None => {}
                    },
                    '&' => replacement.push_str("${0}"),
                    '$' => replacement.push_str("$$"),
                    c => replacement.push(c),
                }
            }
            let regex = expression(pattern, is_extended, flags.contains(['i', 'I']))?;
            Ok(Edit::Replace { regex, with: replacement, all: flags.contains('g') })
        }
        (false, [pattern, command]) if command == "d" => Ok(Edit::Delete(expression(pattern, is_extended, false)?)),
        (false, [pattern, command]) if command == "p" => Ok(Edit::Print(expression(pattern, is_extended, false)?)),
        _ => Err("this command is not simulated".to_owned()),
    }
}
