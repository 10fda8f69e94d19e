//! `remint doctor`: this machine, the manifest, the credentials; one line each, and what to do about it.

use futures::future::join_all;
use remint_core::{
    manifest::Loaded,
    provider::{ProviderId, Registry, RetryPolicy},
};
use serde::Serialize;

use super::CommandResult;
use crate::{
    exit::{ExitStatus, Failure},
    printer::{Printer, Styled},
    session,
    settings::Settings,
    target::Target,
};

/// How a check ended.
#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
enum Verdict {
    Good,
    Missing,
    Bad,
}

#[derive(Debug, Serialize)]
struct Check {
    name: String,
    verdict: Verdict,
    message: String,
    hints: Vec<String>,
}

impl Check {
    fn good(name: impl Into<String>, message: impl Into<String>) -> Self {
        Self { name: name.into(), verdict: Verdict::Good, message: message.into(), hints: Vec::new() }
    }

    fn failed(name: impl Into<String>, verdict: Verdict, failure: &Failure) -> Self {
        Self { name: name.into(), verdict, message: failure.to_string(), hints: failure.hints.clone() }
    }
}

pub(super) async fn run(settings: &Settings, printer: &Printer) -> CommandResult {
    let mut checks =
        vec![program("ssh", "remint ssh", "openssh-client"), program("git", "${git.…} in manifests", "git")];
    let used = Registry::all().into_iter().flat_map(|registration| registration.programs);
    checks.extend(used.map(|used| program(used.name, used.purpose, used.package)));
    checks.extend(manifest_and_credentials(settings).await);
    let bad = checks.iter().any(|check| matches!(check.verdict, Verdict::Bad));
    printer.result("doctor", &checks, || checks.iter().map(line).collect())?;
    Ok(if bad { ExitStatus::Failure } else { ExitStatus::Success })
}

/// A program that is good to have; Remint runs without it, less one thing.
fn program(name: &'static str, purpose: &str, package: &str) -> Check {
    let path = std::env::var_os("PATH").unwrap_or_default();
    // Where Debian has HAProxy, which is not in everybody's PATH.
    let folders = std::env::split_paths(&path).chain([std::path::PathBuf::from("/usr/sbin")]);
    match folders.map(|folder| folder.join(name)).find(|file| file.is_file()) {
        Some(file) => Check::good(name, file.display().to_string()),
        None => Check {
            name: name.to_owned(),
            verdict: Verdict::Missing,
            message: format!("not found; needed for {purpose}"),
            hints: vec![format!("install Debian's package {package}, if you want that")],
        },
    }
}

/// The manifest, and the credentials of every provider that it has a section for. Those of the one that hosts the service, or
/// its DNS record, must be right; of the others it is only told that they are not.
async fn manifest_and_credentials(settings: &Settings) -> Vec<Check> {
    if !settings.manifest_path().exists() {
        let message = format!("no {} here", settings.manifest_path().display());
        let hints = vec!["write one with `remint init`".to_owned()];
        return vec![Check { name: "manifest".to_owned(), verdict: Verdict::Missing, message, hints }];
    }
    let loaded = match session::manifest(settings) {
        Ok(loaded) => loaded,
        Err(failure) => return vec![Check::failed("manifest", Verdict::Bad, &failure)],
    };
    let message = format!("service {}, environment {}", loaded.manifest.service, loaded.environment.as_str());
    let mut checks = vec![Check::good("manifest", message)];
    let dns = loaded.manifest.dns.as_ref().and_then(|dns| dns.provider.as_ref());
    let settings = impatient(settings);
    let ids = loaded.manifest.providers.keys().chain(dns.filter(|id| !loaded.manifest.providers.contains_key(*id)));
    let asked = ids.map(|id| credentials(&loaded, id, *id == loaded.provider || Some(id) == dns, &settings));
    checks.extend(join_all(asked).await);
    checks
}

/// The settings with a short time for each call: a cloud that cannot be reached is a result here, and nothing to wait for.
fn impatient(settings: &Settings) -> Settings {
    let mut settings = settings.clone();
    settings.process_env.entry(RetryPolicy::VARIABLE.to_owned()).or_insert_with(|| "10s".to_owned());
    settings
}

/// Whether a cloud accepts the credentials, whose they are, and where it is asked.
async fn credentials(loaded: &Loaded, id: &ProviderId, needed: bool, settings: &Settings) -> Check {
    let found = async {
        let provider = session::build(loaded, id, settings).await?;
        let target = Target::new(id, &*provider, loaded.manifest.providers.get(id).map(|section| &section.region));
        Ok::<_, Failure>((provider.account().await, target))
    };
    let verdict = if needed { Verdict::Bad } else { Verdict::Missing };
    match found.await {
        Ok((Ok(account), target)) => Check::good(id.as_str(), target.of(&account).to_string()),
        Ok((Err(error), target)) => {
            let mut check = Check::failed(id.as_str(), verdict, &Failure::from(error));
            check.message = format!("{} ({target})", check.message);
            check
        }
        Err(failure) => {
            let may_be_off = Registry::find(id.as_str()).is_ok_and(|registration| registration.starts_on_demand);
            Check::failed(id.as_str(), if may_be_off { Verdict::Missing } else { verdict }, &failure)
        }
    }
}

fn line(check: &Check) -> String {
    let sign = match check.verdict {
        Verdict::Good => Styled::green("ok"),
        Verdict::Missing => Styled::yellow("--"),
        Verdict::Bad => Styled::red("no"),
    };
    let mut text = format!("{sign}  {:<20} {}\n", check.name, check.message);
    for hint in &check.hints {
        text.push_str(&format!("    {:<20} {} {hint}\n", "", Styled::cyan("hint:")));
    }
    text
}
