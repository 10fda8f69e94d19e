//! Users and groups: `users`, `groups`, and the owners of files.

use serde_json::{Map, Value};

use super::parts::list;
use crate::simulated::disk::{Accounts, Disk, DiskError, add_group, add_user, free};

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

fn group(disk: &mut Disk, name: &str) -> Result<u64, DiskError> {
    if Accounts::Groups.find(disk, name).is_none() {
        let number = free(disk, false);
        add_group(disk, name, number)?;
    }
    Ok(Accounts::Groups.number(disk, name))
}

fn user(disk: &mut Disk, name: &str, primary: Option<&str>) -> Result<(), DiskError> {
    if name.is_empty() || Accounts::Users.find(disk, name).is_some() {
        return Ok(());
    }
    let number = free(disk, false);
    let own = group(disk, primary.unwrap_or(name))?;
    add_user(disk, name, number, own, &format!("/home/{name}"), "/bin/sh")
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
    for (name, accounts, call) in [(&user, Accounts::Users, "getpwnam"), (&group, Accounts::Groups, "getgrnam")] {
        if let Some(name) = name.as_ref().filter(|name| accounts.find(disk, name).is_none()) {
            return Err(format!("Unknown user or group: \"{call}(): name not found: '{name}'\""));
        }
    }
    Ok((user, group))
}
