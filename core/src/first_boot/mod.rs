//! What cloud-init makes of a machine's first boot, and whether Remint accepts it.
//!
//! The exit status of `cloud-init status --wait` does not tell enough. Before 23.4 it is 1 for any failed module, however harmless;
//! since then it is also 2 for warnings, and for mere deprecations. So a machine whose status is not 0 is asked which modules failed
//! ([`ask`]), what it answers is read whatever its version ([`report`]), and a rule of the manifest decides ([`verdict`]).
//!
//! Everything that is read here comes from the machine: it is foreign text, cleaned, masked and bounded before it goes anywhere.

mod ask;
mod report;
mod verdict;

pub(crate) use ask::finished;
pub(crate) use verdict::{Expected, Failure, Verdict, warning};
