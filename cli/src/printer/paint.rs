//! Our own styles, and nobody else's: what the command writes passes [`render`], which removes every escape sequence but those that this
//! process marked as its own.
//!
//! The mark is a random number among the parameters of the sequence. Foreign text cannot know it, and what computes widths takes the
//! whole for an ordinary sequence.

use std::sync::LazyLock;

use remint_core::{manifest::Diagnostics, redact};

static MARK: LazyLock<String> = LazyLock::new(|| format!(";{};", uuid::Uuid::new_v4().as_u128()));

/// The sequence that switches a style on.
pub(super) fn on(codes: &str) -> String {
    format!("\u{1b}[0{}{codes}m", *MARK)
}

/// The sequence that switches all styles off.
pub(super) fn off() -> String {
    on("0")
}

/// Diagnostics with their styles marked as ours: when they are rendered, no other escape sequences are left in them.
pub(super) fn diagnostics(diagnostics: &Diagnostics) -> String {
    diagnostics.render(true).replace("\u{1b}[", &format!("\u{1b}[0{}", *MARK))
}

/// Text as it may go to a terminal or into a pipe: clean and without secrets, with our own styles as plain sequences.
pub(super) fn render(text: &str) -> String {
    let own = format!("\u{1b}[0{}", *MARK);
    let mut pieces = text.split(own.as_str());
    let mut out = redact::show(pieces.next().unwrap_or_default());
    for piece in pieces {
        let (codes, rest) = piece.split_once('m').unwrap_or(("0", piece));
        out.push_str(&format!("\u{1b}[{codes}m"));
        out.push_str(&redact::show(rest));
    }
    out
}

/// Foreign text among lines of our own: what follows its first line is set in, so that it cannot pass for a line of ours.
pub(super) fn set_in(text: &str) -> String {
    redact::show(text).trim_end().replace('\n', "\n    ")
}

#[cfg(test)]
mod tests {
    use super::{super::Styled, *};

    #[test]
    fn only_our_own_styles_reach_a_terminal() {
        let name = "app\u{1b}[31m\u{1b}]52;c;aGFjaw==\u{7}\u{9b}2J\u{202e}";
        let text = format!("{} {name}", Styled::green(name));
        assert_eq!(render(&text), "\u{1b}[32mapp\u{fffd}\u{1b}[0m app\u{fffd}");
        assert_eq!(render("\u{1b}[0;1;32mforged\u{1b}[0m"), "forged");
    }

    #[test]
    fn diagnostics_have_colours_and_nothing_else_of_a_terminal() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("remint.toml");
        std::fs::write(&path, "service = \u{1b}[2Jx\n").unwrap();
        let found = remint_core::manifest::load(&path, &Default::default()).unwrap_err();
        let text = render(&diagnostics(&found));
        assert!(text.contains("\u{1b}[1m") && text.contains("error") && !text.contains("\u{1b}[2J"), "{text:?}");
        assert!(!text.contains(MARK.as_str()), "{text:?}");
    }

    #[test]
    fn a_line_of_somebody_else_s_does_not_begin_where_ours_do() {
        assert_eq!(set_in("first\nerror: forged\n"), "first\n    error: forged");
    }
}
