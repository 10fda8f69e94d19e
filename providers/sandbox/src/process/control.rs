//! Starting, stopping and looking at a sandbox from outside.

use std::{
    fs::{File, OpenOptions},
    os::unix::fs::OpenOptionsExt as _,
    path::PathBuf,
    process::Stdio,
    time::Duration,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use remint_core::{child, provider::PortMap};
use serde::Serialize;
use tokio::time::{Instant, sleep};

use super::{
    AdminClient, DEFAULT_NAME, Folder, Kind, KindChoice, Record, Result, SandboxError, Settings, log, machines,
    running::{Running, running},
};
use crate::cloud::{Api, Profile};

/// How long a sandbox may take until it answers.
const START: Duration = Duration::from_secs(60);
/// How long it may take to end in order, and then after it was killed.
const STOP: Duration = Duration::from_secs(20);
/// The pause between two looks.
const LOOK: Duration = Duration::from_millis(25);

/// Set for the process that serves in the background, so that it leaves the session of whoever started it.
pub(super) const BACKGROUND: &str = "REMINT_SANDBOX_BACKGROUND";

/// How a sandbox is to be started. What is left out is as it was before, or the default for a new one.
#[derive(Debug, Clone, Default)]
pub struct StartOptions {
    /// Which one; [`DEFAULT_NAME`] when left out.
    pub name: Option<String>,
    /// The APIs that it speaks; all of them for a new one.
    pub apis: Option<Vec<Api>>,
    /// What stands behind the droplets.
    pub kind: KindChoice,
    /// How long things take.
    pub profile: Option<Profile>,
    /// By how much the profile's delays are divided.
    pub speed: Option<f64>,
    /// What the delays are drawn from.
    pub seed: Option<u64>,
    /// Service ports to open beside the usual ones and those that are open already.
    pub ports: Vec<u16>,
    /// The port of the API on loopback. When left out, the one that it had, else a free one.
    pub api_port: Option<u16>,
    /// Whether the API's rate limits are enforced; they are, by default.
    pub rate_limits: Option<bool>,
    /// Whether real machines boot from the beginning; where their image has a saved guest, that one goes on by default.
    pub cold: Option<bool>,
    /// How many instances each account may have at one time; 25 for a new one.
    pub instances: Option<usize>,
    /// The program whose `sandbox serve --name NAME` serves it; this one when left out.
    pub executable: Option<PathBuf>,
}

/// Whether a sandbox runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// A process serves it.
    Running,
    /// It has state, and no process.
    Stopped,
    /// There is none of that name.
    Missing,
}

/// What is known of a sandbox, as `remint sandbox status --json` prints it.
#[derive(Debug, Clone, Serialize)]
pub struct Status {
    /// The version of this shape: 1.
    pub version: u32,
    /// The name that `--name` or `REMINT_SANDBOX` gave it.
    pub name: String,
    /// Whether it runs.
    pub state: State,
    /// Where its state, machines and images are.
    pub folder: PathBuf,
    /// The file that its process writes to; truncated at a start.
    pub log: PathBuf,
    /// Its process, while it runs.
    pub pid: Option<u32>,
    /// Where the API answers, while it runs.
    pub api_url: Option<String>,
    /// Where the DNS server answers, while it runs.
    pub dns: Option<std::net::SocketAddr>,
    /// Its addresses are 127.SLOT.x.y.
    pub slot: Option<u8>,
    /// What stands behind its droplets.
    pub kind: Option<Kind>,
    /// Which ports are moved on its addresses.
    pub ports: Option<PortMap>,
    /// What it was last started with; `None` before its first start.
    pub settings: Option<Settings>,
    /// What it says of itself, while it runs: its droplets, snapshots, actions in progress.
    pub cloud: Option<serde_json::Value>,
}

/// Starts a sandbox in the background, or finds the one that runs. Returns when it answers.
///
/// # Errors
///
/// `Differs` when it runs with other settings than those asked for; `OtherKind`; `Start`, with the end of its log.
pub async fn start(options: StartOptions) -> Result<Running> {
    let folder = Folder::of(options.name.as_deref().unwrap_or(DEFAULT_NAME))?;
    folder.make()?;
    let _starting = lock_start(&folder).await?;
    if let Some(found) = running(&folder)? {
        let client = AdminClient::new(folder.name(), found.record.api_url(), found.token.clone())?;
        if client.status().await.is_ok() {
            compare(&found, &options)?;
            if !options.ports.is_empty() {
                client.open_ports(&options.ports).await?;
            }
            return Ok(found);
        }
    }
    let settings = merge(&folder, &options)?;
    settings.write(&folder)?;
    let executable = match options.executable {
        Some(path) => path,
        None => std::env::current_exe().map_err(SandboxError::file("find", &PathBuf::from("/proc/self/exe")))?,
    };
    spawn(&folder, &executable).await
}

async fn lock_start(folder: &Folder) -> Result<File> {
    let folder = folder.clone();
    let name = folder.name().to_owned();
    let taken = tokio::task::spawn_blocking(move || folder.lock("start.lock")).await;
    taken.map_err(|_| SandboxError::Busy(name))?
}

/// Refuses to pass a running sandbox off as one with other settings.
fn compare(found: &Running, options: &StartOptions) -> Result<()> {
    let is = &found.settings;
    let differs = |setting, is: String, wanted: String| {
        if is == wanted { Ok(()) } else { Err(SandboxError::Differs { name: found.name.clone(), setting, is, wanted }) }
    };
    if let Some(apis) = &options.apis {
        differs("the APIs", names(&is.apis), names(&in_order(apis)))?;
    }
    if let Some(kind) = options.kind.fixed() {
        differs("kind", is.kind.to_string(), kind.to_string())?;
    }
    if let Some(profile) = options.profile {
        differs("profile", is.profile.to_string(), profile.to_string())?;
    }
    if let Some(speed) = options.speed {
        differs("speed", is.speed.to_string(), speed.to_string())?;
    }
    if let Some(seed) = options.seed {
        differs("seed", is.seed.to_string(), seed.to_string())?;
    }
    if let Some(port) = options.api_port {
        differs("API port", found.record.api.port().to_string(), port.to_string())?;
    }
    if let Some(limits) = options.rate_limits {
        differs("rate limits", is.rate_limits.to_string(), limits.to_string())?;
    }
    if let Some(instances) = options.instances {
        differs("limit of instances", is.limits().instances.to_string(), instances.to_string())?;
    }
    if let Some(cold) = options.cold {
        differs("cold boots", is.cold.to_string(), cold.to_string())?;
    }
    Ok(())
}

/// Each API once, in the order in which they are always told.
fn in_order(apis: &[Api]) -> Vec<Api> {
    Api::ALL.into_iter().filter(|api| apis.contains(api)).collect()
}

fn names(apis: &[Api]) -> String {
    apis.iter().map(|api| api.name()).collect::<Vec<_>>().join(",")
}

/// What a sandbox is to be started with: what is asked for, over what it had.
fn merge(folder: &Folder, options: &StartOptions) -> Result<Settings> {
    let had = Settings::read(folder)?;
    let mut settings = match had {
        Some(settings) => settings,
        None => Settings::new(options.kind.decide()),
    };
    if let Some(kind) = options.kind.fixed()
        && kind != settings.kind
    {
        if folder.file("machines").exists() || folder.file("state").exists() {
            let name = folder.name().to_owned();
            return Err(SandboxError::OtherKind { name, is: settings.kind.name(), wanted: kind.name() });
        }
        settings.kind = kind;
    }
    if options.speed.is_some_and(|speed| !speed.is_finite() || speed <= 0.0) {
        return Err(SandboxError::Setting("the speed is a number above 0".to_owned()));
    }
    if options.ports.contains(&0) {
        return Err(SandboxError::Setting("port 0 cannot be opened".to_owned()));
    }
    if let Some(apis) = &options.apis {
        settings.apis = in_order(apis);
    }
    if settings.apis.is_empty() {
        return Err(SandboxError::Setting("a sandbox speaks at least one API".to_owned()));
    }
    settings.profile = options.profile.unwrap_or(settings.profile);
    settings.speed = options.speed.unwrap_or(settings.speed);
    settings.seed = options.seed.unwrap_or(settings.seed);
    settings.api_port = options.api_port.or(settings.api_port);
    settings.rate_limits = options.rate_limits.unwrap_or(settings.rate_limits);
    settings.instances = options.instances.or(settings.instances);
    settings.cold = options.cold.unwrap_or(settings.cold);
    settings.add_ports(&options.ports);
    Ok(settings)
}

async fn spawn(folder: &Folder, executable: &std::path::Path) -> Result<Running> {
    let path = folder.log();
    let file = OpenOptions::new().create(true).append(true).mode(0o600).open(&path);
    let file = file.map_err(SandboxError::file("open", &path))?;
    log::turn(&path, log::LARGEST).map_err(SandboxError::file("shorten", &path))?;
    let begin = file.metadata().map(|metadata| metadata.len()).unwrap_or_default();
    let errors = file.try_clone().map_err(SandboxError::file("open", &path))?;
    let root = folder.path().parent().unwrap_or(folder.path());
    let mut command = tokio::process::Command::new(executable);
    // It runs on after this command, and starts machines: it gets no credentials of any other account.
    child::plain_environment(command.as_std_mut());
    let mut child = command
        .args(["sandbox", "--name", folder.name(), "serve"])
        .env("REMINT_SANDBOX_DIR", root)
        .env(BACKGROUND, "1")
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .stdout(file)
        .stderr(errors)
        .kill_on_drop(false)
        .spawn()
        .map_err(SandboxError::file("run", executable))?;
    let pid = child.id();
    let failed =
        |problem: String| SandboxError::Start { name: folder.name().to_owned(), problem, log: folder.log_since(begin) };
    let deadline = Instant::now() + START;
    let mut last = "nothing was heard of it".to_owned();
    loop {
        if let Some(found) = running(folder)?.filter(|found| Some(found.record.pid) == pid) {
            match AdminClient::new(folder.name(), found.record.api_url(), found.token.clone())?.status().await {
                Ok(_) => return Ok(Running { reused: false, ..found }),
                Err(error) => last = error.to_string(),
            }
        }
        if let Ok(Some(status)) = child.try_wait() {
            return Err(failed(format!("its process ended with {status}")));
        }
        if Instant::now() > deadline {
            // Not left half-started: the next start would find it in the way.
            let _ = child.start_kill();
            return Err(failed(format!("no answer after {} s ({last})", START.as_secs())));
        }
        sleep(LOOK).await;
    }
}

/// What is known of a sandbox.
///
/// # Errors
///
/// Those of reading its files.
pub async fn status(name: &str) -> Result<Status> {
    let folder = Folder::of(name)?;
    let found = running(&folder)?;
    let record = if folder.path().is_dir() { Record::read(&folder)? } else { None };
    let settings = if folder.path().is_dir() { Settings::read(&folder)? } else { None };
    let state = match (&found, &record) {
        (Some(_), _) => State::Running,
        (None, Some(_)) => State::Stopped,
        (None, None) => State::Missing,
    };
    let cloud = match &found {
        Some(found) => {
            let client = AdminClient::new(name, found.record.api_url(), found.token.clone())?;
            client.status().await.ok()
        }
        None => None,
    };
    let now = found.as_ref().map(|found| &found.record);
    Ok(Status {
        version: 1,
        name: name.to_owned(),
        state,
        log: folder.log(),
        folder: folder.path().to_owned(),
        pid: now.map(|record| record.pid),
        api_url: now.map(Record::api_url),
        dns: now.map(|record| record.dns),
        slot: record.as_ref().map(|record| record.slot),
        kind: settings.as_ref().map(|settings| settings.kind),
        ports: record.as_ref().map(|record| record.ports),
        settings,
        cloud,
    })
}

/// Stops a sandbox; its state is kept. With `machines`, real machines are switched off too; without, they go on running, and
/// the next start finds them. Returns whether it ran.
///
/// # Errors
///
/// `Stop`; those of switching machines off.
pub async fn stop(name: &str, machines: bool) -> Result<bool> {
    let folder = Folder::of(name)?;
    if !folder.path().is_dir() {
        return Ok(false);
    }
    let _starting = lock_start(&folder).await?;
    let ran = end(&folder).await?;
    if machines
        && let Some(settings) = Settings::read(&folder)?
        && let Some(_lock) = folder.try_lock("lock")?
    {
        let hypervisor = machines::open(&folder, &settings).await?;
        let failed = |error: crate::machine::MachineError| SandboxError::Machines(error.to_string());
        for id in hypervisor.machines().await.map_err(failed)? {
            hypervisor.power_off(id).await.map_err(failed)?;
        }
    }
    Ok(ran)
}

/// Ends the process that serves the folder, if there is one: asked first, then killed.
pub(super) async fn end(folder: &Folder) -> Result<bool> {
    let mut ran = false;
    for signal in [Signal::SIGTERM, Signal::SIGKILL] {
        let deadline = Instant::now() + STOP;
        let mut sent = None;
        while folder.try_lock("lock")?.is_none() {
            // Only the holder of the lock writes its process id, so this names a process that lives and is a sandbox.
            let pid = serving_pid(folder)?;
            if let Some(pid) = pid
                && sent != Some(pid)
                && let Ok(raw) = i32::try_from(pid)
            {
                ran = true;
                sent = Some(pid);
                // It may have ended in between; the lock tells.
                let _ = kill(Pid::from_raw(raw), signal);
            }
            if Instant::now() > deadline {
                break;
            }
            sleep(LOOK).await;
        }
        if folder.try_lock("lock")?.is_some() {
            return Ok(ran);
        }
    }
    Err(SandboxError::Stop { name: folder.name().to_owned(), pid: serving_pid(folder)?.unwrap_or_default() })
}

/// The process that holds the lock, as it wrote into it.
fn serving_pid(folder: &Folder) -> Result<Option<u32>> {
    let path = folder.file("lock");
    let text = std::fs::read_to_string(&path).map_err(SandboxError::file("read", &path))?;
    Ok(text.trim().parse().ok().filter(|pid| *pid > 1))
}
