//! Amazon's APIs as a client sees them, over HTTP with real signatures, on simulated machines.
#![expect(clippy::unwrap_used, reason = "a test may fail by unwrapping")]

mod account;
mod addresses;
mod faults;
mod images;
mod instances;
mod load_balancers;
mod resources;
mod signatures;
mod zones;
