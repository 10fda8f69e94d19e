//! What of a failing world can be left out, and the same rule is still broken.

use std::{collections::BTreeSet, sync::Arc};

use super::driver::{Outcome, Plan};

/// A broken rule without the numbers and addresses of its run.
pub(super) fn kind(why: &str) -> String {
    let digits =
        |word: &str| if word.contains(|c: char| c.is_ascii_digit()) { "…".to_owned() } else { word.to_owned() };
    why.split(' ').map(digits).collect::<Vec<_>>().join(" ")
}

/// Leaves out as many steps and faults as it can, the larger part at once first. `run` runs a plan.
pub(super) fn minimize(plan: &Plan, run: impl Fn(&Plan) -> Outcome) -> (Plan, Outcome) {
    let mut plan = Plan { traced: true, ..plan.clone() };
    let mut outcome = run(&plan);
    let Some(wanted) = outcome.failure.as_deref().map(kind) else { return (plan, outcome) };
    let mut size = outcome.sites.len().div_ceil(2);
    while size > 0 {
        let mut smaller = false;
        let mut at = 0;
        while at < outcome.sites.len() {
            // From the end: what comes last has the least to do with what comes before.
            let end = outcome.sites.len() - at;
            let part = &outcome.sites[end.saturating_sub(size)..end];
            let skip: BTreeSet<String> = plan.skip.iter().chain(part).cloned().collect();
            let without = Plan { skip: Arc::new(skip), ..plan.clone() };
            let tried = run(&without);
            if tried.failure.as_deref().map(kind).as_ref() == Some(&wanted) {
                (plan, outcome, smaller) = (without, tried, true);
            } else {
                at += size;
            }
        }
        // One at a time until nothing more can go.
        if size > 1 || !smaller {
            size /= 2;
        }
    }
    (plan, outcome)
}

/// What runs a plan again.
pub(super) fn command(plan: &Plan) -> String {
    let skip: Vec<_> = plan.skip.iter().map(String::as_str).collect();
    match skip.is_empty() {
        true => format!("make sim SEED={}", plan.seed),
        false => format!("make sim SEED={} SKIP={}", plan.seed, skip.join(",")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A world that fails whenever `3` and `p5:launch:1` happen.
    fn planted(plan: &Plan) -> Outcome {
        let all = ["1", "2", "3", "4", "5", "p3:assign:1", "p5:launch:1", "p5:put:2", "6"];
        let sites: Vec<_> = all.into_iter().filter(|site| !plan.skip.contains(*site)).map(str::to_owned).collect();
        let happens = |site: &str| sites.iter().any(|other| other == site);
        let failure = (happens("3") && happens("p5:launch:1")).then(|| format!("i-{} is left", sites.len()));
        Outcome { counts: Default::default(), coverage: Default::default(), failure, trace: String::new(), sites }
    }

    #[test]
    fn only_what_the_failure_needs_is_kept() {
        let (plan, outcome) = minimize(&Plan { seed: 7, ..Plan::default() }, planted);
        assert_eq!(outcome.sites, ["3", "p5:launch:1"]);
        assert_eq!(command(&plan), "make sim SEED=7 SKIP=1,2,4,5,6,p3:assign:1,p5:put:2");
        // The command gives the same again.
        let (again, _) = minimize(&plan, planted);
        assert_eq!(again.skip, plan.skip);
        assert_eq!(command(&Plan { seed: 8, ..Plan::default() }), "make sim SEED=8");
    }
}
