//! The fake cloud's zones, login keys and markers: what is found by its name.

use async_trait::async_trait;

use super::{FakeCloud, State, Transaction, state::not_found};
use crate::provider::{
    DnsZones, Error, ErrorKind, LoginKey, LoginKeyId, LoginKeys, Markers, Provider, RecordKind, RecordSet, Result,
    Zone, is_marker_name, is_marker_value,
};

impl State {
    fn check_zone(&self, operation: &'static str, zone: &str) -> Result<()> {
        match self.zones.iter().any(|known| known == zone) {
            true => Ok(()),
            false => Err(not_found(operation, zone).with_hint(format!("the account has {}", self.zones.join(", ")))),
        }
    }

    /// The login key with this public key, however that is commented.
    pub fn known_key(&self, public_key: &str) -> Option<&LoginKey> {
        let known = self.keys.values().find(|(_, known)| material(known) == material(public_key));
        known.map(|(key, _)| key)
    }
}

/// What is the same in all lines of one public key.
fn material(line: &str) -> &str {
    line.split_ascii_whitespace().nth(1).unwrap_or(line)
}

impl Transaction<'_> {
    /// Makes a record set be this one.
    ///
    /// # Errors
    ///
    /// `NotFound` for the zone; `Conflict` when a CNAME would not stand alone, where the cloud is strict.
    pub fn put(&mut self, set: &RecordSet) -> Result<()> {
        self.check_zone("upsert record", &set.zone)?;
        let alone = |kind: RecordKind| kind == RecordKind::Cname;
        let beside = self.records.keys().find(|(zone, name, kind)| {
            let beside = (zone, name) == (&set.zone, &set.name) && *kind != set.kind;
            beside && (alone(*kind) || alone(set.kind))
        });
        if let Some((_, _, kind)) = beside.filter(|_| self.flavour.strict) {
            let message = format!("a record of kind {kind} stands at the name");
            return Err(Error::new(ErrorKind::Conflict, "upsert record", message).with_resource(set.fqdn()));
        }
        let key = (set.zone.clone(), set.name.clone(), set.kind);
        let mut wanted = set.clone();
        wanted.values.sort();
        wanted.values.dedup();
        if self.records.get(&key) != Some(&wanted) {
            self.records.insert(key, wanted);
            self.note(format!("upsert {} {} {} s", set.fqdn(), set.values.join(" "), set.ttl.as_secs()));
        }
        Ok(())
    }

    /// Removes a record set.
    ///
    /// # Errors
    ///
    /// `NotFound` for the zone.
    pub fn remove_record(&mut self, zone: &str, name: &str, kind: RecordKind) -> Result<()> {
        self.check_zone("remove record", zone)?;
        if let Some(set) = self.records.remove(&(zone.to_owned(), name.to_owned(), kind)) {
            self.note(format!("remove {}", set.fqdn()));
        }
        Ok(())
    }

    /// Registers a key under a new id.
    pub fn register(&mut self, name: &str, public_key: &str) -> LoginKey {
        let id = LoginKeyId::new(format!("key-{}", self.number()));
        let key = LoginKey { id: id.clone(), name: name.to_owned() };
        self.keys.insert(id, (key.clone(), public_key.to_owned()));
        self.note(format!("register key {name}"));
        key
    }
}

/// Refuses what is no line of an ed25519 key.
fn check_key(line: &str) -> Result<()> {
    const HEADER: &str = "AAAAC3NzaC1lZDI1NTE5AAAAI";
    let mut words = line.split_ascii_whitespace();
    let (kind, blob) = (words.next(), words.next().unwrap_or_default());
    if kind == Some("ssh-ed25519") && blob.len() == 68 && blob.starts_with(HEADER) {
        return Ok(());
    }
    Err(Error::new(ErrorKind::InvalidInput, "ensure login key", "no ed25519 key in OpenSSH's form"))
}

#[async_trait]
impl DnsZones for FakeCloud {
    async fn zone(&self, name: &str) -> Result<Zone> {
        let zone = |state: &State| {
            state.check_zone("get zone", name)?;
            let name_servers = ["ns1.fake.example", "ns2.fake.example"].map(str::to_owned).to_vec();
            Ok(Zone { name: name.to_owned(), name_servers })
        };
        self.read("get zone", zone).await
    }

    async fn get(&self, zone: &str, name: &str, kind: RecordKind) -> Result<Option<RecordSet>> {
        let get = |state: &State| {
            state.check_zone("get record", zone)?;
            Ok(state.records.get(&(zone.to_owned(), name.to_owned(), kind)).cloned())
        };
        self.read("get record", get).await
    }

    async fn upsert(&self, set: &RecordSet) -> Result<()> {
        if self.world.flavour().checks {
            set.check("upsert record", self.descriptor())?;
        }
        let set = set.clone();
        self.mutate("upsert record", move |transaction| transaction.put(&set)).await
    }

    async fn remove(&self, zone: &str, name: &str, kind: RecordKind) -> Result<()> {
        let (zone, name) = (zone.to_owned(), name.to_owned());
        self.mutate("remove record", move |transaction| transaction.remove_record(&zone, &name, kind)).await
    }
}

#[async_trait]
impl LoginKeys for FakeCloud {
    async fn ensure(&self, name: &str, public_key: &str) -> Result<LoginKey> {
        if self.world.flavour().checks {
            check_key(public_key)?;
        }
        let (name, public_key) = (name.to_owned(), public_key.to_owned());
        let apply = move |transaction: &mut Transaction<'_>| {
            let known = transaction.known_key(&public_key).cloned();
            Ok(known.unwrap_or_else(|| transaction.register(&name, &public_key)))
        };
        self.mutate("ensure login key", apply).await
    }

    async fn list(&self, prefix: &str) -> Result<Vec<LoginKey>> {
        let list = |state: &State| {
            let keys = state.keys.values().map(|(key, _)| key);
            Ok(keys.filter(|key| key.name.starts_with(prefix)).cloned().collect())
        };
        self.read_list("list login keys", list).await
    }

    async fn remove(&self, id: &LoginKeyId) -> Result<()> {
        let id = id.clone();
        let apply = move |transaction: &mut Transaction<'_>| {
            if let Some((key, _)) = transaction.keys.remove(&id) {
                transaction.note(format!("remove key {}", key.name));
            }
            Ok(())
        };
        self.mutate("remove login key", apply).await
    }
}

impl FakeCloud {
    /// Refuses names and values of markers that the cloud does not take.
    fn check_marker(&self, operation: &'static str, text: &str, is_good: fn(&str) -> bool) -> Result<()> {
        if !self.world.flavour().checks || is_good(text) {
            return Ok(());
        }
        let message = "1 to 32 or 64 characters of `a-z`, `0-9` and `-`";
        Err(Error::new(ErrorKind::InvalidInput, operation, message).with_resource(text))
    }
}

#[async_trait]
impl Markers for FakeCloud {
    async fn get(&self, name: &str) -> Result<Option<String>> {
        self.check_marker("read marker", name, is_marker_name)?;
        self.read("read marker", |state| Ok(state.markers.get(name).cloned())).await
    }

    async fn set(&self, name: &str, value: &str) -> Result<()> {
        self.check_marker("set marker", name, is_marker_name)?;
        self.check_marker("set marker", value, is_marker_value)?;
        let (name, value) = (name.to_owned(), value.to_owned());
        let apply = move |transaction: &mut Transaction<'_>| {
            let before = transaction.markers.insert(name.clone(), value.clone());
            if before.as_ref() != Some(&value) || !transaction.flavour.looks_first {
                transaction.note(format!("mark {name}"));
            }
            Ok(())
        };
        self.mutate("set marker", apply).await
    }

    async fn remove(&self, name: &str) -> Result<()> {
        self.check_marker("remove marker", name, is_marker_name)?;
        let name = name.to_owned();
        let apply = move |transaction: &mut Transaction<'_>| {
            if transaction.markers.remove(&name).is_some() {
                transaction.note(format!("unmark {name}"));
            }
            Ok(())
        };
        self.mutate("remove marker", apply).await
    }
}
