//! The digest of a release's configuration, as the journal keeps it.
//!
//! A configuration holds secrets, and some of them can be guessed. So the journal keeps what argon2id makes of it: whoever reads the
//! journal pays that price for each guess. The parameters stand in front of the salt, in the notation of PHC strings. A release of a
//! Remint before has a salt without them, and its digest is a fast one: it is compared by what that Remint computed, so that an
//! upgrade alone replaces nothing.

use std::sync::{Mutex, PoisonError};

use argon2::{Algorithm, Argon2, Block, Params, Version};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

/// What OWASP asks for at least; 19 MiB for a moment stay within what a deploy may use.
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;

/// Where digests are made, one at a time. It is kept, as an allocator may hold on to what is given back, and take as much again.
static MEMORY: Mutex<Vec<Block>> = Mutex::new(Vec::new());

/// A new salt, with the parameters of the digests that are made with it.
pub(super) fn new_salt() -> String {
    let random = hex::encode(crate::chance::bytes::<16>());
    format!("$argon2id$v=19$m={MEMORY_KIB},t={PASSES},p={LANES}${random}")
}

/// A salt as a Remint before made it: digests are fast.
#[cfg(test)]
pub(super) fn cheap_salt() -> String {
    hex::encode(crate::chance::bytes::<16>())
}

/// The digest of a configuration, whose parts are handed over one after the other.
pub(super) struct ConfigDigest {
    salt: String,
    fast: Sha256,
}

impl ConfigDigest {
    pub(super) fn new(salt: &str) -> Self {
        let mut digest = Self { salt: salt.to_owned(), fast: Sha256::new() };
        digest.field(salt.as_bytes());
        digest
    }

    pub(super) fn field(&mut self, bytes: &[u8]) {
        self.fast.update((bytes.len() as u64).to_be_bytes());
        self.fast.update(bytes);
    }

    /// The digest in hexadecimal. It takes a tenth of a second of one core, and so is made beside other tasks.
    ///
    /// # Errors
    ///
    /// When the salt names parameters that this Remint cannot use: a later one wrote it, or it is damaged.
    pub(super) async fn finish(self) -> Result<String, String> {
        let fast = Zeroizing::new(<[u8; 32]>::from(self.fast.finalize()));
        if !self.salt.starts_with('$') {
            return Ok(hex::encode(fast.as_slice()));
        }
        let salt = self.salt;
        crate::spawn::blocking(move || slow(fast.as_slice(), &salt)).await
    }
}

fn slow(fast: &[u8], salt: &str) -> Result<String, String> {
    let unknown = || format!("the salt of its configuration's digest (`{salt}`) is not known to this remint");
    let parts: Vec<&str> = salt.split('$').collect();
    let ["", "argon2id", "v=19", parameters, random] = parts[..] else { return Err(unknown()) };
    // Only what this Remint writes: other numbers could ask for any amount of memory and time.
    if parameters != format!("m={MEMORY_KIB},t={PASSES},p={LANES}") {
        return Err(unknown());
    }
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None).map_err(|error| error.to_string())?;
    let mut out = [0; 32];
    let mut memory = MEMORY.lock().unwrap_or_else(PoisonError::into_inner);
    memory.resize(params.block_count(), Block::default());
    let made = Argon2::new(Algorithm::Argon2id, Version::V0x13, params).hash_password_into_with_memory(
        fast,
        random.as_bytes(),
        &mut out,
        memory.as_mut_slice(),
    );
    memory.fill(Block::default());
    made.map_err(|_| unknown())?;
    Ok(hex::encode(out))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn digest(salt: &str, secret: &str) -> Result<String, String> {
        let mut digest = ConfigDigest::new(salt);
        digest.field(secret.as_bytes());
        digest.finish().await
    }

    #[tokio::test]
    async fn the_same_configuration_and_salt_give_the_same_digest() {
        let (salt, other) = (new_salt(), new_salt());
        assert_ne!(salt, other);
        let first = digest(&salt, "a").await.unwrap();
        assert_eq!(first, digest(&salt, "a").await.unwrap());
        assert_ne!(first, digest(&salt, "b").await.unwrap());
        assert_ne!(first, digest(&other, "a").await.unwrap());
    }

    #[tokio::test]
    async fn a_digest_in_the_journal_costs_memory_for_each_guess() {
        let salt = new_salt();
        let kept = digest(&salt, "1234").await.unwrap();
        // What the Remint before would have kept, and what makes guessing fast.
        let mut fast = Sha256::new();
        for bytes in [salt.as_bytes(), b"1234"] {
            fast.update((bytes.len() as u64).to_be_bytes());
            fast.update(bytes);
        }
        let fast: [u8; 32] = fast.finalize().into();
        assert_ne!(kept, hex::encode(fast));
        // An independent reading of the salt's parameters leads to the same digest.
        let params = Params::new(19_456, 2, 1, Some(32)).unwrap();
        assert!(params.m_cost() >= 19_456 && params.t_cost() >= 2, "{salt}");
        let random = salt.rsplit('$').next().unwrap();
        assert_eq!(random.len(), 32, "16 random bytes: {salt}");
        let mut out = [0; 32];
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into(&fast, random.as_bytes(), &mut out)
            .unwrap();
        assert_eq!(kept, hex::encode(out));
    }

    #[tokio::test]
    async fn a_digest_of_the_release_before_is_computed_as_that_one_did() {
        // SHA-256 of the salt and the field, each after its length in eight bytes.
        let expected = "7ed4d32402bd732a0cd72268919f6258076d06eba66530c98daafa960c676254";
        assert_eq!(digest("5a5a", "hunter2").await.unwrap(), expected);
    }

    #[tokio::test]
    async fn a_salt_that_asks_for_other_parameters_is_refused() {
        for salt in ["$argon2id$v=19$m=4194304,t=2,p=1$00", "$argon2id$v=19$m=19456,t=9999999,p=1$00", "$", "$scrypt$x"]
        {
            assert!(digest(salt, "a").await.unwrap_err().contains("not known"), "{salt}");
        }
    }
}
