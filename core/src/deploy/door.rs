//! The way in for the simulation: each command on a journal, machines and a process of its own.

use super::{
    AdoptOptions, DeployOptions, DeployReport, EngineError,
    adopt::adopt_with,
    bake::one,
    destroy::destroy_with,
    engine::Engine,
    gc::{gc_with, leftovers_with},
    images::prune_with,
    plan::plan_with,
    rollback::rollback_with,
    run::deploy_with,
    status::status_with,
    unfinished::unfinished,
};
use crate::{
    context::Context,
    journal::{Holder, Journal},
    provider::ReleaseId,
};

/// What the commands of one process work with.
pub(crate) struct Door<'a> {
    engine: Engine<'a>,
    holder: Holder,
}

impl<'a> Door<'a> {
    pub(crate) fn new(ctx: &'a Context, journal: Journal, holder: Holder) -> Self {
        Self { engine: Engine::with(ctx, journal, holder.clone()), holder }
    }

    pub(crate) async fn deploy(&self, force: bool) -> Result<DeployReport, EngineError> {
        let options = DeployOptions { force, ..DeployOptions::default() };
        deploy_with(&self.engine, options).await
    }

    pub(crate) async fn rollback(&self, to: Option<ReleaseId>) -> Result<DeployReport, EngineError> {
        rollback_with(&self.engine, to).await
    }

    pub(crate) async fn resume(&self) -> Result<Option<ReleaseId>, EngineError> {
        unfinished(&self.engine, "resume", false).await
    }

    pub(crate) async fn abort(&self) -> Result<Option<ReleaseId>, EngineError> {
        unfinished(&self.engine, "abort", true).await
    }

    /// Returns the names of what was, or would be, removed.
    pub(crate) async fn gc(&self, dry: bool) -> Result<Vec<String>, EngineError> {
        let found = match dry {
            true => leftovers_with(&self.engine).await?.found,
            false => gc_with(&self.engine, None).await?,
        };
        Ok(found.into_iter().map(|leftover| leftover.name).collect())
    }

    pub(crate) async fn prune(&self) -> Result<usize, EngineError> {
        Ok(prune_with(&self.engine, false).await?.len())
    }

    /// Only bakes, under the lock.
    pub(crate) async fn bake(&self) -> Result<(), EngineError> {
        let session = self.engine.begin("bake").await?;
        let baked = one(&self.engine, &session).await;
        self.engine.give_back(session.lock).await;
        baked.map(drop)
    }

    /// Adopts what is there, and what is named.
    pub(crate) async fn adopt(&self, named: AdoptOptions) -> Result<(), EngineError> {
        adopt_with(&self.engine, &named, None).await.map(drop)
    }

    /// Returns how many objects of the journal were mended.
    pub(crate) async fn repair(&self) -> Result<usize, EngineError> {
        let ctx = self.engine.ctx;
        let holder = Holder { command: "journal repair".to_owned(), ..self.holder.clone() };
        Ok(self.engine.journal().repair(holder, None, &ctx.events, &ctx.cancel).await?.len())
    }

    /// Returns whether a deploy would change anything.
    pub(crate) async fn plan(&self) -> Result<bool, EngineError> {
        Ok(plan_with(&self.engine, &DeployOptions::default()).await?.changes())
    }

    pub(crate) async fn status(&self) -> Result<(), EngineError> {
        status_with(&self.engine).await.map(drop)
    }

    pub(crate) async fn destroy(&self, images: bool) -> Result<(), EngineError> {
        destroy_with(&self.engine, images).await
    }
}

/// The chain of an error in one line.
pub(crate) fn chain(error: &EngineError) -> String {
    error.chain()
}
