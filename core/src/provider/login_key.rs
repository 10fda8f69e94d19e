//! Login keys registered with the account.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::{LoginKeyId, Result};

/// A registered login key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoginKey {
    /// The cloud's own id, which a launch names.
    pub id: LoginKeyId,
    /// The name that core gave it, `remint-…`; what proves whose it is.
    pub name: String,
}

/// Login keys of the account. *Requires* [`super::Capability::LoginKey`] throughout.
///
/// Some clouds send a root password by mail, and allow logging in with it, unless a launch names a registered key. There,
/// core registers the public key of the builder or release for the time of the launch.
#[async_trait]
pub trait LoginKeys: Send + Sync {
    /// Makes sure that the public key (one OpenSSH line) is registered.
    ///
    /// - *Idempotency*: by the key itself: one that is registered is returned, whatever its name.
    /// - *Errors*: `InvalidInput` for a key that the cloud does not take.
    async fn ensure(&self, name: &str, public_key: &str) -> Result<LoginKey>;

    /// Registered keys whose name starts with `prefix`.
    ///
    /// - *Behaviour*: a plain comparison of text: `app-1` also lists `app-12`. A caller that means one owner passes a prefix
    ///   that ends with an id and a dash.
    async fn list(&self, prefix: &str) -> Result<Vec<LoginKey>>;

    /// Removes a key from the account. Instances that were launched with it keep it.
    ///
    /// - *Idempotency*: a key that is gone is a success.
    async fn remove(&self, id: &LoginKeyId) -> Result<()>;
}
