//! A proof that a store keeps two writers apart.
//!
//! The lock and each entry of a journal depend on conditional writes, and there are servers that ignore the condition and
//! answer as if all were well. So before a process changes anything, it tries to do what must fail: to create an object that is
//! there, and to update one from a state that it is not in. The object stays in the store, so that a later process needs two
//! requests and not four. That it is there proves nothing by itself: it may be a copy that came from another store.

use std::time::{Duration, Instant};

use bytes::Bytes;
use object_store::{Error, ObjectStore, ObjectStoreExt, PutMode, PutOptions, Result, UpdateVersion, path::Path};
use uuid::Uuid;

/// The object on which it is tried, next to `service.json`.
pub(in crate::journal) const NAME: &str = "remint-store.json";

/// How often a write is tried whose outcome is not known.
const ROUNDS: u32 = 5;
/// For how long: a server that is away was waited for already.
const PATIENCE: Duration = Duration::from_secs(5);

/// Why there is no proof.
#[derive(Debug)]
pub(super) enum Unproven {
    /// The store did what it was not to do: a clause that follows "it ignores conditions: ".
    Ignored(&'static str),
    /// A request failed.
    Failed(Error),
}

impl From<Error> for Unproven {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// Proves it. The object of a store that fails is removed again.
pub(super) async fn prove(objects: &dyn ObjectStore) -> std::result::Result<(), Unproven> {
    let proven = attempt(objects).await;
    if matches!(proven, Err(Unproven::Ignored(_))) {
        // Whatever comes of it: the store is refused.
        let _ = objects.delete(&Path::from(NAME)).await;
    }
    proven
}

async fn attempt(objects: &dyn ObjectStore) -> std::result::Result<(), Unproven> {
    let Some(first) = put(objects, PutMode::Create).await? else {
        // It is there, so this create has lost as it must. No object ever had this version.
        let never = UpdateVersion {
            e_tag: Some("\"00000000000000000000000000000000\"".to_owned()),
            version: Some("1".to_owned()),
        };
        return refuses(objects, PutMode::Update(never), "an update of another state succeeded").await;
    };
    refuses(objects, PutMode::Create, "of two creates of one object, both succeeded").await?;
    if put(objects, PutMode::Update(first.clone())).await?.is_none() {
        return Err(Unproven::Ignored("an update of an unchanged object was refused"));
    }
    refuses(objects, PutMode::Update(first), "an update of a state that had passed succeeded").await
}

async fn refuses(
    objects: &dyn ObjectStore,
    mode: PutMode,
    otherwise: &'static str,
) -> std::result::Result<(), Unproven> {
    match put(objects, mode).await? {
        None => Ok(()),
        Some(_) => Err(Unproven::Ignored(otherwise)),
    }
}

/// Writes the object; `None` when the condition was not met.
async fn put(objects: &dyn ObjectStore, mode: PutMode) -> Result<Option<UpdateVersion>> {
    let path = Path::from(NAME);
    let text = "Remint tries on this object whether the store honours conditional writes.";
    let body = serde_json::json!({ "format": 1, "what": text, "nonce": Uuid::new_v4() });
    let bytes = Bytes::from(format!("{body:#}\n"));
    let started = Instant::now();
    let mut failure = Error::Generic { store: "journal", source: "an object that exists cannot be read".into() };
    for _ in 0..ROUNDS {
        let options = PutOptions { mode: mode.clone(), ..PutOptions::default() };
        let refused = match objects.put_opts(&path, bytes.clone().into(), options).await {
            Ok(put) => return Ok(Some(put.into())),
            Err(Error::AlreadyExists { .. } | Error::Precondition { .. }) => true,
            // The connection may have broken while the reply was awaited.
            Err(error @ Error::Generic { .. }) if started.elapsed() < PATIENCE => {
                failure = error;
                false
            }
            Err(error) => return Err(error),
        };
        match objects.get(&path).await {
            Ok(found) => {
                let version = UpdateVersion { e_tag: found.meta.e_tag.clone(), version: found.meta.version.clone() };
                // Also after a refusal: that may be of a repeated request, whose first reply was lost.
                if found.bytes().await? == bytes {
                    return Ok(Some(version));
                }
                if refused {
                    return Ok(None);
                }
            }
            Err(Error::NotFound { .. }) if refused && mode != PutMode::Create => return Ok(None),
            // S3 refuses one of two creates that arrive at once, and the other one may fail.
            Err(Error::NotFound { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Err(failure)
}

#[cfg(test)]
mod tests {
    use object_store::memory::InMemory;

    use super::*;

    #[tokio::test]
    async fn a_store_that_honours_conditions_is_proven_the_first_time_and_later() {
        let objects = InMemory::new();
        for _ in 0..2 {
            prove(&objects).await.unwrap();
        }
        let racers = (0..20).map(|_| prove(&objects));
        for proven in futures::future::join_all(racers).await {
            proven.unwrap();
        }
    }
}
