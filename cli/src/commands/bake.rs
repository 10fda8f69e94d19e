//! `remint bake`, on one provider or on several side by side, and the baker that `remint deploy` uses.

use async_trait::async_trait;
use futures::future::join_all;
use remint_core::{
    bake::{self, BakeReport},
    context::Context,
    deploy::{Baker, DeployError},
    events::{Event, Level},
    journal::{Holder, Journal, JournalError, LockGuard},
    provider::{ImageId, ProviderId},
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
struct Baked {
    image: String,
    name: String,
    fingerprint: String,
    reused: bool,
    elapsed_seconds: f64,
    calls: remint_core::provider::CallCount,
    leftovers: Vec<String>,
    summary: Summary,
}

impl Baked {
    fn new(report: BakeReport, summary: Summary) -> Self {
        Self {
            image: report.image.id.to_string(),
            name: report.image.name,
            fingerprint: report.fingerprint.to_string(),
            reused: report.reused,
            elapsed_seconds: report.elapsed.as_secs_f64(),
            calls: report.calls,
            leftovers: report.leftovers,
            summary,
        }
    }

    fn text(&self) -> String {
        let what = if self.reused { "exists; nothing was baked" } else { "is baked" };
        let elapsed = duration(std::time::Duration::try_from_secs_f64(self.elapsed_seconds).unwrap_or_default());
        let calls = self.calls.total();
        format!("image {} {what}, in {elapsed}, with {calls} API calls\n", self.name) + &self.summary.lines()
    }
}

pub(super) async fn run(settings: &Settings, printer: &Printer, cancel: CancellationToken) -> Outcome {
    if settings.providers.len() > 1 {
        return side_by_side(settings, printer, cancel).await;
    }
    let context = session::open(settings, printer, cancel).await?;
    let journal = Journal::open(&context.loaded)?;
    let holder = Holder::current(context.run, "bake");
    let lock = journal.lock_within(holder, context.lock_wait, &context.events, &context.cancel).await?;
    let result = one(&context, &journal, &lock).await;
    let released = give_back(lock, result.is_ok()).await;
    let baked = Baked::new(result?, printer.summary());
    released?;
    printer.result("bake", &baked, || baked.text())?;
    Ok(ExitStatus::Success)
}

/// Bakes under the environment's lock: builders that a dead run left behind are destroyed, so nobody else may be baking.
async fn one(context: &Context, journal: &Journal, lock: &LockGuard) -> Result<BakeReport, Failure> {
    context.provider.calls().fence(lock.fence());
    context.dns_provider().calls().fence(lock.fence());
    bake::recover(context, journal, lock).await?;
    Ok(bake::bake(context).await?)
}

/// Gives the lock back. What a run that died left behind is for the next run, unless this one got to its end.
async fn give_back(lock: LockGuard, settled: bool) -> Result<(), JournalError> {
    if settled { lock.release().await } else { lock.release_unsettled().await }
}

/// How the bake on one of several providers ended.
#[derive(Debug, Serialize)]
struct Ended {
    provider: ProviderId,
    #[serde(flatten)]
    end: End,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
enum End {
    Baked(Box<Baked>),
    Failed { exit_code: u8, chain: Vec<String>, hints: Vec<String> },
}

/// Bakes on each provider at the same time, under one lock. One that fails stops no other, and the highest exit code counts.
async fn side_by_side(settings: &Settings, printer: &Printer, cancel: CancellationToken) -> Outcome {
    // What the manifest lacks for one of them is told before anything is made anywhere.
    let mut journals = Vec::new();
    for id in &settings.providers {
        journals.push(Journal::open(&session::manifest(&settings.for_provider(id))?)?);
    }
    let holder = Holder::current(uuid::Uuid::now_v7(), "bake");
    let lock = journals[0].lock_within(holder, settings.lock_wait, &printer.events(), &cancel).await?;
    let bakes = settings.providers.iter().zip(&journals).map(|(id, journal)| {
        let (settings, printer, cancel, lock) =
            (settings.for_provider(id), printer.of(id.as_str()), cancel.clone(), &lock);
        async move {
            let baked = async {
                let context = session::open(&settings, &printer, cancel).await?;
                one(&context, journal, lock).await
            };
            let result = baked.await;
            if let Err(failure) = &result {
                let message = format!("failed: {failure}");
                printer.events().emit(Event::Note { level: Level::Warning, message });
            }
            (id, printer, result)
        }
    });
    let results = join_all(bakes).await;
    let released = give_back(lock, results.iter().all(|(_, _, result)| result.is_ok())).await;
    let (mut worst, mut ended) = (ExitStatus::Success, Vec::new());
    for (id, printer, result) in results {
        let end = match result {
            Ok(report) => End::Baked(Box::new(Baked::new(report, printer.summary()))),
            Err(failure) => {
                printer.failure(&failure);
                if failure.status.code() > worst.code() {
                    worst = failure.status;
                }
                let chain = failure.error.chain().map(ToString::to_string).collect();
                End::Failed { exit_code: failure.status.code(), chain, hints: failure.hints }
            }
        };
        ended.push(Ended { provider: id.clone(), end });
    }
    released?;
    printer.result("bake", &ended, || ended.iter().map(line).collect())?;
    Ok(worst)
}

fn line(Ended { provider, end }: &Ended) -> String {
    match end {
        End::Baked(baked) => format!("{provider}: {}", baked.text()),
        End::Failed { exit_code, .. } => format!("{provider}: failed, as told above (exit code {exit_code})\n"),
    }
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
