//! Running the programs that make and handle disks.

use std::{collections::VecDeque, io, process::Stdio};

use remint_core::child;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::Command,
};

/// How many of a failed program's last lines go into its error.
const TAIL: usize = 12;

/// Runs a program to its end, and hands on what it writes to its error output, line by line. Returns its standard output.
/// The program is ended when the future is dropped.
pub(crate) async fn run(mut command: Command, progress: &(dyn Fn(&str) + Send + Sync)) -> Result<Vec<u8>, String> {
    let program = command.as_std().get_program().to_string_lossy().into_owned();
    child::plain_environment(command.as_std_mut());
    let mut child =
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true).spawn().map_err(
            |error| match error.kind() {
                io::ErrorKind::NotFound => format!("{program} is not installed"),
                _ => format!("{program}: {error}"),
            },
        )?;
    let mut tail = VecDeque::with_capacity(TAIL);
    let stderr = child.stderr.take();
    let stdout = child.stdout.take();
    let read_errors = async {
        let Some(stderr) = stderr else { return };
        let mut lines = BufReader::new(stderr).split(b'\n');
        while let Ok(Some(line)) = lines.next_segment().await {
            // A progress bar overwrites its line: only the last state is of interest.
            let line = String::from_utf8_lossy(&line);
            let line = line.trim_end_matches('\r').rsplit('\r').next().unwrap_or_default();
            progress(line);
            if tail.len() == TAIL {
                tail.pop_front();
            }
            tail.push_back(line.to_owned());
        }
    };
    let read_output = async {
        let mut output = Vec::new();
        if let Some(mut stdout) = stdout {
            tokio::io::copy(&mut stdout, &mut output).await.map_err(|error| format!("{program}: {error}"))?;
        }
        Ok(output)
    };
    let ((), output) = tokio::join!(read_errors, read_output);
    let status = child.wait().await.map_err(|error| format!("{program}: {error}"))?;
    if status.success() { output } else { Err(format!("{program}: {status}: {}", Vec::from(tail).join("; "))) }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[tokio::test]
    async fn output_is_returned_and_errors_stream() {
        let lines = Mutex::new(Vec::new());
        let progress = |line: &str| lines.lock().unwrap().push(line.to_owned());
        let output = run(shell("echo out; printf 'one\\n1%%\\r2%%\\n' >&2"), &progress).await.unwrap();
        assert_eq!(output, b"out\n");
        assert_eq!(*lines.lock().unwrap(), ["one", "2%"]);
    }

    #[tokio::test]
    async fn a_failure_says_what_the_program_said() {
        let error = run(shell("echo broken >&2; exit 3"), &|_| ()).await.unwrap_err();
        assert!(error.contains("exit status: 3: broken"), "{error}");
        let error = run(Command::new("no-such-program-at-all"), &|_| ()).await.unwrap_err();
        assert_eq!(error, "no-such-program-at-all is not installed");
    }
}
