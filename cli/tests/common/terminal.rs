//! `remint` on a terminal: a pseudo-terminal of the kernel's, whose other end is read as it comes.

use std::{
    fs::File,
    io::{Read, Write},
    os::fd::OwnedFd,
    process::{Command, Stdio},
};

use nix::pty::{Winsize, openpty};

/// Runs a command on a terminal of 100 columns; what it wrote, byte by byte, and its exit code.
pub(crate) fn run(command: Command) -> (Vec<u8>, Option<i32>) {
    run_typing(command, None)
}

/// The same; where there is something to type, the command reads the terminal, too.
pub(crate) fn run_typing(mut command: Command, typed: Option<&str>) -> (Vec<u8>, Option<i32>) {
    let size = Winsize { ws_row: 50, ws_col: 100, ws_xpixel: 0, ws_ypixel: 0 };
    let pty = openpty(&size, None).unwrap();
    let end = |fd: &OwnedFd| Stdio::from(fd.try_clone().unwrap());
    let stdin = if typed.is_some() { end(&pty.slave) } else { Stdio::null() };
    let mut child = command.stdin(stdin).stdout(end(&pty.slave)).stderr(end(&pty.slave)).spawn().unwrap();
    // The last ends of the terminal outside of the child: its end is seen once the child's are closed, too.
    drop((command, pty.slave));
    let mut master = File::from(pty.master);
    // The terminal keeps it until somebody reads.
    master.write_all(typed.unwrap_or_default().as_bytes()).unwrap();
    let reader = std::thread::spawn(move || {
        let (mut bytes, mut chunk) = (Vec::new(), [0; 4096]);
        // Linux says EIO once nobody has the other end open.
        while let Ok(count @ 1..) = master.read(&mut chunk) {
            bytes.extend_from_slice(&chunk[..count]);
        }
        bytes
    });
    let status = child.wait().unwrap();
    (reader.join().unwrap(), status.code())
}

/// What a terminal of 100 columns and 50 rows shows after these bytes, what has scrolled by included. It knows the sequences that
/// [`obeyed`] lets pass, and no others.
pub(crate) fn screen(bytes: &[u8]) -> Vec<String> {
    const COLUMNS: usize = 100;
    const ROWS: usize = 50;
    let text = String::from_utf8_lossy(bytes).into_owned();
    let mut lines: Vec<Vec<char>> = vec![Vec::new()];
    let (mut row, mut column) = (0_usize, 0_usize);
    let mut rest = text.chars();
    while let Some(character) = rest.next() {
        match character {
            '\n' => row += 1,
            '\r' => column = 0,
            '\u{1b}' => {
                let sequence = rest.as_str().strip_prefix('[').unwrap_or_default();
                let end = sequence.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(0);
                let (parameter, last) = (sequence[..end].to_owned(), sequence[end..].chars().next());
                rest = sequence[(end + 1).min(sequence.len())..].chars();
                let count = parameter.parse().unwrap_or(1);
                match last {
                    Some('A') => row = row.saturating_sub(count).max(lines.len().saturating_sub(ROWS)),
                    Some('B') => row = (row + count).min(lines.len() - 1),
                    Some('C') => column += count,
                    Some('D') => column = column.saturating_sub(count),
                    Some('G') => column = count - 1,
                    Some('K') if parameter == "2" => lines[row].clear(),
                    Some('K') => lines[row].truncate(column),
                    Some('J') => {
                        lines[row].truncate(column);
                        lines.truncate(row + 1);
                    }
                    _ => {}
                }
            }
            shown => {
                if column == COLUMNS {
                    (row, column) = (row + 1, 0);
                }
                if lines.len() <= row {
                    lines.resize(row + 1, Vec::new());
                }
                let line = &mut lines[row];
                if line.len() <= column {
                    line.resize(column + 1, ' ');
                }
                line[column] = shown;
                column += 1;
            }
        }
        if lines.len() <= row {
            lines.resize(row + 1, Vec::new());
        }
    }
    lines.into_iter().map(|line| line.into_iter().collect::<String>().trim_end().to_owned()).collect()
}

/// What in these bytes a terminal would obey that is not one of Remint's own: colours and the redrawing of task lines.
pub(crate) fn obeyed(bytes: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(bytes);
    let mut found = Vec::new();
    if std::str::from_utf8(bytes).is_err() {
        found.push("bytes that are not UTF-8".to_owned());
    }
    let mut rest = text.chars().peekable();
    while let Some(character) = rest.next() {
        match character {
            '\n' | '\r' => {}
            '\u{1b}' => {
                let mut sequence = String::new();
                if rest.next_if_eq(&'[').is_some() {
                    while let Some(parameter) = rest.next_if(|c| matches!(c, ' '..='?')) {
                        sequence.push(parameter);
                    }
                    sequence.extend(rest.next());
                } else {
                    sequence.extend(rest.next());
                    sequence.insert_str(0, "ESC ");
                }
                if !OWN.contains(&sequence.as_str()) && !is_move(&sequence) {
                    found.push(sequence);
                }
            }
            c if c.is_control() => found.push(format!("{c:?}")),
            '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}' => {
                found.push(format!("{character:?}"));
            }
            _ => {}
        }
    }
    found
}

/// The sequences of Remint's own colours, and of the lines that are drawn again.
const OWN: &[&str] =
    &["0m", "1m", "2m", "32m", "33m", "36m", "1;31m", "1;34m", "K", "2K", "J", "0J", "?25l", "?25h", "31m"];

/// Whether it moves the cursor by some lines up or down, or to a column.
fn is_move(sequence: &str) -> bool {
    let digits = sequence.strip_suffix(['A', 'B', 'C', 'D', 'G']);
    digits.is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))
}
