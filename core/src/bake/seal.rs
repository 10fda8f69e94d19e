//! The seal: what belongs to the builder alone is removed, and then looked for.

use std::time::Duration;

use super::{BakeError, builder::Builder};
use crate::remote::Command;

const SEAL: &str = include_str!("seal.sh");
const CHECK: &str = include_str!("check.sh");
/// How long each of the scripts may take.
const WITHIN: Duration = Duration::from_secs(300);

/// Seals the builder. After this nobody can log in to it anew.
pub(super) async fn seal(builder: &Builder<'_>) -> Result<(), BakeError> {
    builder.progress("sealing");
    let connection = &builder.connection;
    let sealed = connection.exec(&Command::shell(SEAL).timeout(WITHIN), &mut |_, _| {}).await;
    let sealed = sealed.map_err(BakeError::remote("sealing the builder"))?;
    if !sealed.exit.is_success() {
        return Err(BakeError::Seal { reason: sealed.exit.to_string(), tail: sealed.tail });
    }
    let (checked, text) = connection
        .capture(&Command::shell(CHECK).timeout(WITHIN))
        .await
        .map_err(BakeError::remote("checking the sealed builder"))?;
    if !checked.exit.is_success() {
        return Err(BakeError::Seal { reason: format!("the check: {}", checked.exit), tail: checked.tail });
    }
    let found: Vec<_> = text.lines().map(str::to_owned).collect();
    if !found.is_empty() {
        return Err(BakeError::Leftovers { found });
    }
    // The last writes must be on the disk before the power may be cut. A machine without `sync` has no disk to wait for.
    let synced = connection.exec(&Command::shell("sync || true").timeout(WITHIN), &mut |_, _| {}).await;
    synced.map(drop).map_err(BakeError::remote("writing the builder's disk"))
}
