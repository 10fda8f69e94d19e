//! Commands on files and folders.

use super::super::{flags::Words, work::Work};
use crate::simulated::disk::{Accounts, Disk, DiskError, Kind, basename, join, lock, owners, parent};

/// Runs something on each operand; complains about those that fail.
fn each(work: &mut Work<'_>, operands: &[String], what: &str, run: impl Fn(&mut Disk, &str) -> Result<(), DiskError>) {
    for operand in operands {
        let path = match operand.as_str() {
            // The kernel finds nothing there, where a shell's `cd` would stay.
            "" => Err(DiskError::NotFound),
            operand => Ok(work.path(operand)),
        };
        let done = path.and_then(|path| run(&mut lock(work.disk), &path));
        if let Err(error) = done {
            work.fail(format!("{what} '{operand}': {error}"));
        }
    }
}

/// The mode that `text` (octal or symbolic) makes of a mode.
fn mode_of(text: &str, before: u32, folder: bool) -> Option<u32> {
    if let Ok(mode) = u32::from_str_radix(text, 8) {
        return Some(mode & 0o7777);
    }
    let mut mode = before;
    for clause in text.split(',') {
        let at = clause.find(['+', '-', '='])?;
        let who = if at == 0 { "ugo" } else { &clause[..at] };
        let mut bits = 0;
        for letter in clause[at + 1..].chars() {
            bits |= match letter {
                'r' => 0o444,
                'w' => 0o222,
                'x' => 0o111,
                'X' if folder || before & 0o111 != 0 => 0o111,
                'X' => 0,
                's' | 't' => 0,
                _ => return None,
            };
        }
        let mut mask = 0;
        for letter in who.chars() {
            mask |= match letter {
                'u' => 0o700,
                'g' => 0o070,
                'o' => 0o007,
                'a' => 0o777,
                _ => return None,
            };
        }
        mode = match clause.as_bytes()[at] {
            b'+' => mode | (bits & mask),
            b'-' => mode & !(bits & mask),
            _ => (mode & !mask) | (bits & mask),
        };
    }
    Some(mode)
}

pub(super) fn mkdir(work: &mut Work<'_>, words: Words) {
    let mode = words.value("m").and_then(|text| mode_of(text, 0o755, true));
    let all = words.has("p");
    each(work, &words.operands, "cannot create directory", move |disk, path| {
        if all {
            disk.mkdir_all(path)?
        } else {
            disk.mkdir(path, 0o755)?
        }
        if let Some(mode) = mode { disk.update(path, |node| node.mode = mode) } else { Ok(()) }
    })
}

pub(super) fn rm(work: &mut Work<'_>, words: Words) {
    let (tree, force) = (words.has("r"), words.has("f"));
    each(work, &words.operands, "cannot remove", move |disk, path| {
        let done = if tree { disk.remove_tree(path) } else { disk.unlink(path) };
        match done {
            Err(DiskError::NotFound | DiskError::NotDirectory) if force => Ok(()),
            other => other,
        }
    })
}

pub(super) fn rmdir(work: &mut Work<'_>, words: Words) {
    each(work, &words.operands, "failed to remove", Disk::rmdir)
}

pub(super) fn copy(work: &mut Work<'_>, mut words: Words) {
    let target = match words.value("t") {
        Some(target) => target.to_owned(),
        None => words.operands.pop().unwrap_or_default(),
    };
    if words.operands.is_empty() {
        return work.fail("missing file operand");
    }
    let (cut, tree) = (work.name == "mv", words.has("r a"));
    let target = work.path(&target);
    each(work, &words.operands, "cannot stat", move |disk, from| {
        let to = if disk.is_dir(&target) { join(&target, basename(from)) } else { target.clone() };
        if cut {
            return disk.rename(from, &to);
        }
        let from = disk.resolve(from, !tree)?;
        if !tree && disk.is_dir(&from) {
            return Err(DiskError::IsDirectory);
        }
        disk.copy(&from, &to)
    })
}

pub(super) fn link(work: &mut Work<'_>, words: Words) {
    let [target, link] = words.operands.as_slice() else { return work.fail("missing file operand") };
    let (symbolic, force) = (words.has("s"), words.has("f"));
    let (target, full) = (target.clone(), work.path(target));
    each(work, std::slice::from_ref(link), "failed to create link", |disk, path| {
        // With `-n` a link to a folder is replaced; a folder itself never is.
        let is_link = disk.get_link(path).is_ok_and(|node| !node.is_dir());
        let inside = disk.is_dir(path) && !words.has("T") && !(words.has("n") && is_link);
        let path = if inside { join(path, basename(&target)) } else { path.to_owned() };
        if force && disk.get_link(&path).is_ok() {
            disk.unlink(&path)?;
        }
        // A hard link is a copy here: nobody has asked for more.
        if symbolic { disk.symlink(&target, &path) } else { disk.copy(&full, &path) }
    })
}

pub(super) fn touch(work: &mut Work<'_>, words: Words) {
    each(
        work,
        &words.operands,
        "cannot touch",
        |disk, path| if disk.is_dir(path) { Ok(()) } else { disk.append(path, b"") },
    )
}

/// Runs on each operand and, recursively, on what is below it.
fn each_below(
    work: &mut Work<'_>,
    operands: &[String],
    tree: bool,
    what: &str,
    run: impl Fn(&mut Disk, &str) -> Result<(), DiskError>,
) {
    each(work, operands, what, |disk, path| {
        run(disk, path)?;
        let below: Vec<String> = if tree {
            let prefix = join(path, "");
            disk.nodes().filter(|(path, _)| path.starts_with(&prefix)).map(|(path, _)| path.to_owned()).collect()
        } else {
            Vec::new()
        };
        below.iter().try_for_each(|path| run(disk, path))
    })
}

pub(super) fn chmod(work: &mut Work<'_>, _: Words) {
    // A mode such as `-x` looks like flags.
    let is_flag = |word: &&String| word.starts_with('-') && mode_of(word, 0, false).is_none();
    let tree = work.arguments.iter().any(|word| word == "-R" || word == "--recursive");
    let known = ["-R", "--recursive", "-f", "-v", "--"];
    if let Some(flag) = work.arguments.iter().filter(is_flag).find(|flag| !known.contains(&flag.as_str())) {
        return work.lack(flag);
    }
    let mut words: Vec<String> = work.arguments.iter().filter(|word| !is_flag(word)).cloned().collect();
    if words.len() < 2 {
        return work.fail("missing operand");
    }
    let mode = words.remove(0);
    if mode_of(&mode, 0, false).is_none() {
        return work.fail(format!("invalid mode: '{mode}'"));
    }
    each_below(work, &words, tree, "cannot access", move |disk, path| {
        disk.update(path, |node| node.mode = mode_of(&mode, node.mode, node.is_dir()).unwrap_or(node.mode))
    })
}

pub(super) fn chown(work: &mut Work<'_>, mut words: Words) {
    if words.operands.len() < 2 {
        return work.fail("missing operand");
    }
    let mut owner = words.operands.remove(0);
    if work.name == "chgrp" {
        owner.insert(0, ':');
    }
    let owners = owners(&lock(work.disk), &owner);
    match owners {
        Ok((user, group)) => each_below(work, &words.operands, words.has("R"), "cannot access", move |disk, path| {
            disk.update(path, |node| node.give(user.as_deref(), group.as_deref()))
        }),
        // `chgrp` knows no colon.
        Err(message) if work.name == "chgrp" => work.fail(message.replacen("':", "'", 1)),
        Err(message) => work.fail(message),
    }
}

pub(super) fn install(work: &mut Work<'_>, mut words: Words) {
    let user = words.value("o").unwrap_or("root");
    let owner = words.value("g").map_or_else(|| user.to_owned(), |group| format!("{user}:{group}"));
    let owners = owners(&lock(work.disk), &owner);
    let (user, group) = match owners {
        Ok(owners) => owners,
        Err(message) => return work.fail(message),
    };
    let target = match words.value("t") {
        Some(target) => work.path(target),
        None if words.has("d") => String::new(),
        None => work.path(&words.operands.pop().unwrap_or_default()),
    };
    let settle = |disk: &mut Disk, path: &str| {
        let folder = disk.is_dir(path);
        let mode = words.value("m").and_then(|text| mode_of(text, 0, folder)).unwrap_or(0o755);
        disk.update(path, |node| {
            node.mode = mode;
            node.give(user.as_deref(), group.as_deref());
        })
    };
    if words.has("d") {
        return each(work, &words.operands, "cannot create directory", |disk, path| {
            disk.mkdir_all(path)?;
            settle(disk, path)
        });
    }
    each(work, &words.operands, "cannot stat", |disk, from| {
        let to = if disk.is_dir(&target) { join(&target, basename(from)) } else { target.clone() };
        if words.has("D") {
            disk.mkdir_all(parent(&to))?;
        }
        let data = disk.read(from)?;
        disk.write(&to, &data)?;
        settle(disk, &to)
    })
}

pub(super) fn truncate(work: &mut Work<'_>, words: Words) {
    let text = words.value("s").unwrap_or("0");
    let (digits, unit) = match text.char_indices().next_back() {
        Some((at, 'K')) => (&text[..at], 1024),
        Some((at, 'M')) => (&text[..at], 1024 * 1024),
        Some((at, 'G')) => (&text[..at], 1024 * 1024 * 1024),
        _ => (text, 1),
    };
    let Ok(size) = digits.parse::<u64>() else { return work.fail(format!("invalid number: '{text}'")) };
    each(work, &words.operands, "cannot open", move |disk, path| disk.truncate(path, size.saturating_mul(unit)))
}

pub(super) fn mktemp(work: &mut Work<'_>, words: Words) {
    let folder = words.value("p").unwrap_or("/tmp");
    let template = words.operands.first().cloned().unwrap_or_else(|| join(folder, "tmp.XXXXXXXXXX"));
    let random = uuid::Uuid::new_v4().simple().to_string();
    let path = format!("{}{}", template.trim_end_matches('X'), &random[..10]);
    let full = work.path(&path);
    let made = {
        let mut disk = lock(work.disk);
        if words.has("d") { disk.mkdir(&full, 0o700) } else { disk.edit(&full, 0o600, |_| {}) }
    };
    match made {
        Ok(()) => work.line(&path),
        Err(error) => work.fail(format!("failed to create '{path}': {error}")),
    }
}

pub(super) fn readlink(work: &mut Work<'_>, words: Words) {
    let whole = work.name == "realpath" || words.has("f e m");
    for operand in &words.operands {
        let path = work.path(operand);
        let found = {
            let disk = lock(work.disk);
            match disk.get_link(&path).map(|node| &node.kind) {
                _ if whole => disk.resolve(&path, true).ok(),
                Ok(Kind::Symlink(target)) => Some(target.clone()),
                _ => None,
            }
        };
        match found {
            Some(found) => work.line(&found),
            None => work.status = 1,
        }
    }
}

pub(super) fn stat(work: &mut Work<'_>, words: Words) {
    let format = words.value("c").unwrap_or("%n %s %a %U %G %Y").to_owned();
    for operand in &words.operands {
        let path = work.path(operand);
        let found =
            if words.has("L") { lock(work.disk).get(&path).cloned() } else { lock(work.disk).get_link(&path).cloned() };
        let node = match found {
            Ok(node) => node,
            Err(error) => {
                work.fail(format!("cannot statx '{operand}': {error}"));
                continue;
            }
        };
        let kind = match &node.kind {
            Kind::Directory => "directory",
            Kind::File(data) if data.is_empty() => "regular empty file",
            Kind::File(_) => "regular file",
            Kind::Symlink(_) => "symbolic link",
        };
        let id = |accounts: Accounts, name: &str| accounts.number(&lock(work.disk), name).to_string();
        let (user, group) = (id(Accounts::Users, &node.owner), id(Accounts::Groups, &node.group));
        let mut text = format.clone();
        for (field, value) in [
            ("%n", operand.clone()),
            ("%s", node.size().to_string()),
            ("%a", format!("{:o}", node.mode)),
            ("%U", node.owner.clone()),
            ("%G", node.group.clone()),
            ("%u", user),
            ("%g", group),
            ("%Y", node.mtime.to_string()),
            ("%F", kind.to_owned()),
        ] {
            text = text.replace(field, &value);
        }
        work.line(&text);
    }
}
