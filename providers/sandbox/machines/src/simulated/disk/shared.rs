//! A disk that the parts of a machine share.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::tree::Disk;

pub(crate) type SharedDisk = Arc<Mutex<Disk>>;

/// Locks, also after a panic of another holder: every change here is whole by itself.
pub(crate) fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
