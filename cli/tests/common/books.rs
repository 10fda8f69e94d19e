//! What stands in the sandbox's accounts, as its own books say: the state files, which it writes before it answers.
//!
//! Unlike [`super::Standing`] this sees all three accounts, with labels and with what their APIs show to nobody.

use std::{collections::BTreeMap, fs, path::Path};

use serde_json::Value;

/// The accounts, by the name of the provider that works on them, with the folder of their state.
const ACCOUNTS: [(&str, &str); 3] = [("digitalocean", ""), ("aws", "ec2"), ("gcp", "gce")];

/// What stands in all accounts.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Books(BTreeMap<String, String>);

impl Books {
    /// Reads the state files below a sandbox's folder.
    pub(super) fn read(state: &Path) -> Self {
        let mut lines = BTreeMap::new();
        for (account, folder) in ACCOUNTS {
            for (key, value) in Account::read(&state.join(folder)).lines() {
                lines.insert(format!("{account} {key}"), value);
            }
        }
        Self(lines)
    }

    /// What is here and not there, or not the same.
    pub(crate) fn beyond(&self, other: &Self) -> Vec<String> {
        let new = self.0.iter().filter(|(key, value)| other.0.get(*key) != Some(value));
        new.map(|(key, value)| format!("{key}: {value}")).collect()
    }

    /// How many there are of each kind in a provider's account.
    pub(crate) fn kinds(&self, account: &str) -> BTreeMap<String, usize> {
        let mut kinds = BTreeMap::new();
        for key in self.0.keys() {
            let Some((_, key)) = key.split_once(' ').filter(|(of, _)| *of == account) else { continue };
            let kind = match key.split_once(' ') {
                Some((kind @ "record", _)) => kind,
                _ => key.rsplit_once(' ').map_or(key, |(kind, _)| kind),
            };
            *kinds.entry(kind.to_owned()).or_default() += 1;
        }
        kinds
    }

    /// The lines that speak of something: a kind, an id, a name, a label.
    pub(crate) fn of(&self, text: &str) -> Vec<String> {
        let lines = self.0.iter().map(|(key, value)| format!("{key}: {value}"));
        lines.filter(|line| line.contains(text)).collect()
    }
}

impl std::fmt::Debug for Books {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_map().entries(&self.0).finish()
    }
}

/// One account: what all of them have, whatever their API calls it.
pub(crate) struct Account(Value);

impl Account {
    /// Of a provider, below a sandbox's state folder.
    pub(super) fn of(state: &Path, provider: &str) -> Self {
        let (_, folder) = ACCOUNTS.iter().find(|(name, _)| *name == provider).unwrap();
        Self::read(&state.join(folder))
    }

    /// Changes the state file of a sandbox that is stopped.
    pub(super) fn rewrite(state: &Path, provider: &str, change: impl FnOnce(&mut Value)) {
        let (_, folder) = ACCOUNTS.iter().find(|(name, _)| *name == provider).unwrap();
        let Self(mut books) = Self::of(state, provider);
        change(&mut books);
        fs::write(state.join(folder).join("cloud.json"), books.to_string()).unwrap();
    }

    fn read(folder: &Path) -> Self {
        let text = fs::read_to_string(folder.join("cloud.json")).unwrap_or_else(|_| "{}".to_owned());
        Self(serde_json::from_str(&text).unwrap())
    }

    /// Instances that are not gone: the engine's number and the name.
    pub(crate) fn instances(&self) -> BTreeMap<u64, String> {
        self.numbered("droplets", |one| text(&one["name"]))
    }

    /// The account's own images: the engine's number and the name.
    pub(crate) fn images(&self) -> BTreeMap<u64, String> {
        let mut images =
            self.numbered("images", |one| if one["slug"].is_null() { text(&one["name"]) } else { String::new() });
        images.retain(|_, name| !name.is_empty());
        images
    }

    /// Static IPs, and the engine's number of the instance that each points at.
    pub(crate) fn static_ips(&self) -> BTreeMap<String, Option<u64>> {
        let ips = entries(&self.0["reserved_ips"]);
        ips.map(|(ip, one)| (ip.to_owned(), one["droplet"].as_u64())).collect()
    }

    /// Load balancers: the engine's number and the name.
    pub(crate) fn load_balancers(&self) -> BTreeMap<u64, String> {
        self.numbered("load_balancers", |one| text(&one["name"]))
    }

    /// Login keys.
    pub(crate) fn keys(&self) -> Vec<String> {
        let lines = self.lines();
        lines.into_iter().filter(|(key, _)| key.starts_with("key ")).map(|(_, value)| value).collect()
    }

    fn numbered(&self, kind: &str, name: impl Fn(&Value) -> String) -> BTreeMap<u64, String> {
        entries(&self.0[kind]).map(|(id, one)| (id.parse().unwrap(), name(one))).collect()
    }

    /// Everything that a client could see, and that stays as it is while nobody changes anything.
    fn lines(&self) -> BTreeMap<String, String> {
        let mut lines = BTreeMap::new();
        for (id, one) in entries(&self.0["droplets"]) {
            // One that starts is up after a while, whatever anybody does.
            let status = if one["status"] == "new" { "active" } else { one["status"].as_str().unwrap_or_default() };
            let line =
                format!("{} in {} from {}, {status}, {}", one["name"], one["region"], one["image"]["id"], one["tags"]);
            lines.insert(format!("instance {id}"), line);
        }
        for (id, one) in entries(&self.0["images"]).filter(|(_, one)| one["slug"].is_null()) {
            lines.insert(format!("image {id}"), format!("{} in {}, {}", one["name"], one["regions"], one["tags"]));
        }
        for (id, one) in entries(&self.0["load_balancers"]) {
            let line = format!("{} in {}, {} to {}", one["name"], one["region"], one["settings"], one["members"]);
            lines.insert(format!("load balancer {id}"), line);
        }
        for (ip, one) in entries(&self.0["reserved_ips"]) {
            lines.insert(format!("static IP {ip}"), format!("points at {}", one["droplet"]));
        }
        for (id, one) in entries(&self.0["keys"]).chain(entries(&self.0["ec2"]["keys"])) {
            lines.insert(format!("key {id}"), text(&one["name"]));
        }
        for (zone, domain) in entries(&self.0["domains"]) {
            let shown = |one: &&Value| one["type"] != "SOA" && one["type"] != "NS";
            for (id, one) in entries(&domain["records"]) {
                if shown(&one) {
                    lines.insert(format!("record {id} of {zone}"), one.to_string());
                }
            }
        }
        for (id, one) in entries(&self.0["load_balancers"]) {
            lines.insert(format!("load balancer {id}"), one["name"].to_string());
        }
        let ec2 = &self.0["ec2"];
        for kind in ["balancers", "groups", "listeners"] {
            for (id, one) in entries(&ec2["elb"][kind]) {
                lines.insert(format!("elb {kind} {id}"), one["name"].to_string());
            }
        }
        for (id, one) in entries(&ec2["instances"]).filter(|(_, one)| one["ended_at"].is_null()) {
            let tags = &ec2["tags"][id];
            lines.insert(
                format!("ec2 {id}"),
                format!("{} in {} from {}, {tags}", one["droplet"], one["zone"], one["image"]),
            );
        }
        for kind in ["images", "snapshots", "addresses", "groups"] {
            for (id, one) in entries(&ec2[kind]) {
                let name = if one["name"].is_null() { &one["description"] } else { &one["name"] };
                let line = format!("{name} in {}, {}, {}", one["region"], one["instance"], ec2["tags"][id]);
                lines.insert(format!("ec2 {kind} {id}"), line);
            }
        }
        for (_, zone) in entries(&ec2["zones"]) {
            for set in zone["sets"].as_array().unwrap() {
                lines.insert(
                    format!("record {} {}", set["name"], set["kind"]),
                    format!("{} {}", set["ttl"], set["values"]),
                );
            }
        }
        let kinds = ["instances", "images", "addresses", "forwarding_rules", "target_instances", "firewalls"];
        let balancing = ["health_checks", "instance_groups", "backend_services"];
        for kind in kinds.into_iter().chain(balancing) {
            for (id, one) in entries(&self.0["gce"][kind]) {
                lines.insert(format!("gce {kind} {id}"), one.to_string());
            }
        }
        lines
    }
}

fn entries(map: &Value) -> impl Iterator<Item = (&str, &Value)> {
    map.as_object().into_iter().flatten().map(|(key, value)| (key.as_str(), value))
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
