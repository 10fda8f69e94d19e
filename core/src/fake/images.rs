//! The fake cloud's images.

use async_trait::async_trait;

use super::{
    FakeCloud, State,
    client::not_found,
    compute::{REGIONS, in_words},
    state::Capture,
    world::{Done, Moment},
};
use crate::provider::{
    CallClass, CaptureProgress, CaptureSpec, Error, ErrorKind, Image, ImageId, ImageState, Images, InstanceState,
    Labels, Owner, Region, Regions, Result, Selector, Stray, StrayKind, Strays,
};

/// What a capture shows without changing anything; `None` where something has to be done.
fn observe(state: &State, spec: &CaptureSpec) -> Option<CaptureProgress> {
    match state.images.values().find(|image| image.name == spec.name) {
        Some(Image { state: ImageState::Pending, .. }) => Some(CaptureProgress::Pending),
        // The next call takes it away.
        Some(Image { state: ImageState::Failed(_), .. }) => None,
        Some(image) if image.labels == spec.labels => Some(CaptureProgress::Done(image.clone())),
        Some(_) => None,
        None => state.captures.contains_key(&spec.name).then_some(CaptureProgress::Pending),
    }
}

/// Gives `None` where the capture has failed, and begins no other one then.
fn capture(state: &mut State, moment: &Moment, spec: &CaptureSpec) -> Result<Done<Option<CaptureProgress>>> {
    if let Some(progress) = observe(state, spec) {
        return Done::unchanged(Some(progress));
    }
    let failed = |image: &&Image| image.name == spec.name && matches!(image.state, ImageState::Failed(_));
    if let Some(image) = state.images.values().find(failed).map(|image| image.id.clone()) {
        state.images.remove(&image);
        return Done::changed(None, format!("delete image {} ({image}), which could not be captured", spec.name));
    }
    if let Some(image) = state.images.values_mut().find(|image| image.name == spec.name) {
        if !image.labels.0.is_empty() {
            return Err(Error::new(ErrorKind::Conflict, "capture", "other labels").with_resource(&spec.name));
        }
        image.labels = spec.labels.clone();
        let done = Some(CaptureProgress::Done(image.clone()));
        return Done::changed(done, format!("label image {}", spec.name));
    }
    if moment.flavour.strict {
        let machine = state.machines.get(&spec.instance).ok_or_else(|| not_found("capture", &spec.instance))?;
        if machine.instance.state != InstanceState::Stopped {
            return Err(Error::new(ErrorKind::Conflict, "capture", "it is not stopped").with_resource(&spec.instance));
        }
    }
    let capture = Capture { spec: spec.clone(), at: moment.now + moment.pace.capture, fails: moment.fails };
    state.captures.insert(spec.name.clone(), capture);
    if moment.flavour.labelled_captures {
        let image = state.new_image(spec, ImageState::Pending);
        state.images.insert(image.id.clone(), image);
    }
    Done::changed(Some(CaptureProgress::Pending), format!("capture {}", spec.name))
}

#[async_trait]
impl Images for FakeCloud {
    async fn resolve(&self, base: &str, region: &Region) -> Result<Image> {
        let strict = self.world.flavour().strict;
        let resolve = |state: &State| {
            if let Some(image) = state.images.get(base) {
                return Ok(image.clone());
            }
            if strict && !REGIONS.contains(&region.as_str()) {
                return Err(Error::new(ErrorKind::InvalidInput, "resolve image", "no such region"));
            }
            if strict && base != "debian" {
                return Err(not_found("resolve image", base));
            }
            Ok(Image {
                id: ImageId::from(base),
                name: base.to_owned(),
                labels: Labels::new(),
                state: ImageState::Available,
                regions: Regions::Only(vec![region.clone()]),
                min_disk_gib: 10,
                size_bytes: None,
                created_at: None,
            })
        };
        self.read("resolve image", resolve).await
    }

    async fn capture(&self, spec: &CaptureSpec) -> Result<CaptureProgress> {
        if let Some(progress) = self.read("capture", |state| Ok(observe(state, spec))).await? {
            return Ok(progress);
        }
        let spec = spec.clone();
        let apply = move |state: &mut State, moment: &Moment| capture(state, moment, &spec);
        let progress = self.mutate(CallClass::IdempotentMutation, "start capture", apply).await?;
        progress.ok_or_else(|| Error::new(ErrorKind::Unexpected, "capture", "the disk could not be read"))
    }

    async fn list(&self, selector: &Selector) -> Result<Vec<Image>> {
        let list = |state: &State| {
            state.images.values().filter(|image| image.labels.matches(selector)).cloned().collect::<Vec<_>>()
        };
        self.read_list("list images", list).await
    }

    async fn get(&self, id: &ImageId) -> Result<Image> {
        let get = |state: &State| state.images.get(id).cloned().ok_or_else(|| not_found("get image", id));
        self.read("get image", get).await
    }

    async fn label(&self, id: &ImageId, labels: &Labels) -> Result<()> {
        let (id, labels) = (id.clone(), labels.clone());
        let apply = move |state: &mut State, _: &Moment| {
            let image = state.images.get_mut(&id).ok_or_else(|| not_found("label image", &id))?;
            image.labels.0.extend(labels.0.clone());
            Done::changed((), format!("label image {id} {}", in_words(&labels)))
        };
        self.mutate(CallClass::IdempotentMutation, "label image", apply).await
    }

    async fn copy(&self, id: &ImageId, region: &Region) -> Result<()> {
        let (id, region) = (id.clone(), region.clone());
        let apply = move |state: &mut State, _: &Moment| {
            let image = state.images.get_mut(&id).ok_or_else(|| not_found("copy image", &id))?;
            match &mut image.regions {
                Regions::Only(regions) if !regions.contains(&region) => regions.push(region.clone()),
                _ => return Done::unchanged(()),
            }
            Done::changed((), format!("copy {id} {region}"))
        };
        self.mutate(CallClass::IdempotentMutation, "copy image", apply).await
    }

    async fn delete(&self, id: &ImageId) -> Result<()> {
        let id = id.clone();
        let apply = move |state: &mut State, _: &Moment| match state.images.remove(&id) {
            Some(image) => Done::changed((), format!("delete image {} ({id})", image.name)),
            None => Done::unchanged(()),
        };
        self.mutate(CallClass::IdempotentMutation, "delete image", apply).await
    }
}

/// What the fake cloud leaves beside what it was asked for: captures whose image nobody has labelled.
#[async_trait]
impl Strays for FakeCloud {
    async fn list(&self, owner: &Owner) -> Result<Vec<Stray>> {
        let list = |state: &State| state.images.values().filter(|image| is_stray(image, owner)).map(stray).collect();
        self.read_list("list strays", list).await
    }

    async fn remove(&self, owner: &Owner, stray: &Stray) -> Result<()> {
        let (owner, id) = (owner.clone(), ImageId::from(stray.id.as_str()));
        let apply = move |state: &mut State, _: &Moment| match state.images.get(&id) {
            None => Done::unchanged(()),
            Some(image) if !is_stray(image, &owner) => {
                Err(Error::new(ErrorKind::Conflict, "remove stray", "it is in use").with_resource(&id))
            }
            Some(_) => {
                state.images.remove(&id);
                Done::changed((), format!("remove stray {id}"))
            }
        };
        self.mutate(CallClass::IdempotentMutation, "remove stray", apply).await
    }
}

fn is_stray(image: &Image, owner: &Owner) -> bool {
    let id = owner.service.as_str();
    image.labels.0.is_empty() && image.name.ends_with(&format!("-{}", id.get(..8).unwrap_or(id)))
}

fn stray(image: &Image) -> Stray {
    Stray {
        kind: StrayKind::Image,
        id: image.id.as_str().into(),
        name: image.name.clone(),
        region: None,
        created_at: image.created_at,
        why: "it was never labelled".to_owned(),
    }
}
