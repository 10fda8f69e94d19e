//! `test` and `[`.

use super::super::state::{Call, Flow, Shell};
use crate::simulated::disk::{Kind, absolute, lock};

pub(super) async fn test(shell: &mut Shell, call: &Call) -> Flow {
    match evaluate(shell, &call.name, &call.arguments) {
        Ok(holds) => Ok(i32::from(!holds)),
        Err(message) => {
            shell.complain(&format!("{}: {message}", call.name)).await;
            Ok(2)
        }
    }
}

fn evaluate(shell: &Shell, name: &str, arguments: &[String]) -> Result<bool, String> {
    let mut words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    if name == "[" && words.pop() != Some("]") {
        return Err("missing ]".to_owned());
    }
    if words.len() > WORDS {
        return Err("too many arguments".to_owned());
    }
    any(shell, &words)
}

/// How many words a condition may have: each may be a level of the evaluation.
const WORDS: usize = 200;

fn any(shell: &Shell, words: &[&str]) -> Result<bool, String> {
    // An operator between operands only: `[ -o ]` and `[ x = -o ]` are about the text.
    let place =
        |operator: &str| (1..words.len().saturating_sub(1)).find(|at| words.len() > 3 && words[*at] == operator);
    if let Some(at) = place("-o") {
        return Ok(any(shell, &words[..at])? || any(shell, &words[at + 1..])?);
    }
    if let Some(at) = place("-a") {
        return Ok(any(shell, &words[..at])? && any(shell, &words[at + 1..])?);
    }
    match words {
        [] => Ok(false),
        [word] => Ok(!word.is_empty()),
        ["!", rest @ ..] if rest.len() != 2 || rest[0].starts_with('-') || rest[0] == "!" => Ok(!any(shell, rest)?),
        [operator, word] => unary(shell, operator, word),
        [left, operator, right] => binary(left, operator, right),
        _ => Err("too many arguments".to_owned()),
    }
}

fn unary(shell: &Shell, operator: &str, word: &str) -> Result<bool, String> {
    let path = absolute(&shell.cwd, word);
    let disk = lock(&shell.host.disk);
    Ok(match operator {
        "-n" => !word.is_empty(),
        "-z" => word.is_empty(),
        "-e" | "-r" | "-w" => disk.exists(&path),
        "-f" => disk.read(&path).is_ok(),
        "-d" => disk.is_dir(&path),
        "-s" => disk.get(&path).is_ok_and(|node| node.size() > 0),
        "-x" => disk.get(&path).is_ok_and(|node| node.mode & 0o111 != 0),
        "-L" | "-h" => disk.get_link(&path).is_ok_and(|node| matches!(node.kind, Kind::Symlink(_))),
        "-t" | "-p" | "-S" | "-b" | "-c" => false,
        _ => return Err(format!("{operator}: unexpected operator")),
    })
}

fn binary(left: &str, operator: &str, right: &str) -> Result<bool, String> {
    let number = |text: &str| text.trim().parse::<i64>().map_err(|_| format!("Illegal number: {text}"));
    Ok(match operator {
        "=" | "==" => left == right,
        "!=" => left != right,
        "-eq" => number(left)? == number(right)?,
        "-ne" => number(left)? != number(right)?,
        "-lt" => number(left)? < number(right)?,
        "-le" => number(left)? <= number(right)?,
        "-gt" => number(left)? > number(right)?,
        "-ge" => number(left)? >= number(right)?,
        _ => return Err(format!("{operator}: unexpected operator")),
    })
}
