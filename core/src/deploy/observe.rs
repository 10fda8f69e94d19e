//! What stands in the world, against which a plan is made.

use std::{net::IpAddr, time::Duration};

use super::{
    DeployError, DeployErrorKind, named,
    outside::Outside,
    ownership::{Ownership, Standing},
};
use crate::{
    context::Context,
    journal::{Journal, OwnedRecord, Release, Resources},
    manifest::StaticIpChoice,
    provider::{
        ErrorKind, Fingerprint, Image, ImageId, ImageState, Instance, InstanceState, Labels, RecordKind, RecordSet,
        Selector, StaticIp, StaticIpId, StaticIps, label,
    },
    recipe::Recipe,
};

/// The role of instances that serve.
pub(super) const ROLE_INSTANCE: &str = "instance";

/// An environment as it stands: what the journal says, and what the cloud shows.
#[derive(Debug, Clone)]
pub(super) struct World {
    pub(super) history: Vec<Release>,
    pub(super) resources: Resources,
    pub(super) ownership: Ownership,
    /// What the other environments of the journal own.
    pub(super) others: Vec<(String, Resources)>,
    /// Instances that are proven to be ours.
    pub(super) instances: Vec<Instance>,
    /// Instances under our names that are not.
    pub(super) foreign: Vec<Instance>,
    /// The static IP that the manifest asks for, where there is one by now.
    pub(super) static_ip: Option<StaticIp>,
    /// The record that the manifest asks for, whoever it belongs to.
    pub(super) record: Option<RecordSet>,
}

impl World {
    /// Looks at all of it: at most three calls to the cloud. `standing` is what the caller has just seen.
    pub(super) async fn observe(
        ctx: &Context,
        journal: &Journal,
        standing: Option<Standing>,
    ) -> Result<Self, DeployError> {
        let history = journal.history().await?;
        let resources = journal.resources().await?;
        let ownership = Ownership::new(journal.identity().await?.as_ref(), &history);
        let standing = async {
            match standing {
                Some(standing) => Ok(standing),
                None => Ok::<_, DeployError>(Standing::sort(instances(ctx).await?, &ownership)),
            }
        };
        let (Standing { ours, foreign }, static_ip, record) =
            tokio::try_join!(standing, static_ip(ctx, &resources), record(ctx))?;
        let mut others = Vec::new();
        for name in journal.environments().await? {
            if name != ctx.loaded.environment.as_str() {
                let resources = journal.sibling(&name).resources().await?;
                others.push((name, resources));
            }
        }
        Ok(Self { history, resources, ownership, others, instances: ours, foreign, static_ip, record })
    }
}

/// What the manifest asks for: the recipe, and the images that there are.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    /// The base image, as its name resolves now, or the given image.
    pub(super) base: Image,
    pub(super) recipe: Recipe,
    /// Images of the service that can be launched here; where one is given, that one alone.
    images: Vec<Image>,
}

impl Wanted {
    /// Works it out: at most two calls to the cloud. A given image stands in for the manifest's recipe.
    pub(super) async fn resolve(
        ctx: &Context,
        journal: &Journal,
        outside: &dyn Outside,
        given: Option<&ImageId>,
    ) -> Result<Self, DeployError> {
        let section = &ctx.loaded.section;
        if let Some(id) = given {
            let image = self::given(ctx, id).await?;
            let fingerprint = Fingerprint::given(&image.id);
            let labels = Labels::new().with(label::FINGERPRINT, fingerprint.as_str());
            let image = Image { labels, ..image };
            let recipe = Recipe { fingerprint, inputs: Vec::new() };
            return Ok(Self { base: image.clone(), recipe, images: vec![image] });
        }
        let ownership = ownership_of_images(ctx, journal).await?;
        let checked =
            |image: &Image| !ctx.loaded.manifest.image.boot_check || image.labels.get(label::CHECKED).is_some();
        let images = async {
            let all = ctx.provider.images().list(&image_selector(ctx)).await?;
            let usable = |image: &Image| {
                image.state == ImageState::Available
                    && image.regions.contains(&section.region)
                    && ownership.has_image(image)
                    && checked(image)
            };
            Ok::<_, DeployError>(all.into_iter().filter(usable).collect())
        };
        let recipe = async {
            let base = named::base(ctx).await?;
            let recipe = outside.recipe(ctx, &base.id).await?;
            Ok((base, recipe))
        };
        let ((base, recipe), images) = tokio::try_join!(recipe, images)?;
        Ok(Self { base, recipe, images })
    }

    /// The newest image of the recipe.
    pub(super) fn image(&self) -> Option<&Image> {
        let fingerprint = Some(self.recipe.fingerprint.as_str());
        let matching = |image: &&Image| image.labels.get(label::FINGERPRINT) == fingerprint;
        self.images.iter().filter(matching).max_by_key(|image| image.created_at)
    }
}

/// What proves that an image is ours: the service's id, and the releases of all environments.
pub(super) async fn ownership_of_images(ctx: &Context, journal: &Journal) -> Result<Ownership, DeployError> {
    let mut ownership = Ownership::new(journal.identity().await?.as_ref(), &journal.history().await?);
    for name in journal.environments().await? {
        if name != ctx.loaded.environment.as_str() {
            ownership = ownership.with_images_of(&journal.sibling(&name).history().await?);
        }
    }
    Ok(ownership)
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

/// Selects the instances under this environment's names that serve, or are to serve: ours, and those of whoever uses the same
/// names.
pub(super) fn instance_selector(ctx: &Context) -> Selector {
    Selector::all()
        .with(label::SERVICE, &ctx.loaded.manifest.service)
        .with(label::ENV, ctx.loaded.environment.as_str())
        .with(label::ROLE, ROLE_INSTANCE)
}

/// Selects the images under the service's name: ours, which all environments share, and those of whoever uses the same name.
pub(super) fn image_selector(ctx: &Context) -> Selector {
    Selector::all().with(label::SERVICE, &ctx.loaded.manifest.service)
}

/// The instances under this environment's names, without those that are being destroyed.
pub(super) async fn instances(ctx: &Context) -> Result<Vec<Instance>, DeployError> {
    let all = ctx.provider.instances().list(&instance_selector(ctx)).await?;
    Ok(all.into_iter().filter(|instance| instance.state != InstanceState::Destroying).collect())
}

/// The static IP that the manifest asks for, where the environment has it by now.
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
        _ => match resources.static_ip().filter(|(owned, _)| owned.made_by.is_some()) {
            None => Ok(None),
            Some((_, owned)) => find(static_ips, &owned.id).await,
        },
    }
}

/// A static IP by its id, if it exists.
pub(super) async fn find(static_ips: &dyn StaticIps, id: &StaticIpId) -> Result<Option<StaticIp>, DeployError> {
    match static_ips.get(id).await {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The DNS record of the manifest as it stands; one call, which also shows whether the zone exists.
pub(super) async fn record(ctx: &Context) -> Result<Option<RecordSet>, DeployError> {
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
    Some(RecordSet {
        zone: dns.zone.clone(),
        name: dns.name.clone(),
        kind: if address.is_ipv6() { RecordKind::Aaaa } else { RecordKind::A },
        ttl: record_ttl(ctx)?,
        values: vec![address.to_string()],
    })
}

/// How long resolvers may keep the record: what the manifest says, raised to what the DNS provider has at least.
pub(super) fn record_ttl(ctx: &Context) -> Option<Duration> {
    let dns = ctx.loaded.manifest.dns.as_ref()?;
    Some(Duration::max(dns.ttl.0, ctx.dns_provider().descriptor().limits.dns_min_ttl))
}

/// The provider and name of the record that the manifest wants.
pub(super) fn wanted_record_name(ctx: &Context) -> Option<(&'static str, OwnedRecord)> {
    let dns = ctx.loaded.manifest.dns.as_ref()?;
    let provider = ctx.dns_provider().descriptor().id;
    let ttl = record_ttl(ctx)?.as_secs();
    Some((provider, OwnedRecord { zone: dns.zone.clone(), name: dns.name.clone(), kind: record_kind(ctx), ttl }))
}
