//! The clocks.

use jiff::Timestamp;

/// What the clock on the wall says.
pub(crate) fn wall() -> Timestamp {
    Timestamp::now()
}
