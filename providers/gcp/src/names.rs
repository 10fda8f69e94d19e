//! Names and ids, in Google's words and in Remint's.
//!
//! | id | form |
//! |---|---|
//! | `InstanceId` | `ZONE/NAME/NUMBER`: the number tells an instance from a later one of the same name |
//! | `ImageId` | `PROJECT/NAME/NUMBER`, for the same reason |
//! | `StaticIpId` | `REGION/NAME` |
//! | `LoadBalancerId` | `REGION/NAME/NUMBER`, of its address: the number tells it from a later one of the same name |

use std::fmt;

use remint_core::provider::{Error, ErrorKind, ImageId, InstanceId, LoadBalancerId, Region, Result, StaticIpId};
use sha2::{Digest, Sha256};

/// The longest name of a resource (RFC 1035).
pub(crate) const LONGEST: usize = 63;
/// How many hexadecimal digits tell the target instances of an address apart.
const DIGITS: usize = 10;

/// Whether Google takes the name: a small letter, then small letters, digits and dashes, no dash at the end.
pub(crate) fn is_name(name: &str) -> bool {
    let inner = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
    let bytes = name.as_bytes();
    bytes.len() <= LONGEST
        && bytes.first().is_some_and(u8::is_ascii_lowercase)
        && bytes.iter().all(|byte| inner(*byte))
        && bytes.last() != Some(&b'-')
}

/// Refuses a name that Google would refuse, before anything is asked.
pub(crate) fn check(operation: &'static str, name: &str) -> Result<()> {
    if is_name(name) {
        return Ok(());
    }
    let message = format!("`{name}` is not a name that Google takes");
    Err(Error::new(ErrorKind::InvalidInput, operation, message).with_hint(format!(
        "a name begins with a small letter, goes on with small letters, digits and dashes, does not end with a dash, and \
         has at most {LONGEST} characters"
    )))
}

/// The region that a zone is in: `us-central1` for `us-central1-a`.
pub(crate) fn region_of(operation: &'static str, zone: &str) -> Result<String> {
    match zone.rsplit_once('-') {
        Some((region, letter)) if is_name(region) && letter.len() == 1 => Ok(region.to_owned()),
        _ => Err(Error::new(ErrorKind::InvalidInput, operation, format!("`{zone}` is not a zone"))
            .with_hint("name a zone, such as `us-central1-a`, and not a region")),
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct InstancePath {
    pub(crate) zone: String,
    pub(crate) name: String,
    pub(crate) number: String,
}

impl InstancePath {
    pub(crate) fn parse(operation: &'static str, id: &InstanceId) -> Result<Self> {
        let unknown = || Error::new(ErrorKind::NotFound, operation, "not an instance's id").with_resource(id);
        let mut parts = id.as_str().split('/');
        let (Some(zone), Some(name), Some(number), None) = (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(unknown());
        };
        if !is_name(zone) || !is_name(name) || !is_number(number) {
            return Err(unknown());
        }
        Ok(Self { zone: zone.to_owned(), name: name.to_owned(), number: number.to_owned() })
    }

    pub(crate) fn id(&self) -> InstanceId {
        InstanceId::new(self.to_string())
    }

    pub(crate) fn region(&self) -> Region {
        Region::new(&self.zone)
    }
}

impl fmt::Display for InstancePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.zone, self.name, self.number)
    }
}

/// Whether it is a number that Google gives to a resource; the API takes one wherever it takes a name.
fn is_number(text: &str) -> bool {
    !text.is_empty() && text.len() <= 20 && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ImagePath {
    pub(crate) project: String,
    pub(crate) name: String,
    /// Its number, where that is known.
    pub(crate) number: Option<String>,
}

impl ImagePath {
    /// Reads an id, or `PROJECT/NAME`, or `NAME` in the account's own project. The name may be that of a family.
    pub(crate) fn parse(operation: &'static str, text: &str, own: &str) -> Result<Self> {
        let parts: Vec<&str> = text.split('/').collect();
        let (project, name, number) = match *parts.as_slice() {
            [name] => (own, name, None),
            [project, name] => (project, name, None),
            [project, name, number] if is_number(number) => (project, name, Some(number.to_owned())),
            _ => ("", "", None),
        };
        let in_project = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.:".contains(&byte);
        let is_project = !project.is_empty() && project.bytes().all(in_project) && !project.starts_with('.');
        if !is_project || !(is_name(name) || is_number(name)) {
            return Err(
                Error::new(ErrorKind::NotFound, operation, "not an image's id").with_resource(format!("`{text}`"))
            );
        }
        Ok(Self { project: project.to_owned(), name: name.to_owned(), number })
    }

    pub(crate) fn id(&self) -> ImageId {
        ImageId::new(self.to_string())
    }

    /// What the API is asked for: by the number, a later image of the same name is not met.
    pub(crate) fn key(&self) -> &str {
        self.number.as_deref().unwrap_or(&self.name)
    }

    /// How a disk names its image.
    pub(crate) fn link(&self) -> String {
        format!("projects/{}/global/images/{}", self.project, self.name)
    }
}

impl fmt::Display for ImagePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.project, self.name)?;
        match &self.number {
            Some(number) => write!(f, "/{number}"),
            None => Ok(()),
        }
    }
}

/// Which static IP.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct AddressPath {
    pub(crate) region: String,
    pub(crate) name: String,
}

impl AddressPath {
    pub(crate) fn parse(operation: &'static str, id: &StaticIpId) -> Result<Self> {
        match id.as_str().split_once('/') {
            Some((region, name)) if is_name(region) && is_name(name) => {
                Ok(Self { region: region.to_owned(), name: name.to_owned() })
            }
            _ => Err(Error::new(ErrorKind::NotFound, operation, "not a static IP's id").with_resource(id)),
        }
    }

    pub(crate) fn id(&self) -> StaticIpId {
        StaticIpId::new(self.to_string())
    }

    /// The name of the target instance by which this address points at an instance: the same for everybody.
    pub(crate) fn target_name(&self, instance: &InstancePath) -> String {
        let digest = Sha256::digest(format!("{self} {instance}"));
        let digits = &hex::encode(digest)[..DIGITS];
        let name = &self.name[..self.name.len().min(LONGEST - DIGITS - 1)];
        format!("{}-{digits}", name.trim_end_matches('-'))
    }
}

impl fmt::Display for AddressPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.region, self.name)
    }
}

/// Which load balancer. All of its parts but the firewall rules have its name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct BalancerPath {
    pub(crate) region: String,
    pub(crate) name: String,
    /// The number of its address.
    pub(crate) number: String,
}

impl BalancerPath {
    pub(crate) fn parse(operation: &'static str, id: &LoadBalancerId) -> Result<Self> {
        let parts: Vec<&str> = id.as_str().split('/').collect();
        match *parts.as_slice() {
            [region, name, number] if is_name(region) && is_name(name) && is_number(number) => {
                Ok(Self { region: region.to_owned(), name: name.to_owned(), number: number.to_owned() })
            }
            _ => Err(Error::new(ErrorKind::NotFound, operation, "not a load balancer's id").with_resource(id)),
        }
    }

    pub(crate) fn id(&self) -> LoadBalancerId {
        LoadBalancerId::new(format!("{}/{}/{}", self.region, self.name, self.number))
    }

    /// Its address.
    pub(crate) fn address(&self) -> AddressPath {
        AddressPath { region: self.region.clone(), name: self.name.clone() }
    }
}

/// The last segment of a resource's link; of a plain name the name.
pub(crate) fn last(link: &str) -> &str {
    link.rsplit('/').next().unwrap_or(link)
}

/// The segment after another one in a resource's link: the zone after `zones`.
pub(crate) fn after<'a>(link: &'a str, segment: &str) -> Option<&'a str> {
    let mut segments = link.split('/');
    segments.by_ref().find(|found| *found == segment)?;
    segments.next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_googles() {
        for name in ["a", "app-7-0", &"a".repeat(63)] {
            assert!(is_name(name), "{name}");
        }
        for name in ["", "7app", "-app", "app-", "App", "a_b", "a.b", &"a".repeat(64)] {
            assert!(!is_name(name), "{name}");
        }
    }

    #[test]
    fn ids_are_read_back_or_unknown() {
        let id = InstanceId::new("us-central1-a/app-7-0/7421");
        let path = InstancePath::parse("test", &id).unwrap();
        assert_eq!(
            (path.zone.as_str(), path.name.as_str(), path.number.as_str()),
            ("us-central1-a", "app-7-0", "7421")
        );
        assert_eq!(path.id(), id);
        for id in ["999", "../account", "no such thing", "us-central1-a/app/x", "a/b/1/2", "a//1"] {
            let error = InstancePath::parse("test", &InstanceId::new(id)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::NotFound, "{id}");
        }
        let image = ImagePath::parse("test", "example.com:base/debian-12", "mine").unwrap();
        assert_eq!(image.link(), "projects/example.com:base/global/images/debian-12");
        assert_eq!(ImagePath::parse("test", "web", "mine").unwrap().to_string(), "mine/web");
        let numbered = ImagePath::parse("test", "mine/web/77", "mine").unwrap();
        assert_eq!((numbered.key(), numbered.to_string().as_str()), ("77", "mine/web/77"));
        assert_eq!(numbered.link(), "projects/mine/global/images/web");
        for id in ["../account", "no such thing", "/x", "a/", "a/b/c", "a/b/1/2"] {
            assert!(ImagePath::parse("test", id, "mine").is_err(), "{id}");
        }
    }

    #[test]
    fn a_load_balancer_has_a_number() {
        let id = LoadBalancerId::new("us-central1/remint-0a1b2c3d4e5f6071/7421");
        let path = BalancerPath::parse("test", &id).unwrap();
        assert_eq!((path.id(), path.address().to_string().as_str()), (id, "us-central1/remint-0a1b2c3d4e5f6071"));
        for id in ["us-central1/remint-a", "us-central1/remint-a/x", "../account", "a/b/1/2", "no-such-balancer"] {
            let error = BalancerPath::parse("test", &LoadBalancerId::new(id)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::NotFound, "{id}");
        }
    }

    #[test]
    fn a_zone_has_a_region() {
        assert_eq!(region_of("test", "europe-west3-a").unwrap(), "europe-west3");
        for zone in ["us-central1", "nowhere", "", "-a"] {
            assert_eq!(region_of("test", zone).unwrap_err().kind(), ErrorKind::InvalidInput, "{zone}");
        }
    }

    #[test]
    fn target_instances_have_names_of_their_own() {
        let address = AddressPath { region: "us-central1".into(), name: "a".repeat(63) };
        let instance =
            |number: &str| InstancePath { zone: "us-central1-a".into(), name: "app".into(), number: number.into() };
        let (one, two) = (address.target_name(&instance("1")), address.target_name(&instance("2")));
        assert!(is_name(&one) && is_name(&two) && one != two, "{one} {two}");
    }

    #[test]
    fn links_are_taken_apart() {
        let link = "https://www.googleapis.com/compute/v1/projects/p/zones/us-central1-a/instances/app";
        assert_eq!((after(link, "zones"), last(link)), (Some("us-central1-a"), "app"));
        assert_eq!((after("app", "zones"), last("app")), (None, "app"));
    }
}
