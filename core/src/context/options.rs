//! What the user chooses about a bake, beside the manifest.

use std::{fmt, sync::Arc, time::Duration};

use futures::future::BoxFuture;

/// How a bake is done.
#[derive(Debug, Clone)]
pub struct BakeOptions {
    /// What becomes of the builder when a step fails.
    pub on_error: OnError,
    /// How long a builder is kept, from the failure.
    pub keep_for: Duration,
    /// Whether the builder becomes an image. Without it, the recipe is run and verified, and nothing is left of that.
    pub capture: bool,
}

impl Default for BakeOptions {
    fn default() -> Self {
        Self { on_error: OnError::Cleanup, keep_for: Duration::from_secs(24 * 3600), capture: true }
    }
}

/// What becomes of the builder of a bake that failed.
#[derive(Debug, Clone, Default)]
pub enum OnError {
    /// It is destroyed.
    #[default]
    Cleanup,
    /// It stays for a while, so that somebody can log in and look.
    Keep,
    /// Somebody is asked.
    Ask(Asker),
}

/// Asks whether a builder is kept. It is given the builder's name and why the bake failed.
#[derive(Clone)]
pub struct Asker(Arc<dyn Fn(String, String) -> BoxFuture<'static, bool> + Send + Sync>);

impl Asker {
    /// Asks by this function. An answer that cannot be had is `false`.
    pub fn new(ask: impl Fn(String, String) -> BoxFuture<'static, bool> + Send + Sync + 'static) -> Self {
        Self(Arc::new(ask))
    }

    pub(crate) async fn ask(&self, builder: &str, why: String) -> bool {
        (self.0)(builder.to_owned(), why).await
    }
}

impl fmt::Debug for Asker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Asker").finish_non_exhaustive()
    }
}
