//! One simulated world from its seed to its end: what the users do, and when.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use object_store::memory::InMemory;
use tokio::time::{sleep, timeout};

use super::{
    command::{Order, Process},
    coverage::{Coverage, Trouble},
    fleets::{self, Fleet},
    life::{Blow, Fuse, HostClock},
    oracle::{Ended, Oracle, Verb},
    resource::Resource,
    store::StoreRates,
    trace::Counts,
    wishes::{ENVIRONMENTS, Wishes},
};
use crate::{
    chance,
    fake::{Dice, Fault, Faults, Flavour, Machine, Pace, Rates, World},
    provider::{InstanceId, InstanceState, ReleaseId, label},
};

/// Where people run Remint.
const HOSTS: [&str; 3] = ["here", "elsewhere", "far away"];

/// No command takes longer, suspensions included.
const LONGEST: Duration = Duration::from_secs(2 * 3600);

pub(super) struct Sim {
    pub(super) dice: Dice,
    pub(super) world: Arc<World>,
    pub(super) oracle: Arc<Oracle>,
    /// The true journal.
    pub(super) objects: Arc<InMemory>,
    /// Older copies of it, each with the number of changes of the world until then.
    pub(super) copies: Vec<(u64, Arc<InMemory>)>,
    pub(super) wishes: BTreeMap<&'static str, Wishes>,
    /// Two or three users, each of whom runs one command at a time.
    pub(super) seats: Vec<Option<Process>>,
    /// Where each of them sits.
    hosts: Vec<&'static str>,
    clocks: BTreeMap<&'static str, Arc<HostClock>>,
    pub(super) processes: u32,
    /// The step that is being taken, and how many processes were started in it.
    pub(super) label: String,
    pub(super) started: u32,
    /// What is left out.
    pub(super) skip: Arc<BTreeSet<String>>,
    /// Whether a trace is wanted.
    pub(super) traced: bool,
    pub(super) store_rates: StoreRates,
    /// Whether all is at rest, for what somebody does in the background.
    pub(super) at_rest: Arc<AtomicBool>,
    /// What the next command meets right when it starts.
    pub(super) meets_next: Option<Trouble>,
    /// The environments whose manifest has changed since the last command.
    pub(super) edited: BTreeSet<&'static str>,
    seed: u64,
    /// A static IP of the user's for each environment.
    pub(super) given: BTreeMap<&'static str, IpAddr>,
    /// Whether the last command in an environment has ended well.
    pub(super) quiet: BTreeMap<&'static str, bool>,
    pub(super) calm: bool,
    environments: usize,
    /// The dice of what is drawn for fleets alone, in a world that has them.
    pub(super) fleets: Option<Dice>,
}

/// What to run: the world of a seed, without some of what happens in it.
#[derive(Debug, Clone, Default)]
pub(super) struct Scenario {
    pub(super) seed: u64,
    /// Steps, by their numbers; and faults, by their sites.
    pub(super) skip: Arc<BTreeSet<String>>,
    /// Whether to keep a trace.
    pub(super) traced: bool,
}

/// What a world came to.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Report {
    pub(super) counts: Counts,
    pub(super) coverage: Coverage,
    /// The rule that was broken.
    pub(super) failure: Option<String>,
    /// What happened, and what of it can be left out; with a trace only.
    pub(super) trace: String,
    pub(super) sites: Vec<String>,
}

/// A rule is broken; the oracle knows which.
#[derive(Debug)]
pub(super) struct Broken;

/// How often what goes wrong with requests: in some worlds nothing, in some much.
fn rates(dice: &mut Dice) -> Rates {
    let trouble = if dice.hits(0.3) { 0.0 } else { 1.0 };
    let late = if dice.hits(0.5) { 0.15 } else { 0.03 };
    let often = [
        (Fault::RateLimited, 0.007),
        (Fault::Unavailable, 0.007),
        (Fault::Busy, 0.007),
        (Fault::Lost, 0.02),
        (Fault::NotDone, 0.05),
        (Fault::StaleList, 0.2),
    ];
    // A command ends there, so that in most worlds others come first.
    let seldom = [
        (Fault::Conflict, 0.01),
        (Fault::Quota, 0.06),
        (Fault::Capacity, 0.06),
        (Fault::Fails, 0.1),
        (Fault::StaleGet, 0.1),
    ];
    let mut rates = Rates::none().with(Fault::Late, late);
    for (fault, rate) in often {
        rates = rates.with(fault, rate * trouble);
    }
    for (fault, rate) in seldom {
        let here = dice.hits(0.3);
        rates = rates.with(fault, if here { rate * trouble } else { 0.0 });
    }
    rates
}

/// The clock of each host. Two may differ by as much as a lease allows for.
fn clocks(dice: &mut Dice) -> BTreeMap<&'static str, Arc<HostClock>> {
    let wrong = dice.hits(0.5);
    let clocks = HOSTS.into_iter().map(|host| {
        let clock = Arc::new(HostClock::default());
        let skew = a_skew(dice);
        if wrong {
            clock.set(skew);
        }
        (host, clock)
    });
    clocks.collect()
}

/// By how many milliseconds a clock is wrong that is taken for right.
fn a_skew(dice: &mut Dice) -> i64 {
    dice.below(14_000) as i64 - 7_000
}

impl Sim {
    fn new(scenario: &Scenario) -> Self {
        let seed = scenario.seed;
        let mut dice = Dice::new(seed);
        chance::seeded::start(dice.fork());
        super::command::forget_processes();
        let (labelled_ips, labelled_captures) = (dice.hits(0.5), dice.hits(0.5));
        let flavour = Flavour { labelled_ips, labelled_captures, strict: true, ..Flavour::default() };
        let mut pace = |least, most| dice.between(Duration::from_secs(least), Duration::from_secs(most));
        let (launch, destroy, assign, capture) = (pace(5, 40), pace(1, 15), pace(2, 15), pace(20, 120));
        let pace = Pace { launch, destroy, assign, capture, ..Pace::default() };
        let mut fleets = fleets::dice(seed);
        let (pace, flavour) = match &mut fleets {
            None => (pace, flavour),
            Some(dice) => {
                let (pace, balancing) = fleets::habits(dice, pace);
                (pace, Flavour { balancing, ..flavour })
            }
        };
        let world = World::new(pace, flavour);
        world.answering(Machine::answers);
        let oracle = Oracle::new(world.state(), scenario.traced);
        let reporter = Arc::clone(&oracle);
        let faults = Faults::new(&mut dice.fork(), rates(&mut dice)).skip(BTreeSet::clone(&scenario.skip));
        world.set_faults(faults.report(move |site, fault| reporter.fault(site, Trouble::Request(fault))));
        let watching = Arc::clone(&oracle);
        world.watch(move |change| watching.changed(change));
        let environments = if dice.hits(0.5) { 2 } else { 1 };
        let wishes = ENVIRONMENTS.map(|environment| (environment, Wishes::new(environment, &mut dice)));
        let mut hosts = if dice.hits(0.5) { vec!["here", "here"] } else { vec!["here", "elsewhere"] };
        if dice.hits(0.3) {
            hosts.push(*dice.pick(&["here", "elsewhere", "far away"]));
        }
        Self {
            seats: hosts.iter().map(|_| None).collect(),
            clocks: clocks(&mut dice),
            hosts,
            world,
            oracle,
            objects: Arc::new(InMemory::new()),
            copies: Vec::new(),
            wishes: wishes.into(),
            processes: 0,
            label: String::new(),
            started: 0,
            skip: Arc::clone(&scenario.skip),
            traced: scenario.traced,
            store_rates: StoreRates {
                late: 0.02,
                torn: if dice.hits(0.5) { 0.8 } else { 0.0 },
                down: if dice.hits(0.3) { 0.003 } else { 0.0 },
            },
            at_rest: Arc::default(),
            edited: BTreeSet::new(),
            meets_next: None,
            seed,
            given: BTreeMap::new(),
            quiet: BTreeMap::new(),
            calm: false,
            environments,
            fleets,
            dice,
        }
    }

    /// Lives through the world of a seed.
    pub(super) async fn run(scenario: &Scenario) -> Report {
        let mut sim = Self::new(scenario);
        let lived = sim.live().await;
        let rested = match lived {
            Ok(()) => sim.rest().await,
            Err(broken) => Err(broken),
        };
        chance::seeded::stop();
        let mut inner = sim.oracle.inner();
        // Each run knows the oracle.
        inner.runs.clear();
        let failure = inner.violation.clone();
        assert_eq!(rested.is_err(), failure.is_some());
        Report {
            counts: std::mem::take(&mut inner.counts),
            coverage: std::mem::take(&mut inner.coverage),
            failure,
            trace: if scenario.traced { inner.trace.to_string() } else { String::new() },
            sites: std::mem::take(&mut inner.sites),
        }
    }

    /// Begins a step, whose draws do not depend on those of others. Says whether it is to be taken.
    pub(super) fn begin(&mut self, label: impl Into<String>) -> bool {
        self.label = label.into();
        self.started = 0;
        self.dice = Dice::at(self.seed, [self.label.as_bytes()]);
        !self.skip.contains(&self.label)
    }

    async fn live(&mut self) -> Result<(), Broken> {
        self.furnish();
        self.furnish_fleets();
        for number in 1..=6 + self.dice.below(25) {
            let taken = self.begin(number.to_string());
            let mut pauses = self.dice.fork();
            if taken {
                self.oracle.site(self.label.clone());
                self.step().await?;
            }
            let pause = match pauses.below(4) {
                0 => pauses.up_to(Duration::from_millis(500)),
                1 => pauses.up_to(Duration::from_secs(10)),
                _ => pauses.up_to(Duration::from_secs(120)),
            };
            self.pass(pause).await?;
        }
        Ok(())
    }

    async fn step(&mut self) -> Result<(), Broken> {
        match self.dice.below(21) {
            20 => self.clock_jump(),
            0..=6 => self.command(),
            7..=9 => self.edit(),
            10 | 11 => self.blow(),
            12 => self.by_hand(),
            13 => self.copies.push((self.oracle.inner().changes, Arc::new(self.objects.fork()))),
            14 => self.impostor().await?,
            16 => self.plot().await?,
            15 => {
                // The usual: something is deployed, and nothing else happens.
                self.command();
                self.settle().await?;
            }
            _ => {
                self.command();
                self.blow();
            }
        }
        Ok(())
    }

    /// Somebody, or a time server, sets the clock of a host.
    pub(super) fn clock_jump(&mut self) {
        let host = *self.dice.pick(&HOSTS);
        let far = 2 * 3600 * 1000;
        let skew = match self.dice.hits(0.5) {
            true => a_skew(&mut self.dice),
            false => self.dice.below(2 * far as u64) as i64 - far,
        };
        if self.skip.contains(Trouble::ClockJump.name()) {
            return;
        }
        self.oracle.line("user", format_args!("sets the clock on {host} to {skew} ms"));
        self.clocks[host].set(skew);
        self.oracle.meet_on(host, Trouble::ClockJump);
    }

    /// Sets all clocks right, and says by how much one was ahead at most.
    pub(super) fn set_clocks_right(&self) -> Duration {
        let most = self.clocks.values().map(|clock| clock.most()).max().unwrap_or_default();
        self.clocks.values().for_each(|clock| clock.set(0));
        Duration::from_millis(u64::try_from(most).unwrap_or_default())
    }

    pub(super) fn environment(&mut self) -> &'static str {
        ENVIRONMENTS[self.dice.below(self.environments as u64) as usize]
    }

    pub(super) fn edit(&mut self) {
        let environment = self.environment();
        let given = self.given.get(environment).copied();
        let Some(wishes) = self.wishes.get_mut(environment) else { return };
        let what = if self.fleets.is_some() && self.dice.hits(0.4) {
            wishes.fleet = Fleet::edit(wishes.fleet, &mut self.dice);
            format!("{:?}", wishes.fleet)
        } else {
            wishes.edit(given, &mut self.dice)
        };
        self.edited.insert(environment);
        self.oracle.line("user", format_args!("edits {environment}: {what}"));
        self.oracle.count("step: edit");
    }

    pub(super) fn verb(&mut self, environment: &str) -> Verb {
        let dice = &mut self.dice;
        match dice.below(28) {
            27 => Verb::Adopt,
            20 | 21 => Verb::Bake,
            22 | 23 => Verb::Repair,
            24 => Verb::Plan,
            25 => Verb::Status,
            26 => Verb::Gc { dry: true },
            0..=9 => Verb::Deploy { force: dice.hits(0.2) },
            10..=12 => {
                let highest = self.oracle.inner().releases.get(environment).copied().unwrap_or_default();
                let named = dice.hits(0.5) && highest > 0;
                Verb::Rollback(named.then(|| ReleaseId(1 + dice.below(highest))))
            }
            13 | 14 => Verb::Resume,
            15 => Verb::Abort,
            16 | 17 => Verb::Gc { dry: false },
            18 => Verb::Prune,
            _ => Verb::Destroy { images: dice.hits(0.3) },
        }
    }

    /// Any command, none more often than others.
    pub(super) fn any_verb(&mut self, environment: &str) -> Verb {
        let dice = &mut self.dice;
        match dice.below(13) {
            12 => Verb::Adopt,
            0 => Verb::Deploy { force: dice.hits(0.5) },
            1 => {
                let highest = self.oracle.inner().releases.get(environment).copied().unwrap_or_default();
                Verb::Rollback((highest > 0).then(|| ReleaseId(1 + dice.below(highest))))
            }
            2 => Verb::Resume,
            3 => Verb::Abort,
            4 => Verb::Bake,
            5 => Verb::Gc { dry: false },
            6 => Verb::Prune,
            7 => Verb::Destroy { images: dice.hits(0.3) },
            8 => Verb::Repair,
            9 => Verb::Plan,
            10 => Verb::Status,
            _ => Verb::Gc { dry: true },
        }
    }

    pub(super) fn a_blow(&mut self) -> Blow {
        let dice = &mut self.dice;
        match dice.below(5) {
            0 | 1 => Blow::Kill,
            2 => Blow::Interrupt,
            3 => Blow::Suspend(dice.between(Duration::from_secs(65), Duration::from_secs(200))),
            _ => Blow::Suspend(dice.up_to(Duration::from_secs(60))),
        }
    }

    /// Something that befalls a process at some step, often while a request is under way.
    pub(super) fn a_fuse(&mut self) -> Fuse {
        let blow = self.a_blow();
        let delay = if self.dice.hits(0.5) { Duration::ZERO } else { self.dice.up_to(Duration::from_millis(500)) };
        Fuse { steps: self.dice.below(130) as u32, delay, blow }
    }

    pub(super) fn a_seat(&mut self) -> usize {
        self.dice.below(self.seats.len() as u64) as usize
    }

    /// A user who has nothing to do starts a command.
    fn command(&mut self) {
        let seat = self.a_seat();
        let environment = self.environment();
        let verb = self.verb(environment);
        let fuse = if self.dice.hits(0.4) { Some(self.a_fuse()) } else { None };
        self.start_at(seat, environment, verb, fuse);
    }

    /// Starts a command at a seat where nobody is at work.
    pub(super) fn start_at(&mut self, seat: usize, environment: &'static str, verb: Verb, fuse: Option<Fuse>) {
        if self.seats[seat].is_some() {
            return;
        }
        let order = Order {
            verb,
            wishes: self.wishes[environment].clone(),
            host: self.hosts[seat],
            clock: Arc::clone(&self.clocks[self.hosts[seat]]),
            objects: Arc::clone(&self.objects),
            sealed: None,
            fuse,
        };
        self.seats[seat] = Some(self.start(order));
    }

    /// Something befalls a process.
    fn blow(&mut self) {
        let seat = self.a_seat();
        let blow = self.a_blow();
        if let Some(process) = &self.seats[seat] {
            process.life.strike(blow);
        }
    }

    /// Lets time pass, and notices what has ended by then.
    pub(super) async fn pass(&mut self, time: Duration) -> Result<(), Broken> {
        tokio::select! {
            biased;
            () = self.oracle.broken.notified() => return Err(Broken),
            () = sleep(time) => {}
        }
        for seat in 0..self.seats.len() {
            if self.seats[seat].as_ref().is_some_and(Process::has_ended) {
                self.reap(seat).await?;
            }
        }
        self.check()
    }

    pub(super) fn check(&self) -> Result<(), Broken> {
        if self.oracle.violation().is_some() { Err(Broken) } else { Ok(()) }
    }

    async fn reap(&mut self, seat: usize) -> Result<Option<Ended>, Broken> {
        let Some(process) = self.seats[seat].take() else { return Ok(None) };
        self.finish(process).await.map(Some)
    }

    /// Waits for the end of a process.
    pub(super) async fn finish(&mut self, process: Process) -> Result<Ended, Broken> {
        let (environment, actor) = (process.environment, process.actor.clone());
        let ended = tokio::select! {
            biased;
            () = self.oracle.broken.notified() => return Err(Broken),
            ended = timeout(LONGEST, process.end()) => ended,
        };
        let ended = match ended {
            Ok((_, Ok(ended))) => ended,
            Ok((_, Err(panic))) => {
                self.oracle.fail(panic);
                return Err(Broken);
            }
            Err(_) => {
                self.oracle.fail(format!("{actor} does not come to an end"));
                return Err(Broken);
            }
        };
        let verb = self.oracle.inner().runs.get(&actor).map(|run| run.verb);
        let done = matches!(ended, Ended::Done { .. });
        // These leave a release as unfinished as it was.
        let leaves = |verb: Verb| {
            verb.only_reads() || matches!(verb, Verb::Gc { .. } | Verb::Prune | Verb::Bake | Verb::Adopt | Verb::Repair)
        };
        let settles = !verb.is_some_and(leaves);
        let before = self.quiet.get(environment) == Some(&true);
        self.quiet.insert(environment, done && (settles || before));
        self.check()?;
        Ok(ended)
    }

    /// Waits until nobody does anything any more.
    pub(super) async fn settle(&mut self) -> Result<(), Broken> {
        for seat in 0..self.seats.len() {
            if let Some(process) = &self.seats[seat]
                && self.calm
            {
                process.life.resume();
            }
            self.reap(seat).await?;
        }
        self.check()
    }

    /// Runs a command alone, to its end.
    pub(super) async fn alone(
        &mut self,
        verb: Verb,
        wishes: Wishes,
        objects: Arc<InMemory>,
        sealed: Option<(Trouble, &'static str)>,
    ) -> Result<Ended, Broken> {
        let fuse = if !self.calm && self.dice.hits(0.3) { Some(self.a_fuse()) } else { None };
        let seat = self.a_seat();
        let host = self.hosts[seat];
        let clock = Arc::clone(&self.clocks[host]);
        let process = self.start(Order { verb, wishes, host, clock, objects, sealed, fuse });
        self.finish(process).await
    }

    /// The instances of an environment that serve, or are to serve, and are not on their way out.
    pub(super) fn standing(&self, environment: &str) -> Vec<InstanceId> {
        let inner = self.oracle.inner();
        let serves = |machine: &&Machine| {
            machine.instance.labels.get(label::ROLE) == Some("instance")
                && machine.instance.state != InstanceState::Destroying
        };
        let all = inner.state.machines.values().filter(serves).map(|machine| machine.instance.id.clone());
        all.filter(|id| inner.made_by(&Resource::Machine(id.clone()), environment)).collect()
    }
}
