//! Images and snapshots as they are now, and the disks behind them.
//!
//! An AMI is regional, the disk behind it is not: a copy is another name for the engine's image. A disk is deleted when no
//! image and no snapshot names it any more.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::{
    catalogue,
    kinds::IMAGE,
    reply::refuse,
    state::{Ami, Snapshot},
};
use crate::{Cloud, State};
use remint_sandbox_cloud::{
    ApiResult, now,
    state::{Image, Work},
};

/// Where the making of an image or a snapshot stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    Pending,
    Done,
    Failed,
}

/// Where the engine's image stands, which a copy has from `ready_at` on.
fn standing(state: &State, image: u64, ready_at: Option<Timestamp>, doomed: bool) -> Standing {
    let taking = state.actions.values().any(|action| {
        let work = action.pending.as_ref().map(|pending| &pending.work);
        matches!(work, Some(Work::Snapshot { image: taken, .. }) if *taken == image)
    });
    if taking || ready_at.is_some_and(|ready| ready > now()) {
        Standing::Pending
    } else if !doomed && state.image(image).is_ok() {
        Standing::Done
    } else {
        Standing::Failed
    }
}

impl Ami {
    pub(super) fn standing(&self, state: &State) -> Standing {
        standing(state, self.image, self.ready_at, self.doomed)
    }
}

impl Snapshot {
    pub(super) fn standing(&self, state: &State) -> Standing {
        standing(state, self.image, self.ready_at, self.doomed)
    }
}

/// The image of an id, ready to be launched from.
pub(super) fn launchable(state: &State, region: &str, id: &str) -> ApiResult<Ami> {
    let mut public = catalogue::public_images(state, region).into_iter().map(|image| image.ami);
    let ami = match public.find(|ami| ami.id == id) {
        Some(ami) => ami,
        None => own(state, region, id)?.clone(),
    };
    let unavailable = |is: &str| refuse("InvalidAMIID.Unavailable", format!("The image ID '{id}' is {is}"));
    match ami.standing(state) {
        Standing::Done => Ok(ami),
        Standing::Pending => Err(unavailable("pending")),
        Standing::Failed => Err(unavailable("failed")),
    }
}

/// An image of the account's own.
pub(super) fn own<'a>(state: &'a State, region: &str, id: &str) -> ApiResult<&'a Ami> {
    state.own.images.get(id).filter(|ami| ami.region == region).ok_or_else(|| IMAGE.absent(&[id]))
}

/// Deletes the disks that no image and no snapshot names any more.
pub(super) async fn sweep(cloud: &Cloud) {
    let orphans: Vec<u64> = cloud.read(|state| {
        let images = state.own.images.values().map(|ami| ami.image);
        let named: BTreeSet<u64> = images.chain(state.own.snapshots.values().map(|snapshot| snapshot.image)).collect();
        let orphan = |image: &&Image| !image.public() && image.available && !named.contains(&image.id);
        state.images.values().filter(orphan).map(|image| image.id).collect()
    });
    for image in orphans {
        if let Err(error) = cloud.delete_image(image).await {
            tracing::warn!(image, %error, "a disk that nothing names cannot be deleted");
        }
    }
}
