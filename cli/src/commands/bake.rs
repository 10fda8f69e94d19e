//! `remint bake`, and the baker that `remint deploy` uses.

use async_trait::async_trait;
use remint_core::{
    bake::{self, BakeReport},
    context::Context,
    deploy::{Baker, DeployError},
    journal::{Holder, Journal},
    provider::ImageId,
};
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::Outcome;
use crate::{
    exit::{ExitStatus, Failure},
    printer::{Printer, Summary, duration},
    session,
    settings::Settings,
};

#[derive(Debug, Serialize)]
struct Baked<'a> {
    image: &'a str,
    name: &'a str,
    fingerprint: &'a str,
    reused: bool,
    elapsed_seconds: f64,
    calls: remint_core::provider::CallCount,
    leftovers: &'a [String],
    summary: Summary,
}

pub(super) async fn run(settings: &Settings, printer: &Printer, cancel: CancellationToken) -> Outcome {
    let context = session::open(settings, printer, cancel).await?;
    // Builders that a dead run left behind are destroyed, so nobody else may be baking in this environment.
    let journal = Journal::open(&context.loaded)?;
    let lock = journal.lock(Holder::current(context.run, "bake")).await?;
    let result = match bake::recover(&context, &journal, &lock).await {
        Ok(()) => bake::bake(&context).await,
        Err(error) => Err(error),
    };
    let released = lock.release().await;
    let report = result.map_err(Failure::from)?;
    released?;
    let BakeReport { image, fingerprint, reused, elapsed, calls, leftovers, .. } = &report;
    let baked = Baked {
        image: image.id.as_str(),
        name: &image.name,
        fingerprint: fingerprint.as_str(),
        reused: *reused,
        elapsed_seconds: elapsed.as_secs_f64(),
        calls: *calls,
        leftovers,
        summary: printer.summary(),
    };
    printer.result("bake", &baked, || {
        let what = if *reused { "exists; nothing was baked" } else { "is baked" };
        let head =
            format!("image {} {what}, in {}, with {} API calls\n", image.name, duration(*elapsed), calls.total());
        head + &baked.summary.lines()
    })?;
    Ok(ExitStatus::Success)
}

/// Bakes for a deploy.
#[derive(Debug)]
pub(super) struct Builder;

#[async_trait]
impl Baker for Builder {
    async fn bake(&self, context: &Context) -> Result<ImageId, DeployError> {
        match bake::bake(context).await {
            Ok(report) => Ok(report.image.id),
            Err(error) => Err(DeployError::bake(error)),
        }
    }
}
