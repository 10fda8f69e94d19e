//! How one resource names another: a whole URL, or the part of it from the project or from the zone on.

use super::{
    PROJECT,
    error::{Refusal, Result},
};

/// A reference, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reference<'a> {
    /// The project; ours when it names none.
    pub(super) project: &'a str,
    /// What follows it: `["zones", "us-central1-a", "instances", "web"]`.
    pub(super) path: Vec<&'a str>,
}

impl<'a> Reference<'a> {
    pub(super) fn parse(text: &'a str) -> Self {
        let below = match text.split_once("://") {
            Some((_, rest)) => rest.split_once("/projects/").map_or("", |(_, rest)| rest),
            None => text.trim_start_matches('/').strip_prefix("projects/").unwrap_or_default(),
        };
        match below.split_once('/') {
            Some((project, path)) => Self { project, path: path.split('/').collect() },
            None => Self { project: PROJECT, path: text.split('/').collect() },
        }
    }

    /// The zone and name of a zonal resource of a kind. A bare name is taken to be in `zone`.
    pub(super) fn zonal(&self, kind: &str, zone: &'a str) -> Option<(&'a str, &'a str)> {
        match *self.path {
            ["zones", zone, found, name] if found == kind => Some((zone, name)),
            [name] => Some((zone, name)),
            _ => None,
        }
    }

    /// The name of a resource of a region. A bare name is taken to be in it.
    pub(super) fn regional(&self, kind: &str, region: &str) -> Option<&'a str> {
        match *self.path {
            ["regions", found_region, found, name] if found == kind && found_region == region => Some(name),
            [name] => Some(name),
            _ => None,
        }
    }

    /// The name of an image, and whether it is a family's.
    pub(super) fn image(&self) -> Option<(bool, &'a str)> {
        match *self.path {
            ["global", "images", "family", name] | ["family", name] => Some((true, name)),
            ["global", "images", name] | [name] => Some((false, name)),
            _ => None,
        }
    }
}

/// A name within a path, with the project before it.
pub(super) fn full(below: &str) -> String {
    format!("projects/{PROJECT}/{below}")
}

/// The only architecture.
pub(super) const X86: &str = "X86_64";

/// Whether a text is there and says something else than what is usual.
pub(super) fn differs(text: &Option<String>, usual: &str) -> bool {
    text.as_deref().is_some_and(|text| !text.is_empty() && text != usual)
}

/// Refuses a name that is none: a letter, then up to 62 letters, digits and hyphens, no hyphen last.
pub(super) fn check_name(field: &str, name: &str) -> Result<()> {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let good = (1..=63).contains(&name.len())
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && !name.ends_with('-')
        && name.chars().all(inner);
    if good {
        return Ok(());
    }
    let why = "Must be a match of regex '(?:[a-z](?:[-a-z0-9]{0,61}[a-z0-9])?)'";
    Err(Refusal::invalid(field, name, why))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_may_be_whole_or_begin_anywhere() {
        let path = ["zones", "us-central1-a", "instances", "web"];
        for text in [
            "https://www.googleapis.com/compute/v1/projects/remint-sandbox/zones/us-central1-a/instances/web",
            "http://127.0.0.1:7070/compute/v1/projects/remint-sandbox/zones/us-central1-a/instances/web",
            "projects/remint-sandbox/zones/us-central1-a/instances/web",
            "zones/us-central1-a/instances/web",
        ] {
            assert_eq!(Reference::parse(text), Reference { project: PROJECT, path: path.to_vec() }, "{text}");
        }
        let found = Reference::parse("projects/debian-cloud/global/images/family/debian-12");
        assert_eq!((found.project, found.image()), ("debian-cloud", Some((true, "debian-12"))));
        assert_eq!(Reference::parse("web").zonal("instances", "us-central1-a"), Some(("us-central1-a", "web")));
        assert_eq!(Reference::parse("zones/z/disks/web").zonal("instances", "us-central1-a"), None);
    }

    #[test]
    fn names() {
        for good in ["a", "web-1", &"a".repeat(63)] {
            assert!(check_name("resource.name", good).is_ok(), "{good}");
        }
        for bad in ["", "1a", "A", "a_b", "a-", "a.b", &"a".repeat(64)] {
            assert_eq!(check_name("resource.name", bad).unwrap_err().reason, "invalid", "{bad}");
        }
    }
}
