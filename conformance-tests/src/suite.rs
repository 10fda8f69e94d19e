//! Which cases a provider is held to.

use std::time::{Duration, Instant};

use globset::{Glob, GlobSetBuilder};
use jiff::civil::Date;
use remint_core::provider::Descriptor;

use crate::{Block, Case, Exemption, Outcome, Runner, Setting, cases};

/// What is decided about a case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Run it, and report what comes of it.
    Run,
    /// Report this instead: it is not declared, blocked, exempt, or an exemption of it has expired.
    Report(Outcome),
}

/// A case and what is decided about it.
#[derive(Debug, Clone)]
pub struct Decided {
    /// The case that the entry is about.
    pub case: Case,
    /// Whether it is run, or else what is reported of it.
    pub decision: Decision,
}

/// A case and what came of it.
#[derive(Debug, Clone)]
pub struct Ended {
    /// The case that the entry is about.
    pub case: Case,
    /// Whether it passed; for what was not run, why not.
    pub outcome: Outcome,
    /// How long that took, cleaning up included; nothing for what was not run.
    pub took: Duration,
}

/// A selection or an exemption that says nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SuiteError {
    /// No case has this id.
    #[error("an exemption names `{0}`, and no case of this provider has that id")]
    UnknownCase(String),
    /// The text is no pattern; holds the text and what is wrong with it.
    #[error("`{0}` is no pattern of case ids: {1}")]
    Pattern(String, String),
    /// The pattern matches the id of no case; holds the pattern.
    #[error("`{0}` selects no case of this provider")]
    SelectsNothing(String),
}

/// The cases for one provider.
#[derive(Debug, Clone)]
pub struct Suite {
    /// All of them, in the order of the tables, and after them the probes of what is not declared.
    pub cases: Vec<Decided>,
}

impl Suite {
    /// The cases for a provider, and a target that brings these settings.
    pub fn of(descriptor: &Descriptor, settings: &[Setting]) -> Self {
        let decide = |case: &Case| {
            if let Some(missing) = case.needs.iter().find(|needed| !descriptor.has(**needed)) {
                return Decision::Report(Outcome::NotDeclared(*missing));
            }
            match case.settings.iter().find(|needed| !settings.contains(needed)) {
                Some(missing) => Decision::Report(Outcome::Blocked(Block::Missing(*missing))),
                None => Decision::Run,
            }
        };
        let declared = cases::all().map(|case| Decided { case: *case, decision: decide(case) });
        let undeclared = cases::PROBES.iter().filter(|(capability, _)| !descriptor.has(*capability));
        let probes = undeclared.map(|(_, case)| Decided { case: *case, decision: decide(case) });
        Self { cases: declared.chain(probes).collect() }
    }

    /// Excuses cases until a day. One whose day has passed fails.
    ///
    /// # Errors
    ///
    /// [`SuiteError::UnknownCase`]: an exemption outlived its case.
    pub fn exempting(mut self, exemptions: &[Exemption], today: Date) -> Result<Self, SuiteError> {
        for exemption in exemptions {
            let decided = self.cases.iter_mut().find(|decided| decided.case.id == exemption.case);
            let decided = decided.ok_or_else(|| SuiteError::UnknownCase(exemption.case.clone()))?;
            if decided.decision == Decision::Run {
                decided.decision = Decision::Report(if exemption.has_expired(today) {
                    Outcome::Failed(format!("its exemption has expired: {exemption}"))
                } else {
                    Outcome::Exempt(exemption.clone())
                });
            }
        }
        Ok(self)
    }

    /// Keeps the cases whose id matches one of the patterns: `dns.*`, `*.launch`, `static_ips` for a whole concern. No
    /// pattern keeps all.
    ///
    /// # Errors
    ///
    /// A pattern that is malformed or selects nothing.
    pub fn only(mut self, patterns: &[String]) -> Result<Self, SuiteError> {
        if patterns.is_empty() {
            return Ok(self);
        }
        let mut set = GlobSetBuilder::new();
        for pattern in patterns {
            let bad = |error: globset::Error| SuiteError::Pattern(pattern.clone(), error.kind().to_string());
            let globs = [Glob::new(pattern).map_err(bad)?, Glob::new(&format!("{pattern}.*")).map_err(bad)?];
            let matchers = globs.each_ref().map(Glob::compile_matcher);
            if !self.cases.iter().any(|decided| matchers.iter().any(|glob| glob.is_match(decided.case.id))) {
                return Err(SuiteError::SelectsNothing(pattern.clone()));
            }
            for glob in globs {
                set.add(glob);
            }
        }
        let set = set.build().map_err(|error| SuiteError::Pattern(patterns.join(" "), error.kind().to_string()))?;
        self.cases.retain(|decided| set.is_match(decided.case.id));
        Ok(self)
    }

    /// The case of an id.
    pub fn find(&self, id: &str) -> Option<&Decided> {
        self.cases.iter().find(|decided| decided.case.id == id)
    }

    /// The cases that are to be run.
    pub fn to_run(&self) -> impl Iterator<Item = &Case> {
        self.cases.iter().filter(|decided| decided.decision == Decision::Run).map(|decided| &decided.case)
    }

    /// Runs what is to be run, one after the other, and reports the rest. `on_start` hears of each case that is run.
    pub async fn run(&self, runner: &Runner, on: &mut (dyn FnMut(Progress<'_>) + Send)) -> Vec<Ended> {
        let mut all = Vec::with_capacity(self.cases.len());
        for Decided { case, decision } in &self.cases {
            let ended = match decision {
                Decision::Run if runner.is_cancelled() => {
                    Ended { case: *case, outcome: Outcome::Blocked(Block::Interrupted), took: Duration::ZERO }
                }
                Decision::Run => {
                    on(Progress::Starts(case));
                    let started = Instant::now();
                    Ended { case: *case, outcome: runner.run(case).await, took: started.elapsed() }
                }
                Decision::Report(outcome) => Ended { case: *case, outcome: outcome.clone(), took: Duration::ZERO },
            };
            on(Progress::Ends(&ended));
            all.push(ended);
        }
        all
    }
}

/// How far a run is.
#[derive(Debug, Clone, Copy)]
pub enum Progress<'a> {
    /// A case is run.
    Starts(&'a Case),
    /// This came of a case, whether it was run or not.
    Ends(&'a Ended),
}

#[cfg(test)]
mod tests {
    use remint_core::provider::{Capability, Guest, Limits};

    use super::*;

    const LIMITS: Limits = Limits {
        user_data_bytes: 65536,
        launch_batch: 1,
        dns_min_ttl: Duration::from_secs(30),
        name_length: 63,
        launch_time: Duration::ZERO,
        capture_time: Duration::ZERO,
        assign_time: Duration::ZERO,
        balancer_time: Duration::ZERO,
        destroy_time: Duration::ZERO,
        settle_time: Duration::ZERO,
    };

    fn suite(capabilities: &'static [Capability]) -> Suite {
        Suite::of(&Descriptor { id: "x", title: "X", capabilities, limits: LIMITS, guest: Guest::CLOUD_INIT }, &[])
    }

    fn exemption(case: &str, until: &str) -> Exemption {
        let (reason, link) = ("broken".to_owned(), "https://example.org/1".to_owned());
        Exemption { case: case.to_owned(), reason, link, until: until.parse().unwrap() }
    }

    #[test]
    fn what_is_not_declared_is_probed_and_what_is_not_brought_is_blocked() {
        let none = suite(&[]);
        let outcome = |suite: &Suite, id: &str| suite.find(id).map(|decided| decided.decision.clone());
        assert_eq!(outcome(&none, "dns.zone"), Some(Decision::Report(Outcome::NotDeclared(Capability::Dns))));
        assert_eq!(outcome(&none, "undeclared.instance.relabel"), Some(Decision::Run));
        let dns = suite(&[Capability::Dns, Capability::InstanceRelabel]);
        let blocked = Outcome::Blocked(Block::Missing(Setting::Zone));
        assert_eq!(outcome(&dns, "dns.zone"), Some(Decision::Report(blocked)));
        assert_eq!(outcome(&dns, "undeclared.instance.relabel"), None);
    }

    #[test]
    fn an_exemption_excuses_until_its_last_day() {
        let decided = |today: &str| {
            let exemptions = [exemption("instances.launch", "2026-11-25")];
            let suite = suite(&[]).exempting(&exemptions, today.parse().unwrap()).unwrap();
            suite.find("instances.launch").unwrap().decision.clone()
        };
        assert!(matches!(decided("2026-11-25"), Decision::Report(Outcome::Exempt(_))));
        let Decision::Report(Outcome::Failed(why)) = decided("2026-11-26") else { panic!("an expired one must fail") };
        assert!(why.contains("expired") && why.contains("https://example.org/1"), "{why}");
        let unknown = suite(&[]).exempting(&[exemption("no.such", "2026-11-25")], "2026-11-25".parse().unwrap());
        assert_eq!(unknown.unwrap_err(), SuiteError::UnknownCase("no.such".to_owned()));
    }

    #[test]
    fn patterns_select_cases_and_whole_concerns() {
        let only = |patterns: &[&str]| {
            let patterns: Vec<String> = patterns.iter().map(|pattern| (*pattern).to_owned()).collect();
            suite(&[])
                .only(&patterns)
                .map(|suite| suite.cases.iter().map(|decided| decided.case.id).collect::<Vec<_>>())
        };
        assert_eq!(only(&["instances.launch"]).unwrap(), ["instances.launch"]);
        let power = only(&["power"]).unwrap();
        assert!(power.len() >= 4 && power.iter().all(|id| id.starts_with("power.")), "{power:?}");
        assert!(only(&["*.launch"]).unwrap().contains(&"idempotency.launch"));
        assert_eq!(only(&["power", "nothing.*"]).unwrap_err(), SuiteError::SelectsNothing("nothing.*".to_owned()));
        assert!(matches!(only(&["[a"]).unwrap_err(), SuiteError::Pattern(..)));
    }
}
