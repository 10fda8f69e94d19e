//! Capturing an instance: level-triggered, by the image's name, which EC2 keeps unique among an account's AMIs of a region.
//!
//! Calls: 1 to start where this process made and stopped the instance, else 3 (the image, the instance, the capture), and 1
//! for each observation.

use aws_sdk_ec2::types::InstanceStateName;
use remint_core::provider::{
    CaptureProgress, CaptureSpec, Effect, Error, ErrorKind, ImageState, Region, Result, Selector,
    support::{Call, Turn},
};
use tokio::time::Instant;

use super::{Body, image, is_original};
use crate::{Aws, tags};

const OPERATION: &str = "capture image";

impl Aws {
    pub(super) async fn advance_capture(&self, spec: &CaptureSpec) -> Result<CaptureProgress> {
        // For its name, where a cloud does not keep names unique.
        let turn = self.turns.take([format!("image {}", spec.name)]).await;
        let known = self.memory.lock().captures.get(&spec.name).cloned();
        if let Some((id, region, since)) = known {
            return match self.fetch_image(OPERATION, &region, &id).await? {
                Some(body) => self.finish(spec, &region, &body).await,
                None if since.elapsed() < self.settings.grace => Ok(CaptureProgress::Pending),
                None => {
                    self.forget(spec);
                    Err(failed(spec, &format!("image {id} is gone")))
                }
            };
        }
        if !self.is_untouched(spec) {
            let region = match self.instance_to_capture(spec).await {
                Ok(region) => region,
                Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Conflict | ErrorKind::Busy) => {
                    // The image may be there all the same.
                    return match self.find_by_name(spec, None).await? {
                        Some((region, body)) => self.finish(spec, &region, &body).await,
                        None => Err(error),
                    };
                }
                Err(error) => return Err(error),
            };
            if let Some((region, body)) = self.find_by_name(spec, Some(&region)).await? {
                return self.finish(spec, &region, &body).await;
            }
        }
        self.order(&turn, spec).await
    }

    /// Whether this process made the instance, has seen it stopped, and never asked for an image of it: then there is
    /// nothing to find.
    fn is_untouched(&self, spec: &CaptureSpec) -> bool {
        let memory = self.memory.lock();
        memory.is_stopped(spec.instance.as_str()) && !memory.asked.contains(spec.instance.as_str())
    }

    /// Where the instance is; refuses one that is not stopped.
    async fn instance_to_capture(&self, spec: &CaptureSpec) -> Result<Region> {
        let (region, body) = self.find_instance(OPERATION, &spec.instance).await?;
        let kind = match body.state().and_then(|state| state.name()) {
            Some(InstanceStateName::Stopped) => return Ok(region),
            Some(InstanceStateName::Stopping) => ErrorKind::Busy,
            _ => ErrorKind::Conflict,
        };
        Err(Error::new(kind, OPERATION, "the instance is not stopped").with_resource(&spec.instance))
    }

    /// Looks the image up by its name. Several are only there where a cloud does not keep names unique: the first made.
    async fn find_by_name(&self, spec: &CaptureSpec, region: Option<&Region>) -> Result<Option<(Region, Body)>> {
        let places = match region {
            Some(region) => vec![region.clone()],
            None => self.places(OPERATION, spec.instance.as_str())?,
        };
        for region in places {
            let name = vec![tags::filter("name", &spec.name)];
            let mut found = self.describe_images(OPERATION, &region, Some("self"), name).await?;
            found.retain(is_original);
            let first = found
                .into_iter()
                .min_by(|a, b| a.creation_date().cmp(&b.creation_date()).then_with(|| a.image_id().cmp(&b.image_id())));
            if let Some(body) = first {
                return Ok(Some((region, body)));
            }
        }
        Ok(None)
    }

    fn forget(&self, spec: &CaptureSpec) {
        self.memory.lock().captures.remove(&spec.name);
    }

    /// Asks for the image. EC2 has no token for this; its unique names take the place of one.
    async fn order(&self, turn: &Turn, spec: &CaptureSpec) -> Result<CaptureProgress> {
        let region = self.places(OPERATION, spec.instance.as_str())?.remove(0);
        self.check_encryption(spec, &region).await?;
        let all = tags::tags(OPERATION, &spec.labels)?;
        let request = self
            .client
            .ec2(&region)
            .create_image()
            .instance_id(spec.instance.as_str())
            .name(&spec.name)
            // It is stopped: there is nothing to reboot.
            .no_reboot(true)
            .set_tag_specifications(Some(self.image_tags(&all)));
        let call = Call::mutation(OPERATION).about(&spec.instance);
        self.memory.lock().asked.insert(spec.instance.as_str().to_owned());
        match self.client.call_within(turn, &call, || request.clone().send()).await {
            Ok(answer) => {
                let id = answer.image_id.unwrap_or_default();
                let mut memory = self.memory.lock();
                memory.places.insert(id.clone(), region.clone());
                memory.captures.insert(spec.name.clone(), (id, region, Instant::now()));
                Ok(CaptureProgress::Pending)
            }
            Err(error) if error.is_code("InvalidAMIName.Duplicate") => {
                match self.find_by_name(spec, Some(&region)).await? {
                    Some((region, body)) => self.finish(spec, &region, &body).await,
                    // Taken a moment ago, and not shown yet.
                    None => Ok(CaptureProgress::Pending),
                }
            }
            Err(error) => Err(error),
        }
    }

    /// Where images are to be encrypted, the disks of the instance have to be: an image is as its disks are. One call.
    async fn check_encryption(&self, spec: &CaptureSpec, region: &Region) -> Result<()> {
        if !self.settings.config.encrypt {
            return Ok(());
        }
        let request = self.client.ec2(region).describe_volumes();
        let request = request.filters(tags::filter("attachment.instance-id", spec.instance.as_str()));
        let call = Call::read(OPERATION).about(&spec.instance);
        let answer = self.client.call(&call, || request.clone().send()).await?;
        match answer.volumes().iter().find(|volume| volume.encrypted() != Some(true)) {
            None => Ok(()),
            Some(plain) => {
                let id = plain.volume_id().unwrap_or_default();
                let message = format!("its volume {id} is not encrypted, and `encrypt` is set");
                Err(call.error(ErrorKind::Conflict, message).with_hint("bake again: a new builder's disk is encrypted"))
            }
        }
    }

    /// Waits until the image is available.
    async fn finish(&self, spec: &CaptureSpec, region: &Region, body: &Body) -> Result<CaptureProgress> {
        let found = image(region, body);
        let id = found.id.as_str().to_owned();
        if !found.labels.matches(&Selector(spec.labels.0.clone())) {
            let message = format!("image {id} has this name and other labels");
            return Err(Error::new(ErrorKind::Conflict, OPERATION, message)
                .with_resource(&spec.name)
                .with_hint("delete that image, or rename the service"));
        }
        match &found.state {
            ImageState::Pending => {
                let mut memory = self.memory.lock();
                memory.places.insert(id.clone(), region.clone());
                memory.captures.entry(spec.name.clone()).or_insert_with(|| (id, region.clone(), Instant::now()));
                Ok(CaptureProgress::Pending)
            }
            ImageState::Failed(why) => {
                // Its name is taken until it is deregistered.
                self.forget(spec);
                self.remove_image(OPERATION, region, body).await?;
                Err(failed(spec, why))
            }
            ImageState::Available => {
                let mut memory = self.memory.lock();
                memory.captures.remove(&spec.name);
                memory.places.insert(id.clone(), region.clone());
                memory.captured.note(id, found.clone());
                Ok(CaptureProgress::Done(found))
            }
        }
    }
}

fn failed(spec: &CaptureSpec, why: &str) -> Error {
    Error::new(ErrorKind::Unexpected, OPERATION, why)
        .with_resource(&spec.name)
        .with_effect(Effect::NotApplied)
        .with_hint("try again")
}
