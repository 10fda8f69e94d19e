//! Base images on which Remint cannot work: those that have no cloud-init, and so ignore user data.
//!
//! Google builds the images of `debian-cloud` without it: their instances are configured by Google's guest agent alone
//! (kubernetes/kops issue 17737 shows it for Debian 12). Nothing that the API says of an image tells, so the project does.

use remint_core::provider::{Error, ErrorKind, Result};

use crate::config::OPERATION;

/// A base image that has cloud-init.
pub(crate) const USUAL: &str = "ubuntu-os-cloud/ubuntu-2404-lts-amd64";
/// The project of images that have none.
const WITHOUT_CLOUD_INIT: &str = "debian-cloud";
/// The option by which the user says that the base image has it nevertheless.
const OPTION: &str = "base_has_cloud_init";

/// Refuses a base image without cloud-init, by its name alone.
pub(crate) fn check(base: &str, options: &toml::Table) -> Result<()> {
    let trusted = options.get(OPTION).and_then(toml::Value::as_bool) == Some(true);
    let project = base.split_once('/').map(|(project, _)| project);
    if trusted || project != Some(WITHOUT_CLOUD_INIT) {
        return Ok(());
    }
    let message = format!("`{base}` has no cloud-init, by which Remint configures instances");
    Err(Error::new(ErrorKind::InvalidInput, OPERATION, message).with_hint(format!(
        "use `{USUAL}`; where you know that this image has cloud-init, set `{OPTION} = true` in `[providers.gcp.options]`"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(base: &str, options: &str) -> Option<Error> {
        check(base, &options.parse().unwrap()).err()
    }

    #[test]
    fn images_without_cloud_init_are_refused_unless_the_user_knows_better() {
        for base in ["debian-cloud/debian-12", "debian-cloud/debian-13", "debian-cloud/debian-12-bookworm-v20260101"] {
            let error = refused(base, "").unwrap();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
            assert!(error.message().contains(base), "{error}");
            assert!(error.hint().unwrap().contains(USUAL) && error.hint().unwrap().contains(OPTION), "{error:?}");
            assert!(refused(base, "base_has_cloud_init = false").is_some());
            assert!(refused(base, "base_has_cloud_init = true").is_none());
        }
        for base in [USUAL, "my-project/debian-12", "debian-cloud", "debian-12", "debian-cloud-mirror/debian-12"] {
            assert!(refused(base, "").is_none(), "{base}");
        }
    }
}
