//! Reserved IPs: loopback addresses whose connections are forwarded to the assigned droplet.
//!
//! A connection is bound to the droplet that its address points at when the connection is accepted, and keeps it: moving
//! the address leaves open connections to finish. The listeners stay open over a move, so no client finds the address
//! closed; they close when the address is taken from its droplet without going to another, and a client then finds
//! the connection refused. The alternative, one listener per target, would have a gap at every move.
//!
//! A droplet's closed port shows as a connection that is accepted and reset at once, because the forwarder has to accept
//! before it can try.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::Duration,
};

use remint_core::provider::PortMap;
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::{Mutex, watch},
};

/// How long a droplet may take to accept a connection.
const CONNECT: Duration = Duration::from_secs(10);

/// SSH; forwarded on every reserved IP.
const SSH: u16 = 22;

/// A port that could not be opened on an address, because something else on this machine holds it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{address} cannot be opened for the service on port {port}: {reason}")]
pub struct PortFailure {
    /// The loopback address and port that something else holds.
    pub address: SocketAddr,
    /// The port as the guest sees it.
    pub port: u16,
    /// What the system said.
    pub reason: String,
}

/// Forwards the connections of all reserved IPs of one sandbox. Dropping it closes the listeners.
#[derive(Debug)]
pub struct Forwarder {
    ports: PortMap,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    open: BTreeSet<u16>,
    addresses: BTreeMap<Ipv4Addr, Forwarded>,
}

/// One reserved IP that points at a droplet.
#[derive(Debug)]
struct Forwarded {
    target: watch::Sender<Ipv4Addr>,
    listeners: BTreeMap<u16, Listener>,
}

/// Aborts accepting when it is dropped; connections live in tasks of their own.
#[derive(Debug)]
struct Listener(tokio::task::JoinHandle<()>);

impl Drop for Listener {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Forwarder {
    /// A forwarder for SSH and these service ports, moved by the map where they are.
    pub fn new(ports: PortMap, open: impl IntoIterator<Item = u16>) -> Self {
        let open = open.into_iter().chain([SSH]).collect();
        Self { ports, state: Mutex::new(State { open, addresses: BTreeMap::new() }) }
    }

    /// Points a reserved IP at a droplet's address, or nowhere.
    ///
    /// Returns when new connections go there. The ports that could not be opened are returned; the others are.
    pub async fn assign(&self, reserved: Ipv4Addr, target: Option<Ipv4Addr>) -> Vec<PortFailure> {
        let mut state = self.state.lock().await;
        let Some(target) = target else {
            if let Some(closed) = state.addresses.remove(&reserved) {
                close(closed).await;
            }
            return Vec::new();
        };
        if let Some(forwarded) = state.addresses.get(&reserved) {
            forwarded.target.send_replace(target);
        }
        let State { open, addresses } = &mut *state;
        let forwarded = addresses
            .entry(reserved)
            .or_insert_with(|| Forwarded { target: watch::Sender::new(target), listeners: BTreeMap::new() });
        // Ports that failed before are tried again: whatever held them may have gone.
        forwarded.listen(reserved, self.ports, open.iter().copied()).await
    }

    /// Opens further service ports on all reserved IPs, those that come later included.
    pub async fn open_ports(&self, ports: &[u16]) -> Vec<PortFailure> {
        let mut state = self.state.lock().await;
        state.open.extend(ports);
        let State { open, addresses } = &mut *state;
        let mut failures = Vec::new();
        for (reserved, forwarded) in addresses {
            failures.extend(forwarded.listen(*reserved, self.ports, open.iter().copied()).await);
        }
        failures
    }

    /// The ports that are forwarded, as guests see them.
    pub async fn open(&self) -> Vec<u16> {
        self.state.lock().await.open.iter().copied().collect()
    }
}

/// Stops accepting. When this returns the sockets are closed, so that the address may be opened again at once.
async fn close(mut forwarded: Forwarded) {
    for (_, mut listener) in std::mem::take(&mut forwarded.listeners) {
        listener.0.abort();
        // The result is the abort just asked for.
        let _ = (&mut listener.0).await;
    }
}

impl Forwarded {
    async fn listen(&mut self, reserved: Ipv4Addr, map: PortMap, ports: impl Iterator<Item = u16>) -> Vec<PortFailure> {
        let mut failures = Vec::new();
        for port in ports {
            if self.listeners.contains_key(&port) {
                continue;
            }
            let address = SocketAddr::new(IpAddr::V4(reserved), map.resolve(port));
            match TcpListener::bind(address).await {
                Ok(socket) => {
                    let accepting = accept(socket, self.target.subscribe(), map.resolve(port));
                    self.listeners.insert(port, Listener(tokio::spawn(accepting)));
                }
                Err(error) => {
                    tracing::warn!(%address, port, %error, "a reserved IP's port cannot be opened");
                    failures.push(PortFailure { address, port, reason: error.to_string() });
                }
            }
        }
        failures
    }
}

async fn accept(socket: TcpListener, target: watch::Receiver<Ipv4Addr>, port: u16) {
    loop {
        match socket.accept().await {
            Ok((client, _)) => {
                let address = *target.borrow();
                tokio::spawn(forward(client, target.clone(), address, port));
            }
            Err(error) => {
                // Out of file descriptors, most likely: wait for connections to end rather than spin.
                tracing::warn!(%error, port, "a reserved IP cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn forward(mut client: TcpStream, mut target: watch::Receiver<Ipv4Addr>, mut address: Ipv4Addr, port: u16) {
    let connected = loop {
        match tokio::time::timeout(CONNECT, TcpStream::connect((address, port))).await {
            Ok(Ok(stream)) => break Some(stream),
            // Moved while it was tried: the old droplet may be gone already, and the new one is where the client wants to be.
            _ if *target.borrow_and_update() != address => address = *target.borrow(),
            Ok(Err(error)) => break log_refusal(address, port, &error.to_string()),
            Err(_) => break log_refusal(address, port, "no answer"),
        }
    };
    let Some(mut droplet) = connected else {
        reset(&client);
        return;
    };
    // Small answers should not wait for each other; a refusal costs only speed.
    let _ = (client.set_nodelay(true), droplet.set_nodelay(true));
    if copy_bidirectional(&mut client, &mut droplet).await.is_err() {
        // One side was cut off: the other side is to see that too, not an orderly end.
        reset(&client);
        reset(&droplet);
    }
}

fn log_refusal(address: Ipv4Addr, port: u16, reason: &str) -> Option<TcpStream> {
    tracing::debug!(%address, port, reason, "a droplet took no connection from its reserved IP");
    None
}

/// Makes the stream's end, when it is dropped, a reset.
fn reset(stream: &TcpStream) {
    if let Err(error) = stream.set_zero_linger() {
        tracing::debug!(%error, "a connection ends without a reset");
    }
}

#[cfg(test)]
mod tests;
