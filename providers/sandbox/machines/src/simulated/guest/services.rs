//! The listeners of a simulated machine's service: opened, changed and closed as `/etc/simulation.toml` says.

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use tokio::{
    io::AsyncWriteExt,
    net::TcpListener,
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;

use super::{
    behaviour::{Behaviour, Served},
    cut::Cut,
    http::{self, Pages},
};
use crate::simulated::{disk::lock, machine::Machine};

/// How often a port that is taken is tried again, and how long between: a sandbox that was just killed may still hold it.
const BIND_TRIES: u32 = 50;
const BIND_PAUSE: Duration = Duration::from_millis(100);

/// Opens a port of the machine, where its port map has moved it to.
pub(super) async fn listen(machine: &Machine, address: Ipv4Addr, port: u16) -> Option<TcpListener> {
    let at = SocketAddr::new(address.into(), port);
    for attempt in 1..=BIND_TRIES {
        match TcpListener::bind(at).await {
            Ok(listener) => return Some(listener),
            Err(error) if attempt == BIND_TRIES => {
                machine.log(&format!("cannot listen on {at}: {error}"));
                tracing::error!(%at, %error, "a simulated machine cannot listen");
            }
            Err(_) => tokio::time::sleep(BIND_PAUSE).await,
        }
    }
    None
}

/// An open port.
struct Port {
    served: Served,
    token: CancellationToken,
}

/// Serves until the power goes. A change of the configuration touches only the ports that it is about.
pub(super) async fn run(machine: Arc<Machine>, power: CancellationToken) {
    let since = Instant::now();
    let mut changes = machine.service_changes();
    let mut open: BTreeMap<u16, Port> = BTreeMap::new();
    let mut former = Behaviour::default();
    loop {
        let behaviour = Behaviour::read(&lock(machine.disk()), |line| machine.log(&line));
        let crash = behaviour.crash_after.map(|after| since + Duration::from(after));
        let ready = since + behaviour.listens_after();
        let crashed = crash.is_some_and(|crash| Instant::now() >= crash);
        let listening = !crashed && Instant::now() >= ready;
        let wanted = if listening { behaviour.ports(&machine.spec().open) } else { BTreeMap::new() };
        let same_times = former == behaviour;
        open.retain(|port, held| {
            let keep = same_times && wanted.get(port) == Some(&held.served);
            if !keep {
                held.token.cancel();
            }
            keep
        });
        for (port, served) in wanted {
            open.entry(port).or_insert_with(|| {
                let token = power.child_token();
                tokio::spawn(serve(machine.clone(), behaviour.clone(), port, served.clone(), since, token.clone()));
                Port { served, token }
            });
        }
        former = behaviour;
        // The next moment at which something changes by itself.
        let next = match (crashed, listening) {
            (true, _) => None,
            (false, true) => crash,
            (false, false) => Some(ready),
        };
        tokio::select! {
            () = power.cancelled() => return,
            () = async { if let Some(next) = next { sleep_until(next).await } else { std::future::pending().await } } => {}
            _ = changes.changed() => {}
        }
    }
}

async fn serve(
    machine: Arc<Machine>,
    behaviour: Behaviour,
    port: u16,
    served: Served,
    since: Instant,
    token: CancellationToken,
) {
    let spec = machine.spec();
    let opening = listen(&machine, spec.address, spec.ports.resolve(port));
    let Some(Some(listener)) = token.run_until_cancelled(opening).await else { return };
    match served {
        Served::Http(routes) => {
            let pages = Pages { disk: machine.disk().clone(), behaviour, routes, since };
            http::serve(listener, pages, token).await;
        }
        Served::Tcp(greeting) => {
            while let Some(Ok((stream, _))) = token.run_until_cancelled(listener.accept()).await {
                let mut stream = Cut::new(stream, token.clone());
                let greeting = greeting.clone();
                tokio::spawn(async move {
                    // A client that left before the greeting missed it.
                    stream.write_all(greeting.as_bytes()).await.ok();
                    stream.shutdown().await.ok();
                });
            }
        }
    }
}
