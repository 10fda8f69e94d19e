//! What the programs that Remint starts find in their environment.
//!
//! A child's environment can be read by whoever runs as the same user, ends up in its crash reports, and is handed on to its own
//! children. So it holds no credentials that the child does not need.

use std::{ffi::OsStr, process::Command};

use crate::provider::Registry;

/// What a program of Remint's own choice may find: where things are, how to speak, and how to get out.
const PLAIN: &[&str] = &[
    "COLORTERM",
    "COLUMNS",
    "HOME",
    "LANG",
    "LANGUAGE",
    "LINES",
    "LOGNAME",
    "NO_COLOR",
    "PATH",
    "SHELL",
    "SSL_CERT_DIR",
    "SSL_CERT_FILE",
    "TEMP",
    "TERM",
    "TMP",
    "TMPDIR",
    "TZ",
    "USER",
    "all_proxy",
    "ftp_proxy",
    "http_proxy",
    "https_proxy",
    "no_proxy",
];
const PLAIN_PREFIXES: &[&str] = &["LC_", "LD_LIBRARY_PATH", "QEMU_", "REMINT_", "RUST_BACKTRACE", "XDG_"];

/// Leaves a child only what programs in general need: for those that Remint starts for itself.
pub fn plain_environment(command: &mut Command) {
    let own: Vec<_> = command.get_envs().map(|(name, value)| (name.to_owned(), value.map(OsStr::to_owned))).collect();
    command.env_clear();
    for (name, value) in std::env::vars_os().filter(|(name, _)| is_plain(name)) {
        command.env(name, value);
    }
    for (name, value) in own {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
}

/// Takes the credentials of this build's providers and these variables away from a child: for the user's own programs, which
/// may need anything else.
pub fn without_credentials<'a>(command: &mut Command, further: impl IntoIterator<Item = &'a str>) {
    let credentials = Registry::all().into_iter().flat_map(|entry| entry.environment.credentials);
    for name in credentials.copied().chain(further) {
        command.env_remove(name);
    }
}

fn is_plain(name: &OsStr) -> bool {
    let Some(name) = name.to_str() else { return false };
    let known = |name: &str| PLAIN.contains(&name) || PLAIN_PREFIXES.iter().any(|prefix| name.starts_with(prefix));
    known(name) || (name.ends_with("_PROXY") && known(&name.to_ascii_lowercase()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_credential_is_plain_and_what_programs_need_is() {
        for name in ["CLOUD_TOKEN", "CLOUD_SECRET_ACCESS_KEY", "MY_PASSWORD", "SSH_AUTH_SOCK", "LD_PRELOAD"] {
            assert!(!is_plain(OsStr::new(name)), "{name}");
        }
        for name in ["PATH", "HOME", "TERM", "LC_ALL", "XDG_STATE_HOME", "HTTPS_PROXY", "no_proxy"] {
            assert!(is_plain(OsStr::new(name)), "{name}");
        }
    }

    #[test]
    fn a_child_finds_what_is_set_for_it_and_nothing_else_that_is_ours() {
        // Cargo sets it for every test: it stands for whatever is not plain.
        assert!(std::env::var_os("CARGO_MANIFEST_DIR").is_some());
        let mut command = Command::new("env");
        command.env("OWN", "1");
        plain_environment(&mut command);
        let output = String::from_utf8(command.output().unwrap().stdout).unwrap();
        assert!(output.contains("OWN=1\n") && output.contains("PATH="), "{output}");
        assert!(!output.contains("CARGO_MANIFEST_DIR"), "{output}");
    }
}
