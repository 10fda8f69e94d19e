//! `remint ssh` and `remint console`: a look at an instance, or at a builder that is kept.

mod client;

use anyhow::Context as _;
use jiff::Timestamp;
use remint_core::{
    context::Context,
    deploy,
    provider::{Instance, Labels, label},
};
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use client::Login;

use super::CommandResult;
use crate::{
    args::{ConsoleArgs, SshArgs},
    exit::{ExitStatus, Failure},
    printer::Printer,
    session,
    settings::Settings,
};

pub(super) async fn ssh(
    args: &SshArgs,
    settings: &Settings,
    printer: &Printer,
    cancel: CancellationToken,
) -> CommandResult {
    let context = session::open_without_recipe(settings, printer, cancel.clone()).await?;
    if args.builder {
        return to_builder(args, &context, printer).await;
    }
    if context.loaded.manifest.access.ssh_keys.is_empty() {
        let error = anyhow::anyhow!("nobody can log in to the instances of {}", context.loaded.manifest.service);
        return Err(Failure::new(ExitStatus::Failure, error)
            .hint("name public keys in `access.ssh_keys` and deploy; or look from outside with `remint console`"));
    }
    let instance = session::unless_interrupted(&cancel, choose(&context, args.instance.as_deref())).await?;
    let address = instance.address.clone().with_context(|| format!("{} has no address yet", instance.name))?;
    let keys = deploy::host_keys(&context, &instance).await?;
    let login = Login {
        endpoint: address.endpoint(22),
        keys,
        identity: args.identity.clone(),
        command: args.command.clone(),
        run: context.run.simple().to_string(),
    };
    let logged_in = async {
        let touched = Labels::new().with(label::TOUCHED, Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string());
        match context.provider.instances().label(&instance.id, &touched).await {
            Ok(()) => printer.say(&format!("{} is marked as touched", instance.name)),
            Err(error) => printer.say(&format!("warning: could not mark {} as touched: {error}", instance.name)),
        }
    };
    let code = client::run(&login, logged_in, &context.cancel).await?;
    printer.close();
    // The code is that of the command on the instance, as with ssh itself.
    std::process::exit(code);
}

/// Logs in to a builder that is kept. It is no instance of the service, so nothing is marked as touched.
async fn to_builder(args: &SshArgs, context: &Context, printer: &Printer) -> CommandResult {
    let kept = session::unless_interrupted(&context.cancel, deploy::kept_builders(context)).await?;
    let names: Vec<_> = kept.iter().map(|kept| kept.instance.name.clone()).collect();
    let mut chosen =
        kept.into_iter().filter(|kept| args.instance.as_ref().is_none_or(|name| *name == kept.instance.name));
    let builder = match (chosen.next(), chosen.next()) {
        (Some(builder), None) => builder,
        (None, _) if names.is_empty() => {
            let failure = Failure::new(ExitStatus::Failure, anyhow::anyhow!("no builder is kept"));
            return Err(failure.hint("`remint bake --on-error=keep` keeps the builder of a bake that fails"));
        }
        (one, _) => {
            let message = match (one, &args.instance) {
                (None, Some(name)) => format!("no builder `{name}` is kept; those that are, are below"),
                _ => "several builders are kept; name one of those below".to_owned(),
            };
            return Err(Failure::new(ExitStatus::Failure, anyhow::anyhow!(message)).hint(names.join(", ")));
        }
    };
    let name = &builder.instance.name;
    let Some(key) = builder.key else {
        let error = anyhow::anyhow!("the key of {name} is not on this machine");
        return Err(Failure::new(ExitStatus::Failure, error)
            .hint("log in from the machine, and as the user, that ran the bake")
            .hint("`remint gc --kept` destroys the builder"));
    };
    let address = builder.instance.address.clone().with_context(|| format!("{name} has no address"))?;
    let login = Login {
        endpoint: address.endpoint(22),
        keys: vec![key.host_key.line()],
        identity: Some(args.identity.clone().unwrap_or(key.file)),
        command: args.command.clone(),
        run: context.run.simple().to_string(),
    };
    let code = client::run(&login, async {}, &context.cancel).await?;
    printer.close();
    std::process::exit(code);
}

pub(super) async fn console(
    args: &ConsoleArgs,
    settings: &Settings,
    printer: &Printer,
    cancel: CancellationToken,
) -> CommandResult {
    let context = session::open_without_recipe(settings, printer, cancel).await?;
    let instance = choose(&context, args.instance.as_deref()).await?;
    let output = context.provider.instances().console_output(&instance.id).await?;
    let result = Console { instance: &instance.name, id: instance.id.as_str(), lines: output.lines().collect() };
    printer.result("console", &result, || output.clone())?;
    Ok(ExitStatus::Success)
}

/// What an instance wrote to its console, for `--json`.
#[derive(Serialize)]
struct Console<'a> {
    instance: &'a str,
    id: &'a str,
    lines: Vec<&'a str>,
}

/// The instance of that name, or the only one.
async fn choose(context: &Context, name: Option<&str>) -> Result<Instance, Failure> {
    let mut instances: Vec<_> = deploy::status(context).await?.instances.into_iter().map(|one| one.instance).collect();
    let names: Vec<_> = instances.iter().map(|instance| instance.name.clone()).collect();
    let refuse = |message: String| {
        let failure = Failure::new(ExitStatus::Failure, anyhow::anyhow!(message));
        if names.is_empty() { failure.hint("`remint deploy` launches one") } else { failure.hint(names.join(", ")) }
    };
    if let Some(name) = name {
        let found = instances.into_iter().find(|instance| instance.name == name || instance.id.as_str() == name);
        return found.ok_or_else(|| refuse(format!("there is no instance `{name}`; those that exist are below")));
    }
    match instances.len() {
        0 => Err(refuse("there is no instance".to_owned())),
        1 => Ok(instances.remove(0)),
        _ => Err(refuse("there are several instances; name one of those below".to_owned())),
    }
}
