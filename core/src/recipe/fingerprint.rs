//! The fingerprint: a digest of everything that goes into an image.
//!
//! It covers the base image, and every step with all its options, in order: the content and permission bits of what is
//! uploaded, the text of scripts, the digests of artifacts, and the verify commands. It does not cover what differs
//! between machines without making a different image: where a file lies on this machine, its owner and its times, and the
//! values of secrets that steps are given. Nor does it cover what is not in the image: health, deploy, configuration.
//!
//! Every field goes in with its length before it, so that no two recipes can run together into the same bytes, and
//! [`VERSION`] goes in first: when Remint digests differently one day, every image is baked anew.

use std::{fs::File, io::Read, os::unix::ffi::OsStrExt, path::Path};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{
    manifest::{FileProvisioner, ImageSection, LineShell, Provisioner, RunOptions, SCRIPT_FOLDER},
    provider::{Fingerprint, ImageId, ProviderId},
    tree::{self, EntryKind, Source, TreeError},
};

/// The version of what is digested and how.
pub const VERSION: u32 = 2;

/// What an image is made from.
#[derive(Debug, Clone, Copy)]
pub struct Inputs<'a> {
    /// The manifest's `[image]`: the steps and the verify commands.
    pub image: &'a ImageSection,
    /// The provider: images of two clouds are never the same.
    pub provider: &'a ProviderId,
    /// The base image as the cloud identifies it now, not the name that moves over time.
    pub base: &'a ImageId,
    /// The folder of the manifest.
    pub base_dir: &'a Path,
}

/// The digest of one input, for telling which one changed between two releases.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InputDigest {
    /// What it is: `base image`, `step 2 (script install.sh)`, `step 1 (file app): content`.
    pub name: String,
    /// 64 hexadecimal digits.
    pub digest: String,
}

/// Why there is no fingerprint.
#[derive(Debug, thiserror::Error)]
pub enum FingerprintError {
    /// An input cannot be read.
    #[error("cannot take the fingerprint of {input}")]
    Input {
        /// The step, with its number: `step 1 (file app)`.
        input: String,
        /// What cannot be read of it.
        source: TreeError,
    },
    /// A local artifact is not what the manifest says it is.
    #[error("{input}: the file has the sha256 {found}, the manifest says {expected}")]
    Artifact {
        /// The step, with its number: `step 3 (artifact /usr/local/bin/app)`.
        input: String,
        /// The digest of the file.
        found: String,
        /// The digest in the manifest.
        expected: String,
    },
}

/// Computes the fingerprint and the digest of each input, in the order of the recipe.
///
/// Blocking: it reads every file that goes into the image. From async code, call it through `spawn_blocking`.
pub fn compute(inputs: &Inputs<'_>) -> Result<(Fingerprint, Vec<InputDigest>), FingerprintError> {
    let mut digests = Vec::new();
    let mut add = |name: String, canonical: Canonical| digests.push(InputDigest { name, digest: canonical.finish() });

    let mut base = Canonical::new("base");
    base.text(inputs.provider.as_str()).text(inputs.base.as_str());
    add("base image".to_owned(), base);
    for (index, step) in inputs.image.provision.iter().enumerate() {
        let name = step_name(index, step);
        add(name.clone(), options(step));
        let fail = |source| FingerprintError::Input { input: name.clone(), source };
        match step {
            Provisioner::File(file) => {
                add(format!("{name}: content"), folder(inputs.base_dir, file).map_err(fail)?);
            }
            Provisioner::Script(script) => {
                let mut content = Canonical::new("script");
                content.file(&inputs.base_dir.join(&script.path)).map_err(fail)?;
                add(format!("{name}: content"), content);
            }
            Provisioner::Artifact(artifact) => {
                if let Some(local) = artifact.url.strip_prefix("file:") {
                    let found = hash_file(&inputs.base_dir.join(local)).map_err(fail)?.1;
                    let expected = artifact.sha256.to_ascii_lowercase();
                    if found != expected {
                        return Err(FingerprintError::Artifact { input: name, found, expected });
                    }
                }
            }
            Provisioner::Shell(_) => {}
        }
    }
    // A script may keep the path at which it ran.
    if inputs.image.script_folder != SCRIPT_FOLDER {
        let mut canonical = Canonical::new("script folder");
        canonical.text(&inputs.image.script_folder);
        add("script folder".to_owned(), canonical);
    }
    for (index, verify) in inputs.image.verify.iter().enumerate() {
        let mut canonical = Canonical::new("verify");
        canonical.text(&verify.command).number(verify.timeout.0.as_millis());
        add(format!("verify {}", index + 1), canonical);
    }

    let mut whole = Canonical::new("image");
    whole.number(digests.len() as u128);
    // The names stay out: they hold paths of this machine's manifest, which are not in the image.
    for input in &digests {
        whole.text(&input.digest);
    }
    Ok((Fingerprint::new(whole.finish()), digests))
}

/// The names of the inputs that differ between two lists of digests: changed, added or removed ones.
pub fn changed(before: &[InputDigest], after: &[InputDigest]) -> Vec<String> {
    let missing_in = |one: &[InputDigest], other: &[InputDigest]| -> Vec<String> {
        one.iter().filter(|input| !other.contains(input)).map(|input| input.name.clone()).collect()
    };
    let mut names = missing_in(after, before);
    for gone in missing_in(before, after) {
        if !names.contains(&gone) {
            names.push(gone);
        }
    }
    names
}

/// A step's name in messages: `step 2 (script install.sh)`.
pub fn step_name(index: usize, step: &Provisioner) -> String {
    let what = match step {
        Provisioner::File(file) => format!("file {}", file.source.display()),
        Provisioner::Script(script) => format!("script {}", script.path.display()),
        Provisioner::Shell(_) => "shell".to_owned(),
        Provisioner::Artifact(artifact) => format!("artifact {}", artifact.destination),
    };
    format!("step {} ({what})", index + 1)
}

/// A step's options, without the paths on this machine.
fn options(step: &Provisioner) -> Canonical {
    match step {
        Provisioner::File(file) => {
            let mut out = Canonical::new("file");
            // The mode is part of the content: it is what each file gets.
            out.text(&file.destination).optional(file.owner.as_deref());
            out
        }
        Provisioner::Script(script) => {
            let mut out = Canonical::new("script options");
            out.list(&script.args).run(&script.run);
            out
        }
        Provisioner::Shell(shell) => {
            let mut out = Canonical::new("shell");
            out.list(&shell.inline).run(&shell.run);
            // Recipes of before `shell` was an option keep their fingerprints.
            if shell.shell == LineShell::Bash {
                out.text("bash");
            }
            out
        }
        Provisioner::Artifact(artifact) => {
            let mut out = Canonical::new("artifact");
            let mode = artifact.mode.as_deref().map_or(Some(0o644), tree::parse_mode);
            // The URL stays out but for the name that the file gets in a folder: where the same bytes come from makes no
            // difference.
            out.text(&artifact.sha256.to_ascii_lowercase())
                .text(&artifact.destination)
                .optional(artifact.file_name().as_deref())
                .number(mode.unwrap_or_default().into())
                .optional(artifact.owner.as_deref());
            out
        }
    }
}

/// What a `file` step uploads.
fn folder(base_dir: &Path, step: &FileProvisioner) -> Result<Canonical, TreeError> {
    let (mode, entries) = match tree::read(base_dir, step.tree())? {
        Source::File { name, file } => {
            let mut out = Canonical::new("one file");
            // Where the destination is a folder, this is its name there.
            out.bytes(name.as_bytes()).number(file.mode.into()).file(&file.path)?;
            return Ok(out);
        }
        Source::Folder { mode, entries } => (mode, entries),
    };
    let mut out = Canonical::new("tree");
    out.number(mode.into()).number(entries.len() as u128);
    for entry in entries {
        out.bytes(entry.relative.as_os_str().as_bytes());
        match entry.kind {
            EntryKind::Directory { mode } => {
                out.text("directory").number(mode.into());
            }
            EntryKind::Symlink { target } => {
                out.text("symlink").bytes(target.as_os_str().as_bytes());
            }
            EntryKind::File(file) => {
                out.text("file").number(file.mode.into()).file(&file.path)?;
            }
        }
    }
    Ok(out)
}

/// Length and SHA-256 of a file, read in pieces.
fn hash_file(path: &Path) -> Result<(u64, String), TreeError> {
    let mut file = File::open(path).map_err(TreeError::read(path))?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 64 * 1024];
    let mut length = 0_u64;
    loop {
        let count = file.read(&mut buffer).map_err(TreeError::read(path))?;
        if count == 0 {
            return Ok((length, hex::encode(hasher.finalize())));
        }
        hasher.update(&buffer[..count]);
        length += count as u64;
    }
}

/// Digests fields, each with its length before it.
struct Canonical(Sha256);

impl Canonical {
    fn new(kind: &str) -> Self {
        let mut out = Self(Sha256::new());
        out.text("remint image input").number(VERSION.into()).text(kind);
        out
    }

    fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.update((bytes.len() as u64).to_be_bytes());
        self.0.update(bytes);
        self
    }

    fn text(&mut self, text: &str) -> &mut Self {
        self.bytes(text.as_bytes())
    }

    fn number(&mut self, number: u128) -> &mut Self {
        self.bytes(&number.to_be_bytes())
    }

    fn list(&mut self, items: &[String]) -> &mut Self {
        self.number(items.len() as u128);
        for item in items {
            self.text(item);
        }
        self
    }

    fn optional(&mut self, text: Option<&str>) -> &mut Self {
        self.number(text.is_some().into());
        self.text(text.unwrap_or_default())
    }

    fn run(&mut self, run: &RunOptions) -> &mut Self {
        self.number(run.env.len() as u128);
        for (name, value) in &run.env {
            self.text(name).text(value);
        }
        self.number(run.timeout.0.as_millis()).number(run.retries.into()).number(run.expect_reboot.into());
        // A recipe without any is digested as before there were some. The text holds the names of secrets, and no value.
        if !run.secret_env.is_empty() {
            self.text("secret_env").number(run.secret_env.len() as u128);
            for (name, template) in &run.secret_env {
                self.text(name).text(template.as_str());
            }
        }
        self
    }

    fn file(&mut self, path: &Path) -> Result<&mut Self, TreeError> {
        let (length, digest) = hash_file(path)?;
        Ok(self.number(length.into()).text(&digest))
    }

    fn finish(self) -> String {
        hex::encode(self.0.finalize())
    }
}

#[cfg(test)]
#[path = "fingerprint_tests.rs"]
mod tests;
