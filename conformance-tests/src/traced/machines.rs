//! Instances and images.

use async_trait::async_trait;
use remint_core::provider::{
    CaptureProgress, CaptureSpec, Image, ImageId, Images, Instance, InstanceId, Instances, Labels, LaunchSpec, PowerOp,
    Region, Result, Selector, Shape, SizeName,
};

use super::Traced;

#[async_trait]
impl Instances for Traced {
    async fn shape(&self, size: &SizeName, region: &Region) -> Result<Shape> {
        let asked = self.inner.instances().shape(size, region);
        self.log.trace(self.inner.calls(), "read size", size, asked).await
    }

    async fn launch(&self, spec: &LaunchSpec) -> Result<Vec<Instance>> {
        let asked = self.inner.instances().launch(spec);
        self.log.trace(self.inner.calls(), "launch instance", spec.names.join(" "), asked).await
    }

    async fn list(&self, selector: &Selector) -> Result<Vec<Instance>> {
        let asked = self.inner.instances().list(selector);
        self.log.trace(self.inner.calls(), "list instances", "", asked).await
    }

    async fn get(&self, id: &InstanceId) -> Result<Instance> {
        let asked = self.inner.instances().get(id);
        self.log.trace(self.inner.calls(), "read instance", id, asked).await
    }

    async fn power(&self, id: &InstanceId, op: PowerOp) -> Result<()> {
        let asked = self.inner.instances().power(id, op);
        self.log.trace(self.inner.calls(), "switch instance", format!("{id} {op:?}"), asked).await
    }

    async fn label(&self, id: &InstanceId, labels: &Labels) -> Result<()> {
        let asked = self.inner.instances().label(id, labels);
        self.log.trace(self.inner.calls(), "label instance", id, asked).await
    }

    async fn withdraw_user_data(&self, id: &InstanceId) -> Result<bool> {
        let asked = self.inner.instances().withdraw_user_data(id);
        self.log.trace(self.inner.calls(), "withdraw user data", id, asked).await
    }

    async fn destroy(&self, id: &InstanceId) -> Result<()> {
        let asked = self.inner.instances().destroy(id);
        self.log.trace(self.inner.calls(), "destroy instance", id, asked).await
    }

    async fn console_output(&self, id: &InstanceId) -> Result<String> {
        let asked = self.inner.instances().console_output(id);
        self.log.trace(self.inner.calls(), "read console", id, asked).await
    }
}

#[async_trait]
impl Images for Traced {
    async fn resolve(&self, base: &str, region: &Region) -> Result<Image> {
        let asked = self.inner.images().resolve(base, region);
        self.log.trace(self.inner.calls(), "find base image", base, asked).await
    }

    async fn capture(&self, spec: &CaptureSpec) -> Result<CaptureProgress> {
        let asked = self.inner.images().capture(spec);
        self.log.trace(self.inner.calls(), "capture image", &spec.name, asked).await
    }

    async fn list(&self, selector: &Selector) -> Result<Vec<Image>> {
        let asked = self.inner.images().list(selector);
        self.log.trace(self.inner.calls(), "list images", "", asked).await
    }

    async fn get(&self, id: &ImageId) -> Result<Image> {
        let asked = self.inner.images().get(id);
        self.log.trace(self.inner.calls(), "read image", id, asked).await
    }

    async fn label(&self, id: &ImageId, labels: &Labels) -> Result<()> {
        let asked = self.inner.images().label(id, labels);
        self.log.trace(self.inner.calls(), "label image", id, asked).await
    }

    async fn copy(&self, id: &ImageId, region: &Region) -> Result<()> {
        let asked = self.inner.images().copy(id, region);
        self.log.trace(self.inner.calls(), "copy image", format!("{id} to {region}"), asked).await
    }

    async fn delete(&self, id: &ImageId) -> Result<()> {
        let asked = self.inner.images().delete(id);
        self.log.trace(self.inner.calls(), "delete image", id, asked).await
    }
}
