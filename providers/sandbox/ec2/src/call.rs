//! One call, as its handler sees it.

use super::query::Params;
use crate::{Cloud, State};
use remint_sandbox_cloud::{ApiResult, Config, NoRoom};

/// One call of the Query API.
pub(super) struct Call<'a> {
    pub(super) cloud: &'a Cloud,
    /// The name of the operation.
    pub(super) operation: &'a str,
    pub(super) params: Params,
    /// The region that the signature is for.
    pub(super) region: &'static str,
    /// Where a fault rule says that there is no room.
    pub(super) no_room: Option<NoRoom>,
}

impl Call<'_> {
    /// How the sandbox is set up.
    pub(super) fn config(&self) -> &Config {
        self.cloud.config()
    }

    /// Looks at the account.
    pub(super) fn read<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        self.cloud.read(look)
    }

    /// Changes the account.
    pub(super) fn change<T>(&self, change: impl FnOnce(&mut State) -> ApiResult<T>) -> ApiResult<T> {
        self.cloud.change(change)
    }
}
