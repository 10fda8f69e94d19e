//! What can be seen of a script and of shell lines before a machine runs them. For words of bash see [`super::bash`].
//!
//! Editors of other systems leave marks that the kernel and the shell take for a part of the text. What they then say, "not
//! found" of a file that is there, does not name the cause.

use std::{fs::File, io::Read, path::Path};

/// How much of a script is looked at: its first line is what the kernel reads, of which it takes 256 bytes (`execve(2)`).
const HEAD: u64 = 4096;
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// What would keep a script from running: the problem, and what to do. `None` too for a file that cannot be read, which is
/// reported elsewhere.
pub(super) fn script_problem(path: &Path) -> Option<(String, &'static str)> {
    let mut head = Vec::new();
    File::open(path).ok()?.take(HEAD).read_to_end(&mut head).ok()?;
    of_head(&head)
}

fn of_head(head: &[u8]) -> Option<(String, &'static str)> {
    if head.starts_with(BYTE_ORDER_MARK) {
        let message = "it begins with a byte order mark, so that the kernel does not see its `#!`";
        return Some((message.to_owned(), "save it as UTF-8 without a byte order mark"));
    }
    let first = head.split(|&byte| byte == b'\n').next().unwrap_or_default();
    if first.ends_with(b"\r") && first.len() < head.len() {
        let message = "its lines end with CR LF, so that the CR becomes a part of each command";
        return Some((
            message.to_owned(),
            "save it with Unix line ends: `sed -i 's/\\r$//' FILE`, or `eol=lf` in .gitattributes",
        ));
    }
    None
}

/// Where lines for the shell cannot be what was meant: the index of the entry, the problem, and what to do.
pub(super) fn inline_problem(entries: &[String]) -> Option<(usize, String, &'static str)> {
    let has_cr = |entry: &String| entry.split('\n').any(|line| line.ends_with('\r'));
    if let Some(index) = entries.iter().position(has_cr) {
        let message = "a line ends with CR LF, so that the CR becomes a part of the command";
        return Some((index, message.to_owned(), "write it with Unix line ends"));
    }
    let last = entries.last()?;
    let line = last.rsplit('\n').next().unwrap_or_default();
    let backslashes = line.bytes().rev().take_while(|&byte| byte == b'\\').count();
    if backslashes % 2 == 1 && !line.trim_start().starts_with('#') {
        let message = format!("`{line}` ends with a backslash, and no line follows to go on with");
        return Some((entries.len() - 1, message, "remove the backslash, or add the line that is missing"));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_would_not_run_is_found_in_the_first_line() {
        for good in [&b""[..], b"#!/bin/sh\ntrue\r\n", b"#!/bin/sh", b"true\n", b"\x7fELF\x02\x01", b"\r", b"a\rb\n"] {
            assert_eq!(of_head(good), None, "{good:?}");
        }
        for (bad, says) in [
            (&b"#!/bin/sh\r\ntrue\r\n"[..], "CR LF"),
            (b"\r\n", "CR LF"),
            (b"\xef\xbb\xbf#!/bin/sh\n", "byte order mark"),
            (b"\xef\xbb\xbf#!/bin/sh\r\n", "byte order mark"),
        ] {
            assert!(of_head(bad).unwrap().0.contains(says), "{bad:?}");
        }
        assert_eq!(script_problem(Path::new("/nowhere")), None);
    }

    #[test]
    fn lines_that_the_shell_would_misread_are_found() {
        let problem = |lines: &[&str]| inline_problem(&lines.iter().map(|&line| line.to_owned()).collect::<Vec<_>>());
        for good in [
            &[][..],
            &["true"],
            &["apt-get install \\", "nginx"],
            &["printf '\\r\\n'"],
            &["echo \\\\"],
            &["# a comment \\"],
            &["echo 'a\rb'"],
        ] {
            assert_eq!(problem(good), None, "{good:?}");
        }
        for (bad, index, says) in [
            (&["true\r", "true"][..], 0, "CR LF"),
            (&["true", "one\r\ntwo"], 1, "CR LF"),
            (&["true", "apt-get install \\"], 1, "`apt-get install \\` ends with a backslash"),
            (&["one\ntwo \\"], 0, "`two \\`"),
            (&["echo \\\\\\"], 0, "ends with a backslash"),
        ] {
            let (at, message, _) = problem(bad).unwrap();
            assert_eq!(at, index, "{bad:?}");
            assert!(message.contains(says), "{message}");
        }
    }
}
