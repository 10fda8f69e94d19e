//! Bytes into lines.

/// The longest line that is passed on, in bytes; a longer one is cut into several.
pub(super) const MAX_LINE: usize = 16 * 1024;

/// Splits a stream of bytes into lines, for people to read.
///
/// A line ends with LF, CR LF, or a CR alone (progress bars). Invalid UTF-8 is replaced; a line longer than
/// [`MAX_LINE`] is cut. Empty lines between a CR and its LF are not made up.
#[derive(Debug, Default)]
pub(super) struct LineSplitter {
    pending: Vec<u8>,
    after_cr: bool,
}

impl LineSplitter {
    /// Takes bytes in, and hands every line that is complete to `emit`.
    pub(super) fn push(&mut self, bytes: &[u8], emit: &mut dyn FnMut(String)) {
        for &byte in bytes {
            let after_cr = std::mem::take(&mut self.after_cr);
            match byte {
                b'\n' if after_cr => {}
                b'\n' => self.flush(emit),
                b'\r' => {
                    self.flush(emit);
                    self.after_cr = true;
                }
                _ => {
                    self.pending.push(byte);
                    if self.pending.len() >= MAX_LINE {
                        self.cut(emit);
                    }
                }
            }
        }
    }

    /// Hands over what has no line end yet.
    pub(super) fn finish(&mut self, emit: &mut dyn FnMut(String)) {
        if !self.pending.is_empty() {
            self.flush(emit);
        }
    }

    fn flush(&mut self, emit: &mut dyn FnMut(String)) {
        let line = String::from_utf8_lossy(&self.pending).into_owned();
        self.pending.clear();
        emit(line);
    }

    /// Cuts an overlong line where no character is torn apart.
    fn cut(&mut self, emit: &mut dyn FnMut(String)) {
        let boundary = match std::str::from_utf8(&self.pending) {
            Err(error) if error.error_len().is_none() => error.valid_up_to(),
            _ => self.pending.len(),
        };
        let rest = self.pending.split_off(boundary);
        self.flush(emit);
        self.pending = rest;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(chunks: &[&[u8]]) -> Vec<String> {
        let mut found = Vec::new();
        let mut splitter = LineSplitter::default();
        for chunk in chunks {
            splitter.push(chunk, &mut |line| found.push(line));
        }
        splitter.finish(&mut |line| found.push(line));
        found
    }

    #[test]
    fn every_kind_of_line_end_ends_a_line_once() {
        assert_eq!(lines(&[b"a\nb\r\nc\rd"]), ["a", "b", "c", "d"]);
        assert_eq!(lines(&[b"a\r", b"\nb\n", b"\n"]), ["a", "b", ""]);
        assert_eq!(lines(&[b""]), Vec::<String>::new());
    }

    #[test]
    fn invalid_text_is_shown_as_far_as_it_goes() {
        assert_eq!(lines(&[b"a\xff\xfeb\n"]), ["a\u{fffd}\u{fffd}b"]);
        let umlaut = "ü".as_bytes();
        assert_eq!(lines(&[&umlaut[..1], &umlaut[1..]]), ["ü"], "a character may come in two pieces");
    }

    #[test]
    fn an_endless_line_is_cut_between_characters() {
        let text = format!("x{}", "ü".repeat(MAX_LINE));
        let found = lines(&[text.as_bytes()]);
        assert!(found.iter().all(|line| line.len() <= MAX_LINE && !line.contains('\u{fffd}')));
        assert_eq!(found.concat(), text);
    }
}
