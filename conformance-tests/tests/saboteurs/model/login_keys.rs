//! Login keys of the model.

use async_trait::async_trait;
use remint_conformance::LostReply;
use remint_core::provider::{ErrorKind, LoginKey, LoginKeyId, LoginKeys, Result};

use super::{Model, World, refusal};

/// The kind and the material of a key line; only ed25519 keys are taken.
fn material(line: &str) -> Result<&str> {
    const KIND: &str = "ssh-ed25519";
    const HEADER: &str = "AAAAC3NzaC1lZDI1NTE5AAAAI";
    let mut words = line.split_ascii_whitespace();
    let (kind, blob) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    if kind != KIND || blob.len() != 68 || !blob.starts_with(HEADER) {
        return Err(refusal(ErrorKind::InvalidInput, "ensure login key", "no ed25519 key in OpenSSH's form"));
    }
    Ok(blob)
}

impl World {
    /// Registers a key under a new id.
    pub(crate) fn register(&mut self, name: &str, blob: &str) -> LoginKey {
        let id = LoginKeyId::new(format!("key-{:04}", self.number()));
        let key = LoginKey { id: id.clone(), name: name.to_owned() };
        self.keys.insert(id, (key.clone(), blob.to_owned()));
        key
    }
}

#[async_trait]
impl LoginKeys for Model {
    async fn ensure(&self, name: &str, public_key: &str) -> Result<LoginKey> {
        let blob = material(public_key)?;
        let known = |world: &World| world.keys.values().find(|(_, known)| known == blob).map(|(key, _)| key.clone());
        if let Some(key) = self.read(|world| Ok(known(world))).await? {
            return Ok(key);
        }
        self.change(LostReply::EnsureLoginKey, |world| Ok(known(world).unwrap_or_else(|| world.register(name, blob))))
            .await
    }

    async fn list(&self, prefix: &str) -> Result<Vec<LoginKey>> {
        self.read(|world| {
            let keys = world.keys.values().map(|(key, _)| key);
            Ok(keys.filter(|key| key.name.starts_with(prefix)).cloned().collect())
        })
        .await
    }

    async fn remove(&self, id: &LoginKeyId) -> Result<()> {
        self.change(None, |world| {
            world.keys.remove(id);
            Ok(())
        })
        .await
    }
}
