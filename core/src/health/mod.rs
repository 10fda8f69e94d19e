//! Whether a service answers: one [`Probe`] for the three kinds of checks, the wait until an instance is healthy, and
//! the [`ProbeRun`] that watches the stable address while it moves.
//!
//! A probe opens a connection of its own each time and follows neither proxies nor redirects: what it measures is what a
//! new client of that socket address would see.

mod http;
mod probe;
mod question;
mod run;
#[cfg(test)]
mod testing;
mod unhealthy;
mod wait;

pub(crate) use http::headers;
pub use probe::Probe;
#[cfg(test)]
pub(crate) use question::Question;
pub(crate) use question::{Network, Services};
pub use run::{ProbeReport, ProbeRun};
pub use unhealthy::Unhealthy;
pub use wait::{HealthError, wait_healthy};
