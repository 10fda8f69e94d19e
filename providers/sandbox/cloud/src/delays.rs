//! How long things take: the delays of each profile, which work takes which of them, and what an account waits for.
//!
//! A delay is a pure function of (seed, kind, ordinal), where the ordinal counts the operations of that kind since the
//! sandbox was made. So the delays of two runs agree although their requests interleave differently, which a generator
//! shared between the kinds would not give. The mixing function is SplitMix64, written out here: a dependency's generator
//! may change its sequence from one version to the next.

use std::{fmt, str::FromStr, time::Duration};

use serde::{Deserialize, Serialize};

use super::{
    Api,
    state::{DelayKind, Work},
};

/// The part of a creation after which the instance shows its addresses.
pub(super) const NETWORKED_AFTER: f64 = 0.4;

/// How long a guest may take to shut down, as clouds give it before they cut the power.
pub(super) const PATIENCE: Duration = Duration::from_secs(120);

/// How often is looked whether it has.
pub(super) const LOOK: Duration = Duration::from_millis(20);

/// The shortest time between two checks of a load balancer's member.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(50);

/// The shortest time that such a check waits for an answer.
const SHORTEST_TIMEOUT: Duration = Duration::from_secs(1);

/// The time between two measurements of a load balancer, as DigitalOcean's metrics have them.
const MEASURED_EVERY: Duration = Duration::from_secs(120);

/// A named set of delays.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Profile {
    /// Nothing takes time, beyond what the machines need themselves.
    #[default]
    Instant,
    /// What DigitalOcean takes on an ordinary day.
    Realistic,
}

impl Profile {
    /// All of them, the default first.
    pub const ALL: [Self; 2] = [Self::Instant, Self::Realistic];

    /// The name, as on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Instant => "instant",
            Self::Realistic => "realistic",
        }
    }

    /// The shortest and longest delay of a kind of work, in seconds.
    pub fn range(self, kind: DelayKind) -> (f64, f64) {
        match self {
            Self::Instant => (0.0, 0.0),
            Self::Realistic => match kind {
                DelayKind::Create => (20.0, 40.0),
                DelayKind::Boot => (15.0, 30.0),
                DelayKind::Destroy => (5.0, 10.0),
                DelayKind::Shutdown => (5.0, 15.0),
                DelayKind::Power => (2.0, 6.0),
                DelayKind::Rename => (1.0, 3.0),
                DelayKind::Snapshot => (60.0, 180.0),
                DelayKind::Rebuild => (30.0, 60.0),
                DelayKind::Resize => (30.0, 90.0),
                DelayKind::StaticIp => (5.0, 15.0),
                DelayKind::Transfer => (120.0, 300.0),
                DelayKind::Dns => (10.0, 40.0),
                DelayKind::LoadBalancer => (60.0, 180.0),
                DelayKind::BalancerChange => (2.0, 10.0),
                DelayKind::Measure => (60.0, 120.0),
                DelayKind::Join => (90.0, 150.0),
                DelayKind::Leave => (60.0, 120.0),
                DelayKind::Network => (10.0, 40.0),
            },
        }
    }

    /// How often is looked whether a guest has switched itself off.
    pub(super) fn watch(self, speed: f64) -> Duration {
        match self {
            Self::Instant => Duration::from_millis(50),
            Self::Realistic => Duration::from_secs_f64((1.0 / speed.max(0.1)).clamp(0.02, 1.0)),
        }
    }

    /// The time between two checks of a load balancer's member. An instant sandbox checks a hundred times as often, because
    /// its clients wait for what the checks find.
    pub(super) fn check_interval(self, interval: Duration, speed: f64) -> Duration {
        let faster = match self {
            Self::Instant => 100.0,
            Self::Realistic => 1.0,
        };
        interval.div_f64(faster * speed.max(0.1)).max(SHORTEST_INTERVAL)
    }

    /// The time between two measurements of a load balancer; none when each look is one.
    pub fn measures_every(self, speed: f64) -> Duration {
        match self {
            Self::Instant => Duration::ZERO,
            Self::Realistic => MEASURED_EVERY.div_f64(speed.max(0.1)),
        }
    }

    /// How long such a check waits for an answer. What answers is as slow as it is, so this never gets short.
    pub(super) fn check_timeout(self, timeout: Duration, speed: f64) -> Duration {
        timeout.div_f64(speed.max(0.1)).max(SHORTEST_TIMEOUT)
    }

    /// How long a member that leaves a load balancer may keep its connections. What they carry takes the time that it takes, so
    /// this never gets short.
    pub(super) fn drain(self, drain: Duration, speed: f64) -> Duration {
        drain.div_f64(speed.max(0.1)).max(SHORTEST_TIMEOUT.min(drain))
    }

    /// The delay of the `ordinal`th piece of work of a kind.
    pub fn draw(self, seed: u64, kind: DelayKind, ordinal: u64, speed: f64) -> Duration {
        let (low, high) = self.range(kind);
        let mixed = splitmix(splitmix(seed ^ ((kind as u64) << 32)).wrapping_add(ordinal));
        // The upper 53 bits are what an f64 holds exactly.
        let unit = (mixed >> 11) as f64 / (1_u64 << 53) as f64;
        let seconds = (low + (high - low) * unit) / if speed > 0.0 { speed } else { 1.0 };
        Duration::try_from_secs_f64(seconds).unwrap_or_default()
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Profile {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|profile| profile.name() == text)
            .ok_or_else(|| format!("unknown profile {text:?}: use one of instant, realistic"))
    }
}

impl Work {
    /// Which delay it takes on an account of this API. Google is done with a load balancer before its network is.
    pub(super) fn delay(&self, api: Api) -> DelayKind {
        match self {
            Self::CreateBalancer { .. } | Self::ChangeBalancer { .. } if api == Api::Gce => DelayKind::Network,
            Self::Create { .. } => DelayKind::Create,
            Self::Destroy { .. } | Self::Keep { .. } => DelayKind::Destroy,
            Self::Shutdown { .. } | Self::Halt { .. } => DelayKind::Shutdown,
            Self::PowerOff { .. } | Self::PowerOn { .. } | Self::PowerCycle { .. } | Self::Reboot { .. } => {
                DelayKind::Power
            }
            Self::Rename { .. } => DelayKind::Rename,
            Self::Snapshot { .. } => DelayKind::Snapshot,
            Self::Rebuild { .. } => DelayKind::Rebuild,
            Self::Resize { .. } => DelayKind::Resize,
            Self::Assign { .. } | Self::Unassign { .. } => DelayKind::StaticIp,
            Self::Transfer { .. } | Self::Convert { .. } => DelayKind::Transfer,
            Self::CreateBalancer { .. } => DelayKind::LoadBalancer,
            Self::ChangeBalancer { .. } | Self::DestroyBalancer { .. } => DelayKind::BalancerChange,
        }
    }
}

fn splitmix(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_depend_on_seed_kind_and_ordinal_only_and_stay_in_range() {
        let draw = |seed, kind, ordinal| Profile::Realistic.draw(seed, kind, ordinal, 1.0).as_secs_f64();
        assert_eq!(draw(7, DelayKind::Create, 0), draw(7, DelayKind::Create, 0));
        assert_ne!(draw(7, DelayKind::Create, 0), draw(7, DelayKind::Create, 1));
        assert_ne!(draw(7, DelayKind::Create, 0), draw(8, DelayKind::Create, 0));
        let draws: Vec<f64> = (0..500).map(|n| draw(1, DelayKind::Snapshot, n)).collect();
        assert!(draws.iter().all(|&s| (60.0..=180.0).contains(&s)));
        assert!(draws.iter().any(|&s| s < 80.0) && draws.iter().any(|&s| s > 160.0));
    }

    #[test]
    fn speed_divides_and_instant_takes_nothing() {
        let slow = Profile::Realistic.draw(3, DelayKind::Create, 5, 1.0).as_secs_f64();
        let fast = Profile::Realistic.draw(3, DelayKind::Create, 5, 100.0).as_secs_f64();
        assert!((slow / fast - 100.0).abs() < 0.001);
        assert_eq!(Profile::Instant.draw(3, DelayKind::Transfer, 5, 1.0), Duration::ZERO);
        assert_eq!("realistic".parse(), Ok(Profile::Realistic));
        assert!("fast".parse::<Profile>().is_err());
    }

    #[test]
    fn googles_load_balancers_take_effect_after_the_api_is_done() {
        for work in [Work::CreateBalancer { balancer: 1 }, Work::ChangeBalancer { balancer: 1 }] {
            assert_eq!(work.delay(Api::Gce), DelayKind::Network);
            assert_ne!(work.delay(Api::DigitalOcean), DelayKind::Network);
        }
        assert_eq!(Work::DestroyBalancer { balancer: 1 }.delay(Api::Gce), DelayKind::BalancerChange);
    }

    #[test]
    fn checks_come_faster_but_wait_long_enough() {
        let (ten, five) = (Duration::from_secs(10), Duration::from_secs(5));
        assert_eq!(Profile::Realistic.check_interval(ten, 1.0), ten);
        assert_eq!(Profile::Realistic.check_interval(ten, 20.0), Duration::from_millis(500));
        assert_eq!(Profile::Instant.check_interval(ten, 1.0), Duration::from_millis(100));
        assert_eq!(Profile::Instant.check_interval(ten, 100.0), SHORTEST_INTERVAL);
        assert_eq!(Profile::Realistic.check_timeout(five, 1.0), five);
        assert_eq!(Profile::Realistic.check_timeout(five, 100.0), SHORTEST_TIMEOUT);
        assert_eq!(Profile::Instant.check_timeout(five, 1.0), five);
    }
}
