//! What survives a crash: releases with their journal, the things that outlive them, and the lock.
//!
//! Everything is an object in a store chosen by URL, below the environment's name:
//!
//! ```text
//! service.json                             whose journal this is: the service's name and id
//! remint-store.json                        in a bucket: what conditional writes are tried on
//! move.json                                after `remint journal move`: where the journal is now, or where it came from
//! ENV/environment.json                     the environment's id, and every place where it ever stood
//! ENV/releases/000007/release.json         the release; never changed
//! ENV/releases/000007/journal/000012.json  what was intended, what was done, in order; never changed
//! ENV/resources.json                       the static IPs and DNS records that outlive releases
//! ENV/captures/PROVIDER.json           the builder that is being captured there, while it is
//! ENV/lock/000000000042.json               who writes; the highest number counts
//! ENV/damaged/TIME/...                     what `remint journal repair` took away
//! ```
//!
//! Which release is the current one is derived from the journals, not stored: there is no pointer that a crash could leave
//! behind. Every object has a format version. Objects hold no secret.
//!
//! Whatever else lies in the folder is ignored, with a note. But of what Remint wrote nothing may be missing: releases and
//! their entries are numbered without a gap, and a hole or an object that cannot be read is an error, because what a command
//! does not know of, it might destroy or forget.
//!
//! The store of a local folder can create an object only if it is not there, but cannot replace one only if it is
//! unchanged. So the lock is a row of numbered objects, each made by whoever is first to create it: the number is the
//! fencing token. A holder writes only while its number is the highest. A compare-and-swap on one object would be
//! simpler, and would shut out the local folder.

mod adopted;
mod buckets;
mod check;
mod ci;
mod error;
mod folder;
mod history;
#[cfg(test)]
mod history_tests;
mod holder;
#[cfg(test)]
mod hooked;
mod identity;
#[cfg(test)]
mod interleavings;
mod layout;
mod lease;
mod lock;
mod lock_record;
#[cfg(test)]
mod lock_tests;
mod mark;
mod mover;
#[cfg(test)]
mod mover_tests;
mod overview;
mod place;
mod records;
mod release;
mod releases;
mod repair;
#[cfg(test)]
mod repair_tests;
mod resources;
mod runs;
mod store;
#[cfg(test)]
mod store_suite;
#[cfg(test)]
mod tests;
mod wait;

pub(crate) use adopted::Rebuilt;
pub use buckets::{AwsKeys, AwsProfiles, LoadProfile, ProfileError};
pub use check::{Finding, Remedy};
pub use ci::CiJob;
pub use error::{JournalError, Known};
pub use holder::{Holder, Liveness, ProcessState};
pub use identity::{EnvironmentRecord, Identity, ServiceRecord};
pub use lock::LockGuard;
pub use lock_record::LockRecord;
pub use mover::Moved;
pub use overview::{Change, EnvironmentOverview};
pub use place::Place;
pub use records::{DnsChange, Entry, EntryRecord, Phase, ReleaseRecord, Retired};
pub use release::Release;
pub use releases::Journal;
pub(crate) use releases::current;
pub use repair::Repaired;
pub use resources::{Owned, OwnedLoadBalancer, OwnedRecord, OwnedStaticIp, Resource, Resources, Superseded};
pub use runs::Runs;
pub(crate) use runs::short;
#[cfg(test)]
pub(crate) use store::parse;
pub use wait::LockStatus;
