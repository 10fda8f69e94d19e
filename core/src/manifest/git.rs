//! `${git.…}`: what the repository around the manifest says, asked only when it is used.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Mutex,
};

/// The names below `git`.
pub(crate) const NAMES: &[&str] = &["sha", "short", "branch", "dirty"];

/// Asks the `git` command, each question once.
#[derive(Debug)]
pub(crate) struct Git {
    folder: PathBuf,
    known: Mutex<BTreeMap<String, Result<String, String>>>,
}

impl Git {
    pub(crate) fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), known: Mutex::default() }
    }

    /// The value of one of [`NAMES`].
    pub(crate) fn get(&self, name: &str) -> Result<String, String> {
        let mut known = self.known.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        known.entry(name.to_owned()).or_insert_with(|| self.ask(name)).clone()
    }

    fn ask(&self, name: &str) -> Result<String, String> {
        match name {
            "sha" => self.run(&["rev-parse", "HEAD"]),
            // Not `--short`: how short that is depends on the clone.
            "short" => Ok(self.run(&["rev-parse", "HEAD"])?.chars().take(12).collect()),
            "branch" => self.run(&["rev-parse", "--abbrev-ref", "HEAD"]),
            _ => Ok((!self.run(&["status", "--porcelain"])?.is_empty()).to_string()),
        }
    }

    fn run(&self, args: &[&str]) -> Result<String, String> {
        let output = Command::new("git")
            .arg("-C")
            .arg(&self.folder)
            .args(args)
            .env("LC_ALL", "C")
            .stdin(Stdio::null())
            .output()
            .map_err(|error| format!("cannot run `git`: {error}"))?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned());
        }
        let said = String::from_utf8_lossy(&output.stderr);
        let reason = said.lines().next().unwrap_or("it failed").trim_start_matches("fatal: ");
        Err(format!("`git {}` in {}: {reason}", args.join(" "), self.folder.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_commit_branch_and_dirt() {
        let dir = tempfile::tempdir().unwrap();
        let run = |args: &[&str]| {
            let settings = ["-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false"];
            let status =
                Command::new("git").arg("-C").arg(dir.path()).args(settings).args(args).output().unwrap().status;
            assert!(status.success(), "{args:?}");
        };
        run(&["init", "--quiet", "--initial-branch", "trunk"]);
        run(&["commit", "--quiet", "--allow-empty", "-m", "one"]);
        let git = Git::new(dir.path());
        let sha = git.get("sha").unwrap();
        assert_eq!(sha.len(), 40);
        assert_eq!(git.get("short").unwrap(), sha[..12]);
        assert_eq!(git.get("branch").unwrap(), "trunk");
        assert_eq!(git.get("dirty").unwrap(), "false");
        std::fs::write(dir.path().join("new"), "").unwrap();
        assert_eq!(git.get("dirty").unwrap(), "false", "asked once");
        assert_eq!(Git::new(dir.path()).get("dirty").unwrap(), "true");
    }
}
