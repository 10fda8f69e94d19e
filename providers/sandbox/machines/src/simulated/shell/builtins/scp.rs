//! The receiving side of `scp` (`scp -t`), which older clients upload with.

use super::super::state::{Call, Flow, Shell};
use crate::simulated::disk::{DiskError, absolute, basename, join, lock};

/// Receives files as the protocol of `scp` sends them: `C0644 SIZE NAME`, `D0755 0 NAME`, `E`.
pub(super) async fn scp(shell: &mut Shell, call: &Call) -> Flow {
    let Some(target) = call.words.operands.last().filter(|_| call.words.has("t")) else {
        shell.complain("scp: this simulated machine only receives").await;
        return Ok(1);
    };
    let target = absolute(&shell.cwd, target);
    let mut folders = Vec::new();
    if shell.io.out.write(&[0]).await.is_err() {
        return Ok(1);
    }
    while let Some(line) = shell.io.input.read_line().await {
        let line = String::from_utf8_lossy(&line).trim_end().to_owned();
        let done = receive(shell, &line, &target, &mut folders).await;
        let answer = match &done {
            Ok(()) => vec![0],
            Err(message) => format!("\u{1}scp: {message}\n").into_bytes(),
        };
        if shell.io.out.write(&answer).await.is_err() || done.is_err() {
            return Ok(1);
        }
    }
    Ok(0)
}

async fn receive(shell: &mut Shell, line: &str, target: &str, folders: &mut Vec<String>) -> Result<(), String> {
    let kind = line.chars().next().unwrap_or_default();
    if kind == 'T' {
        return Ok(());
    }
    if kind == 'E' {
        folders.pop();
        return Ok(());
    }
    let mut fields = line.get(1..).unwrap_or_default().splitn(3, ' ');
    let mut field = || fields.next().ok_or_else(|| format!("protocol error: {line}"));
    let mode = u32::from_str_radix(field()?, 8).map_err(|_| format!("protocol error: {line}"))?;
    let size: usize = field()?.parse().map_err(|_| format!("protocol error: {line}"))?;
    let name = basename(field()?).to_owned();
    let base = folders.last().cloned().unwrap_or_else(|| target.to_owned());
    let inside = !folders.is_empty() || lock(&shell.host.disk).is_dir(target);
    let path = if inside { join(&base, &name) } else { target.to_owned() };
    let said = |error: DiskError| format!("{path}: {error}");
    match kind {
        'C' => {
            if shell.io.out.write(&[0]).await.is_err() {
                return Err("connection lost".to_owned());
            }
            let data = shell.io.input.read_exact(size).await;
            // The sender's own status follows the data.
            shell.io.input.read_exact(1).await;
            if data.len() != size {
                return Err(format!("{path}: unexpected end"));
            }
            let mut disk = lock(&shell.host.disk);
            disk.write(&path, &data).map_err(said)?;
            disk.update(&path, |node| node.mode = mode).map_err(said)
        }
        'D' => {
            lock(&shell.host.disk).mkdir_all(&path).map_err(said)?;
            folders.push(path);
            Ok(())
        }
        _ => Err(format!("protocol error: {line}")),
    }
}
