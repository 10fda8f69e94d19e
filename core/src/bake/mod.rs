//! Baking: from the fingerprint of a recipe to a captured image.
//!
//! [`prepare`] says whether there is anything to bake, [`bake`] does it. A builder is launched from the base image, reached
//! through a host key that Remint made, provisioned, verified, sealed, stopped and captured. An image is found again by
//! its labels (service, fingerprint, role), never by a file of ours, so that two people who bake the same recipe in
//! the same account share it.
//!
//! What a bake creates is noted before the call that creates it. It is destroyed whatever happens, unless the user asked to keep the
//! builder of a bake that fails ([`OnError`]). [`recover`] destroys what a killed bake left: every command that changes something
//! calls it first.

pub mod apt;
mod artifact;
mod authority;
mod builder;
mod capture;
mod cause;
mod check;
mod cleanup;
mod error;
pub mod files;
mod keep;
mod kept;
mod logins;
mod place;
mod prepare;
mod recover;
mod report;
mod run;
pub mod seal;
mod secrets;
mod steps;

pub use crate::context::{Asker, BakeOptions, OnError};
pub use authority::Authority;
pub(crate) use authority::key_prefix;
pub(crate) use cleanup::destroy_machines;
pub use error::BakeError;
pub use kept::{KeptKey, KeyFolder};
pub(crate) use kept::{forget, kept_until};
pub use place::PlaceError;
pub use prepare::{Prepared, prepare};
pub use recover::recover;
pub use report::BakeReport;
pub use run::bake;
