//! Where secrets come from. They are read when a release is made, and only those that it uses.

use std::{collections::BTreeMap, future::Future, path::PathBuf, process::Stdio, time::Duration};

use secrecy::{ExposeSecret, SecretString};
use tokio::{io::AsyncReadExt, sync::Mutex};

use super::{SecretSource, limits::MAX_SECRET};
use crate::{child, redact};

/// How long a file or a command may take to give a secret: a person may have to touch a key.
const PATIENCE: Duration = Duration::from_secs(120);

/// Why there is no secret. Holds names and sources, never a value.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// Nothing in `[secrets]` has that name. Holds the name.
    #[error("there is no secret `{0}` in `[secrets]`")]
    Unknown(String),
    /// The environment variable is not set.
    #[error("secret `{name}`: the environment variable `{variable}` is not set")]
    Variable {
        /// The name of the secret in `[secrets]`.
        name: String,
        /// The name of the environment variable.
        variable: String,
    },
    /// The file or the command's program cannot be read or started.
    #[error("secret `{name}`: cannot read {from}")]
    Read {
        /// The name of the secret in `[secrets]`.
        name: String,
        /// The file or program.
        from: String,
        /// The system's error.
        source: std::io::Error,
    },
    /// The command failed. What it wrote is not shown, because it may hold the secret.
    #[error("secret `{name}`: `{program}` ended with {status}")]
    Command {
        /// The name of the secret in `[secrets]`.
        name: String,
        /// The first word of the command, without its arguments.
        program: String,
        /// How it ended.
        status: std::process::ExitStatus,
    },
    /// The value is not text.
    #[error("secret `{0}` is not UTF-8 text")]
    Text(String),
    /// The command only looks, and so reads no secret.
    #[error("secret `{0}` is not read by a command that only looks")]
    Sealed(String),
    /// The value is larger than any secret.
    #[error("secret `{0}` is larger than 1 MiB")]
    Large(String),
    /// The file or the command does not end.
    #[error("secret `{name}`: there was no value within {} s", after.as_secs())]
    Late {
        /// The name of the secret in `[secrets]`.
        name: String,
        /// How long it was waited for.
        after: Duration,
    },
    /// The value is empty, which is never meant.
    #[error("secret `{0}` is empty")]
    Empty(String),
}

/// Reads secrets, each at most once.
#[derive(Debug)]
pub struct Secrets {
    sources: BTreeMap<String, SecretSource>,
    base_dir: PathBuf,
    variables: BTreeMap<String, SecretString>,
    sealed: bool,
    known: Mutex<BTreeMap<String, SecretString>>,
}

impl Secrets {
    /// Secrets of these sources. Only the variables that the sources name are kept of `process_env`.
    pub fn new(
        sources: BTreeMap<String, SecretSource>,
        base_dir: PathBuf,
        process_env: &BTreeMap<String, String>,
    ) -> Self {
        let named = sources.values().filter_map(|source| match source {
            SecretSource::Env(variable) => {
                process_env.get(variable).map(|value| (variable.clone(), SecretString::from(value.as_str())))
            }
            _ => None,
        });
        let variables: BTreeMap<String, SecretString> = named.collect();
        // These are at hand without reading anything, so that commands that read no secret mask them, too.
        variables.values().for_each(redact::learn);
        Self { sources, base_dir, variables, sealed: false, known: Mutex::default() }
    }

    /// The same, of which none is ever read: no variable, no file, no command.
    #[must_use]
    pub fn sealed(self) -> Self {
        Self { sealed: true, ..self }
    }

    /// Whether none is ever read.
    pub fn are_sealed(&self) -> bool {
        self.sealed
    }

    /// Reads a secret, or returns what was read before.
    pub async fn get(&self, name: &str) -> Result<SecretString, SecretError> {
        let mut known = self.known.lock().await;
        if let Some(value) = known.get(name) {
            return Ok(value.clone());
        }
        let source = self.sources.get(name).ok_or_else(|| SecretError::Unknown(name.to_owned()))?;
        if self.sealed {
            return Err(SecretError::Sealed(name.to_owned()));
        }
        let value = self.read(name, source).await?;
        if value.expose_secret().is_empty() {
            return Err(SecretError::Empty(name.to_owned()));
        }
        redact::learn(&value);
        known.insert(name.to_owned(), value.clone());
        Ok(value)
    }

    async fn read(&self, name: &str, source: &SecretSource) -> Result<SecretString, SecretError> {
        match source {
            SecretSource::Env(variable) => self
                .variables
                .get(variable)
                .cloned()
                .ok_or_else(|| SecretError::Variable { name: name.to_owned(), variable: variable.clone() }),
            SecretSource::File(path) => {
                let path = self.base_dir.join(path);
                let read = |source| {
                    let from = path.display().to_string();
                    SecretError::Read { name: name.to_owned(), from, source }
                };
                let opened = async { all_of(name, tokio::fs::File::open(&path).await?).await };
                text(name, self.in_time(name, opened).await?.map_err(read)??)
            }
            SecretSource::Command(argv) => self.run(name, argv).await,
        }
    }

    async fn run(&self, name: &str, argv: &[String]) -> Result<SecretString, SecretError> {
        let program = argv.first().cloned().unwrap_or_default();
        let read = |source| SecretError::Read { name: name.to_owned(), from: program.clone(), source };
        let mut command = tokio::process::Command::new(&program);
        let named = self.sources.values().filter_map(|source| match source {
            SecretSource::Env(variable) => Some(variable.as_str()),
            _ => None,
        });
        child::without_credentials(command.as_std_mut(), named);
        let mut child = command
            .args(argv.iter().skip(1))
            .current_dir(&self.base_dir)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .map_err(read)?;
        let stdout = child.stdout.take();
        let run = async {
            let bytes = match stdout {
                Some(stdout) => all_of(name, stdout).await?,
                None => Ok(Vec::new()),
            };
            Ok((bytes, child.wait().await?))
        };
        let (bytes, status) = self.in_time(name, run).await?.map_err(read)?;
        let bytes = bytes?;
        if !status.success() {
            return Err(SecretError::Command { name: name.to_owned(), program, status });
        }
        text(name, bytes)
    }

    /// What is read within the time that a secret may take.
    async fn in_time<T>(&self, name: &str, reading: impl Future<Output = T>) -> Result<T, SecretError> {
        let late = |_| SecretError::Late { name: name.to_owned(), after: PATIENCE };
        tokio::time::timeout(PATIENCE, reading).await.map_err(late)
    }
}

/// All that there is to read, unless it is too much.
async fn all_of(name: &str, from: impl tokio::io::AsyncRead + Unpin) -> std::io::Result<Result<Vec<u8>, SecretError>> {
    let mut bytes = Vec::new();
    from.take(MAX_SECRET as u64 + 1).read_to_end(&mut bytes).await?;
    let fits = bytes.len() <= MAX_SECRET;
    Ok(if fits { Ok(bytes) } else { Err(SecretError::Large(name.to_owned())) })
}

/// Bytes as text, without one line end.
fn text(name: &str, bytes: Vec<u8>) -> Result<SecretString, SecretError> {
    let text = zeroize::Zeroizing::new(String::from_utf8(bytes).map_err(|_| SecretError::Text(name.to_owned()))?);
    let cut = text.strip_suffix('\n').map(|cut| cut.strip_suffix('\r').unwrap_or(cut));
    Ok(SecretString::from(cut.unwrap_or(&text)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secrets(source: SecretSource, dir: &std::path::Path) -> Secrets {
        let env = BTreeMap::from([("TOKEN".to_owned(), "from env\n".to_owned()), ("OTHER".to_owned(), "x".to_owned())]);
        Secrets::new(BTreeMap::from([("it".to_owned(), source)]), dir.to_owned(), &env)
    }

    #[tokio::test]
    async fn reads_each_kind_of_source() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("secret"), "from file\r\n\n").unwrap();
        let command = |line: &str| SecretSource::Command(vec!["sh".into(), "-c".into(), line.into()]);
        for (source, value) in [
            (SecretSource::Env("TOKEN".into()), "from env\n"),
            (SecretSource::File("secret".into()), "from file\r\n"),
            (command("echo \"from $0\"; echo noise >&2"), "from sh"),
        ] {
            let read = secrets(source, dir.path()).get("it").await.unwrap();
            assert_eq!(read.expose_secret(), value);
        }
    }

    #[tokio::test]
    async fn errors_name_the_secret_and_hold_no_value() {
        let dir = tempfile::tempdir().unwrap();
        let command = SecretSource::Command(vec!["sh".into(), "-c".into(), "printf hunter%d 2; exit 3".into()]);
        for (source, message) in [
            (SecretSource::Env("MISSING".into()), "secret `it`: the environment variable `MISSING` is not set"),
            (command, "secret `it`: `sh` ended with exit status: 3"),
            (SecretSource::Command(vec!["true".into()]), "secret `it` is empty"),
        ] {
            let secrets = secrets(source, dir.path());
            let error = secrets.get("it").await.unwrap_err();
            assert_eq!(error.to_string(), message);
            assert!(!format!("{error:?} {secrets:?}").contains("hunter2"));
        }
    }

    #[tokio::test]
    async fn sealed_secrets_are_never_read() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("secret"), "x").unwrap();
        let command = SecretSource::Command(vec!["touch".into(), "canary".into()]);
        for source in [SecretSource::Env("TOKEN".into()), SecretSource::File("secret".into()), command] {
            let error = secrets(source, dir.path()).sealed().get("it").await.unwrap_err();
            assert!(matches!(error, SecretError::Sealed(_)), "{error}");
        }
        assert!(!dir.path().join("canary").exists());
    }

    #[tokio::test]
    async fn a_command_does_not_find_the_variables_of_other_secrets() {
        // Cargo sets it for every test: it stands for a secret in this process's environment.
        let variable = "CARGO_MANIFEST_DIR";
        assert!(std::env::var_os(variable).is_some());
        let line = format!("echo it is ${{{variable}-not there}}");
        let sources = BTreeMap::from([
            ("it".to_owned(), SecretSource::Command(vec!["sh".into(), "-c".into(), line])),
            ("other".to_owned(), SecretSource::Env(variable.to_owned())),
        ]);
        let secrets = Secrets::new(sources, std::env::temp_dir(), &BTreeMap::new());
        assert_eq!(secrets.get("it").await.unwrap().expose_secret(), "it is not there");
    }

    #[tokio::test]
    async fn an_endless_secret_is_cut_off() {
        let dir = tempfile::tempdir().unwrap();
        let sources =
            [SecretSource::File("/dev/zero".into()), SecretSource::Command(vec!["cat".into(), "/dev/zero".into()])];
        for source in sources {
            let error = secrets(source, dir.path()).get("it").await.unwrap_err();
            assert_eq!(error.to_string(), "secret `it` is larger than 1 MiB");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_command_that_hangs_is_given_up_and_killed() {
        let dir = tempfile::tempdir().unwrap();
        let line = "echo $$ > pid; exec sleep 600";
        let source = SecretSource::Command(vec!["sh".into(), "-c".into(), line.into()]);
        let error = secrets(source, dir.path()).get("it").await.unwrap_err();
        assert_eq!(error.to_string(), "secret `it`: there was no value within 120 s");
    }

    #[tokio::test]
    async fn a_command_runs_once() {
        let dir = tempfile::tempdir().unwrap();
        let line = "echo x >> runs; echo value";
        let secrets = secrets(SecretSource::Command(vec!["sh".into(), "-c".into(), line.into()]), dir.path());
        secrets.get("it").await.unwrap();
        secrets.get("it").await.unwrap();
        assert_eq!(std::fs::read_to_string(dir.path().join("runs")).unwrap(), "x\n");
    }
}
