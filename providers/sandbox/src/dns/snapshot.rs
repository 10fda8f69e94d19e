//! The cloud's records as DNS records.

use crate::cloud;

use super::record::{RecordValue, ZoneRecord};

impl TryFrom<&cloud::ZoneRecord> for ZoneRecord {
    type Error = String;

    fn try_from(record: &cloud::ZoneRecord) -> Result<Self, String> {
        let needed = |field: Option<u16>, name: &str| field.ok_or_else(|| format!("{} without {name}", record.kind));
        let host = || match record.data.as_str() {
            "@" => "@".to_owned(),
            name => format!("{}.", name.trim_end_matches('.')),
        };
        let value = match record.kind.as_str() {
            "A" => RecordValue::A(parse(record)?),
            "AAAA" => RecordValue::Aaaa(parse(record)?),
            "CNAME" => RecordValue::Cname(host()),
            "MX" => RecordValue::Mx { priority: needed(record.priority, "priority")?, host: host() },
            "TXT" => RecordValue::Txt(record.data.clone()),
            "NS" => RecordValue::Ns(host()),
            "SRV" => RecordValue::Srv {
                priority: needed(record.priority, "priority")?,
                weight: needed(record.weight, "weight")?,
                port: needed(record.port, "port")?,
                host: host(),
            },
            "CAA" => RecordValue::Caa {
                flags: record.flags.unwrap_or_default(),
                tag: record.tag.clone().ok_or("CAA without tag")?,
                // A CAA value is no host name, but the API shows it as if it were one.
                value: record.data.trim_end_matches('.').to_owned(),
            },
            other => return Err(format!("unknown kind {other}")),
        };
        Ok(Self { name: record.name.clone(), ttl: record.ttl, value })
    }
}

fn parse<T: std::str::FromStr>(record: &cloud::ZoneRecord) -> Result<T, String> {
    record.data.parse().map_err(|_| format!("`{}` is no address for {}", record.data, record.kind))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(kind: &str, data: &str) -> cloud::ZoneRecord {
        cloud::ZoneRecord {
            id: 1,
            kind: kind.to_owned(),
            name: "www".to_owned(),
            data: data.to_owned(),
            priority: Some(1),
            port: Some(2),
            ttl: 60,
            weight: Some(3),
            flags: Some(128),
            tag: Some("issue".to_owned()),
        }
    }

    #[test]
    fn the_clouds_records_become_dns_records() {
        let value = |kind, data| ZoneRecord::try_from(&record(kind, data)).map(|record| record.value);
        assert_eq!(value("A", "127.16.0.1"), Ok(RecordValue::A([127, 16, 0, 1].into())));
        assert_eq!(value("CNAME", "@"), Ok(RecordValue::Cname("@".to_owned())));
        assert_eq!(value("CNAME", "www.example.test"), Ok(RecordValue::Cname("www.example.test.".to_owned())));
        assert_eq!(
            value("MX", "mail.example.test."),
            Ok(RecordValue::Mx { priority: 1, host: "mail.example.test.".into() })
        );
        let srv = RecordValue::Srv { priority: 1, weight: 3, port: 2, host: "www.example.test.".into() };
        assert_eq!(value("SRV", "www.example.test"), Ok(srv));
        let caa = RecordValue::Caa { flags: 128, tag: "issue".into(), value: "ca.test".into() };
        assert_eq!(value("CAA", "ca.test"), Ok(caa));
        assert!(value("A", "www").is_err());
        assert!(value("PTR", "www").is_err());
        assert!(ZoneRecord::try_from(&cloud::ZoneRecord { priority: None, ..record("MX", "mail") }).is_err());
    }
}
