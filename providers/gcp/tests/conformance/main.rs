//! The conformance suite against sandboxes with simulated machines, which speak Compute Engine and Cloud DNS.

#![expect(clippy::unwrap_used, reason = "a test whose sandbox does not start has failed")]

mod interference;
mod sandbox;

use remint_conformance::{Setting, libtest};

fn main() -> std::process::ExitCode {
    libtest(&remint_gcp::DESCRIPTOR, Setting::ALL, &[], |tenancy| Box::pin(sandbox::start(tenancy)))
}
