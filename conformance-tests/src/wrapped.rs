//! What the wrappers around a provider share.

use remint_core::provider::{Error, ErrorKind, Result};

/// A concern that the inner provider has: only then is the wrapper's own handed out.
pub(crate) fn there<'a, T: ?Sized>(concern: Option<&'a T>, operation: &'static str) -> Result<&'a T> {
    concern.ok_or_else(|| Error::new(ErrorKind::Unsupported, operation, "the provider does not have this concern"))
}
