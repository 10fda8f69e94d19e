//! `remint sandbox …`: the cloud on this machine.

use std::path::PathBuf;

use anyhow::Context as _;
use remint_core::events::Event;
use remint_sandbox::{
    base_image::{self, BuildOptions, ImportOptions},
    cloud::Api,
    faults::FaultRule,
    process::{self, AdminClient, Kind as MachineKind, KindChoice, StartOptions, State, Status},
};

use super::CommandResult;
use crate::{
    args::sandbox::{FaultsCommand, ImageCommand, Kind, SandboxArgs, SandboxCommand, StartArgs},
    exit::{ExitStatus, Failure},
    printer::{Printer, Styled},
    settings::Settings,
};

pub(super) async fn run(args: SandboxArgs, settings: &Settings, printer: &Printer) -> CommandResult {
    let name = args.name;
    match args.command {
        SandboxCommand::Start(start) => {
            let running = process::start(options(&name, &start)?).await?;
            let status = process::status(&running.name).await?;
            printer.result("sandbox start", &status, || text(&status))?;
        }
        SandboxCommand::Serve(_) => {
            close_to_others();
            process::serve(&name).await?;
        }
        SandboxCommand::Stop { machines } => {
            let stopped = process::stop(&name, machines).await?;
            printer.result("sandbox stop", &stopped, || {
                if stopped { format!("sandbox {name} is stopped") } else { format!("sandbox {name} did not run") }
            })?;
        }
        SandboxCommand::Status => {
            let status = process::status(&name).await?;
            printer.result("sandbox status", &status, || text(&status))?;
        }
        SandboxCommand::Reset => {
            if !settings.yes && !printer.confirm(&format!("Delete everything in sandbox {name}?")).await? {
                let failure = Failure::new(ExitStatus::Failure, anyhow::anyhow!("sandbox {name} was left as it is"));
                return Err(failure.hint("answer yes, or give --yes in a script"));
            }
            let was_there = process::reset(&name).await?;
            printer.result("sandbox reset", &was_there, || format!("sandbox {name} is empty"))?;
        }
        SandboxCommand::Env { api } => {
            let variables = process::env(&name)?.variables(api)?;
            printer.result("sandbox env", &variables, || {
                variables.iter().map(|one| format!("export {}={}\n", one.name, shell_word(&one.value))).collect()
            })?;
        }
        SandboxCommand::Zone { zone, api } => {
            AdminClient::of(&name)?.add_zone(&zone, api).await?;
            let dns = process::env(&name)?.dns;
            printer.result("sandbox zone", &zone, || {
                format!("{zone} is in the account of {api}, and served by the DNS server at {dns}")
            })?;
        }
        SandboxCommand::Calls { reset } => {
            let report = process::calls(&name, reset).await?;
            if settings.json {
                // The report alone, so that a script reads it as it is.
                printer.bare(&report)?;
            } else {
                let rows: String = report.calls.iter().map(|(call, count)| format!("{count:6}  {call}\n")).collect();
                printer.data(&format!("{rows}{:6}  in all", report.total))?;
            }
        }
        SandboxCommand::Faults { command } => faults(&name, command.unwrap_or(FaultsCommand::List), printer).await?,
        SandboxCommand::Image { command } => image(command, printer).await?,
    }
    Ok(ExitStatus::Success)
}

/// From now on, whatever this process and the programs that it starts create is closed to other users. A sandbox's process creates
/// nothing but its own folder's files.
fn close_to_others() {
    use nix::sys::stat::{Mode, umask};
    umask(Mode::S_IRWXG | Mode::S_IRWXO);
}

fn options(name: &str, args: &StartArgs) -> Result<StartOptions, Failure> {
    let profile = match &args.profile {
        Some(profile) => Some(
            profile.parse().map_err(|error| Failure::new(ExitStatus::Usage, anyhow::anyhow!("--profile: {error}")))?,
        ),
        None => None,
    };
    Ok(StartOptions {
        name: Some(name.to_owned()),
        apis: (!args.apis.is_empty()).then(|| args.apis.clone()),
        kind: match args.kind {
            Kind::Auto => KindChoice::Auto,
            Kind::Qemu => KindChoice::Qemu,
            Kind::Simulated => KindChoice::Simulated,
        },
        profile,
        speed: args.speed,
        seed: args.seed,
        ports: args.ports.clone(),
        api_port: args.api_port,
        rate_limits: args.no_rate_limits.then_some(false),
        cold: args.cold.then_some(true),
        instances: args.instances,
        ..StartOptions::default()
    })
}

/// Where it is and what is in it, for people.
fn text(status: &Status) -> String {
    let state = match status.state {
        State::Running => Styled::green("runs").to_string(),
        State::Stopped => Styled::yellow("is stopped").to_string(),
        State::Missing => "does not exist; `remint sandbox start` makes it".to_owned(),
    };
    let mut text = format!("sandbox {} {state}\n", Styled::bold(&status.name));
    let mut row = |title: &str, value: Option<String>| {
        if let Some(value) = value {
            text.push_str(&format!("  {title:<12} {value}\n"));
        }
    };
    row("api", status.api_url.clone());
    row("speaks", status.settings.as_ref().map(|settings| names(&settings.apis).join(", ")));
    row("dns", status.dns.map(|address| address.to_string()));
    row(
        "machines",
        status.kind.map(|kind| match kind {
            MachineKind::Qemu => "qemu: real virtual machines".to_owned(),
            MachineKind::Simulated => "simulated".to_owned(),
        }),
    );
    row("addresses", status.slot.map(|slot| format!("127.{slot}.0.0/16")));
    row(
        "ports",
        status.ports.filter(|ports| !ports.is_empty()).map(|ports| {
            format!("1 to {} are moved by {}: 22 answers on {}", ports.through, ports.offset, ports.resolve(22))
        }),
    );
    for (api, account) in status.cloud.iter().filter_map(|cloud| cloud["accounts"].as_object()).flatten() {
        let count = |key: &str, one: &str| match account[key].as_u64().unwrap_or_default() {
            1 => format!("1 {one}"),
            count => format!("{count} {one}s"),
        };
        let (instances, images) = (count("droplets", "instance"), count("snapshots", "image"));
        let (ips, zones) = (count("reserved_ips", "static IP"), count("zones", "zone"));
        row(api, Some(format!("{instances}, {images}, {ips}, {zones}")));
    }
    row("folder", Some(status.folder.display().to_string()));
    row("log", Some(status.log.display().to_string()));
    text
}

fn names(apis: &[Api]) -> Vec<&'static str> {
    apis.iter().map(|api| api.name()).collect()
}

fn shell_word(value: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-.:/".contains(c);
    if value.chars().all(plain) { value.to_owned() } else { format!("'{}'", value.replace('\'', r"'\''")) }
}

async fn faults(name: &str, command: FaultsCommand, printer: &Printer) -> Result<(), Failure> {
    match command {
        FaultsCommand::List => {
            let list = process::faults_list(name).await?;
            printer.result("sandbox faults", &list, || {
                if list.faults.is_empty() {
                    return "no fault rules".to_owned();
                }
                let line = |one: &remint_sandbox::faults::FaultStatus| {
                    let rule = serde_json::to_string(&one.rule).unwrap_or_default();
                    format!("{:3}  hit {} of {}  {rule}\n", one.id, one.hit, one.matched)
                };
                list.faults.iter().map(line).collect()
            })?;
        }
        FaultsCommand::Add { rule } => {
            let rule: FaultRule = serde_json::from_str(&rule).map_err(|error| {
                let failure =
                    Failure::new(ExitStatus::Usage, anyhow::Error::from(error).context("that is no fault rule"));
                failure.hint(r#"write it like {"method":"POST","path":"/v2/droplets","fault":"reset_after_commit"}"#)
            })?;
            let added = process::faults_add(name, &rule).await?;
            printer.result("sandbox faults add", &added, || format!("fault rule {} is in force", added.id))?;
        }
        FaultsCommand::Clear => {
            process::faults_clear(name).await?;
            printer.result("sandbox faults clear", &(), || "no fault rules are left".to_owned())?;
        }
    }
    Ok(())
}

async fn image(command: ImageCommand, printer: &Printer) -> Result<(), Failure> {
    let dir: PathBuf = base_image::default_dir().context("no folder for base images: set XDG_STATE_HOME or HOME")?;
    let events = printer.events();
    let progress = move |line: &str| {
        events.emit(Event::TaskProgress { task: "image".to_owned(), message: line.to_owned() });
    };
    match command {
        ImageCommand::Build { rebuild, .. } => {
            let options = BuildOptions::default();
            if !rebuild && let Ok(image) = base_image::open(&dir, &options.name) {
                return Ok(printer.result("sandbox image build", &image, || format!("{} is there", image.name))?);
            }
            let image = base_image::build(&dir, &options, &progress).await?;
            printer.result("sandbox image build", &image, || format!("{} is built", image.name))?;
        }
        ImageCommand::Import { file, slug, sha256 } => {
            let image = base_image::import(&dir, &ImportOptions { name: slug, file, sha256 }, &progress).await?;
            printer.result("sandbox image import", &image, || format!("{} is imported", image.name))?;
        }
        ImageCommand::List => {
            let images = base_image::list(&dir)?;
            printer.result("sandbox image list", &images, || {
                if images.is_empty() {
                    return "no base image yet; `remint sandbox image build debian-12` builds one".to_owned();
                }
                images.iter().map(|image| format!("{}  {}\n", image.name, image.description)).collect()
            })?;
        }
    }
    Ok(())
}
