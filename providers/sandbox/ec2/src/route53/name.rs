//! Names in zones: how they are kept, written and ordered.

/// A name as it is kept: in lower case, with a dot at its end, a `*` as itself. `None` for what is no name.
pub(super) fn normal(text: &str) -> Option<String> {
    let plain = unescape(text)?.to_ascii_lowercase();
    let plain = plain.strip_suffix('.').unwrap_or(&plain);
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_*".contains(&byte))
    };
    (plain.len() <= 253 && plain.split('.').all(label)).then(|| format!("{plain}."))
}

/// Whether a text can be a zone's name: at least two labels of letters, digits and hyphens.
pub(super) fn is_zone(name: &str) -> bool {
    let label = |label: &str| label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') && !label.starts_with('-');
    let labels: Vec<&str> = name.trim_end_matches('.').split('.').collect();
    labels.len() >= 2 && labels.into_iter().all(label)
}

/// Whether a name is the zone's or below it. Both with a dot at their end.
pub(super) fn is_within(zone: &str, name: &str) -> bool {
    name == zone || name.strip_suffix(zone).is_some_and(|rest| rest.ends_with('.'))
}

/// A name as the API writes it: a `*` as `\052`.
pub(super) fn written(name: &str) -> String {
    name.replace('*', "\\052")
}

/// What names are ordered by: their labels from the last to the first.
pub(super) fn order(name: &str) -> Vec<String> {
    name.trim_end_matches('.').split('.').rev().map(str::to_owned).collect()
}

/// Takes `\052` and its like for the characters that they stand for.
fn unescape(text: &str) -> Option<String> {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        out.push_str(before);
        let code = u8::from_str_radix(after.get(..3)?, 8).ok()?;
        out.push(char::from(code));
        rest = &after[3..];
    }
    out.push_str(rest);
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_kept_in_one_form() {
        assert_eq!(normal("WWW.Example.com"), Some("www.example.com.".to_owned()));
        assert_eq!(normal("\\052.example.com."), Some("*.example.com.".to_owned()));
        assert_eq!(written("*.example.com."), "\\052.example.com.");
        for bad in ["", "a..b", "a b.c", "\\05", "ö.de"] {
            assert_eq!(normal(bad), None, "{bad}");
        }
        assert!(is_within("example.com.", "a.example.com.") && is_within("example.com.", "example.com."));
        assert!(!is_within("example.com.", "badexample.com."));
        assert!(is_zone("example.com.") && !is_zone("com") && !is_zone("a_b.com"));
    }

    #[test]
    fn the_zone_itself_comes_first() {
        let mut names = ["b.example.com.", "a.b.example.com.", "example.com.", "a.example.com."];
        names.sort_by_key(|name| order(name));
        assert_eq!(names, ["example.com.", "a.example.com.", "b.example.com.", "a.b.example.com."]);
    }
}
