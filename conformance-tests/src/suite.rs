//! Which cases a provider is held to.

use remint_core::provider::Descriptor;

use crate::{Case, Outcome, Runner, Settings, cases};

/// What is to be done about a case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Plan {
    /// Run it.
    Run,
    /// Report this instead: [`Outcome::NotDeclared`] or [`Outcome::Blocked`].
    Report(Outcome),
}

/// A case and what is to be done about it.
#[derive(Debug, Clone)]
pub struct Planned {
    /// The case.
    pub case: Case,
    /// What is to be done.
    pub plan: Plan,
}

/// The cases for one provider.
#[derive(Debug, Clone)]
pub struct Suite {
    /// All of them, in the order of the tables, and after them the probes of what is not declared.
    pub cases: Vec<Planned>,
}

impl Suite {
    /// The cases for a provider, and a target that brings these settings.
    pub fn of(descriptor: &Descriptor, settings: Settings) -> Self {
        let plan = |case: &Case| {
            if let Some(missing) = case.needs.iter().find(|needed| !descriptor.has(**needed)) {
                return Plan::Report(Outcome::NotDeclared(*missing));
            }
            match case.settings.iter().find(|needed| !settings.contains(needed)) {
                Some(missing) => Plan::Report(Outcome::Blocked(*missing)),
                None => Plan::Run,
            }
        };
        let declared = cases::all().map(|case| Planned { case: *case, plan: plan(case) });
        let undeclared = cases::PROBES.iter().filter(|(capability, _)| !descriptor.has(*capability));
        let probes = undeclared.map(|(_, case)| Planned { case: *case, plan: plan(case) });
        Self { cases: declared.chain(probes).collect() }
    }

    /// The case of an id.
    pub fn find(&self, id: &str) -> Option<&Planned> {
        self.cases.iter().find(|planned| planned.case.id == id)
    }

    /// Runs what is to be run, one after the other, and reports the rest.
    pub async fn run(&self, runner: &Runner) -> Vec<(Case, Outcome)> {
        let mut outcomes = Vec::with_capacity(self.cases.len());
        for Planned { case, plan } in &self.cases {
            let outcome = match plan {
                Plan::Run => runner.run(case).await,
                Plan::Report(outcome) => outcome.clone(),
            };
            outcomes.push((*case, outcome));
        }
        outcomes
    }
}
