//! In what clouds differ: the time that they take, what they offer, and their habits.

use std::time::Duration;

/// How long the fake cloud takes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pace {
    /// From the launch of an instance until it runs.
    pub launch: Duration,
    /// From the order to destroy an instance until it is gone.
    pub destroy: Duration,
    /// To point a static IP at an instance.
    pub assign: Duration,
    /// To create a load balancer, and four times that of a change of its settings.
    pub balance: Duration,
    /// To capture an image.
    pub capture: Duration,
    /// To start or stop an instance, and four times that of a forced stop.
    pub power: Duration,
    /// To copy an image to another region.
    pub copy: Duration,
    /// Of each request on its way, and of its reply.
    pub travel: Duration,
    /// From the launch of an instance until lists show it.
    pub lag: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self {
            launch: seconds(30),
            destroy: seconds(3),
            assign: seconds(10),
            balance: seconds(60),
            capture: seconds(90),
            power: Duration::ZERO,
            copy: Duration::ZERO,
            travel: Duration::ZERO,
            lag: Duration::ZERO,
        }
    }
}

/// What a strict cloud offers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Catalogue {
    /// The regions.
    pub regions: &'static [&'static str],
    /// The sizes, each with processors, memory in MiB and disk in GiB; without any, every size is one.
    pub sizes: &'static [(&'static str, u32, u64, u64)],
    /// The public images.
    pub bases: &'static [&'static str],
    /// The account's zones, also where the cloud is not strict.
    pub zones: &'static [&'static str],
    /// How many static IPs the account may have, where that is limited.
    pub static_ips: Option<usize>,
    /// How many load balancers the account may have, where that is limited.
    pub load_balancers: Option<usize>,
    /// The account's certificates.
    pub certificates: &'static [&'static str],
}

impl Default for Catalogue {
    fn default() -> Self {
        Self {
            regions: &["here", "there"],
            sizes: &[],
            bases: &["debian"],
            zones: &["example.org"],
            static_ips: None,
            load_balancers: None,
            certificates: &["example.org"],
        }
    }
}

/// The habits of load balancers.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Balancing {
    /// There is no drain time to be set, and a detached member is shown no more, though its connections go on for so long.
    pub hidden_drain: Option<Duration>,
    /// Takes bytes alone, and sends them to the port that they came to.
    pub passes_through: bool,
    /// Where no member is in service, all of them get connections.
    pub fails_open: bool,
    /// Clients connect to a host name.
    pub named: bool,
    /// For how long after an instance was attached nothing is known of any member's health.
    pub unknown_for: Duration,
}

/// In what clouds differ.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Flavour {
    /// Static IPs carry labels: one call makes them, and another points them at an instance. Without, one call does both, and
    /// an instance has one static IP at most.
    pub labelled_ips: bool,
    /// Images carry labels from the start of their capture, rather than from the call that first sees them.
    pub labelled_captures: bool,
    /// Refuses what a test that looks at something else need not prepare: what is not in the catalogue, images that are not
    /// there, regions that do not fit, a capture of what runs.
    pub strict: bool,
    /// Refuses arguments that the contracts do not allow.
    pub checks: bool,
    /// The provider reads before it changes anything: a call that finds all as it should be changes nothing, and is counted so.
    pub looks_first: bool,
    /// Errors carry the ids of their requests.
    pub request_ids: bool,
    /// Makes a security group for each environment, and leaves it when the environment's last instance is gone.
    pub security_groups: bool,
    /// What its load balancers do.
    pub balancing: Balancing,
    /// How many things one page of a list holds; zero for all of them.
    pub page: usize,
    /// What there is.
    pub catalogue: Catalogue,
}
