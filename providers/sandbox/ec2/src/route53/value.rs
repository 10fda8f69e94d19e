//! Values of records, as Route 53 writes them: in the form of a zone file.

use super::name;
use remint_sandbox_cloud::{
    ZoneRecord,
    record_text::{self, BadText, TextForm},
};

/// How Route 53 writes values: characters by their number in base 8.
const FORM: TextForm = TextForm { radix: 8, strict: true };

/// The kinds of records that are known here.
pub(super) const KINDS: &[&str] = &["A", "AAAA", "CAA", "CNAME", "MX", "NS", "SOA", "SRV", "TXT"];

/// A value as the engine keeps it, or what is wrong with it.
pub(super) fn read(kind: &str, value: &str) -> Result<ZoneRecord, String> {
    record_text::read(kind, value, FORM, host_name).map_err(|bad| {
        let (code, what) = match bad {
            BadText::Ipv4 => ("ARRDATAIllegalIPv4Address", "Value is not a valid IPv4 address"),
            BadText::Ipv6 => ("AAAARRDATAIllegalIPv6Address", "Value is not a valid IPv6 address"),
            BadText::Number => ("InvalidNumber", "Value is not a valid number"),
            BadText::Flags => ("InvalidCAAFlags", "Flags are a number from 0 to 255"),
            BadText::Host => ("DomainLabelEmpty", "Value is not a valid domain name"),
            BadText::Quotes => ("InvalidCharacterString", "Value should be enclosed in quotation marks"),
            BadText::Parts => ("InvalidValue", "Value is not one of this type"),
        };
        format!("FATAL problem: {code} ({what}) encountered with '{value}'")
    })
}

/// A host name without its last dot.
fn host_name(text: &str) -> Option<String> {
    Some(name::normal(text)?.trim_end_matches('.').to_owned())
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
