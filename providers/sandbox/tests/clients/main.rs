//! Ordinary clients, which nobody here wrote, against a sandbox of simulated machines: each does what its users do first.
//!
//! The longer tests of the clouds' own clients are in `cli/tests/clients.rs`. What none of these clients sends is sent by the tests
//! of the three APIs.
#![expect(clippy::unwrap_used, reason = "a test may fail by unwrapping")]

mod digitalocean;
mod ec2;
mod gce;
mod openssh;
mod world;
