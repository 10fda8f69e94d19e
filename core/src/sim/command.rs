//! Running one command as a process of its own.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use object_store::memory::InMemory;
use tokio::{task::JoinHandle, time::Instant};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{
    coverage::Trouble,
    driver::Sim,
    life::{Fuse, HostClock, Life},
    machines::Way,
    oracle::{Ended, Run, Verb},
    store::{SimStore, StoreRates},
    wishes::Wishes,
};
use crate::{
    context::{Context, Elsewhere},
    deploy::AdoptOptions,
    deploy::door::{Door, chain},
    error::EngineError,
    events::{Event, Events},
    fake::{Actor, FakeCloud, Kill},
    journal::{Holder, Journal, Liveness, ProcessState},
    provider::{Provider, RetryPolicy},
    spawn::WRAP,
};

thread_local! {
    /// The processes of the simulation of this thread, by their runs.
    static PROCESSES: RefCell<BTreeMap<Uuid, (&'static str, Arc<Life>)>> = const { RefCell::new(BTreeMap::new()) };
}

/// What a process on this host sees of others.
#[derive(Debug)]
struct Host(&'static str);

impl Liveness for Host {
    fn of(&self, holder: &Holder) -> ProcessState {
        let found = PROCESSES.with_borrow(|all| all.get(&holder.run).cloned());
        match found {
            Some((host, life)) if host == self.0 && life.is_alive() => ProcessState::Alive,
            Some((host, _)) if host == self.0 => ProcessState::Dead,
            _ => ProcessState::Unknown,
        }
    }
}

pub(super) fn forget_processes() {
    PROCESSES.with_borrow_mut(BTreeMap::clear);
}

/// What to run, and how.
pub(super) struct Order {
    pub(super) verb: Verb,
    pub(super) wishes: Wishes,
    pub(super) host: &'static str,
    pub(super) clock: Arc<HostClock>,
    /// The journal, or something that is taken for it.
    pub(super) objects: Arc<InMemory>,
    /// What is wrong with it, and why it may change nothing for that.
    pub(super) sealed: Option<(Trouble, &'static str)>,
    pub(super) fuse: Option<Fuse>,
}

/// A process that was started.
pub(super) struct Process {
    pub(super) actor: Actor,
    pub(super) environment: &'static str,
    pub(super) life: Arc<Life>,
    task: JoinHandle<Ended>,
}

impl Process {
    pub(super) fn has_ended(&self) -> bool {
        self.task.is_finished()
    }

    /// Waits for its end. A panic of it is told as such.
    pub(super) async fn end(self) -> (Actor, Result<Ended, String>) {
        let ended = match self.task.await {
            Ok(ended) => Ok(ended),
            Err(panic) => Err(format!("{} panicked: {panic}", self.actor)),
        };
        (self.actor, ended)
    }
}

impl Sim {
    pub(super) fn start(&mut self, order: Order) -> Process {
        let Order { verb, wishes, host, clock, objects, sealed, fuse } = order;
        self.processes += 1;
        self.started += 1;
        // Named after the step in which it starts, so that its name stays when another step is left out.
        let actor = Actor(match self.started {
            1 => format!("p{}", self.label),
            number => format!("p{}.{number}", self.label),
        });
        let blow = format!("{actor}:blow");
        let fuse = fuse.filter(|_| !self.skip.contains(&blow));
        if fuse.is_some() {
            self.oracle.site(blow);
        }
        let run = Uuid::from_u64_pair(self.dice.next(), self.dice.next());
        let cancel = CancellationToken::new();
        let life = {
            let (oracle, actor) = (Arc::clone(&self.oracle), actor.clone());
            let host = (clock, self.dice.fork());
            Life::new(cancel.clone(), host, fuse, move |blow| oracle.struck(&actor, blow))
        };
        PROCESSES.with_borrow_mut(|all| all.insert(run, (host, Arc::clone(&life))));
        let environment = wishes.environment;
        let oracle = Arc::clone(&self.oracle);
        let started = Run {
            verb,
            wishes: wishes.clone(),
            host,
            run,
            life: Arc::clone(&life),
            began: Instant::now(),
            sealed: sealed.map(|(_, why)| why).or(verb.only_reads().then_some("it only reads")),
            disturbed: false,
            stage: "start",
        };
        oracle.started(&actor, started);
        if self.edited.remove(environment) {
            oracle.meet(&actor, Trouble::Edit);
        }
        for trouble in sealed.map(|(trouble, _)| trouble).into_iter().chain(self.meets_next.take()) {
            oracle.meet(&actor, trouble);
        }

        let kill = Arc::new(Kill::hooked({
            let life = Arc::clone(&life);
            move || life.step()
        }));
        let cloud = FakeCloud::client(Arc::clone(&self.world), actor.clone(), RetryPolicy::default(), kill);
        let store = SimStore {
            objects,
            life: Arc::clone(&life),
            actor: actor.clone(),
            oracle: Arc::clone(&oracle),
            dice: Mutex::new(self.dice.fork()),
            seed: self.dice.next(),
            rates: if self.calm { StoreRates::default() } else { self.store_rates },
            skip: Arc::clone(&self.skip),
            asked: Mutex::default(),
        };
        let journal = Journal::over(Arc::new(store), environment).with_liveness(Arc::new(Host(host)));
        let (world, dice) = (Arc::clone(&self.world), self.dice.fork());
        let way = Arc::new(Way::new(world, Arc::clone(&oracle), Arc::clone(&life), dice));
        let events = match self.traced {
            false => Events::silent(),
            true => {
                let actor = actor.clone();
                Events::new(move |event| {
                    if let Event::Note { message, .. } = event {
                        oracle.line(&actor, format!("says: {message}"));
                    }
                })
            }
        };
        let loaded = wishes.load();
        // The fake cloud has all its regions in one account.
        let everywhere = Arc::clone(&cloud);
        let elsewhere = Elsewhere::new(move |_| {
            let provider: Arc<dyn Provider> = Arc::clone(&everywhere) as _;
            Box::pin(async move { Ok(provider) })
        });
        let patient = !self.calm && self.dice.hits(0.3);
        let ctx = Context {
            run,
            lock_wait: patient.then(|| self.dice.up_to(Duration::from_secs(120))),
            elsewhere,
            cancel,
            process_env: BTreeMap::new(),
            machines: Arc::clone(&way) as _,
            services: way,
            ..Context::new(loaded, cloud as Arc<dyn Provider>, events)
        };
        let holder = Holder {
            user: "me".to_owned(),
            host: host.to_owned(),
            pid: self.processes,
            place: Some(host.to_owned()),
            started: Some(u64::from(self.processes)),
            run,
            command: verb.name().to_owned(),
            ci: None,
        };
        let named = Arc::clone(&self.oracle);
        let command = async move {
            let door = Door::new(&ctx, journal, holder);
            match verb {
                Verb::Deploy { force } => {
                    let report = door.deploy(force).await?;
                    Ok(Ended::Done { changes: report.plan.changes() })
                }
                Verb::Rollback(to) => door.rollback(to).await.map(|_| Ended::Done { changes: true }),
                Verb::Resume => door.resume().await.map(|found| Ended::Done { changes: found.is_some() }),
                Verb::Abort => door.abort().await.map(|found| Ended::Done { changes: found.is_some() }),
                Verb::Gc { dry } => door.gc(dry).await.map(|found| Ended::Done { changes: !found.is_empty() }),
                Verb::Prune => door.prune().await.map(|pruned| Ended::Done { changes: pruned > 0 }),
                Verb::Destroy { images } => door.destroy(images).await.map(|()| Ended::Done { changes: true }),
                Verb::Bake => door.bake().await.map(|()| Ended::Done { changes: true }),
                Verb::Adopt => {
                    let static_ips = named.adoptable(environment);
                    let instances = named.known_to_serve(environment).into_iter().collect();
                    door.adopt(AdoptOptions { instances, static_ips }).await.map(|()| Ended::Done { changes: true })
                }
                Verb::Repair => door.repair().await.map(|mended| Ended::Done { changes: mended > 0 }),
                Verb::Plan => door.plan().await.map(|changes| Ended::Done { changes }),
                Verb::Status => door.status().await.map(|()| Ended::Done { changes: false }),
            }
        };
        let held = life.hold(WRAP.scope(life.wrap(), command));
        let ending = Arc::clone(&life);
        let (oracle, name) = (Arc::clone(&self.oracle), actor.clone());
        let task = tokio::spawn(async move {
            let ended = match held.await {
                None => Ended::Killed,
                Some(Ok(ended)) => ended,
                Some(Err(error)) => {
                    let error: EngineError = error;
                    Ended::Failed { kind: format!("{:?}", error.kind()), chain: chain(&error) }
                }
            };
            ending.end();
            oracle.ended(&name, &ended);
            ended
        });
        Process { actor, environment, life, task }
    }
}
