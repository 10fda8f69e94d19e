//! A sandbox of a test's own, and clients that know nothing but what `remint sandbox env` prints.

use std::{
    path::{Path, PathBuf},
    process::Output,
    time::Duration,
};

use remint_sandbox::{
    cloud::Api,
    embedded::{Embedded, Options},
};
use tokio::process::Command;

/// A client that needs longer hangs.
const PATIENCE: Duration = Duration::from_secs(300);

pub(crate) struct World {
    pub(crate) sandbox: Embedded,
}

impl World {
    pub(crate) async fn start() -> Self {
        Self { sandbox: Embedded::start(Options::default()).await.unwrap() }
    }

    /// A program with the variables of one API, a home folder of its own, and nothing else of this process's environment.
    pub(crate) fn client(&self, api: Api, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let variables = self.sandbox.env().unwrap().variables(api).unwrap();
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("HOME", self.sandbox.dir())
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .envs(variables.into_iter().map(|one| (one.name, one.value)))
            .current_dir(self.sandbox.dir())
            .kill_on_drop(true);
        command
    }

    /// A program in Python that lies beside this file: it must succeed, and its last line must be `done`.
    pub(crate) async fn python(&self, api: Api, script: &str) {
        let mut command = self.client(api, python("python"));
        command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients").join(script));
        let output = run(command).await;
        let done = String::from_utf8_lossy(&output.stdout).trim_end().ends_with("done");
        assert!(output.status.success() && done, "{}", text(&output));
    }
}

/// What a command printed, and how it ended.
pub(crate) async fn run(mut command: Command) -> Output {
    tokio::time::timeout(PATIENCE, command.output()).await.expect("the client hangs").unwrap()
}

/// What a command printed, on both of its streams.
pub(crate) fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// A program that `.ci/setup test` installs: `python`, `aws`, `octodns-sync`.
pub(crate) fn python(program: &str) -> PathBuf {
    let path = match std::env::var_os("REMINT_TEST_PYTHON") {
        Some(python) => Path::new(&python).parent().unwrap().join(program),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/python/bin").join(program),
    };
    assert!(path.exists(), "{} is not there: run `.ci/setup test`, or set REMINT_TEST_PYTHON", path.display());
    path
}
