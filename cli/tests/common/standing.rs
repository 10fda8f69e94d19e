//! What stands in an account, in a form that can be compared.

use std::collections::BTreeMap;

use reqwest::Method;
use serde_json::Value;

use super::World;

/// What stands in an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Standing {
    /// Id, and name, image and status.
    pub(crate) droplets: BTreeMap<u64, String>,
    /// The account's own images: id and name.
    pub(crate) images: BTreeMap<u64, String>,
    /// Address, and the droplet that it points at.
    pub(crate) reserved_ips: BTreeMap<String, Option<u64>>,
    /// Login keys: id and name.
    pub(crate) keys: BTreeMap<u64, String>,
    /// Address records: full name and values.
    pub(crate) records: BTreeMap<String, Vec<String>>,
}

impl Standing {
    pub(super) async fn of(world: &World) -> Self {
        let id = |one: &Value| one["id"].as_u64().unwrap();
        let name = |one: &Value| one["name"].as_str().unwrap().to_owned();
        let droplets = list(world, "/v2/droplets", "droplets").await;
        let images = list(world, "/v2/images?private=true", "images").await;
        let reserved_ips = list(world, "/v2/reserved_ips", "reserved_ips").await;
        let keys = list(world, "/v2/account/keys", "ssh_keys").await;
        let mut records: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for zone in list(world, "/v2/domains", "domains").await {
            let zone = name(&zone);
            for record in list(world, &format!("/v2/domains/{zone}/records"), "domain_records").await {
                if record["type"] == "A" || record["type"] == "AAAA" || record["type"] == "TXT" {
                    let full = match name(&record).as_str() {
                        "@" => zone.clone(),
                        below => format!("{below}.{zone}"),
                    };
                    records.entry(full).or_default().push(record["data"].as_str().unwrap().to_owned());
                }
            }
        }
        let droplet = |one: &Value| format!("{} from {}: {}", name(one), one["image"]["id"], one["status"]);
        let reserved = |one: &Value| (one["ip"].as_str().unwrap().to_owned(), one["droplet"]["id"].as_u64());
        Self {
            droplets: droplets.iter().map(|one| (id(one), droplet(one))).collect(),
            images: images.iter().map(|one| (id(one), name(one))).collect(),
            reserved_ips: reserved_ips.iter().map(reserved).collect(),
            keys: keys.iter().map(|one| (id(one), name(one))).collect(),
            records,
        }
    }

    /// Whether there is nothing.
    pub(crate) fn is_empty(&self) -> bool {
        let Self { droplets, images, reserved_ips, keys, records } = self;
        droplets.is_empty() && images.is_empty() && reserved_ips.is_empty() && keys.is_empty() && records.is_empty()
    }
}

/// All pages of a list.
async fn list(world: &World, path: &str, key: &str) -> Vec<Value> {
    let mut found = Vec::new();
    for page in 1.. {
        let mark = if path.contains('?') { '&' } else { '?' };
        let (status, answer) = world.api(Method::GET, &format!("{path}{mark}page={page}&per_page=200"), None).await;
        assert_eq!(status, 200, "GET {path}: {answer}");
        found.extend(answer[key].as_array().unwrap().iter().cloned());
        if answer["links"]["pages"]["next"].is_null() {
            break;
        }
    }
    found
}
