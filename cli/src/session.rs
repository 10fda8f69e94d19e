//! From settings to what the engine works on: the manifest loaded, the providers built.

use std::{future::Future, path::PathBuf, sync::Arc};

use remint_core::{
    context::{Context, Elsewhere},
    journal::Journal,
    manifest::{LoadOptions, Loaded, environments, load},
    provider::{BuildContext, Error, ErrorKind, Provider, ProviderId, Region, Registry, UnknownProvider},
};
use tokio_util::sync::CancellationToken;

use crate::{
    exit::{ExitStatus, Failure},
    printer::Printer,
    settings::{Reach, Settings},
};

/// Reads the manifest, without asking any cloud. An environment that it does not have is refused.
pub(crate) fn manifest(settings: &Settings) -> Result<Loaded, Failure> {
    let mut loaded = read(settings, false)?;
    match loaded.undeclared.take() {
        Some(refusal) => Err(refusal.into()),
        None => Ok(loaded),
    }
}

/// Reads the manifest, without asking any cloud. An environment that it does not have (any more) is accepted where the journal
/// knows it: it can still be looked at, and removed.
pub(crate) async fn with_journal(settings: &Settings, without_recipe: bool) -> Result<(Loaded, Journal), Failure> {
    let (loaded, journal) = with_journal_anywhere(settings, without_recipe).await?;
    journal.look().await?;
    Ok((loaded, journal))
}

/// The same, also where the journal has moved to another place.
pub(crate) async fn with_journal_anywhere(
    settings: &Settings,
    without_recipe: bool,
) -> Result<(Loaded, Journal), Failure> {
    let loaded = read(settings, without_recipe)?;
    let journal = Journal::open(&loaded)?;
    if let Some(refusal) = &loaded.undeclared
        && !journal.environments().await?.iter().any(|known| known == loaded.environment.as_str())
    {
        return Err(refusal.clone().into());
    }
    Ok((loaded, journal))
}

/// Reads the manifest and opens the journal for a command that is about all environments of the journal. None needs to be chosen,
/// unless the manifest gives them different journals.
pub(crate) fn whole_journal(settings: &Settings) -> Result<(Loaded, Journal), Failure> {
    let mut names = match &settings.env {
        Some(_) => Vec::new(),
        None => environments(&settings.manifest_path()),
    };
    // Without a name, what is wrong with the manifest is said.
    let of = |env: Option<String>| read(&Settings { env, ..settings.clone() }, true);
    let loaded = of(settings.env.clone().or_else(|| names.pop()))?;
    for name in names {
        if of(Some(name))?.manifest.journal != loaded.manifest.journal {
            let error = anyhow::anyhow!("the environments of the manifest have different journals");
            return Err(Failure::new(ExitStatus::Manifest, error).hint("choose one with `-e NAME`"));
        }
    }
    let journal = Journal::open(&loaded)?;
    Ok((loaded, journal))
}

fn read(settings: &Settings, without_recipe: bool) -> Result<Loaded, Failure> {
    let options = LoadOptions {
        env: settings.env.clone(),
        vars: settings.vars.clone(),
        provider: settings.provider().cloned(),
        process_env: settings.process_env.clone(),
        without_recipe,
        allowed_paths: settings.allowed_paths.clone(),
        without_secrets: settings.reach == Reach::Look { secrets: false },
    };
    let loaded = load(&settings.manifest_path(), &options)?;
    for id in std::iter::once(&loaded.provider).chain(dns_provider(&loaded)) {
        Registry::find(id.as_str()).map_err(|error| Failure::new(ExitStatus::Manifest, error))?;
    }
    Ok(loaded)
}

/// Reads the manifest and builds its providers.
pub(crate) async fn open(
    settings: &Settings,
    printer: &Printer,
    cancel: CancellationToken,
) -> Result<Context, Failure> {
    open_manifest(false, settings, printer, cancel).await
}

/// The same for a command that bakes nothing, and so does not need the files of the recipe.
pub(crate) async fn open_without_recipe(
    settings: &Settings,
    printer: &Printer,
    cancel: CancellationToken,
) -> Result<Context, Failure> {
    open_manifest(true, settings, printer, cancel).await
}

async fn open_manifest(
    without_recipe: bool,
    settings: &Settings,
    printer: &Printer,
    cancel: CancellationToken,
) -> Result<Context, Failure> {
    let stop = cancel.clone();
    let opened = async {
        let (loaded, _) = with_journal(settings, without_recipe).await?;
        let provider = build(&loaded, &loaded.provider, settings).await?;
        let dns = match dns_provider(&loaded) {
            Some(id) => Some(build(&loaded, id, settings).await?),
            None => None,
        };
        let elsewhere = elsewhere(loaded.clone(), settings.clone());
        let mut context = Context::new(loaded, provider, printer.events());
        context.dns = dns;
        context.cancel = cancel;
        context.lock_wait = settings.lock_wait;
        context.elsewhere = elsewhere;
        context.process_env.clone_from(&settings.process_env);
        Ok::<_, Failure>(context)
    };
    unless_interrupted(&stop, opened).await
}

/// Does what only reads, until the user asks to stop.
pub(crate) async fn unless_interrupted<T, E: Into<Failure>>(
    cancel: &CancellationToken,
    reading: impl Future<Output = Result<T, E>>,
) -> Result<T, Failure> {
    tokio::select! {
        biased;
        () = cancel.cancelled() => Err(Failure::interrupted()),
        read = reading => read.map_err(Into::into),
    }
}

/// Builds the providers of places where the environment was before.
fn elsewhere(loaded: Loaded, settings: Settings) -> Elsewhere {
    let (loaded, settings) = (Arc::new(loaded), Arc::new(settings));
    Elsewhere::new(move |place| {
        let (loaded, settings) = (Arc::clone(&loaded), Arc::clone(&settings));
        Box::pin(async move {
            let unknown =
                |error: UnknownProvider| Error::new(ErrorKind::InvalidInput, "configure provider", error.to_string());
            let registration = Registry::find(place.provider.as_str()).map_err(unknown)?;
            (registration.build)(build_context(&loaded, &place.provider, Some(place.region), &settings)).await
        })
    })
}

/// Refuses to begin a journal that the end of a CI job would throw away: the next job would have none, and could neither replace
/// nor remove what this one deploys. `allowed` says that the folder is kept.
pub(crate) async fn check_new_journal(context: &Context, allowed: bool) -> Result<(), Failure> {
    let in_ci = context.process_env.get("CI").is_some_and(|value| !matches!(value.as_str(), "" | "0" | "false"));
    if allowed || !in_ci {
        return Ok(());
    }
    let Some(folder) = local_journal(&context.loaded) else { return Ok(()) };
    let journal = Journal::open(&context.loaded)?;
    if !folder.starts_with(checkout(&context.loaded)) || journal.has_releases().await? {
        return Ok(());
    }
    let message = format!("`CI` is set, and a new journal would be created inside the checkout ({})", folder.display());
    Err(Failure::new(ExitStatus::Manifest, anyhow::anyhow!(message))
        .hint("set `url` in `[journal]` to a folder outside of the checkout, which the next job finds")
        .hint("if this checkout is kept between jobs, pass `--new-journal` once"))
}

/// The folder of a journal that is one, as an absolute path.
fn local_journal(loaded: &Loaded) -> Option<PathBuf> {
    let path = loaded.manifest.journal.url.strip_prefix("file:")?;
    let folder = loaded.base_dir.join(path.strip_prefix("//").unwrap_or(path));
    // It need not exist yet; `..` in it must not hide that it lies inside.
    let existing = folder.ancestors().find(|above| above.exists())?;
    let rest = folder.strip_prefix(existing).ok()?;
    Some(existing.canonicalize().ok()?.join(rest))
}

/// The folder that is checked out: the nearest one above the manifest that git knows, or the manifest's own.
fn checkout(loaded: &Loaded) -> PathBuf {
    let own = loaded.base_dir.canonicalize().unwrap_or_else(|_| loaded.base_dir.clone());
    let found = own.ancestors().find(|folder| folder.join(".git").exists()).map(PathBuf::from);
    found.unwrap_or(own)
}

/// The provider of the DNS record, where it is not the service's own.
fn dns_provider(loaded: &Loaded) -> Option<&ProviderId> {
    let id = loaded.manifest.dns.as_ref()?.provider.as_ref()?;
    (*id != loaded.provider).then_some(id)
}

/// Builds a provider with the options that the manifest has for it.
pub(crate) async fn build(loaded: &Loaded, id: &ProviderId, settings: &Settings) -> Result<Arc<dyn Provider>, Failure> {
    let registration = Registry::find(id.as_str()).map_err(|error| Failure::new(ExitStatus::Manifest, error))?;
    let region = loaded.manifest.providers.get(id).map(|section| section.region.clone());
    Ok((registration.build)(build_context(loaded, id, region, settings)).await?)
}

fn build_context(loaded: &Loaded, id: &ProviderId, region: Option<Region>, settings: &Settings) -> BuildContext {
    let section = loaded.manifest.providers.get(id);
    BuildContext {
        options: section.map(|section| section.options.clone()).unwrap_or_default(),
        region,
        size: section.map(|section| section.size.clone()),
        base_dir: loaded.base_dir.clone(),
        service_ports: service_ports(loaded),
        env: settings.process_env.clone(),
        only_look: matches!(settings.reach, Reach::Look { .. }),
    }
}

/// The ports of instances to which somebody connects: the health check's, and those that a load balancer leads to and checks.
fn service_ports(loaded: &Loaded) -> Vec<u16> {
    let balanced = loaded.manifest.load_balancer_settings();
    let behind = balanced.iter().flat_map(|settings| {
        let targets = settings.listeners.iter().map(|listener| listener.target_port);
        targets.chain([settings.check.port])
    });
    let mut ports: Vec<u16> = loaded.manifest.health.check.port().into_iter().chain(behind).collect();
    ports.sort_unstable();
    ports.dedup();
    ports
}
