//! Load balancers.

use async_trait::async_trait;
use remint_core::provider::{
    InstanceId, LoadBalancer, LoadBalancerId, LoadBalancerSpec, LoadBalancers, Member, Result,
};

use super::Traced;
use crate::wrapped::there;

/// A load balancer and instances, as the log names them.
fn with(id: &LoadBalancerId, instances: &[InstanceId]) -> String {
    let instances: Vec<&str> = instances.iter().map(InstanceId::as_str).collect();
    format!("{id} with {}", instances.join(", "))
}

#[async_trait]
impl LoadBalancers for Traced {
    fn accepts(&self, spec: &LoadBalancerSpec) -> Result<()> {
        there(self.inner.load_balancers(), "ensure load balancer")?.accepts(spec)
    }

    async fn ensure(&self, spec: &LoadBalancerSpec) -> Result<LoadBalancer> {
        let asked = there(self.inner.load_balancers(), "ensure load balancer")?.ensure(spec);
        self.log.trace(self.inner.calls(), "ensure load balancer", &spec.name, asked).await
    }

    async fn list(&self, prefix: &str) -> Result<Vec<LoadBalancer>> {
        let asked = there(self.inner.load_balancers(), "list load balancers")?.list(prefix);
        self.log.trace(self.inner.calls(), "list load balancers", prefix, asked).await
    }

    async fn get(&self, id: &LoadBalancerId) -> Result<LoadBalancer> {
        let asked = there(self.inner.load_balancers(), "read load balancer")?.get(id);
        self.log.trace(self.inner.calls(), "read load balancer", id, asked).await
    }

    async fn members(&self, id: &LoadBalancerId) -> Result<Vec<Member>> {
        let asked = there(self.inner.load_balancers(), "list members")?.members(id);
        self.log.trace(self.inner.calls(), "list members", id, asked).await
    }

    async fn attach(&self, id: &LoadBalancerId, instances: &[InstanceId]) -> Result<()> {
        let asked = there(self.inner.load_balancers(), "attach members")?.attach(id, instances);
        self.log.trace(self.inner.calls(), "attach members", with(id, instances), asked).await
    }

    async fn detach(&self, id: &LoadBalancerId, instances: &[InstanceId]) -> Result<()> {
        let asked = there(self.inner.load_balancers(), "detach members")?.detach(id, instances);
        self.log.trace(self.inner.calls(), "detach members", with(id, instances), asked).await
    }

    async fn destroy(&self, id: &LoadBalancerId) -> Result<()> {
        let asked = there(self.inner.load_balancers(), "destroy load balancer")?.destroy(id);
        self.log.trace(self.inner.calls(), "destroy load balancer", id, asked).await
    }
}
