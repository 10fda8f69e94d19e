//! What fails, and how: by rule, the API fails on purpose, in the ways in which the real one does.
//!
//! A rule says which calls it is about (method, path, type of action), which of those are hit (the nth, how many from
//! there on, every how many), and what then happens. Each rule counts for itself. When several rules hit one call, the
//! oldest of them has its way; the others count it all the same. Rules live in memory: a sandbox that is started again
//! has none.
//!
//! How each API says it is its [`Shape`]. What a rule does to all that a request does is in `scope`.

mod admin;
mod call;
mod changes;
mod inject;
mod rule;
mod rules;
mod scope;
mod shape;
mod stale;
#[cfg(test)]
mod tests;

pub use admin::{ChangeList, FaultList, routes};
pub use call::Call;
pub use changes::Change;
pub use inject::layer;
pub use rule::{Fault, FaultRule, InvalidRule};
pub use rules::{FaultStatus, Faults};
pub use scope::{seen, will_fail, with_doomed_actions};
pub use shape::{Bent, NoRoom, Shape, html};
