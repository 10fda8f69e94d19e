//! A release on its way through the phases.

use std::time::{Duration, Instant};

use super::{
    EngineError, EngineErrorKind,
    engine::{Engine, Session},
};
use crate::{
    context::Context,
    events::Event,
    health::ProbeRun,
    journal::{Entry, EntryRecord, Phase, Release, Resources},
    provider::InstanceId,
    redact,
    resources::Ownership,
};

/// One release, with the lock under which its journal is written.
pub(super) struct Run<'a> {
    pub(super) engine: &'a Engine<'a>,
    pub(super) session: &'a Session,
    /// The run at the place of the release, which is not always the manifest's.
    pub(super) ctx: Context,
    pub(super) release: Release,
    pub(super) resources: Resources,
    /// Asks the service through the stable address while it moves.
    pub(super) probe: Option<ProbeRun>,
    /// Whether this run made the release, so that nothing of it can exist yet.
    pub(super) fresh: bool,
    /// Whether an earlier run made it, whose instance may be sick by now.
    pub(super) resumed: bool,
    /// Whether an interruption cuts off what is being done; what is being written down then is written to its end.
    interruptible: bool,
    /// Whether a launch was refused, so that what the journal announces was not begun.
    pub(super) refused: bool,
    /// When this run took the release up.
    pub(super) started: tokio::time::Instant,
    /// Until when resolvers may hand out what a record said before this run changed it, by the clock that nobody sets.
    pub(super) forgotten: Option<Duration>,
    /// When this run set a record in place of one of another name, by the same clock.
    pub(super) renamed: Option<Duration>,
    /// Whether this run has watched all that it launched behind the load balancer.
    pub(super) watched: bool,
    /// The phase that was reported last, and since when.
    reported: Option<(Phase, Instant)>,
}

/// What became of a release that was to be undone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Undone {
    /// Nothing of it is left.
    Removed,
    /// It stays, because nothing else serves.
    Kept,
}

impl<'a> Run<'a> {
    pub(super) async fn new(
        engine: &'a Engine<'a>,
        session: &'a Session,
        release: Release,
        fresh: bool,
    ) -> Result<Self, EngineError> {
        let resources = engine.journal().resources().await?;
        let ctx = engine.at(&release.record.place(), &session.lock).await?;
        Ok(Self {
            engine,
            session,
            ctx,
            release,
            resources,
            probe: None,
            fresh,
            resumed: !fresh,
            interruptible: false,
            refused: false,
            started: tokio::time::Instant::now(),
            forgotten: None,
            renamed: None,
            watched: false,
            reported: None,
        })
    }

    /// What is proven to be ours, this release's instances included.
    pub(super) fn ownership(&self) -> Ownership {
        let before = self.session.history.iter().filter(|release| release.id() != self.release.id());
        let history: Vec<Release> = before.cloned().chain([self.release.clone()]).collect();
        Ownership::new(Some(&self.session.identity), &history)
    }

    /// Writes an entry; durable when this returns.
    pub(super) async fn note(&mut self, entry: Entry) -> Result<(), EngineError> {
        let ctx = self.ctx.clone();
        let written = self.engine.journal().append(&self.session.lock, &mut self.release, entry);
        let written = if self.interruptible { ctx.commit(written).await } else { written.await };
        Ok(written?)
    }

    /// Enters a phase, unless the release is in it.
    pub(super) async fn enter(&mut self, phase: Phase) -> Result<(), EngineError> {
        if self.release.entries.is_empty() || self.release.phase() != phase {
            self.note(Entry::Phase { phase }).await?;
        }
        self.report(phase);
        Ok(())
    }

    /// Reports that a phase has begun, which is in the journal by then, and that the one before it is over.
    fn report(&mut self, phase: Phase) {
        if phase == Phase::Failed || self.reported.is_some_and(|(reported, _)| reported == phase) {
            return;
        }
        if let Some((former, since)) = self.reported.take() {
            let elapsed = since.elapsed();
            self.ctx.events.emit(Event::PhaseFinished { phase: former.to_string(), elapsed });
        }
        if !phase.is_final() && phase != Phase::Planned {
            self.ctx.events.emit(Event::PhaseStarted { phase: phase.to_string() });
            self.reported = Some((phase, Instant::now()));
        }
    }

    pub(super) async fn save_resources(&mut self) -> Result<(), EngineError> {
        Ok(self.engine.journal().set_resources(&self.session.lock, &self.resources).await?)
    }

    /// Whether an instance has passed this release's gate.
    pub(super) fn is_gated(&self, id: &InstanceId) -> bool {
        self.release.gated().contains(id)
    }

    /// Takes the release to its end: done, or undone with the error that made it so.
    pub(super) async fn finish(mut self) -> Result<Release, EngineError> {
        if self.release.phase() == Phase::Failed {
            self.undo().await?;
            return Ok(self.release);
        }
        let lost = self.session.lock.lost().clone();
        let walked = tokio::select! {
            biased;
            () = lost.cancelled() => return Err(self.lock_lost().await),
            walked = self.walk() => walked,
        };
        let Err(error) = walked else { return Ok(self.release) };
        if matches!(error.kind(), EngineErrorKind::Locked | EngineErrorKind::Journal) {
            return Err(error.hint("run `remint resume` to go on, or `remint abort` to undo it"));
        }
        if error.kind() == EngineErrorKind::Interrupted && self.has_retired_some() {
            // To go back would take as long as to go on, and is not what an interruption asks for.
            return Err(
                error.hint("old and new instances serve; run `remint resume` to go on, or `remint abort` to undo it")
            );
        }
        if self.release.phase() == Phase::Retiring && error.kind() == EngineErrorKind::Gate {
            // Its instance is gone, or sick. What it replaced may be all that is healthy, so that stays until the next release.
            self.enter(Phase::Done).await?;
            return Err(error.hint("run `remint deploy`, which replaces it"));
        }
        if self.release.phase() == Phase::Retiring {
            return Err(error.hint(format!(
                "{} serves; run `remint resume` to remove what is left of the release before it",
                self.release.id()
            )));
        }
        self.ctx.events.warn(format!("{}: {}; undoing it", self.release.id(), error.chain()));
        match Box::pin(self.fail(&error)).await {
            Ok(Undone::Removed) => Err(error),
            Ok(Undone::Kept) => Err(error.hint(format!(
                "{} stays and serves, because no other instance is healthy; deploy again to replace it",
                self.release.id()
            ))),
            Err(second) => {
                self.ctx.events.warn(format!("undoing {} failed: {}", self.release.id(), second.chain()));
                Err(error.hint("run `remint abort` to finish undoing it"))
            }
        }
    }

    /// Whether a rollout has retired instances of the release before.
    fn has_retired_some(&self) -> bool {
        let retires = |record: &EntryRecord| matches!(record.entry, Entry::Retiring { .. });
        self.release.phase() == Phase::Rolling && self.release.entries.iter().any(retires)
    }

    async fn lock_lost(&self) -> EngineError {
        let checked = self.engine.journal().set_resources(&self.session.lock, &self.resources).await;
        match checked {
            Err(error) => error.into(),
            Ok(()) => EngineError::new(EngineErrorKind::Locked, "the lock could not be renewed in time"),
        }
    }

    async fn fail(&mut self, error: &EngineError) -> Result<Undone, EngineError> {
        self.note(Entry::Failure { reason: redact::show(&error.chain()) }).await?;
        self.undo().await
    }

    /// Makes sure that instances of this release have passed their gate; behind a load balancer, that all of them serve.
    async fn bring_up(&mut self) -> Result<(), EngineError> {
        // On the heap: the way through the waves is long, and an undo goes it once more.
        if self.release.record.balanced {
            Box::pin(self.roll_out()).await
        } else {
            Box::pin(self.launch_and_gate()).await
        }
    }

    async fn walk(&mut self) -> Result<(), EngineError> {
        loop {
            let phase = self.release.phase();
            self.report(phase);
            let ctx = self.ctx.clone();
            let next = match phase {
                Phase::Planned | Phase::Launching | Phase::Gating | Phase::Rolling => {
                    self.interruptible = true;
                    let done = tokio::select! {
                        biased;
                        () = ctx.interrupted() => Err(EngineError::interrupted()),
                        done = self.bring_up() => done,
                    };
                    self.interruptible = false;
                    done?;
                    Phase::Switching
                }
                Phase::Switching => {
                    self.switch().await?;
                    Phase::Verifying
                }
                Phase::Verifying => {
                    self.interruptible = true;
                    let done = tokio::select! {
                        biased;
                        () = ctx.interrupted() => Err(EngineError::interrupted()),
                        done = self.verify() => done,
                    };
                    self.interruptible = false;
                    done?;
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
