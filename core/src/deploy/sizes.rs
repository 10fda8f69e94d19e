//! How long a release's user data would be, told from the manifest alone.

use secrecy::{ExposeSecret, SecretString};

use crate::{
    manifest::{Loaded, RenderContext, RenderError, Template},
    provider::{self, Descriptor, ReleaseId, is_packed},
    remote::{HostKey, LoginKey},
    userdata::{UserData, UserDataError},
};

/// How long user data is on a provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserDataSize {
    /// Its bytes as the provider counts them.
    pub bytes: usize,
    /// The most bytes that the provider takes.
    pub limit: usize,
    /// It is compressed, to stay within the limit.
    pub compressed: bool,
    /// Secrets are left out of it: they are not read.
    pub without_secrets: bool,
}

/// Why the size cannot be told.
#[derive(Debug, thiserror::Error)]
pub enum SizeError {
    /// It is too long, or cannot be composed.
    #[error("cannot compose the user data")]
    UserData(#[from] UserDataError),
    /// A reference has no value.
    #[error("cannot fill in the configuration")]
    Render(#[from] RenderError),
}

/// Composes the user data of an instance on a provider, as a deploy does, with the longest values of what only a deploy knows and
/// without secrets, and measures it.
///
/// # Errors
///
/// As a deploy's: it is larger than the provider takes, or a value that nobody can have.
pub async fn user_data_size(loaded: &Loaded, descriptor: &Descriptor) -> Result<UserDataSize, SizeError> {
    let (manifest, fqdn) = (&loaded.manifest, loaded.fqdn());
    let context = RenderContext {
        release: ReleaseId(9_999),
        service: &manifest.service,
        environment: &loaded.environment,
        static_ip: Some([255, 255, 255, 255].into()),
        fqdn: fqdn.as_deref(),
        secrets: &loaded.secrets,
    };
    let mut secrets = 0;
    let mut plain = |template: &Template| {
        secrets += template.secrets().count();
        template.without_secrets()
    };
    let limits = &descriptor.limits;
    let mut data = UserData::new(&HostKey::generate().private_pem(), &descriptor.guest);
    data = data.hostname("x".repeat(limits.name_length)).authorize(LoginKey::generate().public().line());
    for key in &manifest.access.ssh_keys {
        data = data.authorize(key);
    }
    if let Some(config) = &manifest.config {
        let mut config = config.clone();
        for template in config.env.values_mut() {
            *template = plain(template);
        }
        data = data.config(&config.render(&context).await?)?;
    }
    for part in &loaded.user_data {
        let body: SecretString = plain(&part.content).render(&context).await?;
        data = data.part(part.name.clone(), &body)?;
    }
    let document = data.build(limits.user_data_bytes)?;
    let text = document.expose_secret();
    Ok(UserDataSize {
        bytes: provider::user_data_size(text),
        limit: limits.user_data_bytes,
        compressed: is_packed(text),
        without_secrets: secrets > 0,
    })
}
