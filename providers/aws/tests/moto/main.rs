//! The conformance suite's control plane against moto, an emulator of AWS that nobody here wrote.
//!
//! No machine stands behind moto's instances, and it never loses a reply or refuses a key: the cases that need one of these
//! are run against the sandbox.

#![expect(clippy::unwrap_used, reason = "a test whose emulator does not start has failed")]

mod exemptions;
mod server;

use remint_conformance::{Setting, Settings, libtest};

const SETTINGS: Settings = &[Setting::SecondRegion, Setting::Zone, Setting::Another];

fn main() -> std::process::ExitCode {
    let exemptions = exemptions::exemptions();
    libtest(&remint_aws::DESCRIPTOR, SETTINGS, &exemptions, |_| Box::pin(server::start()))
}
