//! Why there is no user data.

/// Why there is no user data. Holds no content.
#[derive(Debug, thiserror::Error)]
pub enum UserDataError {
    /// A configuration variable whose name no environment can have. Holds the name.
    #[error("`{0}` cannot be the name of an environment variable")]
    VariableName(String),
    /// A value that systemd would drop.
    #[error("the value of `{name}` holds the control character U+{character:04X}, which systemd does not take")]
    VariableValue {
        /// The name of the variable, from `[config]`. The value may be a secret and is not held.
        name: String,
        /// The Unicode number of the character.
        character: u32,
    },
    /// A part whose kind is not known.
    #[error(
        "{0}: its first line does not tell its kind; cloud-init knows `#cloud-config`, `#!`, `#cloud-boothook`, \
         `#include`, `#include-once`, `#part-handler`, `#cloud-config-archive`, `#cloud-config-jsonp` and \
         `## template: jinja`"
    )]
    Kind(String),
    /// Larger than the provider takes.
    #[error("the user data has {size} bytes, the provider takes at most {limit}: {parts}")]
    TooLarge {
        /// All of it, compressed where that is possible.
        size: usize,
        /// The most bytes that the provider takes.
        limit: usize,
        /// The name of each part and its size in bytes, separated by commas.
        parts: String,
    },
}
