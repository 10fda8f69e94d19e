//! User data that is too long for a provider, compressed.
//!
//! cloud-init unpacks gzip that it finds at the start of user data. User data stays text all the way to the provider: what is
//! compressed is in base64, as EC2 and others send user data anyway. Nothing else starts like it: the first line of user data tells
//! its kind.

use std::io::Write;

use base64::{Engine, engine::general_purpose::STANDARD};
use flate2::{Compression, GzBuilder};
use zeroize::Zeroizing;

/// Compresses a text; the same bytes from the same text.
pub(super) fn pack(text: &str) -> Zeroizing<String> {
    let mut gzip = GzBuilder::new().write(Vec::new(), Compression::best());
    // A vector takes everything.
    let packed = gzip.write_all(text.as_bytes()).and_then(|()| gzip.finish());
    Zeroizing::new(STANDARD.encode(Zeroizing::new(packed.unwrap_or_default()).as_slice()))
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;
    use crate::provider::{is_packed, user_data_size as size};

    #[test]
    fn what_is_packed_is_known_as_such_and_unpacks() {
        for length in [0, 1, 2, 3, 100, 70_000] {
            let text = format!("#cloud-config\n# ü {}\n", "x".repeat(length));
            let packed = pack(&text);
            assert!(is_packed(&packed) && !is_packed(&text));
            let bytes = STANDARD.decode(packed.as_bytes()).unwrap();
            assert_eq!((size(&packed), size(&text)), (bytes.len(), text.len()));
            let mut unpacked = String::new();
            flate2::read::GzDecoder::new(bytes.as_slice()).read_to_string(&mut unpacked).unwrap();
            assert_eq!(unpacked, text);
            assert_eq!(pack(&text), packed, "a launch that is repeated has the same user data");
        }
    }
}
