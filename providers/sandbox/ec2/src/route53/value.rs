//! Values of records, as Route 53 writes them: in the form of a zone file.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::name;
use remint_sandbox_cloud::ZoneRecord;

/// The kinds of records that are known here.
pub(super) const KINDS: &[&str] = &["A", "AAAA", "CAA", "CNAME", "MX", "NS", "SOA", "SRV", "TXT"];

/// A value as the engine keeps it, or what is wrong with it.
pub(super) fn read(kind: &str, value: &str) -> Result<ZoneRecord, String> {
    let mut record = ZoneRecord {
        id: 0,
        kind: kind.to_owned(),
        name: String::new(),
        data: String::new(),
        priority: None,
        port: None,
        ttl: 0,
        weight: None,
        flags: None,
        tag: None,
    };
    let words: Vec<&str> = value.split_ascii_whitespace().collect();
    let fatal = |code: &str, what: &str| format!("FATAL problem: {code} ({what}) encountered with '{value}'");
    let number = |text: &str| text.parse::<u16>().map_err(|_| fatal("InvalidNumber", "Value is not a valid number"));
    match (kind, &words[..]) {
        ("A", [ip]) => {
            let ip = ip.parse::<Ipv4Addr>();
            let illegal = fatal("ARRDATAIllegalIPv4Address", "Value is not a valid IPv4 address");
            record.data = ip.map_err(|_| illegal)?.to_string();
        }
        ("A", _) => return Err(fatal("ARRDATAIllegalIPv4Address", "Value is not a valid IPv4 address")),
        ("AAAA", [ip]) => {
            let illegal = fatal("AAAARRDATAIllegalIPv6Address", "Value is not a valid IPv6 address");
            record.data = ip.parse::<Ipv6Addr>().map_err(|_| illegal)?.to_string();
        }
        ("CNAME" | "NS", [host]) => record.data = host_name(host).ok_or_else(|| domain_error(&fatal))?,
        ("MX", [priority, host]) => {
            record.priority = Some(number(priority)?);
            record.data = host_name(host).ok_or_else(|| domain_error(&fatal))?;
        }
        ("SRV", [priority, weight, port, host]) => {
            (record.priority, record.weight) = (Some(number(priority)?), Some(number(weight)?));
            record.port = Some(number(port)?);
            record.data = host_name(host).ok_or_else(|| domain_error(&fatal))?;
        }
        ("CAA", [flags, tag, ..]) => {
            record.flags =
                Some(flags.parse().map_err(|_| fatal("InvalidCAAFlags", "Flags are a number from 0 to 255"))?);
            record.tag = Some((*tag).to_owned());
            let quoted = value.splitn(3, char::is_whitespace).nth(2).unwrap_or_default();
            record.data = strings(quoted)
                .ok_or_else(|| fatal("InvalidCharacterString", "Value should be enclosed in quotation marks"))?;
        }
        ("TXT", _) => {
            let bad = fatal("InvalidCharacterString", "Value should be enclosed in quotation marks");
            record.data = strings(value).ok_or(bad)?;
        }
        ("SOA", [primary, contact, numbers @ ..])
            if numbers.len() == 5 && numbers.iter().all(|n| n.parse::<u32>().is_ok()) =>
        {
            host_name(primary).and(host_name(contact)).ok_or_else(|| domain_error(&fatal))?;
            record.data = value.to_owned();
        }
        _ => return Err(fatal("InvalidValue", "Value is not one of this type")),
    }
    Ok(record)
}

fn domain_error(fatal: &impl Fn(&str, &str) -> String) -> String {
    fatal("DomainLabelEmpty", "Value is not a valid domain name")
}

/// A host name without its last dot.
fn host_name(text: &str) -> Option<String> {
    Some(name::normal(text)?.trim_end_matches('.').to_owned())
}

/// The text of quoted strings, one after another: `"a" "b"`.
fn strings(text: &str) -> Option<String> {
    let mut out = String::new();
    let mut rest = text.trim();
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let mut chars = rest.strip_prefix('"')?.char_indices();
        let mut length = 0;
        let end = loop {
            match chars.next()? {
                (at, '"') => break at,
                (_, '\\') => {
                    let (_, next) = chars.next()?;
                    match next.to_digit(8) {
                        Some(high) => {
                            let (middle, low) = (chars.next()?.1.to_digit(8)?, chars.next()?.1.to_digit(8)?);
                            out.push(char::from(u8::try_from(high * 64 + middle * 8 + low).ok()?));
                        }
                        None => out.push(next),
                    }
                    length += 1;
                }
                (_, other) => {
                    out.push(other);
                    length += other.len_utf8();
                }
            }
        };
        if length > 255 {
            return None;
        }
        rest = rest[end + 2..].trim_start();
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_every_kind() {
        let data = |kind, value| read(kind, value).map(|record| record.data);
        assert_eq!(data("A", "192.0.2.1"), Ok("192.0.2.1".to_owned()));
        assert_eq!(data("CNAME", "Other.example.com"), Ok("other.example.com".to_owned()));
        assert_eq!(data("TXT", r#""one " "and \"two\"""#), Ok(r#"one and "two""#.to_owned()));
        assert_eq!(data("TXT", r#""\052""#), Ok("*".to_owned()));
        let mx = read("MX", "10 mail.example.com.").unwrap();
        assert_eq!((mx.priority, mx.data.as_str()), (Some(10), "mail.example.com"));
        let srv = read("SRV", "1 2 5060 sip.example.com.").unwrap();
        assert_eq!((srv.priority, srv.weight, srv.port), (Some(1), Some(2), Some(5060)));
        let caa = read("CAA", r#"0 issue "ca.example.net""#).unwrap();
        assert_eq!((caa.flags, caa.tag.as_deref(), caa.data.as_str()), (Some(0), Some("issue"), "ca.example.net"));
        for (kind, value) in [
            ("A", "192.0.2"),
            ("A", "::1"),
            ("AAAA", "192.0.2.1"),
            ("TXT", "bare"),
            ("TXT", "\"open"),
            ("MX", "mail.example.com."),
            ("CNAME", "a..b"),
            ("SRV", "1 2 x sip.example.com."),
            ("CAA", "0 issue ca"),
            ("SOA", "a. b. 1 2 3"),
        ] {
            assert!(data(kind, value).is_err(), "{kind} {value}");
        }
        assert!(data("TXT", &format!("\"{}\"", "x".repeat(256))).is_err());
    }
}
