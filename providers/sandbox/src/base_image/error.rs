//! What goes wrong with a base image.

/// Why a base image could not be made, read or removed.
#[derive(Debug, thiserror::Error)]
#[error("{operation} image {image}: {message}")]
pub struct ImageError {
    /// What was tried.
    pub operation: &'static str,
    /// The image's name.
    pub image: String,
    /// What came of it, and what to do.
    pub message: String,
}

impl ImageError {
    /// An error of one operation on one image.
    pub(crate) fn new(operation: &'static str, image: &str, message: impl std::fmt::Display) -> Self {
        Self { operation, image: image.to_owned(), message: message.to_string() }
    }
}

/// The result of an operation on a base image.
pub type Result<T, E = ImageError> = std::result::Result<T, E>;
