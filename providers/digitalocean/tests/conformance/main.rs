//! The conformance suite against sandboxes with simulated machines.

#![expect(clippy::unwrap_used, reason = "a test whose sandbox does not start has failed")]

mod interference;
mod sandbox;

use remint_conformance::{Setting, libtest};

fn main() -> std::process::ExitCode {
    libtest(&remint_digitalocean::DESCRIPTOR, Setting::ALL, &[], |tenancy| Box::pin(sandbox::start(tenancy)))
}
