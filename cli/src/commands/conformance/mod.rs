//! `remint conformance`: the suite, and the skeleton of a new provider.

mod account;
mod bundle;
mod chosen;
mod dispatch;
mod ledgers;
mod list;
mod new_provider;
mod progress;
mod run;
#[cfg(feature = "sandbox")]
mod stand_in;
mod sweep;

pub(super) use dispatch::run;
