//! What goes wrong with a base image.

/// Why a base image could not be made, read or removed.
#[derive(Debug, thiserror::Error)]
#[error("{operation} image {image}: {message}")]
pub struct ImageError {
    /// What was tried, as a verb: `build`.
    pub operation: &'static str,
    /// The slug of the image.
    pub image: String,
    /// Why it failed, and what to do where that is known.
    pub message: String,
}

impl ImageError {
    pub(crate) fn new(operation: &'static str, image: &str, message: impl std::fmt::Display) -> Self {
        Self { operation, image: image.to_owned(), message: message.to_string() }
    }
}

/// A result whose error is [`ImageError`] unless it says otherwise.
pub type Result<T, E = ImageError> = std::result::Result<T, E>;
