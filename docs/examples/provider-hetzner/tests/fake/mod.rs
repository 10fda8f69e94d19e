//! A fake of Hetzner Cloud's API: what the provider uses of it, in memory, with the real names, codes and shapes.
//!
//! Nothing stands behind a server here. Actions take a few milliseconds and show their effect when they end; until then their
//! server or zone is locked. Lists give two resources a page, so that three of them already are a second page.

mod http;
mod labels;
mod refusal;
mod routes;
mod state;

pub(crate) use http::{Fake, Fault, TOKEN};
