//! The account's access key.

use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use secrecy::{ExposeSecret as _, SecretString};
use sha2::Sha256;

/// The only access key that the account accepts.
#[derive(Debug, Clone)]
pub struct AccessKey {
    /// Its id: `AKIA` and sixteen capital letters and digits.
    pub id: String,
    /// The secret that requests are signed with: forty characters.
    pub secret: SecretString,
}

impl AccessKey {
    /// The access key of a sandbox with this token. It is derived, so that a sandbox keeps one secret and not two.
    pub fn of(token: &SecretString) -> Self {
        const LETTERS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
        let id = derive(token, "access key id")
            .iter()
            .take(16)
            .map(|byte| char::from(LETTERS[usize::from(byte % 32)]))
            .collect::<String>();
        let secret = STANDARD_NO_PAD.encode(&derive(token, "secret access key")[..30]);
        Self { id: format!("AKIA{id}"), secret: secret.into() }
    }
}

fn derive(token: &SecretString, what: &str) -> [u8; 32] {
    let mac = Hmac::<Sha256>::new_from_slice(token.expose_secret().as_bytes());
    // HMAC takes keys of any length; without one there is nothing to sign with.
    let Ok(mut mac) = mac else { return [0; 32] };
    mac.update(what.as_bytes());
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_looks_like_amazons_and_depends_on_the_token() {
        let key = AccessKey::of(&"one".into());
        assert_eq!((key.id.len(), key.secret.expose_secret().len()), (20, 40));
        assert!(key.id.starts_with("AKIA"));
        assert_eq!(AccessKey::of(&"one".into()).id, key.id);
        let other = AccessKey::of(&"two".into());
        assert_ne!(other.id, key.id);
        assert_ne!(other.secret.expose_secret(), key.secret.expose_secret());
    }
}
