//! Capturing the boot disk of a stopped instance: level-triggered, by the image's name.
//!
//! The image shows as soon as its creation is accepted, with its labels. In memory stands only the operation, which
//! alone says why an image that does not show was not made.
//!
//! Calls: 1 to look for the image, and to start 3 more (instance, insert, its operation); 1 for each observation.

use google_cloud_compute_v1::model::{self, image::Status};
use remint_core::provider::{CaptureProgress, CaptureSpec, Error, ErrorKind, InstanceState, Result, Selector, label};

use crate::{
    Gcp,
    error::Subject,
    labelling,
    names::{self, ImagePath, InstancePath, after, last},
    operation::Progress,
};

const OPERATION: &str = "capture image";

impl Gcp {
    pub(super) async fn advance_capture(&self, spec: &CaptureSpec) -> Result<CaptureProgress> {
        names::check(OPERATION, &spec.name)?;
        let labels = labelling::to_wire_with(OPERATION, &spec.labels, &self.config.labels)?;
        let subject = Subject::new(OPERATION).about(&spec.name);
        let path = ImagePath { project: self.client.project.clone(), name: spec.name.clone(), number: None };
        match self.read_image(&subject, &path).await? {
            Some(found) => self.observe(&subject, spec, &path, &found).await,
            None => self.look_and_start(&subject, spec, labels).await,
        }
    }

    async fn observe(
        &self,
        subject: &Subject,
        spec: &CaptureSpec,
        path: &ImagePath,
        found: &model::Image,
    ) -> Result<CaptureProgress> {
        match &found.status {
            Some(Status::Failed) => {
                // Out of the way of the next call, which starts afresh.
                self.memory.lock().captures.remove(&spec.name);
                remint_core::provider::Images::delete(self, &path.id()).await?;
                Err(failed(subject, "Google says that the image's creation failed"))
            }
            Some(Status::Ready) | None => {
                self.memory.lock().captures.remove(&spec.name);
                let image = self.image(&path.project, found);
                if !image.labels.matches(&Selector(spec.labels.0.clone())) {
                    return Err(subject
                        .error(ErrorKind::Conflict, "an image of this name has other labels")
                        .with_hint("delete that image, or rename the service"));
                }
                Ok(CaptureProgress::Done(image))
            }
            Some(Status::Deleting) => {
                Err(subject.error(ErrorKind::Busy, "an image of this name is still being deleted"))
            }
            Some(_) => Ok(CaptureProgress::Pending),
        }
    }

    /// There is no image: one is being made and does not show yet, or none was asked for.
    async fn look_and_start(
        &self,
        subject: &Subject,
        spec: &CaptureSpec,
        labels: std::collections::HashMap<String, String>,
    ) -> Result<CaptureProgress> {
        let pending = self.memory.lock().captures.get(&spec.name).cloned();
        if let Some(pending) = pending {
            match self.progress(subject, &pending).await? {
                Progress::Running => return Ok(CaptureProgress::Pending),
                Progress::Failed(error) => {
                    self.memory.lock().captures.remove(&spec.name);
                    return Err(match error.kind() {
                        // Another attempt would end alike, and the error says what to do.
                        ErrorKind::Forbidden | ErrorKind::Quota => error,
                        _ => failed(subject, &error.said()).with_source(error),
                    });
                }
                // Made, and deleted by somebody else.
                Progress::Done => drop(self.memory.lock().captures.remove(&spec.name)),
            }
        }
        let disk = self.boot_disk(spec).await?;
        let mut image = model::Image::new()
            .set_name(&spec.name)
            .set_description("Captured by Remint")
            .set_labels(labels)
            .set_source_disk(disk);
        let family = spec.labels.get(label::SERVICE).map(|service| format!("remint-{service}"));
        if let Some(family) = family.filter(|family| names::is_name(family)) {
            image = image.set_family(family);
        }
        let client = &self.client;
        let ask = |request: String| {
            client.images.insert().set_project(&client.project).set_request_id(request).set_body(image.clone()).send()
        };
        match client.mutate(subject, ask).await {
            Ok(operation) => {
                if let Some(pending) = self.glance(subject, &operation).await? {
                    self.memory.lock().captures.insert(spec.name.clone(), pending);
                }
                Ok(CaptureProgress::Pending)
            }
            // Somebody else was faster; the next call observes theirs.
            Err(error) if error.kind() == ErrorKind::Conflict => Ok(CaptureProgress::Pending),
            Err(error) => Err(error),
        }
    }

    /// The link of the instance's boot disk, once it is stopped.
    async fn boot_disk(&self, spec: &CaptureSpec) -> Result<String> {
        let path = InstancePath::parse(OPERATION, &spec.instance)?;
        let subject = Subject::new(OPERATION).about(&spec.instance);
        let found = self.read_instance(&subject, &path).await?;
        let instance = self.instance(&found);
        match instance.state {
            InstanceState::Stopped => {}
            InstanceState::Stopping => return Err(subject.error(ErrorKind::Busy, "the instance is still stopping")),
            state => return Err(subject.error(ErrorKind::Conflict, format!("the instance is {}", state.as_str()))),
        }
        let boot = found.disks.iter().find(|disk| disk.boot == Some(true)).or(found.disks.first());
        let link = boot.and_then(|disk| disk.source.as_deref());
        let link = link.ok_or_else(|| subject.error(ErrorKind::Conflict, "the instance has no disk"))?;
        let zone = after(link, "zones").unwrap_or(&path.zone);
        Ok(format!("projects/{}/zones/{zone}/disks/{}", self.client.project, last(link)))
    }
}

fn failed(subject: &Subject, why: &str) -> Error {
    subject.error(ErrorKind::Unexpected, why).with_hint("try again")
}
