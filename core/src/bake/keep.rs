//! Keeping the builder of a bake that failed.

use std::time::Duration;

use jiff::Timestamp;

use super::{
    BakeError, OnError,
    cleanup::{Cleanup, Opened},
    error::causes,
    kept::KeyFolder,
};
use crate::{
    context::Context,
    provider::{EnvironmentId, Labels, label},
};

/// Keeps the builder of a bake that failed, where the user wants that and somebody can log in to it. Says whether it is kept:
/// then it is off the list of what is cleaned up.
pub(super) async fn keep(ctx: &Context, environment: &EnvironmentId, cleanup: &Cleanup, error: &BakeError) -> bool {
    if error.is_cancelled() || matches!(ctx.bake.on_error, OnError::Cleanup) {
        return false;
    }
    let Some(machine) = cleanup.machine() else {
        ctx.events.info("no builder is kept: there is none that anybody could log in to");
        return false;
    };
    let wanted = match &ctx.bake.on_error {
        OnError::Cleanup => false,
        OnError::Keep => true,
        OnError::Ask(asker) => asker.ask(&machine.name, causes(error)).await,
    };
    if !wanted || ctx.cancel.is_cancelled() {
        return false;
    }
    match write_down(ctx, environment, &machine).await {
        Ok(until) => {
            cleanup.keep(&machine.id);
            ctx.events.warn(format!(
                "{} is kept until {until}, and costs money until then: `remint ssh --builder` logs in to it, \
                 `remint gc --kept` destroys it",
                machine.name
            ));
            true
        }
        Err(reason) => {
            ctx.events.warn(format!("cannot keep {}: {reason}", machine.name));
            false
        }
    }
}

/// Writes the key first: a builder that is labelled can be logged in to.
async fn write_down(ctx: &Context, environment: &EnvironmentId, machine: &Opened) -> Result<String, String> {
    let until = later(crate::clock::wall(), ctx.bake.keep_for);
    let keys = KeyFolder::of(&ctx.process_env, environment);
    let keys = keys.ok_or("there is no folder for its key; set XDG_STATE_HOME or HOME")?;
    keys.remove_expired();
    let provider = ctx.provider.descriptor().id;
    let written = keys.write(provider, &machine.name, &machine.way.login, &machine.way.host_key, until);
    written.map_err(|error| format!("cannot write its key: {error}"))?;
    let until = until.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let labels = Labels::new().with(label::KEPT_UNTIL, &until);
    match ctx.provider.instances().label(&machine.id, &labels).await {
        Ok(()) => Ok(until),
        Err(error) => {
            keys.remove(provider, &machine.name);
            Err(format!("cannot label it: {error}"))
        }
    }
}

fn later(now: Timestamp, by: Duration) -> Timestamp {
    now.checked_add(by).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        events::Events,
        fake::{FakeCloud, Pace},
        machine::Way,
        manifest::{LoadOptions, load},
        provider::Selector,
        remote::{HostKey, LoginKey},
    };

    fn context(folder: &std::path::Path) -> Context {
        let path = folder.join("remint.toml");
        let manifest = "service = \"app\"\nprovider = \"fake\"\n[providers.fake]\nregion = \"here\"\nbase = \"debian\"\n\
            size = \"small\"\n[image]\n[health.check.tcp]\nport = 80\n";
        std::fs::write(&path, manifest).unwrap();
        let loaded = load(&path, &LoadOptions::default()).unwrap();
        let mut ctx = Context::new(loaded, FakeCloud::new(Pace::default()), Events::silent());
        ctx.process_env = [("XDG_STATE_HOME".to_owned(), folder.join("state").to_str().unwrap().to_owned())].into();
        ctx.bake.on_error = OnError::Keep;
        ctx
    }

    #[tokio::test(start_paused = true)]
    async fn a_builder_that_cannot_be_labelled_is_destroyed_and_leaves_no_key() {
        let folder = tempfile::tempdir().unwrap();
        let ctx = context(folder.path());
        let environment = "0123456789abcdef".into();
        let cleanup = Cleanup::default();
        let failed = BakeError::Probe("why".to_owned());
        assert!(!keep(&ctx, &environment, &cleanup, &failed).await, "nothing was launched");
        // The cloud has no such instance.
        let id = "gone".into();
        cleanup.expect_instances(Selector::all());
        cleanup.launched(&id);
        let (login, host_key) = (LoginKey::generate(), HostKey::generate().public());
        cleanup.opens(Opened { id, name: "app-bake-1".to_owned(), way: Way { login, host_key } });
        assert!(!keep(&ctx, &environment, &cleanup, &failed).await);
        let keys = KeyFolder::of(&ctx.process_env, &environment).unwrap();
        assert!(keys.find("fake", "app-bake-1").is_none());
        assert!(cleanup.machine().is_some(), "it is still cleaned up");
        assert!(!keep(&ctx, &environment, &cleanup, &BakeError::Cancelled).await);
        cleanup.closes();
        assert!(cleanup.machine().is_none());
    }
}
