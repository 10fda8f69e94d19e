//! The account behind the credentials, and the cloud's limits.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Who the credentials belong to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// The cloud's id of the account.
    pub id: String,
    /// A name that its owner recognises: an address, an alias.
    pub name: String,
    /// Account limits that a deploy can run into, where the cloud tells.
    pub quotas: Vec<Quota>,
}

/// One limit of an account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quota {
    /// What is limited: `instances`, `static_ips`.
    pub what: String,
    /// How many there may be.
    pub limit: u64,
}

/// Fixed properties of a cloud that a plan must respect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The largest user data, in bytes.
    pub user_data_bytes: usize,
    /// How many instances one launch call can make.
    pub launch_batch: usize,
    /// The smallest TTL of a DNS record.
    pub dns_min_ttl: Duration,
    /// The longest instance name, in characters; all names are made of `a-z`, `0-9` and `-`.
    pub name_length: usize,
    /// How long after an accepted launch the cloud first shows a machine as running, at best. A watcher does not ask
    /// sooner.
    pub launch_time: Duration,
    /// How long after an accepted capture the image can be used, at best.
    pub capture_time: Duration,
    /// How long a static IP takes to move, at best.
    pub assign_time: Duration,
    /// How long a new load balancer takes until it takes connections, at best.
    pub balancer_time: Duration,
    /// How long after an accepted removal an instance is gone, at best.
    pub destroy_time: Duration,
    /// How long after a request was sent it may still take effect, at most, when its sender died without the reply. What
    /// such a request changes is only decided on afterwards.
    ///
    /// No cloud publishes a bound, so the figures are a judgement: the time that a request may wait in a proxy, plus the
    /// time until the change shows in all of the API's answers.
    pub settle_time: Duration,
}

impl Limits {
    /// The pause before the first look at an API on this machine.
    pub const SOON: Duration = Duration::from_millis(100);

    /// [`Self::settle_time`] of a public cloud: load balancers in front of APIs give up on a request after 30 s or less.
    pub const CLOUD_SETTLES: Duration = Duration::from_secs(30);

    /// [`Self::settle_time`] of an API on this machine, where nothing but its own queue holds up a request.
    pub const MACHINE_SETTLES: Duration = Duration::from_secs(10);

    /// The same for an API of the same shape on this machine: how long things take there is not known.
    #[must_use]
    pub const fn on_this_machine(self) -> Self {
        Self {
            launch_time: Self::SOON,
            capture_time: Self::SOON,
            assign_time: Self::SOON,
            balancer_time: Self::SOON,
            destroy_time: Self::SOON,
            settle_time: Self::MACHINE_SETTLES,
            ..self
        }
    }
}
