//! What an account can be offered: regions, sizes, distributions.

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

/// The distribution of a public image, from its slug, in the specification's words.
pub(super) fn distribution(slug: &str) -> &'static str {
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
pub(super) fn display_name(slug: &str) -> String {
    match slug.split_once('-') {
        Some((_, rest)) if distribution(slug) != "Unknown" => rest.replace('-', " "),
        _ => slug.to_owned(),
    }
}
