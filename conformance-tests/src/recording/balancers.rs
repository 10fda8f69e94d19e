//! Load balancers.

use async_trait::async_trait;
use remint_core::provider::{
    InstanceId, LoadBalancer, LoadBalancerId, LoadBalancerSpec, LoadBalancers, Member, Result,
};

use super::{Recorded, unwritten};
use crate::ledger::Resource;
use crate::wrapped::there;

#[async_trait]
impl LoadBalancers for Recorded {
    fn accepts(&self, spec: &LoadBalancerSpec) -> Result<()> {
        there(self.inner.load_balancers(), "ensure load balancer")?.accepts(spec)
    }

    async fn ensure(&self, spec: &LoadBalancerSpec) -> Result<LoadBalancer> {
        const OPERATION: &str = "ensure load balancer";
        let balancers = there(self.inner.load_balancers(), OPERATION)?;
        let balancer = Resource::LoadBalancer { name: spec.name.clone() };
        self.ledger.intend(vec![balancer]).await.map_err(unwritten(OPERATION))?;
        balancers.ensure(spec).await
    }

    async fn list(&self, prefix: &str) -> Result<Vec<LoadBalancer>> {
        there(self.inner.load_balancers(), "list load balancers")?.list(prefix).await
    }

    async fn get(&self, id: &LoadBalancerId) -> Result<LoadBalancer> {
        there(self.inner.load_balancers(), "read load balancer")?.get(id).await
    }

    async fn members(&self, id: &LoadBalancerId) -> Result<Vec<Member>> {
        there(self.inner.load_balancers(), "list members")?.members(id).await
    }

    async fn attach(&self, id: &LoadBalancerId, instances: &[InstanceId]) -> Result<()> {
        there(self.inner.load_balancers(), "attach members")?.attach(id, instances).await
    }

    async fn detach(&self, id: &LoadBalancerId, instances: &[InstanceId]) -> Result<()> {
        there(self.inner.load_balancers(), "detach members")?.detach(id, instances).await
    }

    async fn destroy(&self, id: &LoadBalancerId) -> Result<()> {
        there(self.inner.load_balancers(), "destroy load balancer")?.destroy(id).await
    }
}
