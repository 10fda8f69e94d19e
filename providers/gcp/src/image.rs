//! Images are global: one that is captured anywhere can be launched everywhere.
//!
//! A base image is written `PROJECT/FAMILY`, `PROJECT/IMAGE` or, in the account's own project, either name alone. A
//! family means its newest image that is not deprecated.

use std::collections::{BTreeSet, HashMap};

use async_trait::async_trait;
use google_cloud_compute_v1::model::{self, GlobalSetLabelsRequest, image::Status};
use jiff::Timestamp;
use remint_core::provider::{
    Capability, CaptureProgress, CaptureSpec, Error, ErrorKind, Image, ImageId, ImageState, Images, Labels, Region,
    Regions, Result, Selector, nearest,
};

use crate::{
    Gcp,
    error::Subject,
    labelling,
    names::{ImagePath, after},
};

pub(crate) mod base;
mod capture;
#[cfg(test)]
mod tests;

impl Gcp {
    /// An image in Remint's words.
    fn image(&self, project: &str, found: &model::Image) -> Image {
        let path = ImagePath {
            project: project.to_owned(),
            name: found.name.clone().unwrap_or_default(),
            number: found.id.map(|number| number.to_string()),
        };
        let own = project == self.client.project;
        let state = match &found.status {
            Some(Status::Ready) | None => ImageState::Available,
            Some(Status::Failed) => ImageState::Failed("Google says that its creation failed, and not why".to_owned()),
            Some(Status::Deleting) => ImageState::Failed("the image is being deleted".to_owned()),
            Some(_) => ImageState::Pending,
        };
        Image {
            id: path.id(),
            name: path.name,
            labels: if own { labelling::from_wire(&found.labels) } else { Labels::new() },
            state,
            regions: Regions::All,
            min_disk_gib: found.disk_size_gb.and_then(|gib| gib.try_into().ok()).unwrap_or_default(),
            size_bytes: found.archive_size_bytes.and_then(|bytes| bytes.try_into().ok()),
            created_at: found.creation_timestamp.as_deref().and_then(|text| text.parse::<Timestamp>().ok()),
        }
    }

    async fn read_image(&self, subject: &Subject, path: &ImagePath) -> Result<Option<model::Image>> {
        let client = &self.client;
        let ask = || client.images.get().set_project(&path.project).set_image(path.key()).send();
        client.look_up(subject, ask).await
    }

    /// The newest image of a family, with the project that it is in.
    async fn newest(&self, subject: &Subject, path: &ImagePath) -> Result<Option<model::Image>> {
        let client = &self.client;
        let ask = || client.images.get_from_family().set_project(&path.project).set_family(&path.name).send();
        client.look_up(subject, ask).await
    }

    async fn find_images(&self, subject: &Subject, project: &str, filter: Option<&str>) -> Result<Vec<model::Image>> {
        let client = &self.client;
        let page = |token: Option<String>| {
            let ask = client.images.list().set_project(project).set_or_clear_page_token(token);
            ask.set_or_clear_filter(filter).send()
        };
        client.pages(subject, page, |page: model::ImageList| (page.items, page.next_page_token)).await
    }

    async fn no_image(&self, subject: &Subject, base: &str, path: &ImagePath) -> Error {
        let known = self.find_images(subject, &path.project, None).await.unwrap_or_default();
        let names: BTreeSet<String> = known
            .iter()
            .flat_map(|image| [&image.family, &image.name])
            .flatten()
            .map(|name| format!("{}/{name}", path.project))
            .collect();
        let hint = match names.is_empty() {
            true => format!("write PROJECT/FAMILY, such as `{}`; project {} shows no image", base::USUAL, path.project),
            false => format!("families and images there: {}", nearest(base, names.iter().map(String::as_str))),
        };
        subject.error(ErrorKind::NotFound, "no image or family has this name").with_hint(hint)
    }
}

#[async_trait]
impl Images for Gcp {
    async fn resolve(&self, base: &str, region: &Region) -> Result<Image> {
        const OPERATION: &str = "find base image";
        let subject = Subject::new(OPERATION).about(format!("`{base}`"));
        let path = ImagePath::parse(OPERATION, base, &self.client.project)?;
        self.check_zone(OPERATION, region).await?;
        // A base is most often a family, and one's own image or an id most often an image.
        let own = path.project == self.client.project;
        let found = if own || path.number.is_some() {
            match self.read_image(&subject, &path).await? {
                Some(found) => Some(found),
                None => self.newest(&subject, &path).await?,
            }
        } else {
            match self.newest(&subject, &path).await? {
                Some(found) => Some(found),
                None => self.read_image(&subject, &path).await?,
            }
        };
        let Some(found) = found else { return Err(self.no_image(&subject, base, &path).await) };
        let project = found.self_link.as_deref().and_then(|link| after(link, "projects")).unwrap_or(&path.project);
        let mut image = self.image(project, &found);
        if !own {
            base.clone_into(&mut image.name);
        }
        Ok(image)
    }

    async fn capture(&self, spec: &CaptureSpec) -> Result<CaptureProgress> {
        self.advance_capture(spec).await
    }

    async fn list(&self, selector: &Selector) -> Result<Vec<Image>> {
        const OPERATION: &str = "list images";
        let filter = labelling::filter(OPERATION, selector)?;
        let project = &self.client.project;
        let found = self.find_images(&Subject::new(OPERATION), project, Some(&filter)).await?;
        let standing = found.iter().filter(|image| image.status != Some(Status::Deleting));
        let mut all: Vec<Image> = standing.map(|found| self.image(project, found)).collect();
        all.retain(|image| !image.labels.0.is_empty() && image.labels.matches(selector));
        Ok(all)
    }

    async fn get(&self, id: &ImageId) -> Result<Image> {
        const OPERATION: &str = "get image";
        let subject = Subject::new(OPERATION).about(id);
        let path = ImagePath::parse(OPERATION, id.as_str(), &self.client.project)?;
        match self.read_image(&subject, &path).await? {
            Some(found) if found.status != Some(Status::Deleting) => Ok(self.image(&path.project, &found)),
            _ => Err(subject.error(ErrorKind::NotFound, "there is no such image")),
        }
    }

    async fn label(&self, id: &ImageId, labels: &Labels) -> Result<()> {
        const OPERATION: &str = "label image";
        let subject = Subject::new(OPERATION).about(id);
        let path = ImagePath::parse(OPERATION, id.as_str(), &self.client.project)?;
        labels.check(OPERATION)?;
        let missing = || subject.error(ErrorKind::NotFound, "the project has no such image");
        if path.project != self.client.project {
            return Err(missing());
        }
        let (client, path, subject) = (&self.client, &path, &subject);
        let read = || async move {
            let found = self.read_image(subject, path).await?;
            let found = found.filter(|image| image.status != Some(Status::Deleting)).ok_or_else(missing)?;
            Ok((found.labels, found.label_fingerprint))
        };
        let set = |request: String, labels, fingerprint| {
            let body = GlobalSetLabelsRequest::new().set_labels::<HashMap<_, _>, _, _>(labels);
            let body = body.set_or_clear_label_fingerprint(fingerprint);
            // This method has no request id: the fingerprint keeps a repetition from doing harm.
            drop(request);
            let ask = client.images.set_labels().set_project(&client.project).set_resource(path.key());
            ask.set_body(body).send()
        };
        self.relabel(subject, labels, read, set).await
    }

    async fn copy(&self, _: &ImageId, _: &Region) -> Result<()> {
        Err(Error::unsupported("copy image", Capability::ImageCopyRegions))
    }

    async fn delete(&self, id: &ImageId) -> Result<()> {
        const OPERATION: &str = "delete image";
        let subject = Subject::new(OPERATION).about(id);
        let path = ImagePath::parse(OPERATION, id.as_str(), &self.client.project)?;
        let client = &self.client;
        let ask = |request: String| {
            client.images.delete().set_project(&path.project).set_image(path.key()).set_request_id(request).send()
        };
        match client.mutate(&subject, ask).await {
            Ok(operation) => self.glance(&subject, &operation).await.map(drop),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        }
    }
}
