//! Values of DNS records as texts, in the form of a zone file (RFC 1035), which Route 53 and Cloud DNS use.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::ZoneRecord;

/// How long a string of a TXT or CAA record may be, in bytes.
const STRING: usize = 255;

/// In what an API's form differs from another's.
#[derive(Debug, Clone, Copy)]
pub struct TextForm {
    /// The base of the three digits that stand for a character behind a `\`.
    pub radix: u32,
    /// Whether each string must be in quotes and hold 255 bytes at most.
    pub strict: bool,
}

/// What is wrong with a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadText {
    /// It is no IPv4 address.
    Ipv4,
    /// It is no IPv6 address.
    Ipv6,
    /// A priority, weight or port is no number from 0 to 65535.
    Number,
    /// The flags of a CAA record are no number from 0 to 255.
    Flags,
    /// A host name is none.
    Host,
    /// A string is not in quotes, has no end or is too long.
    Quotes,
    /// There are more or fewer parts than a record of the kind has, or the kind is none that is known.
    Parts,
}

/// The record of a text, without a name, a number and a time to live. `host` reads host names as the engine keeps them; the
/// data of an SOA record are its text.
///
/// # Errors
///
/// For the first part that is wrong.
pub fn read(
    kind: &str,
    text: &str,
    form: TextForm,
    host: impl Fn(&str) -> Option<String>,
) -> Result<ZoneRecord, BadText> {
    let mut record = ZoneRecord { kind: kind.to_owned(), ..ZoneRecord::default() };
    let words: Vec<&str> = text.split_ascii_whitespace().collect();
    let number = |text: &str| text.parse::<u16>().map(Some).map_err(|_| BadText::Number);
    let host = |text: &str| host(text).ok_or(BadText::Host);
    record.data = match (kind, words.as_slice()) {
        ("A", [ip]) => ip.parse::<Ipv4Addr>().map_err(|_| BadText::Ipv4)?.to_string(),
        ("A", _) => return Err(BadText::Ipv4),
        ("AAAA", [ip]) => ip.parse::<Ipv6Addr>().map_err(|_| BadText::Ipv6)?.to_string(),
        ("CNAME" | "NS", [name]) => host(name)?,
        ("MX", [priority, name]) => {
            record.priority = number(priority)?;
            host(name)?
        }
        ("SRV", [priority, weight, port, name]) => {
            (record.priority, record.weight, record.port) = (number(priority)?, number(weight)?, number(port)?);
            host(name)?
        }
        ("CAA", [flags, tag, ..]) => {
            record.flags = Some(flags.parse().map_err(|_| BadText::Flags)?);
            record.tag = Some((*tag).to_owned());
            let value = text.split_once(tag).map_or("", |(_, value)| value);
            strings(value, form).ok_or(BadText::Quotes)?
        }
        ("TXT", _) => strings(text, form).ok_or(BadText::Quotes)?,
        ("SOA", [primary, contact, numbers @ ..])
            if numbers.len() == 5 && numbers.iter().all(|number| number.parse::<u32>().is_ok()) =>
        {
            host(primary).and(host(contact))?;
            text.to_owned()
        }
        _ => return Err(BadText::Parts),
    };
    Ok(record)
}

/// The text of strings, one after another: `"a" "b"`.
fn strings(text: &str, form: TextForm) -> Option<String> {
    let mut out = String::new();
    let mut rest = text.trim();
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let before = out.len();
        rest = match rest.strip_prefix('"') {
            Some(inner) => quoted(inner, form.radix, &mut out)?,
            None if form.strict => return None,
            None => {
                let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
                let (word, after) = rest.split_at(end);
                out.push_str(word);
                after
            }
        }
        .trim_start();
        if form.strict && out.len() - before > STRING {
            return None;
        }
    }
    Some(out)
}

/// Reads to the closing quote. Gives what follows it.
fn quoted<'a>(inner: &'a str, radix: u32, out: &mut String) -> Option<&'a str> {
    let mut chars = inner.chars();
    loop {
        match chars.next()? {
            '"' => return Some(chars.as_str()),
            '\\' => {
                let next = chars.next()?;
                match next.to_digit(radix) {
                    Some(high) => {
                        let (middle, low) = (chars.next()?.to_digit(radix)?, chars.next()?.to_digit(radix)?);
                        out.push(char::from(u8::try_from((high * radix + middle) * radix + low).ok()?));
                    }
                    None => out.push(next),
                }
            }
            other => out.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STRICT: TextForm = TextForm { radix: 8, strict: true };
    const LAX: TextForm = TextForm { radix: 10, strict: false };

    #[test]
    fn forms_differ_in_quotes_lengths_and_characters_by_number() {
        let data = |text: &str, form| read("TXT", text, form, |_| None).map(|record| record.data);
        let long = format!("\"{}\"", "x".repeat(STRING + 1));
        assert_eq!(data("bare words", LAX).as_deref(), Ok("barewords"));
        assert_eq!(data("bare words", STRICT), Err(BadText::Quotes));
        assert_eq!(data(&long, LAX).map(|data| data.len()), Ok(STRING + 1));
        assert_eq!(data(&long, STRICT), Err(BadText::Quotes));
        assert_eq!((data(r#""\052""#, STRICT).as_deref(), data(r#""\042""#, LAX).as_deref()), (Ok("*"), Ok("*")));
        assert_eq!(data(r#""\400""#, STRICT), Err(BadText::Quotes), "no character has that number");
    }

    #[test]
    fn what_is_wrong_is_told_apart() {
        let host = |text: &str| (text != "bad").then(|| text.to_owned());
        for (kind, text, why) in [
            ("A", "::1", BadText::Ipv4),
            ("AAAA", "127.0.0.1", BadText::Ipv6),
            ("MX", "x mail", BadText::Number),
            ("MX", "10 bad", BadText::Host),
            ("CAA", "256 issue \"x\"", BadText::Flags),
            ("SRV", "1 2 3", BadText::Parts),
            ("SOA", "a b 1 2 3", BadText::Parts),
            ("PTR", "host", BadText::Parts),
        ] {
            assert_eq!(read(kind, text, STRICT, host), Err(why), "{kind} {text}");
        }
    }
}
