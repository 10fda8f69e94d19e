//! The multi-part MIME document that cloud-init takes apart.
//!
//! The same parts give the same bytes, because a provider may compare user data when a launch is repeated: no dates, and
//! a boundary that is a digest of the parts.

use base64::{Engine, engine::general_purpose::STANDARD};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

/// How cloud-init merges a cloud-config part into those before it: lists grow at their end, tables are merged, and what
/// is already there stays. Without it, a user's `write_files` would replace Remint's.
const MERGE: &str = "list(append)+dict(no_replace,recurse_list)+str()";

#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) name: String,
    pub(crate) content_type: &'static str,
    pub(crate) body: Zeroizing<String>,
}

impl Part {
    /// Whether it is a cloud-config with this key at its top level.
    pub(crate) fn sets(&self, key: &str) -> bool {
        self.content_type == "text/cloud-config" && top_level(&self.body).is_some_and(|map| map.contains_key(key))
    }
}

/// A cloud-config as JSON; `None` where cloud-init would refuse it, too.
pub(crate) fn top_level(text: &str) -> Option<serde_json::Map<String, serde_json::Value>> {
    serde_saphyr::from_str(text).ok()
}

/// The content type that belongs to a first line.
pub(crate) fn content_type(body: &str) -> Option<&'static str> {
    const KINDS: &[(&str, &str)] = &[
        ("#!", "text/x-shellscript"),
        ("#cloud-config-archive", "text/cloud-config-archive"),
        ("#cloud-config-jsonp", "text/cloud-config-jsonp"),
        ("#cloud-config", "text/cloud-config"),
        ("#cloud-boothook", "text/cloud-boothook"),
        ("#include-once", "text/x-include-once-url"),
        ("#include", "text/x-include-url"),
        ("#part-handler", "text/part-handler"),
        ("## template: jinja", "text/jinja2"),
    ];
    KINDS.iter().find(|(start, _)| body.starts_with(start)).map(|(_, kind)| *kind)
}

/// Writes the document.
pub(crate) fn compose(parts: &[Part]) -> Zeroizing<String> {
    let encoded: Vec<Zeroizing<String>> = parts.iter().map(encode).collect();
    let mut hasher = Sha256::new();
    for part in &encoded {
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part.as_bytes());
    }
    let boundary = format!("remint-{}", &hex::encode(hasher.finalize())[..32]);

    let mut out = Zeroizing::new(String::new());
    out.push_str("MIME-Version: 1.0\n");
    out.push_str(&format!("Content-Type: multipart/mixed; boundary=\"{boundary}\"\n\n"));
    for part in &encoded {
        out.push_str(&format!("--{boundary}\n"));
        out.push_str(part);
        out.push('\n');
    }
    out.push_str(&format!("--{boundary}--\n"));
    out
}

/// A part with its headers.
fn encode(part: &Part) -> Zeroizing<String> {
    // cloud-init reads the document with Python's email package, which garbles 8-bit text and may change line ends.
    let plain = part.body.bytes().all(|byte| matches!(byte, b'\n' | b'\t' | b' '..=b'~'));
    let (charset, encoding) = if plain { ("us-ascii", "7bit") } else { ("utf-8", "base64") };
    let mut out = Zeroizing::new(String::new());
    out.push_str(&format!("Content-Type: {}; charset=\"{charset}\"\n", part.content_type));
    out.push_str("MIME-Version: 1.0\n");
    out.push_str(&format!("Content-Transfer-Encoding: {encoding}\n"));
    out.push_str(&format!("Content-Disposition: attachment; filename=\"{}\"\n", file_name(&part.name)));
    // Only where the part does not say itself how it is merged.
    let own_rule = part.body.lines().any(|line| line.starts_with("merge_how") || line.starts_with("merge_type"));
    if part.content_type == "text/cloud-config" && !own_rule {
        out.push_str(&format!("X-Merge-Type: {MERGE}\n"));
    }
    out.push('\n');
    if plain {
        out.push_str(&part.body);
    } else {
        let base64 = Zeroizing::new(STANDARD.encode(part.body.as_bytes()));
        for (index, character) in base64.chars().enumerate() {
            if index > 0 && index % 76 == 0 {
                out.push('\n');
            }
            out.push(character);
        }
    }
    out
}

/// The last component of a path, with nothing in it that would need quoting in a header.
fn file_name(name: &str) -> String {
    let last = name.rsplit('/').next().unwrap_or(name);
    last.chars().map(|c| if c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_') { c } else { '_' }).collect()
}
