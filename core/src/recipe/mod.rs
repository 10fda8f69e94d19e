//! What goes into an image: the manifest's steps, the files that they name, and the fingerprint of it all.

mod destination;
mod fingerprint;
mod links;

pub(crate) use destination::Destination;
pub use fingerprint::{FingerprintError, InputDigest, Inputs, VERSION, changed, compute, step_name};
pub use links::warnings as link_warnings;

use crate::{
    manifest::Loaded,
    provider::{Fingerprint, ImageId},
    spawn,
};

/// A recipe's fingerprint, and what it was taken from.
#[derive(Debug, Clone)]
pub(crate) struct Recipe {
    pub(crate) fingerprint: Fingerprint,
    pub(crate) inputs: Vec<InputDigest>,
}

impl Recipe {
    /// Reads every file of the manifest's recipe on a base image, away from the threads that serve connections.
    pub(crate) async fn read(loaded: &Loaded, base: &ImageId) -> Result<Self, FingerprintError> {
        let (image, provider) = (loaded.manifest.image.clone(), loaded.provider.clone());
        let (base, base_dir) = (base.clone(), loaded.base_dir.clone());
        let computed = spawn::blocking(move || {
            compute(&Inputs { image: &image, provider: &provider, base: &base, base_dir: &base_dir })
        });
        computed.await.map(|(fingerprint, inputs)| Self { fingerprint, inputs })
    }
}
