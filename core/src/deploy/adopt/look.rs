//! What the cloud has under an environment's names.

use std::net::IpAddr;

use crate::{
    bake::key_prefix,
    context::Context,
    deploy::{
        EngineError, EngineErrorKind,
        observe::{self, image_selector, role_selector},
    },
    journal::Identity,
    provider::{
        EnvironmentId, ErrorKind, Image, ImageState, Instance, InstanceId, InstanceState, RecordSet, Selector,
        StaticIp, label,
    },
    resources,
};

/// What is taken over although nothing shows that it is this environment's.
#[derive(Debug, Clone, Default)]
pub struct AdoptOptions {
    /// Instances, by the cloud's ids.
    pub instances: Vec<InstanceId>,
    /// Static IPs, by their addresses.
    pub static_ips: Vec<IpAddr>,
}

/// What the cloud shows, before anything is concluded from it.
pub(super) struct Found {
    /// Instances that serve, or are to serve, of this journal or not; those that were named among them.
    pub(super) instances: Vec<Instance>,
    /// Images that can be launched.
    pub(super) images: Vec<Image>,
    /// Builders and check machines.
    pub(super) machines: Vec<Instance>,
    /// All static IPs of the account.
    pub(super) static_ips: Vec<StaticIp>,
    /// The record that the manifest names.
    pub(super) record: Option<RecordSet>,
    /// What was named.
    pub(super) options: AdoptOptions,
    /// The names of login keys, by the environment's id.
    pub(super) keys: Vec<String>,
    /// The id that the environment's things carry.
    pub(super) environment: EnvironmentId,
    /// Whether the id was found, and not made now.
    pub(super) known: bool,
}

impl Found {
    pub(super) async fn look(
        ctx: &Context,
        options: &AdoptOptions,
        identity: Option<&Identity>,
    ) -> Result<Self, EngineError> {
        let mut instances = observe::instances(ctx).await?;
        for id in &options.instances {
            if !instances.iter().any(|known| known.id == *id) {
                instances.push(named(ctx, id).await?);
            }
        }
        let images = ctx.provider.images().list(&image_selector(ctx)).await?;
        let images = images.into_iter().filter(|image| image.state == ImageState::Available).collect();
        let mut machines = Vec::new();
        for role in ["builder", "check"] {
            machines.extend(ctx.provider.instances().list(&role_selector(ctx, role)).await?);
        }
        machines.retain(|machine| machine.state != InstanceState::Destroying);
        let static_ips = match ctx.provider.static_ips() {
            Some(static_ips) => static_ips.list(&Selector::all()).await?,
            None => Vec::new(),
        };
        let record = resources::record(ctx).await?;
        let mut found = Self {
            instances,
            images,
            machines,
            static_ips,
            record,
            options: options.clone(),
            keys: Vec::new(),
            environment: EnvironmentId::generate(),
            known: false,
        };
        if let Some(id) = found.environment(ctx, identity)? {
            (found.environment, found.known) = (id, true);
            if let Some(keys) = ctx.provider.login_keys() {
                let all = keys.list(&key_prefix(&found.environment)).await?;
                found.keys = all.into_iter().map(|key| key.name).collect();
            }
        }
        found.check(ctx)?;
        Ok(found)
    }

    /// The id that the environment's things carry: that of the journal, where it has one; else the only one that is found.
    fn environment(&self, ctx: &Context, identity: Option<&Identity>) -> Result<Option<EnvironmentId>, EngineError> {
        if let Some(identity) = identity {
            return Ok(Some(identity.environment.id.clone()));
        }
        let of_environment = |ip: &&StaticIp| {
            ip.labels.get(label::SERVICE) == Some(ctx.loaded.manifest.service.as_str())
                && ip.labels.get(label::ENV) == Some(ctx.loaded.environment.as_str())
        };
        let unnamed = self.instances.iter().filter(|instance| !self.is_named(instance));
        let machines = unnamed.chain(&self.machines).filter_map(|machine| machine.labels.environment_id());
        let ips = self.static_ips.iter().filter(of_environment).filter_map(|ip| ip.labels.environment_id());
        let mut ids: Vec<EnvironmentId> = machines.chain(ips).collect();
        ids.sort();
        ids.dedup();
        if ids.is_empty() {
            // What was named may be all that carries one.
            let named = self.instances.iter().filter(|instance| self.is_named(instance));
            ids = named.filter_map(|instance| instance.labels.environment_id()).collect();
            ids.sort();
            ids.dedup();
        }
        match ids.len() {
            0 | 1 => Ok(ids.pop()),
            _ => Err(self.of_several(ctx)),
        }
    }

    pub(super) fn is_named(&self, instance: &Instance) -> bool {
        self.options.instances.contains(&instance.id)
    }

    /// Whether something carries the environment's id.
    pub(super) fn is_ours(&self, instance: &Instance) -> bool {
        self.known && instance.labels.get(label::ENV_ID) == Some(self.environment.as_str())
    }

    /// What may be anybody's must be named.
    fn check(&self, ctx: &Context) -> Result<(), EngineError> {
        if self.instances.iter().any(|instance| !self.is_named(instance) && !self.is_ours(instance)) {
            return Err(self.of_several(ctx));
        }
        for address in &self.options.static_ips {
            if !self.static_ips.iter().any(|ip| ip.address.ip == *address) {
                let message = format!("the account has no static IP {address} (--static-ip)");
                return Err(EngineError::new(EngineErrorKind::Manifest, message));
            }
        }
        if !self.instances.is_empty() || !self.machines.is_empty() {
            return Ok(());
        }
        let labelled = |ip: &StaticIp| self.known && ip.labels.get(label::ENV_ID) == Some(self.environment.as_str());
        if self.static_ips.iter().any(labelled) || !self.options.static_ips.is_empty() {
            return Ok(());
        }
        let (service, environment, place) = (&ctx.loaded.manifest.service, &ctx.loaded.environment, ctx.place());
        let message = format!("nothing of {environment} of {service} is found in {place}");
        Err(EngineError::new(EngineErrorKind::Conflict, message)
            .hint("`remint deploy` makes the first release")
            .hint("to take over a service that was made by hand, name it: `--instance ID --static-ip IP`"))
    }

    /// Several ids under one name, or none on something: whose it is must be said.
    fn of_several(&self, ctx: &Context) -> EngineError {
        let line = |instance: &Instance| {
            let whose = match instance.labels.environment_id() {
                Some(id) => format!("of the journal with the id {id}"),
                None => "without an id".to_owned(),
            };
            format!("{} ({}), {whose}", instance.name, instance.id)
        };
        let all = self.instances.iter().filter(|instance| !self.is_named(instance));
        let (service, environment) = (&ctx.loaded.manifest.service, &ctx.loaded.environment);
        let message = format!("not all that carries the names of {environment} of {service} is of one journal");
        EngineError::new(EngineErrorKind::Foreign, message)
            .details(all.chain(&self.machines).map(line).collect())
            .hint("name each one that is to be taken over (`--instance ID`), and delete or rename the others")
    }
}

/// An instance that somebody has named.
async fn named(ctx: &Context, id: &InstanceId) -> Result<Instance, EngineError> {
    match ctx.provider.instances().get(id).await {
        Ok(instance) => Ok(instance),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let message = format!("there is no instance {id} in {} (--instance)", ctx.place());
            Err(EngineError::new(EngineErrorKind::Manifest, message).because(error))
        }
        Err(error) => Err(error.into()),
    }
}
