//! Artifacts: fetched on this side, checked, then uploaded.
//!
//! The builder never downloads: what goes into the image is what was checked here, and a builder without a way out works
//! too.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use futures::StreamExt;
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use url::Url;

use super::{BakeError, error::causes};
use crate::manifest::ArtifactProvisioner;

/// The artifacts of one bake, kept by digest until it is over.
pub(super) struct Artifacts {
    folder: TempDir,
    base_dir: PathBuf,
    /// The most that is downloaded, in bytes.
    largest: u64,
    /// How long a server may send nothing.
    silence: Duration,
}

const LARGEST: u64 = 16 * 1024 * 1024 * 1024;
const SILENCE: Duration = Duration::from_secs(60);

impl Artifacts {
    pub(super) fn new(base_dir: &Path) -> Result<Self, BakeError> {
        let folder = tempfile::tempdir().map_err(|error| BakeError::Artifact {
            step: "a folder for artifacts".to_owned(),
            url: std::env::temp_dir().display().to_string(),
            reason: error.to_string(),
        })?;
        Ok(Self { folder, base_dir: base_dir.to_owned(), largest: LARGEST, silence: SILENCE })
    }

    /// The path of the checked file on this side.
    pub(super) async fn fetch(&self, step: &str, artifact: &ArtifactProvisioner) -> Result<PathBuf, BakeError> {
        let expected = artifact.sha256.to_ascii_lowercase();
        let path = self.folder.path().join(&expected);
        if path.exists() {
            return Ok(path);
        }
        let partial = path.with_extension("part");
        let fail = |reason: String| BakeError::Artifact {
            step: step.to_owned(),
            url: without_credentials(&artifact.url),
            reason,
        };
        let found = self.download(&artifact.url, &partial).await.map_err(fail)?;
        if found != expected {
            return Err(fail(format!("its sha256 is {found}, the manifest says {expected}")));
        }
        tokio::fs::rename(&partial, &path).await.map_err(|error| fail(error.to_string()))?;
        Ok(path)
    }

    /// Writes the file, and returns the digest of what was written.
    async fn download(&self, url: &str, to: &Path) -> Result<String, String> {
        let mut file = tokio::fs::File::create(to).await.map_err(|error| error.to_string())?;
        let mut digest = Sha256::new();
        if let Some(local) = url.strip_prefix("file:") {
            let path = self.base_dir.join(local);
            let metadata = tokio::fs::metadata(&path).await.map_err(|error| error.to_string())?;
            if !metadata.is_file() {
                return Err("it is not a regular file".to_owned());
            }
            let source = tokio::fs::File::open(path).await.map_err(|error| error.to_string())?;
            let mut chunks = tokio_util::io::ReaderStream::new(source);
            while let Some(chunk) = chunks.next().await {
                let chunk = chunk.map_err(|error| error.to_string())?;
                digest.update(&chunk);
                file.write_all(&chunk).await.map_err(|error| error.to_string())?;
            }
        } else {
            let client = reqwest::Client::builder().connect_timeout(SILENCE).read_timeout(self.silence).build();
            let client = client.map_err(|error| causes(&error))?;
            let response = client.get(url).send().await.and_then(reqwest::Response::error_for_status);
            let mut response = response.map_err(|error| causes(&error.without_url()))?;
            let mut left = self.largest;
            while let Some(chunk) = response.chunk().await.map_err(|error| causes(&error.without_url()))? {
                left = left
                    .checked_sub(chunk.len() as u64)
                    .ok_or_else(|| format!("it is larger than {} GiB", self.largest / 1024 / 1024 / 1024))?;
                digest.update(&chunk);
                file.write_all(&chunk).await.map_err(|error| error.to_string())?;
            }
        }
        file.flush().await.map_err(|error| error.to_string())?;
        Ok(hex::encode(digest.finalize()))
    }
}

/// A URL without the user, password and query that may be secret.
fn without_credentials(url: &str) -> String {
    let Ok(mut parsed) = Url::parse(url) else { return "the URL".to_owned() };
    if parsed.scheme() == "file" {
        return url.to_owned();
    }
    let _ = parsed.set_username("");
    let _ = parsed.set_password(None);
    parsed.set_query(None);
    parsed.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn artifact(url: &str, content: &[u8]) -> ArtifactProvisioner {
        ArtifactProvisioner {
            url: url.to_owned(),
            sha256: hex::encode(Sha256::digest(content)).to_uppercase(),
            destination: "/opt/x".into(),
            mode: None,
            owner: None,
        }
    }

    #[tokio::test]
    async fn a_file_is_taken_only_with_its_digest() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("tool"), "content").unwrap();
        let artifacts = Artifacts::new(folder.path()).unwrap();
        let path = artifacts.fetch("step 1", &artifact("file:tool", b"content")).await.unwrap();
        assert_eq!(std::fs::read_to_string(path).unwrap(), "content");
        let error = artifacts.fetch("step 1", &artifact("file:tool", b"other")).await.unwrap_err();
        assert!(error.to_string().contains("the manifest says"), "{error}");
        // What was fetched once is not fetched again, from wherever.
        artifacts.fetch("step 2", &artifact("https://nowhere.invalid/tool", b"content")).await.unwrap();
    }

    #[test]
    fn messages_hold_no_credentials() {
        let shown = without_credentials("https://user:secret@example.org/tool?token=secret");
        assert_eq!(shown, "https://example.org/tool");
    }
}
