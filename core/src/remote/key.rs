//! Keys that exist only as long as a builder or a release needs them.

use std::{fmt, sync::Arc};

use russh::keys::{HashAlg, PrivateKey, ssh_key};
use secrecy::SecretString;

/// An ed25519 public key.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey(pub(super) ssh_key::PublicKey);

impl PublicKey {
    /// Reads OpenSSH's one-line form; the comment is dropped.
    ///
    /// # Errors
    ///
    /// The reason why the line is not a public key.
    pub fn from_line(line: &str) -> Result<Self, String> {
        let mut key = ssh_key::PublicKey::from_openssh(line.trim()).map_err(|error| error.to_string())?;
        key.set_comment("");
        Ok(Self(key))
    }

    /// OpenSSH's one-line form, without a comment: `ssh-ed25519 AAAA…`.
    pub fn line(&self) -> String {
        self.0.to_openssh().unwrap_or_default()
    }

    /// The digest that `ssh-keygen -l` shows: `SHA256:…`.
    pub fn fingerprint(&self) -> String {
        self.0.fingerprint(HashAlg::Sha256).to_string()
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({})", self.fingerprint())
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.line())
    }
}

/// Makes an ed25519 key. The seed is wiped by `ssh-key` when the key is dropped.
fn generate() -> Arc<PrivateKey> {
    Arc::new(ssh_key::private::Ed25519Keypair::random(&mut rand::rng()).into())
}

fn pem(key: &PrivateKey) -> SecretString {
    let text = key.to_openssh(ssh_key::LineEnding::LF);
    SecretString::from(text.map(|text| text.to_string()).unwrap_or_default())
}

macro_rules! private_key {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        ///
        /// Lives in memory only, and is wiped when it is dropped. `Debug` shows the public key's fingerprint.
        #[derive(Clone)]
        pub struct $name(pub(super) Arc<PrivateKey>);

        impl $name {
            /// A new ed25519 key, which is masked from now on wherever this process writes.
            pub fn generate() -> Self {
                let key = Self(generate());
                crate::redact::learn(&key.private_pem());
                key
            }

            /// The public part.
            pub fn public(&self) -> PublicKey {
                PublicKey(ssh_key::PublicKey::from(self.0.public_key().key_data().clone()))
            }

            /// The private part in OpenSSH's PEM form.
            pub fn private_pem(&self) -> SecretString {
                pem(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.public().fingerprint())
            }
        }
    };
}

private_key! {
    /// The key by which a machine proves who it is. User data installs it before the machine's first SSH connection.
    HostKey
}

private_key! {
    /// The key with which Remint logs in.
    LoginKey
}

#[cfg(test)]
impl LoginKey {
    /// A key for a machine that nobody logs in to, out of 256: none comes again on this thread before all others. It is not masked.
    pub(crate) fn of_many() -> Self {
        thread_local! {
            static NEXT: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
        }
        static ALL: std::sync::LazyLock<Vec<LoginKey>> =
            std::sync::LazyLock::new(|| (0..256).map(|_| LoginKey(generate())).collect());
        ALL[NEXT.replace(NEXT.get() + 1) % ALL.len()].clone()
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn a_key_round_trips_through_the_forms_that_user_data_carries() {
        let key = HostKey::generate();
        let read = PrivateKey::from_openssh(key.private_pem().expose_secret()).unwrap();
        assert_eq!(read.public_key().key_data(), key.public().0.key_data());
        assert_eq!(PublicKey::from_line(&key.public().line()).unwrap(), key.public());
        assert_ne!(HostKey::generate().public(), key.public());
    }

    #[test]
    fn a_comment_does_not_make_another_key() {
        let key = LoginKey::generate().public();
        assert_eq!(PublicKey::from_line(&format!("{key} somebody@somewhere\n")).unwrap(), key);
        assert!(PublicKey::from_line("not a key").is_err());
    }

    #[test]
    fn debug_shows_no_private_part() {
        let key = LoginKey::generate();
        assert_eq!(format!("{key:?}"), format!("LoginKey({})", key.public().fingerprint()));
    }
}
