//! What is on offer: regions, instance types, and what Amazon and others publish, which is the machines' public images, as each region
//! names them. A subset, with the cloud's names and prices.

use std::collections::BTreeSet;

use super::{ids, state::Ami};
use crate::State;
use remint_sandbox_cloud::{
    catalogue::{Region, Size, size},
    state::Image,
};

pub(super) const REGIONS: &[Region] = &[
    Region { slug: "us-east-1", name: "US East (N. Virginia)" },
    Region { slug: "us-west-2", name: "US West (Oregon)" },
    Region { slug: "eu-central-1", name: "Europe (Frankfurt)" },
];

/// The instance types of EC2, cheapest first. A volume's size is the launch's to say; transfer is not included.
pub(super) const SIZES: &[Size] = &[
    size("t3.nano", "General purpose, burstable", 512, 2, 0, 0.0, 3.80),
    size("t3.micro", "General purpose, burstable", 1024, 2, 0, 0.0, 7.59),
    size("t3.small", "General purpose, burstable", 2048, 2, 0, 0.0, 15.18),
    size("t3.medium", "General purpose, burstable", 4096, 2, 0, 0.0, 30.37),
    // For arm64, which no public image of the sandbox is for.
    size("t4g.micro", "General purpose, burstable, Graviton", 1024, 2, 0, 0.0, 6.13),
];

/// The architecture of all of the sandbox's images.
pub(super) const IMAGES_ARE: &str = "x86_64";

/// The architecture that an instance type runs: Graviton processors have a `g` after the generation.
pub(super) fn architecture(kind: &str) -> &'static str {
    if kind.starts_with("t4g.") { "arm64" } else { IMAGES_ARE }
}

/// Who publishes the images that have no known publisher: Amazon.
const AMAZON: &str = "137112412989";

/// A public image, as one region offers it.
pub(super) struct PublicImage {
    pub(super) ami: Ami,
    pub(super) owner: &'static str,
    slug: String,
}

/// The public images of a region: those that the machines can be launched from.
pub(super) fn public_images(state: &State, region: &str) -> Vec<PublicImage> {
    let offer = |image: &Image| {
        let slug = image.slug.clone()?;
        let (owner, name) = published(&slug);
        let of = format!("{region} {slug}");
        let ami = Ami {
            id: ids::fixed("ami", &of),
            snapshot: ids::fixed("snap", &of),
            description: format!("{} {}", image.distribution, image.name),
            created_at: image.created_at,
            size: image.min_disk_size.max(1),
            shared: BTreeSet::from(["all".to_owned()]),
            ..Ami::new(region, &name, image.id)
        };
        Some(PublicImage { ami, owner, slug })
    };
    state.visible_images().filter_map(offer).collect()
}

/// Who publishes an image, and under which name.
fn published(slug: &str) -> (&'static str, String) {
    const DATE: &str = "20260101";
    match slug {
        "debian-12-x64" => ("136693071363", format!("debian-12-amd64-{DATE}-0000")),
        "debian-13-x64" => ("136693071363", format!("debian-13-amd64-{DATE}-0000")),
        "ubuntu-22-04-x64" => ("099720109477", format!("ubuntu/images/hvm-ssd/ubuntu-jammy-22.04-amd64-server-{DATE}")),
        "ubuntu-24-04-x64" => {
            ("099720109477", format!("ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-amd64-server-{DATE}"))
        }
        other => (AMAZON, format!("{other}-{DATE}")),
    }
}

/// The image that a public SSM parameter names in a region.
pub(super) fn parameter(state: &State, region: &str, name: &str) -> Option<String> {
    let slug = match name {
        "/aws/service/debian/release/12/latest/amd64" => "debian-12-x64",
        "/aws/service/debian/release/13/latest/amd64" => "debian-13-x64",
        "/aws/service/canonical/ubuntu/server/22.04/stable/current/amd64/hvm/ebs-gp2/ami-id" => "ubuntu-22-04-x64",
        "/aws/service/canonical/ubuntu/server/24.04/stable/current/amd64/hvm/ebs-gp3/ami-id" => "ubuntu-24-04-x64",
        _ => return None,
    };
    let found = public_images(state, region).into_iter().find(|image| image.slug == slug);
    found.map(|image| image.ami.id)
}

/// The alias of an image's owner, where it has one.
pub(super) fn alias(owner: &str) -> Option<&'static str> {
    (owner == AMAZON).then_some("amazon")
}
