//! What there is to do that takes time, as it lies in the state file.

use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

/// What an action does. Each kind can be done again from the beginning after the sandbox was killed in the middle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub enum Work {
    /// Make the machine and switch it on.
    Create {
        /// The instance.
        #[serde(rename = "droplet")]
        instance: u64,
    },
    /// Remove the machine with its disk.
    Destroy {
        /// The instance.
        #[serde(rename = "droplet")]
        instance: u64,
    },
    /// A destruction that the disk outlives, as an image.
    Keep {
        /// The instance.
        #[serde(rename = "droplet")]
        instance: u64,
        /// The number that the image has.
        image: u64,
    },
    /// Ask the guest to go down.
    Shutdown {
        /// The instance.
        #[serde(rename = "droplet")]
        instance: u64,
    },
    /// Cut the power.
    PowerOff {
        /// The instance.
        #[serde(rename = "droplet")]
        instance: u64,
    },
    /// Off in order, or by force where the guest does not heed.
    Halt {
        /// The instance.
        #[serde(rename = "droplet")]
        instance: u64,
        /// Whether a guest that does not heed is cut off.
        force: bool,
    },
    /// Switch on.
    PowerOn {
        /// The instance.
        #[serde(rename = "droplet")]
        instance: u64,
    },
    /// Cut the power, and switch on.
    PowerCycle {
        /// The instance.
        #[serde(rename = "droplet")]
        instance: u64,
    },
    /// Ask the guest to reboot.
    Reboot {
        /// The instance.
        #[serde(rename = "droplet")]
        instance: u64,
    },
    /// Give it another name.
    Rename {
        /// The instance.
        #[serde(rename = "droplet")]
        instance: u64,
        /// The name that it is to have.
        name: String,
    },
    /// Capture its disk.
    Snapshot {
        /// The instance.
        #[serde(rename = "droplet")]
        instance: u64,
        /// The number that the image has.
        image: u64,
        /// The name that it is to have.
        name: String,
        /// Whether the machine is halted for it, and switched on again.
        #[serde(default)]
        reboot: bool,
    },
    /// Rebuild and restore.
    Rebuild {
        /// The instance.
        #[serde(rename = "droplet")]
        instance: u64,
        /// The number that the image has.
        image: u64,
    },
    /// Give it another size.
    Resize {
        /// The instance.
        #[serde(rename = "droplet")]
        instance: u64,
        /// The slug of the size.
        size: String,
        /// Whether the disk grows, too.
        disk: bool,
    },
    /// Point a static IP at an instance.
    Assign {
        /// The address.
        ip: Ipv4Addr,
        /// The instance.
        #[serde(rename = "droplet")]
        instance: u64,
    },
    /// Point a static IP at nothing.
    Unassign {
        /// The address.
        ip: Ipv4Addr,
    },
    /// Make an image available in another region, too.
    Transfer {
        /// The number that the image has.
        image: u64,
        /// The slug of the region.
        region: String,
    },
    /// Make a snapshot of a backup; it stays as it is.
    Convert {
        /// The number that the image has.
        image: u64,
    },
    /// Make a load balancer take connections.
    MakeBalancer {
        /// Its number.
        balancer: u64,
    },
    /// Bring a load balancer in step with its settings, and with who its members are.
    ChangeBalancer {
        /// Its number.
        balancer: u64,
    },
    /// Remove a load balancer.
    RemoveBalancer {
        /// Its number.
        balancer: u64,
    },
}
