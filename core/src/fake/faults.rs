//! What goes wrong with requests, drawn from a seed.
//!
//! What becomes of a request depends on its address alone: who sends it, for what, and for the how many-th time. So one fault can
//! be left out of a run, and the others stay as they are.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    time::Duration,
};

use super::{Actor, Dice};
use crate::provider::{Effect, Error, ErrorKind};

/// What can go wrong with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fault {
    /// 429, with a time after which to come back.
    RateLimited,
    /// 5xx, before anything was done.
    Unavailable,
    /// Another operation is at it.
    Busy,
    /// Refused because something is not as it was.
    Conflict,
    /// An account limit is reached.
    Quota,
    /// There is no room for it.
    Capacity,
    /// The mutation happens, and the caller never gets to know: no reply, or a 5xx.
    Lost,
    /// A mutation commits long after it was sent.
    Late,
    /// Accepted, and never carried out.
    NotDone,
    /// Accepted, and ends in an error some time later.
    Fails,
    /// A list shows what was there some seconds ago.
    StaleList,
    /// A look at one thing does.
    StaleGet,
}

impl Fault {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::RateLimited,
        Self::Unavailable,
        Self::Busy,
        Self::Conflict,
        Self::Quota,
        Self::Capacity,
        Self::Lost,
        Self::Late,
        Self::NotDone,
        Self::Fails,
        Self::StaleList,
        Self::StaleGet,
    ];

    /// Its name in reports, and where it is left out.
    pub const fn name(self) -> &'static str {
        match self {
            Self::RateLimited => "429",
            Self::Unavailable => "5xx",
            Self::Busy => "busy",
            Self::Conflict => "conflict",
            Self::Quota => "quota",
            Self::Capacity => "capacity",
            Self::Lost => "lost reply",
            Self::Late => "late",
            Self::NotDone => "not done",
            Self::Fails => "fails",
            Self::StaleList => "stale list",
            Self::StaleGet => "stale get",
        }
    }

    /// Whether it can befall this operation; `read` says whether that changes nothing.
    fn befalls(self, operation: &str, read: Option<Read>) -> bool {
        match self {
            Self::RateLimited | Self::Unavailable => true,
            Self::Busy | Self::Conflict | Self::Lost | Self::Late => read.is_none(),
            // What needs room or counts against a limit.
            Self::Quota => matches!(
                operation,
                "launch" | "ensure static IP" | "ensure load balancer" | "ensure login key" | "start capture"
            ),
            Self::Capacity => matches!(operation, "launch" | "ensure static IP" | "ensure load balancer"),
            Self::NotDone => matches!(
                operation,
                "assign" | "destroy" | "power" | "attach members" | "detach members" | "destroy load balancer"
            ),
            Self::Fails => matches!(operation, "launch" | "start capture" | "ensure load balancer"),
            Self::StaleList => read == Some(Read::List),
            Self::StaleGet => read == Some(Read::Get),
        }
    }
}

/// What a read looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Read {
    List,
    Get,
}

/// How often what goes wrong, each from zero to one.
#[derive(Debug, Clone, Default)]
pub struct Rates(BTreeMap<Fault, f64>);

impl Rates {
    /// Nothing goes wrong.
    pub fn none() -> Self {
        Self::default()
    }

    /// The same, and so often this.
    #[must_use]
    pub fn with(mut self, fault: Fault, rate: f64) -> Self {
        self.0.insert(fault, rate);
        self
    }

    fn of(&self, fault: Fault) -> f64 {
        self.0.get(&fault).copied().unwrap_or_default()
    }
}

/// Where a request stands in a run: `p7:launch:1` is the first launch that `p7` asks for.
#[derive(Debug, Clone)]
pub struct Site<'a> {
    /// Who sends it.
    pub actor: &'a Actor,
    /// For what.
    pub operation: &'static str,
    /// For the how many-th time.
    pub number: u32,
}

impl fmt::Display for Site<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.actor, self.operation.replace(' ', "-"), self.number)
    }
}

type Reporter = Box<dyn FnMut(&Site<'_>, Fault) + Send>;

/// Draws what becomes of each request.
pub struct Faults {
    seed: u64,
    rates: Rates,
    sent: BTreeMap<Actor, BTreeMap<&'static str, u32>>,
    skip: BTreeSet<String>,
    reporter: Option<Reporter>,
}

/// What becomes of one request.
#[derive(Debug, Default)]
pub(super) struct Fate {
    /// From the last check of the caller to the moment at which the request leaves.
    pub(super) travel: Duration,
    /// From then to its commit.
    pub(super) commit: Duration,
    /// From the commit to the reply.
    pub(super) reply: Duration,
    pub(super) refused: Option<Refused>,
    pub(super) lost: Option<Loss>,
    pub(super) not_done: bool,
    pub(super) fails: bool,
    /// How old the state is that a read shows.
    pub(super) stale: Duration,
}

/// How a request is refused, without any effect.
#[derive(Debug, Clone, Copy)]
pub(super) struct Refused {
    pub(super) kind: ErrorKind,
    /// When to come back.
    pub(super) after: Option<Duration>,
    /// The effect that its error tells of.
    pub(super) effect: Effect,
}

impl From<ErrorKind> for Refused {
    fn from(kind: ErrorKind) -> Self {
        Self { kind, after: None, effect: Effect::NotApplied }
    }
}

/// How a reply is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Loss {
    /// It never comes.
    Silence,
    /// Something between answers with an error.
    BadGateway,
}

/// After this a caller gives a request up whose reply was lost.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);
/// A request that was sent has happened after so long, or never does.
pub(super) const SETTLES: Duration = Duration::from_secs(10);
/// A commit is late from here on.
const LATE: Duration = Duration::from_secs(1);
/// The oldest state that a read shows.
pub(crate) const STALEST: Duration = Duration::from_secs(5);

impl Fate {
    /// Whether all its moments are one.
    pub(super) fn is_at_once(&self) -> bool {
        self.travel + self.commit + self.reply == Duration::ZERO && self.lost.is_none()
    }

    /// The error of a request that was refused.
    pub(super) fn refusal(&self, operation: &'static str) -> Option<Error> {
        let Refused { kind, after, effect } = self.refused?;
        let error = Error::new(kind, operation, "for a moment").with_effect(effect);
        Some(match after {
            Some(after) => error.with_retry_after(after),
            None => error,
        })
    }

    /// The error of a request whose reply was lost.
    pub(super) fn loss(operation: &'static str, loss: Option<Loss>) -> Error {
        let error = match loss {
            Some(Loss::BadGateway) => Error::new(ErrorKind::Unavailable, operation, "502"),
            _ => Error::new(ErrorKind::Timeout, operation, "no reply"),
        };
        error.with_effect(Effect::Unknown)
    }
}

/// A capture is asked for once in a bake, where other operations are asked for all the time.
fn weight(fault: Fault, operation: &str) -> f64 {
    if operation == "start capture" && matches!(fault, Fault::Quota | Fault::Fails) { 4.0 } else { 1.0 }
}

impl Faults {
    /// Draws from these dice what goes wrong so often.
    pub fn new(dice: &mut Dice, rates: Rates) -> Self {
        Self { seed: dice.next(), rates, sent: BTreeMap::new(), skip: BTreeSet::new(), reporter: None }
    }

    /// Lets nothing go wrong at these sites, nor what is named.
    #[must_use]
    pub fn skip(mut self, sites: BTreeSet<String>) -> Self {
        self.skip = sites;
        self
    }

    /// Reports each fault when it happens.
    #[must_use]
    pub fn report(mut self, reporter: impl FnMut(&Site<'_>, Fault) + Send + 'static) -> Self {
        self.reporter = Some(Box::new(reporter));
        self
    }

    /// From now on nothing goes wrong any more; requests still take their time.
    pub fn calm(&mut self) {
        self.rates = Rates::none();
    }

    pub(super) fn mutation(&mut self, actor: &Actor, operation: &'static str) -> Fate {
        self.draw(actor, operation, None)
    }

    pub(super) fn read(&mut self, actor: &Actor, operation: &'static str, read: Read) -> Fate {
        self.draw(actor, operation, Some(read))
    }

    fn draw(&mut self, actor: &Actor, operation: &'static str, read: Option<Read>) -> Fate {
        if !self.sent.contains_key(actor) {
            self.sent.insert(actor.clone(), BTreeMap::new());
        }
        let sent = self.sent.get_mut(actor).map(|sent| sent.entry(operation).or_default());
        let number = sent.map_or(0, |sent| {
            *sent += 1;
            *sent
        });
        let site = Site { actor, operation, number };
        let mut dice = Dice::at(self.seed, [actor.0.as_bytes(), operation.as_bytes(), &number.to_le_bytes()]);
        let ms = Duration::from_millis;
        let mut fate = match read {
            None => Fate { travel: dice.up_to(ms(20)), commit: dice.up_to(ms(300)), ..Fate::default() },
            Some(_) => Fate { commit: dice.up_to(ms(100)), ..Fate::default() },
        };
        fate.reply = dice.up_to(if read.is_none() { ms(500) } else { ms(100) });
        let mut wrong = Vec::new();
        for fault in Fault::ALL {
            // Drawn whether it can be or not, so that one rate changes nothing else.
            let hits = dice.hits(self.rates.of(fault) * weight(fault, operation));
            if hits && fault.befalls(operation, read) {
                wrong.push(fault);
            }
        }
        if !wrong.is_empty() && !self.skip.is_empty() {
            wrong.retain(|fault| !self.skip.contains(fault.name()));
            if self.skip.contains(&site.to_string()) {
                return fate;
            }
        }
        for fault in wrong {
            fate.suffer(fault, &mut dice);
            if let Some(reporter) = &mut self.reporter {
                reporter(&site, fault);
            }
            if fate.refused.is_some() {
                break;
            }
        }
        fate
    }
}

impl Fate {
    fn suffer(&mut self, fault: Fault, dice: &mut Dice) {
        let seconds = Duration::from_secs;
        match fault {
            Fault::RateLimited => {
                let after = dice.hits(0.7).then(|| dice.between(seconds(1), seconds(40)));
                self.refused = Some(Refused { after, ..ErrorKind::RateLimited.into() });
            }
            Fault::Unavailable => self.refused = Some(ErrorKind::Unavailable.into()),
            Fault::Busy => self.refused = Some(ErrorKind::Busy.into()),
            Fault::Conflict => self.refused = Some(ErrorKind::Conflict.into()),
            Fault::Quota => self.refused = Some(ErrorKind::Quota.into()),
            Fault::Capacity => self.refused = Some(ErrorKind::Capacity.into()),
            Fault::Lost => self.lost = Some(if dice.hits(0.7) { Loss::Silence } else { Loss::BadGateway }),
            Fault::Late => self.commit = dice.between(LATE, SETTLES - LATE),
            Fault::NotDone => self.not_done = true,
            Fault::Fails => self.fails = true,
            Fault::StaleList | Fault::StaleGet => self.stale = dice.up_to(STALEST),
        }
    }
}
