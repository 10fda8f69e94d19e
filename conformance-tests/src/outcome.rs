//! What came of a case, and of all of them.

use std::fmt;

use remint_core::provider::Capability;
use serde::{Deserialize, Serialize};

use crate::{Exemption, Setting};

/// What came of a case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The provider does as it says.
    Passed,
    /// It does not; the text says why.
    Failed(String),
    /// The provider does not declare what the case needs. Not run; [`crate::cases::PROBES`] hold it to that.
    NotDeclared(Capability),
    /// It is known to fail, and excused until a date. Not run; once the date has passed, it is [`Outcome::Failed`].
    Exempt(Exemption),
    /// Something kept it from being run.
    Blocked(Block),
    /// The time was up; the text says what was waited for.
    TimedOut(String),
    /// It passed, and something that it made is still there, or was there and was not accounted for.
    Leaked(String),
}

/// What keeps a case from being run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Block {
    /// The target does not bring what the case needs.
    Missing(Setting),
    /// It costs money, and whoever was asked said no.
    Declined,
    /// It would cost more than is left of the budget, or its price is not known and there is a budget.
    OverBudget,
    /// The run was interrupted before it.
    Interrupted,
}

impl fmt::Display for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(setting) => write!(f, "the target brings no {}", setting.as_str()),
            Self::Declined => f.write_str("it costs money, and was declined"),
            Self::OverBudget => f.write_str("it may cost more than is left of the budget"),
            Self::Interrupted => f.write_str("the run was interrupted"),
        }
    }
}

impl Outcome {
    /// The kind, without what there is to say about it.
    pub fn kind(&self) -> OutcomeKind {
        match self {
            Self::Passed => OutcomeKind::Passed,
            Self::Failed(_) => OutcomeKind::Failed,
            Self::NotDeclared(_) => OutcomeKind::NotDeclared,
            Self::Exempt(_) => OutcomeKind::Exempt,
            Self::Blocked(_) => OutcomeKind::Blocked,
            Self::TimedOut(_) => OutcomeKind::TimedOut,
            Self::Leaked(_) => OutcomeKind::Leaked,
        }
    }

    /// What there is to say beyond the kind; empty for [`Outcome::Passed`].
    pub fn detail(&self) -> String {
        match self {
            Self::Passed => String::new(),
            Self::Failed(text) | Self::Leaked(text) => text.clone(),
            Self::NotDeclared(capability) => capability.to_string(),
            Self::Exempt(exemption) => exemption.to_string(),
            Self::Blocked(block) => block.to_string(),
            Self::TimedOut(what) => format!("waiting for {what}"),
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.detail() {
            detail if detail.is_empty() => f.write_str(self.kind().as_str()),
            detail => write!(f, "{}: {detail}", self.kind().as_str()),
        }
    }
}

/// The kinds of outcomes, as reports count them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutcomeKind {
    /// [`Outcome::Passed`].
    Passed,
    /// [`Outcome::Failed`].
    Failed,
    /// [`Outcome::TimedOut`].
    TimedOut,
    /// [`Outcome::Leaked`].
    Leaked,
    /// [`Outcome::Exempt`].
    Exempt,
    /// [`Outcome::Blocked`].
    Blocked,
    /// [`Outcome::NotDeclared`].
    NotDeclared,
}

impl OutcomeKind {
    /// All of them, in the order in which they are counted out.
    pub const ALL: [Self; 7] =
        [Self::Passed, Self::Failed, Self::TimedOut, Self::Leaked, Self::Exempt, Self::Blocked, Self::NotDeclared];

    /// The kind in words.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::TimedOut => "timed out",
            Self::Leaked => "leaked",
            Self::Exempt => "exempt",
            Self::Blocked => "blocked",
            Self::NotDeclared => "not declared",
        }
    }

    /// Whether the case was run.
    pub fn was_run(self) -> bool {
        matches!(self, Self::Passed | Self::Failed | Self::TimedOut | Self::Leaked)
    }

    /// Whether the provider does not hold its contract.
    pub fn is_bad(self) -> bool {
        self.was_run() && self != Self::Passed
    }
}

/// How many cases came to which end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Counts {
    /// [`Outcome::Passed`].
    pub passed: usize,
    /// [`Outcome::Failed`].
    pub failed: usize,
    /// [`Outcome::TimedOut`].
    pub timed_out: usize,
    /// [`Outcome::Leaked`].
    pub leaked: usize,
    /// [`Outcome::Exempt`].
    pub exempt: usize,
    /// [`Outcome::Blocked`].
    pub blocked: usize,
    /// [`Outcome::NotDeclared`].
    pub not_declared: usize,
}

impl Counts {
    /// Counts one more.
    pub fn add(&mut self, kind: OutcomeKind) {
        *match kind {
            OutcomeKind::Passed => &mut self.passed,
            OutcomeKind::Failed => &mut self.failed,
            OutcomeKind::TimedOut => &mut self.timed_out,
            OutcomeKind::Leaked => &mut self.leaked,
            OutcomeKind::Exempt => &mut self.exempt,
            OutcomeKind::Blocked => &mut self.blocked,
            OutcomeKind::NotDeclared => &mut self.not_declared,
        } += 1;
    }

    /// How many of a kind.
    pub fn of(&self, kind: OutcomeKind) -> usize {
        match kind {
            OutcomeKind::Passed => self.passed,
            OutcomeKind::Failed => self.failed,
            OutcomeKind::TimedOut => self.timed_out,
            OutcomeKind::Leaked => self.leaked,
            OutcomeKind::Exempt => self.exempt,
            OutcomeKind::Blocked => self.blocked,
            OutcomeKind::NotDeclared => self.not_declared,
        }
    }

    /// What they say of the provider.
    pub fn verdict(&self) -> Verdict {
        let sum = |which: fn(OutcomeKind) -> bool| -> usize {
            OutcomeKind::ALL.into_iter().filter(|kind| which(*kind)).map(|kind| self.of(kind)).sum()
        };
        match (sum(OutcomeKind::is_bad), sum(OutcomeKind::was_run)) {
            (1.., _) => Verdict::Failed,
            (0, 0) => Verdict::Unknown,
            (0, _) => Verdict::Passed,
        }
    }
}

impl FromIterator<OutcomeKind> for Counts {
    fn from_iter<I: IntoIterator<Item = OutcomeKind>>(kinds: I) -> Self {
        kinds.into_iter().fold(Self::default(), |mut counts, kind| {
            counts.add(kind);
            counts
        })
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = |kind: OutcomeKind| format!("{} {}", self.of(kind), kind.as_str());
        f.write_str(&OutcomeKind::ALL.map(count).join(", "))
    }
}

/// What a run says of a provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// At least one case was run, and each that was run passed.
    Passed,
    /// A case failed, timed out or leaked.
    Failed,
    /// No case was run: that proves nothing.
    Unknown,
}

impl Verdict {
    /// The exit code of a program that runs the suite: 0, 10 and 11. `docs/conformance.md` lists them.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Passed => 0,
            Self::Failed => 10,
            Self::Unknown => 11,
        }
    }

    /// The verdict in a word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::Unknown => "unknown",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_run_is_unknown_and_one_bad_outcome_fails() {
        let verdict = |kinds: &[OutcomeKind]| kinds.iter().copied().collect::<Counts>().verdict();
        let idle = [OutcomeKind::NotDeclared, OutcomeKind::Blocked, OutcomeKind::Exempt];
        assert_eq!(verdict(&[]), Verdict::Unknown);
        assert_eq!(verdict(&idle), Verdict::Unknown);
        assert_eq!(verdict(&[&idle[..], &[OutcomeKind::Passed]].concat()), Verdict::Passed);
        for bad in [OutcomeKind::Failed, OutcomeKind::TimedOut, OutcomeKind::Leaked] {
            assert_eq!(verdict(&[OutcomeKind::Passed, bad]), Verdict::Failed, "{bad:?}");
        }
    }

    #[test]
    fn the_exit_codes_differ() {
        let codes = [Verdict::Passed, Verdict::Failed, Verdict::Unknown].map(Verdict::exit_code);
        assert_eq!(codes, [0, 10, 11]);
    }

    #[test]
    fn each_kind_is_counted_as_itself() {
        for kind in OutcomeKind::ALL {
            let counts: Counts = [kind, kind].into_iter().collect();
            for other in OutcomeKind::ALL {
                assert_eq!(counts.of(other), if other == kind { 2 } else { 0 }, "{kind:?} counted as {other:?}");
            }
        }
    }
}
