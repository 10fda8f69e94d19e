//! The public images, under the names that their publishers give them.

use super::reference::Reference;
use crate::{
    base_image::DEBIAN_12,
    cloud::state::{Image, State},
};

/// The project of base images that no publisher has.
const OTHERS: &str = "sandbox-images";
/// The project of images that have no cloud-init at Google.
const DEBIAN: &str = "debian-cloud";
/// Above the numbers of all other resources.
const STAND_INS: u64 = 1 << 40;

/// A base image, and where Google has it.
struct Public {
    slug: &'static str,
    project: &'static str,
    family: &'static str,
    name: &'static str,
}

/// What services start from, unless they say otherwise.
const UBUNTU: Public = Public {
    slug: "ubuntu-24-04-x64",
    project: "ubuntu-os-cloud",
    family: "ubuntu-2404-lts-amd64",
    name: "ubuntu-2404-noble-amd64-v20260101",
};

const KNOWN: [Public; 4] = [
    Public {
        slug: DEBIAN_12,
        project: DEBIAN,
        family: "debian-12",
        name: "debian-12-bookworm-v20260101",
    },
    Public { slug: "debian-13-x64", project: DEBIAN, family: "debian-13", name: "debian-13-trixie-v20260101" },
    Public {
        slug: "ubuntu-22-04-x64",
        project: "ubuntu-os-cloud",
        family: "ubuntu-2204-lts",
        name: "ubuntu-2204-jammy-v20260101",
    },
    UBUNTU,
];

/// A public image: what Google calls it, and the engine's image that it stands on.
#[derive(Debug)]
pub(super) struct PublicImage<'a> {
    /// Its number, which no other image has.
    pub(super) id: u64,
    pub(super) project: &'static str,
    pub(super) family: String,
    pub(super) name: String,
    pub(super) image: &'a Image,
}

/// Whether a project publishes images.
pub(super) fn is_project(project: &str) -> bool {
    project == OTHERS || KNOWN.iter().any(|public| public.project == project)
}

/// Whether the image of a path, from its project's name on, is one that has no cloud-init at Google. What stands for it here
/// has it.
pub(super) fn lacks_cloud_init(path: &str) -> bool {
    path.split('/').next() == Some(DEBIAN)
}

/// The public images: those that the machines can be launched from. Where there is no Ubuntu among them, the sandbox's own base
/// image stands for it as well.
pub(super) fn all(state: &State) -> Vec<PublicImage<'_>> {
    let mut all: Vec<PublicImage<'_>> = state.visible_images().filter_map(own).collect();
    if !all.iter().any(|public| public.name == UBUNTU.name)
        && let Some(base) = state.find_image(DEBIAN_12)
    {
        all.push(PublicImage { id: STAND_INS + base.id, ..known(&UBUNTU, base) });
    }
    all
}

fn known<'a>(public: &Public, image: &'a Image) -> PublicImage<'a> {
    let (family, name) = (public.family.to_owned(), public.name.to_owned());
    PublicImage { id: image.id, project: public.project, family, name, image }
}

fn own(image: &Image) -> Option<PublicImage<'_>> {
    let slug = image.slug.as_deref()?;
    Some(match KNOWN.iter().find(|public| public.slug == slug) {
        Some(public) => known(public, image),
        None => PublicImage { id: image.id, project: OTHERS, family: slug.to_owned(), name: slug.to_owned(), image },
    })
}

/// The public image that a reference names, by its name, its number or its family.
pub(super) fn find<'a>(state: &'a State, project: &str, reference: &Reference<'_>) -> Option<PublicImage<'a>> {
    let (family, name) = reference.image()?;
    all(state).into_iter().find(|public| {
        let same = match family {
            true => name == public.family,
            false => name == public.name || name == public.id.to_string(),
        };
        public.project == project && same
    })
}
