//! What is on offer: regions, sizes, distributions. A subset of DigitalOcean's, with its slugs and prices.

/// A region.
#[derive(Debug)]
pub(crate) struct Region {
    pub(crate) slug: &'static str,
    pub(crate) name: &'static str,
}

/// All regions. Every size and public image is in each of them.
pub(crate) const REGIONS: &[Region] = &[
    Region { slug: "nyc1", name: "New York 1" },
    Region { slug: "nyc3", name: "New York 3" },
    Region { slug: "sfo2", name: "San Francisco 2" },
    Region { slug: "sfo3", name: "San Francisco 3" },
    Region { slug: "ams3", name: "Amsterdam 3" },
    Region { slug: "sgp1", name: "Singapore 1" },
    Region { slug: "lon1", name: "London 1" },
    Region { slug: "fra1", name: "Frankfurt 1" },
    Region { slug: "tor1", name: "Toronto 1" },
    Region { slug: "blr1", name: "Bangalore 1" },
    Region { slug: "syd1", name: "Sydney 1" },
];

/// A size.
#[derive(Debug)]
pub(crate) struct Size {
    pub(crate) slug: &'static str,
    pub(crate) description: &'static str,
    /// In MiB.
    pub(crate) memory: u64,
    pub(crate) vcpus: u32,
    /// In GiB.
    pub(crate) disk: u64,
    /// In TiB a month.
    pub(crate) transfer: f64,
    /// In US dollars.
    pub(crate) monthly: f64,
}

impl Size {
    /// In US dollars: 672 hours are billed as a month.
    pub(crate) fn hourly(&self) -> f64 {
        (self.monthly / 672.0 * 100_000.0).round() / 100_000.0
    }
}

const fn size(
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

/// All sizes, cheapest first.
pub(crate) const SIZES: &[Size] = &[
    size("s-1vcpu-512mb-10gb", "Basic", 512, 1, 10, 0.5, 4.0),
    size("s-1vcpu-1gb", "Basic", 1024, 1, 25, 1.0, 6.0),
    size("s-1vcpu-2gb", "Basic", 2048, 1, 50, 2.0, 12.0),
    size("s-2vcpu-2gb", "Basic", 2048, 2, 60, 3.0, 18.0),
    size("s-2vcpu-4gb", "Basic", 4096, 2, 80, 4.0, 24.0),
    size("c-2", "CPU-Optimized", 4096, 2, 25, 4.0, 42.0),
    size("s-4vcpu-8gb", "Basic", 8192, 4, 160, 5.0, 48.0),
    size("g-2vcpu-8gb", "General Purpose", 8192, 2, 25, 4.0, 63.0),
    size("c-4", "CPU-Optimized", 8192, 4, 50, 5.0, 84.0),
    size("m-2vcpu-16gb", "Memory-Optimized", 16384, 2, 50, 4.0, 84.0),
    size("s-8vcpu-16gb", "Basic", 16384, 8, 320, 6.0, 96.0),
    size("g-4vcpu-16gb", "General Purpose", 16384, 4, 50, 5.0, 126.0),
];

/// The size of that slug.
pub(crate) fn find_size(slug: &str) -> Option<&'static Size> {
    SIZES.iter().find(|size| size.slug == slug)
}

/// The region of that slug.
pub(crate) fn find_region(slug: &str) -> Option<&'static Region> {
    REGIONS.iter().find(|region| region.slug == slug)
}

/// The distribution of a public image, from its slug, in the specification's words.
pub(crate) fn distribution(slug: &str) -> &'static str {
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
pub(crate) fn display_name(slug: &str) -> String {
    match slug.split_once('-') {
        Some((_, rest)) if distribution(slug) != "Unknown" => rest.replace('-', " "),
        _ => slug.to_owned(),
    }
}
