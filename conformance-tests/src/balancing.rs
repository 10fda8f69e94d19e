//! Steps with load balancers.

use std::time::Duration;

use remint_core::provider::{
    CheckProtocol, ErrorKind, InstanceId, Listener, ListenerProtocol, LoadBalancer, LoadBalancerId,
    LoadBalancerSettings, LoadBalancerSpec, LoadBalancerState, Member, MemberCheck, MemberHealth,
};

use crate::{CaseContext, Failure, context::check};

/// What the balancers of cases check: SSH, which every machine serves once it has booted.
pub(crate) const SSH: u16 = 22;
/// Where clients connect, and no machine of a case answers.
pub(crate) const WEB: u16 = 80;

/// A port that passes bytes to the same port of the members.
pub(crate) fn tcp(port: u16) -> Listener {
    Listener { port, protocol: ListenerProtocol::Tcp, target_port: port, certificate: None }
}

impl CaseContext {
    /// What the names of all load balancers of this run begin with.
    pub fn balancer_prefix(&self) -> String {
        format!("remint-{}", self.prefix())
    }

    /// A load balancer whose checks are as quick as every cloud allows. It may have any name of up to 11 characters.
    pub fn balancer_spec(&self, what: &str) -> LoadBalancerSpec {
        let check = MemberCheck {
            protocol: CheckProtocol::Tcp,
            port: SSH,
            interval: Duration::from_secs(5),
            timeout: Duration::from_secs(3),
            healthy: 2,
            unhealthy: 2,
        };
        let drain = Some(Duration::from_secs(10));
        let settings = LoadBalancerSettings { listeners: vec![tcp(WEB)], check, drain, sources: Vec::new() };
        LoadBalancerSpec {
            name: format!("{}{what}", self.balancer_prefix()),
            labels: self.labels(),
            region: self.target().region.clone(),
            settings,
        }
    }

    /// A load balancer that takes connections.
    ///
    /// # Errors
    ///
    /// When it cannot be created.
    pub async fn balancer(&self, what: &str) -> Result<LoadBalancer, Failure> {
        self.balanced(&self.balancer_spec(what)).await
    }

    /// A load balancer of a spec that takes connections.
    ///
    /// # Errors
    ///
    /// When it cannot be created.
    pub async fn balanced(&self, spec: &LoadBalancerSpec) -> Result<LoadBalancer, Failure> {
        let balancers = self.load_balancers()?;
        let made = self.patiently("ensure a load balancer", || balancers.ensure(spec)).await?;
        self.is_set_up(&made.id, &spec.settings).await
    }

    /// Waits until a load balancer takes connections and is set up like this.
    ///
    /// # Errors
    ///
    /// When it cannot be read, or will not become active.
    pub async fn is_set_up(&self, id: &LoadBalancerId, wanted: &LoadBalancerSettings) -> Result<LoadBalancer, Failure> {
        let look = async || {
            let now = self.load_balancers()?.get(id).await?;
            check!(!matches!(now.state, LoadBalancerState::Failed(_)), "load balancer {id} is {:?}", now.state);
            Ok((now.state == LoadBalancerState::Active && now.settings.is_as(wanted)).then_some(now))
        };
        self.until(format!("load balancer {id} to be active and set up as asked"), look).await
    }

    /// Makes instances members, and waits until they are shown.
    ///
    /// # Errors
    ///
    /// When they cannot become members.
    pub async fn attached(&self, id: &LoadBalancerId, instances: &[InstanceId]) -> Result<(), Failure> {
        let balancers = self.load_balancers()?;
        self.patiently("attach members", || balancers.attach(id, instances)).await?;
        self.has_members(id, instances).await
    }

    /// Waits until a load balancer has exactly these members. One that is draining is none.
    ///
    /// # Errors
    ///
    /// When its members cannot be listed, or one is listed twice.
    pub async fn has_members(&self, id: &LoadBalancerId, instances: &[InstanceId]) -> Result<(), Failure> {
        let mut wanted = instances.to_vec();
        wanted.sort();
        let look = async || {
            let members = self.members(id).await?;
            let staying = members.iter().filter(|member| member.health != MemberHealth::Draining);
            let mut found: Vec<InstanceId> = staying.map(|member| member.instance.clone()).collect();
            found.sort();
            Ok((found == wanted).then_some(()))
        };
        self.until(format!("load balancer {id} to have the members {wanted:?}"), look).await
    }

    /// The members, each once.
    ///
    /// # Errors
    ///
    /// When they cannot be listed, or one is listed twice.
    pub async fn members(&self, id: &LoadBalancerId) -> Result<Vec<Member>, Failure> {
        let members = self.load_balancers()?.members(id).await?;
        let mut ids: Vec<_> = members.iter().map(|member| &member.instance).collect();
        ids.sort();
        ids.dedup();
        check!(ids.len() == members.len(), "a member is listed twice: {members:?}");
        Ok(members)
    }

    /// What a load balancer makes of an instance; `None` where it is no member.
    ///
    /// # Errors
    ///
    /// When its members cannot be listed.
    pub async fn health(&self, id: &LoadBalancerId, instance: &InstanceId) -> Result<Option<MemberHealth>, Failure> {
        let members = self.members(id).await?;
        Ok(members.into_iter().find(|member| member.instance == *instance).map(|member| member.health))
    }

    /// Waits until an instance gets connections.
    ///
    /// # Errors
    ///
    /// When the members cannot be listed.
    pub async fn in_service(&self, id: &LoadBalancerId, instance: &InstanceId) -> Result<(), Failure> {
        let look = async || {
            let health = self.health(id, instance).await?;
            Ok((health == Some(MemberHealth::InService)).then_some(()))
        };
        self.until(format!("instance {instance} to be in service at load balancer {id}"), look).await
    }

    /// Waits until a load balancer is gone: not found, and not listed.
    ///
    /// # Errors
    ///
    /// When it cannot be told.
    pub async fn balancer_gone(&self, id: &LoadBalancerId) -> Result<(), Failure> {
        let balancers = self.load_balancers()?;
        let look = async || match balancers.get(id).await {
            Ok(_) => Ok(None),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let listed = balancers.list(&self.balancer_prefix()).await?;
                Ok((!listed.iter().any(|balancer| balancer.id == *id)).then_some(()))
            }
            Err(error) => Err(error.into()),
        };
        self.until(format!("load balancer {id} to be gone"), look).await
    }

    /// Destroys a load balancer and waits until it is gone.
    ///
    /// # Errors
    ///
    /// When it cannot be destroyed.
    pub async fn unbalanced(&self, id: &LoadBalancerId) -> Result<(), Failure> {
        let balancers = self.load_balancers()?;
        self.patiently("destroy a load balancer", || balancers.destroy(id)).await?;
        self.balancer_gone(id).await
    }

    /// The one load balancer of a name.
    ///
    /// # Errors
    ///
    /// When there is none, or several.
    pub async fn only_balancer(&self, name: &str) -> Result<LoadBalancer, Failure> {
        let mut listed = self.load_balancers()?.list(name).await?;
        check!(listed.len() == 1, "{} load balancers of the name {name}: {listed:?}", listed.len());
        Ok(listed.remove(0))
    }

    /// Holds that no load balancer of this run exists.
    ///
    /// # Errors
    ///
    /// When there is one.
    pub async fn balances_nothing(&self) -> Result<(), Failure> {
        let listed = self.load_balancers()?.list(&self.balancer_prefix()).await?;
        check!(listed.is_empty(), "it was refused, and created {listed:?}");
        Ok(())
    }
}
