//! Taking away what was made, each until it is really gone.

use std::{future::Future, time::Duration};

use remint_core::provider::{
    Capability, CaptureProgress, CaptureSpec, Effect, EnvironmentId, Error, ErrorKind, ImageId, InstanceId,
    LoadBalancerId, LoginKeyId, Owner, Provider, RecordKind, Result, ServiceId, StaticIpId,
};

/// How a capture ends that makes no image.
const ENDED: [ErrorKind; 4] =
    [ErrorKind::Conflict, ErrorKind::InvalidInput, ErrorKind::NotFound, ErrorKind::Unexpected];

/// Takes things away from an account. It waits for as long as it takes; whoever calls it sets the limit.
#[derive(Clone, Copy)]
pub(crate) struct Cleaner<'a> {
    pub(crate) provider: &'a dyn Provider,
    /// The pause between two looks.
    pub(crate) poll: Duration,
    /// Hears what is waited for.
    pub(crate) say: &'a (dyn Fn(String) + Sync),
}

impl Cleaner<'_> {
    pub(crate) async fn static_ip(&self, id: &StaticIpId) -> Result<()> {
        (self.say)(format!("static IP {id} to be gone"));
        let ips = self.provider.static_ips();
        let ips = ips.ok_or_else(|| Error::unsupported("release static IP", Capability::StaticIp))?;
        self.patiently(|| ips.release(id)).await?;
        self.until_missing(|| async move { ips.get(id).await.map(drop) }).await
    }

    pub(crate) async fn load_balancer(&self, id: &LoadBalancerId) -> Result<()> {
        (self.say)(format!("load balancer {id} to be gone"));
        let balancers = self.provider.load_balancers();
        let balancers =
            balancers.ok_or_else(|| Error::unsupported("destroy load balancer", Capability::LoadBalancer))?;
        self.patiently(|| balancers.destroy(id)).await?;
        self.until_missing(|| async move { balancers.get(id).await.map(drop) }).await
    }

    pub(crate) async fn instance(&self, id: &InstanceId) -> Result<()> {
        (self.say)(format!("instance {id} to be gone"));
        let instances = self.provider.instances();
        self.patiently(|| instances.destroy(id)).await?;
        self.until_missing(|| async move { instances.get(id).await.map(drop) }).await
    }

    /// Sees a capture to its end, which may have been under way, and takes the image away. An image that is not done has no
    /// labels on some clouds, and its instance cannot be destroyed. Where none was begun, one is.
    pub(crate) async fn capture(&self, spec: &CaptureSpec) -> Result<()> {
        (self.say)(format!("the capture of image {} to end", spec.name));
        loop {
            match self.provider.images().capture(spec).await {
                Ok(CaptureProgress::Done(image)) => return self.image(&image.id).await,
                Ok(CaptureProgress::Pending) => tokio::time::sleep(self.poll).await,
                Err(error) if error.kind() == ErrorKind::Busy => tokio::time::sleep(self.poll).await,
                // There is neither an image nor a capture: it failed, or the instance runs or is gone.
                Err(error) if error.effect() == Effect::NotApplied && ENDED.contains(&error.kind()) => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }

    pub(crate) async fn image(&self, id: &ImageId) -> Result<()> {
        (self.say)(format!("image {id} to be gone"));
        let images = self.provider.images();
        self.patiently(|| images.delete(id)).await?;
        self.until_missing(|| async move { images.get(id).await.map(drop) }).await
    }

    /// A zone that is not there has no records.
    pub(crate) async fn record(&self, zone: &str, name: &str, kind: RecordKind) -> Result<()> {
        (self.say)(format!("record {name}.{zone} {kind} to be gone"));
        let zones = self.provider.dns_zones();
        let zones = zones.ok_or_else(|| Error::unsupported("remove record", Capability::Dns))?;
        match self.patiently(|| zones.remove(zone, name, kind)).await {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            result => result,
        }
    }

    pub(crate) async fn login_key(&self, id: &LoginKeyId) -> Result<()> {
        (self.say)(format!("login key {id} to be gone"));
        let keys = self.provider.login_keys();
        let keys = keys.ok_or_else(|| Error::unsupported("remove login key", Capability::LoginKey))?;
        self.patiently(|| keys.remove(id)).await
    }

    /// A name that is none was never set.
    pub(crate) async fn marker(&self, name: &str) -> Result<()> {
        (self.say)(format!("marker {name} to be gone"));
        let markers = self.provider.markers();
        let markers = markers.ok_or_else(|| Error::unsupported("remove marker", Capability::Marker))?;
        match self.patiently(|| markers.remove(name)).await {
            Err(error) if error.kind() == ErrorKind::InvalidInput => Ok(()),
            result => result,
        }
    }

    /// Strays of an environment, once its instances are gone. What is still in use then is somebody else's by now.
    pub(crate) async fn strays(&self, environment: &EnvironmentId) -> Result<()> {
        (self.say)(format!("strays of environment {environment} to be gone"));
        let Some(strays) = self.provider.strays() else { return Ok(()) };
        // No service: images are found by their labels, and captures by the ledger.
        let owner = Owner { service: ServiceId::generate(), environment: Some(environment.clone()) };
        for stray in strays.list(&owner).await? {
            self.patiently(|| strays.remove(&owner, &stray)).await?;
        }
        Ok(())
    }

    /// Makes a call, and again for as long as the cloud is busy, or sees the thing in use by something on its way out.
    async fn patiently<F, Fut>(&self, mut call: F) -> Result<()>
    where
        F: FnMut() -> Fut,
        Fut: Future<Output = Result<()>>,
    {
        loop {
            match call().await {
                Err(error) if error.kind() == ErrorKind::Busy => tokio::time::sleep(self.poll).await,
                result => return result,
            }
        }
    }

    async fn until_missing<F, Fut>(&self, mut look: F) -> Result<()>
    where
        F: FnMut() -> Fut,
        Fut: Future<Output = Result<()>>,
    {
        loop {
            match look().await {
                Ok(()) => tokio::time::sleep(self.poll).await,
                Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }
}
