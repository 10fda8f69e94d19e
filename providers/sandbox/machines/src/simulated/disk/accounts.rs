//! The users and groups of a machine: names and numbers, as `/etc/passwd` and `/etc/group` have them.
//!
//! A node's owner is a name. A number that no user has stands for itself.

use super::{Disk, DiskError};

/// The number that belongs to nobody in particular.
const NOBODY: u64 = 65534;

/// The number of the first user and of the first group that are no part of the system.
const FIRST: u64 = 1000;

/// Which of the two files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Accounts {
    /// `/etc/passwd`.
    Users,
    /// `/etc/group`.
    Groups,
}

impl Accounts {
    fn file(self) -> &'static str {
        match self {
            Self::Users => "/etc/passwd",
            Self::Groups => "/etc/group",
        }
    }

    /// All names with their numbers.
    fn all(self, disk: &Disk) -> Vec<(String, u64)> {
        let text = disk.text(self.file());
        let entry = |line: &str| {
            let mut fields = line.split(':');
            let (name, number) = (fields.next()?, fields.nth(1)?);
            Some((name.to_owned(), number.parse().ok()?))
        };
        text.lines().filter_map(entry).collect()
    }

    /// The owner that a name or number means; none where there is no such name.
    pub(crate) fn find(self, disk: &Disk, text: &str) -> Option<String> {
        if self.all(disk).iter().any(|(name, _)| name == text) {
            return Some(text.to_owned());
        }
        text.parse()
            .ok()
            .filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()))
            .map(|number| self.name(disk, number))
    }

    /// The name of a number.
    pub(crate) fn name(self, disk: &Disk, number: u64) -> String {
        let named = self.all(disk).into_iter().find(|(_, known)| *known == number);
        named.map_or_else(|| number.to_string(), |(name, _)| name)
    }

    /// The number of an owner.
    pub(crate) fn number(self, disk: &Disk, owner: &str) -> u64 {
        let known = self.all(disk).into_iter().find(|(name, _)| name == owner).map(|(_, number)| number);
        known.or_else(|| owner.parse().ok()).unwrap_or(NOBODY)
    }
}

/// The owner and group that `chown` is told: `user`, `user:group`, `user:`, `:group`. The error is what `chown` says.
pub(crate) fn owners(disk: &Disk, text: &str) -> Result<(Option<String>, Option<String>), String> {
    let (user, group) = match text.split_once(':') {
        Some((user, group)) => (user, Some(group)),
        None => (text, None),
    };
    let owner = match user {
        "" => None,
        user => Some(Accounts::Users.find(disk, user).ok_or_else(|| format!("invalid user: '{text}'"))?),
    };
    let group = match group {
        None => None,
        Some("") => owner.as_deref().map(|user| login_group(disk, user)),
        Some(group) => Some(Accounts::Groups.find(disk, group).ok_or_else(|| format!("invalid group: '{text}'"))?),
    };
    Ok((owner, group))
}

/// The group that a user has at login.
pub(crate) fn login_group(disk: &Disk, user: &str) -> String {
    let text = disk.text(Accounts::Users.file());
    let line = text.lines().find(|line| line.split(':').next() == Some(user));
    let number = line.and_then(|line| line.split(':').nth(3)).and_then(|number| number.parse().ok());
    Accounts::Groups.name(disk, number.unwrap_or(NOBODY))
}

/// A number that neither a user nor a group has: of the system's own counted down from 999, of others up from 1000.
pub(crate) fn free(disk: &Disk, system: bool) -> u64 {
    let known: Vec<_> = [Accounts::Users, Accounts::Groups].iter().flat_map(|accounts| accounts.all(disk)).collect();
    let taken = |number: &u64| known.iter().any(|(_, other)| other == number);
    let found = if system { (100..FIRST).rev().find(|id| !taken(id)) } else { (FIRST..60_000).find(|id| !taken(id)) };
    found.unwrap_or(FIRST)
}

/// Adds a group under a number.
pub(crate) fn add_group(disk: &mut Disk, name: &str, number: u64) -> Result<(), DiskError> {
    disk.append(Accounts::Groups.file(), format!("{name}:x:{number}:\n").as_bytes())
}

/// Adds a user under a number, with the number of the group that it has at login.
pub(crate) fn add_user(
    disk: &mut Disk,
    name: &str,
    number: u64,
    group: u64,
    home: &str,
    shell: &str,
) -> Result<(), DiskError> {
    disk.append(Accounts::Users.file(), format!("{name}:x:{number}:{group}::{home}:{shell}\n").as_bytes())
}
