//! How large an answer of an API may be.
//!
//! A server decides what it sends. What it sends is read into memory, so every size is bounded before it is parsed: bytes,
//! nesting, and the number of values, because a byte or two of text can become a structure of a kilobyte. The bounds are
//! far above what any cloud sends (a page of 1,000 EC2 instances is about 8 MB) and together keep a run below 200 MiB.

use std::fmt;

/// Bytes of one answer.
pub const MAX_BODY: usize = 16 * 1024 * 1024;
/// Levels of nesting of one answer.
pub const MAX_DEPTH: usize = 64;
/// Values of one answer: elements of XML, values of JSON.
pub const MAX_VALUES: usize = 1_000_000;
/// Values of one answer that hold others, or nothing.
pub const MAX_CONTAINERS: usize = 100_000;
/// Bytes of all pages of a list.
pub const MAX_LIST: u64 = 64 * 1024 * 1024;
/// Pages of a list.
pub const MAX_PAGES: u32 = 200;

/// A bound that an answer exceeds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Excess {
    /// [`MAX_BODY`].
    Bytes,
    /// [`MAX_DEPTH`].
    Depth,
    /// [`MAX_VALUES`].
    Values,
    /// [`MAX_CONTAINERS`].
    Containers,
}

impl fmt::Display for Excess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bytes => write!(f, "the answer is larger than {} MiB", MAX_BODY / 1024 / 1024),
            Self::Depth => write!(f, "the answer is nested deeper than {MAX_DEPTH} levels"),
            Self::Values => write!(f, "the answer has more than {MAX_VALUES} values"),
            Self::Containers => write!(f, "the answer has more than {MAX_CONTAINERS} objects and lists"),
        }
    }
}

impl std::error::Error for Excess {}

impl Excess {
    /// What an error advises after an answer that no cloud would give.
    pub const HINT: &'static str =
        "check the API's address, and the proxy if there is one: something else may be answering in its place";
}
