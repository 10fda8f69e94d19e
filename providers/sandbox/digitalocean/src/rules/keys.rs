//! Login keys: told apart by their fingerprint, which DigitalOcean makes with MD5.

use base64::{Engine as _, engine::general_purpose::STANDARD};

use crate::State;
use remint_sandbox_cloud::{ApiError, ApiResult, state::LoginKey};

/// Registers a public key.
pub(crate) fn add_key(state: &mut State, name: &str, public_key: &str) -> ApiResult<LoginKey> {
    if name.trim().is_empty() {
        return Err(ApiError::unprocessable("Name can't be blank"));
    }
    let fingerprint = fingerprint(public_key)
        .ok_or_else(|| ApiError::unprocessable("Key invalid, key should be of the format `type key [comment]`"))?;
    if state.login_keys.values().any(|key| key.fingerprint == fingerprint) {
        return Err(ApiError::unprocessable("SSH Key is already in use on your account"));
    }
    let id = state.next_id();
    let key = LoginKey { id, name: name.to_owned(), public_key: public_key.trim().to_owned(), fingerprint };
    state.login_keys.insert(id, key.clone());
    Ok(key)
}

/// The key of that id or fingerprint.
pub(crate) fn find_key<'a>(state: &'a State, identifier: &str) -> Option<&'a LoginKey> {
    match identifier.parse::<u64>() {
        Ok(id) => state.login_keys.get(&id),
        Err(_) => state.login_keys.values().find(|key| key.fingerprint == identifier),
    }
}

/// The MD5 of the key's binary form in colon-separated hexadecimal digits; `None` where the text is not a public key.
fn fingerprint(line: &str) -> Option<String> {
    let mut words = line.split_whitespace();
    let (kind, encoded) = (words.next()?, words.next()?);
    let blob = STANDARD.decode(encoded).ok()?;
    // The binary form begins with the length of the type's name and the name.
    let length = u32::from_be_bytes(*blob.first_chunk::<4>()?) as usize;
    if blob.get(4..4 + length)? != kind.as_bytes() || blob.len() <= 4 + length {
        return None;
    }
    Some(md5::compute(&blob).iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(":"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl someone@host";

    #[test]
    fn a_key_is_known_by_what_it_is_not_by_its_comment() {
        let mut state = State::empty();
        let key = add_key(&mut state, "mine", KEY).unwrap();
        assert_eq!(key.fingerprint.len(), 47);
        let again = add_key(&mut state, "other", KEY.trim_end_matches(" someone@host")).unwrap_err();
        assert_eq!(again.message, "SSH Key is already in use on your account");
        assert_eq!(find_key(&state, &key.fingerprint).unwrap().id, key.id);
        assert_eq!(find_key(&state, &key.id.to_string()).unwrap().id, key.id);
    }

    #[test]
    fn what_is_not_a_key_is_refused() {
        for bad in ["", "ssh-ed25519", "ssh-ed25519 !!!", "ssh-rsa AAAAC3NzaC1lZDI1NTE5AAAAIOMq", "ssh-ed25519 AAAA"] {
            assert_eq!(add_key(&mut State::empty(), "bad", bad).unwrap_err().status, 422, "{bad}");
        }
    }
}
