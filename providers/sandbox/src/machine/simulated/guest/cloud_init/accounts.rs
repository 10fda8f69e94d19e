//! Users and groups: `users`, `groups`, and the owners of files.

use serde_json::{Map, Value};

use super::{
    super::super::disk::{Disk, DiskError},
    apply::list,
};

/// The first number of a user whom nobody gave one.
const FIRST: usize = 1000;

fn names(disk: &Disk, file: &str) -> Vec<String> {
    disk.text(file).lines().filter_map(|line| line.split(':').next()).map(str::to_owned).collect()
}

/// Adds what `groups` and `users` name and the machine does not have. A text names several, with commas.
pub(super) fn make(disk: &mut Disk, config: &Map<String, Value>) -> Result<(), DiskError> {
    for entry in list(config.get("groups")) {
        let named: Vec<String> = match &entry {
            Value::String(text) => text.split(',').map(|name| name.trim().to_owned()).collect(),
            Value::Object(map) => map.keys().cloned().collect(),
            _ => Vec::new(),
        };
        for name in named {
            group(disk, &name)?;
        }
    }
    for entry in list(config.get("users")) {
        match &entry {
            Value::String(text) => {
                for name in text.split(',').map(str::trim).filter(|name| *name != "default") {
                    user(disk, name, None)?;
                }
            }
            Value::Object(map) => {
                if let Some(name) = map.get("name").and_then(Value::as_str) {
                    let primary = map.get("primary_group").or_else(|| map.get("primary-group")).and_then(Value::as_str);
                    user(disk, name, primary)?;
                }
            }
            _ => {}
        }
    }
    Ok(())
}

fn group(disk: &mut Disk, name: &str) -> Result<usize, DiskError> {
    let known = disk.text("/etc/group");
    let of_name = |line: &str| {
        let mut fields = line.split(':');
        (fields.next() == Some(name)).then(|| fields.nth(1).and_then(|id| id.parse().ok())).flatten()
    };
    if let Some(id) = known.lines().find_map(of_name) {
        return Ok(id);
    }
    let id = FIRST + known.lines().count();
    disk.append("/etc/group", format!("{name}:x:{id}:\n").as_bytes())?;
    Ok(id)
}

fn user(disk: &mut Disk, name: &str, primary: Option<&str>) -> Result<(), DiskError> {
    let known = names(disk, "/etc/passwd");
    if name.is_empty() || known.iter().any(|user| user == name) {
        return Ok(());
    }
    let gid = group(disk, primary.unwrap_or(name))?;
    let uid = FIRST + known.len();
    disk.append("/etc/passwd", format!("{name}:x:{uid}:{gid}::/home/{name}:/bin/sh\n").as_bytes())
}

/// The user and the group of `user:group`; each may be left as it is, by no name, `none` or `-1`.
pub(super) fn owner(disk: &Disk, text: &str) -> Result<(Option<String>, Option<String>), String> {
    let (user, group) = text.split_once(':').unwrap_or((text, ""));
    let named = |name: &str| {
        let name = name.trim();
        let kept = name.is_empty() || name == "-1" || name.eq_ignore_ascii_case("none");
        (!kept).then(|| if name == "0" { "root".to_owned() } else { name.to_owned() })
    };
    let (user, group) = (named(user), named(group));
    for (name, file, call) in [(&user, "/etc/passwd", "getpwnam"), (&group, "/etc/group", "getgrnam")] {
        if let Some(name) = name.as_ref().filter(|name| !names(disk, file).contains(name)) {
            return Err(format!("Unknown user or group: \"{call}(): name not found: '{name}'\""));
        }
    }
    Ok((user, group))
}
