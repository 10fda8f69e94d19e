//! The service's configuration with everything filled in.

use std::collections::BTreeMap;

use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

use super::{ConfigSection, RenderContext, RenderError, limits::MAX_TEXT, owner::is_root};

/// `[config]` of one release, secrets included.
#[derive(Debug, Clone)]
pub struct RenderedConfig {
    /// The file on the instance that is written.
    pub path: String,
    /// `user` or `user:group`.
    pub owner: String,
    /// Permissions in octal.
    pub mode: String,
    /// The units that are restarted once it is written.
    pub restart: Vec<String>,
    /// The variables that the file sets, by name, with every `${…}` filled in.
    pub env: BTreeMap<String, SecretString>,
}

/// Whether a text can be the name of an environment variable.
pub(crate) fn is_variable_name(name: &str) -> bool {
    let mut characters = name.chars();
    characters.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && characters.all(|c| c.is_ascii_alphanumeric() || c == '_')
}

impl ConfigSection {
    /// Whether it takes commands on the machine, beside the file: to give it to its owner, to restart units.
    pub(crate) fn has_commands(&self) -> bool {
        !self.restart.is_empty() || !is_root(&self.owner)
    }

    /// Fills in every variable.
    pub async fn render(&self, context: &RenderContext<'_>) -> Result<RenderedConfig, RenderError> {
        let (mut env, mut size) = (BTreeMap::new(), 0);
        for (name, template) in &self.env {
            let value = template.render(context).await?;
            size += value.expose_secret().len();
            if size > MAX_TEXT {
                return Err(RenderError::Large);
            }
            env.insert(name.clone(), value);
        }
        Ok(RenderedConfig {
            path: self.path.clone(),
            owner: self.owner.clone(),
            mode: self.mode.clone(),
            restart: self.restart.clone(),
            env,
        })
    }
}

impl RenderedConfig {
    /// A digest of all of it, secrets included, which tells whether a configuration changed. Not for keeping: it is fast, so that
    /// short secrets could be guessed from it. The salt makes digests of the same configuration differ.
    pub fn digest(&self, salt: &[u8]) -> String {
        let mut hasher = Sha256::new();
        let mut field = |bytes: &[u8]| {
            hasher.update((bytes.len() as u64).to_be_bytes());
            hasher.update(bytes);
        };
        field(b"remint config 1");
        field(salt);
        for text in [&self.path, &self.owner, &self.mode] {
            field(text.as_bytes());
        }
        field(&(self.restart.len() as u64).to_be_bytes());
        for unit in &self.restart {
            field(unit.as_bytes());
        }
        for (name, value) in &self.env {
            field(name.as_bytes());
            field(value.expose_secret().as_bytes());
        }
        hex::encode(hasher.finalize())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_tell_configurations_apart_and_hold_nothing() {
        let config = |value: &str| RenderedConfig {
            path: "/etc/app/app.env".into(),
            owner: "root:root".into(),
            mode: "0600".into(),
            restart: vec!["app.service".into()],
            env: BTreeMap::from([("PASSWORD".to_owned(), SecretString::from(value))]),
        };
        assert_eq!(config("a").digest(b"salt"), config("a").digest(b"salt"));
        assert_ne!(config("a").digest(b"salt"), config("b").digest(b"salt"));
        assert_ne!(config("a").digest(b"salt"), config("a").digest(b"other"));
        assert!(!format!("{:?}", config("hunter2")).contains("hunter2"));
    }
}
