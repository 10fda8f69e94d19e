//! Users and groups, as `/etc/passwd` and `/etc/group` have them, and names of machines, as `/etc/hosts` has them.

use super::{
    super::super::{
        disk::{Accounts, Disk, DiskError, add_group, add_user, free, login_group},
        machine::lock,
    },
    Plain, Work,
    system::note,
};

const PASSWD: &str = "/etc/passwd";
const GROUP: &str = "/etc/group";

pub(super) fn find(name: &str) -> Option<Plain> {
    Some(match name {
        "id" => id,
        "useradd" | "adduser" => useradd,
        "groupadd" | "addgroup" => groupadd,
        "userdel" | "deluser" => |work| remove(work, &[PASSWD, GROUP]),
        "groupdel" | "delgroup" => |work| remove(work, &[GROUP]),
        "getent" => getent,
        _ => return None,
    })
}

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

fn id(work: &mut Work<'_>) -> i32 {
    let flag = |letter: char| {
        work.arguments.iter().any(|argument| {
            argument.strip_prefix('-').is_some_and(|short| !short.starts_with('-') && short.contains(letter))
        })
    };
    let (user, groups, group, names) = (flag('u'), flag('G'), flag('g'), flag('n'));
    let name = work.arguments.iter().find(|argument| !argument.starts_with('-')).cloned();
    let name = name.unwrap_or_else(|| "root".to_owned());
    let found = {
        let disk = lock(work.disk);
        entry(&disk, PASSWD, &name).map(|fields| {
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
    0
}

/// The value of an option, however it is written.
fn valued(work: &Work<'_>, names: &[&str]) -> Option<String> {
    let mut words = work.arguments.iter();
    while let Some(word) = words.next() {
        if names.contains(&word.as_str()) {
            return words.next().cloned();
        }
        if let Some((name, value)) = word.split_once('=')
            && names.contains(&name)
        {
            return Some(value.to_owned());
        }
    }
    None
}

fn given(work: &Work<'_>, names: &[&str]) -> bool {
    work.arguments.iter().any(|word| names.contains(&word.as_str()))
}

fn useradd(work: &mut Work<'_>) -> i32 {
    let Some(name) = work.arguments.last().filter(|name| !name.starts_with('-')).cloned() else {
        return work.fail("missing user name");
    };
    let asked = valued(work, &["-g", "--gid", "--ingroup"]);
    let system = given(work, &["-r", "--system"]);
    let home = valued(work, &["-d", "--home-dir", "--home"]).unwrap_or_else(|| format!("/home/{name}"));
    let shell = valued(work, &["-s", "--shell"]).unwrap_or_else(|| "/bin/sh".to_owned());
    let with_home =
        given(work, &["-m", "--create-home"]) || (work.name == "adduser" && !given(work, &["--no-create-home"]));
    let uid = valued(work, &["-u", "--uid"]);
    let done = (|| {
        let mut disk = lock(work.disk);
        if entry(&disk, PASSWD, &name).is_some_and(|fields| fields[0] == name) {
            return Err((9, format!("user '{name}' already exists")));
        }
        let full = |error: DiskError| (1, error.to_string());
        let number = match uid {
            Some(text) => text.parse().map_err(|_| (3, format!("invalid user ID '{text}'")))?,
            None => free(&disk, system),
        };
        let own = match asked {
            Some(asked) => {
                let found = Accounts::Groups.find(&disk, &asked).filter(|name| entry(&disk, GROUP, name).is_some());
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
        add_user(&mut disk, &name, number, own, &home, &shell).map_err(full)?;
        if with_home {
            let group = login_group(&disk, &name);
            disk.mkdir_all(&home).map_err(full)?;
            disk.update(&home, |node| (node.owner, node.group) = (name.clone(), group)).map_err(full)?;
        }
        Ok(())
    })();
    told(work, done)
}

fn told(work: &mut Work<'_>, done: Result<(), (i32, String)>) -> i32 {
    match done {
        Ok(()) => note(work),
        Err((status, message)) => {
            work.fail(message);
            status
        }
    }
}

fn groupadd(work: &mut Work<'_>) -> i32 {
    let Some(name) = work.arguments.last().filter(|name| !name.starts_with('-')).cloned() else {
        return work.fail("missing group name");
    };
    let (asked, system) = (valued(work, &["-g", "--gid"]), given(work, &["-r", "--system"]));
    let done = (|| {
        let mut disk = lock(work.disk);
        if entry(&disk, GROUP, &name).is_some_and(|fields| fields[0] == name) {
            // `groupadd -f` is content with that.
            let content = work.arguments.iter().any(|word| word == "-f" || word == "--force");
            return if content { Ok(()) } else { Err((9, format!("group '{name}' already exists"))) };
        }
        let number = match asked {
            Some(text) => text.parse().map_err(|_| (3, format!("invalid group ID '{text}'")))?,
            None => free(&disk, system),
        };
        add_group(&mut disk, &name, number).map_err(|error| (1, error.to_string()))
    })();
    told(work, done)
}

/// Takes the lines of a name out of files.
fn remove(work: &mut Work<'_>, files: &[&str]) -> i32 {
    let name = work.arguments.last().cloned().unwrap_or_default();
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
fn getent(work: &mut Work<'_>) -> i32 {
    let Some((database, keys)) = work.arguments.split_first() else { return work.fail("wrong number of arguments") };
    let file = match database.as_str() {
        "passwd" => PASSWD,
        "group" => GROUP,
        "hosts" | "ahosts" | "ahostsv4" => "/etc/hosts",
        other => {
            work.fail(format!("Unknown database: {other}"));
            return 1;
        }
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
    let mut status = 0;
    let found: Vec<String> = if keys.is_empty() {
        lines.into_iter().map(|(_, line)| line).collect()
    } else {
        let mut found = Vec::new();
        for key in keys {
            match lines.iter().find(|(names, _)| is(names, key)) {
                Some((_, line)) => found.push(line.clone()),
                None => status = 2,
            }
        }
        found
    };
    for line in found {
        work.line(&line);
    }
    status
}

/// The lines of `/etc/hosts`: what each is found by, and how `getent` prints it.
fn hosts(text: &str) -> Vec<(Vec<String>, String)> {
    let words = |line: &str| line.split('#').next().unwrap_or_default().split_whitespace().map(str::to_owned).collect();
    let lines = text.lines().map(words).filter(|words: &Vec<String>| words.len() > 1);
    lines.map(|words| (words.clone(), format!("{:<15} {}", words[0], words[1..].join(" ")))).collect()
}
