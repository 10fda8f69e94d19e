//! The provider that the suite works with, and where.

use std::{sync::Arc, time::Duration};

use remint_conformance::Connect;
use remint_core::provider::{BuildContext, Descriptor, Provider, Region, Registration, Registry, SizeName};

use crate::{
    args::conformance::RunArgs,
    exit::{ExitStatus, Failure},
    session,
    settings::Settings,
};

/// Where instances are made, and of what.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) region: Region,
    pub(super) size: SizeName,
    pub(super) base: String,
    pub(super) second_region: Option<Region>,
}

/// A usual place of the provider, where it has one.
fn usual(registration: &Registration) -> Option<Place> {
    let usual = registration.usual?;
    Some(Place {
        region: usual.region.into(),
        size: usual.size.into(),
        base: usual.base.to_owned(),
        second_region: Some(usual.second_region.into()),
    })
}

/// The provider that `--provider` names.
pub(super) fn registration(settings: &Settings) -> Result<&'static Registration, Failure> {
    let Some(id) = settings.provider() else {
        let ids: Vec<_> = Registry::all().iter().map(|entry| entry.descriptor.id).collect();
        let failure = Failure::new(ExitStatus::Usage, anyhow::anyhow!("no provider is named"));
        return Err(failure.hint(format!("name one: --provider {}", ids.join(", --provider "))));
    };
    Registry::find(id.as_str()).map_err(|error| Failure::new(ExitStatus::Usage, error))
}

/// The provider with the account of the user's own credentials. Its options are the manifest's, where there is one.
pub(super) struct Account {
    pub(super) registration: &'static Registration,
    pub(super) context: BuildContext,
    /// Where the manifest has its instances.
    pub(super) place: Option<Place>,
}

impl Account {
    pub(super) fn new(settings: &Settings, region: Option<&str>) -> Result<Self, Failure> {
        let registration = registration(settings)?;
        let mut context = BuildContext {
            base_dir: settings.directory.clone(),
            env: settings.process_env.clone(),
            ..BuildContext::default()
        };
        let mut place = None;
        if settings.manifest_path().exists() {
            let section = session::manifest(settings)?.section;
            context.options = section.options;
            place = Some(Place {
                region: section.region,
                size: section.size,
                base: section.base,
                second_region: section.copy_to.into_iter().next(),
            });
        }
        let here = place.as_ref().map(|place: &Place| place.region.clone());
        let usual = || usual(registration).map(|place| place.region);
        context.region = region.map(Region::from).or(here).or_else(usual);
        Ok(Self { registration, context, place })
    }

    pub(super) async fn connect(&self) -> Result<Arc<dyn Provider>, Failure> {
        Ok((self.registration.build)(self.context.clone()).await?)
    }
}

/// Where the cases make instances: as the arguments say, else where the manifest has them, else at a usual place.
/// A base that the provider, with the options of its context, cannot work on is refused before anything is asked.
pub(super) fn place(
    registration: &Registration,
    args: &RunArgs,
    manifest: Option<Place>,
    context: &BuildContext,
) -> Result<Place, Failure> {
    let id = registration.descriptor.id;
    let default = manifest.or_else(|| usual(registration));
    let missing = |option: &str| {
        let error = anyhow::anyhow!("it is not known where {id} may make instances: --{option} is missing");
        Failure::new(ExitStatus::Usage, error).hint("give --region, --size and --base, or a manifest that has them")
    };
    let given = |given: &Option<String>, default: Option<String>, option: &str| {
        given.clone().or(default).ok_or_else(|| missing(option))
    };
    let of = |part: fn(&Place) -> String| default.as_ref().map(part);
    let second = args.second_region.clone().map(Region::from);
    let base = given(&args.base, of(|place| place.base.clone()), "base")?;
    Registry::check_base(id, &base, &context.options).map_err(|refused| {
        let hints = refused.hint().map(str::to_owned).into_iter().collect();
        Failure { hints, ..Failure::new(ExitStatus::Usage, refused) }
    })?;
    Ok(Place {
        region: given(&args.region, of(|place| place.region.to_string()), "region")?.into(),
        size: given(&args.size, of(|place| place.size.to_string()), "size")?.into(),
        base,
        second_region: second.or_else(|| default.and_then(|place| place.second_region)),
    })
}

/// The pause between two looks at a cloud: a moment where things are said to take none.
pub(super) fn poll(descriptor: &Descriptor) -> Duration {
    if descriptor.limits.launch_time < Duration::from_secs(1) {
        Duration::from_millis(50)
    } else {
        Duration::from_secs(3)
    }
}

/// Makes further clients of an account, as other processes would have them. What has been built once is built again.
pub(super) fn another(
    registration: &'static Registration,
    context: BuildContext,
    first: &Arc<dyn Provider>,
) -> Connect {
    let first = Arc::clone(first);
    Arc::new(move || {
        let build = (registration.build)(context.clone());
        let built = tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(build));
        built.unwrap_or_else(|_| Arc::clone(&first))
    })
}
