//! Gives the service's configuration to its owner.
//!
//! `write_files` runs before `users`, fails for a user that is not there yet, and sets no group where none is named: the user's own
//! is not known to cloud-init. So the file is written without a word about its owner, and two commands give it away: one before it,
//! for users of the image, whose units may start right after; one in `runcmd`, once the users of all parts and packages are there,
//! before the units are restarted. The second one fails where there is no such user, and says so.

use serde_json::{Value, json};

use crate::remote::quote;

/// What a line starts with that a command of Remint's own part of the user data writes.
pub(crate) const SAYS: &str = "remint: ";
/// What `write_files` reads as: leave the owner as it is.
pub(super) const KEPT: &str = "none:none";

/// Makes the file, unless it is there, so that it has its owner before it has its content.
const EARLY: &str = "test -e \"$1\" || { mkdir -p \"${1%/*}\" && : >\"$1\" && chmod 600 \"$1\" && chown \"$2\" \"$1\" 2>/dev/null; } || true";

/// The command for `bootcmd`, which runs before `write_files`.
pub(super) fn early(path: &str, owner: &str) -> Value {
    json!(["sh", "-c", EARLY, "sh", path, spec(owner)])
}

/// The line for `runcmd`. A script of the shell goes on after a command that failed: this one ends it.
pub(super) fn late(path: &str, owner: &str) -> Value {
    let user = owner.split(':').next().unwrap_or_default();
    let script = format!(
        "case $2 in *[!0-9]*) id \"$2\" >/dev/null 2>&1 || {{ echo \"{SAYS}there is no user \\`$2\\`, who is the owner in \
         \\`[config]\\`: create the user in the image, or in \\`users\\` of a part of the user data\"; exit 1; }} ;; esac; chown \
         \"$3\" \"$1\" || {{ echo \"{SAYS}cannot give $1 to \\`$3\\`, the owner in \\`[config]\\`: is there such a group?\"; exit \
         1; }}"
    );
    let words = ["sh", "-c", &script, "sh", path, user, &spec(owner)].map(quote);
    json!(format!("{} || exit 1", words.join(" ")))
}

/// The owner as `chown` takes it: with a colon and no group, the group is the user's own.
fn spec(owner: &str) -> String {
    if owner.contains(':') { owner.to_owned() } else { format!("{owner}:") }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs the line on this machine; gives the status and what it says.
    fn run(path: &str, owner: &str) -> (Option<i32>, String) {
        let line = late(path, owner);
        let script = format!("{}\necho after\n", line.as_str().unwrap());
        let output = std::process::Command::new("sh").args(["-c", &script]).output().unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    }

    #[test]
    fn an_unknown_user_or_group_ends_the_script_and_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("it's.env");
        std::fs::write(&file, "").unwrap();
        let path = file.to_str().unwrap();
        for owner in ["no-such-user", "no-such-user:root"] {
            let (status, said) = run(path, owner);
            assert_eq!(status, Some(1), "{said}");
            assert!(
                said.starts_with("remint: there is no user `no-such-user`, who is the owner in `[config]`"),
                "{said}"
            );
            assert!(!said.contains("after"), "{said}");
        }
        let (status, said) = run(path, "root:no-such-group");
        assert_eq!(status, Some(1));
        assert!(said.starts_with(&format!("remint: cannot give {path} to `root:no-such-group`")), "{said}");
    }

    #[test]
    fn a_user_alone_gets_the_file_with_the_users_own_group() {
        use std::os::unix::fs::MetadataExt;
        // Only root gives files away; `nobody` has a group of another name, and a number that is root's own everywhere.
        let ids = std::process::Command::new("sh").args(["-c", "id -u; id -u nobody; id -g nobody"]).output().unwrap();
        let text = String::from_utf8(ids.stdout).unwrap();
        let [me, user, group] = text.split_whitespace().map(|id| id.parse().unwrap()).collect::<Vec<u32>>()[..] else {
            return;
        };
        if me != 0 {
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("new/app.env");
        let early = early(path.to_str().unwrap(), "nobody");
        let words: Vec<&str> = early.as_array().unwrap().iter().map(|word| word.as_str().unwrap()).collect();
        for _ in 0..2 {
            assert!(std::process::Command::new(words[0]).args(&words[1..]).status().unwrap().success());
        }
        let owner = || {
            let metadata = std::fs::metadata(&path).unwrap();
            (metadata.uid(), metadata.gid(), metadata.mode() & 0o777)
        };
        assert_eq!(owner(), (user, group, 0o600));
        std::os::unix::fs::chown(&path, Some(0), Some(0)).unwrap();
        assert_eq!(run(path.to_str().unwrap(), "nobody"), (Some(0), "after\n".to_owned()));
        assert_eq!(owner(), (user, group, 0o600));
        assert_eq!(run(path.to_str().unwrap(), "nobody:root").0, Some(0));
        assert_eq!(owner(), (user, 0, 0o600));
    }
}
