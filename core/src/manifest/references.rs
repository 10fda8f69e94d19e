//! The grammar of `${…}`.
//!
//! A reference is `${NAMESPACE.NAME}`. Anything else that starts with `${` is left as it is, because shell code is full
//! of it (`${HOME}`, `${1:-x}`), and a name of the shell never holds a dot. `$${` stands for a literal `${`.

/// A piece of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Piece<'a> {
    Text(&'a str),
    /// Written `$${`, for a literal `${`.
    Escape,
    /// `${NAMESPACE.NAME}`.
    Reference(Reference<'a>),
    /// A reference without its closing brace: all the text from there.
    Unclosed(&'a str),
}

impl<'a> Piece<'a> {
    /// The piece as it is written.
    pub(crate) fn source(&self) -> &'a str {
        match self {
            Self::Text(text) | Self::Unclosed(text) => text,
            Self::Escape => "$${",
            Self::Reference(reference) => reference.text,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reference<'a> {
    /// The whole reference, with `${` and `}`.
    pub(crate) text: &'a str,
    /// Before the first dot.
    pub(crate) namespace: &'a str,
    /// After it.
    pub(crate) name: &'a str,
}

/// What is known only when a release is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Late<'a> {
    Secret(&'a str),
    ReleaseId,
    ReleaseService,
    ReleaseEnv,
    StaticIp,
    Fqdn,
}

/// The late references that are not secrets.
pub(crate) const LATE: &[(&str, &str)] =
    &[("release", "id"), ("release", "service"), ("release", "env"), ("address", "static_ip"), ("dns", "fqdn")];

pub(crate) const NAMESPACES: &[&str] = &["var", "env", "git", "secret", "release", "address", "dns"];

impl<'a> Reference<'a> {
    /// What it stands for, if that is a late value.
    pub(crate) fn late(&self) -> Option<Late<'a>> {
        match (self.namespace, self.name) {
            ("secret", name) => Some(Late::Secret(name)),
            ("release", "id") => Some(Late::ReleaseId),
            ("release", "service") => Some(Late::ReleaseService),
            ("release", "env") => Some(Late::ReleaseEnv),
            ("address", "static_ip") => Some(Late::StaticIp),
            ("dns", "fqdn") => Some(Late::Fqdn),
            _ => None,
        }
    }
}

/// Cuts a text into pieces; joined they are the text.
pub(crate) fn pieces(text: &str) -> Vec<Piece<'_>> {
    let mut out = Vec::new();
    let (mut start, mut at) = (0, 0);
    while let Some(found) = text[at..].find('$') {
        let dollar = at + found;
        let rest = &text[dollar..];
        let (piece, length) = if rest.starts_with("$${") {
            (Piece::Escape, 3)
        } else if let Some(namespace) = namespace(rest) {
            match rest.find('}') {
                Some(end) => {
                    let name = &rest[2 + namespace.len() + 1..end];
                    (Piece::Reference(Reference { text: &rest[..=end], namespace, name }), end + 1)
                }
                None => (Piece::Unclosed(rest), rest.len()),
            }
        } else {
            at = dollar + 1;
            continue;
        };
        if start < dollar {
            out.push(Piece::Text(&text[start..dollar]));
        }
        out.push(piece);
        at = dollar + length;
        start = at;
    }
    if start < text.len() {
        out.push(Piece::Text(&text[start..]));
    }
    out
}

/// Writes a literal text so that [`pieces`] reads it as such.
pub(crate) fn escape(text: &str) -> String {
    text.replace("${", "$${")
}

/// The word between `${` and the first dot, if that is how the text starts.
fn namespace(text: &str) -> Option<&str> {
    let inner = text.strip_prefix("${")?;
    let dot = inner.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))?;
    let word = &inner[..dot];
    (inner[dot..].starts_with('.') && word.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')).then_some(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leaves_shell_code_alone() {
        for text in ["${HOME}", "${1:-a.b}", "${#x}", "$x", "${file%.txt}", "cost: 5$", "${}", "$$", "${x"] {
            assert_eq!(pieces(text), [Piece::Text(text)], "{text}");
        }
    }

    #[test]
    fn finds_references_and_escapes() {
        let reference = Reference { text: "${var.x}", namespace: "var", name: "x" };
        assert_eq!(
            pieces("a${var.x}$${b}${var.y"),
            [
                Piece::Text("a"),
                Piece::Reference(reference),
                Piece::Escape,
                Piece::Text("b}"),
                Piece::Unclosed("${var.y")
            ]
        );
    }

    #[test]
    fn escaped_text_reads_as_itself() {
        for text in ["${secret.x}", "$${var.x}", "$", "$$${", "plain"] {
            let back: String = pieces(&escape(text))
                .iter()
                .map(|piece| match piece {
                    Piece::Text(text) => *text,
                    Piece::Escape => "${",
                    other => panic!("{other:?}"),
                })
                .collect();
            assert_eq!(back, text);
        }
    }
}
