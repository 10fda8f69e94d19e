//! The cloud's records as DNS sends them.

use hickory_proto::rr::{
    Name, RData,
    rdata::{A, AAAA, CAA, CNAME, MX, NS, SRV, TXT},
};

use crate::cloud::ZoneRecord;

/// A record that DNS cannot carry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` in zone {zone} is not a valid {what}")]
pub struct ZoneError {
    /// The zone that was to be served, with its final dot; `.` where its name is the problem.
    pub zone: String,
    /// What was expected, as it follows "not a valid": `host name`.
    pub what: &'static str,
    /// The text of the zone or record that is not that.
    pub text: String,
}

impl ZoneError {
    pub(super) fn new(zone: &Name, what: &'static str, text: &str) -> Self {
        Self { zone: zone.to_string(), what, text: text.to_owned() }
    }
}

/// The absolute name of a record: `@` for the zone itself, absolute with a final dot, and below the zone otherwise.
pub(super) fn absolute(zone: &Name, text: &str) -> Result<Name, ZoneError> {
    if text == "@" {
        return Ok(zone.clone());
    }
    let bad = |_| ZoneError::new(zone, "host name", text);
    // The relaxed reading allows underscores and a leading `*`, which SRV, DKIM and wildcard names need.
    let mut name = Name::from_str_relaxed(text).map_err(bad)?;
    if text.ends_with('.') {
        name.set_fqdn(true);
        return Ok(name);
    }
    name.append_domain(zone).map_err(bad)
}

/// The data of a record. Text is sent in strings of 255 bytes.
pub(super) fn rdata(record: &ZoneRecord, zone: &Name) -> Result<RData, ZoneError> {
    let ZoneRecord { kind, data, .. } = record;
    let bad = |what| ZoneError::new(zone, what, data);
    let needed = |field: Option<u16>| field.ok_or_else(|| bad("record without priority, weight or port"));
    let host = || match data.as_str() {
        "@" => Ok(zone.clone()),
        name => absolute(zone, &format!("{}.", name.trim_end_matches('.'))),
    };
    Ok(match kind.as_str() {
        "A" => RData::A(A(data.parse().map_err(|_| bad("IPv4 address"))?)),
        "AAAA" => RData::AAAA(AAAA(data.parse().map_err(|_| bad("IPv6 address"))?)),
        "CNAME" => RData::CNAME(CNAME(host()?)),
        "NS" => RData::NS(NS(host()?)),
        "MX" => RData::MX(MX::new(needed(record.priority)?, host()?)),
        "SRV" => RData::SRV(SRV::new(needed(record.priority)?, needed(record.weight)?, needed(record.port)?, host()?)),
        "TXT" if data.is_empty() => RData::TXT(TXT::from_bytes(vec![b""])),
        "TXT" => RData::TXT(TXT::from_bytes(data.as_bytes().chunks(255).collect())),
        "CAA" => {
            let tag = record.tag.as_deref().unwrap_or_default();
            if tag.is_empty() || tag.len() > 15 || !tag.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
                return Err(ZoneError::new(zone, "CAA tag", tag));
            }
            let mut caa = CAA::new_issue(record.flags.unwrap_or_default() & 128 != 0, None, Vec::new());
            caa.tag = tag.to_ascii_lowercase();
            // It is no host name, but the API shows it as if it were one.
            caa.value = data.trim_end_matches('.').as_bytes().to_vec();
            RData::CAA(caa)
        }
        _ => return Err(ZoneError::new(zone, "kind of record", kind)),
    })
}
