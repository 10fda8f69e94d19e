//! What a provider can do, as a closed set of dotted ids.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! capabilities {
    ($($(#[doc = $doc:literal])+ $name:ident = $id:literal;)*) => {
        /// Something that one cloud has and another may lack. A provider declares its own as constants.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[non_exhaustive]
        pub enum Capability {
            $($(#[doc = $doc])+ #[serde(rename = $id)] $name,)*
        }

        impl Capability {
            /// All of them, in the order in which they are documented.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The dotted id, as reports have it: `instance.console_output`.
            pub fn id(self) -> &'static str {
                match self {
                    $(Self::$name => $id,)*
                }
            }

            /// One sentence on what it means.
            pub fn summary(self) -> &'static str {
                match self {
                    $(Self::$name => concat!($($doc,)+).trim_ascii(),)*
                }
            }
        }
    };
}

capabilities! {
    /// Images can be copied to further regions.
    ImageCopyRegions = "image.copy_regions";
    /// One launch call can make several instances.
    InstanceLaunchBatch = "instance.launch_batch";
    /// What an instance wrote to its console can be read.
    InstanceConsole = "instance.console_output";
    /// Labels can be added to an instance that stands.
    InstanceRelabel = "instance.relabel";
    /// Addresses that outlive an instance.
    StaticIp = "static_ip";
    /// A static IP moves from one instance to another in one call.
    StaticIpReassign = "static_ip.reassign";
    /// Static IPs carry labels, so that one can be proven to be of an environment.
    StaticIpLabels = "static_ip.labels";
    /// Load balancers.
    LoadBalancer = "load_balancer";
    /// A load balancer understands HTTP, and can end TLS with a certificate of the account.
    LoadBalancerHttp = "load_balancer.http";
    /// A load balancer sends connections to another port than they came to.
    LoadBalancerTargetPort = "load_balancer.target_port";
    /// A load balancer shows a detached member until its connections have ended.
    LoadBalancerDrain = "load_balancer.drain";
    /// A load balancer has an address that stays for as long as it exists. Without, it has a host name.
    LoadBalancerAddress = "load_balancer.address";
    /// DNS zones and record sets.
    Dns = "dns";
    /// A record set of addresses may be an alias of a host name.
    DnsAlias = "dns.alias";
    /// Login keys are registered with the account, and named at launch.
    LoginKey = "login_key";
    /// Small named values can be kept with the account itself.
    Marker = "account.marker";
    /// Parts that a cut off request leaves are found again and removed.
    Strays = "strays";
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id())
    }
}
