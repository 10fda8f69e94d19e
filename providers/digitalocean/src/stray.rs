//! Strays: snapshots that were asked for, and never labelled.
//!
//! DigitalOcean has no tags in the call that makes a snapshot, and no call that takes one back. A run that dies, or stops
//! waiting, leaves an image without labels. Its name ends with digits of the service's id, which nobody else's does; and the
//! list of snapshots says which droplet it was taken of. For as long as that one exists, somebody may be waiting for it.
//!
//! Tags that nothing carries are no strays: they cost nothing and mean nothing.

use async_trait::async_trait;
use remint_core::provider::{
    Error, ErrorKind, InstanceId, Owner, Region, Result, Stray, StrayId, StrayKind, Strays, label, support::JsonRequest,
};

use crate::{DigitalOcean, tags, wire};

#[cfg(test)]
mod tests;

const LIST: &str = "list strays";
const REMOVE: &str = "remove stray";

/// Whether a snapshot is the service's by its name, and nobody's by its labels.
fn is_unlabelled(owner: &Owner, snapshot: &wire::AccountSnapshot) -> bool {
    let labels = tags::labels(snapshot.tags.iter().flatten());
    labels.get(label::SERVICE_ID).is_none() && snapshot.name.ends_with(&owner.image_suffix())
}

impl DigitalOcean {
    /// Whether the droplet that a snapshot was taken of is gone; one call.
    async fn is_left(&self, operation: &'static str, snapshot: &wire::AccountSnapshot) -> Result<bool> {
        match self.droplet(operation, &InstanceId::new(&*snapshot.resource_id)).await {
            Ok(_) => Ok(false),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(true),
            Err(error) => Err(error),
        }
    }
}

#[async_trait]
impl Strays for DigitalOcean {
    async fn list(&self, owner: &Owner) -> Result<Vec<Stray>> {
        let mut found = Vec::new();
        for snapshot in self.snapshots(LIST).await? {
            if !is_unlabelled(owner, &snapshot) || !self.is_left(LIST, &snapshot).await? {
                continue;
            }
            found.push(Stray {
                kind: StrayKind::Image,
                id: StrayId::new(snapshot.id),
                name: snapshot.name,
                region: snapshot.regions.into_iter().flatten().next().map(Region::new),
                created_at: snapshot.created_at,
                why: "its capture was never finished, and its builder is gone".to_owned(),
            });
        }
        Ok(found)
    }

    async fn remove(&self, owner: &Owner, stray: &Stray) -> Result<()> {
        let id = stray.id.as_str();
        let refuse = |kind, message: &str| Err(Error::new(kind, REMOVE, message).with_resource(id));
        if stray.kind != StrayKind::Image || id.parse::<u64>().is_err() {
            return refuse(ErrorKind::InvalidInput, "not the id of a snapshot");
        }
        let request = JsonRequest::get(REMOVE, &["v2", "snapshots", id]).about(id);
        let snapshot = match self.client.json::<wire::AccountSnapshotAnswer>(&request).await {
            Ok(answer) => answer.snapshot,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        if !is_unlabelled(owner, &snapshot) {
            return refuse(ErrorKind::Conflict, "it has labels, or its name does not carry the owner's id");
        }
        if !self.is_left(REMOVE, &snapshot).await? {
            return refuse(ErrorKind::Conflict, "it is in use: the droplet that it was taken of is there");
        }
        self.client.remove(&JsonRequest::delete(REMOVE, &["v2", "images", id]).about(id)).await?;
        let mut memory = self.memory.lock();
        memory.captures.remove(&snapshot.name);
        memory.removed.insert(snapshot.name);
        Ok(())
    }
}
