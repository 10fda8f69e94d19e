//! `remint bake`, on one provider or on several side by side.

mod keep;

pub(super) use keep::options;

use remint_core::{
    bake::{BakeOptions, BakeReport},
    context::Context,
    deploy,
    events::{Event, Level},
    provider::ProviderId,
};
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::CommandResult;
use crate::{
    args::BakeArgs,
    exit::{ExitStatus, Failure},
    printer::{Printer, Summary, duration},
    session,
    settings::Settings,
};

#[derive(Debug, Serialize)]
struct Baked {
    /// `None` where nothing was to be captured.
    image: Option<String>,
    name: Option<String>,
    fingerprint: String,
    reused: bool,
    elapsed_seconds: f64,
    calls: remint_core::provider::CallCount,
    leftovers: Vec<String>,
    summary: Summary,
}

impl Baked {
    fn new(report: BakeReport, summary: Summary) -> Self {
        let (image, name) = report.image.map(|image| (image.id.to_string(), image.name)).unzip();
        Self {
            image,
            name,
            fingerprint: report.fingerprint.to_string(),
            reused: report.reused,
            elapsed_seconds: report.elapsed.as_secs_f64(),
            calls: report.calls,
            leftovers: report.leftovers,
            summary,
        }
    }

    fn text(&self) -> String {
        let what = match &self.name {
            None => "the recipe works; nothing was captured".to_owned(),
            Some(name) if self.reused => format!("image {name} exists; nothing was baked"),
            Some(name) => format!("image {name} is baked"),
        };
        let elapsed = duration(std::time::Duration::try_from_secs_f64(self.elapsed_seconds).unwrap_or_default());
        let calls = self.calls.total();
        format!("{what}, in {elapsed}, with {calls} API calls\n") + &self.summary.lines()
    }
}

pub(super) async fn run(
    args: &BakeArgs,
    settings: &Settings,
    printer: &Printer,
    cancel: CancellationToken,
) -> CommandResult {
    let options = BakeOptions { capture: !args.no_capture, ..options(&args.keep, settings, printer)? };
    if settings.providers.len() > 1 {
        return side_by_side(args, &options, settings, printer, cancel).await;
    }
    let mut context = session::open(settings, printer, cancel).await?;
    context.bake = options;
    session::check_new_journal(&context, args.new_journal).await?;
    let baked = Baked::new(deploy::bake(&context).await?, printer.summary());
    printer.result("bake", &baked, || baked.text())?;
    Ok(ExitStatus::Success)
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
async fn side_by_side(
    args: &BakeArgs,
    options: &BakeOptions,
    settings: &Settings,
    printer: &Printer,
    cancel: CancellationToken,
) -> CommandResult {
    // What the manifest lacks for one of them is reported before anything is created anywhere.
    for id in &settings.providers {
        session::manifest(&settings.for_provider(id))?;
    }
    let mut opened = Vec::new();
    for id in &settings.providers {
        let printer = printer.of(id.as_str());
        let context = session::open(&settings.for_provider(id), &printer, cancel.clone()).await;
        opened.push((id, printer, context));
    }
    let mut contexts: Vec<Context> = opened.iter().filter_map(|(.., context)| context.as_ref().ok().cloned()).collect();
    contexts.iter_mut().for_each(|context| context.bake = options.clone());
    if let Some(first) = contexts.first() {
        session::check_new_journal(first, args.new_journal).await?;
        // One run, which holds the lock.
        let run = first.run;
        contexts.iter_mut().for_each(|context| context.run = run);
    }
    let mut reports = deploy::bake_each(&contexts).await?.into_iter();
    let results = opened.into_iter().map(|(id, printer, context)| {
        let result = context.and_then(|_| match reports.next() {
            Some(report) => Ok(report?),
            None => Err(Failure::from(anyhow::anyhow!("nothing was baked on {id}"))),
        });
        (id, printer, result)
    });
    let results: Vec<_> = results.collect();
    let (mut worst, mut ended) = (ExitStatus::Success, Vec::new());
    for (id, printer, result) in results {
        let end = match result {
            Ok(report) => End::Baked(Box::new(Baked::new(report, printer.summary()))),
            Err(failure) => {
                let message = format!("failed: {failure}");
                printer.events().emit(Event::Note { level: Level::Warning, message });
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
    printer.result("bake", &ended, || ended.iter().map(line).collect())?;
    Ok(worst)
}

fn line(Ended { provider, end }: &Ended) -> String {
    match end {
        End::Baked(baked) => format!("{provider}: {}", baked.text()),
        End::Failed { exit_code, .. } => format!("{provider}: failed, see above (exit code {exit_code})\n"),
    }
}
