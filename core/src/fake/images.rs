//! The fake cloud's images.

use async_trait::async_trait;

use super::{
    FakeCloud, State, Transaction,
    compute::in_words,
    state::{Capture, not_found},
};
use crate::provider::{
    Capability, CaptureProgress, CaptureSpec, Error, ErrorKind, Image, ImageId, ImageState, Images, InstanceState,
    Labels, Region, Regions, Result, Selector,
};

impl State {
    fn is_base(&self, id: &str) -> bool {
        self.flavour.strict && self.flavour.catalogue.bases.contains(&id)
    }

    /// Whether an image of this name is there, or is being captured.
    pub fn knows_image(&self, name: &str) -> bool {
        let captured = self.captures.values().any(|capture| capture.spec.name == name);
        captured || self.images.values().any(|image| image.name == name)
    }

    fn resolve(&self, base: &str, region: &Region) -> Result<Image> {
        const OPERATION: &str = "resolve image";
        let (strict, bases) = (self.flavour.strict, self.flavour.catalogue.bases);
        if let Some(image) = self.images.get(base) {
            return match strict && !image.regions.contains(region) {
                true => Err(Error::new(ErrorKind::InvalidInput, OPERATION, format!("{base} is not in {region}"))),
                false => Ok(image.clone()),
            };
        }
        self.check_region(OPERATION, region)?;
        if strict && !bases.contains(&base) {
            return Err(not_found(OPERATION, base).with_hint(format!("choose one of {}", bases.join(", "))));
        }
        Ok(public(base, Regions::Only(vec![region.clone()])))
    }

    /// What a capture shows without changing anything; `None` where something has to be done.
    fn observe(&self, spec: &CaptureSpec) -> Option<CaptureProgress> {
        // What still has to be labelled is not done, whatever else there is of the name.
        let named = self.images.values().filter(|image| image.name == spec.name);
        match named.min_by_key(|image| image.labels == spec.labels) {
            Some(Image { state: ImageState::Pending, .. }) => Some(CaptureProgress::Pending),
            // The next call takes it away.
            Some(Image { state: ImageState::Failed(_), .. }) => None,
            Some(image) if image.labels == spec.labels => Some(CaptureProgress::Done(image.clone())),
            Some(_) => None,
            None => self.captures.contains_key(&spec.name).then_some(CaptureProgress::Pending),
        }
    }
}

impl Transaction<'_> {
    /// Gives `None` where the capture has failed, and begins no other one then.
    fn progress(&mut self, spec: &CaptureSpec) -> Result<Option<CaptureProgress>> {
        if let Some(progress) = self.observe(spec) {
            return Ok(Some(progress));
        }
        let failed = |image: &&Image| image.name == spec.name && matches!(image.state, ImageState::Failed(_));
        if let Some(image) = self.images.values().find(failed).map(|image| image.id.clone()) {
            self.images.remove(&image);
            self.note(format!("delete image {} ({image}), which could not be captured", spec.name));
            return Ok(None);
        }
        let mut done = None;
        // All that is found by the name: the cloud cannot tell them apart.
        for image in self.images.values_mut().filter(|image| image.name == spec.name && image.labels.0.is_empty()) {
            image.labels = spec.labels.clone();
            done.get_or_insert_with(|| image.clone());
        }
        if let Some(image) = done {
            self.note(format!("label image {}", spec.name));
            return Ok(Some(CaptureProgress::Done(image)));
        }
        if self.images.values().any(|image| image.name == spec.name) {
            return Err(Error::new(ErrorKind::Conflict, "capture", "other labels").with_resource(&spec.name));
        }
        self.capture(spec)?;
        Ok(Some(CaptureProgress::Pending))
    }

    /// Starts to capture an instance.
    ///
    /// # Errors
    ///
    /// `NotFound` and `Conflict`, and `Busy` while the instance is at work, where the cloud is strict.
    pub fn capture(&mut self, spec: &CaptureSpec) -> Result<()> {
        if self.flavour.strict {
            let state = self.machine("capture", &spec.instance)?.instance.state;
            let refuse = |kind, message: &str| Err(Error::new(kind, "capture", message).with_resource(&spec.instance));
            match state {
                InstanceState::Stopped if self.is_captured(&spec.instance) => {
                    return refuse(ErrorKind::Busy, "it is being captured");
                }
                InstanceState::Stopped => {}
                InstanceState::Stopping => return refuse(ErrorKind::Busy, "it is about to stop"),
                _ => return refuse(ErrorKind::Conflict, "it is not stopped"),
            }
        }
        self.begin_capture(spec.name.clone(), spec);
        Ok(())
    }

    /// Starts a capture beside others of the name, whatever the instance does.
    pub fn capture_again(&mut self, spec: &CaptureSpec) {
        let key = format!("{} {}", spec.name, self.number());
        self.begin_capture(key, spec);
    }

    fn begin_capture(&mut self, key: String, spec: &CaptureSpec) {
        let (at, fails) = (self.now + self.pace.capture, self.ends.fails);
        let image = self.flavour.labelled_captures.then(|| self.new_image(spec, ImageState::Pending));
        let id = image.as_ref().map(|image| image.id.clone());
        let capture = Capture { spec: spec.clone(), image: id, at, fails };
        self.captures.insert(key, capture);
        self.images.extend(image.map(|image| (image.id.clone(), image)));
        self.note(format!("capture {}", spec.name));
    }

    /// Starts to copy an image.
    ///
    /// # Errors
    ///
    /// `NotFound`; `InvalidInput` for a region that a strict cloud does not have.
    pub fn copy(&mut self, id: &ImageId, region: &Region) -> Result<()> {
        self.check_region("copy image", region)?;
        let is_there = self.image("copy image", id)?.regions.contains(region);
        let key = (id.clone(), region.clone());
        if is_there || self.copies.contains_key(&key) {
            return Ok(());
        }
        let takes = self.pace.copy;
        if takes.is_zero() {
            self.arrive_copy(id, region);
        } else {
            let at = self.now + takes;
            self.copies.insert(key, at);
        }
        self.note(format!("copy {id} {region}"));
        Ok(())
    }

    /// Deletes an image.
    ///
    /// # Errors
    ///
    /// `Busy` while it is copied.
    pub fn delete(&mut self, id: &ImageId) -> Result<()> {
        if self.copies.keys().any(|(copied, _)| copied == id) {
            return Err(Error::new(ErrorKind::Busy, "delete image", "it is being copied").with_resource(id));
        }
        if let Some(image) = self.images.remove(id) {
            self.note(format!("delete image {} ({id})", image.name));
        }
        Ok(())
    }
}

/// A public image.
fn public(base: &str, regions: Regions) -> Image {
    Image {
        id: ImageId::from(base),
        name: base.to_owned(),
        labels: Labels::new(),
        state: ImageState::Available,
        regions,
        min_disk_gib: 10,
        size_bytes: None,
        created_at: None,
    }
}

#[async_trait]
impl Images for FakeCloud {
    async fn resolve(&self, base: &str, region: &Region) -> Result<Image> {
        self.read("resolve image", |state| state.resolve(base, region)).await
    }

    async fn capture(&self, spec: &CaptureSpec) -> Result<CaptureProgress> {
        self.check_labels("capture", &spec.labels)?;
        if let Some(progress) = self.read("capture", |state| Ok(state.observe(spec))).await? {
            return Ok(progress);
        }
        let spec = spec.clone();
        let progress = self.mutate("start capture", move |transaction| transaction.progress(&spec)).await?;
        progress.ok_or_else(|| Error::new(ErrorKind::Unexpected, "capture", "the disk could not be read"))
    }

    async fn list(&self, selector: &Selector) -> Result<Vec<Image>> {
        let list = |state: &State| {
            // What nobody has labelled is a stray.
            let known = |image: &&Image| !state.flavour.strict || !image.labels.0.is_empty();
            state.images.values().filter(known).cloned().collect::<Vec<_>>()
        };
        let mut listed = self.list("list images", |image: &Image| &image.id, list).await?;
        listed.retain(|image| image.labels.matches(selector));
        Ok(listed)
    }

    async fn get(&self, id: &ImageId) -> Result<Image> {
        let get = |state: &State| match state.is_base(id.as_str()) {
            true => Ok(public(id.as_str(), Regions::All)),
            false => state.image("get image", id).cloned(),
        };
        self.read("get image", get).await
    }

    async fn label(&self, id: &ImageId, labels: &Labels) -> Result<()> {
        self.check_labels("label image", labels)?;
        let (id, labels) = (id.clone(), labels.clone());
        let apply = move |transaction: &mut Transaction<'_>| {
            transaction.image_mut("label image", &id)?.labels.0.extend(labels.0.clone());
            transaction.note(format!("label image {id} {}", in_words(&labels)));
            Ok(())
        };
        self.mutate("label image", apply).await
    }

    async fn copy(&self, id: &ImageId, region: &Region) -> Result<()> {
        self.needs("copy image", Capability::ImageCopyRegions)?;
        let (id, region) = (id.clone(), region.clone());
        self.mutate("copy image", move |transaction| transaction.copy(&id, &region)).await
    }

    async fn delete(&self, id: &ImageId) -> Result<()> {
        if self.world.state().is_base(id.as_str()) {
            return Err(not_found("delete image", id));
        }
        let id = id.clone();
        self.mutate("delete image", move |transaction| transaction.delete(&id)).await
    }
}
