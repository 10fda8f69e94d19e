//! Machines and services that behave as a test tells them.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, SocketAddr},
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use tokio::time::sleep;

use crate::{
    events::Stream,
    fake::{FakeCloud, Guest, LOGIN_KEYS, Task, success},
    health::{Question, Services, Unhealthy},
    provider::{Instance, InstanceId},
    remote::{
        Command, Completed, ConnectOptions, Copied, Keys, Machines, OnFailure, OnLine, RemoteError, Session, Upload,
        UploadOptions, WaitOptions,
    },
};

#[derive(Debug)]
pub(super) struct Told {
    cloud: Arc<FakeCloud>,
    /// What the step of the recipe builds.
    pub(super) recipe: Mutex<String>,
    /// A value of the configuration.
    pub(super) config: Mutex<String>,
    /// No instance becomes healthy that has not passed its gate yet.
    pub(super) sick: AtomicBool,
    /// Healthy by itself, but not through the address.
    pub(super) sick_outside: AtomicBool,
    /// Instances from which a client gets bad answers through the load balancer.
    pub(super) bad: Mutex<BTreeSet<InstanceId>>,
    pub(super) migrations: Mutex<u32>,
    pub(super) gated: Mutex<Vec<Instance>>,
    guests: Mutex<BTreeMap<IpAddr, Guest>>,
}

impl Told {
    pub(super) fn new(cloud: &Arc<FakeCloud>) -> Self {
        Self {
            cloud: Arc::clone(cloud),
            recipe: Mutex::new("one".to_owned()),
            config: Mutex::new("one".to_owned()),
            sick: AtomicBool::new(false),
            sick_outside: AtomicBool::new(false),
            bad: Mutex::default(),
            migrations: Mutex::default(),
            gated: Mutex::default(),
            guests: Mutex::default(),
        }
    }

    fn at(&self, address: IpAddr) -> Option<Instance> {
        let own = |instance: &Instance| instance.address.as_ref().is_some_and(|own| own.ip == address);
        self.cloud.standing().into_iter().find(own)
    }
}

/// What every process of a test has of them.
#[derive(Debug, Clone)]
pub(super) struct Way(pub(super) Arc<Told>);

#[async_trait]
impl Machines for Way {
    fn keys(&self) -> Keys {
        Keys::any()
    }

    async fn reach(
        &self,
        options: &ConnectOptions,
        _: &WaitOptions,
        _: &mut OnFailure<'_>,
    ) -> Result<Arc<dyn Session>, RemoteError> {
        self.0.cloud.kill.step().await;
        let (address, endpoint) = (options.endpoint.ip(), options.endpoint);
        let new = !self.0.guests.lock().unwrap().contains_key(&address);
        if new {
            sleep(Duration::from_secs(50)).await;
            let guest = Guest::new(&options.host_key, &options.login.public());
            self.0.guests.lock().unwrap().insert(address, guest);
        }
        let shown = self.0.guests.lock().unwrap()[&address].host_key.clone();
        assert_eq!(shown, options.host_key.line(), "it shows another host key");
        Ok(Arc::new(Login { way: self.clone(), endpoint }))
    }
}

#[async_trait]
impl Services for Way {
    async fn ask(&self, endpoint: SocketAddr, _: &Question) -> Result<(), Unhealthy> {
        let told = &self.0;
        let sick = match told.at(endpoint.ip()) {
            Some(instance) => {
                let gated = told.gated.lock().unwrap().iter().any(|gated| gated.id == instance.id);
                told.sick.load(Ordering::SeqCst) && !gated
            }
            None => {
                let world = told.cloud.world();
                let is_balancer = world.state().balancer_at(endpoint.ip()).is_some();
                let answers = |id: InstanceId| !told.bad.lock().unwrap().contains(&id);
                let is_bad = is_balancer && !world.leads_to(endpoint).is_some_and(answers);
                is_bad || told.sick_outside.load(Ordering::SeqCst)
            }
        };
        if sick { Err(Unhealthy::new("503")) } else { Ok(()) }
    }
}

#[derive(Debug)]
struct Login {
    way: Way,
    endpoint: SocketAddr,
}

impl Login {
    fn told(&self) -> &Told {
        &self.way.0
    }

    fn with<T>(&self, work: impl FnOnce(&mut Guest) -> T) -> T {
        work(self.told().guests.lock().unwrap().get_mut(&self.endpoint.ip()).unwrap())
    }
}

#[async_trait]
impl Session for Login {
    fn endpoint(&self) -> SocketAddr {
        self.endpoint
    }

    fn is_closed(&self) -> bool {
        self.told().at(self.endpoint.ip()).is_none()
    }

    async fn exec(&self, command: &Command, on_line: &mut OnLine<'_>) -> Result<Completed, RemoteError> {
        self.told().cloud.kill.step().await;
        let mut said = self.with(|guest| guest.logins(command));
        match Task::of(command) {
            Task::Own("migrate") => *self.told().migrations.lock().unwrap() += 1,
            Task::Own(step) => assert_eq!(step, format!("build {}", self.told().recipe.lock().unwrap())),
            Task::HostKey(key) => self.with(|guest| key.clone_into(&mut guest.host_key)),
            Task::Log => said.push("it broke".to_owned()),
            Task::FirstBoot | Task::Seal | Task::Other => {}
        }
        said.iter().for_each(|line| on_line(Stream::Stdout, line));
        Ok(success(said, Duration::ZERO))
    }

    async fn upload_file(&self, _: &Path, path: &str, options: &UploadOptions) -> Result<(), RemoteError> {
        self.upload_bytes(&[], path, options).await
    }

    async fn upload_bytes(&self, content: &[u8], path: &str, _: &UploadOptions) -> Result<(), RemoteError> {
        self.told().cloud.kill.step().await;
        self.with(|guest| guest.write(path, content));
        // The last thing that a gate does.
        if path == LOGIN_KEYS {
            let instance = self.told().at(self.endpoint.ip());
            self.told().gated.lock().unwrap().extend(instance);
        }
        Ok(())
    }

    async fn download(&self, path: &str) -> Result<Vec<u8>, RemoteError> {
        Ok(self.with(|guest| guest.read(path)))
    }

    async fn unpack(&self, _: Vec<Upload>, _: &mut (dyn FnMut(Copied) + Send)) -> Result<Copied, RemoteError> {
        Ok(Copied::default())
    }
}
