//! What the gate of every deploy will ask is asked of the builder, where the step that is to blame has just run.

use super::BakeError;
use crate::{context::Context, logins, machine::Machine};

/// Fails when instances of the image would let in somebody else than `[access]` says, or keep Remint out.
pub(super) async fn logins(ctx: &Context, builder: &Machine) -> Result<(), BakeError> {
    builder.progress("asking who can log in");
    let login = builder.login();
    let audit = logins::audit(&**builder.session(), &login, &ctx.loaded.manifest.access.ssh_keys).await;
    let audit = audit.map_err(BakeError::remote("asking the builder who can log in"))?;
    if !audit.found.is_empty() {
        let kept_out = audit.locked_out.into_iter().map(|reason| format!("Remint could not log in: {reason}"));
        return Err(BakeError::Logins { found: audit.found.into_iter().chain(kept_out).collect() });
    }
    if !audit.locked_out.is_empty() {
        return Err(BakeError::LockedOut { found: audit.locked_out });
    }
    for file in audit.own_files.iter().filter(|file| file.foreign > 0) {
        ctx.events.warn(format!("{}: there is {}; that stays out of the image", builder.name(), file.surplus()));
    }
    Ok(())
}
