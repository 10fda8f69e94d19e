//! What is written without a printer at hand: the log, and panics.

use std::io::{self, Write};

use remint_core::redact;
use tracing_subscriber::fmt::MakeWriter;

use super::paint::set_in;

/// Standard error for `tracing`, which hands over one event at a time: its text is clean and without secrets.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Log;

impl<'a> MakeWriter<'a> for Log {
    type Writer = Line;

    fn make_writer(&'a self) -> Line {
        Line::default()
    }
}

/// One event on its way. It is written when it is complete: a secret may come in several pieces.
#[derive(Debug, Default)]
pub(crate) struct Line(Vec<u8>);

impl Write for Line {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        // A closed standard error cannot be reported anywhere.
        let _ = writeln!(io::stderr().lock(), "{}", set_in(&String::from_utf8_lossy(&self.0)));
    }
}

/// Makes panics say what they say without secrets, and without what a terminal would obey.
pub(crate) fn guard_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let thread = std::thread::current();
        let text = format!("thread '{}' {panic}", thread.name().unwrap_or("<unnamed>"));
        let trace = std::backtrace::Backtrace::capture();
        let trace = match trace.status() {
            std::backtrace::BacktraceStatus::Captured => format!("\n{trace}"),
            _ => String::new(),
        };
        let _ = writeln!(io::stderr().lock(), "{}", redact::show(&format!("{text}{trace}")).trim_end());
    }));
}

#[cfg(test)]
mod tests {
    use secrecy::SecretString;

    use super::*;

    const SECRET: &str = "quite-a-secret-for-the-log";
    const CHILD: &str = "REMINT_TEST_OF_THE_LOG";

    /// Run again as a process of its own, whose standard error is read: a panic and the log write there.
    #[test]
    fn panics_and_the_log_hold_no_secret_and_nothing_that_a_terminal_obeys() {
        if std::env::var_os(CHILD).is_some() {
            guard_panics();
            redact::learn(&SecretString::from(SECRET));
            write!(Log.make_writer(), "log: {SECRET}\u{1b}]52;c;eA==\u{7}\u{9b}2J of ").unwrap();
            let mut line = Log.make_writer();
            write!(line, "in pieces: quite-a-").unwrap();
            writeln!(line, "secret-for-the-log.\nforged line").unwrap();
            drop(line);
            panic!("panic: {SECRET} \u{1b}[2J\u{202e} {}", "cXVpdGUtYS1zZWNyZXQtZm9yLXRoZS1sb2c=");
        }
        let output = std::process::Command::new(std::env::current_exe().unwrap())
            .args([
                "--nocapture",
                "--exact",
                "printer::log::tests::panics_and_the_log_hold_no_secret_and_nothing_that_a_terminal_obeys",
            ])
            .env(CHILD, "1")
            .output()
            .unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        for expected in ["log: *** of\n", "in pieces: ***.\n    forged line\n", "panic: *** \u{fffd} ***"] {
            assert!(text.contains(expected), "{expected:?} is not in {text:?}");
        }
        assert!(!text.contains(SECRET) && !text.contains(['\u{1b}', '\u{9b}', '\u{202e}', '\u{7}']), "{text:?}");
    }
}
