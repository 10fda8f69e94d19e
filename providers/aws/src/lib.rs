//! The AWS provider: EC2 for images, instances and static IPs, Elastic Load Balancing for load balancers, Route 53 for DNS zones, STS
//! for the account, and public parameters of the Systems Manager for base images.
//!
//! It speaks through Amazon's SDK, whose own retries are off, so that one layer repeats and counts. EC2 answers from copies
//! of its state that lag behind each other, and its regions know nothing of each other; the modules say how each is dealt
//! with.
//!
//! # What a method costs
//!
//! In API calls, when nothing is repeated. A list costs one call for each thousand resources in each region that is looked
//! at: the section's, and those that calls of this process named.
//!
//! | method | calls |
//! |---|---|
//! | `account` | 1 |
//! | any method with a region | 1 more, once in the life of the process, for a region that not every account has |
//! | `Images::resolve` | 1 for an id or a pattern, 2 for `ssm:`; an unknown name 1 more, for the hint; what `Instances::shape` takes, once, for the architecture |
//! | `Images::capture` | 1 to start where this process made and stopped the instance, else 3; 1 for each observation; with `encrypt` 1 more |
//! | `Images::list`, `Images::get` | 1, and 1 for each further region until its copy has been seen available |
//! | `Images::label` | 2, and 2 for each copy |
//! | `Images::copy` | 4; 2 where the image is there already |
//! | `Images::delete` | 2, and 2 for each copy; 1 more for each snapshot that `DeregisterImage` left |
//! | `Instances::shape` | 2 for each size and region in the life of the process |
//! | `Instances::launch` | 2; 1 where the instance exists. Once in the life of the process 2 more, for subnet and group (4 where the group has to be made); 1 more for each zone without room |
//! | `Instances::list`, `get` | 1 |
//! | `Instances::power`, `label` | 1 where this process launched the instance and has seen it running, else 2 |
//! | `Instances::destroy` | 1; 2 for an instance that this process has not seen, 1 more for a spot instance |
//! | `Instances::console_output` | 2; 3 for older kinds of machines |
//! | `StaticIps::ensure` | 3; 1 where the instance has it; 1 more for an instance that this process did not launch |
//! | `StaticIps::list`, `get` | 1 |
//! | `StaticIps::assign` | 2; 1 where it is as asked; 1 more for an instance that this process did not launch |
//! | `StaticIps::label` | 2 |
//! | `StaticIps::unassign` | 2; 1 where it is as asked |
//! | `StaticIps::release` | 2; 4 while it points at an instance |
//! | `LoadBalancers::ensure` | for one that is as asked: 7, and 1 for each target group; 1 more for a Network Load Balancer, and 1 for each further region |
//! | `LoadBalancers::list` | 1 for each region, and what `get` takes for each that is found |
//! | `LoadBalancers::get` | 5, and 1 for each target group |
//! | `LoadBalancers::members` | 1, and 1 for each target group |
//! | `LoadBalancers::attach`, `detach` | 1, and 2 for each target group; 1 more for each new instance that this process did not launch |
//! | `LoadBalancers::destroy` | 5, and 1 for each target group; more while AWS keeps its parts |
//! | `DnsZones::zone` | 2 |
//! | `DnsZones::get` | 1, and 1 once for the zone |
//! | `DnsZones::upsert`, `remove` | 2, and 1 for each look until all servers have the change; 1 where the set is as asked; 1 more for an alias |
//! | `Markers::get`, `remove` | 1 |
//! | `Markers::set` | 2; 1 where it has the value |
//! | `Strays::list` | 4 for each region that is looked at, and 2 for each candidate among snapshots, groups and copies |
//! | `Strays::remove` | 2 or 3 |

mod client;
mod config;
mod dns;
mod error;
mod ids;
mod image;
mod instance;
mod load_balancer;
mod marker;
mod masked;
mod memory;
mod network;
mod networks;
mod profiles;
mod provider;
mod region;
mod static_ip;
mod stray;
mod tagging;
mod tags;
#[cfg(test)]
mod testing;
mod transport;

pub use config::Config;
pub use provider::{Aws, ClientOptions, DESCRIPTOR, ID, LIMITS, RATE, Settings};
