//! `remint ssh` and `remint console`: a look at an instance.

use std::{io::Write, os::unix::process::CommandExt, process::Command};

use anyhow::Context as _;
use jiff::Timestamp;
use remint_core::{
    context::Context,
    deploy,
    provider::{Instance, Labels, label},
};
use tokio_util::sync::CancellationToken;

use super::Outcome;
use crate::{
    args::{ConsoleArgs, SshArgs},
    exit::{ExitStatus, Failure},
    printer::Printer,
    session,
    settings::Settings,
};

pub(super) async fn ssh(args: &SshArgs, settings: &Settings, printer: &Printer, cancel: CancellationToken) -> Outcome {
    let context = session::open_without_recipe(settings, printer, cancel.clone()).await?;
    if context.loaded.manifest.access.ssh_keys.is_empty() {
        let error = anyhow::anyhow!("nobody can log in to the instances of {}", context.loaded.manifest.service);
        return Err(Failure::new(ExitStatus::Failure, error)
            .hint("name public keys in `access.ssh_keys` and deploy; or look from outside with `remint console`"));
    }
    let instance = session::unless_interrupted(&cancel, choose(&context, args.instance.as_deref())).await?;
    let address = instance.address.clone().with_context(|| format!("{} has no address yet", instance.name))?;
    // Marked before the login, so that no login is ever unmarked.
    let touched = Labels::new().with(label::TOUCHED, Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string());
    context.provider.instances().label(&instance.id, &touched).await?;
    printer.say(&format!("{} is marked as touched", instance.name));
    let endpoint = address.endpoint(22);
    let known_hosts = known_hosts(&context, &instance, endpoint.ip(), endpoint.port()).await?;
    let mut ssh = Command::new("ssh");
    ssh.args(["-o", "StrictHostKeyChecking=yes", "-o"])
        .arg(format!("UserKnownHostsFile={}", known_hosts.display()))
        .args(["-o", "GlobalKnownHostsFile=/dev/null", "-l", "root", "-p", &endpoint.port().to_string()])
        .arg(endpoint.ip().to_string());
    if !args.command.is_empty() {
        ssh.arg("--").args(&args.command);
    }
    let error = ssh.exec();
    let failure = Failure::new(ExitStatus::Failure, anyhow::Error::from(error).context("cannot run ssh"));
    Err(failure.hint("install an OpenSSH client"))
}

pub(super) async fn console(
    args: &ConsoleArgs,
    settings: &Settings,
    printer: &Printer,
    cancel: CancellationToken,
) -> Outcome {
    let context = session::open_without_recipe(settings, printer, cancel).await?;
    let instance = choose(&context, args.instance.as_deref()).await?;
    printer.data(&context.provider.instances().console_output(&instance.id).await?)?;
    Ok(ExitStatus::Success)
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

/// A file with the one host key that this instance may show: the journal has it from the launch.
async fn known_hosts(
    context: &Context,
    instance: &Instance,
    ip: std::net::IpAddr,
    port: u16,
) -> Result<std::path::PathBuf, Failure> {
    let key = deploy::host_key(context, instance).await?;
    let folder = std::env::temp_dir().join(format!("remint-{}", context.run.simple()));
    std::fs::create_dir(&folder).context("cannot make a folder for the host key")?;
    let path = folder.join("known_hosts");
    let mut file = std::fs::File::create(&path).context("cannot write the host key")?;
    writeln!(file, "[{ip}]:{port} {key}\n{ip} {key}").context("cannot write the host key")?;
    Ok(path)
}
