//! Records as the API holds them, and as DNS sends them.

use std::net::{Ipv4Addr, Ipv6Addr};

use hickory_proto::rr::{
    Name, RData,
    rdata::{A, AAAA, CAA, CNAME, MX, NS, SRV, TXT},
};

/// A zone and its records, as an account hands them to the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ZoneData {
    /// Its name, with or without the final dot.
    pub name: String,
    /// Its records, without the SOA, which the server makes itself.
    pub records: Vec<ZoneRecord>,
    /// The TTL of negative answers, in seconds.
    pub minimum_ttl: u32,
}

/// A record of a zone: one value under one name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ZoneRecord {
    /// The name: `@` for the zone itself, absolute with a final dot, and below the zone otherwise. `*` is a wildcard.
    pub name: String,
    /// How long resolvers may keep it, in seconds. Records of one name and kind are served with the least of theirs.
    pub ttl: u32,
    /// The kind and the data, which is checked when the zone is built.
    pub value: RecordValue,
}

/// The data of a record. Host names are read as [`ZoneRecord::name`] is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RecordValue {
    /// An IPv4 address.
    A(Ipv4Addr),
    /// An IPv6 address.
    Aaaa(Ipv6Addr),
    /// The name that resolvers ask for in its place.
    Cname(String),
    /// A mail server.
    Mx {
        /// Lower ones are tried first.
        priority: u16,
        /// The host name of the server.
        host: String,
    },
    /// Text of any length; it is sent in strings of 255 bytes.
    Txt(String),
    /// A name server: of this zone at `@`, of a part that is delegated elsewhere.
    Ns(String),
    /// The host and port of a service, under a name such as `_http._tcp`.
    Srv {
        /// Lower ones are tried first.
        priority: u16,
        /// The share among those of one priority.
        weight: u16,
        /// The port that the service listens on.
        port: u16,
        /// The host name of the server.
        host: String,
    },
    /// Who may issue certificates.
    Caa {
        /// 128 when an issuer must understand the tag, else 0.
        flags: u8,
        /// `issue`, `issuewild` or `iodef`.
        tag: String,
        /// The issuer's domain, or where to report to.
        value: String,
    },
}

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

/// The absolute name that `text` means in the zone.
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

impl RecordValue {
    pub(super) fn rdata(&self, zone: &Name) -> Result<RData, ZoneError> {
        Ok(match self {
            Self::A(ip) => RData::A(A(*ip)),
            Self::Aaaa(ip) => RData::AAAA(AAAA(*ip)),
            Self::Cname(host) => RData::CNAME(CNAME(absolute(zone, host)?)),
            Self::Mx { priority, host } => RData::MX(MX::new(*priority, absolute(zone, host)?)),
            Self::Txt(text) => {
                let mut strings: Vec<&[u8]> = text.as_bytes().chunks(255).collect();
                if strings.is_empty() {
                    strings.push(b"");
                }
                RData::TXT(TXT::from_bytes(strings))
            }
            Self::Ns(host) => RData::NS(NS(absolute(zone, host)?)),
            Self::Srv { priority, weight, port, host } => {
                RData::SRV(SRV::new(*priority, *weight, *port, absolute(zone, host)?))
            }
            Self::Caa { flags, tag, value } => {
                if tag.is_empty() || tag.len() > 15 || !tag.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
                    return Err(ZoneError::new(zone, "CAA tag", tag));
                }
                let mut caa = CAA::new_issue(flags & 128 != 0, None, Vec::new());
                caa.tag = tag.to_ascii_lowercase();
                caa.value = value.as_bytes().to_vec();
                RData::CAA(caa)
            }
        })
    }
}
