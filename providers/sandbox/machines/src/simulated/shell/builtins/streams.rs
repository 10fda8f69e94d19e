//! Commands that read and write as they go.

use super::{
    super::{
        limits::Limit,
        state::{Call, Flow, Shell},
    },
    text,
};
use crate::simulated::disk::{absolute, lock};

pub(super) async fn echo(shell: &mut Shell, call: &Call) -> Flow {
    shell.print(text::echo(&call.arguments, shell.bash)).await
}

pub(super) async fn printf(shell: &mut Shell, call: &Call) -> Flow {
    shell.print(text::printf(&call.arguments).ok_or(Limit::Memory)?).await
}

pub(super) async fn read(shell: &mut Shell, call: &Call) -> Flow {
    let names = &call.words.operands;
    let Some(line) = shell.io.input.read_line().await else { return Ok(1) };
    let line = String::from_utf8_lossy(&line).into_owned();
    let separators = shell.get("IFS").unwrap_or(" \t\n").to_owned();
    let mut rest = line.trim_end_matches('\n').trim_matches(|c: char| separators.contains(c) && c.is_whitespace());
    for (index, name) in names.iter().enumerate() {
        let (value, after) = if index + 1 == names.len() {
            (rest, "")
        } else {
            rest.split_once(|c: char| separators.contains(c)).unwrap_or((rest, ""))
        };
        shell.set(name, value.to_owned());
        rest = after.trim_start_matches(|c: char| separators.contains(c) && c.is_whitespace());
    }
    Ok(0)
}

pub(super) async fn cat(shell: &mut Shell, call: &Call) -> Flow {
    let mut status = 0;
    let (files, input) = (&call.words.operands, ["-".to_owned()]);
    for file in if files.is_empty() { input.as_slice() } else { files } {
        if file == "-" {
            while let Some(piece) = shell.io.input.read_some().await {
                if let Err(message) = shell.io.out.write(&piece).await {
                    shell.complain(&format!("cat: write error: {message}")).await;
                    return Ok(1);
                }
            }
            continue;
        }
        let path = absolute(&shell.cwd, file);
        let read = if path == "/dev/null" { Ok(Default::default()) } else { lock(&shell.host.disk).read(&path) };
        let written = match read {
            Ok(data) => shell.io.out.write(&data).await,
            Err(error) => Err(format!("{file}: {error}")),
        };
        if let Err(message) = written {
            shell.io.err.write(format!("cat: {message}\n").as_bytes()).await.ok();
            status = 1;
        }
    }
    Ok(status)
}
