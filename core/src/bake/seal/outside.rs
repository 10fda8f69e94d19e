//! The table from outside: a copy of a captured disk's tree is looked at, and nothing on it is run.

use std::{fs, path::Path};

use super::table::{Sealed, TABLE};

/// What is there of what the table says is gone: `what: path`, in the table's order.
///
/// # Errors
///
/// A tree that cannot be read.
pub fn examine(root: &Path) -> std::io::Result<Vec<String>> {
    let mut paths = Vec::new();
    walk(root, "", &mut paths)?;
    let mut found = Vec::new();
    for row in TABLE {
        found.extend(row_found(row, root, &paths)?);
    }
    Ok(found)
}

/// A path under the root, and whether it is a file with something in it.
struct Found {
    path: String,
    is_full: bool,
}

fn walk(folder: &Path, path: &str, found: &mut Vec<Found>) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let path = format!("{path}/{}", entry.file_name().to_string_lossy());
        let metadata = entry.metadata()?;
        found.push(Found { path: path.clone(), is_full: metadata.is_file() && metadata.len() > 0 });
        if metadata.is_dir() {
            walk(&entry.path(), &path, found)?;
        }
    }
    Ok(())
}

fn row_found(row: &Sealed, root: &Path, paths: &[Found]) -> std::io::Result<Vec<String>> {
    let mut found = Vec::new();
    for one in paths {
        let is_named = |patterns: &[&str]| patterns.iter().any(|pattern| names(pattern, &one.path));
        if is_named(row.gone) || (one.is_full && is_named(row.emptied)) {
            found.push(format!("{}: {}", row.what, one.path));
        }
    }
    for (file, start, harmless) in row.lines {
        let text = match fs::read(root.join(file.trim_start_matches('/'))) {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        let next = |line: &str| line.strip_prefix(start).and_then(|rest| rest.chars().next());
        if text.lines().filter_map(next).any(|next| !harmless.contains(next)) {
            found.push(format!("{}: {file}", row.what));
        }
    }
    Ok(found)
}

/// Whether a pattern of the table names a path.
fn names(pattern: &str, path: &str) -> bool {
    if let Some((base, name)) = pattern.split_once("//") {
        let Some(below) = path.strip_prefix(base).and_then(|rest| rest.strip_prefix('/')) else { return false };
        return matches(name, below.rsplit('/').next().unwrap_or(below), true);
    }
    let (pattern, path): (Vec<_>, Vec<_>) = (pattern.split('/').collect(), path.split('/').collect());
    pattern.len() == path.len() && pattern.iter().zip(&path).all(|(pattern, part)| matches(pattern, part, false))
}

/// Whether a pattern matches a name as a whole. As in a shell, `*` and `?` at the start match no hidden file, unless asked for.
fn matches(pattern: &str, name: &str, hidden: bool) -> bool {
    if !hidden && name.starts_with('.') && !pattern.starts_with('.') {
        return false;
    }
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    matches_from(&pattern, &name)
}

fn matches_from(pattern: &[char], name: &[char]) -> bool {
    match (pattern, name) {
        ([], []) => true,
        (['*', rest @ ..], _) => (0..=name.len()).any(|at| matches_from(rest, &name[at..])),
        (['?', rest @ ..], [_, after @ ..]) => matches_from(rest, after),
        (['[', class @ ..], [one, after @ ..]) => {
            let Some(end) = class.iter().position(|c| *c == ']') else { return false };
            let (class, rest) = (&class[..end], &class[end + 1..]);
            let within = match class {
                [low, '-', high] => (low..=high).contains(&one),
                _ => class.contains(one),
            };
            within && matches_from(rest, after)
        }
        ([same, rest @ ..], [one, after @ ..]) => same == one && matches_from(rest, after),
        _ => false,
    }
}
