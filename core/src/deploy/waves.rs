//! In which steps instances behind a load balancer are replaced: pure, from how many there are of which kind.
//!
//! A step is chosen from what there is now, not from what was planned before. So a run that died in the middle is continued by
//! the same function, and an undo is the same way with the roles of old and new exchanged.

use super::{EngineError, EngineErrorKind};
use crate::manifest::{Manifest, Strategy};

/// The limits of a rollout, in instances.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rollout {
    /// How many there are to be in the end, at least one.
    pub(super) count: u32,
    pub(super) strategy: Strategy,
    /// How many are replaced at a time, at least one.
    pub(super) batch: u32,
    /// How many there may be above `count`.
    pub(super) surge: u32,
    /// How many in service there may be below `count`. With `surge`, at least one.
    pub(super) unavailable: u32,
    /// How many are launched first, and watched alone.
    pub(super) canary: u32,
}

impl Rollout {
    /// What the manifest allows, for so many instances.
    pub(super) fn of(manifest: &Manifest, count: u32) -> Self {
        let deploy = &manifest.deploy;
        let batch = deploy.batch.of(count).max(1);
        let canary = if deploy.strategy == Strategy::Canary { deploy.canary.max(1) } else { 0 };
        let surge = deploy.max_surge.map_or(batch.max(canary), |surge| surge.of(count));
        let unavailable = deploy.max_unavailable.at_most_of(count).min(count.saturating_sub(1));
        // Where the count was changed since, nothing could be replaced.
        let surge = if unavailable == 0 { surge.max(1) } else { surge };
        Self { count, strategy: deploy.strategy, batch, surge, unavailable, canary }
    }

    /// How many instances there are at most during the rollout, where there are `standing` before it.
    pub(super) fn most(&self, standing: u32, fresh: u32) -> u32 {
        match self.strategy {
            Strategy::All => standing + self.count.saturating_sub(fresh),
            Strategy::Rolling | Strategy::Canary => standing.max(self.count + self.surge),
        }
    }
}

/// What there is behind the load balancer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mixture {
    /// In service, and as they are to be; at most `count`.
    pub(super) fresh: u32,
    /// In service, and to be replaced.
    pub(super) old: u32,
    /// Out of service: to be replaced, and missed by nobody.
    pub(super) sick: u32,
    /// Whether those that are as they are to be have been watched since the last was launched.
    pub(super) watched: bool,
}

impl Mixture {
    fn in_service(&self) -> u32 {
        self.fresh + self.old
    }

    fn total(&self) -> u32 {
        self.in_service() + self.sick
    }
}

/// One step of a rollout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wave {
    /// So many are launched and gated, and are in service afterwards.
    Launch(u32),
    /// Those that were launched are watched through the load balancer.
    Watch,
    /// So many of the old ones are drained and destroyed.
    Retire(u32),
    /// So many of those out of service are destroyed.
    Clear(u32),
}

/// The next step; `None` when all is as it is to be.
pub(super) fn next(rollout: &Rollout, now: &Mixture) -> Option<Wave> {
    let needed = rollout.count.saturating_sub(now.fresh);
    if rollout.strategy == Strategy::All {
        return if needed > 0 {
            Some(Wave::Launch(needed))
        } else if !now.watched {
            Some(Wave::Watch)
        } else if now.old > 0 {
            Some(Wave::Retire(now.old))
        } else {
            (now.sick > 0).then_some(Wave::Clear(now.sick))
        };
    }
    if now.fresh > 0 && !now.watched {
        return Some(Wave::Watch);
    }
    let batch = if now.fresh < rollout.canary { rollout.canary - now.fresh } else { rollout.batch };
    let spare = now.in_service().saturating_sub(rollout.count).min(now.old).min(rollout.batch);
    // New ones have proven themselves: as many old ones are not needed any more.
    if spare > 0 && now.fresh >= rollout.canary.max(1).min(rollout.count) {
        return Some(Wave::Retire(spare));
    }
    let room = (rollout.count + rollout.surge).saturating_sub(now.total());
    if needed > 0 && room > 0 {
        return Some(Wave::Launch(needed.min(batch).min(room)));
    }
    if now.sick > 0 {
        return Some(Wave::Clear(now.sick));
    }
    let low = rollout.count - rollout.unavailable;
    let dispensable = now.in_service().saturating_sub(low).min(now.old).min(rollout.batch);
    (dispensable > 0).then_some(Wave::Retire(dispensable))
}

/// The whole way from what there is, where every step succeeds.
///
/// # Errors
///
/// An internal error where it would not end: the limits allow no step.
pub(super) fn plan(rollout: &Rollout, from: Mixture) -> Result<Vec<Wave>, EngineError> {
    let mut now = from;
    let mut waves = Vec::new();
    while let Some(wave) = next(rollout, &now) {
        now = now.after(wave);
        waves.push(wave);
        if waves.len() > 4 * (from.total() + rollout.count) as usize + 8 {
            return Err(EngineError::new(EngineErrorKind::Manifest, "the limits of `[deploy]` allow no rollout"));
        }
    }
    Ok(waves)
}

impl Mixture {
    /// What there is after a step that succeeded.
    pub(super) fn after(self, wave: Wave) -> Self {
        match wave {
            Wave::Launch(many) => Self { fresh: self.fresh + many, watched: false, ..self },
            Wave::Watch => Self { watched: true, ..self },
            Wave::Retire(many) => Self { old: self.old - many, ..self },
            Wave::Clear(many) => Self { sick: self.sick - many, ..self },
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::{prelude::*, strategy::Strategy as _};

    use super::*;
    use crate::manifest::Strategy;

    fn rollout() -> impl proptest::strategy::Strategy<Value = Rollout> {
        let strategy = prop_oneof![Just(Strategy::All), Just(Strategy::Rolling), Just(Strategy::Canary)];
        (1..12u32, strategy, 1..6u32, 0..6u32, 0..6u32, 1..6u32).prop_filter_map(
            "some step must be allowed",
            |(count, strategy, batch, surge, unavailable, canary)| {
                let canary = if strategy == Strategy::Canary { canary } else { 0 };
                let rollout = Rollout { count, strategy, batch, surge, unavailable, canary };
                (unavailable < count && surge + unavailable > 0 && surge >= canary && canary < count.max(2))
                    .then_some(rollout)
            },
        )
    }

    prop_compose! {
        fn mixed()(rollout in rollout(), fresh in 0..12u32, old in 0..12u32, sick in 0..4u32, watched in any::<bool>())
            -> (Rollout, Mixture) {
            (rollout, Mixture { fresh: fresh.min(rollout.count), old, sick, watched })
        }
    }

    fn steps(rollout: &Rollout, from: Mixture) -> Vec<(Mixture, Wave)> {
        let mut now = from;
        let waves = plan(rollout, from).unwrap();
        let step = |wave| {
            let before = now;
            now = now.after(wave);
            (before, wave)
        };
        waves.into_iter().map(step).collect()
    }

    fn end(rollout: &Rollout, from: Mixture) -> Mixture {
        plan(rollout, from).unwrap().into_iter().fold(from, Mixture::after)
    }

    proptest! {
        #[test]
        fn from_any_mixture_all_are_as_they_are_to_be((rollout, from) in mixed()) {
            let end = end(&rollout, from);
            prop_assert_eq!((end.fresh, end.old, end.sick), (rollout.count, 0, 0));
            // Whatever was launched was watched.
            prop_assert!(end.watched || plan(&rollout, from).unwrap().is_empty());
        }

        #[test]
        fn there_are_never_fewer_in_service_than_promised((rollout, from) in mixed()) {
            let low = match rollout.strategy {
                Strategy::All => rollout.count,
                _ => rollout.count - rollout.unavailable,
            };
            for (before, wave) in steps(&rollout, from) {
                let after = before.after(wave);
                prop_assert!(after.in_service() >= low.min(from.in_service()), "{:?} after {:?} of {:?}", after, wave, rollout);
            }
        }

        #[test]
        fn there_are_never_more_than_allowed((rollout, from) in mixed()) {
            let most = rollout.most(from.total(), from.fresh);
            for (before, wave) in steps(&rollout, from) {
                prop_assert!(before.after(wave).total() <= most, "{:?} of {:?} from {:?}", wave, rollout, from);
            }
        }

        #[test]
        fn no_old_one_goes_for_new_ones_that_nobody_has_watched((rollout, from) in mixed()) {
            for (before, wave) in steps(&rollout, from) {
                if let Wave::Retire(many) = wave {
                    prop_assert!(many > 0 && many <= before.old);
                    prop_assert!(before.fresh == 0 || before.watched, "{:?} at {:?}", wave, before);
                }
            }
        }

        #[test]
        fn canaries_are_watched_while_all_old_ones_serve(
            (rollout, old) in (rollout(), 0..12u32)
        ) {
            let old = old.min(rollout.count);
            let from = Mixture { fresh: 0, old, sick: 0, watched: true };
            let all = steps(&rollout, from);
            if rollout.strategy == Strategy::Canary && rollout.count > rollout.canary {
                prop_assert_eq!(all[0].1, Wave::Launch(rollout.canary));
                prop_assert_eq!(all[1].1, Wave::Watch);
            }
            // A batch is not larger than asked for.
            for (before, wave) in all {
                let batch = if before.fresh < rollout.canary { rollout.canary } else { rollout.batch };
                if let (Wave::Launch(many) | Wave::Retire(many), true) = (wave, rollout.strategy != Strategy::All) {
                    prop_assert!(many <= batch.max(rollout.batch), "{:?} at {:?}", wave, before);
                }
            }
        }

        #[test]
        fn undoing_after_any_step_leads_back((rollout, from) in mixed(), stop in 0..60usize) {
            let before = steps(&rollout, from).into_iter().map(|(now, _)| now).nth(stop).unwrap_or(from);
            // What was new is old now; what is left of the old ones is as it is to be.
            let count = from.in_service().max(1);
            let back = Rollout { count, ..rollout };
            let allowed = rollout.unavailable < count && rollout.canary < count.max(2);
            prop_assume!(allowed);
            let turned = Mixture { fresh: before.old.min(count), old: before.fresh, sick: before.sick, watched: true };
            let end = end(&back, turned);
            prop_assert_eq!((end.fresh, end.old, end.sick), (count, 0, 0));
        }
    }

    #[test]
    fn three_are_replaced_one_by_one() {
        let rollout = Rollout { count: 3, strategy: Strategy::Rolling, batch: 1, surge: 1, unavailable: 0, canary: 0 };
        let one = [Wave::Launch(1), Wave::Watch, Wave::Retire(1)];
        let from = Mixture { fresh: 0, old: 3, sick: 0, watched: true };
        assert_eq!(plan(&rollout, from).unwrap(), [one, one, one].concat());
        let without_surge = Rollout { surge: 0, unavailable: 1, ..rollout };
        let one = [Wave::Retire(1), Wave::Launch(1), Wave::Watch];
        assert_eq!(plan(&without_surge, from).unwrap(), [one, one, one].concat());
        let all = Rollout { strategy: Strategy::All, ..rollout };
        assert_eq!(plan(&all, from).unwrap(), [Wave::Launch(3), Wave::Watch, Wave::Retire(3)]);
    }

    #[test]
    fn another_count_alone_replaces_nothing() {
        let rollout = Rollout { count: 4, strategy: Strategy::Rolling, batch: 1, surge: 1, unavailable: 0, canary: 0 };
        let from = Mixture { fresh: 3, old: 0, sick: 0, watched: true };
        assert_eq!(plan(&rollout, from).unwrap(), [Wave::Launch(1), Wave::Watch]);
        let fewer = Rollout { count: 2, ..rollout };
        let from = Mixture { fresh: 2, old: 2, sick: 0, watched: true };
        assert_eq!(plan(&fewer, from).unwrap(), [Wave::Retire(1), Wave::Retire(1)]);
    }
}
