//! What all commands work with, and how one that changes something begins.

use std::future::Future;

use super::{
    EngineError, EngineErrorKind, digest,
    observe::{self, image_selector},
};
use crate::{
    bake::{self, Authority},
    context::Context,
    journal::{Holder, Identity, Journal, LockGuard, Place, Release},
    provider::{Capability, ErrorKind, Images, Labels, label},
    resources::{Ownership, Standing, foreign},
};

/// What all commands work with.
pub(super) struct Engine<'a> {
    pub(super) ctx: &'a Context,
    journal: Journal,
    holder: Holder,
    /// Makes the salt of a new release's digest, which decides what the digest costs.
    pub(super) new_salt: fn() -> String,
}

/// What a command that changes something holds: the lock, the ids that prove what is ours, and what it found on the way in.
pub(super) struct Session {
    pub(super) lock: LockGuard,
    pub(super) identity: Identity,
    /// All releases, as they stood when the lock was taken, or since this run has settled the last one.
    pub(super) history: Vec<Release>,
    /// The instances that stood then; whoever looks first need not ask again.
    pub(super) standing: Standing,
}

impl Session {
    /// A failure after the lock was lost is the lost lock's, whatever was being done then.
    pub(super) fn blame(&self, error: EngineError) -> EngineError {
        if error.kind() == EngineErrorKind::Locked || !self.lock.lost().is_cancelled() {
            return error;
        }
        EngineError::new(EngineErrorKind::Locked, "this run lost the lock while it was at work")
            .because(error)
            .hint("run `remint status` to see who goes on; nothing is changed without the lock")
    }

    /// The release that an earlier run left unfinished.
    pub(super) fn unfinished(&self) -> Option<Release> {
        self.history.last().filter(|last| !last.phase().is_final()).cloned()
    }

    /// Reads the releases again, once this run has settled the last one: what that launched and wrote is ours, too.
    pub(super) async fn look_again(&mut self, journal: &Journal) -> Result<(), EngineError> {
        self.history = journal.history().await?;
        Ok(())
    }

    /// What a bake needs to know of it.
    pub(super) fn authority<'s>(&'s self, journal: &'s Journal) -> Authority<'s> {
        Authority { journal, lock: &self.lock, identity: &self.identity }
    }
}

impl<'a> Engine<'a> {
    /// The engine on the manifest's own journal.
    pub(super) fn new(ctx: &'a Context) -> Result<Self, EngineError> {
        let journal = Journal::open(&ctx.loaded)?;
        Ok(Self { ctx, journal, holder: Holder::current(ctx.run, "deploy"), new_salt: digest::new_salt })
    }

    /// The engine on another journal, as another process. Its digests cost nothing.
    #[cfg(test)]
    pub(super) fn with(ctx: &'a Context, journal: Journal, holder: Holder) -> Self {
        Self { ctx, journal, holder, new_salt: digest::cheap_salt }
    }

    pub(super) fn journal(&self) -> &Journal {
        &self.journal
    }

    /// Reports what reading the journal has ignored.
    pub(super) fn report_notes(&self) {
        for note in self.journal.take_notes() {
            self.ctx.events.warn(note);
        }
    }

    /// What the journal proves to be ours.
    pub(super) async fn ownership(&self, history: &[Release]) -> Result<Ownership, EngineError> {
        Ok(Ownership::new(self.journal.identity().await?.as_ref(), history))
    }

    /// Takes the lock for a command, and makes sure that what runs here is ours to change. Before that is known, nothing is
    /// changed; then, whatever the command is, what a run that was killed in its bake left behind goes.
    pub(super) async fn begin(&self, command: &str) -> Result<Session, EngineError> {
        let ctx = self.ctx;
        let lock = self.lock(command).await?;
        let found = async {
            let (identity, history, standing) = self.until_interrupted(self.enter(&lock)).await?;
            let authority = Authority { journal: &self.journal, lock: &lock, identity: &identity };
            bake::recover(ctx, &authority).await.map_err(EngineError::bake)?;
            Ok((identity, history, standing))
        };
        match found.await {
            Ok((identity, history, standing)) => Ok(Session { lock, identity, history, standing }),
            Err(error) => {
                // What a holder who died has left behind is for the next run to remove.
                if let Err(error) = lock.release_unsettled().await {
                    ctx.events.warn(format!("cannot release the lock, which expires by itself: {error}"));
                }
                Err(error)
            }
        }
    }

    /// Takes the lock for a command, and nothing more: what is there may be anybody's.
    pub(super) async fn lock(&self, command: &str) -> Result<LockGuard, EngineError> {
        let holder = Holder { command: command.to_owned(), ..self.holder.clone() };
        let ctx = self.ctx;
        let lock = self.journal.lock_within(holder, ctx.lock_wait, &ctx.events, &ctx.cancel).await?;
        self.fence(ctx, &lock);
        Ok(lock)
    }

    /// Works under another engine's lock, of the same environment at another provider.
    pub(super) async fn join(&self, session: &Session) -> Result<(), EngineError> {
        self.fence(self.ctx, &session.lock);
        let standing = Standing::sort(
            observe::instances(self.ctx).await?,
            &Ownership::new(Some(&session.identity), &session.history),
        );
        if !standing.foreign.is_empty() {
            return Err(foreign(self.ctx, &session.history, &standing.foreign));
        }
        let authority = session.authority(&self.journal);
        bake::recover(self.ctx, &authority).await.map_err(EngineError::bake)
    }

    async fn enter(&self, lock: &LockGuard) -> Result<(Identity, Vec<Release>, Standing), EngineError> {
        let ctx = self.ctx;
        let service = &ctx.loaded.manifest.service;
        self.journal.check_service(service).await?;
        let history = self.journal.history().await?;
        self.report_notes();
        let ownership = self.ownership(&history).await?;
        let mut standing = Standing::sort(observe::instances(ctx).await?, &ownership);
        if !standing.foreign.is_empty() {
            return Err(foreign(ctx, &history, &standing.foreign));
        }
        let mut identity = self.journal.identify(lock, service).await?;
        if identity.environment.unlabelled {
            self.label_all(lock, &mut identity, &history).await?;
            for instance in &mut standing.ours {
                instance.labels =
                    std::mem::take(&mut instance.labels).with(label::ENV_ID, identity.environment.id.as_str());
            }
        }
        Ok((identity, history, standing))
    }

    /// Labels what a Remint that knew no ids deployed, wherever that is.
    async fn label_all(
        &self,
        lock: &LockGuard,
        identity: &mut Identity,
        history: &[Release],
    ) -> Result<(), EngineError> {
        let ownership = Ownership::new(Some(identity), history);
        let mut everywhere = true;
        for place in identity.environment.places.clone() {
            match self.at(&place, lock).await {
                Ok(ctx) => label_at(&ctx, identity, &ownership).await?,
                Err(error) => {
                    self.ctx.events.warn(format!("cannot label what an older remint deployed: {}", error.chain()));
                    everywhere = false;
                }
            }
        }
        if !everywhere {
            return Ok(());
        }
        identity.environment.unlabelled = false;
        Ok(self.journal.set_environment_record(lock, &identity.environment).await?)
    }

    /// The same run at another place where the environment was, with its mutations under the same lock.
    pub(super) async fn at(&self, place: &Place, lock: &LockGuard) -> Result<Context, EngineError> {
        let ctx = elsewhere(self.ctx, place).await?;
        self.fence(&ctx, lock);
        Ok(ctx)
    }

    /// From here on, no mutation is sent without the lock.
    fn fence(&self, ctx: &Context, lock: &LockGuard) {
        ctx.provider.calls().fence(lock.fence());
        if let Some(dns) = &ctx.dns {
            dns.calls().fence(lock.fence());
        }
    }

    /// Does work that the same command finishes when it is run again, until the user asks to stop.
    pub(super) async fn until_interrupted<T>(
        &self,
        work: impl Future<Output = Result<T, EngineError>>,
    ) -> Result<T, EngineError> {
        tokio::select! {
            biased;
            () = self.ctx.interrupted() => Err(EngineError::interrupted()),
            done = work => done,
        }
    }

    /// Gives the lock back after such work. Where it was cut off, the next run waits for what may still take effect.
    pub(super) async fn give_back_after<T>(&self, lock: LockGuard, done: &Result<T, EngineError>) {
        let cut_off = matches!(done, Err(error) if error.kind() == EngineErrorKind::Interrupted);
        if !cut_off {
            return self.give_back(lock).await;
        }
        if let Err(error) = lock.release_unsettled().await {
            self.ctx.events.warn(format!("cannot release the lock, which expires by itself: {error}"));
        }
    }

    /// Gives the lock back; one that cannot be given back expires.
    pub(super) async fn give_back(&self, lock: LockGuard) {
        if let Err(error) = lock.release().await {
            self.ctx.events.warn(format!("cannot release the lock, which expires by itself: {error}"));
        }
    }

    /// Who makes a release, for its record.
    pub(super) fn holder(&self) -> &Holder {
        &self.holder
    }
}

/// The same run at another place where the environment was.
pub(super) async fn elsewhere(ctx: &Context, place: &Place) -> Result<Context, EngineError> {
    ctx.at(place).await.map_err(|error| {
        let message = format!("{} has resources in {place}, which cannot be reached", ctx.loaded.environment);
        EngineError::new(EngineErrorKind::Provider, message).because(error).hint(format!(
            "set the credentials of {}, and keep its `[providers.{}]` section",
            place.provider, place.provider
        ))
    })
}

async fn label_at(ctx: &Context, identity: &Identity, ownership: &Ownership) -> Result<(), EngineError> {
    let capable = |capability| ctx.provider.descriptor().has(capability);
    let id = Labels::new().with(label::ENV_ID, identity.environment.id.as_str());
    if capable(Capability::InstanceRelabel) {
        let standing = Standing::sort(observe::instances(ctx).await?, ownership);
        for instance in standing.ours.iter().filter(|instance| instance.labels.get(label::ENV_ID).is_none()) {
            ctx.events.info(format!("labelling {}, which an older remint deployed", instance.name));
            ctx.provider.instances().label(&instance.id, &id).await?;
        }
    }
    let service = Labels::new().with(label::SERVICE_ID, identity.service.id.as_str());
    for image in ctx.provider.images().list(&image_selector(ctx)).await? {
        if image.labels.get(label::SERVICE_ID).is_none() && ownership.has_image(&image) {
            match Images::label(ctx.provider.images(), &image.id, &service).await {
                Err(error) if error.kind() == ErrorKind::Unsupported => break,
                labelled => labelled?,
            }
        }
    }
    Ok(())
}
