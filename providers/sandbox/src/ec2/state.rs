//! What the account knows beyond the engine.

use serde::{Deserialize, Serialize};

/// What the account knows beyond the engine.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Data {}
