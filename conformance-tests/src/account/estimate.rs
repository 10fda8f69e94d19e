//! What a run may cost.

use std::fmt;

use crate::{Block, Case, Cost, Decision, Outcome, Suite};

/// What a run may cost, at most: each instance that a case launches is counted as a whole hour of the target's size.
///
/// Images, static IPs, load balancers and records that exist for minutes cost cents of cents and are not counted. A budget in euros is
/// compared with prices in US dollars, one for one: that is on the safe side for as long as a euro buys a dollar.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// Cases that launch instances.
    pub billable_cases: usize,
    /// The instances that they launch.
    pub machines: u32,
    /// The price of one for an hour, in US dollars, where the cloud tells.
    pub hourly_usd: Option<f64>,
}

impl Estimate {
    /// Of the cases that are to be run.
    pub(super) fn of(suite: &Suite, hourly_usd: Option<f64>) -> Self {
        let billable = || suite.to_run().filter(|case| case.cost == Cost::Billable);
        let machines = billable().map(|case| case.machines).sum();
        Self { billable_cases: billable().count(), machines, hourly_usd }
    }

    /// Whether nothing that costs money is to be made.
    pub fn is_free(&self) -> bool {
        self.billable_cases == 0
    }

    /// What it may cost, in US dollars, where the cloud tells prices.
    pub fn usd(&self) -> Option<f64> {
        self.hourly_usd.map(|hourly| hourly * f64::from(self.machines))
    }
}

impl fmt::Display for Estimate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { billable_cases, machines, .. } = self;
        write!(f, "{billable_cases} cases launch {machines} instances, one after the other")?;
        match self.usd() {
            Some(usd) => write!(f, "; at most {usd:.2} USD, each counted as a whole hour"),
            None => f.write_str("; the cloud does not tell what they cost"),
        }
    }
}

/// Blocks, in the order of the suite, the cases that no longer fit the budget. Where the price is not known, all that
/// cost money.
pub(super) fn keep_within(suite: &mut Suite, budget: f64, hourly_usd: Option<f64>) {
    let mut left = micros(budget);
    for decided in &mut suite.cases {
        if decided.decision != Decision::Run || decided.case.cost != Cost::Billable {
            continue;
        }
        match hourly_usd.map(|hourly| price(&decided.case, hourly)) {
            Some(price) if price <= left => left -= price,
            _ => decided.decision = Decision::Report(Outcome::Blocked(Block::OverBudget)),
        }
    }
}

/// In millionths, as [`micros`].
fn price(case: &Case, hourly_usd: f64) -> f64 {
    micros(hourly_usd) * f64::from(case.machines)
}

/// Whole millionths, so that sums of prices are exact: a budget of six times a price pays for six.
fn micros(money: f64) -> f64 {
    (money * 1e6).round()
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;
    use crate::Decided;

    fn suite() -> Suite {
        let case = |id| Case::new(id, "", |_| async { Ok(()) }.boxed());
        let cases =
            [case("a.one"), case("a.three").machines(3), case("a.free").costs(Cost::Free), case("a.two").machines(2)];
        Suite { cases: cases.into_iter().map(|case| Decided { case, decision: Decision::Run }).collect() }
    }

    fn within(budget: f64, hourly: Option<f64>) -> Vec<&'static str> {
        let mut suite = suite();
        keep_within(&mut suite, budget, hourly);
        suite.to_run().map(|case| case.id).collect()
    }

    #[test]
    fn a_budget_is_spent_in_order_and_what_is_free_always_runs() {
        assert_eq!(within(0.6, Some(0.1)), ["a.one", "a.three", "a.free", "a.two"]);
        assert_eq!(within(0.35, Some(0.1)), ["a.one", "a.free", "a.two"], "what does not fit is passed over");
        assert_eq!(within(0.0, Some(0.1)), ["a.free"]);
        assert_eq!(within(100.0, None), ["a.free"], "a price that is not known fits no budget");
    }

    #[test]
    fn the_estimate_counts_whole_hours() {
        let estimate = Estimate::of(&suite(), Some(0.5));
        assert_eq!((estimate.billable_cases, estimate.machines, estimate.usd()), (3, 6, Some(3.0)));
        assert!(estimate.to_string().contains("at most 3.00 USD"), "{estimate}");
    }
}
