//! The builder: launched, reached, and through with its first boot.

use tokio::time::Instant;

use super::{
    Authority, BakeError,
    cleanup::{Cleanup, Opened},
    prepare,
};
use crate::{
    context::Context,
    events::Event,
    machine::{self, Machine, Way},
    provider::{Fingerprint, Image, Instance, LaunchSpec, LoginKeyId, Selector, SizeName},
    remote::{Keys, LoginKey},
    userdata::UserData,
};

/// A machine of this bake, and where it is found.
pub(super) struct Builder {
    /// As the cloud showed it when it had an address.
    pub(super) instance: Instance,
    /// What lists it.
    pub(super) selector: Selector,
    pub(super) machine: Machine,
    /// When its launch was asked for.
    pub(super) launched: Instant,
}

/// What a machine of a bake is launched from.
pub(super) struct Blueprint<'a> {
    /// `builder` or `check`.
    pub(super) role: &'static str,
    pub(super) image: &'a Image,
    pub(super) size: &'a SizeName,
    pub(super) fingerprint: &'a Fingerprint,
}

impl Builder {
    /// Launches a machine and waits until Remint is logged in to it.
    pub(super) async fn launch(
        ctx: &Context,
        authority: &Authority<'_>,
        blueprint: &Blueprint<'_>,
        cleanup: &Cleanup,
    ) -> Result<Self, BakeError> {
        let Keys { host: host_key, login, .. } = ctx.machines.keys();
        let name = name(ctx, blueprint);
        let descriptor = ctx.provider.descriptor();
        let user_data = UserData::new(&host_key.private_pem(), &descriptor.guest);
        let user_data = user_data.authorize(login.public().line()).hostname(&name);
        let user_data = user_data.build(descriptor.limits.user_data_bytes)?;
        let login_keys = register_key(ctx, authority, &login, cleanup).await?;
        let labels = prepare::labels(ctx, authority, blueprint.fingerprint, blueprint.role);
        let selector = Selector(labels.0.clone());
        cleanup.expect_instances(selector.clone());
        let spec = LaunchSpec {
            names: vec![name.clone()],
            new_names: true,
            image: blueprint.image.id.clone(),
            size: blueprint.size.clone(),
            region: ctx.loaded.section.region.clone(),
            labels,
            user_data: Some(user_data),
            login_keys,
        };
        let launched = Instant::now();
        let instance = ctx.commit(machine::launch(ctx, &spec)).await;
        let instance = instance.map_err(BakeError::cloud("cannot launch the builder"))?;
        let (id, way) = (instance.id.clone(), Way { login, host_key: host_key.public() });
        cleanup.launched(&id);
        cleanup.opens(Opened { id: id.clone(), name: name.clone(), way: way.clone() });
        ctx.events.emit(Event::InstanceLaunched { instance: id, name: name.clone() });
        ctx.events.emit(Event::TaskStarted { task: name.clone(), message: "launching".to_owned() });
        let deadline = launched + ctx.loaded.manifest.image.boot_timeout.0;
        let instance = machine::with_address(ctx, &selector, instance, deadline).await;
        let instance = instance.map_err(BakeError::watch("the builder does not start"))?;
        let Some(address) = &instance.address else { return Err(BakeError::Cancelled) };
        let machine = Machine::reach(ctx, &name, address, way, deadline).await?;
        Ok(Self { instance, selector, machine, launched })
    }
}

/// Registers the login key with the account, where instances need that.
async fn register_key(
    ctx: &Context,
    authority: &Authority<'_>,
    login: &LoginKey,
    cleanup: &Cleanup,
) -> Result<Vec<LoginKeyId>, BakeError> {
    let Some(keys) = ctx.provider.login_keys() else { return Ok(Vec::new()) };
    let name = format!("{}{}", authority.builder_keys(), ctx.run4());
    cleanup.expect_key(name.clone());
    let key = ctx.commit(keys.ensure(&name, &login.public().line())).await;
    let key = key.map_err(BakeError::cloud("cannot register the login key"))?;
    cleanup.registered(&key.id);
    Ok(vec![key.id])
}

/// `SERVICE-bake-FP12-RUN4`, the same for every repetition of a call in this run.
fn name(ctx: &Context, blueprint: &Blueprint<'_>) -> String {
    let verb = if blueprint.role == "builder" { "bake" } else { blueprint.role };
    format!("{}-{verb}-{}-{}", ctx.loaded.manifest.service, blueprint.fingerprint.short(), ctx.run4())
}
