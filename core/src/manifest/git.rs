//! `${git.…}`: what the repository around the manifest says, asked only when it is used.
//!
//! A repository is data, and may come from anybody. Its settings and attributes can name programs: a file system monitor,
//! filters, hooks, transports that fetch missing objects. None of them is run. Commit and branch are read by `rev-parse`,
//! which starts nothing. For `git status`, the `git` program gets a repository folder of ours with the real index and objects,
//! and of the real settings only those that say how files are compared.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Mutex,
};

/// The names below `git`.
pub(crate) const NAMES: &[&str] = &["sha", "short", "branch", "dirty"];

/// What `git` needs of this process's environment: where the user's own settings are. `GIT_…` variables are not among them.
const KEPT: [&str; 4] = ["HOME", "XDG_CONFIG_HOME", "TMPDIR", "SUDO_UID"];

/// Switches off, on the command line, what a repository's settings may switch on.
const INERT: [&str; 9] = [
    "--no-pager",
    "-c",
    "core.fsmonitor=false",
    "-c",
    "core.hooksPath=/dev/null",
    "-c",
    "protocol.allow=never",
    "-c",
    "safe.bareRepository=explicit",
];

/// The settings that say how files are compared with the index, and name nothing that could be run or read.
const COMPARISON: &str = "^core\\.(filemode|symlinks|ignorecase|precomposeunicode|autocrlf|eol|trustctime|checkstat)$";

/// The largest `info/exclude` that is respected, in bytes.
const LARGEST_EXCLUDE: u64 = 1 << 20;

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

    /// Asks git once for each of [`NAMES`]. The error is a fragment for a diagnostic.
    pub(crate) fn get(&self, name: &str) -> Result<String, String> {
        let mut known = self.known.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        known.entry(name.to_owned()).or_insert_with(|| self.ask(name)).clone()
    }

    fn ask(&self, name: &str) -> Result<String, String> {
        let repository = Repository::find(&self.folder)?;
        match name {
            "sha" => repository.head(),
            // Not `--short`: how short that is depends on the clone.
            "short" => Ok(repository.head()?.chars().take(12).collect()),
            "branch" => repository.read(&["rev-parse", "--abbrev-ref", "HEAD"]),
            _ => Ok(repository.is_dirty()?.to_string()),
        }
    }
}

/// A checkout: a folder with a `.git` in it. A folder that itself looks like a bare repository is none.
#[derive(Debug)]
struct Repository {
    git: PathBuf,
    top: PathBuf,
}

impl Repository {
    /// The one that a folder is in.
    fn find(folder: &Path) -> Result<Self, String> {
        let git = program().ok_or("cannot run `git`: there is none in the folders of PATH")?;
        let full = fs::canonicalize(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        let is_one = |folder: &&Path| {
            let inner = folder.join(".git");
            inner.is_file() || inner.join("HEAD").symlink_metadata().is_ok()
        };
        let top = full.ancestors().find(is_one);
        let top = top.ok_or_else(|| format!("{} is not in a git repository", folder.display()))?;
        Ok(Self { git, top: top.to_owned() })
    }

    fn head(&self) -> Result<String, String> {
        self.read(&["rev-parse", "--verify", "HEAD"])
    }

    /// Runs a command that only reads references and settings.
    fn read(&self, args: &[&str]) -> Result<String, String> {
        let mut command = self.command();
        // The search ends where the checkout was found: `git` itself then checks whose it is.
        command.env("GIT_CEILING_DIRECTORIES", self.top.parent().unwrap_or(&self.top)).args(args);
        self.run(command, args)
    }

    /// Whether something in the checkout is not committed: a file that was changed, added or removed, or a submodule that
    /// stands at another commit.
    fn is_dirty(&self) -> Result<bool, String> {
        let known = self.read(&["rev-parse", "--absolute-git-dir", "--git-common-dir", "--show-object-format"])?;
        let mut known = known.lines();
        let (Some(own), Some(common), Some(format), None) = (known.next(), known.next(), known.next(), known.next())
        else {
            return Err(format!("the repository in {} has a path of several lines", self.top.display()));
        };
        let (own, common) = (PathBuf::from(own), self.top.join(common));
        let failed = |error: std::io::Error| format!("cannot make a folder for git: {error}");
        let ours = tempfile::tempdir().map_err(failed)?;
        self.fill(ours.path(), &own, &common, format).map_err(failed)?;
        let mut command = self.command();
        command
            .env("GIT_DIR", ours.path())
            .env("GIT_WORK_TREE", &self.top)
            .env("GIT_INDEX_FILE", own.join("index"))
            .env("GIT_OBJECT_DIRECTORY", common.join("objects"))
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_GLOBAL", "/dev/null");
        // What the user ignores everywhere is the user's own setting, and not the repository's.
        if let Some(ignored) = self.users_excludes() {
            command.args(["-c", &format!("core.excludesFile={ignored}")]);
        }
        // A submodule's own folder is not looked into: that would run `git` under the submodule's settings.
        let args = ["status", "--porcelain", "--no-renames", "--untracked-files=normal", "--ignore-submodules=dirty"];
        command.args(args);
        Ok(!self.run(command, &["status"])?.is_empty())
    }

    /// Makes a repository folder that has nothing of the real one but what it is to be compared with.
    fn fill(&self, ours: &Path, own: &Path, common: &Path, format: &str) -> std::io::Result<()> {
        for folder in ["objects", "refs", "info"] {
            fs::create_dir(ours.join(folder))?;
        }
        let head = self.head().unwrap_or_else(|_| "ref: refs/heads/unborn".to_owned());
        fs::write(ours.join("HEAD"), head)?;
        let version = if format == "sha1" { "0" } else { "1\n[extensions]\n\tobjectFormat = sha256" };
        let settings = self.comparison();
        fs::write(
            ours.join("config"),
            format!("[core]\n\tbare = false\n{settings}\trepositoryformatversion = {version}\n"),
        )?;
        let exclude = common.join("info/exclude");
        if fs::metadata(&exclude).is_ok_and(|file| file.is_file() && file.len() <= LARGEST_EXCLUDE) {
            fs::copy(&exclude, ours.join("info/exclude"))?;
        }
        // An index may be split, and name its other part.
        for entry in fs::read_dir(own)? {
            let entry = entry?;
            if entry.file_name().to_string_lossy().starts_with("sharedindex.") {
                std::os::unix::fs::symlink(entry.path(), ours.join(entry.file_name()))?;
            }
        }
        Ok(())
    }

    /// The lines of [`COMPARISON`] that the repository or the user sets, as far as they are plain words.
    fn comparison(&self) -> String {
        let mut out = String::new();
        let Ok(found) = self.read(&["config", "--null", "--get-regexp", COMPARISON]) else { return out };
        for setting in found.split('\0') {
            let (key, value) = setting.split_once('\n').unwrap_or((setting, "true"));
            let key = key.strip_prefix("core.").unwrap_or_default();
            let plain = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
            if plain(key) && plain(value) {
                out.push_str(&format!("\t{key} = {value}\n"));
            }
        }
        out
    }

    /// The file of what the user ignores everywhere, where it is not at its usual place.
    fn users_excludes(&self) -> Option<String> {
        let args = ["config", "--global", "--type=path", "--get", "core.excludesFile"];
        self.read(&args).ok().filter(|path| !path.is_empty())
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.git);
        command.env_clear().current_dir(&self.top).stdin(Stdio::null()).args(INERT);
        for name in KEPT {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        command
            .env("PATH", folders())
            .env("LC_ALL", "C")
            .env("GIT_OPTIONAL_LOCKS", "0")
            .env("GIT_NO_LAZY_FETCH", "1")
            .env("GIT_TERMINAL_PROMPT", "0");
        command
    }

    /// What `git` says is not passed on: it quotes files, and which ones a repository's settings may choose.
    fn run(&self, mut command: Command, args: &[&str]) -> Result<String, String> {
        let output = command.output().map_err(|error| format!("cannot run `git`: {error}"))?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).trim_end_matches(['\n', '\0']).to_owned());
        }
        let folder = self.top.display();
        let said = String::from_utf8_lossy(&output.stderr);
        let reason = if said.contains("dubious ownership") {
            format!("{folder} belongs to another user; git's setting `safe.directory` can allow it")
        } else if said.contains("single revision") || said.contains("unknown revision") {
            "there is no commit yet".to_owned()
        } else {
            format!("it ended with {}", output.status)
        };
        Err(format!("`git {}` in {folder}: {reason}", args.join(" ")))
    }
}

/// The folders of PATH that do not depend on where a program is started: never one of the checkout.
fn folders() -> OsString {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::join_paths(std::env::split_paths(&path).filter(|folder| folder.is_absolute())).unwrap_or_default()
}

fn program() -> Option<PathBuf> {
    std::env::split_paths(&folders()).map(|folder| folder.join("git")).find(|file| file.is_file())
}

#[cfg(test)]
#[path = "git_tests.rs"]
mod tests;
