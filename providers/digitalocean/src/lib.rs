//! The DigitalOcean provider, Remint's reference.
//!
//! It speaks version 2 of the API over HTTPS. DigitalOcean has no idempotency keys, labels only in the form of tags,
//! and reports "busy", "over the limit" and "nonsense" by one status; the modules say how each is dealt with.
//! [`DigitalOcean::new`] also serves other clouds that speak the same API, which bring their own [`ClientOptions`].
//!
//! # What a method costs
//!
//! In API calls, when nothing is repeated. A list costs one call for each 200 resources; what Remint lists is narrowed by
//! a tag wherever the API can.
//!
//! | method | calls |
//! |---|---|
//! | `account` | 1 |
//! | `Images::resolve` | 1; an unknown name 1 more, for the hint |
//! | `Images::capture` | 3 to start; 1 for each observation; at its end 2 and 1 for each label (3 where its tag is new); 2 more once the droplet is gone |
//! | `Images::label` | 1, and for each label 1 (3 where its tag is new) and 1 for a value that it replaces |
//! | `Images::list`, `Images::delete` | 1 |
//! | `Images::get` | 1, and 1 for each copy that is under way |
//! | `Images::copy` | 3; 1 where the image is there already |
//! | `Instances::shape` | 1 in the life of the process |
//! | `Instances::launch` | 2 for up to ten names; 1 where all of them exist |
//! | `Instances::list`, `get` | 1; 1 more, once, when a droplet shows a reserved IP beside its own address and neither is known |
//! | `Instances::destroy` | 1 |
//! | `Instances::power` | 2; 1 where the instance is as asked |
//! | `Instances::label` | 1, and for each label 1 (3 where its tag is new) and 1 for a value that it replaces |
//! | `StaticIps::ensure` | 2; 1 where the instance has one |
//! | `StaticIps::get` | 1; 2 while an assignment has been accepted and does not show |
//! | `StaticIps::assign`, `unassign` | 2; 1 where it is as asked |
//! | `StaticIps::list`, `release` | 1 |
//! | `LoadBalancers::ensure` | 4 to create; 1 where it is as asked; 2 to change it; 1 more with a certificate's name |
//! | `LoadBalancers::list`, `get` | 1 |
//! | `LoadBalancers::members` | 2; 1 while there are none; 1 more where the metric names droplets that this process did not launch |
//! | `LoadBalancers::attach` | 2; 1 where all are members; 1 more for each droplet that this process did not launch |
//! | `LoadBalancers::detach` | 2; 1 more for each droplet where one of several is gone |
//! | `LoadBalancers::destroy` | 3, and 1 where no droplet carries its tag any more |
//! | `DnsZones::zone`, `get` | 1 |
//! | `DnsZones::upsert` | 2 for one value; 1 where the set is as asked; else 1, and 1 for each record added or removed |
//! | `DnsZones::remove` | 1, and 1 for each record |
//! | `LoginKeys::ensure` | 1; 2 where the key is registered already |
//! | `LoginKeys::list`, `remove` | 1 |
//! | `Markers::get` | 1 |
//! | `Strays::list` | 1, and 1 for each candidate |
//! | `Strays::remove` | 3 |
//! | `Markers::set`, `remove` | 1, and 1 for each tag that is made or removed |
//!
//! A mutation whose reply is lost costs up to four looks before it is repeated.

mod client;
mod config;
mod dns;
mod error;
#[cfg(test)]
mod fuzz;
mod image;
mod instance;
mod labelling;
mod load_balancer;
mod login_key;
mod marker;
mod memory;
mod provider;
mod static_ip;
mod stray;
mod tags;
#[cfg(test)]
mod testing;
mod wire;

pub use config::{Config, DEFAULT_API_URL, token};
pub use provider::{ClientOptions, DESCRIPTOR, DigitalOcean, ID, LIMITS, RATE, USUAL};
