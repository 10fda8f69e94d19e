//! What an account can be offered: regions, sizes, distributions.

use super::{Front, state::State};

/// Where machines can be.
#[derive(Debug)]
pub struct Region {
    /// The name in requests: `fra1`.
    pub slug: &'static str,
    /// The name for people; of a zone, its region.
    pub name: &'static str,
}

/// What a machine can be.
#[derive(Debug)]
pub struct Size {
    /// The name in requests: `s-1vcpu-1gb`.
    pub slug: &'static str,
    /// The class that it belongs to.
    pub description: &'static str,
    /// In MiB.
    pub memory: u64,
    /// Virtual processors.
    pub vcpus: u32,
    /// In GiB.
    pub disk: u64,
    /// In TiB a month.
    pub transfer: f64,
    /// In US dollars.
    pub monthly: f64,
}

impl Size {
    /// In US dollars: 672 hours are billed as a month.
    pub fn hourly(&self) -> f64 {
        (self.monthly / 672.0 * 100_000.0).round() / 100_000.0
    }
}

/// A size: memory in MiB, disk in GiB, transfer in TiB a month, price in US dollars a month.
pub const fn size(
    slug: &'static str,
    description: &'static str,
    memory: u64,
    vcpus: u32,
    disk: u64,
    transfer: f64,
    monthly: f64,
) -> Size {
    Size { slug, description, memory, vcpus, disk, transfer, monthly }
}

/// Where machines of an API can be, and what they can be.
impl<F: Front> State<F> {
    /// The API's size of that name.
    pub fn find_size(slug: &str) -> Option<&'static Size> {
        F::SIZES.iter().find(|size| size.slug == slug)
    }

    /// The API's region of that name.
    pub fn find_region(slug: &str) -> Option<&'static Region> {
        F::REGIONS.iter().find(|region| region.slug == slug)
    }
}

/// The distribution of a public image, from its slug, in the specification's words.
pub fn distribution(slug: &str) -> &'static str {
    let known = [
        ("debian", "Debian"),
        ("ubuntu", "Ubuntu"),
        ("fedora", "Fedora"),
        ("centos", "CentOS"),
        ("rockylinux", "Rocky Linux"),
        ("opensuse", "openSUSE"),
        ("archlinux", "Arch Linux"),
        ("freebsd", "FreeBSD"),
    ];
    known.iter().find(|(prefix, _)| slug.starts_with(prefix)).map_or("Unknown", |(_, name)| name)
}

/// The display name of a public image: `debian-12-x64` is `12 x64`.
pub fn display_name(slug: &str) -> String {
    match slug.split_once('-') {
        Some((_, rest)) if distribution(slug) != "Unknown" => rest.replace('-', " "),
        _ => slug.to_owned(),
    }
}
