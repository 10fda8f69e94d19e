//! Undoing a release behind a load balancer: the same way back, wave by wave.
//!
//! Where the release before it was behind the load balancer, too, what was retired of that is launched again from its image before
//! anything of this release goes. Where it was not, its instance still runs, and the record leads back to it.

use super::{
    EngineError,
    observe::instance_selector,
    walk::{Run, Undone},
    waves::Rollout,
};
use crate::{
    journal::{Owned, Phase, Release},
    machine::destroy_all,
    provider::{ErrorKind, Instance, LoadBalancer},
    resources::destroy_balancer,
};

impl Run<'_> {
    /// Brings back what was before, destroys what the release created, and closes the release. May be entered again.
    pub(super) async fn undo_rollout(&mut self) -> Result<Undone, EngineError> {
        let switched = self.release.entered(Phase::Switching);
        self.enter(Phase::Failed).await?;
        self.settle_launches().await?;
        let balancer = self.find_own_balancer().await?;
        let former = match self.release.record.replaces {
            Some(id) => Some(self.engine.journal().release(id).await?),
            None => None,
        };
        match (former.filter(|former| former.record.balanced), &balancer) {
            (Some(former), Some(balancer)) => {
                if let Err(error) = self.roll_back_to(&former, balancer).await {
                    let own = self.own_instances().await?;
                    let serves = self.any_serves(balancer, &own).await?;
                    if !serves && !self.image_is_gone(&former).await? {
                        return Err(error);
                    }
                    self.ctx.events.warn(format!("{} cannot be brought back: {}", former.id(), error.chain()));
                    if serves {
                        return self.leave_as_it_is().await;
                    }
                    // No run can launch it again: what is left of it serves, until the next deploy.
                    self.ctx.events.warn(format!(
                        "the image of {} is gone; run `remint deploy` to launch what is missing",
                        former.id()
                    ));
                    self.withdraw(balancer, &own).await?;
                }
            }
            _ => self.leave_balancer(balancer.as_ref(), switched).await?,
        }
        self.remove_login_keys().await?;
        self.enter(Phase::Undone).await?;
        self.ctx.events.info(format!("{} is undone; nothing of it is left", self.release.id()));
        Ok(Undone::Removed)
    }

    /// Makes the instances behind the load balancer those of the release before.
    async fn roll_back_to(&mut self, former: &Release, balancer: &LoadBalancer) -> Result<(), EngineError> {
        let adopted = self.release.adopted();
        let own = self.own_instances().await?;
        let kept = own.iter().filter(|instance| adopted.iter().any(|(id, _)| *id == instance.id));
        self.label_as(former.id(), kept).await?;
        let rollout = Rollout::of(&self.ctx.loaded.manifest, former.record.count);
        Box::pin(self.converge(balancer, &rollout, &former.record, true)).await?;
        // What never became a member, or is not any more.
        let left = self.own_instances().await?;
        self.withdraw(balancer, &left).await
    }

    /// Takes instances of this release out of the load balancer, and destroys them.
    async fn withdraw(&mut self, balancer: &LoadBalancer, own: &[Instance]) -> Result<(), EngineError> {
        self.drain_own(Some(balancer), own).await?;
        self.remove_leftovers_at(own).await?;
        self.destroy_unused(own).await
    }

    async fn image_is_gone(&self, release: &Release) -> Result<bool, EngineError> {
        match self.ctx.provider.images().get(&release.record.image).await {
            Ok(_) => Ok(false),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(true),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether some of these get connections from the load balancer.
    async fn any_serves(&self, balancer: &LoadBalancer, instances: &[Instance]) -> Result<bool, EngineError> {
        let members = crate::traffic::members(&self.ctx, balancer).await?;
        Ok(instances.iter().any(|instance| crate::traffic::serves(members.get(&instance.id))))
    }

    /// Ends the release with whatever serves now: the next deploy replaces what is not as it is to be.
    async fn leave_as_it_is(&mut self) -> Result<Undone, EngineError> {
        self.remove_login_keys().await?;
        self.enter(Phase::Done).await?;
        Ok(Undone::Kept)
    }

    /// Sends clients back to where they were before there was a load balancer, and destroys it if this release created it.
    async fn leave_balancer(&mut self, balancer: Option<&LoadBalancer>, switched: bool) -> Result<(), EngineError> {
        let release = self.release.id();
        let former = self.former_instance().await?;
        if switched {
            self.move_back(former.as_ref()).await?;
            self.forgotten_by_resolvers().await?;
        } else {
            self.resources.restore(release, Owned::is_way_in);
            self.save_resources().await?;
            if let Some(former) = &former {
                // Somebody may have moved the address by hand.
                self.address_back_at(former).await?;
            }
        }
        let own = self.own_instances().await?;
        self.drain_own(balancer, &own).await?;
        match &former {
            Some(_) => self.destroy_unused(&own).await?,
            // Nothing else serves: an address may still point at what goes.
            None => destroy_all(&self.ctx, &instance_selector(&self.ctx), &own).await?,
        }
        let made = |owned: &Owned| owned.as_load_balancer().is_some() && owned.made_by == Some(release);
        let made = self.resources.owned.iter().find(|owned| made(owned)).cloned();
        if let Some((owned, resource)) = made.as_ref().and_then(|made| Some((made.as_load_balancer()?, &made.resource)))
        {
            destroy_balancer(&self.ctx, owned).await?;
            self.resources.forget(resource);
            self.save_resources().await?;
        }
        Ok(())
    }
}
