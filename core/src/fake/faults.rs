//! What goes wrong with requests, drawn from a seed.

use std::{collections::BTreeMap, time::Duration};

use super::Dice;
use crate::provider::{Effect, Error, ErrorKind};

/// How often what goes wrong, each from zero to one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rates {
    /// A request is refused for now: rate limited, unavailable, busy.
    pub(crate) refused: f64,
    /// The reply of a mutation is lost; the mutation happens.
    pub(crate) lost: f64,
    /// A mutation commits long after it was sent.
    pub(crate) late: f64,
    /// A list shows what was there some seconds ago.
    pub(crate) stale: f64,
    /// The move of a static IP is accepted and not carried out.
    pub(crate) dud: f64,
}

/// Draws what becomes of each request.
#[derive(Debug)]
pub(crate) struct Faults {
    dice: Dice,
    rates: Rates,
    counts: BTreeMap<&'static str, u64>,
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
    /// Refused, without any effect.
    pub(super) refused: Option<ErrorKind>,
    pub(super) lost: bool,
    pub(super) dud: bool,
    /// How old the state is that a list shows.
    pub(super) stale: Duration,
}

/// After this a caller gives a request up whose reply was lost.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);
/// A request that was sent has happened after so long, or never does.
pub(super) const SETTLES: Duration = Duration::from_secs(10);
/// A commit is late from here on.
const LATE: Duration = Duration::from_secs(1);
/// The oldest state that a list shows.
pub(super) const STALEST: Duration = Duration::from_secs(5);

impl Fate {
    /// Whether all its moments are one.
    pub(super) fn is_at_once(&self) -> bool {
        self.travel + self.commit + self.reply == Duration::ZERO && !self.lost
    }

    /// The error of a request that was refused.
    pub(super) fn refusal(&self, operation: &'static str) -> Option<Error> {
        self.refused.map(|kind| Error::new(kind, operation, "for a moment"))
    }

    /// The error of a request whose reply was lost.
    pub(super) fn loss(operation: &'static str) -> Error {
        Error::new(ErrorKind::Timeout, operation, "no reply").with_effect(Effect::Unknown)
    }
}

impl Faults {
    pub(crate) fn new(dice: Dice, rates: Rates) -> Self {
        Self { dice, rates, counts: BTreeMap::new() }
    }

    /// From now on nothing goes wrong any more; requests still take their time.
    pub(crate) fn calm(&mut self) {
        self.rates = Rates { refused: 0.0, lost: 0.0, late: 0.0, stale: 0.0, dud: 0.0 };
    }

    /// How often what went wrong.
    pub(super) fn counts(&self) -> Vec<(&'static str, u64)> {
        self.counts.iter().map(|(fault, count)| (*fault, *count)).collect()
    }

    fn note(&mut self, fate: &Fate, late: bool) {
        let refused = fate.refused.is_some();
        let found = [
            ("refused", refused),
            ("lost", fate.lost),
            ("late", late),
            ("dud", fate.dud),
            ("stale", !fate.stale.is_zero()),
        ];
        for (fault, _) in found.into_iter().filter(|(_, happened)| *happened) {
            *self.counts.entry(fault).or_default() += 1;
        }
    }

    pub(super) fn mutation(&mut self, operation: &'static str) -> Fate {
        let fate = self.draw(operation);
        self.note(&fate, fate.commit >= LATE);
        fate
    }

    fn draw(&mut self, operation: &'static str) -> Fate {
        let dice = &mut self.dice;
        let ms = Duration::from_millis;
        let mut fate = Fate { travel: dice.up_to(ms(20)), commit: dice.up_to(ms(300)), ..Fate::default() };
        fate.reply = dice.up_to(ms(500));
        if dice.hits(self.rates.refused) {
            fate.refused = Some(*dice.pick(&[ErrorKind::RateLimited, ErrorKind::Unavailable, ErrorKind::Busy]));
            return fate;
        }
        if dice.hits(self.rates.late) {
            fate.commit = dice.between(LATE, SETTLES - LATE);
        }
        fate.lost = dice.hits(self.rates.lost);
        fate.dud = operation == "assign" && dice.hits(self.rates.dud);
        fate
    }

    pub(super) fn read(&mut self) -> Fate {
        let dice = &mut self.dice;
        let ms = Duration::from_millis;
        let mut fate = Fate { commit: dice.up_to(ms(100)), reply: dice.up_to(ms(100)), ..Fate::default() };
        if dice.hits(self.rates.refused) {
            fate.refused = Some(*dice.pick(&[ErrorKind::RateLimited, ErrorKind::Unavailable]));
        }
        if dice.hits(self.rates.stale) {
            fate.stale = dice.up_to(STALEST);
        }
        self.note(&fate, false);
        fate
    }
}
