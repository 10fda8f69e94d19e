//! A sandbox in this process, with simulated machines: for tests of providers and of clients.
//!
//! It is the same server as the one that `remint sandbox start` starts, on free ports and in a folder of its own, and ends
//! when it is dropped.

use std::{
    fmt,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::Path,
    sync::Arc,
    time::Duration,
};

use remint_core::provider::PortMap;
use secrecy::SecretString;

use crate::{
    balance::Balancers,
    cloud::{Account, AccountLimits, Api, CloudError, Config, Profile},
    dns::Dns,
    ec2::keys::AccessKey,
    edge::{EdgeHandle, LocalEdge},
    faults::{FaultRule, InvalidRule},
    forward::Forwarder,
    gce::ServiceAccount,
    machine::{DiskImage, MachineError, simulated::Simulated},
    process::ClientEnv,
    rate::RateLimits,
    server::Server,
};

/// The public images of its machines.
const IMAGES: [&str; 3] = ["debian-12-x64", "debian-13-x64", "ubuntu-24-04-x64"];

/// The port by which running sandboxes show that they have a slot.
const MARK: u16 = 7069;

/// The slots that are tried; those that started sandboxes take first come last.
const SLOTS: std::ops::RangeInclusive<u8> = 100..=250;

/// Low ports are moved, so that it runs without privileges and beside other servers.
const PORTS: PortMap = PortMap { through: 1023, offset: 20000 };

/// How it is set up.
#[derive(Debug, Clone)]
pub struct Options {
    /// How long the cloud's work takes; nothing, by default.
    pub profile: Profile,
    /// By how much the profile's delays are divided.
    pub speed: f64,
    /// The accounts' limits.
    pub limits: AccountLimits,
    /// How long a call that changes something is held back before it is carried out; not at all, by default. It is carried
    /// out even when its client has gone meanwhile.
    pub hold: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self { profile: Profile::Instant, speed: 1.0, limits: AccountLimits::default(), hold: Duration::ZERO }
    }
}

/// Why one could not be started.
#[derive(Debug, thiserror::Error)]
pub enum EmbeddedError {
    /// No slot of addresses is free.
    #[error("no slot of loopback addresses is free")]
    NoSlot,
    /// Its folder could not be made, or a port not be bound.
    #[error("cannot set up the sandbox")]
    Io(#[from] std::io::Error),
    /// The folder of the simulated machines cannot be set up.
    #[error("cannot set up the sandbox's machines")]
    Machines(#[from] MachineError),
    /// The DNS server cannot listen.
    #[error("cannot start the sandbox's DNS server: {0}")]
    Dns(String),
    /// The state of an account cannot be opened.
    #[error("cannot open the sandbox's accounts")]
    Cloud(#[from] CloudError),
    /// The zone that the account should have was refused; the text says why.
    #[error("cannot make the zone: {0}")]
    Zone(String),
}

/// A sandbox in this process.
pub struct Embedded {
    server: Server,
    edge: Arc<LocalEdge>,
    token: SecretString,
    dns: SocketAddr,
    _mark: TcpListener,
    dir: tempfile::TempDir,
}

impl fmt::Debug for Embedded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Embedded").field("url", &self.url()).finish_non_exhaustive()
    }
}

impl Embedded {
    /// Starts one. Returns when it answers.
    ///
    /// # Errors
    ///
    /// What of it could not be had.
    pub async fn start(options: Options) -> Result<Self, EmbeddedError> {
        let (slot, mark) = free_slot().ok_or(EmbeddedError::NoSlot)?;
        let dir = tempfile::tempdir()?;
        let images = IMAGES.map(|name| DiskImage(name.to_owned()));
        let machines = Simulated::new(dir.path().join("machines"), images.to_vec()).await?;
        let dns = Dns::bind((Ipv4Addr::LOCALHOST, 0).into()).await.map_err(|e| EmbeddedError::Dns(e.to_string()))?;
        let dns_address = dns.address();
        let edge = LocalEdge::new(
            dns,
            Forwarder::new(PORTS, []),
            Balancers::new(dir.path().join("balancers"), PORTS),
            machines.clone(),
            RateLimits::new(1.0, false),
            Box::new(|_| Ok(())),
        );
        edge.faults().hold_changes(options.hold);
        let token: SecretString = format!("dop_v1_{}", uuid::Uuid::new_v4().simple()).into();
        let config = Config {
            record: None,
            state_dir: dir.path().join("state"),
            listen: (Ipv4Addr::LOCALHOST, 0).into(),
            slot,
            profile: options.profile,
            speed: options.speed,
            seed: 1,
            apis: Api::ALL.to_vec(),
            token: token.clone(),
            ports: PORTS,
            open: Vec::new(),
            limits: options.limits,
        };
        let server = Server::start(config, machines, Arc::new(EdgeHandle(edge.clone()))).await?;
        Ok(Self { server, edge, token, dns: dns_address, _mark: mark, dir })
    }

    /// Where all APIs answer: `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://{}", self.server.addr)
    }

    /// DigitalOcean's token.
    pub fn token(&self) -> &SecretString {
        &self.token
    }

    /// Amazon's access key.
    pub fn access_key(&self) -> AccessKey {
        AccessKey::of(&self.token)
    }

    /// Google's service account, whose key file clients read; made when it is first asked for.
    ///
    /// # Errors
    ///
    /// `Io` when the file cannot be written.
    pub fn service_account(&self) -> Result<ServiceAccount, EmbeddedError> {
        Ok(ServiceAccount::open(&self.account(Api::Gce).folder(), self.server.addr)?)
    }

    /// What clients need, as `remint sandbox env` prints it for a sandbox that was started.
    ///
    /// # Errors
    ///
    /// `Io` when the key file of Google's clients cannot be written.
    pub fn env(&self) -> Result<ClientEnv, EmbeddedError> {
        let folder = self.account(Api::Gce).folder();
        ServiceAccount::open(&folder, self.server.addr)?;
        Ok(ClientEnv {
            name: "embedded".to_owned(),
            apis: Api::ALL.to_vec(),
            api_url: self.url(),
            token: self.token.clone(),
            key_file: ServiceAccount::path_in(&folder),
            dns: self.dns,
            ports: PORTS,
        })
    }

    /// How ports are moved on all of its addresses.
    pub fn ports(&self) -> PortMap {
        PORTS
    }

    /// Where its DNS server answers.
    pub fn dns(&self) -> SocketAddr {
        self.dns
    }

    /// The folder of its accounts.
    pub fn state_dir(&self) -> std::path::PathBuf {
        self.dir.path().join("state")
    }

    /// Its own temporary folder, which goes with it.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Makes a zone in an account.
    ///
    /// # Errors
    ///
    /// `Zone` for a name that is none, or that the account has already.
    pub async fn add_zone(&self, api: Api, name: &str) -> Result<(), EmbeddedError> {
        let added = self.account(api).add_zone(name).await;
        added.map(drop).map_err(|error| EmbeddedError::Zone(error.to_string()))
    }

    /// Adds a fault rule.
    ///
    /// # Errors
    ///
    /// What in it does not make sense.
    pub fn add_fault(&self, rule: FaultRule) -> Result<(), InvalidRule> {
        self.edge.faults().add(rule).map(drop)
    }

    /// Removes all fault rules, and what is known of their hits.
    pub fn clear_faults(&self) {
        self.edge.faults().remove(None);
    }

    /// How many calls fault rules have hit.
    pub fn faults_hit(&self) -> u64 {
        self.edge.faults().list().iter().map(|status| status.hit).sum()
    }

    /// The account of an API.
    pub(crate) fn account(&self, api: Api) -> &dyn Account {
        self.server.account(api)
    }
}

/// A slot whose addresses no sandbox of this machine has, and what keeps others off it.
fn free_slot() -> Option<(u8, TcpListener)> {
    let mark = |slot| TcpListener::bind((Ipv4Addr::new(127, slot, 0, 1), MARK)).ok().map(|mark| (slot, mark));
    SLOTS.into_iter().find_map(mark)
}
