//! `remint plan`: what a deploy would do.

use remint_core::{
    context::Context,
    deploy::{self, DeployOptions, Plan, Refusal, Step, Waves},
};
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::CommandResult;
use crate::{
    args::PlanArgs,
    exit::ExitStatus,
    printer::{Printer, Styled},
    session,
    settings::Settings,
    target::Target,
};

/// What a command that reads no secrets says of a configuration that holds some.
pub(super) const NOT_COMPARED: &str = "configuration: not compared; --with-secrets compares it";

pub(super) async fn run(
    args: &PlanArgs,
    settings: &Settings,
    printer: &Printer,
    cancel: CancellationToken,
) -> CommandResult {
    let context = session::open(settings, printer, cancel).await?;
    let options = DeployOptions { image: args.image.clone(), ..DeployOptions::default() };
    let (plan, targets) = tokio::join!(deploy::plan(&context, &options), targets(&context));
    let planned = Planned { plan: plan?, targets };
    let plan = &planned.plan;
    printer.result("plan", &planned, || {
        let lines = planned.targets.iter().map(|target| format!("{}: {target}\n", Styled::bold(target.provider())));
        format!("{}{}", lines.collect::<String>(), text(plan))
    })?;
    Ok(if args.detailed_exit_code && (plan.changes() || plan.refused.is_some()) {
        ExitStatus::Changes
    } else {
        ExitStatus::Success
    })
}

/// A plan, and whose accounts it is about.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub(super) struct Planned {
    #[serde(flatten)]
    plan: Plan,
    /// The clouds that the plan is about: where the service stands, and where its DNS record is.
    targets: Vec<Target>,
}

/// Credentials may be good for all that a deploy needs, and not for a look at the account.
async fn targets(context: &Context) -> Vec<Target> {
    let host = (&context.provider, Some(&context.loaded.section.region));
    let dns = context.dns.as_ref().map(|provider| (provider, None));
    let found = std::iter::once(host).chain(dns).map(async |(provider, region)| {
        let target = Target::new(&provider.descriptor().id.into(), &**provider, region);
        match provider.account().await {
            Ok(account) => target.of(&account),
            Err(_) => target,
        }
    });
    futures::future::join_all(found).await
}

/// The plan as lines, in the signs that people know: `+` made, `~` changed, `-` removed.
pub(super) fn text(plan: &Plan) -> String {
    let title = format!("{} in {}", plan.service, plan.environment);
    if let Some(refused) = &plan.refused {
        return refusal(&title, refused);
    }
    let not_compared = if plan.config_compared { String::new() } else { format!("\n{NOT_COMPARED}") };
    if !plan.changes() {
        return format!("{title}: nothing to do{not_compared}");
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
    text + not_compared.trim_start()
}

/// Why a deploy would be refused, as the deploy itself would say it.
fn refusal(title: &str, refused: &Refusal) -> String {
    let mut text = format!("{}: a deploy would be refused\n  {}\n", Styled::bold(title), Styled::red(&refused.message));
    for line in &refused.details {
        text.push_str(&format!("      {}\n", Styled::dim(line)));
    }
    for hint in &refused.hints {
        text.push_str(&format!("  {} {hint}\n", Styled::cyan("hint:")));
    }
    text
}

/// How instances behind a load balancer take over: `rolling, 1 at a time, at most 4 at once`.
fn in_waves(waves: &Waves) -> String {
    let Waves { strategy, launches, most } = waves;
    let sizes = match launches.as_slice() {
        [] | [_] => "all at the same time".to_owned(),
        [first, rest @ ..] if rest.iter().all(|size| size <= first) => format!("{first} at a time"),
        [first, rest @ ..] => {
            let largest = rest.iter().max().copied().unwrap_or_default();
            format!("{first} first, then {largest} at a time")
        }
    };
    format!("{}: {sizes}, at most {most} in all", strategy.as_str())
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
        Step::Launch { release, count, size, region, why, waves } => {
            let waves = waves.as_ref().map_or_else(String::new, |waves| format!(", {}", in_waves(waves)));
            ('+', format!("launch {count} of {size} in {region} as {release}{waves}"), why)
        }
        Step::Scale { release, from, to } => ('~', format!("scale from {from} to {to} instances as {release}"), &[]),
        Step::MakeBalancer => ('+', "create a load balancer".to_owned(), &[]),
        Step::ChangeBalancer { name } => ('~', format!("change load balancer {name} in place"), &[]),
        Step::Attach { instances } => {
            let ids: Vec<_> = instances.iter().map(ToString::to_string).collect();
            ('~', format!("put {} behind the load balancer again", ids.join(", ")), &[])
        }
        Step::MakeAddress => ('+', "create a static IP".to_owned(), &[]),
        Step::MoveAddress { address, .. } => ('~', format!("move {address} to the new instance"), &[]),
        Step::SetRecord { fqdn, before, after, ttl_before, ttl, ttl_raised_from } => {
            let mut changes = Vec::new();
            if before != after || after.is_none() {
                changes.push(format!("{} -> {}", values(before, "none"), values(after, "the new address")));
            }
            match (ttl_before, ttl_raised_from) {
                (_, Some(asked)) => {
                    changes.push(format!("TTL {ttl} s, raised from {asked} s: the least that the DNS provider has"));
                }
                (Some(before), None) if before != ttl => changes.push(format!("TTL {before} s -> {ttl} s")),
                (Some(_), None) => {}
                (None, None) => changes.push(format!("TTL {ttl} s")),
            }
            ('~', format!("set {fqdn}: {}", changes.join(", ")), &[])
        }
        Step::Retire { instances, how } => {
            let ids: Vec<_> = instances.iter().map(ToString::to_string).collect();
            ('-', format!("retire {} ({how:?})", ids.join(", ")).to_lowercase(), &[])
        }
        Step::Remove { resource, keeps: true } => {
            ('-', format!("stop using {resource}, which stays in the account"), &[])
        }
        Step::Remove { resource, keeps: false } => {
            ('-', format!("remove {resource}, once resolvers have forgotten it"), &[])
        }
    }
}
