//! What the engine needs besides the cloud: baking, user data, a look inside an instance, health.
//!
//! A trait, so that the engine can be tested against a cloud in memory, where nothing answers SSH.

use std::{net::IpAddr, time::Duration};

use async_trait::async_trait;
use secrecy::SecretString;

use super::EngineError;
use crate::{
    bake::Authority,
    context::Context,
    health::ProbeRun,
    machine::Keys,
    provider::{Address, ImageId, Instance, ReleaseId},
    recipe::Recipe,
};

/// What an instance is launched with, and the keys that open it.
pub(crate) struct Prepared {
    pub(crate) user_data: SecretString,
    pub(crate) keys: Keys,
}

/// Makes the image of the manifest's recipe, where there is none.
#[async_trait]
pub trait Baker: Send + Sync {
    /// Bakes, and returns the image once it can be launched in the manifest's region.
    ///
    /// # Errors
    ///
    /// [`EngineError::bake`]; nothing half-made is left.
    async fn bake(&self, ctx: &Context, authority: &Authority<'_>) -> Result<ImageId, EngineError>;
}

/// The engine's other colleagues.
#[async_trait]
pub(crate) trait Outside: Send + Sync {
    /// The fingerprint of the recipe on a base image.
    async fn recipe(&self, ctx: &Context, base: &ImageId) -> Result<Recipe, EngineError>;

    /// A salted digest of the configuration that a release would have now, secrets included.
    async fn config_digest(&self, ctx: &Context, salt: &str, static_ip: Option<IpAddr>) -> Result<String, EngineError>;

    /// The commit of the manifest's folder, where git knows one.
    async fn commit(&self, ctx: &Context) -> Option<String>;

    /// Makes keys, and composes the user data, within the provider's limit.
    async fn prepare(
        &self,
        ctx: &Context,
        release: ReleaseId,
        name: &str,
        static_ip: Option<IpAddr>,
    ) -> Result<Prepared, EngineError>;

    /// Logs in to a new instance as soon as it lets us in, within a time.
    async fn open(
        &self,
        ctx: &Context,
        instance: &Instance,
        prepared: &Prepared,
        within: Duration,
    ) -> Result<Box<dyn Opened>, EngineError>;

    /// Whether the service at an address is healthy now: asked once. `None` where the check cannot be asked from outside.
    async fn ask(&self, ctx: &Context, address: &Address) -> Option<Result<(), String>>;

    /// Whether the service at an address is healthy for so long, and before that, becomes so in time.
    async fn observe(&self, ctx: &Context, address: &Address, during: Duration) -> Result<(), EngineError>;

    /// Starts to ask the service at an address again and again.
    async fn probe(&self, ctx: &Context, address: &Address) -> Option<ProbeRun>;
}

/// An instance that is open for its gate.
#[async_trait]
pub(crate) trait Opened: Send {
    /// cloud-init is done, and the service is healthy, a number of times in a row.
    async fn examine(&mut self, ctx: &Context) -> Result<(), EngineError>;

    /// Runs the command before the switch.
    async fn before_switch(&mut self, ctx: &Context, command: &str) -> Result<(), EngineError>;

    /// The last lines of the service's log, for an error.
    async fn log(&mut self) -> Vec<String>;

    /// Leaves exactly the logins of the manifest's `[access]`, gives the machine its next host key, and closes the connection. A
    /// machine that lets in anybody else fails.
    async fn close(self: Box<Self>, ctx: &Context) -> Result<(), EngineError>;
}
