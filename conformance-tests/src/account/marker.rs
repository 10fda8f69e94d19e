//! The marker without which no account is run on.

use jiff::Timestamp;
use remint_core::provider::{Capability, Error, Markers, Provider, Result};

/// The marker's name. Its value says since when it is set.
pub const MARKER: &str = "conformance";

fn markers<'a>(provider: &'a dyn Provider, operation: &'static str) -> Result<&'a dyn Markers> {
    provider.markers().ok_or_else(|| {
        Error::unsupported(operation, Capability::Marker)
            .with_hint("run the suite on accounts of providers that keep markers only, or on a sandbox")
    })
}

/// Allows runs on the account: sets the marker.
///
/// # Errors
///
/// `Unsupported` where the provider keeps no markers, and whatever setting one answers.
pub async fn prepare(provider: &dyn Provider) -> Result<()> {
    let value = format!("since-{}", Timestamp::now().strftime("%Y-%m-%d"));
    markers(provider, "prepare account")?.set(MARKER, &value).await
}

/// Forbids runs on the account: removes the marker.
///
/// # Errors
///
/// As [`prepare`].
pub async fn release(provider: &dyn Provider) -> Result<()> {
    markers(provider, "release account")?.remove(MARKER).await
}

/// Whether runs on the account are allowed.
///
/// # Errors
///
/// As [`prepare`].
pub async fn is_prepared(provider: &dyn Provider) -> Result<bool> {
    Ok(markers(provider, "read account's marker")?.get(MARKER).await?.is_some())
}
