//! What an artifact's URL says of the file.

use std::path::Path;

use percent_encoding::percent_decode_str;
use url::Url;

use super::ArtifactProvisioner;

impl ArtifactProvisioner {
    /// The name that it gets in a folder: the last part of its URL's path, or of its `file:` path. `None` where there is none.
    pub fn file_name(&self) -> Option<String> {
        file_name(&self.url)
    }
}

fn file_name(url: &str) -> Option<String> {
    let last = match url.strip_prefix("file:") {
        Some(local) => Path::new(local).file_name()?.to_str()?.to_owned(),
        None => {
            let url = Url::parse(url).ok()?;
            let encoded = url.path_segments()?.next_back()?.to_owned();
            // Another URL's way to write the same name, such as `%2B` for a plus.
            percent_decode_str(&encoded).decode_utf8().ok()?.into_owned()
        }
    };
    let fits = !last.is_empty() && last != "." && last != ".." && !last.contains(['/', '\0']);
    fits.then_some(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_artifact_is_named_by_its_url() {
        for (url, name) in [
            ("https://example.org/v1/tool-1.2.tar.gz?token=x#y", Some("tool-1.2.tar.gz")),
            ("https://example.org/a%2Bb%20c", Some("a+b c")),
            ("file:dir/tool", Some("tool")),
            ("file:/abs/tool", Some("tool")),
            ("https://example.org/dir/", None),
            ("https://example.org", None),
            ("https://example.org/a%2Fb", None),
            ("https://example.org/%2e%2E", None),
            ("https://example.org/%FF", None),
            ("file:..", None),
            ("nonsense", None),
        ] {
            assert_eq!(file_name(url).as_deref(), name, "{url}");
        }
    }
}
