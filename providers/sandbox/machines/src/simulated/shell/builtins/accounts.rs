//! Users and groups, as `/etc/passwd` and `/etc/group` have them, and names of machines, as `/etc/hosts` has them.

use super::super::{flags::Words, work::Work};
use crate::simulated::disk::{Accounts, Disk, DiskError, add_group, add_user, free, lock, login_group};

const PASSWD: &str = "/etc/passwd";
const GROUP: &str = "/etc/group";

/// The fields of the line in a file that begins with a name, or has the number in its third field.
fn entry(disk: &Disk, file: &str, key: &str) -> Option<Vec<String>> {
    let text = disk.text(file);
    let fields = |line: &str| line.split(':').map(str::to_owned).collect::<Vec<_>>();
    let all: Vec<_> = text.lines().map(fields).collect();
    all.iter()
        .find(|fields| fields[0] == key)
        .or_else(|| all.iter().find(|fields| fields.get(2).is_some_and(|id| id == key)))
        .cloned()
}

pub(super) fn id(work: &mut Work<'_>, words: Words) {
    let (user, groups, group, names) = (words.has("u"), words.has("G"), words.has("g"), words.has("n"));
    let name = words.operands.first().map_or("root", String::as_str);
    let found = {
        let disk = lock(work.disk);
        entry(&disk, PASSWD, name).map(|fields| {
            let own = login_group(&disk, &fields[0]);
            let gid = Accounts::Groups.number(&disk, &own).to_string();
            (fields[0].clone(), fields.get(2).cloned().unwrap_or_default(), gid, own)
        })
    };
    let Some((name, uid, gid, own)) = found else { return work.fail(format!("'{name}': no such user")) };
    let text = match (user, group || groups, names) {
        (true, _, true) => name,
        (true, _, false) => uid,
        (_, true, true) => own,
        (_, true, false) => gid,
        _ => format!("uid={uid}({name}) gid={gid}({own}) groups={gid}({own})"),
    };
    work.line(&text);
}

pub(super) fn useradd(work: &mut Work<'_>, words: Words) {
    let Some(name) = words.operands.last().cloned() else { return work.fail("missing user name") };
    let system = words.has("r");
    let home = words.value("d").map_or_else(|| format!("/home/{name}"), str::to_owned);
    let shell = words.value("s").unwrap_or("/bin/sh");
    let with_home = words.has("m") || (work.name == "adduser" && !words.has("M"));
    let done = (|| {
        let mut disk = lock(work.disk);
        if entry(&disk, PASSWD, &name).is_some_and(|fields| fields[0] == name) {
            return Err((9, format!("user '{name}' already exists")));
        }
        let full = |error: DiskError| (1, error.to_string());
        let number = match words.value("u") {
            Some(text) => text.parse().map_err(|_| (3, format!("invalid user ID '{text}'")))?,
            None => free(&disk, system),
        };
        let own = match words.value("g") {
            Some(asked) => {
                let found = Accounts::Groups.find(&disk, asked).filter(|name| entry(&disk, GROUP, name).is_some());
                let group = found.ok_or_else(|| (6, format!("group '{asked}' does not exist")))?;
                Accounts::Groups.number(&disk, &group)
            }
            None => {
                if entry(&disk, GROUP, &name).is_some_and(|fields| fields[0] == name) {
                    let message = format!("group {name} exists - if you want to add this user to that group, use -g.");
                    return Err((9, message));
                }
                add_group(&mut disk, &name, number).map_err(full)?;
                number
            }
        };
        add_user(&mut disk, &name, number, own, &home, shell).map_err(full)?;
        if with_home {
            let group = login_group(&disk, &name);
            disk.mkdir_all(&home).map_err(full)?;
            disk.update(&home, |node| (node.owner, node.group) = (name.clone(), group)).map_err(full)?;
        }
        Ok(())
    })();
    told(work, done)
}

fn told(work: &mut Work<'_>, done: Result<(), (i32, String)>) {
    match done {
        Ok(()) => work.note(),
        Err((status, message)) => work.fail_with(status, message),
    }
}

pub(super) fn groupadd(work: &mut Work<'_>, words: Words) {
    let Some(name) = words.operands.last().cloned() else { return work.fail("missing group name") };
    let done = (|| {
        let mut disk = lock(work.disk);
        if entry(&disk, GROUP, &name).is_some_and(|fields| fields[0] == name) {
            // `groupadd -f` is content with that.
            return if words.has("f") { Ok(()) } else { Err((9, format!("group '{name}' already exists"))) };
        }
        let number = match words.value("g") {
            Some(text) => text.parse().map_err(|_| (3, format!("invalid group ID '{text}'")))?,
            None => free(&disk, words.has("r")),
        };
        add_group(&mut disk, &name, number).map_err(|error| (1, error.to_string()))
    })();
    told(work, done)
}

/// Takes the lines of a name out of its files.
pub(super) fn remove(work: &mut Work<'_>, words: Words) {
    let files: &[&str] = if work.name.contains("user") { &[PASSWD, GROUP] } else { &[GROUP] };
    let name = words.operands.last().cloned().unwrap_or_default();
    let done = (|| {
        let mut disk = lock(work.disk);
        if entry(&disk, files[0], &name).is_none_or(|fields| fields[0] != name) {
            return Err((6, format!("'{name}' does not exist")));
        }
        for file in files {
            let start = format!("{name}:");
            let rest: String = disk.text(file).split_inclusive('\n').filter(|line| !line.starts_with(&start)).collect();
            disk.write(file, rest.as_bytes()).map_err(|error| (1, error.to_string()))?;
        }
        Ok(())
    })();
    told(work, done)
}

/// `getent`: 2 where one of the keys is not found.
pub(super) fn getent(work: &mut Work<'_>, words: Words) {
    let Some((database, keys)) = words.operands.split_first() else { return work.fail("wrong number of arguments") };
    let file = match database.as_str() {
        "passwd" => PASSWD,
        "group" => GROUP,
        "hosts" | "ahosts" | "ahostsv4" => "/etc/hosts",
        other => return work.fail(format!("Unknown database: {other}")),
    };
    let text = lock(work.disk).text(file);
    let lines = if file == "/etc/hosts" {
        hosts(&text)
    } else {
        text.lines().map(|line| (line.split(':').map(str::to_owned).collect(), line.to_owned())).collect()
    };
    let is = |names: &[String], key: &String| {
        if file == "/etc/hosts" { names.contains(key) } else { names[0] == *key || names.get(2) == Some(key) }
    };
    let found: Vec<String> = if keys.is_empty() {
        lines.into_iter().map(|(_, line)| line).collect()
    } else {
        let mut found = Vec::new();
        for key in keys {
            match lines.iter().find(|(names, _)| is(names, key)) {
                Some((_, line)) => found.push(line.clone()),
                None => work.status = 2,
            }
        }
        found
    };
    for line in found {
        work.line(&line);
    }
}

/// The lines of `/etc/hosts`: what each is found by, and how `getent` prints it.
fn hosts(text: &str) -> Vec<(Vec<String>, String)> {
    let words = |line: &str| line.split('#').next().unwrap_or_default().split_whitespace().map(str::to_owned).collect();
    let lines = text.lines().map(words).filter(|words: &Vec<String>| words.len() > 1);
    lines.map(|words| (words.clone(), format!("{:<15} {}", words[0], words[1..].join(" ")))).collect()
}
