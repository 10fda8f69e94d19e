//! Which objects a journal has, and how they are named. Whatever else is in its folder is somebody else's.

use crate::provider::ReleaseId;

/// Whose journal it is: the service's name and id.
pub(super) const SERVICE: &str = "service.json";

/// An object below an environment's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Object {
    /// A release, as it was decided.
    Release(ReleaseId),
    /// An entry of a release's journal, by its number.
    Entry(ReleaseId, u64),
    /// A lock, by its number.
    Lock(u64),
    /// The note of a capture that is under way.
    Capture,
    /// The environment's id, and where it ever was.
    Environment,
    /// What outlives releases.
    Resources,
    /// A copy of a damaged object, which `remint journal repair` took away.
    Copy,
}

impl Object {
    /// Reads the name of an object; `None` when it is none of an environment's. Exactly the names that Remint writes count:
    /// not an editor's backup of one, not a number that is written in another way, not a file that is put somewhere else.
    pub(super) fn parse(environment: &str, name: &str) -> Option<Self> {
        let rest = name.strip_prefix(environment)?.strip_prefix('/')?;
        let parts: Vec<&str> = rest.split('/').collect();
        let object = match parts[..] {
            ["releases", id, "release.json"] => Self::Release(ReleaseId(number(id)?)),
            ["releases", id, "journal", file] => Self::Entry(ReleaseId(number(id)?), number(stem(file)?)?),
            ["lock", file] => Self::Lock(number(stem(file)?)?),
            ["captures", file] if stem(file).is_some_and(is_plain) => return Some(Self::Capture),
            ["environment.json"] => Self::Environment,
            ["resources.json"] => Self::Resources,
            ["damaged", ..] => return Some(Self::Copy),
            _ => return None,
        };
        (object.name(environment)? == name).then_some(object)
    }

    /// The name of an object; `None` for kinds whose name says more than is known here.
    fn name(self, environment: &str) -> Option<String> {
        Some(match self {
            Self::Release(id) => release(environment, id),
            Self::Entry(id, seq) => entry(environment, id, seq),
            Self::Lock(token) => lock(environment, token),
            Self::Environment => format!("{environment}/environment.json"),
            Self::Resources => resources(environment),
            Self::Capture | Self::Copy => return None,
        })
    }
}

pub(super) fn releases(environment: &str) -> String {
    format!("{environment}/releases")
}

pub(super) fn release(environment: &str, id: ReleaseId) -> String {
    format!("{environment}/releases/{:06}/release.json", id.0)
}

pub(super) fn entry(environment: &str, id: ReleaseId, seq: u64) -> String {
    format!("{environment}/releases/{:06}/journal/{seq:06}.json", id.0)
}

pub(super) fn locks(environment: &str) -> String {
    format!("{environment}/lock")
}

pub(super) fn lock(environment: &str, token: u64) -> String {
    format!("{environment}/lock/{token:012}.json")
}

pub(super) fn resources(environment: &str) -> String {
    format!("{environment}/resources.json")
}

fn stem(file: &str) -> Option<&str> {
    file.strip_suffix(".json")
}

fn number(text: &str) -> Option<u64> {
    text.parse().ok().filter(|number| *number > 0)
}

/// Whether a provider could be called so; an editor's backups are not.
fn is_plain(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_that_are_written_are_read() {
        let read = |name: &str| Object::parse("production", name);
        assert_eq!(read(&release("production", ReleaseId(7))), Some(Object::Release(ReleaseId(7))));
        assert_eq!(read(&entry("production", ReleaseId(7), 12)), Some(Object::Entry(ReleaseId(7), 12)));
        let far = ReleaseId(1_234_567);
        assert_eq!(read(&entry("production", far, 1)), Some(Object::Entry(far, 1)), "a number may outgrow its zeros");
        assert_eq!(read(&lock("production", 42)), Some(Object::Lock(42)));
        assert_eq!(read("production/captures/aws.json"), Some(Object::Capture));
        assert_eq!(read("production/resources.json"), Some(Object::Resources));
        assert_eq!(read("production/environment.json"), Some(Object::Environment));
    }

    #[test]
    fn names_of_others_are_not() {
        for name in [
            "production/.DS_Store",
            "production/lock/.000000000042.json.swp",
            "production/lock/000000000042.json~",
            "production/lock/42.json",
            "production/lock/000000000042 (copy).json",
            "production/lock/000000000000.json",
            "production/lock/99999999999999999999.json",
            "production/lock/old/000000000042.json",
            "production/lock/+00000000042.json",
            "production/releases/release.json",
            "production/releases/7/release.json",
            "production/releases/000007/release.json.bak",
            "production/releases/000007/#release.json#",
            "production/releases/000007/journal/000001.json.orig",
            "production/releases/000007/journal/x/000001.json",
            "production/captures/.aws.json",
            "production-2/resources.json",
            "staging/resources.json",
        ] {
            assert_eq!(Object::parse("production", name), None, "{name}");
        }
    }
}
