//! What is on offer: zones, regions, machine types. A subset of the cloud's, with its names and prices.

use remint_sandbox_cloud::catalogue::{Region, Size, size};

/// The zones of Compute Engine, which is where instances are; the `name` of each is its region.
pub(super) const ZONES: &[Region] = &[
    Region { slug: "us-central1-a", name: "us-central1" },
    Region { slug: "us-central1-b", name: "us-central1" },
    Region { slug: "us-east1-b", name: "us-east1" },
    Region { slug: "europe-west3-a", name: "europe-west3" },
];

/// The machine types of Compute Engine, cheapest first.
pub(super) const SIZES: &[Size] = &[
    size("e2-micro", "Efficient Instance, shared core", 1024, 2, 0, 0.0, 6.11),
    size("e2-small", "Efficient Instance, shared core", 2048, 2, 0, 0.0, 12.23),
    size("e2-medium", "Efficient Instance, shared core", 4096, 2, 0, 0.0, 24.46),
];

pub(super) fn zone(name: &str) -> Option<&'static Region> {
    ZONES.iter().find(|zone| zone.slug == name)
}

/// The region that a zone is in.
pub(super) fn region_of(zone_name: &str) -> &'static str {
    zone(zone_name).map_or("", |zone| zone.name)
}

/// The regions, each once.
pub(super) fn regions() -> Vec<&'static str> {
    let mut names: Vec<&str> = ZONES.iter().map(|zone| zone.name).collect();
    names.dedup();
    names
}

pub(super) fn is_region(name: &str) -> bool {
    ZONES.iter().any(|zone| zone.name == name)
}

pub(super) fn machine_type(name: &str) -> Option<&'static Size> {
    SIZES.iter().find(|size| size.slug == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zone_begins_with_its_region() {
        assert!(
            ZONES.iter().all(
                |zone| zone.slug.strip_suffix(|c: char| c.is_ascii_lowercase()) == Some(&format!("{}-", zone.name))
            )
        );
        assert_eq!(region_of("us-central1-b"), "us-central1");
        assert_eq!(regions().iter().filter(|name| **name == "us-central1").count(), 1);
        assert!(is_region("europe-west3") && !is_region("europe-west3-a"));
    }
}
