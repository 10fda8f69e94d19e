//! What Compute Engine has on offer beside what the engine's catalogue says: regions, and how a zone tells its own.

use crate::cloud::{
    Api,
    catalogue::{self, Region, Size},
};

/// The zones; the `name` of each is its region.
pub(super) fn zones() -> &'static [Region] {
    catalogue::regions(Api::Gce)
}

pub(super) fn zone(name: &str) -> Option<&'static Region> {
    catalogue::find_region(Api::Gce, name)
}

/// The region that a zone is in.
pub(super) fn region_of(zone_name: &str) -> &'static str {
    zone(zone_name).map_or("", |zone| zone.name)
}

/// The regions, each once.
pub(super) fn regions() -> Vec<&'static str> {
    let mut names: Vec<&str> = zones().iter().map(|zone| zone.name).collect();
    names.dedup();
    names
}

pub(super) fn is_region(name: &str) -> bool {
    zones().iter().any(|zone| zone.name == name)
}

pub(super) fn machine_types() -> &'static [Size] {
    catalogue::sizes(Api::Gce)
}

pub(super) fn machine_type(name: &str) -> Option<&'static Size> {
    catalogue::find_size(Api::Gce, name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zone_begins_with_its_region() {
        assert!(
            zones().iter().all(
                |zone| zone.slug.strip_suffix(|c: char| c.is_ascii_lowercase()) == Some(&format!("{}-", zone.name))
            )
        );
        assert_eq!(region_of("us-central1-b"), "us-central1");
        assert_eq!(regions().iter().filter(|name| **name == "us-central1").count(), 1);
        assert!(is_region("europe-west3") && !is_region("europe-west3-a"));
    }
}
