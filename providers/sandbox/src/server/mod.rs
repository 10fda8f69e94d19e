//! The server: all APIs on one address, the accounts behind them, and what the sandbox answers of itself.
//!
//! From the outside in, a request passes: what sees it through when its client goes away, the request id and log, the check of
//! credentials, the edge's layers (faults, rate limits, counts; not what the sandbox answers of itself), its route.

mod accounts;
mod admin;
mod record;
mod router;
mod serve;
mod zones;

pub use serve::Server;
pub use zones::NewZone;
