//! What a test needs to plant a way in.

use std::{fs, path::PathBuf, process::Command};

use serde_json::Value;

use super::World;

impl World {
    /// A key pair of somebody: the file of the private part, and the public line.
    pub(crate) fn key_pair(&self, name: &str) -> (PathBuf, String) {
        let file = self.sandbox_dir().join(name);
        let arguments = ["-q", "-t", "ed25519", "-N", "", "-C", name, "-f"];
        let made = Command::new("ssh-keygen").args(arguments).arg(&file).status();
        assert!(made.unwrap().success());
        let public = fs::read_to_string(file.with_extension("pub")).unwrap().trim().to_owned();
        (file, public)
    }

    /// Adds a shell step to the manifest.
    pub(crate) fn append_shell_step(&self, lines: &[impl AsRef<str>]) {
        let lines: Vec<_> = lines.iter().map(|line| Value::from(line.as_ref()).to_string()).collect();
        self.append(&format!("\n[[image.provision]]\ntype = \"shell\"\ninline = [{}]\n", lines.join(", ")));
    }
}
