//! `remint plan`: what a deploy would do.

use remint_core::deploy::{self, DeployOptions, Plan, Step};
use tokio_util::sync::CancellationToken;

use super::Outcome;
use crate::{
    args::PlanArgs,
    exit::ExitStatus,
    printer::{Printer, Styled},
    session,
    settings::Settings,
};

pub(super) async fn run(args: &PlanArgs, settings: &Settings, printer: &Printer, cancel: CancellationToken) -> Outcome {
    let context = session::open(settings, printer, cancel).await?;
    let options = DeployOptions { image: args.image.clone(), ..DeployOptions::default() };
    let plan = deploy::plan(&context, &options).await?;
    printer.result("plan", &plan, || text(&plan))?;
    Ok(if args.detailed_exit_code && plan.changes() { ExitStatus::Changes } else { ExitStatus::Success })
}

/// The plan as lines, in the signs that people know: `+` made, `~` changed, `-` removed.
pub(super) fn text(plan: &Plan) -> String {
    let title = format!("{} in {}", plan.service, plan.environment);
    if !plan.changes() {
        return format!("{title}: nothing to do");
    }
    let mut text = format!("{}\n", Styled::bold(&title));
    for step in &plan.steps {
        let (sign, line, why) = line(step);
        let sign = match sign {
            '+' => Styled::green(sign).to_string(),
            '-' => Styled::red(sign).to_string(),
            '~' => Styled::yellow(sign).to_string(),
            _ => sign.to_string(),
        };
        text.push_str(&format!("  {sign} {line}\n"));
        for reason in why {
            text.push_str(&format!("      {}\n", Styled::dim(reason)));
        }
    }
    text
}

fn line(step: &Step) -> (char, String, &[String]) {
    let values = |values: &Option<Vec<String>>, none: &str| {
        values.as_ref().map_or_else(|| none.to_owned(), |values| values.join(", "))
    };
    match step {
        Step::Settle { release, phase } => ('~', format!("settle {release}, which was left in {phase}"), &[]),
        Step::Bake { fingerprint, why } => ('+', format!("bake an image (fingerprint {})", fingerprint.short()), why),
        Step::Reuse { image, fingerprint } => {
            let whence = if fingerprint.is_given() {
                "given".to_owned()
            } else {
                format!("fingerprint {}", fingerprint.short())
            };
            (' ', format!("use image {image} ({whence})"), &[])
        }
        Step::Launch { release, count, size, region, why } => {
            ('+', format!("launch {count} of {size} in {region} as {release}"), why)
        }
        Step::MakeAddress => ('+', "make a static IP".to_owned(), &[]),
        Step::MoveAddress { address, .. } => ('~', format!("move {address} to the new instance"), &[]),
        Step::SetRecord { fqdn, before, after } => {
            let change = format!("{} -> {}", values(before, "none"), values(after, "the static IP"));
            ('~', format!("set {fqdn}: {change}"), &[])
        }
        Step::Retire { instances, how } => {
            let ids: Vec<_> = instances.iter().map(ToString::to_string).collect();
            ('-', format!("retire {} ({how:?})", ids.join(", ")).to_lowercase(), &[])
        }
    }
}
