//! What is run on a machine.

use std::{fmt, time::Duration};

use secrecy::{ExposeSecret, SecretString};

/// Starts the line that tells the shell's process id.
pub(super) const PID_MARK: &str = "remint-pid:";

/// A command for [`super::Connection::exec`]: lines of shell, run by `sh -eu` or `bash -eu`.
///
/// Lines, environment and standard input all travel over the connection; none shows in the machine's process list.
#[derive(Clone)]
pub struct Command {
    script: String,
    bash: bool,
    env: Vec<(String, SecretString)>,
    stdin: Option<SecretString>,
    timeout: Option<Duration>,
}

impl Command {
    /// Lines of POSIX shell.
    pub fn shell(lines: impl Into<String>) -> Self {
        Self { script: lines.into(), bash: false, env: Vec::new(), stdin: None, timeout: None }
    }

    /// A program and its arguments, passed on as they are. The arguments show in the machine's process list.
    pub fn argv<I, S>(argv: I) -> Self
    where
        I: IntoIterator<Item = S>,
        S: AsRef<str>,
    {
        let words: Vec<_> = argv.into_iter().map(|word| quote(word.as_ref())).collect();
        Self::shell(words.join(" "))
    }

    /// Runs the lines by bash.
    #[must_use]
    pub fn bash(mut self) -> Self {
        self.bash = true;
        self
    }

    /// What reads [`Self::to_script`].
    pub(super) fn interpreter(&self) -> &'static str {
        if self.bash { "bash -eu -s" } else { "sh -eu -s" }
    }

    /// Sets an environment variable.
    #[must_use]
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.env.push((name.into(), SecretString::from(value.into())));
        self
    }

    /// Sets an environment variable to a secret.
    #[must_use]
    pub fn secret_env(mut self, name: impl Into<String>, value: SecretString) -> Self {
        self.env.push((name.into(), value));
        self
    }

    /// Sets the command's standard input; a line end is added where its last line has none. Without it, standard input
    /// is empty.
    #[must_use]
    pub fn stdin(mut self, text: impl Into<String>) -> Self {
        self.stdin = Some(SecretString::from(text.into()));
        self
    }

    /// Kills the command when it has not ended by then.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// The lines, for a machine that is simulated.
    #[cfg(test)]
    pub(crate) fn lines(&self) -> &str {
        &self.script
    }

    #[cfg(test)]
    pub(crate) fn variable(&self, name: &str) -> Option<&str> {
        self.env.iter().find(|(known, _)| known == name).map(|(_, value)| value.expose_secret())
    }

    pub(super) fn time_allowed(&self) -> Option<Duration> {
        self.timeout
    }

    /// What is sent to [`Self::interpreter`]. Its first line on standard error tells the shell's process id: `sshd` passes no signals on
    /// to what root runs, so a command that hangs must be killed by that number.
    ///
    /// The lines stand in a brace group, so that the shell has read all of them before it runs the first one, and no
    /// command among them can eat the rest of the script from standard input.
    pub(super) fn to_script(&self) -> SecretString {
        let mut text = format!("{{\necho \"{PID_MARK}$$\" >&2\n");
        for (name, value) in &self.env {
            text.push_str(&format!("export {name}={}\n", quote(value.expose_secret())));
        }
        text.push_str(&self.script);
        match &self.stdin {
            None => text.push_str("\n} </dev/null\n"),
            Some(stdin) => {
                let mark = format!("REMINT_{}", uuid::Uuid::new_v4().simple());
                let body = stdin.expose_secret();
                let end = if body.is_empty() || body.ends_with('\n') { "" } else { "\n" };
                text.push_str(&format!("\n}} <<'{mark}'\n{body}{end}{mark}\n"));
            }
        }
        SecretString::from(text)
    }
}

impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.env.iter().map(|(name, _)| name).collect();
        f.debug_struct("Command")
            .field("script", &self.script)
            .field("env", &names)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

/// Quotes a word for a POSIX shell.
pub fn quote(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./:@%+,=".contains(c);
    // A leading `=` or a name followed by `=` would not be an argument in the first place of a command.
    if !word.is_empty() && word.chars().all(plain) && !word.contains('=') {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// Quotes a word of any bytes but NUL for a POSIX shell, as text: the script travels as such.
pub(super) fn quote_bytes(word: &[u8]) -> String {
    let mut quoted = String::new();
    for chunk in word.utf8_chunks() {
        if !chunk.valid().is_empty() {
            quoted += &quote(chunk.valid());
        }
        if !chunk.invalid().is_empty() {
            let octal: String = chunk.invalid().iter().map(|byte| format!("\\{byte:03o}")).collect();
            quoted += &format!("\"$(printf '{octal}')\"");
        }
    }
    if quoted.is_empty() { "''".to_owned() } else { quoted }
}

#[cfg(test)]
mod tests {
    use std::{
        io::Write,
        process::{Command as Process, Stdio},
    };

    use proptest::prelude::*;

    use super::*;

    fn run(command: &Command) -> String {
        let mut words = command.interpreter().split(' ');
        let mut shell = Process::new(words.next().unwrap())
            .args(words)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        shell.stdin.take().unwrap().write_all(command.to_script().expose_secret().as_bytes()).unwrap();
        String::from_utf8(shell.wait_with_output().unwrap().stdout).unwrap()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn any_text_survives_the_shell(text in "[^\\x00]{0,40}") {
            let by_argument = run(&Command::argv(["printf", "%s", &text]));
            prop_assert_eq!(&by_argument, &text);
            let by_env = run(&Command::shell(r#"printf %s "$X""#).env("X", text.clone()));
            prop_assert_eq!(&by_env, &text);
        }
    }

    #[test]
    fn any_bytes_survive_the_shell() {
        for word in [&b"/a\xffb"[..], b"\xff\n", b"\n", b"'\xe9'$(x)", b"", b"/plain"] {
            let script = format!("printf %s {} | od -An -v -tx1 | tr -d ' \\n'", quote_bytes(word));
            assert_eq!(run(&Command::shell(script)), hex::encode(word), "{word:?}");
        }
    }

    #[test]
    fn a_command_that_reads_its_input_does_not_eat_the_script() {
        assert_eq!(run(&Command::shell("cat\necho after")), "after\n");
        assert_eq!(
            run(&Command::shell("cat\necho after").stdin("$one `two`\n'three'")),
            "$one `two`\n'three'\nafter\n"
        );
        assert_eq!(run(&Command::shell("cat; echo after").stdin("")), "after\n");
    }

    #[test]
    fn the_first_failure_ends_it() {
        assert_eq!(run(&Command::shell("echo one\nfalse\necho two")), "one\n");
        assert_eq!(run(&Command::shell("echo one\necho $undefined_variable\necho two")), "one\n");
    }

    #[test]
    fn bash_runs_what_is_written_for_it() {
        let words = "a=(one two)\nif [[ ${a[1]} == t* ]]; then echo yes; fi";
        assert_eq!(run(&Command::shell(words).bash()), "yes\n");
        assert_eq!(run(&Command::shell("set -o pipefail\nfalse | true\necho no").bash()), "");
        assert_eq!(run(&Command::shell("cat\necho after").bash().stdin("in")), "in\nafter\n");
    }

    #[test]
    fn debug_shows_names_and_no_values() {
        let shown = format!("{:?}", Command::shell("true").env("TOKEN", "hunter2").stdin("hunter3"));
        assert!(shown.contains("TOKEN") && !shown.contains("hunter"), "{shown}");
    }
}
