//! `remint doctor`: this machine, the manifest, the credentials; one line each, and what to do about it.

use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::Outcome;
use crate::{
    exit::{ExitStatus, Failure},
    printer::{Printer, Styled},
    session,
    settings::Settings,
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
    name: &'static str,
    verdict: Verdict,
    message: String,
    hints: Vec<String>,
}

impl Check {
    fn good(name: &'static str, message: impl Into<String>) -> Self {
        Self { name, verdict: Verdict::Good, message: message.into(), hints: Vec::new() }
    }

    fn bad(name: &'static str, failure: &Failure) -> Self {
        Self { name, verdict: Verdict::Bad, message: failure.to_string(), hints: failure.hints.clone() }
    }
}

pub(super) async fn run(settings: &Settings, printer: &Printer, cancel: CancellationToken) -> Outcome {
    let mut checks =
        vec![program("ssh", "remint ssh", "openssh-client"), program("git", "${git.…} in manifests", "git")];
    if cfg!(feature = "sandbox") {
        checks.push(program("qemu-system-x86_64", "the sandbox's real virtual machines", "qemu-system-x86"));
        checks.push(program("qemu-img", "the sandbox's real virtual machines", "qemu-utils"));
        checks.push(program("mmdebstrap", "building the sandbox's base image", "mmdebstrap"));
    }
    checks.extend(manifest_and_credentials(settings, printer, cancel).await);
    let bad = checks.iter().any(|check| matches!(check.verdict, Verdict::Bad));
    printer.result("doctor", &checks, || checks.iter().map(line).collect())?;
    Ok(if bad { ExitStatus::Failure } else { ExitStatus::Success })
}

/// A program that is good to have; Remint runs without it, less one thing.
fn program(name: &'static str, purpose: &str, package: &str) -> Check {
    let path = std::env::var_os("PATH").unwrap_or_default();
    match std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file()) {
        Some(file) => Check::good(name, file.display().to_string()),
        None => Check {
            name,
            verdict: Verdict::Missing,
            message: format!("not found; needed for {purpose}"),
            hints: vec![format!("install Debian's package {package}, if you want that")],
        },
    }
}

async fn manifest_and_credentials(settings: &Settings, printer: &Printer, cancel: CancellationToken) -> Vec<Check> {
    if !settings.manifest_path().exists() {
        let message = format!("no {} here", settings.manifest_path().display());
        let hints = vec!["write one with `remint init`".to_owned()];
        return vec![Check { name: "manifest", verdict: Verdict::Missing, message, hints }];
    }
    let context = match session::open(settings, printer, cancel).await {
        Ok(context) => context,
        Err(failure) => {
            let name = if failure.status == ExitStatus::Manifest { "manifest" } else { "credentials" };
            return vec![Check::bad(name, &failure)];
        }
    };
    let loaded = &context.loaded;
    let manifest = format!("service {}, environment {}", loaded.manifest.service, loaded.environment.as_str());
    let account = match context.provider.account().await {
        Ok(account) => Check::good("credentials", format!("{}: {}", loaded.provider, account.name)),
        Err(error) => Check::bad("credentials", &Failure::from(error)),
    };
    vec![Check::good("manifest", manifest), account]
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
