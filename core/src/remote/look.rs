//! What a machine has before files are copied to it: what its paths are, and the numbers of its users.

use std::{
    fmt::Write,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

use super::{Command, Owner, RemoteError, Session, command::quote_bytes};

/// What a path of a machine is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// Nothing is there.
    Missing,
    /// A folder, not a link to one.
    Folder,
    /// A link that leads to a folder.
    LinkToFolder,
    /// A link that leads nowhere.
    Dangling,
    /// A file, a link to one, or something special.
    Other,
}

impl Found {
    /// Whether files can be put into it.
    pub fn is_folder(self) -> bool {
        matches!(self, Self::Folder | Self::LinkToFolder)
    }
}

/// How many paths one command looks at: a few hundred kilobytes of shell at most.
const AT_ONCE: usize = 1000;

const LOOK: &str = r#"look() {
if [ -d "$1" ]; then if [ -h "$1" ]; then echo link; else echo folder; fi
elif [ -e "$1" ]; then echo other
elif [ -h "$1" ]; then echo dangling
else echo missing; fi
}
"#;

/// `chown` itself says what a name means, numbers and `user:` included, and which name is unknown.
const OWNER: &str = r#"file=$(mktemp)
if chown -- "$OWNER" "$file"; then stat -c 'numbers %u %g' "$file"; rm -f "$file"; else rm -f "$file"; exit 1; fi"#;

impl dyn Session + '_ {
    /// What absolute paths of the machine are, in their order. They may be of any bytes.
    ///
    /// # Errors
    ///
    /// [`RemoteError::Transfer`] when the machine's answer makes no sense, [`RemoteError::ConnectionLost`].
    pub async fn look(&self, paths: &[PathBuf]) -> Result<Vec<Found>, RemoteError> {
        let mut found = Vec::with_capacity(paths.len());
        for some in paths.chunks(AT_ONCE) {
            let mut lines = LOOK.to_owned();
            for path in some {
                let _ = writeln!(lines, "look {}", quote_bytes(path.as_os_str().as_bytes()));
            }
            let (outcome, text) = self.capture(&Command::shell(lines)).await?;
            let before = found.len();
            found.extend(text.lines().filter_map(|line| match line {
                "missing" => Some(Found::Missing),
                "folder" => Some(Found::Folder),
                "link" => Some(Found::LinkToFolder),
                "dangling" => Some(Found::Dangling),
                "other" => Some(Found::Other),
                _ => None,
            }));
            if !outcome.exit.is_success() || found.len() != before + some.len() {
                let reason = if outcome.tail.is_empty() { outcome.exit.to_string() } else { outcome.tail.join("; ") };
                let first = some.first().map_or(Path::new("/"), PathBuf::as_path);
                return Err(RemoteError::Transfer { operation: "look at", path: first.display().to_string(), reason });
            }
        }
        Ok(found)
    }

    /// The numbers of a `user` or `user:group`. Without a group it is that of the user who is logged in.
    ///
    /// # Errors
    ///
    /// [`RemoteError::Owner`] when the machine knows no such user or group.
    pub async fn owner(&self, owner: &str) -> Result<Owner, RemoteError> {
        let unknown = |reason: String| RemoteError::Owner { owner: owner.to_owned(), reason };
        // For `chown` these are nobody in particular: it does nothing, and succeeds.
        if owner.is_empty() || owner == ":" {
            return Err(unknown("it names nobody".to_owned()));
        }
        let (outcome, text) = self.capture(&Command::shell(OWNER).env("OWNER", owner)).await?;
        let numbers = text.lines().find_map(|line| {
            let (user, group) = line.strip_prefix("numbers ")?.split_once(' ')?;
            Some(Owner { user: user.parse().ok()?, group: group.parse().ok()? })
        });
        numbers.filter(|_| outcome.exit.is_success()).ok_or_else(|| {
            let said = outcome.tail.iter().map(|line| line.strip_prefix("chown: ").unwrap_or(line));
            unknown(said.collect::<Vec<_>>().join("; "))
        })
    }
}
