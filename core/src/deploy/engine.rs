//! A release on its way through the phases.

use std::{sync::Arc, time::Instant};

use super::{DeployError, DeployErrorKind, gate::SshOutside, outside::Outside};
use crate::{
    bake,
    context::Context,
    events::Event,
    health::ProbeRun,
    journal::{Entry, Holder, Journal, LockGuard, Phase, Release, Resources},
    provider::InstanceId,
};

/// What all commands work with.
pub(super) struct Engine<'a> {
    pub(super) ctx: &'a Context,
    journal: Journal,
    outside: Arc<dyn Outside>,
    holder: Holder,
}

impl<'a> Engine<'a> {
    /// The engine on the manifest's own journal and on real machines.
    pub(super) fn new(ctx: &'a Context) -> Result<Self, DeployError> {
        let journal = Journal::open(&ctx.loaded)?;
        Ok(Self::with(ctx, journal, Arc::new(SshOutside::new(ctx)), Holder::current(ctx.run, "deploy")))
    }

    pub(super) fn with(ctx: &'a Context, journal: Journal, outside: Arc<dyn Outside>, holder: Holder) -> Self {
        Self { ctx, journal, outside, holder }
    }

    pub(super) fn journal(&self) -> &Journal {
        &self.journal
    }

    pub(super) fn outside(&self) -> &dyn Outside {
        &*self.outside
    }

    /// Takes the lock for a command.
    pub(super) async fn lock(&self, command: &str) -> Result<LockGuard, DeployError> {
        let holder = Holder { command: command.to_owned(), ..self.holder.clone() };
        let ctx = self.ctx;
        let lock = self.journal.lock_within(holder, ctx.lock_wait, &ctx.events, &ctx.cancel).await?;
        ctx.provider.calls().fence(lock.fence());
        ctx.dns_provider().calls().fence(lock.fence());
        // Whatever the command is: first, what a run that was killed in its bake left behind goes.
        if let Err(error) = bake::recover(self.ctx, &self.journal, &lock).await {
            // It is for the next run to do it.
            if let Err(error) = lock.release_unsettled().await {
                ctx.events.warn(format!("the lock could not be given back, and expires by itself: {error}"));
            }
            return Err(DeployError::bake(error));
        }
        Ok(lock)
    }

    /// Gives the lock back; one that cannot be given back expires.
    pub(super) async fn give_back(&self, lock: LockGuard) {
        if let Err(error) = lock.release().await {
            self.ctx.events.warn(format!("the lock could not be given back, and expires by itself: {error}"));
        }
    }

    /// Who makes a release, for its record.
    pub(super) fn author(&self) -> String {
        format!("{}@{}", self.holder.user, self.holder.host)
    }
}

/// One release, with the lock under which its journal is written.
pub(super) struct Run<'a> {
    pub(super) engine: &'a Engine<'a>,
    pub(super) ctx: &'a Context,
    pub(super) lock: &'a LockGuard,
    pub(super) release: Release,
    pub(super) resources: Resources,
    /// Asks the service through the stable address while it moves.
    pub(super) probe: Option<ProbeRun>,
    /// Whether this run made the release, so that nothing of it can exist yet.
    pub(super) fresh: bool,
    /// The phase that was told last, and since when.
    told: Option<(Phase, Instant)>,
}

impl<'a> Run<'a> {
    pub(super) async fn new(
        engine: &'a Engine<'a>,
        lock: &'a LockGuard,
        release: Release,
        fresh: bool,
    ) -> Result<Self, DeployError> {
        let resources = engine.journal.resources().await?;
        Ok(Self { engine, ctx: engine.ctx, lock, release, resources, probe: None, fresh, told: None })
    }

    pub(super) fn outside(&self) -> &'a dyn Outside {
        self.engine.outside()
    }

    /// Writes an entry; durable when this returns.
    pub(super) async fn note(&mut self, entry: Entry) -> Result<(), DeployError> {
        Ok(self.engine.journal.append(self.lock, &mut self.release, entry).await?)
    }

    /// Enters a phase, unless the release is in it.
    pub(super) async fn enter(&mut self, phase: Phase) -> Result<(), DeployError> {
        if self.release.entries.is_empty() || self.release.phase() != phase {
            self.note(Entry::Phase { phase }).await?;
        }
        self.tell(phase);
        Ok(())
    }

    /// Tells that a phase has begun, which stands in the journal by then, and that the one before it is over.
    fn tell(&mut self, phase: Phase) {
        if phase == Phase::Failed || self.told.is_some_and(|(told, _)| told == phase) {
            return;
        }
        if let Some((former, since)) = self.told.take() {
            let elapsed = since.elapsed();
            self.ctx.events.emit(Event::PhaseFinished { phase: former.to_string(), elapsed });
        }
        if !phase.is_final() && phase != Phase::Planned {
            self.ctx.events.emit(Event::PhaseStarted { phase: phase.to_string() });
            self.told = Some((phase, Instant::now()));
        }
    }

    pub(super) async fn save_resources(&mut self) -> Result<(), DeployError> {
        Ok(self.engine.journal.set_resources(self.lock, &self.resources).await?)
    }

    /// Whether an instance has passed this release's gate.
    pub(super) fn is_gated(&self, id: &InstanceId) -> bool {
        self.release.gated().contains(id)
    }

    /// Takes the release to its end: done, or undone with the error that made it so.
    pub(super) async fn finish(mut self) -> Result<Release, DeployError> {
        if self.release.phase() == Phase::Failed {
            self.undo().await?;
            return Ok(self.release);
        }
        let lost = self.lock.lost().clone();
        let walked = tokio::select! {
            biased;
            () = lost.cancelled() => return Err(self.lock_lost().await),
            walked = self.walk() => walked,
        };
        let Err(error) = walked else { return Ok(self.release) };
        if matches!(error.kind(), DeployErrorKind::Locked | DeployErrorKind::Journal) {
            return Err(error.hint("run `remint resume` to go on, or `remint abort` to undo it"));
        }
        if self.release.phase() == Phase::Retiring {
            return Err(error.hint(format!(
                "{} serves; run `remint resume` to remove what is left of the release before it",
                self.release.id()
            )));
        }
        self.ctx.events.warn(format!("{}: {}; undoing it", self.release.id(), error.chain()));
        match self.fail(&error).await {
            Ok(()) => Err(error),
            Err(second) => {
                self.ctx.events.warn(format!("undoing {} failed: {}", self.release.id(), second.chain()));
                Err(error.hint("run `remint abort` to finish undoing it"))
            }
        }
    }

    async fn lock_lost(&self) -> DeployError {
        let checked = self.engine.journal.set_resources(self.lock, &self.resources).await;
        match checked {
            Err(error) => error.into(),
            Ok(()) => DeployError::new(DeployErrorKind::Locked, "the lock could not be renewed in time"),
        }
    }

    async fn fail(&mut self, error: &DeployError) -> Result<(), DeployError> {
        self.note(Entry::Failure { reason: error.chain() }).await?;
        self.undo().await
    }

    async fn walk(&mut self) -> Result<(), DeployError> {
        loop {
            let phase = self.release.phase();
            self.tell(phase);
            let cancel = self.ctx.cancel.clone();
            let next = match phase {
                Phase::Planned | Phase::Launching | Phase::Gating => {
                    tokio::select! {
                        biased;
                        () = cancel.cancelled() => return Err(DeployError::interrupted()),
                        done = self.launch_and_gate() => done?,
                    }
                    Phase::Switching
                }
                Phase::Switching => {
                    self.switch().await?;
                    Phase::Verifying
                }
                Phase::Verifying => {
                    tokio::select! {
                        biased;
                        () = cancel.cancelled() => return Err(DeployError::interrupted()),
                        done = self.verify() => done?,
                    }
                    Phase::Retiring
                }
                Phase::Retiring => {
                    self.retire().await?;
                    Phase::Done
                }
                _ => return Ok(()),
            };
            self.enter(next).await?;
        }
    }
}
