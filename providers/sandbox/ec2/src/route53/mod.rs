//! Route 53: hosted zones and their record sets, served by the sandbox's DNS server.
//!
//! A hosted zone's sets are kept as the API has them. What the DNS server serves is a domain of the engine's, made anew from
//! them after each change; where an account has several zones of one name, it is the oldest one's.

mod changes;
mod dispatch;
mod name;
mod none;
mod request;
mod sets;
mod value;
mod zone;
mod zones;

#[cfg(test)]
pub(super) fn fuzz(text: &str) {
    sets::fuzz(text);
    let (kind, data) = text.split_once(' ').unwrap_or(("TXT", text));
    for kind in [kind, "A", "AAAA", "CNAME", "MX", "NS", "SRV", "TXT", "CAA"] {
        if let Err(problem) = value::read(kind, data) {
            assert!(!problem.is_empty(), "a refusal says why");
        }
    }
    if let Some(name) = name::normal(text) {
        assert_eq!(name::normal(&name), Some(name.clone()), "what is in its normal form stays");
    }
}

pub(super) use dispatch::{OPERATIONS, ROOT, answer, operation};
pub(super) use zone::{add_zone, serve_aliases, serve_name};
