//! What is proven to be ours.
//!
//! A name, or a label that anybody could have written, proves nothing: two checkouts deploy under the same names. An instance is
//! ours when it carries this environment's id and the journal has written down its launch. An older copy of the journal has the
//! id, too, but not the launch. Instances of a Remint that knew no ids are proven by the journal alone, until they are labelled.

use std::collections::BTreeSet;

use crate::{
    context::Context,
    error::{EngineError, EngineErrorKind},
    journal::{Identity, Phase, Release},
    provider::{EnvironmentId, Image, ImageId, Instance, InstanceId, ReleaseId, ServiceId, StaticIp, label},
};

/// Which release an instance belongs to.
pub(crate) fn release_of(instance: &Instance) -> Option<ReleaseId> {
    instance.labels.get(label::RELEASE)?.parse().ok()
}

/// What proves that an instance belongs to this environment.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ownership {
    service: Option<ServiceId>,
    environment: Option<EnvironmentId>,
    names: BTreeSet<String>,
    /// Names under which a launch was announced whose reply was not written down.
    unanswered: BTreeSet<String>,
    ids: BTreeSet<InstanceId>,
    releases: BTreeSet<ReleaseId>,
    images: BTreeSet<ImageId>,
}

impl Ownership {
    /// What a journal proves.
    pub(crate) fn new(identity: Option<&Identity>, history: &[Release]) -> Self {
        let names = history.iter().flat_map(Release::names).map(str::to_owned).collect();
        Self {
            service: identity.map(|identity| identity.service.id.clone()),
            environment: identity.map(|identity| identity.environment.id.clone()),
            names,
            unanswered: history
                .iter()
                .filter(|release| release.launched().is_empty())
                .flat_map(Release::names)
                .map(str::to_owned)
                .collect(),
            ids: history.iter().flat_map(Release::launched).collect(),
            releases: history.iter().map(Release::id).collect(),
            images: history.iter().map(|release| release.record.image.clone()).collect(),
        }
    }

    /// Whether an instance is proven to be this environment's.
    pub(crate) fn has(&self, instance: &Instance) -> bool {
        let launched = self.ids.contains(&instance.id) || self.names.contains(&instance.name);
        match instance.labels.get(label::ENV_ID) {
            // A release that the journal does not know was made with a newer copy of it.
            Some(id) => {
                self.is_environment(id)
                    && launched
                    && release_of(instance).is_none_or(|release| self.releases.contains(&release))
            }
            // A run's own digits are in the name, and its journal has announced it.
            None => self.ids.contains(&instance.id) || self.unanswered.contains(&instance.name),
        }
    }

    /// Whether an id is this environment's.
    pub(crate) fn is_environment(&self, id: &str) -> bool {
        self.environment.as_ref().is_some_and(|ours| ours.as_str() == id)
    }

    /// Whether a static IP is not proven to be another environment's. Where a cloud does not label them, the journal alone says
    /// which is ours.
    pub(crate) fn may_be(&self, ip: &StaticIp) -> bool {
        ip.labels.get(label::ENV_ID).is_none_or(|id| self.is_environment(id))
    }

    /// Whether an image is proven to be this service's: by its id, or because a release of this environment was launched from it.
    pub(crate) fn has_image(&self, image: &Image) -> bool {
        match image.labels.get(label::SERVICE_ID) {
            Some(id) => self.service.as_ref().is_some_and(|ours| ours.as_str() == id),
            None => self.images.contains(&image.id),
        }
    }

    /// Takes in the images that another environment's releases were launched from.
    pub(crate) fn with_images_of(mut self, history: &[Release]) -> Self {
        self.images.extend(history.iter().map(|release| release.record.image.clone()));
        self
    }
}

/// Instances under this service's and environment's names, told apart.
#[derive(Debug, Clone, Default)]
pub(crate) struct Standing {
    /// Proven to be ours.
    pub(crate) ours: Vec<Instance>,
    /// Somebody else's: another journal's, or of a newer copy of this one.
    pub(crate) foreign: Vec<Instance>,
}

impl Standing {
    pub(crate) fn sort(all: Vec<Instance>, ownership: &Ownership) -> Self {
        let (ours, foreign) = all.into_iter().partition(|instance| ownership.has(instance));
        Self { ours, foreign }
    }
}

/// The refusal of everything that changes something, while instances stand that another journal deployed.
pub(crate) fn foreign(ctx: &Context, history: &[Release], foreign: &[Instance]) -> EngineError {
    let (service, environment) = (&ctx.loaded.manifest.service, &ctx.loaded.environment);
    let url = &ctx.loaded.manifest.journal.url;
    let served = history.iter().any(|release| release.phase() == Phase::Done);
    let journal = match (history.is_empty(), served) {
        (true, _) => format!("the journal at {url} is empty"),
        (false, true) => format!("the journal at {url} does not know them: it may be an older copy"),
        (false, false) => format!("the journal at {url} does not know them"),
    };
    let line = |instance: &Instance| {
        let release = release_of(instance).map_or_else(String::new, |release| format!(", {release}"));
        format!("{} ({}{release})", instance.name, instance.id)
    };
    EngineError::new(
        EngineErrorKind::Foreign,
        format!("{environment} of {service} already runs here, deployed by another journal; nothing was changed"),
    )
    .details(foreign.iter().map(line).collect())
    .hint(format!("{journal}; run remint where these were deployed from, or point `[journal] url` at that journal"))
    .hint("where that journal is lost, `remint adopt` writes a new one")
    .hint("for a second copy of the service, choose another environment (`-e NAME`) or another `service` name")
}
