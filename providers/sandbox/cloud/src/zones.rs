//! Zones, and the records that each begins with.

use std::net::Ipv4Addr;

use super::{
    ApiError, ApiResult, Front, ZoneRecord,
    action::now,
    state::{State, Zone},
};

/// The time to live of a zone's own records, and of records that name none, in seconds.
pub const TTL: u32 = 1800;

impl<F: Front> State<F> {
    /// Adds a zone with its SOA and NS records, and with an address where one is given.
    ///
    /// # Errors
    ///
    /// For a name that is none or that the account has already, and for an address that is none.
    pub fn new_zone(&mut self, name: &str, address: Option<&str>) -> ApiResult<Zone> {
        let name = name.trim_end_matches('.').to_ascii_lowercase();
        if !is_domain(&name) {
            return Err(ApiError::unprocessable("Name is not a valid domain name."));
        }
        let address = address
            .filter(|text| !text.is_empty())
            .map(|text| text.parse::<Ipv4Addr>().map_err(|_| ApiError::unprocessable("IP address is invalid.")));
        let address = address.transpose()?;
        if self.zones.contains_key(&name) {
            return Err(ApiError::unprocessable("Name already exists"));
        }
        let mut records = vec![plain("SOA", TTL.to_string())];
        records.extend(F::NAME_SERVERS.iter().map(|server| plain("NS", (*server).to_owned())));
        records.iter_mut().for_each(|record| record.ttl = F::ZONE_TTL);
        records.extend(address.map(|address| plain("A", address.to_string())));
        let records = records.into_iter().map(|record| {
            let id = self.next_id();
            (id, ZoneRecord { id, ..record })
        });
        let zone = Zone { name: name.clone(), records: records.collect(), created_at: now() };
        self.zones.insert(name, zone.clone());
        Ok(zone)
    }

    /// A zone by its name, however that is written.
    ///
    /// # Errors
    ///
    /// `not_found`.
    pub fn zone(&self, name: &str) -> ApiResult<&Zone> {
        self.zones.get(&name.to_ascii_lowercase()).ok_or_else(ApiError::not_found)
    }
}

fn plain(kind: &str, data: String) -> ZoneRecord {
    ZoneRecord { kind: kind.to_owned(), name: "@".to_owned(), data, ttl: TTL, ..ZoneRecord::default() }
}

fn is_domain(name: &str) -> bool {
    name.len() <= 253
        && name.contains('.')
        && name.split('.').all(|label| {
            (1..=63).contains(&label.len())
                && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
                && !label.starts_with('-')
                && !label.ends_with('-')
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::front::Plain;

    #[test]
    fn a_new_zone_has_its_own_records_and_an_address_if_given() {
        let mut state = State::<Plain>::empty();
        let zone = state.new_zone("Example.COM", Some("127.7.128.10")).unwrap();
        let kinds: Vec<&str> = zone.records.values().map(|record| record.kind.as_str()).collect();
        assert_eq!(kinds, ["SOA", "NS", "NS", "NS", "A"]);
        assert_eq!(state.new_zone("example.com", None).unwrap_err().message, "Name already exists");
        for bad in ["", "com", "a..b", "-a.com", "a b.com"] {
            assert!(state.new_zone(bad, None).is_err(), "{bad}");
        }
        assert!(state.new_zone("other.com", Some("300.1.1.1")).is_err());
        assert!(state.zone("other.com").is_err());
    }
}
