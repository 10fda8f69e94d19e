//! Glob patterns: `*`, `?`, `[…]`.

/// A character of a word, with whether it was quoted and so stands for itself.
pub(super) type Marked = (char, bool);

/// Marks a whole text as meaning its globs.
pub(super) fn marked(text: &str) -> Vec<Marked> {
    text.chars().map(|c| (c, false)).collect()
}

/// Whether a word has anything to match.
pub(super) fn is_glob(word: &[Marked]) -> bool {
    word.iter().any(|(c, quoted)| !quoted && "*?[".contains(*c))
}

/// Whether the pattern matches the whole text.
///
/// Iterative, with one place to come back to: time is at most the product of the lengths.
pub(super) fn matches(pattern: &[Marked], text: &str) -> bool {
    let text: Vec<char> = text.chars().collect();
    let (mut p, mut t) = (0, 0);
    let mut back: Option<(usize, usize)> = None;
    while t < text.len() {
        match one(pattern, p, text[t]) {
            Some(next) => {
                p = next;
                t += 1;
            }
            None if pattern.get(p) == Some(&('*', false)) => {
                back = Some((p, t));
                p += 1;
            }
            None => match &mut back {
                Some((star, from)) => {
                    *from += 1;
                    (p, t) = (*star + 1, *from);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == ('*', false))
}

/// Matches one character; gives the place in the pattern after it.
fn one(pattern: &[Marked], at: usize, c: char) -> Option<usize> {
    match *pattern.get(at)? {
        ('*', false) => None,
        ('?', false) => Some(at + 1),
        ('[', false) => match set(pattern, at, c) {
            Some((true, next)) => Some(next),
            Some((false, _)) => None,
            None => (c == '[').then_some(at + 1),
        },
        (same, _) => (same == c).then_some(at + 1),
    }
}

fn set(pattern: &[Marked], at: usize, c: char) -> Option<(bool, usize)> {
    let mut i = at + 1;
    let negated = matches!(pattern.get(i), Some(('!' | '^', false)));
    if negated {
        i += 1;
    }
    let first = i;
    let mut found = false;
    loop {
        let (low, _) = *pattern.get(i)?;
        if low == ']' && i > first {
            return Some((found != negated, i + 1));
        }
        if let (Some(('-', false)), Some((high, _))) = (pattern.get(i + 1), pattern.get(i + 2))
            && *high != ']'
        {
            found |= (low..=*high).contains(&c);
            i += 3;
        } else {
            found |= low == c;
            i += 1;
        }
    }
}

/// Takes the shortest or longest matching beginning away, or end. `effort` is told how many characters are looked at, and may
/// stop it.
pub(super) fn strip<'a, E>(
    pattern: &[Marked],
    text: &'a str,
    beginning: bool,
    longest: bool,
    effort: impl Fn(usize) -> Result<(), E>,
) -> Result<&'a str, E> {
    let mut places: Vec<usize> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
    if beginning == longest {
        places.reverse();
    }
    for (before, after) in places.into_iter().map(|at| text.split_at(at)) {
        let (taken, left) = if beginning { (before, after) } else { (after, before) };
        effort(taken.len().saturating_mul(pattern.len()))?;
        if matches(pattern, taken) {
            return Ok(left);
        }
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_match_whole_words() {
        for (pattern, text, expected) in [
            ("*", "", true),
            ("a*c", "abbbc", true),
            ("a*c", "abbbd", false),
            ("?", "ab", false),
            ("[a-c]x", "bx", true),
            ("[!a-c]x", "bx", false),
            ("*.log", "syslog", false),
            ("ssh_host_*_key*", "ssh_host_ed25519_key.pub", true),
        ] {
            assert_eq!(matches(&marked(pattern), text), expected, "{pattern} {text}");
        }
        assert!(!matches(&[('*', true)], "x"));
    }

    #[test]
    fn ends_are_taken_away() {
        let free = |_| Ok::<(), ()>(());
        assert_eq!(strip(&marked("*/"), "a/b/c", true, false, free), Ok("b/c"));
        assert_eq!(strip(&marked("*/"), "a/b/c", true, true, free), Ok("c"));
        assert_eq!(strip(&marked(".*"), "a.b.c", false, false, free), Ok("a.b"));
        assert_eq!(strip(&marked(".*"), "a.b.c", false, true, free), Ok("a"));
        assert_eq!(strip(&marked("x"), "a", false, true, Err), Err(1), "as many as it would take");
    }
}
