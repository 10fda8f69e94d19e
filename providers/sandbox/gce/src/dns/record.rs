//! Records: the engine's, which are what is served, and the texts of a record set.

use serde::Deserialize;
use serde_json::{Value, json};

use super::reply::{invalid, required};
use crate::error::{Refusal, Result};
use remint_sandbox_cloud::{
    ZoneRecord,
    record_text::{self, TextForm},
    state::Zone,
};

/// The types that are served.
const KINDS: [&str; 9] = ["A", "AAAA", "CAA", "CNAME", "MX", "NS", "SOA", "SRV", "TXT"];

/// How Cloud DNS reads values: as zone files have them, strings without quotes as well.
const FORM: TextForm = TextForm { radix: 10, strict: false };

/// The time to live of a record set that names none, in seconds.
const TTL: u32 = 300;

/// How many records a set may have.
const RECORDS: usize = 100;

/// How long the data of a record may be, in bytes.
const LONGEST: usize = 4096;

/// How long a string of a TXT record may be, in bytes.
const STRING: usize = 255;

/// A record set, as a client sends it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct SentSet {
    pub(super) name: String,
    pub(super) r#type: String,
    pub(super) ttl: Option<u32>,
    pub(super) rrdatas: Vec<String>,
    routing_policy: Option<Value>,
}

/// A record set that was found to be right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Set {
    /// Below the zone, or `@`.
    pub(super) name: String,
    pub(super) kind: String,
    pub(super) ttl: u32,
    /// The records, without numbers, in order of their data.
    pub(super) records: Vec<ZoneRecord>,
}

impl Set {
    /// What a client sent for a zone, after all checks. `field` is how refusals name it.
    pub(super) fn read(sent: &SentSet, zone: &str, field: &str) -> Result<Self> {
        let at = |part: &str| format!("{field}.{part}");
        if sent.name.is_empty() {
            return Err(required(&at("name")));
        }
        if sent.r#type.is_empty() {
            return Err(required(&at("type")));
        }
        if sent.routing_policy.is_some() {
            return Err(Refusal::not_implemented("routing policies"));
        }
        let kind = sent.r#type.as_str();
        if !KINDS.contains(&kind) {
            return Err(Refusal::not_implemented(format_args!("DNS records of type {kind}")));
        }
        let name = relative(&sent.name, zone).ok_or_else(|| invalid(&at("name"), &sent.name))?;
        if sent.rrdatas.is_empty() {
            return Err(required(&at("rrdata")));
        }
        if kind == "CNAME" && sent.rrdatas.len() > 1 {
            return Err(invalid(&at("rrdata"), "more than one CNAME"));
        }
        if sent.rrdatas.len() > RECORDS || sent.rrdatas.iter().any(|text| text.len() > LONGEST) {
            return Err(invalid(&at("rrdata"), "more than a record set may hold"));
        }
        let ttl = sent.ttl.unwrap_or(TTL);
        let read = |(index, text): (usize, &String)| {
            record(kind, text, zone)
                .map(|record| ZoneRecord { name: name.clone(), ttl, ..record })
                .ok_or_else(|| invalid(&format!("{field}.rrdata[{index}]"), text))
        };
        let mut records: Vec<ZoneRecord> = sent.rrdatas.iter().enumerate().map(read).collect::<Result<_>>()?;
        records.sort_by_key(|record| rrdata(record, zone, 0));
        if records.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err(invalid(&at("rrdata"), "the same record twice"));
        }
        Ok(Self { name, kind: kind.to_owned(), ttl, records })
    }

    /// The record set of a name and type in a zone, if there is one.
    pub(super) fn find(zone: &Zone, name: &str, kind: &str) -> Option<Self> {
        let here = zone.records.values().filter(|record| record.name == name && record.kind == kind);
        let mut records: Vec<ZoneRecord> = here.map(|record| ZoneRecord { id: 0, ..record.clone() }).collect();
        records.sort_by_key(|record| rrdata(record, &zone.name, 0));
        let ttl = records.first()?.ttl;
        Some(Self { name: name.to_owned(), kind: kind.to_owned(), ttl, records })
    }

    /// All record sets of a zone, those of the zone itself first.
    pub(super) fn all(zone: &Zone) -> Vec<Self> {
        let mut keys: Vec<(bool, &str, &str)> = zone
            .records
            .values()
            .map(|record| (record.name != "@", record.name.as_str(), record.kind.as_str()))
            .collect();
        keys.sort_unstable();
        keys.dedup();
        keys.into_iter().filter_map(|(_, name, kind)| Self::find(zone, name, kind)).collect()
    }

    /// Whether it is one of the two that every zone has.
    pub(super) fn is_zones_own(&self) -> bool {
        self.name == "@" && matches!(self.kind.as_str(), "NS" | "SOA")
    }

    /// The name, fully qualified.
    pub(super) fn full_name(&self, zone: &str) -> String {
        match self.name.as_str() {
            "@" => format!("{zone}."),
            name => format!("{name}.{zone}."),
        }
    }

    /// As the API shows it.
    pub(super) fn view(&self, zone: &str, serial: u64) -> Value {
        json!({
            "kind": "dns#resourceRecordSet",
            "name": self.full_name(zone),
            "type": self.kind,
            "ttl": self.ttl,
            "rrdatas": self.records.iter().map(|record| rrdata(record, zone, serial)).collect::<Vec<_>>(),
            "signatureRrdatas": [],
        })
    }
}

/// A fully qualified name as the engine keeps it: below the zone, or `@`.
pub(super) fn relative(name: &str, zone: &str) -> Option<String> {
    let name = name.to_ascii_lowercase();
    let name = name.strip_suffix('.')?;
    if name == zone {
        return Some("@".to_owned());
    }
    let below = name.strip_suffix(zone)?.strip_suffix('.')?;
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '*'))
    };
    below.split('.').all(label).then(|| below.to_owned())
}

/// The text of a record.
fn rrdata(record: &ZoneRecord, zone: &str, serial: u64) -> String {
    let host = || match record.data.as_str() {
        "@" => format!("{zone}."),
        name => format!("{}.", name.trim_end_matches('.')),
    };
    let number = |field: Option<u16>| field.unwrap_or_default();
    match record.kind.as_str() {
        "CNAME" | "NS" => host(),
        "MX" => format!("{} {}", number(record.priority), host()),
        "SRV" => format!("{} {} {} {}", number(record.priority), number(record.weight), number(record.port), host()),
        "CAA" => format!(
            "{} {} {}",
            record.flags.unwrap_or_default(),
            record.tag.as_deref().unwrap_or_default(),
            quoted(&record.data)
        ),
        "TXT" => {
            let mut strings = Vec::new();
            let mut rest = record.data.as_str();
            while rest.len() > STRING {
                let (one, other) = rest.split_at(rest.floor_char_boundary(STRING));
                strings.push(quoted(one));
                rest = other;
            }
            strings.push(quoted(rest));
            strings.join(" ")
        }
        "SOA" => {
            format!("ns-cloud-a1.googledomains.com. cloud-dns-hostmaster.google.com. {serial} 21600 3600 259200 300")
        }
        _ => record.data.clone(),
    }
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// The record of a text, without a name and time to live.
fn record(kind: &str, text: &str, zone: &str) -> Option<ZoneRecord> {
    let host = |text: &str| {
        let name = text.strip_suffix('.')?.to_ascii_lowercase();
        (!name.is_empty()).then(|| if name == zone { "@".to_owned() } else { name })
    };
    record_text::read(kind, text, FORM, host).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(name: &str, kind: &str, rrdatas: &[&str]) -> SentSet {
        SentSet {
            name: name.to_owned(),
            r#type: kind.to_owned(),
            ttl: Some(60),
            rrdatas: rrdatas.iter().map(|text| (*text).to_owned()).collect(),
            routing_policy: None,
        }
    }

    #[test]
    fn texts_come_back_as_they_went() {
        let long = format!("\"{}\" \"{}\"", "a".repeat(255), "b".repeat(45));
        for (kind, text) in [
            ("A", "127.0.0.1"),
            ("AAAA", "2001:db8::1"),
            ("CNAME", "other.example.net."),
            ("NS", "ns.example.com."),
            ("MX", "10 mail.example.com."),
            ("SRV", "1 2 443 www.example.com."),
            ("CAA", "0 issue \"letsencrypt.org\""),
            ("TXT", "\"v=spf1 -all\""),
            ("TXT", "\"say \\\"hi\\\"\""),
            ("TXT", &long),
        ] {
            let set = Set::read(&sent("www.example.com.", kind, &[text]), "example.com", "x").unwrap();
            assert_eq!(set.view("example.com", 1)["rrdatas"], json!([text]), "{kind}");
            assert_eq!(set.full_name("example.com"), "www.example.com.");
        }
        let set = Set::read(&sent("Example.com.", "TXT", &["plain"]), "example.com", "x").unwrap();
        assert_eq!((set.name.as_str(), &set.view("example.com", 1)["rrdatas"][0]), ("@", &json!("\"plain\"")));
    }

    #[test]
    fn what_is_no_record_set_is_refused() {
        for (name, kind, rrdatas) in [
            ("www.example.com", "A", &["127.0.0.1"][..]),
            ("www.example.net.", "A", &["127.0.0.1"]),
            ("www.example.com.", "A", &["::1"]),
            ("www.example.com.", "A", &[]),
            ("www.example.com.", "A", &["127.0.0.1", "127.0.0.1"]),
            ("www.example.com.", "CNAME", &["no-dot"]),
            ("www.example.com.", "CNAME", &["a.b.", "c.d."]),
            ("www.example.com.", "MX", &["mail.example.com."]),
            ("www.example.com.", "TXT", &["\"open"]),
            ("", "A", &["127.0.0.1"]),
        ] {
            let refused = Set::read(&sent(name, kind, rrdatas), "example.com", "x").unwrap_err();
            assert_eq!(refused.code, 400, "{name} {kind} {rrdatas:?}");
        }
        assert_eq!(Set::read(&sent("a.example.com.", "PTR", &["x."]), "example.com", "x").unwrap_err().code, 501);
    }
}
