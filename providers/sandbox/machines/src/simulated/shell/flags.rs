//! The words of a command line: which flags a command knows, and what a line has of them.

/// How a command reads its words.
#[derive(Debug, Clone, Copy)]
pub(super) enum Flags {
    /// These flags, wherever they stand. `|` stands between the spellings of one flag, `=` after one that takes a value.
    Known(&'static str),
    /// The same, before the first operand: what follows is another command's.
    Leading(&'static str),
    /// It reads its words itself, and refuses those that it does not know.
    Own(&'static str),
    /// None: each word is an operand.
    None,
    /// Any: the command ignores its flags.
    Any,
}

impl Flags {
    /// Takes a command line apart; the error is the flag that is not known.
    pub(super) fn read(self, arguments: &[String]) -> Result<Words, String> {
        match self {
            Self::Known(known) => Words::read(known, arguments, false),
            Self::Leading(known) => Words::read(known, arguments, true),
            Self::Own(_) | Self::None | Self::Any => Ok(Words { flags: Vec::new(), operands: arguments.to_vec() }),
        }
    }
}

/// A command line, taken apart. A flag is named by its first spelling, without hyphens.
#[derive(Debug, Default)]
pub(super) struct Words {
    flags: Vec<(&'static str, String)>,
    pub(super) operands: Vec<String>,
}

impl Words {
    /// Whether one of these flags is there, with blanks between them.
    pub(super) fn has(&self, names: &str) -> bool {
        self.flags.iter().any(|(flag, _)| names.split(' ').any(|name| name == *flag))
    }

    /// The value of a flag; the last one's where it stands more than once.
    pub(super) fn value(&self, name: &str) -> Option<&str> {
        self.flags.iter().rev().find(|(flag, _)| *flag == name).map(|(_, value)| value.as_str())
    }

    /// All values of a flag, in their order.
    pub(super) fn values(&self, name: &str) -> Vec<String> {
        self.flags.iter().filter(|(flag, _)| *flag == name).map(|(_, value)| value.clone()).collect()
    }

    fn read(known: &'static str, arguments: &[String], leading: bool) -> Result<Self, String> {
        let mut words = Self::default();
        let mut rest = arguments.iter();
        while let Some(argument) = rest.next() {
            let letters = match argument.strip_prefix('-') {
                Some("-") => break,
                None | Some("") => {
                    words.operands.push(argument.clone());
                    if leading {
                        break;
                    }
                    continue;
                }
                Some(letters) => letters,
            };
            if letters.starts_with('-') {
                let (name, inline) = argument.split_once('=').map_or((argument.as_str(), None), |(n, v)| (n, Some(v)));
                let (flag, valued) = find(known, name).filter(|(_, valued)| *valued || inline.is_none()).ok_or(name)?;
                let value = inline.map(str::to_owned).or_else(|| if valued { rest.next().cloned() } else { None });
                words.flags.push((flag, value.unwrap_or_default()));
            } else if let (Some((flag, _)), Ok(_)) = (find(known, "-NUMBER"), letters.parse::<u64>()) {
                words.flags.push((flag, letters.to_owned()));
            } else {
                for (at, letter) in letters.char_indices() {
                    let name = format!("-{letter}");
                    let (flag, valued) = find(known, &name).ok_or(name)?;
                    let inline = &letters[at + letter.len_utf8()..];
                    let value = match (valued, inline) {
                        (false, _) => String::new(),
                        (true, "") => rest.next().cloned().unwrap_or_default(),
                        (true, inline) => inline.to_owned(),
                    };
                    words.flags.push((flag, value));
                    if valued {
                        break;
                    }
                }
            }
        }
        words.operands.extend(rest.cloned());
        Ok(words)
    }
}

/// The first spelling of a flag, and whether it takes a value.
fn find(known: &'static str, flag: &str) -> Option<(&'static str, bool)> {
    known.split(' ').find_map(|one| {
        let (names, valued) = one.strip_suffix('=').map_or((one, false), |names| (names, true));
        let first = names.split('|').next()?.trim_start_matches('-');
        names.split('|').any(|name| name == flag).then_some((first, valued))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_read_however_they_are_written() {
        let read = |line: &str, flags: Flags| {
            let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
            flags.read(&words).map(|words| {
                let flags: Vec<String> = words.flags.iter().map(|(flag, value)| format!("{flag}={value}")).collect();
                format!("{} / {}", flags.join(" "), words.operands.join(" "))
            })
        };
        let known = Flags::Known("-n|--lines= -q|--quiet -NUMBER");
        let leading = Flags::Leading("-n|--lines= -q|--quiet");
        for (line, flags, expected) in [
            ("-qn5 a", known, Ok("q= n=5 / a")),
            ("a -n 5 b", known, Ok("n=5 / a b")),
            ("--lines=5 --lines 6 --quiet -", known, Ok("n=5 n=6 q= / -")),
            ("-7 -- -q", known, Ok("NUMBER=7 / -q")),
            ("-q a -q", leading, Ok("q= / a -q")),
            ("-q -- -q", leading, Ok("q= / -q")),
            ("-qx", known, Err("-x")),
            ("--long", known, Err("--long")),
            ("--quiet=x", known, Err("--quiet")),
            ("-x", Flags::None, Ok(" / -x")),
        ] {
            assert_eq!(read(line, flags).as_deref().map_err(String::as_str), expected, "{line}");
        }
    }
}
