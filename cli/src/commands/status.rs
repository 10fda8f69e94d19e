//! `remint status`: what stands, and whether it is what was deployed.

use remint_core::{
    deploy::{self, InstanceStatus, Status},
    provider::{LoadBalancerState, MemberHealth},
    redact,
};
use tokio_util::sync::CancellationToken;

use super::{CommandResult, plan};
use crate::{
    exit::ExitStatus,
    printer::{Printer, Styled},
    session,
    settings::Settings,
};

pub(super) async fn run(settings: &Settings, printer: &Printer, cancel: CancellationToken) -> CommandResult {
    let context = session::open_without_recipe(settings, printer, cancel).await?;
    let status = deploy::status(&context).await?;
    printer.result("status", &status, || text(&status))?;
    Ok(ExitStatus::Success)
}

fn text(status: &Status) -> String {
    let mut text = format!("{} in {}\n", Styled::bold(&status.service), status.environment);
    let mut row = |title: &str, value: String| text.push_str(&format!("  {title:<10} {value}\n"));
    match status.current {
        Some(release) => row("release", Styled::green(release).to_string()),
        None => row("release", "none yet; `remint deploy` makes the first one".to_owned()),
    }
    if let Some((release, phase)) = status.unfinished {
        let advice = "`remint resume` goes on, `remint abort` undoes it";
        row("unfinished", Styled::yellow(format!("{release} was left in {phase}: {advice}")).to_string());
    }
    if let Some(lock) = &status.lock {
        row("locked", format!("by {}", lock.holder));
    }
    if let Some(address) = &status.address {
        let target = status.points_at.as_ref().map_or_else(String::new, |id| format!(" -> instance {id}"));
        let at = status.endpoint.map_or_else(|| address.ip.to_string(), |endpoint| endpoint.to_string());
        row("address", format!("{at}{target}"));
    }
    if let Some(balancer) = &status.load_balancer {
        let state = match &balancer.state {
            LoadBalancerState::Active => Styled::green("active").to_string(),
            LoadBalancerState::Pending => Styled::yellow("being changed").to_string(),
            LoadBalancerState::Failed(reason) => Styled::red(redact::show_line(reason)).to_string(),
        };
        row("balancer", format!("{} ({}), {state}", balancer.name, balancer.id));
    }
    if let Some(values) = &status.record {
        row("record", values.join(", "));
    }
    for instance in &status.instances {
        row("instance", line(instance));
    }
    for instance in &status.foreign {
        let name = format!("{} ({}), deployed by another journal", redact::show_line(&instance.name), instance.id);
        row("not ours", Styled::red(name).to_string());
    }
    if !status.undeclared.is_empty() {
        let names = status.undeclared.join(", ");
        row("also", format!("the journal has environments without a section in the manifest: {names} (`-e NAME`)"));
    }
    if status.drift.refused.is_some() {
        text.push('\n');
        text.push_str(&plan::text(&status.drift));
    } else if status.current.is_some() && status.drift.changes() {
        text.push_str("\na deploy would change this:\n");
        text.push_str(&plan::text(&status.drift));
    } else if !status.drift.config_compared {
        text.push_str(&format!("\n{}\n", plan::NOT_COMPARED));
    }
    text
}

fn line(status: &InstanceStatus) -> String {
    let instance = &status.instance;
    let mut words =
        vec![format!("{} ({})", redact::show_line(&instance.name), instance.id), instance.state.as_str().to_owned()];
    words.push(match status.healthy {
        Some(true) => Styled::green("healthy").to_string(),
        Some(false) => Styled::red("not healthy").to_string(),
        None => "health unknown".to_owned(),
    });
    if let Some(release) = status.release {
        words.push(release.to_string());
    }
    match &status.member {
        Some(MemberHealth::OutOfService(reason)) if !reason.is_empty() => {
            words.push(Styled::red(format!("out of service: {}", redact::show_line(reason))).to_string());
        }
        Some(health) => words.push(health.as_str().to_owned()),
        None if status.serves => words.push("serves".to_owned()),
        None => {}
    }
    if let Some(created) = instance.created_at {
        words.push(format!("since {}", created.strftime("%Y-%m-%d %H:%M:%SZ")));
    }
    if let Some(at) = &status.touched {
        words.push(Styled::yellow(format!("touched at {at}: replace it with `remint deploy --force`")).to_string());
    }
    words.join(", ")
}
