//! The public images, under the names that their publishers give them.

use super::error::{Refusal, Result};
use remint_sandbox_cloud::state::Image;
use remint_sandbox_machines::base_image::DEBIAN_12;

use crate::State;

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
    Public { slug: DEBIAN_12, project: DEBIAN, family: "debian-12", name: "debian-12-bookworm-v20260101" },
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

/// The public images: those that the machines can be launched from.
pub(super) fn all(state: &State) -> Vec<PublicImage<'_>> {
    named(state.visible_images())
}

/// Google's names of images. Where there is no Ubuntu among them, the sandbox's own base image stands for it as well.
fn named<'a>(images: impl Iterator<Item = &'a Image>) -> Vec<PublicImage<'a>> {
    let mut all: Vec<PublicImage<'_>> = images.filter_map(own).collect();
    if !all.iter().any(|public| public.name == UBUNTU.name)
        && let Some(base) = all.iter().map(|public| public.image).find(|image| image.slug.as_deref() == Some(DEBIAN_12))
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

/// The public image of a project that has a name or number, or the one of a family.
pub(super) fn find<'a>(state: &'a State, project: &str, family: bool, name: &str) -> Result<PublicImage<'a>> {
    let found = all(state).into_iter().find(|public| {
        let same = match family {
            true => name == public.family,
            false => name == public.name || name == public.id.to_string(),
        };
        public.project == project && same
    });
    let below = if family { "family/" } else { "" };
    found.ok_or_else(|| Refusal::not_found(format!("projects/{project}/global/images/{below}{name}")))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use jiff::Timestamp;

    use super::*;
    use remint_sandbox_machines::DiskImage;

    fn image(id: u64, slug: &str) -> Image {
        Image {
            id,
            name: slug.to_owned(),
            distribution: String::new(),
            slug: Some(slug.to_owned()),
            disk: DiskImage(slug.to_owned()),
            regions: BTreeSet::new(),
            created_at: Timestamp::UNIX_EPOCH,
            min_disk_size: 8,
            size_bytes: 1,
            tags: BTreeSet::new(),
            source: None,
            pending: None,
            available: true,
        }
    }

    #[test]
    fn the_sandboxs_own_base_image_stands_for_ubuntu_where_there_is_none() {
        let ubuntu = |images: &[Image]| -> Vec<(u64, u64)> {
            let found = named(images.iter());
            let of_ubuntu =
                found.iter().filter(|public| public.project == UBUNTU.project && public.family == UBUNTU.family);
            of_ubuntu.map(|public| (public.id, public.image.id)).collect()
        };
        let built = [image(7, "mine"), image(8, DEBIAN_12)];
        assert_eq!(ubuntu(&built), [(STAND_INS + 8, 8)], "the same machine image, under a number of its own");
        let debian = named(built.iter());
        assert!(debian.iter().any(|public| public.id == 8 && public.project == DEBIAN), "{debian:?}");
        let imported = [image(8, DEBIAN_12), image(9, UBUNTU.slug)];
        assert_eq!(ubuntu(&imported), [(9, 9)], "the user's own goes first");
        assert_eq!(ubuntu(&[image(7, "mine")]), []);
    }
}
