//! Names that look like AWS's.

/// A fresh id: `i-0123456789abcdef0`.
pub(super) fn fresh(prefix: &str) -> String {
    format!("{prefix}-0{:016x}", rand::random::<u64>())
}

/// A fresh name of capitals and digits, as Route 53 gives them: `Z0123…`.
pub(super) fn capitals(first: char) -> String {
    const LETTERS: &[u8; 36] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    let rest = rand::random::<[u8; 20]>().map(|byte| char::from(LETTERS[usize::from(byte) % LETTERS.len()]));
    std::iter::once(first).chain(rest).collect()
}

/// The id of something that every account has, always the same: a default VPC, a public image.
pub(super) fn fixed(prefix: &str, of: &str) -> String {
    use sha2::{Digest as _, Sha256};
    let digest = hex::encode(Sha256::digest(format!("{prefix} {of}")));
    format!("{prefix}-0{}", &digest[..16])
}

/// Whether a text has the shape of an id with this prefix.
pub(super) fn is_id(prefix: &str, text: &str) -> bool {
    let digits = text.strip_prefix(prefix).and_then(|rest| rest.strip_prefix('-'));
    digits.is_some_and(|digits| {
        matches!(digits.len(), 8 | 17) && digits.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_have_the_shape_of_real_ones() {
        for id in [fresh("i"), fixed("i", "x")] {
            assert!(is_id("i", &id) && id.len() == 19, "{id}");
        }
        assert_ne!(fresh("i"), fresh("i"));
        assert_eq!(fixed("ami", "a"), fixed("ami", "a"));
        assert_eq!(capitals('Z').len(), 21);
        assert!(!is_id("i", "i-xyz") && !is_id("i", "ami-0123456789abcdef0") && !is_id("i", "i-0123"));
    }
}
