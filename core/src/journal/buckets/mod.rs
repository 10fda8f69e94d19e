//! Buckets: journals at `s3://` and `gs://`.

mod credentials;
mod fault;
mod keys;
mod opened;
mod profile;
mod proof;

pub use credentials::{AwsProfiles, LoadProfile, ProfileError};
pub use keys::AwsKeys;
pub(super) use keys::Env;
pub(super) use opened::BucketStore;
pub(super) use proof::NAME as PROOF;
