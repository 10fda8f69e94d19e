//! `remint conformance`: the suite, and the skeleton of a new provider.

mod dispatch;
mod new_provider;

pub(super) use dispatch::run;
