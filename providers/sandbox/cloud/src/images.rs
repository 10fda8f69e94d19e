//! Images: the public ones, as the machines offer them, and snapshots.

use super::{
    ApiError, ApiResult, Cloud, Front,
    action::now,
    catalogue,
    state::{Image, State},
};
use remint_sandbox_machines::{DiskImage, DiskInfo};

impl<F: Front> Cloud<F> {
    /// Brings the public images in step with what the machines can be launched from now: images are built and imported
    /// while the sandbox runs.
    pub async fn refresh_images(&self) {
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
    pub async fn delete_image(&self, id: u64) -> ApiResult<()> {
        // Hidden first, then the disk, then forgotten: a sandbox killed in between goes on with the hidden ones.
        let disk = self.change(|state| {
            let image = state.image(id)?;
            if image.public() {
                return Err(ApiError::forbidden());
            }
            if image.pending.is_some() {
                return Err(ApiError::busy());
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
    pub async fn forget_hidden_images(&self) {
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

impl<F: Front> State<F> {
    /// The images that a client sees.
    pub fn visible_images(&self) -> impl Iterator<Item = &Image> {
        self.images.values().filter(|image| image.available)
    }

    /// An image that a client sees.
    ///
    /// # Errors
    ///
    /// `not_found`.
    pub fn image(&self, id: u64) -> ApiResult<&Image> {
        self.images.get(&id).filter(|image| image.available).ok_or_else(ApiError::not_found)
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
            regions: F::REGIONS.iter().map(|region| region.slug.to_owned()).collect(),
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
