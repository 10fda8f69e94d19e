//! Keys, wherever they come from.

use std::collections::BTreeMap;

use jiff::Timestamp;
use secrecy::SecretString;

/// The environment variables that decide which credentials are used.
pub(in crate::journal) type Env = BTreeMap<String, String>;

/// Keys for Amazon's APIs.
#[derive(Debug, Clone)]
pub struct AwsKeys {
    /// The access key's id.
    pub id: String,
    /// The secret access key.
    pub secret: SecretString,
    /// The session token, which keys that expire have.
    pub token: Option<SecretString>,
    /// When they expire, if they do.
    pub expires: Option<Timestamp>,
}
