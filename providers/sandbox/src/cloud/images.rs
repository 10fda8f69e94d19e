//! Images: the public ones, as the machines offer them, and snapshots.

use serde_json::Value;

use super::{
    ApiError, ApiResult, Cloud, Config,
    action::{Begin, now},
    catalogue,
    state::{Action, Image, State, Work},
};
use crate::machine::{DiskImage, DiskInfo};

impl Cloud {
    /// Brings the public images in step with what the machines can be launched from now: images are built and imported
    /// while the sandbox runs.
    pub(crate) async fn refresh_images(&self) {
        let _one_at_a_time = self.inner.looking.lock().await;
        let offered = match self.inner.hypervisor.base_images().await {
            Ok(offered) => offered,
            Err(error) => return tracing::warn!(%error, "cannot list the base images"),
        };
        let known: Vec<(DiskImage, bool)> = self.read(|state| {
            state.images.values().filter(|i| i.public()).map(|i| (i.disk.clone(), i.available)).collect()
        });
        let news = |disk: &&DiskImage| !known.iter().any(|(known, available)| known == *disk && *available);
        let mut found = Vec::new();
        for disk in offered.iter().filter(news) {
            match self.inner.hypervisor.image(disk).await {
                Ok(info) => found.push((disk.clone(), info)),
                Err(error) => tracing::warn!(%error, "a base image cannot be used"),
            }
        }
        if found.is_empty() && known.iter().all(|(disk, available)| !available || offered.contains(disk)) {
            return;
        }
        let changed = self.change(|state| {
            for image in state.images.values_mut().filter(|image| image.public()) {
                image.available = offered.contains(&image.disk);
            }
            for (disk, info) in &found {
                state.offer(disk, info);
            }
            Ok(())
        });
        if let Err(error) = changed {
            tracing::error!(%error, "cannot record the base images");
        }
    }

    /// Deletes a snapshot and its disk.
    pub(crate) async fn delete_image(&self, id: u64) -> ApiResult<()> {
        // Hidden first, then the disk, then forgotten: a sandbox killed in between goes on with the hidden ones.
        let disk = self.change(|state| {
            let image = state.image(id)?;
            if image.public() {
                return Err(ApiError::forbidden());
            }
            if image.pending.is_some() {
                return Err(ApiError::unprocessable("Image already has a pending event."));
            }
            let disk = image.disk.clone();
            if let Some(image) = state.images.get_mut(&id) {
                image.available = false;
            }
            Ok(disk)
        })?;
        let cloud = self.clone();
        let forgotten = tokio::spawn(async move { cloud.forget_image(id, &disk).await });
        forgotten.await.unwrap_or_else(|error| Err(ApiError::internal(error.to_string())))
    }

    /// Goes on with deletions that an earlier process began.
    pub(crate) async fn forget_hidden_images(&self) {
        let hidden: Vec<(u64, DiskImage)> = self.read(|state| {
            let hidden = state.images.values().filter(|image| !image.public() && !image.available);
            hidden.map(|image| (image.id, image.disk.clone())).collect()
        });
        for (id, disk) in hidden {
            if let Err(error) = self.forget_image(id, &disk).await {
                tracing::error!(%error, image = id, "cannot delete a snapshot's disk");
            }
        }
    }

    async fn forget_image(&self, id: u64, disk: &DiskImage) -> ApiResult<()> {
        self.inner.hypervisor.delete_image(disk).await.map_err(|error| ApiError::internal(error.to_string()))?;
        self.change(|state| {
            state.images.remove(&id);
            Ok(())
        })
    }
}

impl State {
    pub(crate) fn visible_images(&self) -> impl Iterator<Item = &Image> {
        self.images.values().filter(|image| image.available)
    }

    pub(crate) fn image(&self, id: u64) -> ApiResult<&Image> {
        self.images.get(&id).filter(|image| image.available).ok_or_else(ApiError::not_found)
    }

    /// An image by its id or slug. A snapshot's name is neither.
    pub(crate) fn find_image(&self, identifier: &str) -> Option<&Image> {
        match identifier.parse::<u64>() {
            Ok(id) => self.image(id).ok(),
            Err(_) => self.visible_images().find(|image| image.slug.as_deref() == Some(identifier)),
        }
    }

    /// The image that a request names, by id (number or text) or slug.
    pub(crate) fn image_for(&self, named: Option<&Value>) -> Option<&Image> {
        let named = named?;
        self.find_image(&named.as_str().map_or_else(|| named.to_string(), str::to_owned))
    }

    /// Renames a snapshot.
    pub(crate) fn rename_image(&mut self, id: u64, name: Option<&str>) -> ApiResult<Image> {
        if self.image(id)?.public() {
            return Err(ApiError::forbidden());
        }
        if name.is_some_and(str::is_empty) {
            return Err(ApiError::unprocessable("Name can't be blank"));
        }
        let image = self.images.get_mut(&id).ok_or_else(ApiError::not_found)?;
        if let Some(name) = name {
            name.clone_into(&mut image.name);
        }
        Ok(image.clone())
    }

    /// Begins to transfer an image to another region, or to convert it.
    pub(crate) fn act_on_image(
        &mut self,
        config: &Config,
        id: u64,
        kind: &str,
        region: Option<&str>,
    ) -> ApiResult<Action> {
        let image = self.image(id)?;
        if image.public() {
            return Err(ApiError::forbidden());
        }
        if image.pending.is_some() {
            return Err(ApiError::unprocessable("Image already has a pending event."));
        }
        let home = image.regions.first().cloned().unwrap_or_default();
        let (kind, region, work) = match kind {
            "transfer" => {
                let region = region
                    .and_then(|slug| catalogue::find_region(self.api, slug))
                    .ok_or_else(|| ApiError::unprocessable("You specified an invalid region."))?;
                if image.regions.contains(region.slug) {
                    return Err(ApiError::unprocessable("Image is already available in that region."));
                }
                let region = region.slug.to_owned();
                ("transfer", region.clone(), Work::Transfer { image: id, region })
            }
            "convert" => ("convert", home, Work::Convert { image: id }),
            _ => return Err(ApiError::unprocessable("You specified an invalid action type.")),
        };
        Ok(self.begin(config, Begin { kind, resource_type: "image", resource_id: id, region, work }))
    }

    /// Offers a public image, under the number that it had before if it was offered before.
    fn offer(&mut self, disk: &DiskImage, info: &DiskInfo) {
        let slug = disk.0.clone();
        let known = self.images.values().find(|image| image.slug.as_ref() == Some(&slug));
        let (id, created_at) = match known {
            Some(image) => (image.id, image.created_at),
            None => (self.next_id(), now()),
        };
        let image = Image {
            id,
            name: catalogue::display_name(&slug),
            distribution: catalogue::distribution(&slug).to_owned(),
            slug: Some(slug),
            disk: disk.clone(),
            regions: catalogue::regions(self.api).iter().map(|region| region.slug.to_owned()).collect(),
            created_at,
            min_disk_size: info.virtual_gib,
            size_bytes: info.size_bytes,
            tags: std::collections::BTreeSet::new(),
            source: None,
            pending: None,
            available: true,
        };
        self.images.insert(id, image);
    }
}
