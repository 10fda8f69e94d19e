//! What of a failing world can be left out, and the same rule is still broken.

use std::{collections::BTreeSet, sync::Arc};

use super::driver::{Report, Scenario};

/// A broken rule without the numbers and addresses of its run.
pub(super) fn kind(why: &str) -> String {
    let digits =
        |word: &str| if word.contains(|c: char| c.is_ascii_digit()) { "…".to_owned() } else { word.to_owned() };
    why.split(' ').map(digits).collect::<Vec<_>>().join(" ")
}

/// Leaves out as many steps and faults as it can, the larger part at once first. `run` runs a scenario.
pub(super) fn minimize(scenario: &Scenario, run: impl Fn(&Scenario) -> Report) -> (Scenario, Report) {
    let mut scenario = Scenario { traced: true, ..scenario.clone() };
    let mut report = run(&scenario);
    let Some(wanted) = report.failure.as_deref().map(kind) else { return (scenario, report) };
    let mut size = report.sites.len().div_ceil(2);
    while size > 0 {
        let mut smaller = false;
        let mut at = 0;
        while at < report.sites.len() {
            // From the end: what comes last has the least to do with what comes before.
            let end = report.sites.len() - at;
            let part = &report.sites[end.saturating_sub(size)..end];
            let skip: BTreeSet<String> = scenario.skip.iter().chain(part).cloned().collect();
            let without = Scenario { skip: Arc::new(skip), ..scenario.clone() };
            let tried = run(&without);
            if tried.failure.as_deref().map(kind).as_ref() == Some(&wanted) {
                (scenario, report, smaller) = (without, tried, true);
            } else {
                at += size;
            }
        }
        // One at a time until nothing more can go.
        if size > 1 || !smaller {
            size /= 2;
        }
    }
    (scenario, report)
}

/// What runs a scenario again.
pub(super) fn command(scenario: &Scenario) -> String {
    let skip: Vec<_> = scenario.skip.iter().map(String::as_str).collect();
    match skip.is_empty() {
        true => format!("make sim SEED={}", scenario.seed),
        false => format!("make sim SEED={} SKIP={}", scenario.seed, skip.join(",")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A world that fails whenever `3` and `p5:launch:1` happen.
    fn planted(scenario: &Scenario) -> Report {
        let all = ["1", "2", "3", "4", "5", "p3:assign:1", "p5:launch:1", "p5:put:2", "6"];
        let sites: Vec<_> = all.into_iter().filter(|site| !scenario.skip.contains(*site)).map(str::to_owned).collect();
        let happens = |site: &str| sites.iter().any(|other| other == site);
        let failure = (happens("3") && happens("p5:launch:1")).then(|| format!("i-{} is left", sites.len()));
        Report { counts: Default::default(), coverage: Default::default(), failure, trace: String::new(), sites }
    }

    #[test]
    fn only_what_the_failure_needs_is_kept() {
        let (scenario, report) = minimize(&Scenario { seed: 7, ..Scenario::default() }, planted);
        assert_eq!(report.sites, ["3", "p5:launch:1"]);
        assert_eq!(command(&scenario), "make sim SEED=7 SKIP=1,2,4,5,6,p3:assign:1,p5:put:2");
        // The command gives the same again.
        let (again, _) = minimize(&scenario, planted);
        assert_eq!(again.skip, scenario.skip);
        assert_eq!(command(&Scenario { seed: 8, ..Scenario::default() }), "make sim SEED=8");
    }
}
