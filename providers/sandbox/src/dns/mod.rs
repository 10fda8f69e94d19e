//! The sandbox's DNS server: it answers for the domains of the sandbox's account, and refuses all others.
//!
//! Invariant: a query sees either the zone before a change or the zone after it. A zone is built aside and swapped in
//! whole, so there is no moment at which a record that stands on both sides of a change is missing. The in-memory zone
//! of hickory-server, changed in place, has such a moment (a record set is changed by removing and adding), answers
//! wildcards where a name exists, and leaves the SOA serial to its user; so lookups are done here, and only sockets and
//! wire format are hickory's.

mod record;
mod server;
mod zone;

pub use record::ZoneError;
pub use server::Dns;

#[cfg(test)]
mod tests;
