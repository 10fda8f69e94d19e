//! The machines of the simulated world: what Remint sees of them over SSH and through the address.

use std::{
    net::IpAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use tokio::time::{Instant, sleep};

use super::{
    life::Life,
    oracle::Oracle,
    wishes::{Build, Wishes},
};
use crate::{
    bake::{Authority, simulated},
    context::Context,
    deploy::{
        Baker,
        door::{Opened, Outside, Prepared, Recipe, gate_error},
    },
    error::EngineError,
    fake::{Dice, Machine, State, World},
    health::ProbeRun,
    machine::Keys,
    provider::{Address, ImageId, Instance, InstanceId, InstanceState, ReleaseId},
};

impl Machine {
    /// Whether its service answers.
    pub(super) fn answers(&self) -> bool {
        self.instance.state == InstanceState::Running && !self.unwell && Build::of(&self.build) != Build::FailsGate
    }
}

/// The instance that an address leads to.
pub(super) fn instance_at(state: &State, address: IpAddr) -> Option<InstanceId> {
    if let Some(ip) = state.ips.values().find(|ip| ip.ip.address.ip == address) {
        return ip.ip.assigned_to.clone();
    }
    let own = |machine: &&Machine| machine.instance.address.as_ref().is_some_and(|own| own.ip == address);
    state.machines.values().find(own).map(|machine| machine.instance.id.clone())
}

/// What a process has of the machines.
pub(super) struct Machines {
    pub(super) world: Arc<World>,
    pub(super) oracle: Arc<Oracle>,
    pub(super) life: Arc<Life>,
    pub(super) wishes: Wishes,
    pub(super) dice: Mutex<Dice>,
}

impl Machines {
    fn between(&self, least: u64, most: u64) -> Duration {
        let seconds = Duration::from_secs;
        self.dice.lock().unwrap().between(seconds(least), seconds(most))
    }

    /// Asks the service at an address, by itself or from outside.
    fn answer(&self, address: &Address, outside: bool) -> Result<(), String> {
        let state = self.world.state();
        let Some(id) = instance_at(&state, address.ip) else { return Err("nobody is there".to_owned()) };
        let Some(machine) = state.machines.get(&id) else { return Err("nobody is there".to_owned()) };
        if !machine.answers() || (outside && Build::of(&machine.build) == Build::FailsOutside) {
            return Err(format!("{id} answers 503"));
        }
        Ok(())
    }
}

#[async_trait]
impl Baker for Machines {
    async fn bake(&self, ctx: &Context, authority: &Authority<'_>) -> Result<ImageId, EngineError> {
        let fingerprint = self.wishes.fingerprint().as_str().into();
        let steps = self.between(5, 60);
        let passes = |instance: &Instance| {
            let state = self.world.state();
            state.machines.get(&instance.id).is_some_and(Machine::answers)
        };
        let machine = simulated::Machine { steps, passes: &passes };
        let image = simulated::bake(ctx, authority, &fingerprint, &machine).await;
        image.map(|image| image.id).map_err(EngineError::bake)
    }
}

#[async_trait]
impl Outside for Machines {
    async fn recipe(&self, _: &Context, _: &ImageId) -> Result<Recipe, EngineError> {
        Ok(Recipe { fingerprint: self.wishes.fingerprint().as_str().into(), inputs: Vec::new() })
    }

    async fn config_digest(&self, _: &Context, salt: &str, _: Option<IpAddr>) -> Result<String, EngineError> {
        Ok(format!("{salt} {}", self.wishes.config))
    }

    async fn commit(&self, _: &Context) -> Option<String> {
        None
    }

    async fn prepare(&self, _: &Context, _: ReleaseId, _: &str, _: Option<IpAddr>) -> Result<Prepared, EngineError> {
        Ok(Prepared { user_data: "#cloud-config".to_owned().into(), keys: Keys::any() })
    }

    async fn open(
        &self,
        _: &Context,
        instance: &Instance,
        _: &Prepared,
        within: Duration,
    ) -> Result<Box<dyn Opened>, EngineError> {
        let deadline = Instant::now() + within;
        loop {
            let runs = self.world.state().machines.get(&instance.id).is_some_and(|machine| {
                machine.instance.state == InstanceState::Running && machine.instance.address.is_some()
            });
            if runs {
                break;
            }
            if Instant::now() >= deadline {
                return Err(gate_error(format!("cannot log in to {}", instance.id)));
            }
            sleep(Duration::from_secs(1)).await;
        }
        sleep(self.between(1, 15)).await;
        let (world, oracle, life) = (Arc::clone(&self.world), Arc::clone(&self.oracle), Arc::clone(&self.life));
        let takes = self.between(1, 20);
        Ok(Box::new(OpenMachine { world, oracle, life, id: instance.id.clone(), takes }))
    }

    async fn ask(&self, _: &Context, address: &Address) -> Option<Result<(), String>> {
        sleep(Duration::from_millis(50)).await;
        Some(self.answer(address, false))
    }

    async fn observe(&self, _: &Context, address: &Address, during: Duration) -> Result<(), EngineError> {
        let started = Instant::now();
        let mut healthy = false;
        loop {
            match self.answer(address, true) {
                Ok(()) => healthy = true,
                Err(reason) if healthy || started.elapsed() > Duration::from_secs(60) => {
                    return Err(gate_error(format!("the service is not healthy: {reason}")));
                }
                Err(_) => {}
            }
            if healthy && started.elapsed() >= during {
                return Ok(());
            }
            sleep(Duration::from_secs(2)).await;
        }
    }

    async fn probe(&self, _: &Context, _: &Address) -> Option<ProbeRun> {
        None
    }
}

struct OpenMachine {
    world: Arc<World>,
    oracle: Arc<Oracle>,
    life: Arc<Life>,
    id: InstanceId,
    takes: Duration,
}

impl OpenMachine {
    fn machine(&self) -> Option<Machine> {
        self.world.state().machines.get(&self.id).cloned()
    }
}

#[async_trait]
impl Opened for OpenMachine {
    async fn examine(&mut self, _: &Context) -> Result<(), EngineError> {
        sleep(self.takes).await;
        match self.machine() {
            Some(machine) if machine.answers() => Ok(()),
            _ => Err(gate_error(format!("{} answers 503", self.id))),
        }
    }

    async fn before_switch(&mut self, _: &Context, _: &str) -> Result<(), EngineError> {
        Ok(())
    }

    async fn log(&mut self) -> Vec<String> {
        Vec::new()
    }

    async fn close(self: Box<Self>, _: &Context) -> Result<(), EngineError> {
        if self.life.step() {
            tokio::task::yield_now().await;
        }
        sleep(Duration::from_millis(200)).await;
        if self.machine().is_none() {
            return Err(gate_error(format!("{} is gone", self.id)));
        }
        self.oracle.gated(&self.id);
        Ok(())
    }
}
