//! What stands in the world, against which a plan is made.

use std::{net::IpAddr, time::Duration};

use super::{DeployError, DeployErrorKind, outside::Outside, outside::Recipe, preflight};
use crate::{
    context::Context,
    journal::{Journal, Release, Resources},
    manifest::StaticIpChoice,
    provider::{
        ErrorKind, Fingerprint, Image, ImageId, ImageState, Instance, InstanceState, Labels, RecordKind, RecordSet,
        ReleaseId, Selector, StaticIp, label,
    },
};

/// The role of instances that serve.
pub(super) const ROLE_INSTANCE: &str = "instance";

/// Everything of an environment that a plan depends on.
#[derive(Debug, Clone)]
pub(super) struct World {
    pub(super) history: Vec<Release>,
    pub(super) resources: Resources,
    /// The base image, as its name resolves now, or the given image.
    pub(super) base: Image,
    pub(super) recipe: Recipe,
    /// Images of the service that can be launched here; where one is given, that one alone.
    pub(super) images: Vec<Image>,
    pub(super) instances: Vec<Instance>,
    pub(super) static_ip: Option<StaticIp>,
    pub(super) record: Option<RecordSet>,
}

impl World {
    /// Looks at all of it: at most five calls to the cloud. A given image stands in for the manifest's recipe.
    pub(super) async fn observe(
        ctx: &Context,
        journal: &Journal,
        outside: &dyn Outside,
        given: Option<&ImageId>,
    ) -> Result<Self, DeployError> {
        let history = journal.history().await?;
        let resources = journal.resources().await?;
        let ((base, recipe, images), instances, static_ip, record) =
            tokio::try_join!(wanted(ctx, outside, given), instances(ctx), static_ip(ctx, &resources), record(ctx))?;
        Ok(Self { history, resources, base, recipe, images, instances, static_ip, record })
    }

    /// The newest image of a fingerprint.
    pub(super) fn image(&self, fingerprint: &Fingerprint) -> Option<&Image> {
        let matching = |image: &&Image| image.labels.get(label::FINGERPRINT) == Some(fingerprint.as_str());
        self.images.iter().filter(matching).max_by_key(|image| image.created_at)
    }
}

/// The recipe, and the images that can be launched for it: the given one, or those of the service.
async fn wanted(
    ctx: &Context,
    outside: &dyn Outside,
    given: Option<&ImageId>,
) -> Result<(Image, Recipe, Vec<Image>), DeployError> {
    let section = &ctx.loaded.section;
    if let Some(id) = given {
        let image = self::given(ctx, id).await?;
        let fingerprint = Fingerprint::given(&image.id);
        let labels = Labels::new().with(label::FINGERPRINT, fingerprint.as_str());
        let image = Image { labels, ..image };
        return Ok((image.clone(), Recipe { fingerprint, inputs: Vec::new() }, vec![image]));
    }
    let images = async {
        let all = ctx.provider.images().list(&image_selector(ctx)).await?;
        let usable = |image: &Image| image.state == ImageState::Available && image.regions.contains(&section.region);
        Ok::<_, DeployError>(all.into_iter().filter(usable).collect())
    };
    let recipe = async {
        let base = preflight::base(ctx).await?;
        let recipe = outside.recipe(ctx, &base.id).await?;
        Ok((base, recipe))
    };
    let ((base, recipe), images) = tokio::try_join!(recipe, images)?;
    Ok((base, recipe, images))
}

/// The image that was given instead of a recipe, if it can be launched.
async fn given(ctx: &Context, id: &ImageId) -> Result<Image, DeployError> {
    let image = ctx.provider.images().resolve(id.as_str(), &ctx.loaded.section.region).await?;
    match &image.state {
        ImageState::Available => Ok(image),
        state => {
            let state = match state {
                ImageState::Failed(reason) => reason,
                _ => "it is still being made",
            };
            let message = format!("image {id} cannot be launched: {state}");
            Err(DeployError::new(DeployErrorKind::Conflict, message).hint("give another one with `--image`"))
        }
    }
}

/// Selects the instances of an environment that serve, or are to serve.
pub(super) fn instance_selector(ctx: &Context) -> Selector {
    Selector::all()
        .with(label::SERVICE, &ctx.loaded.manifest.service)
        .with(label::ENV, ctx.loaded.environment.as_str())
        .with(label::ROLE, ROLE_INSTANCE)
}

/// Selects the service's images; all environments share them.
pub(super) fn image_selector(ctx: &Context) -> Selector {
    Selector::all().with(label::SERVICE, &ctx.loaded.manifest.service)
}

/// The environment's instances, without those that are being destroyed.
pub(super) async fn instances(ctx: &Context) -> Result<Vec<Instance>, DeployError> {
    let all = ctx.provider.instances().list(&instance_selector(ctx)).await?;
    Ok(all.into_iter().filter(|instance| instance.state != InstanceState::Destroying).collect())
}

/// Which release an instance belongs to.
pub(super) fn release_of(instance: &Instance) -> Option<ReleaseId> {
    instance.labels.get(label::RELEASE)?.parse().ok()
}

/// The static IP of the environment, where it has one by now.
pub(super) async fn static_ip(ctx: &Context, resources: &Resources) -> Result<Option<StaticIp>, DeployError> {
    let choice = &ctx.loaded.manifest.address.static_ip;
    if *choice == StaticIpChoice::None {
        return Ok(None);
    }
    let Some(static_ips) = ctx.provider.static_ips() else {
        let id = ctx.provider.descriptor().id;
        return Err(DeployError::new(DeployErrorKind::Manifest, format!("provider {id} has no static IPs"))
            .hint("write `static_ip = \"none\"` in `[address]`"));
    };
    match choice {
        StaticIpChoice::Existing(ip) => {
            let all = static_ips.list(&Selector::all()).await?;
            match all.into_iter().find(|found| found.address.ip == *ip) {
                Some(found) => Ok(Some(found)),
                None => Err(DeployError::new(
                    DeployErrorKind::Manifest,
                    format!("the account has no static IP {ip} (address.static_ip)"),
                )
                .hint("check the address, or let Remint make one: `static_ip = \"managed\"`")),
            }
        }
        _ => match &resources.static_ip {
            None => Ok(None),
            Some(owned) => match static_ips.get(&owned.id).await {
                Ok(found) => Ok(Some(found)),
                Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
                Err(error) => Err(error.into()),
            },
        },
    }
}

/// The DNS record of the manifest as it stands; one call, which also shows whether the zone exists.
async fn record(ctx: &Context) -> Result<Option<RecordSet>, DeployError> {
    let Some(dns) = &ctx.loaded.manifest.dns else { return Ok(None) };
    let provider = ctx.dns_provider();
    let Some(zones) = provider.dns_zones() else {
        let id = provider.descriptor().id;
        return Err(DeployError::new(DeployErrorKind::Manifest, format!("provider {id} has no DNS zones (dns.zone)"))
            .hint("name another one: `provider = \"…\"` in `[dns]`"));
    };
    let kind = record_kind(ctx);
    zones.get(&dns.zone, &dns.name, kind).await.map_err(|error| {
        if error.kind() == ErrorKind::NotFound {
            DeployError::new(DeployErrorKind::Manifest, format!("there is no zone {} (dns.zone)", dns.zone))
                .because(error)
                .hint("make the zone in the account first, or correct its name")
        } else {
            error.into()
        }
    })
}

fn record_kind(ctx: &Context) -> RecordKind {
    match ctx.loaded.manifest.address.static_ip {
        StaticIpChoice::Existing(IpAddr::V6(_)) => RecordKind::Aaaa,
        _ => RecordKind::A,
    }
}

/// The record that the manifest wants, pointing at an address.
pub(super) fn wanted_record(ctx: &Context, address: IpAddr) -> Option<RecordSet> {
    let dns = ctx.loaded.manifest.dns.as_ref()?;
    let least = ctx.dns_provider().descriptor().limits.dns_min_ttl;
    Some(RecordSet {
        zone: dns.zone.clone(),
        name: dns.name.clone(),
        kind: if address.is_ipv6() { RecordKind::Aaaa } else { RecordKind::A },
        ttl: Duration::max(dns.ttl.0, least),
        values: vec![address.to_string()],
    })
}
