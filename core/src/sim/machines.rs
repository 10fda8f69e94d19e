//! The machines of the simulated world: what Remint sees of them over SSH and through the address.

use std::{
    collections::BTreeMap,
    fmt,
    net::{IpAddr, SocketAddr},
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use tokio::time::{Instant, sleep};

use super::{life::Life, oracle::Oracle, wishes::Build};
use crate::{
    events::Stream,
    fake::{Dice, Guest, LOGIN_KEYS, Machine, State, Task, World, success},
    health::{Question, Services, Unhealthy},
    provider::{InstanceId, InstanceState},
    remote::{
        Command, Completed, ConnectOptions, Copied, Keys, Machines, OnFailure, OnLine, RemoteError, Session, Upload,
        UploadOptions, WaitOptions,
    },
};

/// How long a command takes that only looks or changes a file.
const SHORT: Duration = Duration::from_millis(100);

impl Machine {
    /// Whether its service answers.
    pub(super) fn answers(&self) -> bool {
        self.instance.state == InstanceState::Running && !self.unwell && Build::of(&self.build) != Build::FailsGate
    }
}

/// The instance that an address leads to.
pub(super) fn instance_at(state: &State, address: IpAddr) -> Option<InstanceId> {
    state.instance_at(address).cloned()
}

/// What a process knows of a machine that it is logged in to.
struct Known {
    guest: Guest,
    /// Whether its service was seen to answer.
    answered: bool,
    /// The steps of a recipe that ran to their end.
    ran: Vec<String>,
    /// Whether it has the host key that nobody had in user data.
    rekeyed: bool,
}

/// What a process has of the machines.
#[derive(Clone)]
pub(super) struct Way {
    world: Arc<World>,
    oracle: Arc<Oracle>,
    life: Arc<Life>,
    dice: Arc<Mutex<Dice>>,
    known: Arc<Mutex<BTreeMap<InstanceId, Known>>>,
}

impl fmt::Debug for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Way").finish_non_exhaustive()
    }
}

impl Way {
    pub(super) fn new(world: Arc<World>, oracle: Arc<Oracle>, life: Arc<Life>, dice: Dice) -> Self {
        Self { world, oracle, life, dice: Arc::new(Mutex::new(dice)), known: Arc::default() }
    }

    fn between(&self, least: u64, most: u64) -> Duration {
        let seconds = Duration::from_secs;
        self.dice.lock().unwrap().between(seconds(least), seconds(most))
    }

    /// Something is sent to a machine: a moment at which something may befall the process.
    async fn step(&self) {
        if self.life.step() {
            tokio::task::yield_now().await;
        }
    }

    fn runs(&self, id: &InstanceId) -> bool {
        let state = self.world.state();
        state.machines.get(id).is_some_and(|machine| machine.instance.state == InstanceState::Running)
    }

    /// Logs in to a machine that runs, unless it shows another host key than the expected one.
    fn open(&self, options: &ConnectOptions) -> Result<Arc<dyn Session>, RemoteError> {
        let endpoint = options.endpoint;
        let id = instance_at(&self.world.state(), endpoint.ip()).filter(|id| self.runs(id));
        let Some(id) = id else { return Err(RemoteError::Unreachable { endpoint, reason: "nobody is there".into() }) };
        let login = options.login.public().line();
        if !self.world.state().machines.get(&id).is_some_and(|machine| machine.user_data.contains(&login)) {
            return Err(RemoteError::AuthRefused { endpoint, user: options.user.clone() });
        }
        let expected = options.host_key.line();
        let mut known = self.known.lock().unwrap();
        let known = known.entry(id.clone()).or_insert_with(|| {
            let guest = Guest::new(&options.host_key, &options.login.public());
            Known { guest, answered: false, ran: Vec::new(), rekeyed: false }
        });
        let got = known.guest.host_key.clone();
        if got != expected {
            return Err(RemoteError::HostKeyMismatch { endpoint, expected, got });
        }
        Ok(Arc::new(Login { way: self.clone(), id, endpoint }))
    }
}

#[async_trait]
impl Machines for Way {
    fn keys(&self) -> Keys {
        Keys::any()
    }

    async fn reach(
        &self,
        options: &ConnectOptions,
        wait: &WaitOptions,
        on_failure: &mut OnFailure<'_>,
    ) -> Result<Arc<dyn Session>, RemoteError> {
        let started = Instant::now();
        loop {
            if wait.cancel.is_cancelled() {
                return Err(RemoteError::Cancelled);
            }
            let error = match self.open(options) {
                Ok(session) => {
                    // It runs, and lets somebody in a little later.
                    sleep(self.between(1, 5)).await;
                    return Ok(session);
                }
                Err(error) => error,
            };
            on_failure(&error);
            if Instant::now() >= wait.deadline {
                return Err(RemoteError::NotInTime { waited: started.elapsed(), last: Box::new(error), foreign: None });
            }
            sleep(Duration::from_secs(1)).await;
        }
    }
}

#[async_trait]
impl Services for Way {
    async fn ask(&self, endpoint: SocketAddr, _: &Question) -> Result<(), Unhealthy> {
        sleep(Duration::from_millis(50)).await;
        let state = self.world.state();
        let from_outside = state.ips.values().any(|ip| ip.ip.address.ip == endpoint.ip())
            || state.balancer_at(endpoint.ip()).is_some();
        let Some(id) = self.world.leads_to(endpoint) else { return Err(Unhealthy::new("nobody is there")) };
        let healthy = |machine: &&Machine| {
            machine.answers() && !(from_outside && Build::of(&machine.build) == Build::FailsOutside)
        };
        if state.machines.get(&id).filter(healthy).is_none() {
            return Err(Unhealthy::new(&format!("{id} answers 503")));
        }
        if let Some(known) = self.known.lock().unwrap().get_mut(&id) {
            known.answered = true;
        }
        Ok(())
    }
}

/// A process that is logged in to a machine.
#[derive(Debug)]
struct Login {
    way: Way,
    id: InstanceId,
    endpoint: SocketAddr,
}

impl Login {
    fn with<T>(&self, work: impl FnOnce(&mut Known) -> T) -> T {
        work(self.way.known.lock().unwrap().get_mut(&self.id).unwrap())
    }

    /// Does something on the machine that takes a while, if it is there until then.
    async fn work(&self, takes: Duration) -> Result<(), RemoteError> {
        self.way.step().await;
        for wait in [Duration::ZERO, takes] {
            sleep(wait).await;
            if self.is_closed() {
                let doing = "working".to_owned();
                return Err(RemoteError::ConnectionLost { endpoint: self.endpoint, doing, tail: Vec::new() });
            }
        }
        Ok(())
    }
}

#[async_trait]
impl Session for Login {
    fn endpoint(&self) -> SocketAddr {
        self.endpoint
    }

    fn is_closed(&self) -> bool {
        !self.way.runs(&self.id)
    }

    async fn exec(&self, command: &Command, on_line: &mut OnLine<'_>) -> Result<Completed, RemoteError> {
        let task = Task::of(command);
        let takes = match task {
            Task::FirstBoot => self.way.between(1, 20),
            Task::Own(_) => self.way.between(5, 60),
            _ => SHORT,
        };
        self.work(takes).await?;
        let said = self.with(|known| {
            match task {
                Task::HostKey(key) => {
                    key.clone_into(&mut known.guest.host_key);
                    known.rekeyed = true;
                }
                Task::Own(step) => known.ran.push(step.to_owned()),
                Task::Seal => self.way.oracle.sealed(&self.id, known.ran.clone()),
                Task::FirstBoot | Task::Log | Task::Other => {}
            }
            known.guest.logins(command)
        });
        said.iter().for_each(|line| on_line(Stream::Stdout, line));
        Ok(success(said, takes))
    }

    async fn upload_file(&self, _: &Path, path: &str, options: &UploadOptions) -> Result<(), RemoteError> {
        self.upload_bytes(&[], path, options).await
    }

    async fn upload_bytes(&self, content: &[u8], path: &str, _: &UploadOptions) -> Result<(), RemoteError> {
        self.work(SHORT).await?;
        let gated = self.with(|known| {
            known.guest.write(path, content);
            path == LOGIN_KEYS && known.answered && known.rekeyed
        });
        // The last thing that a gate does.
        if gated {
            self.way.oracle.gated(&self.id);
        }
        Ok(())
    }

    async fn download(&self, path: &str) -> Result<Vec<u8>, RemoteError> {
        self.work(SHORT).await?;
        Ok(self.with(|known| known.guest.read(path)))
    }

    async fn unpack(&self, _: Vec<Upload>, _: &mut (dyn FnMut(Copied) + Send)) -> Result<Copied, RemoteError> {
        self.work(SHORT).await?;
        Ok(Copied::default())
    }
}
