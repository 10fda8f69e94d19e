//! Instances and images.

use async_trait::async_trait;
use remint_core::provider::{
    CaptureProgress, CaptureSpec, Effect, Image, ImageId, Images, Instance, InstanceId, Instances, Labels, LaunchSpec,
    PowerOp, Region, Result, Selector, Shape, SizeName,
};

use super::{Recorded, unwritten};
use crate::ledger::Resource;

#[async_trait]
impl Instances for Recorded {
    async fn shape(&self, size: &SizeName, region: &Region) -> Result<Shape> {
        self.inner.instances().shape(size, region).await
    }

    async fn launch(&self, spec: &LaunchSpec) -> Result<Vec<Instance>> {
        let mut made: Vec<_> = spec.names.iter().map(|name| Resource::Instance { name: name.clone() }).collect();
        made.extend(spec.labels.environment_id().map(|environment| Resource::Strays { environment }));
        self.ledger.intend(made).await.map_err(unwritten("launch instance"))?;
        let launched = self.inner.instances().launch(spec).await?;
        self.ledger.note_launched(&launched);
        Ok(launched)
    }

    async fn list(&self, selector: &Selector) -> Result<Vec<Instance>> {
        self.inner.instances().list(selector).await
    }

    async fn get(&self, id: &InstanceId) -> Result<Instance> {
        self.inner.instances().get(id).await
    }

    async fn power(&self, id: &InstanceId, op: PowerOp) -> Result<()> {
        self.inner.instances().power(id, op).await
    }

    async fn label(&self, id: &InstanceId, labels: &Labels) -> Result<()> {
        self.inner.instances().label(id, labels).await
    }

    async fn withdraw_user_data(&self, id: &InstanceId) -> Result<bool> {
        self.inner.instances().withdraw_user_data(id).await
    }

    async fn destroy(&self, id: &InstanceId) -> Result<()> {
        self.inner.instances().destroy(id).await
    }

    async fn console_output(&self, id: &InstanceId) -> Result<String> {
        self.inner.instances().console_output(id).await
    }
}

#[async_trait]
impl Images for Recorded {
    async fn resolve(&self, base: &str, region: &Region) -> Result<Image> {
        self.inner.images().resolve(base, region).await
    }

    async fn capture(&self, spec: &CaptureSpec) -> Result<CaptureProgress> {
        let unwritten = unwritten("capture image");
        self.ledger.capturing(&spec.name, &spec.instance).await.map_err(&unwritten)?;
        let progress = self.inner.images().capture(spec).await;
        match &progress {
            Ok(CaptureProgress::Done(_)) => self.ledger.made_image(&spec.name).await.map_err(unwritten)?,
            Err(error) if error.effect() == Effect::NotApplied => self.ledger.not_captured(&spec.name),
            Ok(CaptureProgress::Pending) | Err(_) => {}
        }
        progress
    }

    async fn list(&self, selector: &Selector) -> Result<Vec<Image>> {
        self.inner.images().list(selector).await
    }

    async fn get(&self, id: &ImageId) -> Result<Image> {
        self.inner.images().get(id).await
    }

    async fn label(&self, id: &ImageId, labels: &Labels) -> Result<()> {
        self.inner.images().label(id, labels).await
    }

    async fn copy(&self, id: &ImageId, region: &Region) -> Result<()> {
        // The copy is of an image that the ledger has already.
        self.inner.images().copy(id, region).await
    }

    async fn delete(&self, id: &ImageId) -> Result<()> {
        self.inner.images().delete(id).await
    }
}
