//! The public images, under the names that their publishers give them.

use super::reference::Reference;
use crate::cloud::state::{Image, State};

/// The project of base images that no publisher has.
const OTHERS: &str = "sandbox-images";

/// A base image, and where Google has it.
struct Public {
    slug: &'static str,
    project: &'static str,
    family: &'static str,
    name: &'static str,
}

const KNOWN: [Public; 4] = [
    Public {
        slug: "debian-12-x64",
        project: "debian-cloud",
        family: "debian-12",
        name: "debian-12-bookworm-v20260101",
    },
    Public { slug: "debian-13-x64", project: "debian-cloud", family: "debian-13", name: "debian-13-trixie-v20260101" },
    Public {
        slug: "ubuntu-22-04-x64",
        project: "ubuntu-os-cloud",
        family: "ubuntu-2204-lts",
        name: "ubuntu-2204-jammy-v20260101",
    },
    Public {
        slug: "ubuntu-24-04-x64",
        project: "ubuntu-os-cloud",
        family: "ubuntu-2404-lts-amd64",
        name: "ubuntu-2404-noble-amd64-v20260101",
    },
];

/// What a public image is called.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct PublicName {
    pub(super) project: &'static str,
    pub(super) family: String,
    pub(super) name: String,
}

/// Whether a project publishes images.
pub(super) fn is_project(project: &str) -> bool {
    project == OTHERS || KNOWN.iter().any(|public| public.project == project)
}

/// What an image is called, if it is public.
pub(super) fn name_of(image: &Image) -> Option<PublicName> {
    let slug = image.slug.as_deref()?;
    Some(match KNOWN.iter().find(|public| public.slug == slug) {
        Some(known) => {
            PublicName { project: known.project, family: known.family.to_owned(), name: known.name.to_owned() }
        }
        None => PublicName { project: OTHERS, family: slug.to_owned(), name: slug.to_owned() },
    })
}

/// The public image that a reference names, by its name or by its family.
pub(super) fn find<'a>(state: &'a State, project: &str, reference: &Reference<'_>) -> Option<&'a Image> {
    let (family, name) = reference.image()?;
    state.visible_images().find(|image| {
        name_of(image).is_some_and(|public| {
            let same = match family {
                true => name == public.family,
                false => name == public.name || name == image.id.to_string(),
            };
            public.project == project && same
        })
    })
}
