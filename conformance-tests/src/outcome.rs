//! What came of a case.

use std::fmt;

use remint_core::provider::Capability;

use crate::Setting;

/// What came of a case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The provider does as it says.
    Passed,
    /// It does not.
    Failed(String),
    /// The provider does not declare what the case needs. Not run; [`crate::cases::PROBES`] hold it to that.
    NotDeclared(Capability),
    /// The target does not bring what the case needs. Not run.
    Blocked(Setting),
    /// The time was up; the text says what was waited for.
    TimedOut(String),
    /// It passed, and something that it made is still there, or was there and was not accounted for.
    Leaked(String),
}

impl Outcome {
    /// Whether the case was run.
    pub fn was_run(&self) -> bool {
        !matches!(self, Self::NotDeclared(_) | Self::Blocked(_))
    }

    /// Whether nothing is wrong: passed, or not run.
    pub fn is_well(&self) -> bool {
        *self == Self::Passed || !self.was_run()
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Passed => f.write_str("passed"),
            Self::Failed(why) => write!(f, "failed: {why}"),
            Self::NotDeclared(capability) => write!(f, "not declared: {capability}"),
            Self::Blocked(setting) => write!(f, "blocked: the target brings no {}", setting.as_str()),
            Self::TimedOut(what) => write!(f, "timed out waiting for {what}"),
            Self::Leaked(what) => write!(f, "leaked: {what}"),
        }
    }
}
