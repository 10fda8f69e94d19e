//! Changes of the cloud: who asked for them, and what a watcher gets to see.

use std::{fmt, sync::Arc};

use tokio::time::Instant;

use super::State;

/// Who asks for something.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Actor(pub String);

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A change of the world, as the checker of all changes gets it.
#[derive(Debug)]
pub struct Change<'a> {
    /// Who asked for it; nobody where it happened by itself.
    pub actor: Option<&'a Actor>,
    /// What was asked for.
    pub operation: &'static str,
    /// In words.
    pub what: &'a str,
    /// When the caller began with the call, which may have taken several attempts.
    pub called: Instant,
    /// When this attempt began: right after the caller's last check.
    pub began: Instant,
    /// When the request left.
    pub sent: Instant,
    /// When it happened.
    pub at: Instant,
    /// The account just before.
    pub before: &'a Arc<State>,
    /// The account just after.
    pub after: &'a Arc<State>,
}
