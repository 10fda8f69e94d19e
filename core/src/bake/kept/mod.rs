//! The builder of a bake that failed, kept so that somebody can log in and look.
//!
//! That it is kept, and until when, is in its labels: every command of every machine sees it there, and nothing of the journal
//! depends on it. Its key is in the state folder of the user who baked, and nowhere else ([`KeyFolder`]). A builder whose label
//! or key cannot be written is destroyed as without this.

mod keys;

use jiff::Timestamp;

pub use keys::{KeptKey, KeyFolder};

use crate::{
    context::Context,
    provider::{EnvironmentId, Instance, Labels, label},
};

/// Until when a builder is kept; `None` where it is not, or not any more.
pub(crate) fn kept_until(labels: &Labels) -> Option<Timestamp> {
    let until: Timestamp = labels.get(label::KEPT_UNTIL)?.parse().ok()?;
    (until > crate::clock::wall()).then_some(until)
}

/// Removes the key of a builder that is gone.
pub(crate) fn forget(ctx: &Context, environment: &EnvironmentId, instance: &Instance) {
    if let Some(keys) = KeyFolder::of(&ctx.process_env, environment) {
        keys.remove(ctx.provider.descriptor().id, &instance.name);
    }
}
