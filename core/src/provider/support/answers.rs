//! How large an answer of an API may be.
//!
//! A server decides what it sends. What it sends is read into memory, so every size is bounded before it is parsed: bytes,
//! nesting, and the number of values, because a byte or two of text can become a structure of a kilobyte. The bounds are
//! far above what any cloud sends (a page of 1,000 EC2 instances is about 8 MB) and together keep a run below 200 MiB.

use std::{
    collections::{HashSet, hash_map::DefaultHasher},
    fmt,
    hash::{Hash, Hasher},
};

use tokio::time::Instant;

use super::Calls;
use crate::provider::{Error, ErrorKind, Result};

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

/// Measures an answer while it arrives: JSON, XML, or anything else, of which only the bytes count.
///
/// It is no parser: of text that is not well-formed it may count more or less than there is, but only from the place on at
/// which a parser gives up.
#[derive(Debug, Default)]
pub struct Meter {
    bytes: usize,
    depth: usize,
    values: usize,
    containers: usize,
    format: Format,
}

#[derive(Debug, Default, Clone, Copy)]
enum Format {
    /// Only white space and a byte order mark so far.
    #[default]
    Unknown,
    Json(Json),
    Xml(Xml),
    Other,
}

#[derive(Debug, Clone, Copy)]
enum Json {
    Outside,
    Text,
    Escape,
}

#[derive(Debug, Clone, Copy)]
struct Xml {
    at: XmlAt,
    /// Whether the last tag opened an element, in which there was nothing yet.
    bare: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum XmlAt {
    Text,
    /// After `<`.
    Tag,
    /// In an opening tag; whether the byte before was a slash.
    Opening {
        slash: bool,
    },
    /// In a value of an attribute, until this quote.
    Quoted(u8),
    /// In a closing tag, a comment or a declaration.
    Skipped,
}

impl Meter {
    /// Takes the next bytes in.
    ///
    /// # Errors
    ///
    /// The first bound that the answer exceeds.
    pub fn feed(&mut self, bytes: &[u8]) -> std::result::Result<(), Excess> {
        self.bytes = self.bytes.saturating_add(bytes.len());
        if self.bytes > MAX_BODY {
            return Err(Excess::Bytes);
        }
        for &byte in bytes {
            self.format = match self.format {
                Format::Other => return Ok(()),
                Format::Unknown => match byte {
                    b'{' | b'[' => Format::Json(self.json(Json::Outside, byte)),
                    b'<' => Format::Xml(Xml { at: XmlAt::Tag, bare: false }),
                    b' ' | b'\t' | b'\r' | b'\n' | 0xef | 0xbb | 0xbf => Format::Unknown,
                    _ => Format::Other,
                },
                Format::Json(state) => Format::Json(self.json(state, byte)),
                Format::Xml(state) => Format::Xml(self.xml(state, byte)),
            };
            if self.depth > MAX_DEPTH {
                return Err(Excess::Depth);
            }
        }
        match (self.values > MAX_VALUES, self.containers > MAX_CONTAINERS) {
            (_, true) => Err(Excess::Containers),
            (true, false) => Err(Excess::Values),
            (false, false) => Ok(()),
        }
    }

    fn json(&mut self, state: Json, byte: u8) -> Json {
        match (state, byte) {
            (Json::Escape, _) | (Json::Outside, b'"') => return Json::Text,
            (Json::Text, b'\\') => return Json::Escape,
            (Json::Text, b'"') => return Json::Outside,
            (Json::Text, _) => return Json::Text,
            (Json::Outside, b'{' | b'[') => {
                self.depth += 1;
                self.values += 1;
                self.containers += 1;
            }
            (Json::Outside, b'}' | b']') => self.depth = self.depth.saturating_sub(1),
            (Json::Outside, b',') => self.values += 1,
            (Json::Outside, _) => {}
        }
        Json::Outside
    }

    fn xml(&mut self, Xml { at, bare }: Xml, byte: u8) -> Xml {
        match (at, byte) {
            (XmlAt::Text, b'<') => Xml { at: XmlAt::Tag, bare },
            (XmlAt::Text, b' ' | b'\t' | b'\r' | b'\n') => Xml { at, bare },
            (XmlAt::Text, _) => Xml { at, bare: false },
            (XmlAt::Tag, b'/') => {
                // An element with nothing in it may be a structure as well.
                self.containers += usize::from(bare);
                self.depth = self.depth.saturating_sub(1);
                Xml { at: XmlAt::Skipped, bare: false }
            }
            (XmlAt::Tag, b'!' | b'?') => Xml { at: XmlAt::Skipped, bare },
            (XmlAt::Tag, _) => {
                // The element around this one holds others.
                self.containers += usize::from(bare);
                self.values += 1;
                self.depth += 1;
                Xml { at: XmlAt::Opening { slash: false }, bare: true }
            }
            (XmlAt::Opening { slash: true }, b'>') => {
                self.containers += 1;
                self.depth = self.depth.saturating_sub(1);
                Xml { at: XmlAt::Text, bare: false }
            }
            (XmlAt::Opening { .. }, b'>') => Xml { at: XmlAt::Text, bare },
            (XmlAt::Opening { .. }, b'"' | b'\'') => Xml { at: XmlAt::Quoted(byte), bare },
            (XmlAt::Opening { .. }, _) => Xml { at: XmlAt::Opening { slash: byte == b'/' }, bare },
            (XmlAt::Quoted(quote), _) if quote == byte => Xml { at: XmlAt::Opening { slash: false }, bare },
            (XmlAt::Skipped, b'>') => Xml { at: XmlAt::Text, bare },
            (XmlAt::Quoted(_) | XmlAt::Skipped, _) => Xml { at, bare },
        }
    }
}

/// Reads a list by pages: bounds their number, their bytes and their time, and refuses a page that was there before.
#[derive(Debug)]
pub struct Listing {
    operation: &'static str,
    calls: Calls,
    until: Instant,
    received: u64,
    pages: u32,
    seen: HashSet<u64>,
}

impl Listing {
    /// Begins to read a list. It may take twice as long as one call, since it is many.
    pub fn new(operation: &'static str, calls: &Calls) -> Self {
        let until = Instant::now() + calls.retry_policy().within.saturating_mul(2);
        let received = calls.bytes_received();
        Self { operation, calls: calls.clone(), until, received, pages: 0, seen: HashSet::new() }
    }

    /// Counts a page that was read, and gives the token of the page after it; `None` after the last one.
    ///
    /// # Errors
    ///
    /// `Unexpected` when the list does not end: it has too many pages or bytes, or a token is one that it gave before;
    /// `Timeout` when it takes too long.
    pub fn next(&mut self, token: Option<String>) -> Result<Option<String>> {
        self.pages += 1;
        let Some(token) = token.filter(|token| !token.is_empty()) else { return Ok(None) };
        let mut hasher = DefaultHasher::new();
        token.hash(&mut hasher);
        if !self.seen.insert(hasher.finish()) {
            return Err(self.endless(format!("page {} of the list leads back to one that was read before", self.pages)));
        }
        self.check()?;
        Ok(Some(token))
    }

    /// Whether another page may be read.
    fn check(&self) -> Result<()> {
        if self.pages >= MAX_PAGES {
            return Err(self.endless(format!("the list did not end after {MAX_PAGES} pages")));
        }
        if self.calls.bytes_received() - self.received > MAX_LIST {
            return Err(self.endless(format!("the list did not end after {} MiB", MAX_LIST / 1024 / 1024)));
        }
        if Instant::now() > self.until {
            let seconds = self.calls.retry_policy().within.as_secs() * 2;
            let message = format!("the list did not end within {seconds} s ({} pages so far)", self.pages);
            return Err(Error::new(ErrorKind::Timeout, self.operation, message));
        }
        Ok(())
    }

    fn endless(&self, message: String) -> Error {
        Error::new(ErrorKind::Unexpected, self.operation, message).with_hint(Excess::HINT)
    }
}

#[cfg(test)]
#[path = "answers_tests.rs"]
mod tests;
