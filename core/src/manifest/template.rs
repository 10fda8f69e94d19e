//! Text whose last references are filled in when a release is made.

use std::net::IpAddr;

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{
    SecretError, Secrets,
    limits::MAX_TEXT,
    references::{Late, Piece, escape, pieces},
};
use crate::provider::{EnvironmentName, ReleaseId};

/// Text that may still hold `${secret.NAME}`, `${release.id}` or `${address.static_ip}`.
///
/// Loading a manifest fills in `${var.…}`, `${env.…}` and `${git.…}`; what is left is known only when a release is made,
/// or is secret and must not be in memory longer than needed.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(transparent)]
pub struct Template(pub String);

/// What is known when a release is made.
#[derive(Debug, Clone, Copy)]
pub struct RenderContext<'a> {
    /// `${release.id}`: the number alone.
    pub release: ReleaseId,
    /// `${release.service}`.
    pub service: &'a str,
    /// `${release.env}`.
    pub environment: &'a EnvironmentName,
    /// `${address.static_ip}`, where there is one.
    pub static_ip: Option<IpAddr>,
    /// `${dns.fqdn}`, where there is one.
    pub fqdn: Option<&'a str>,
    /// Reads the value of `${secret.NAME}` when the text is filled in.
    pub secrets: &'a Secrets,
}

/// Why a text cannot be filled in.
#[derive(Debug, thiserror::Error)]
pub enum RenderError {
    /// The text names a secret that has no value.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// Something that this environment does not have.
    #[error("`{0}` has no value here: {1}")]
    Missing(String, &'static str),
    /// A text, or all of them, is larger than any configuration.
    #[error("it is larger than 1 MiB when it is filled in")]
    Large,
    /// A value that a header cannot have.
    #[error("the value of the header `{0}` holds a line end or a control character")]
    Header(String),
    /// Not a reference that is known when a release is made.
    #[error("`{0}` is not known when a release is made")]
    Unknown(String),
}

impl Template {
    /// A text without references.
    pub fn literal(text: &str) -> Self {
        Self(escape(text))
    }

    /// The text as the manifest has it, references and all.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The names of the secrets it uses.
    pub fn secrets(&self) -> impl Iterator<Item = &str> {
        pieces(&self.0).into_iter().filter_map(|piece| match piece {
            Piece::Reference(reference) => match reference.late() {
                Some(Late::Secret(name)) => Some(name),
                _ => None,
            },
            _ => None,
        })
    }

    /// The references in it that are known only when a release is made.
    pub(crate) fn other_than_secrets(&self) -> impl Iterator<Item = &str> {
        pieces(&self.0).into_iter().filter_map(|piece| match piece {
            Piece::Reference(reference) if !matches!(reference.late(), Some(Late::Secret(_))) => Some(reference.text),
            _ => None,
        })
    }

    /// The text with nothing where a secret would be.
    pub(crate) fn without_secrets(&self) -> Self {
        let secret = |piece: &Piece<'_>| matches!(piece, Piece::Reference(reference) if matches!(reference.late(), Some(Late::Secret(_))));
        let kept = pieces(&self.0).into_iter().filter(|piece| !secret(piece));
        Self(kept.map(|piece| piece.source().to_owned()).collect())
    }

    /// Fills in what is left.
    pub async fn render(&self, context: &RenderContext<'_>) -> Result<SecretString, RenderError> {
        let known = |late: Late<'_>| match late {
            Late::Secret(_) => Err("it is a secret"),
            Late::ReleaseId => Ok(context.release.0.to_string()),
            Late::ReleaseService => Ok(context.service.to_owned()),
            Late::ReleaseEnv => Ok(context.environment.to_string()),
            Late::StaticIp => context.static_ip.map(|ip| ip.to_string()).ok_or("there is no static IP"),
            Late::Fqdn => context.fqdn.map(str::to_owned).ok_or("there is no `[dns]`"),
        };
        self.fill(context.secrets, known).await
    }

    /// Fills in the secrets of a text that is needed before there is a release.
    pub async fn with_secrets(&self, secrets: &Secrets) -> Result<SecretString, RenderError> {
        self.fill(secrets, |_| Err("there is no release yet")).await
    }

    async fn fill(
        &self,
        secrets: &Secrets,
        known: impl Fn(Late<'_>) -> Result<String, &'static str>,
    ) -> Result<SecretString, RenderError> {
        let mut out = Zeroizing::new(String::with_capacity(self.0.len()));
        for piece in pieces(&self.0) {
            match piece {
                Piece::Text(text) => out.push_str(text),
                Piece::Escape => out.push_str("${"),
                Piece::Unclosed(text) => return Err(RenderError::Unknown(text.to_owned())),
                Piece::Reference(reference) => match reference.late() {
                    Some(Late::Secret(name)) => out.push_str(secrets.get(name).await?.expose_secret()),
                    Some(late) => {
                        let value = known(late).map_err(|why| RenderError::Missing(reference.text.to_owned(), why))?;
                        out.push_str(&value);
                    }
                    None => return Err(RenderError::Unknown(reference.text.to_owned())),
                },
            }
            if out.len() > MAX_TEXT {
                return Err(RenderError::Large);
            }
        }
        Ok(SecretString::from(out.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::manifest::SecretSource;

    async fn render(text: &str) -> Result<String, String> {
        let sources = BTreeMap::from([("pw".to_owned(), SecretSource::Env("PW".into()))]);
        let env = BTreeMap::from([("PW".to_owned(), "${secret.pw}".to_owned())]);
        let secrets = Secrets::new(sources, ".".into(), &env);
        let context = RenderContext {
            release: ReleaseId(7),
            service: "app",
            environment: &"staging".into(),
            static_ip: Some([203, 0, 113, 9].into()),
            fqdn: None,
            secrets: &secrets,
        };
        let rendered = Template(text.to_owned()).render(&context).await;
        rendered.map(|text| text.expose_secret().to_owned()).map_err(|error| error.to_string())
    }

    #[tokio::test]
    async fn a_secret_that_stands_many_times_is_refused() {
        let text = "${secret.pw}".repeat(1024 * 1024);
        assert_eq!(render(&text).await.unwrap_err(), "it is larger than 1 MiB when it is filled in");
    }

    #[tokio::test]
    async fn fills_in_once() {
        let text = "${release.service}-${release.env}-${release.id} at ${address.static_ip} $${HOME} ${HOME}";
        assert_eq!(render(text).await.unwrap(), "app-staging-7 at 203.0.113.9 ${HOME} ${HOME}");
        // What a secret holds is never read as a reference.
        assert_eq!(render("<${secret.pw}>").await.unwrap(), "<${secret.pw}>");
        assert_eq!(render(Template::literal("${secret.pw}").as_str()).await.unwrap(), "${secret.pw}");
    }

    #[tokio::test]
    async fn says_what_is_missing() {
        assert_eq!(render("${dns.fqdn}").await.unwrap_err(), "`${dns.fqdn}` has no value here: there is no `[dns]`");
        assert_eq!(render("${secret.x}").await.unwrap_err(), "there is no secret `x` in `[secrets]`");
        assert_eq!(render("${var.x}").await.unwrap_err(), "`${var.x}` is not known when a release is made");
    }
}
