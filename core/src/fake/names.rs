//! The fake cloud's zones, login keys and markers: what is found by its name.

use async_trait::async_trait;

use super::{
    FakeCloud, State,
    client::not_found,
    world::{Done, Moment},
};
use crate::provider::{
    CallClass, DnsZones, LoginKey, LoginKeyId, LoginKeys, Markers, RecordKind, RecordSet, Result, Zone,
};

fn check_zone(state: &State, operation: &'static str, zone: &str) -> Result<()> {
    match state.zones.iter().any(|known| known == zone) {
        true => Ok(()),
        false => Err(not_found(operation, zone)),
    }
}

#[async_trait]
impl DnsZones for FakeCloud {
    async fn zone(&self, name: &str) -> Result<Zone> {
        let zone = Zone { name: name.to_owned(), name_servers: Vec::new() };
        self.read("get zone", |state| check_zone(state, "get zone", name).map(|()| zone.clone())).await
    }

    async fn get(&self, zone: &str, name: &str, kind: RecordKind) -> Result<Option<RecordSet>> {
        let get = |state: &State| {
            check_zone(state, "get record", zone)?;
            Ok(state.records.get(&(zone.to_owned(), name.to_owned(), kind)).cloned())
        };
        self.read("get record", get).await
    }

    async fn upsert(&self, set: &RecordSet) -> Result<()> {
        let set = set.clone();
        let apply = move |state: &mut State, _: &Moment| {
            check_zone(state, "upsert record", &set.zone)?;
            let key = (set.zone.clone(), set.name.clone(), set.kind);
            if state.records.get(&key) == Some(&set) {
                return Done::unchanged(());
            }
            state.records.insert(key, set.clone());
            Done::changed((), format!("upsert {} {} {} s", set.fqdn(), set.values.join(" "), set.ttl.as_secs()))
        };
        self.mutate(CallClass::IdempotentMutation, "upsert record", apply).await
    }

    async fn remove(&self, zone: &str, name: &str, kind: RecordKind) -> Result<()> {
        let key = (zone.to_owned(), name.to_owned(), kind);
        let apply = move |state: &mut State, _: &Moment| {
            check_zone(state, "remove record", &key.0)?;
            match state.records.remove(&key) {
                Some(set) => Done::changed((), format!("remove {}", set.fqdn())),
                None => Done::unchanged(()),
            }
        };
        self.mutate(CallClass::IdempotentMutation, "remove record", apply).await
    }
}

#[async_trait]
impl LoginKeys for FakeCloud {
    async fn ensure(&self, name: &str, public_key: &str) -> Result<LoginKey> {
        let (name, public_key) = (name.to_owned(), public_key.to_owned());
        let apply = move |state: &mut State, _: &Moment| {
            if let Some((key, _)) = state.keys.values().find(|(_, known)| *known == public_key) {
                return Done::unchanged(key.clone());
            }
            let id = LoginKeyId::new(format!("key-{}", state.number()));
            let key = LoginKey { id: id.clone(), name: name.clone() };
            state.keys.insert(id, (key.clone(), public_key.clone()));
            Done::changed(key, format!("register key {name}"))
        };
        self.mutate(CallClass::IdempotentMutation, "ensure login key", apply).await
    }

    async fn list(&self, prefix: &str) -> Result<Vec<LoginKey>> {
        let list = |state: &State| {
            let keys = state.keys.values().map(|(key, _)| key);
            keys.filter(|key| key.name.starts_with(prefix)).cloned().collect()
        };
        self.read_list("list login keys", list).await
    }

    async fn remove(&self, id: &LoginKeyId) -> Result<()> {
        let id = id.clone();
        let apply = move |state: &mut State, _: &Moment| match state.keys.remove(&id) {
            Some((key, _)) => Done::changed((), format!("remove key {}", key.name)),
            None => Done::unchanged(()),
        };
        self.mutate(CallClass::IdempotentMutation, "remove login key", apply).await
    }
}

#[async_trait]
impl Markers for FakeCloud {
    async fn get(&self, name: &str) -> Result<Option<String>> {
        self.read("read marker", |state| Ok(state.markers.get(name).cloned())).await
    }

    async fn set(&self, name: &str, value: &str) -> Result<()> {
        let (name, value) = (name.to_owned(), value.to_owned());
        let apply = move |state: &mut State, _: &Moment| {
            state.markers.insert(name.clone(), value.clone());
            Done::changed((), format!("mark {name}"))
        };
        self.mutate(CallClass::IdempotentMutation, "set marker", apply).await
    }

    async fn remove(&self, name: &str) -> Result<()> {
        let name = name.to_owned();
        let apply = move |state: &mut State, _: &Moment| match state.markers.remove(&name) {
            Some(_) => Done::changed((), format!("unmark {name}")),
            None => Done::unchanged(()),
        };
        self.mutate(CallClass::IdempotentMutation, "remove marker", apply).await
    }
}
