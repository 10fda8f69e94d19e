//! What is on offer: regions, sizes, distributions. A subset of each cloud's, with its names and prices.

use super::Api;

#[derive(Debug)]
pub(crate) struct Region {
    pub(crate) slug: &'static str,
    pub(crate) name: &'static str,
}

/// DigitalOcean's regions. Every size and public image is in each of them.
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

/// DigitalOcean's sizes, cheapest first.
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

const EC2_REGIONS: &[Region] = &[
    Region { slug: "us-east-1", name: "US East (N. Virginia)" },
    Region { slug: "us-west-2", name: "US West (Oregon)" },
    Region { slug: "eu-central-1", name: "Europe (Frankfurt)" },
];

/// The instance types of EC2, cheapest first. A volume's size is the launch's to say; transfer is not included.
const EC2_SIZES: &[Size] = &[
    size("t3.nano", "General purpose, burstable", 512, 2, 0, 0.0, 3.80),
    size("t3.micro", "General purpose, burstable", 1024, 2, 0, 0.0, 7.59),
    size("t3.small", "General purpose, burstable", 2048, 2, 0, 0.0, 15.18),
    size("t3.medium", "General purpose, burstable", 4096, 2, 0, 0.0, 30.37),
    // For arm64, which no public image of the sandbox is for.
    size("t4g.micro", "General purpose, burstable, Graviton", 1024, 2, 0, 0.0, 6.13),
];

/// The zones of Compute Engine, which is where instances are.
const GCE_ZONES: &[Region] = &[
    Region { slug: "us-central1-a", name: "us-central1" },
    Region { slug: "us-central1-b", name: "us-central1" },
    Region { slug: "us-east1-b", name: "us-east1" },
    Region { slug: "europe-west3-a", name: "europe-west3" },
];

/// The machine types of Compute Engine, cheapest first.
const GCE_SIZES: &[Size] = &[
    size("e2-micro", "Efficient Instance, shared core", 1024, 2, 0, 0.0, 6.11),
    size("e2-small", "Efficient Instance, shared core", 2048, 2, 0, 0.0, 12.23),
    size("e2-medium", "Efficient Instance, shared core", 4096, 2, 0, 0.0, 24.46),
];

/// An API's regions; of Compute Engine, its zones, whose `name` is their region.
pub(crate) fn regions(api: Api) -> &'static [Region] {
    match api {
        Api::DigitalOcean => REGIONS,
        Api::Ec2 => EC2_REGIONS,
        Api::Gce => GCE_ZONES,
    }
}

/// An API's sizes, cheapest first.
pub(crate) fn sizes(api: Api) -> &'static [Size] {
    match api {
        Api::DigitalOcean => SIZES,
        Api::Ec2 => EC2_SIZES,
        Api::Gce => GCE_SIZES,
    }
}

/// An API's size of that name.
pub(crate) fn find_size(api: Api, slug: &str) -> Option<&'static Size> {
    sizes(api).iter().find(|size| size.slug == slug)
}

/// An API's region of that name.
pub(crate) fn find_region(api: Api, slug: &str) -> Option<&'static Region> {
    regions(api).iter().find(|region| region.slug == slug)
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
