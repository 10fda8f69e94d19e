//! Commands on text.

use std::collections::BTreeMap;

use base64::{Engine, engine::general_purpose::STANDARD};
use sha2::{Digest, Sha256};

use super::super::{flags::Words, limits::HELD, work::Work};
use crate::simulated::disk::{self, lock};

/// The number that a flag gives, which may begin with a `+`.
fn number(words: &Words, flag: &str) -> Option<usize> {
    words.value(flag)?.trim_start_matches('+').parse().ok()
}

fn joined(inputs: Vec<(String, Vec<u8>)>) -> Vec<u8> {
    inputs.into_iter().flat_map(|(_, data)| data).collect()
}

fn lines(data: &[u8]) -> Vec<String> {
    String::from_utf8_lossy(data).lines().map(str::to_owned).collect()
}

pub(super) fn ends(work: &mut Work<'_>, words: Words) {
    let data = joined(work.inputs(&words.operands));
    let head = work.name == "head";
    if let Some(count) = number(&words, "c") {
        let count = count.min(data.len());
        work.out.extend(if head { &data[..count] } else { &data[data.len() - count..] });
        return;
    }
    let from_start = words.value("n").is_some_and(|value| value.starts_with('+'));
    let count = number(&words, "n").or_else(|| number(&words, "NUMBER")).unwrap_or(10);
    let pieces: Vec<&[u8]> = data.split_inclusive(|byte| *byte == b'\n').collect();
    let chosen = if head {
        &pieces[..count.min(pieces.len())]
    } else if from_start {
        &pieces[count.saturating_sub(1).min(pieces.len())..]
    } else {
        &pieces[pieces.len() - count.min(pieces.len())..]
    };
    work.out.extend(chosen.concat());
}

pub(super) fn wc(work: &mut Work<'_>, words: Words) {
    for (name, data) in work.inputs(&words.operands) {
        let text = String::from_utf8_lossy(&data).into_owned();
        let counts = [
            ("l", data.iter().filter(|byte| **byte == b'\n').count()),
            ("w", text.split_whitespace().count()),
            ("c", data.len()),
        ];
        let chosen = counts.iter().filter(|(flag, _)| words.has(flag) || !words.has("l w c"));
        let mut shown: Vec<String> = chosen.map(|(_, count)| count.to_string()).collect();
        if !name.is_empty() {
            shown.push(name);
        }
        work.line(&shown.join(" "));
    }
}

pub(super) fn sort(work: &mut Work<'_>, words: Words) {
    let mut all = lines(&joined(work.inputs(&words.operands)));
    if words.has("n") {
        let key = |line: &String| {
            let digits: String = line.trim_start().chars().take_while(|c| c.is_ascii_digit() || *c == '-').collect();
            digits.parse::<i64>().unwrap_or(0)
        };
        all.sort_by_key(key);
    } else {
        all.sort();
    }
    if words.has("r") {
        all.reverse();
    }
    if words.has("u") {
        all.dedup();
    }
    for line in all {
        work.line(&line);
    }
}

pub(super) fn uniq(work: &mut Work<'_>, words: Words) {
    let all = lines(&joined(work.inputs(&words.operands)));
    for group in all.chunk_by(|a, b| a == b) {
        match words.has("c") {
            true => work.line(&format!("{:7} {}", group.len(), group[0])),
            false => work.line(&group[0]),
        }
    }
}

pub(super) fn tee(work: &mut Work<'_>, words: Words) {
    let append = words.has("a");
    let input = std::mem::take(&mut work.input);
    for operand in &words.operands {
        let path = work.path(operand);
        if path == "/dev/null" || path == "/dev/stderr" {
            continue;
        }
        let written = {
            let mut disk = lock(work.disk);
            if append { disk.append(&path, &input) } else { disk.write(&path, &input) }
        };
        if let Err(error) = written {
            work.fail(format!("{operand}: {error}"));
        }
    }
    work.out = input;
}

/// How many characters a set may name.
const SET: usize = 1 << 21;

/// How many ranges `cut` takes.
const RANGES: usize = 1000;

/// The characters of a set such as `a-z` or `[:upper:]`.
fn set(text: &str) -> Vec<char> {
    let classes = [
        ("[:upper:]", "A-Z"),
        ("[:lower:]", "a-z"),
        ("[:digit:]", "0-9"),
        ("[:alpha:]", "A-Za-z"),
        ("[:alnum:]", "A-Za-z0-9"),
        ("[:space:]", " \t\n\r"),
    ];
    let text = classes.iter().fold(text.to_owned(), |text, (class, range)| text.replace(class, range));
    let text: Vec<char> = String::from_utf8_lossy(&escapes(&text)).chars().collect();
    let mut found = Vec::new();
    let mut at = 0;
    while at < text.len() && found.len() < SET {
        if at + 2 < text.len() && text[at + 1] == '-' {
            found.extend(text[at]..=text[at + 2]);
            at += 3;
        } else {
            found.push(text[at]);
            at += 1;
        }
    }
    found
}

pub(super) fn tr(work: &mut Work<'_>, words: Words) {
    let from = set(words.operands.first().map_or("", String::as_str));
    let to = set(words.operands.get(1).map_or("", String::as_str));
    let text = String::from_utf8_lossy(&work.input).into_owned();
    let mut out = String::new();
    // The first place of each: found at once, however long the set is.
    let places: BTreeMap<char, usize> = from.iter().enumerate().rev().map(|(at, c)| (*c, at)).collect();
    for c in text.chars() {
        let place = places.get(&c).copied();
        let inside = place.is_some() != words.has("c");
        let mapped = match (inside, words.has("d")) {
            (true, true) => continue,
            (true, false) if !to.is_empty() => to[place.unwrap_or(to.len() - 1).min(to.len() - 1)],
            _ => c,
        };
        if !(words.has("s") && inside && out.ends_with(mapped)) {
            out.push(mapped);
        }
    }
    work.print(&out);
}

pub(super) fn cut(work: &mut Work<'_>, words: Words) {
    let delimiter = words.value("d").and_then(|text| text.chars().next()).unwrap_or('\t');
    let (by_field, list) = match (words.value("f"), words.value("c").or_else(|| words.value("b"))) {
        (Some(list), _) => (true, list),
        (None, Some(list)) => (false, list),
        _ => return work.fail("you must specify a list of bytes, characters, or fields"),
    };
    if list.split(',').count() > RANGES {
        return work.fail(format!("more than {RANGES} ranges"));
    }
    let ranges: Vec<(usize, usize)> = list
        .split(',')
        .map(|item| {
            let (low, high) = item.split_once('-').unwrap_or((item, item));
            (low.parse().unwrap_or(1), high.parse().unwrap_or(usize::MAX))
        })
        .collect();
    let wanted = |index: &usize| ranges.iter().any(|(low, high)| (low..=high).contains(&index));
    for line in lines(&joined(work.inputs(&words.operands))) {
        if by_field && !line.contains(delimiter) {
            work.line(&line);
            continue;
        }
        let text = if by_field {
            let chosen = line.split(delimiter).enumerate().filter(|(index, _)| wanted(&(index + 1)));
            chosen.map(|(_, field)| field).collect::<Vec<_>>().join(&delimiter.to_string())
        } else {
            line.chars().enumerate().filter(|(index, _)| wanted(&(index + 1))).map(|(_, c)| c).collect()
        };
        work.line(&text);
    }
}

pub(super) fn sha256sum(work: &mut Work<'_>, words: Words) {
    let check = words.has("c");
    for (name, data) in work.inputs(&words.operands) {
        if !check {
            let name = if name.is_empty() { "-".to_owned() } else { name };
            work.line(&format!("{}  {name}", hex::encode(Sha256::digest(&data))));
            continue;
        }
        for line in lines(&data) {
            let Some((expected, file)) = line.split_once(char::is_whitespace) else { continue };
            let file = file.trim_start_matches([' ', '*']);
            let read = lock(work.disk).read(&work.path(file));
            if read.is_ok_and(|data| hex::encode(Sha256::digest(&*data)) == expected) {
                work.line(&format!("{file}: OK"));
            } else {
                work.line(&format!("{file}: FAILED"));
                work.status = 1;
            }
        }
    }
}

pub(super) fn base64(work: &mut Work<'_>, words: Words) {
    let decode = words.has("d");
    let data = joined(work.inputs(&words.operands));
    if !decode {
        work.line(&STANDARD.encode(data));
        return;
    }
    let packed: Vec<u8> = data.into_iter().filter(|byte| !byte.is_ascii_whitespace()).collect();
    match STANDARD.decode(packed) {
        Ok(data) => work.out.extend(data),
        Err(_) => work.fail("invalid input"),
    }
}

pub(super) fn basename(work: &mut Work<'_>, words: Words) {
    let name = disk::basename(words.operands.first().map_or("", String::as_str)).to_owned();
    let suffix = words.operands.get(1).cloned().unwrap_or_default();
    work.line(name.strip_suffix(&suffix).unwrap_or(&name));
}

pub(super) fn dirname(work: &mut Work<'_>, words: Words) {
    let path = words.operands.first().cloned().unwrap_or_default();
    let folder = match path.trim_end_matches('/').rsplit_once('/') {
        Some(("", _)) => "/",
        Some((folder, _)) => folder,
        None => ".",
    };
    work.line(folder);
}

pub(super) fn seq(work: &mut Work<'_>, _: Words) {
    // Each word is a number, also a negative one.
    if let Some(flag) = work.arguments.iter().find(|word| word.starts_with('-') && word.parse::<i64>().is_err()) {
        return work.lack(flag);
    }
    let numbers: Option<Vec<i64>> = work.arguments.iter().map(|text| text.parse().ok()).collect();
    let (first, step, last) = match numbers.as_deref().unwrap_or_default() {
        [last] => (1, 1, *last),
        [first, last] => (*first, 1, *last),
        [first, step, last] if *step != 0 => (*first, *step, *last),
        _ => return work.fail(format!("invalid operands: {}", work.arguments.join(" "))),
    };
    let mut value = first;
    // Bounded, since what is printed is held in memory.
    for _ in 0..1_000_000 {
        if (step > 0 && value > last) || (step < 0 && value < last) {
            break;
        }
        work.line(&value.to_string());
        let Some(next) = value.checked_add(step) else { break };
        value = next;
    }
}

/// What backslashes mean, as POSIX has it for the format of `printf` and for `tr`: three octal digits at most.
fn escapes(text: &str) -> Vec<u8> {
    unescape(text, false).0
}

/// What backslashes mean, and whether `\c` ended the text. In the arguments of `echo` and of `%b` an octal number begins with a 0,
/// and has three digits more.
fn unescape(text: &str, argument: bool) -> (Vec<u8>, bool) {
    let mut out = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        let Some((&letter, after)) = rest.split_first() else {
            out.push(b'\\');
            break;
        };
        rest = after;
        let digits =
            |most: usize, text: &[u8]| text.iter().take(most).take_while(|c| (b'0'..=b'7').contains(*c)).count();
        match letter {
            b'a' => out.push(7),
            b'b' => out.push(8),
            b'f' => out.push(12),
            b'n' => out.push(b'\n'),
            b'r' => out.push(b'\r'),
            b't' => out.push(b'\t'),
            b'v' => out.push(11),
            b'\\' => out.push(b'\\'),
            b'c' if argument => return (out, true),
            b'0'..=b'7' if !argument || letter == b'0' => {
                let more = digits(if argument { 3 } else { 2 }, rest);
                let number = rest[..more].iter().fold(u32::from(letter - b'0'), |sum, c| sum * 8 + u32::from(c - b'0'));
                out.push(number as u8);
                rest = &rest[more..];
            }
            other => out.extend([b'\\', other]),
        }
    }
    (out, false)
}

/// `echo`: dash's knows backslashes and `-n`, bash's only with `-e`.
pub(super) fn echo(arguments: &[String], bash: bool) -> Vec<u8> {
    let mut words = arguments;
    let (mut newline, mut escaped) = (true, !bash);
    while let Some((flag, rest)) = words.split_first()
        && (flag == "-n" || bash && (flag == "-e" || flag == "-ne" || flag == "-en"))
    {
        newline &= !flag.contains('n');
        escaped |= flag.contains('e');
        words = rest;
        if !bash {
            break;
        }
    }
    let text = words.join(" ");
    let (mut out, ended) = if escaped { unescape(&text, true) } else { (text.into_bytes(), false) };
    if newline && !ended {
        out.push(b'\n');
    }
    out
}

/// `printf`: `%s %d %b %x %c %%`, with widths; the format is used again while there are arguments. `None` where that is
/// more than a command may print.
pub(super) fn printf(arguments: &[String]) -> Option<Vec<u8>> {
    let Some((format, mut rest)) = arguments.split_first() else { return Some(Vec::new()) };
    let format = escapes(format);
    let mut out = Vec::new();
    loop {
        let before = rest.len();
        let mut at = 0;
        while at < format.len() {
            if out.len() > HELD {
                return None;
            }
            let c = format[at];
            at += 1;
            if c != b'%' {
                out.push(c);
                continue;
            }
            let start = at;
            while at < format.len() && (format[at].is_ascii_digit() || b"-.0".contains(&format[at])) {
                at += 1;
            }
            let width = String::from_utf8_lossy(&format[start..at]).into_owned();
            let Some(conversion) = format.get(at) else { break };
            at += 1;
            if *conversion == b'%' {
                out.push(b'%');
                continue;
            }
            let argument = match rest.split_first() {
                Some((first, others)) => {
                    rest = others;
                    first.clone()
                }
                None => String::new(),
            };
            let text = match conversion {
                b'd' | b'i' | b'u' => argument.trim().parse::<i64>().unwrap_or(0).to_string().into_bytes(),
                b'x' => format!("{:x}", argument.trim().parse::<i64>().unwrap_or(0)).into_bytes(),
                b'o' => format!("{:o}", argument.trim().parse::<i64>().unwrap_or(0)).into_bytes(),
                b'c' => argument.into_bytes().into_iter().take(1).collect(),
                b'b' => {
                    let (text, ended) = unescape(&argument, true);
                    if ended {
                        out.extend(text);
                        return Some(out);
                    }
                    text
                }
                _ => argument.into_bytes(),
            };
            let columns = width.trim_start_matches(['-', '0']).parse::<usize>().unwrap_or(0).min(1000);
            let missing = columns.saturating_sub(text.len());
            let pad = |with: u8| std::iter::repeat_n(with, missing);
            match (width.starts_with('-'), width.starts_with('0')) {
                (true, _) => out.extend(text.into_iter().chain(pad(b' '))),
                (_, true) => out.extend(pad(b'0').chain(text)),
                _ => out.extend(pad(b' ').chain(text)),
            }
        }
        if rest.is_empty() || rest.len() == before {
            return Some(out);
        }
    }
}
