//! The conformance suite against sandboxes with simulated machines, which speak Compute Engine and Cloud DNS.

#![expect(clippy::unwrap_used, reason = "a test whose sandbox does not start has failed")]

mod interference;
mod sandbox;

use remint_conformance::{Setting, Settings, libtest};

const SETTINGS: Settings = &[
    Setting::SecondRegion,
    Setting::Zone,
    Setting::Stranger,
    Setting::Another,
    Setting::Boots,
    Setting::LostReplies,
    Setting::StaticIpLimit,
];

fn main() -> std::process::ExitCode {
    libtest(&remint_gcp::DESCRIPTOR, SETTINGS, &[], |tenancy| Box::pin(sandbox::start(tenancy)))
}
