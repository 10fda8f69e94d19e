//! The process that serves a sandbox, in the foreground: what `remint sandbox serve` runs.

use std::{
    fs::File,
    io::{Seek as _, SeekFrom, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpListener},
    sync::Mutex,
    time::Duration,
};

use remint_core::provider::PortMap;
use tokio::signal::unix::{SignalKind, signal};

use super::{
    DEFAULT_NAME, Folder, KindChoice, Record, Result, SandboxError, Settings,
    control::BACKGROUND,
    log, machines, port_map,
    slot::{self, Slot},
};
use crate::{
    balance::Balancers,
    cloud::{Api, Config},
    dns::Dns,
    edge::{EdgeHandle, LocalEdge, PortsOpened},
    forward::Forwarder,
    gce::ServiceAccount,
    rate::RateLimits,
    server::Server,
};

/// The API's usual port, taken by the default sandbox where it is free.
const API_PORT: u16 = 7070;

/// Names a file that every answer of the API is appended to, as lines of JSON: a test aid. The background process takes it
/// over from whoever starts it.
const RECORD: &str = "REMINT_SANDBOX_RECORD";

/// How often, and with which pause, the folder's lock is tried again.
const LOCK_TRIES: usize = 40;
const LOCK_PAUSE: Duration = Duration::from_millis(25);

/// Serves a sandbox until SIGTERM or SIGINT. It takes over the settings that [`super::start`] wrote, or the defaults.
///
/// # Errors
///
/// `Busy` when another process serves it; whatever keeps it from starting.
pub async fn serve(name: &str) -> Result<()> {
    if std::env::var_os(BACKGROUND).is_some() {
        // Fails only for the leader of a group, which a process that was started in the background is not.
        let _ = nix::unistd::setsid();
    }
    let folder = Folder::of(name)?;
    folder.make()?;
    let _lock = take_lock(&folder).await?;
    if std::env::var_os(BACKGROUND).is_some() {
        log::watch(folder.log()).map_err(SandboxError::file("watch", &folder.log()))?;
    }
    let settings = match Settings::read(&folder)? {
        Some(settings) => settings,
        None => {
            let settings = Settings::new(KindChoice::Auto.decide());
            settings.write(&folder)?;
            settings
        }
    };
    let had = Record::read(&folder)?;
    let slot = slot::claim(&folder, had.as_ref().map(|record| record.slot))?;
    let ports = ports_for(&slot, &settings, had.as_ref());
    let hypervisor = machines::open(&folder, &settings).await?;

    let dns = bind_dns(had.as_ref()).await?;
    let dns_address = dns.address();
    let balancers = Balancers::new(folder.file("balancers"), ports);
    let edge = LocalEdge::new(
        dns,
        Forwarder::new(ports, settings.open.iter().copied()),
        balancers.clone(),
        hypervisor.clone(),
        RateLimits::new(settings.speed, settings.rate_limits),
        remember_ports(folder.clone(), settings.clone()),
    );
    let config = Config {
        state_dir: folder.file("state"),
        listen: api_address(name, &settings, had.as_ref()),
        slot: slot.number,
        profile: settings.profile,
        speed: settings.speed,
        seed: settings.seed,
        apis: settings.apis.clone(),
        token: folder.token()?,
        ports,
        open: settings.open.clone(),
        limits: settings.limits(),
        record: std::env::var_os(RECORD).filter(|path| !path.is_empty()).map(Into::into),
    };
    let mut term = signal(SignalKind::terminate()).map_err(no_signals)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(no_signals)?;
    let accounts = config.state_dir.clone();
    let server = Server::start(config, hypervisor, std::sync::Arc::new(EdgeHandle(edge))).await?;
    // Before the record says where the sandbox is: whoever reads it finds the key file in step with it.
    if settings.apis.contains(&Api::Gce) {
        let google = accounts.join(Api::Gce.name());
        ServiceAccount::open(&google, server.addr)
            .map_err(SandboxError::file("write", &ServiceAccount::path_in(&google)))?;
    }
    let record = Record {
        version: Record::VERSION,
        pid: std::process::id(),
        api: server.addr,
        dns: dns_address,
        slot: slot.number,
        kind: settings.kind,
        ports,
    };
    record.write(&folder)?;
    tracing::info!(name, api = %record.api, dns = %record.dns, slot = record.slot, kind = %record.kind, "serving");
    tokio::select! {
        _ = term.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!(name, "stopping");
    server.stop().await;
    balancers.end().await;
    Ok(())
}

fn no_signals(error: std::io::Error) -> SandboxError {
    SandboxError::Setting(format!("signals cannot be received: {error}"))
}

/// Takes the folder's lock, and writes our process id into it for whoever wants to end us.
async fn take_lock(folder: &Folder) -> Result<File> {
    // Whoever asks whether the sandbox runs holds the lock for a moment, so one refusal says nothing.
    let mut lock = folder.try_lock("lock")?;
    for _ in 0..LOCK_TRIES {
        if lock.is_some() {
            break;
        }
        tokio::time::sleep(LOCK_PAUSE).await;
        lock = folder.try_lock("lock")?;
    }
    let Some(mut lock) = lock else { return Err(SandboxError::Busy(folder.name().to_owned())) };
    let pid = std::process::id().to_string();
    lock.set_len(0)
        .and_then(|()| lock.seek(SeekFrom::Start(0)))
        .and_then(|_| lock.write_all(pid.as_bytes()))
        .map_err(SandboxError::file("write", &folder.file("lock")))?;
    Ok(lock)
}

/// The port map. Machines remember theirs, so one that was moved stays; a map that was not is tried again, because the
/// user, or what else runs on this machine, may have changed.
fn ports_for(slot: &Slot, settings: &Settings, had: Option<&Record>) -> PortMap {
    match had {
        Some(record) if !record.ports.is_empty() => record.ports,
        _ => port_map::decide(Slot::own_address(slot.number), &settings.open),
    }
}

/// The API's address: the port that was asked for, else the one that it had if that is free, else the usual one for the
/// default sandbox if that is free, else any.
fn api_address(name: &str, settings: &Settings, had: Option<&Record>) -> SocketAddr {
    let at = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    if let Some(port) = settings.api_port {
        return at(port);
    }
    let usual = (name == DEFAULT_NAME).then_some(API_PORT);
    let before = had.map(|record| record.api.port());
    let free = before.into_iter().chain(usual).find(|port| TcpListener::bind(at(*port)).is_ok());
    at(free.unwrap_or(0))
}

/// A DNS server on the port that it had if that is free, else on any.
async fn bind_dns(had: Option<&Record>) -> Result<Dns> {
    if let Some(record) = had
        && let Ok(dns) = Dns::bind(record.dns).await
    {
        return Ok(dns);
    }
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    Dns::bind(any).await.map_err(|error| SandboxError::Setting(format!("the DNS server cannot listen: {error}")))
}

/// Writes opened ports into the settings.
fn remember_ports(folder: Folder, settings: Settings) -> PortsOpened {
    let settings = Mutex::new(settings);
    Box::new(move |ports| {
        let mut settings = settings.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if settings.add_ports(ports) {
            settings.write(&folder).map_err(std::io::Error::other)?;
        }
        Ok(())
    })
}
