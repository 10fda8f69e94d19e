//! Text that a terminal only shows, and does not obey.

use std::{borrow::Cow, iter::Peekable, str::Chars};

use icu_properties::{
    CodePointMapData, CodePointSetData,
    props::{BidiControl, DefaultIgnorableCodePoint, GeneralCategory},
};

/// How many marks may be put on one character. Living languages need four; more only overflow into other lines.
const MARKS: usize = 4;

/// Makes foreign text harmless to show.
///
/// - Escape sequences go: CSI, OSC, DCS and the others, begun by ESC or by a C1 control.
/// - CR LF is a line end, and so is CR alone: it would let text overwrite what came before.
/// - All other controls, bidirectional controls, invisible and zero-width characters, line and paragraph separators and private
///   characters become U+FFFD, so that it shows that something was there. Joiners and variation selectors, which emoji use, just go.
/// - A character keeps at most four combining marks.
///
/// Line ends (LF) and tabs stay.
pub fn clean(text: &str) -> Cow<'_, str> {
    if text.bytes().all(|byte| matches!(byte, b'\n' | b'\t' | 0x20..=0x7e)) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    let mut marks = 0;
    while let Some(character) = chars.next() {
        let class = Class::of(character);
        marks = if class == Class::Mark { marks + 1 } else { 0 };
        match class {
            Class::Shown => out.push(character),
            Class::Mark if marks <= MARKS => out.push(character),
            Class::Mark | Class::Joiner => {}
            Class::LineEnd => {
                if character == '\r' {
                    chars.next_if_eq(&'\n');
                }
                out.push('\n');
            }
            Class::Escape => skip_escape(&mut chars),
            Class::Introducer(opens) => skip_sequence(&mut chars, opens),
            Class::Unsafe => out.push(char::REPLACEMENT_CHARACTER),
        }
    }
    Cow::Owned(out)
}

/// Whether a character is neither seen nor takes room, or is a blank: what [`clean`] may remove, and what may be put into a secret
/// without changing how it looks.
pub(super) fn is_blank(character: char) -> bool {
    character.is_whitespace()
        || !matches!(Class::of(character), Class::Shown | Class::Mark)
        || character == char::REPLACEMENT_CHARACTER
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    Shown,
    Mark,
    Joiner,
    LineEnd,
    Escape,
    Introducer(Opens),
    Unsafe,
}

/// What a sequence is, by how it begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Opens {
    /// Parameters and a final byte.
    Control,
    /// Text up to a string terminator.
    String,
}

impl Class {
    fn of(character: char) -> Self {
        match character {
            '\t' | ' '..='~' => Self::Shown,
            '\n' | '\r' => Self::LineEnd,
            '\u{1b}' => Self::Escape,
            '\u{9b}' => Self::Introducer(Opens::Control),
            '\u{90}' | '\u{98}' | '\u{9d}'..='\u{9f}' => Self::Introducer(Opens::String),
            '\u{200d}' | '\u{fe0e}' | '\u{fe0f}' => Self::Joiner,
            _ => Self::of_other(character),
        }
    }

    fn of_other(character: char) -> Self {
        if CodePointSetData::new::<BidiControl>().contains(character)
            || CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(character)
        {
            return Self::Unsafe;
        }
        match CodePointMapData::<GeneralCategory>::new().get(character) {
            GeneralCategory::Control
            | GeneralCategory::Format
            | GeneralCategory::LineSeparator
            | GeneralCategory::ParagraphSeparator
            | GeneralCategory::PrivateUse
            | GeneralCategory::Surrogate => Self::Unsafe,
            GeneralCategory::Unassigned if is_noncharacter(character) => Self::Unsafe,
            GeneralCategory::NonspacingMark | GeneralCategory::EnclosingMark => Self::Mark,
            _ => Self::Shown,
        }
    }
}

fn is_noncharacter(character: char) -> bool {
    matches!(character, '\u{fdd0}'..='\u{fdef}') || u32::from(character) & 0xfffe == 0xfffe
}

/// Skips what follows an ESC, as far as it belongs to it (ECMA-48, 5.3 and 5.4).
fn skip_escape(chars: &mut Peekable<Chars<'_>>) {
    match chars.peek() {
        Some('[') => {
            chars.next();
            skip_sequence(chars, Opens::Control);
        }
        Some(']' | 'P' | 'X' | '^' | '_') => {
            chars.next();
            skip_sequence(chars, Opens::String);
        }
        Some(' '..='/') => {
            while chars.next_if(|character| matches!(character, ' '..='/')).is_some() {}
            chars.next_if(|character| matches!(character, '0'..='~'));
        }
        Some('0'..='~') => {
            chars.next();
        }
        _ => {}
    }
}

/// Skips a sequence after its introducer. A string that is not terminated on its line is text: without its introducer no terminal
/// takes it for anything else, and it may be all that there is to see.
fn skip_sequence(chars: &mut Peekable<Chars<'_>>, opens: Opens) {
    match opens {
        Opens::Control => {
            while chars.next_if(|character| matches!(character, ' '..='?')).is_some() {}
            chars.next_if(|character| matches!(character, '@'..='~'));
        }
        Opens::String => {
            let mut ahead = chars.clone();
            while let Some(character) = ahead.next() {
                let ends = match character {
                    '\u{7}' | '\u{9c}' => true,
                    '\u{1b}' => ahead.next_if_eq(&'\\').is_some(),
                    '\n' | '\r' | '\u{18}' | '\u{1a}' => return,
                    _ => false,
                };
                if ends {
                    *chars = ahead;
                    return;
                }
                if character == '\u{1b}' {
                    return;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequences_go_and_text_stays() {
        for (text, shown) in [
            ("plain\ttext\n", "plain\ttext\n"),
            ("\u{1b}[1;31mred\u{1b}[0m", "red"),
            ("\u{9b}2Jcleared", "cleared"),
            ("a\u{1b}]52;c;aGFjaw==\u{7}b", "ab"),
            ("a\u{1b}]0;title\u{1b}\\b", "ab"),
            ("a\u{9d}52;c;aGFjaw==\u{9c}b", "ab"),
            ("a\u{1b}P+q544e\u{1b}\\b", "ab"),
            ("a\u{90}q\u{9c}b", "ab"),
            ("a\u{1b}_x\u{1b}\\\u{1b}^y\u{7}\u{1b}Xz\u{9c}b", "ab"),
            ("a\u{1b}(0b\u{1b}cc\u{1b}", "abc"),
            // What is not terminated hides nothing.
            ("a\u{1b}]52;c;x\nb", "a52;c;x\nb"),
            ("a\u{1b}]52;c;x\u{1b}[2Jb", "a52;c;xb"),
            ("a\u{1b}[31", "a"),
        ] {
            assert_eq!(clean(text), shown, "{text:?}");
        }
    }

    #[test]
    fn a_line_cannot_be_overwritten() {
        assert_eq!(clean("error\rfine\r\nnext\n"), "error\nfine\nnext\n");
        assert_eq!(
            clean("ab\u{8}c\u{b}\u{c}\u{85}\u{2028}\u{2029}"),
            "ab\u{fffd}c\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}"
        );
    }

    #[test]
    fn nothing_that_controls_or_hides_is_left_of_any_character() {
        // Planes that are empty are left out; of those for private use, the ends are taken.
        let all = (0..0x2_0000).chain(0xe_0000..0xe_1000).chain(0xf_fff0..0x10_0010).chain(0x10_fff0..0x11_0000);
        for character in all.filter_map(char::from_u32) {
            let text = format!("a{character}b");
            let shown = clean(&text);
            let left = shown.chars().filter(|c| !matches!(c, '\n' | '\t')).any(|c| {
                c.is_control()
                    || matches!(c, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}')
                    || matches!(c, '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fe00}'..='\u{fe0f}' | '\u{fff9}'..='\u{fffb}')
                    || matches!(c, '\u{115f}' | '\u{1160}' | '\u{3164}' | '\u{ffa0}' | '\u{e0000}'..='\u{e0fff}' | '\u{f0000}'..)
            });
            assert!(!left, "{character:?} gives {shown:?}");
            assert_eq!(clean(&shown), shown, "cleaning again changes nothing");
        }
    }

    #[test]
    fn writing_of_the_world_stays_and_heaps_of_marks_do_not() {
        for text in ["naïve — Grüße", "Tiếng Việt", "日本語", "עברית", "العربية", "हिन्दी", "a\u{301}\u{323}", "✔ 🎉"]
        {
            assert_eq!(clean(text), text);
        }
        let heap = format!("a{}b", "\u{301}".repeat(100));
        assert_eq!(clean(&heap).chars().count(), 2 + MARKS);
    }
}
