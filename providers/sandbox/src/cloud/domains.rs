//! Domains, and the records that each begins with.

use std::{collections::BTreeMap, net::Ipv4Addr};

use super::{
    Api, ApiError, ApiResult, ZoneRecord,
    action::now,
    state::{Domain, State},
};
use crate::ec2;

/// The time to live of a zone's own records, and of records that name none, in seconds.
pub(crate) const TTL: u32 = 1800;

/// The name servers that a zone names, as DigitalOcean's do.
const NAME_SERVERS: [&str; 3] = ["ns1.digitalocean.com", "ns2.digitalocean.com", "ns3.digitalocean.com"];

/// The same of Google's.
const GCE_NAME_SERVERS: [&str; 4] = [
    "ns-cloud-a1.googledomains.com",
    "ns-cloud-a2.googledomains.com",
    "ns-cloud-a3.googledomains.com",
    "ns-cloud-a4.googledomains.com",
];

/// The name servers that an API's zones name, and the time to live of a zone's own records, in seconds.
pub(crate) fn name_servers(api: Api) -> (&'static [&'static str], u32) {
    match api {
        Api::DigitalOcean | Api::Ec2 => (&NAME_SERVERS, TTL),
        Api::Gce => (&GCE_NAME_SERVERS, 21_600),
    }
}

impl State {
    /// Adds a domain with its SOA and NS records, and with an address where one is given.
    pub(crate) fn add_domain(&mut self, name: &str, address: Option<&str>) -> ApiResult<Domain> {
        let name = name.trim_end_matches('.').to_ascii_lowercase();
        if !is_domain(&name) {
            return Err(ApiError::unprocessable("Name is not a valid domain name."));
        }
        let address = address
            .filter(|text| !text.is_empty())
            .map(|text| text.parse::<Ipv4Addr>().map_err(|_| ApiError::unprocessable("IP address is invalid.")));
        let address = address.transpose()?;
        if self.domains.contains_key(&name) {
            return Err(ApiError::unprocessable("Name already exists"));
        }
        let mut records = vec![plain("SOA", TTL.to_string())];
        let (servers, ttl) = name_servers(self.api);
        records.extend(servers.iter().map(|server| plain("NS", (*server).to_owned())));
        records.iter_mut().for_each(|record| record.ttl = ttl);
        records.extend(address.map(|address| plain("A", address.to_string())));
        let records = records.into_iter().map(|record| {
            let id = self.next_id();
            (id, ZoneRecord { id, ..record })
        });
        let domain = Domain { name: name.clone(), records: records.collect(), created_at: now() };
        self.domains.insert(name, domain.clone());
        Ok(domain)
    }

    /// Makes a zone in the account, whichever API it is reached by. Gives the name as it is kept.
    pub(crate) fn add_zone(&mut self, name: &str) -> ApiResult<String> {
        match self.api {
            Api::Ec2 => ec2::add_zone(self, name),
            Api::DigitalOcean | Api::Gce => self.add_domain(name, None).map(|domain| domain.name),
        }
    }

    /// Deletes a domain with all its records.
    pub(crate) fn delete_domain(&mut self, name: &str) -> ApiResult<Domain> {
        self.domains.remove(&name.to_ascii_lowercase()).ok_or_else(ApiError::not_found)
    }

    pub(crate) fn domain(&self, name: &str) -> ApiResult<&Domain> {
        self.domains.get(&name.to_ascii_lowercase()).ok_or_else(ApiError::not_found)
    }
}

impl Domain {
    /// The zone as a master file, as the API shows it.
    pub(crate) fn zone_file(&self) -> String {
        let mut text = format!("$ORIGIN {}.\n$TTL {TTL}\n", self.name);
        let mut by_name: BTreeMap<(bool, &str), Vec<&ZoneRecord>> = BTreeMap::new();
        for record in self.records.values() {
            by_name.entry((record.name != "@", &record.name)).or_default().push(record);
        }
        for record in by_name.into_values().flatten() {
            let owner = if record.name == "@" { self.name.clone() } else { format!("{}.{}", record.name, self.name) };
            let target = if record.data == "@" { self.name.clone() } else { record.data.clone() };
            let data = match record.kind.as_str() {
                "SOA" => format!(
                    "{}. hostmaster.{}. {} 10800 3600 604800 {TTL}",
                    NAME_SERVERS[0],
                    self.name,
                    self.created_at.as_second()
                ),
                "CNAME" | "NS" => format!("{target}."),
                "MX" => format!("{} {target}.", record.priority.unwrap_or_default()),
                "SRV" => format!(
                    "{} {} {} {target}.",
                    record.priority.unwrap_or_default(),
                    record.weight.unwrap_or_default(),
                    record.port.unwrap_or_default()
                ),
                "CAA" => format!(
                    "{} {} \"{target}\"",
                    record.flags.unwrap_or_default(),
                    record.tag.as_deref().unwrap_or_default()
                ),
                "TXT" => format!("\"{}\"", record.data.replace('\\', "\\\\").replace('"', "\\\"")),
                _ => record.data.clone(),
            };
            text.push_str(&format!("{owner}. {} IN {} {data}\n", record.ttl, record.kind));
        }
        text
    }
}

fn plain(kind: &str, data: String) -> ZoneRecord {
    ZoneRecord {
        id: 0,
        kind: kind.to_owned(),
        name: "@".to_owned(),
        data,
        priority: None,
        port: None,
        ttl: TTL,
        weight: None,
        flags: None,
        tag: None,
    }
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

    #[test]
    fn a_new_domain_has_its_own_records_and_an_address_if_given() {
        let mut state = State::empty(crate::cloud::Api::DigitalOcean);
        let domain = state.add_domain("Example.COM", Some("127.7.128.10")).unwrap();
        let kinds: Vec<&str> = domain.records.values().map(|record| record.kind.as_str()).collect();
        assert_eq!(kinds, ["SOA", "NS", "NS", "NS", "A"]);
        assert!(domain.zone_file().contains("example.com. 1800 IN A 127.7.128.10"));
        assert_eq!(state.add_domain("example.com", None).unwrap_err().message, "Name already exists");
        for bad in ["", "com", "a..b", "-a.com", "a b.com"] {
            assert!(state.add_domain(bad, None).is_err(), "{bad}");
        }
        assert!(state.add_domain("other.com", Some("300.1.1.1")).is_err());
        assert!(state.domain("other.com").is_err());
    }
}
