//! What stands in the world, against which a plan is made.

use std::collections::BTreeMap;

use super::{EngineError, EngineErrorKind, named};
use crate::{
    context::Context,
    journal::{Journal, Release, Resources},
    provider::{
        Fingerprint, Image, ImageId, ImageState, Instance, InstanceId, InstanceState, Labels, LoadBalancer,
        MemberHealth, RecordSet, Selector, StaticIp, label,
    },
    recipe::Recipe,
    resources::{self, Ownership, Standing},
    traffic,
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
    /// The load balancer that the manifest asks for, where there is one by now.
    pub(super) balancer: Option<LoadBalancer>,
    /// What it makes of its members, ours or not.
    pub(super) members: BTreeMap<InstanceId, MemberHealth>,
    /// The record that the manifest asks for, whoever it belongs to.
    pub(super) record: Option<RecordSet>,
}

impl World {
    /// Looks at all of it: at most three calls to the cloud, and at most three more where there is a load balancer. `standing` is what the caller has just seen.
    pub(super) async fn observe(
        ctx: &Context,
        journal: &Journal,
        standing: Option<Standing>,
    ) -> Result<Self, EngineError> {
        let history = journal.history().await?;
        let resources = journal.resources().await?;
        let ownership = Ownership::new(journal.identity().await?.as_ref(), &history);
        let standing = async {
            match standing {
                Some(standing) => Ok(standing),
                None => Ok::<_, EngineError>(Standing::sort(instances(ctx).await?, &ownership)),
            }
        };
        let balancer = async {
            let Some(balancer) = resources::load_balancer(ctx, &resources).await? else {
                return Ok((None, BTreeMap::new()));
            };
            let members = traffic::members(ctx, &balancer).await?;
            Ok((Some(balancer), members))
        };
        let (Standing { ours, foreign }, static_ip, (balancer, members), record) =
            tokio::try_join!(standing, resources::static_ip(ctx, &resources), balancer, resources::record(ctx))?;
        let mut others = Vec::new();
        for name in journal.environments().await? {
            if name != ctx.loaded.environment.as_str() {
                let resources = journal.sibling(&name).resources().await?;
                others.push((name, resources));
            }
        }
        Ok(Self {
            history,
            resources,
            ownership,
            others,
            instances: ours,
            foreign,
            static_ip,
            balancer,
            members,
            record,
        })
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
        given: Option<&ImageId>,
    ) -> Result<Self, EngineError> {
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
            Ok::<_, EngineError>(all.into_iter().filter(usable).collect())
        };
        let recipe = async {
            let base = named::base(ctx).await?;
            let recipe = Recipe::read(&ctx.loaded, &base.id).await.map_err(|error| {
                EngineError::new(EngineErrorKind::Manifest, "cannot tell what the image is made of").because(error)
            })?;
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
pub(super) async fn ownership_of_images(ctx: &Context, journal: &Journal) -> Result<Ownership, EngineError> {
    let mut ownership = Ownership::new(journal.identity().await?.as_ref(), &journal.history().await?);
    for name in journal.environments().await? {
        if name != ctx.loaded.environment.as_str() {
            ownership = ownership.with_images_of(&journal.sibling(&name).history().await?);
        }
    }
    Ok(ownership)
}

/// The image that was given instead of a recipe, if it can be launched.
async fn given(ctx: &Context, id: &ImageId) -> Result<Image, EngineError> {
    let image = ctx.provider.images().resolve(id.as_str(), &ctx.loaded.section.region).await?;
    match &image.state {
        ImageState::Available => Ok(image),
        state => {
            let state = match state {
                ImageState::Failed(reason) => reason,
                _ => "it is still being made",
            };
            let message = format!("image {id} cannot be launched: {state}");
            Err(EngineError::new(EngineErrorKind::Conflict, message).hint("give another one with `--image`"))
        }
    }
}

/// Selects the instances under this environment's names that serve, or are to serve: ours, and those of whoever uses the same
/// names.
pub(super) fn instance_selector(ctx: &Context) -> Selector {
    role_selector(ctx, ROLE_INSTANCE)
}

/// Selects the machines under this environment's names that are for one thing, ours or not.
pub(super) fn role_selector(ctx: &Context, role: &str) -> Selector {
    Selector::all()
        .with(label::SERVICE, &ctx.loaded.manifest.service)
        .with(label::ENV, ctx.loaded.environment.as_str())
        .with(label::ROLE, role)
}

/// Selects the images under the service's name: ours, which all environments share, and those of whoever uses the same name.
pub(super) fn image_selector(ctx: &Context) -> Selector {
    Selector::all().with(label::SERVICE, &ctx.loaded.manifest.service)
}

/// The instances under this environment's names, without those that are being destroyed.
pub(super) async fn instances(ctx: &Context) -> Result<Vec<Instance>, EngineError> {
    let all = ctx.provider.instances().list(&instance_selector(ctx)).await?;
    ctx.watcher.note_listed(&all);
    Ok(all.into_iter().filter(|instance| instance.state != InstanceState::Destroying).collect())
}
