//! The conformance suite against a sandbox with simulated machines: one sandbox for each case.

#![expect(clippy::unwrap_used, reason = "a test whose sandbox does not start has failed")]

mod interference;
mod sandbox;

use remint_conformance::{Setting, Settings, libtest};

const SETTINGS: Settings =
    &[Setting::SecondRegion, Setting::Zone, Setting::Stranger, Setting::LostReplies, Setting::StaticIpLimit];

fn main() -> std::process::ExitCode {
    libtest(&remint_digitalocean::DESCRIPTOR, SETTINGS, || Box::pin(sandbox::start()))
}
