//! Google's APIs as a client sees them, over HTTP, on simulated machines.
#![expect(clippy::unwrap_used, reason = "a test may fail by unwrapping")]

mod addresses;
mod auth;
mod batch;
mod bodies;
mod client;
mod discovery;
mod dns;
mod empty;
mod hostile;
mod images;
mod instances;
mod load_balancing;
mod places;
