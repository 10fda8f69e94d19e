//! The crate of a new provider: it compiles as it is, has every method of every contract with the contract's own words,
//! and answers `Unsupported` to all of them.
//!
//! The methods are not written down here: they are read from the traits' source ([`remint_core::provider::CONTRACTS`]), so
//! that a skeleton can lack none. What surrounds them lies in `templates/`, for a provider whose id is `mycloud`.

mod contract;
mod files;
mod rooms;

pub use files::{Scaffold, ScaffoldError};
