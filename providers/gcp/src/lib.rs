//! The Google Cloud provider: Compute Engine and Cloud DNS, through Google's own clients.
//!
//! Names are unique in Google Cloud, and a mutation carries a request id by which its repetition is known again; so a
//! lost reply is settled by repeating the call, and a name that is taken by looking at what has it. What a call was
//! accepted for happens in an *operation*, which may fail after all: `operation` says how that reaches the caller.
//! Labels are stored in Google's narrower ones, reversibly: see `labelling`.
//!
//! # What a method costs
//!
//! In API calls, when nothing is repeated. A list costs one call for each page of 500; what Remint lists is narrowed by
//! labels in the API. *Waiting* for an operation costs a call after 1 s, 2.5 s, 4.8 s, and so on.
//!
//! | method | calls |
//! |---|---|
//! | `account` | 1 |
//! | `Images::resolve` | 1; 2 for a name that is not a family, and once for each zone 1 more |
//! | `Images::capture` | 4 to start; 1 for each observation |
//! | `Images::list`, `get` | 1 |
//! | `Images::label` | 2 and waiting; 1 where the labels are there |
//! | `Images::delete` | 2 |
//! | `Instances::shape` | 1 in the life of the process |
//! | `Instances::launch` | 3; 1 where the instance stands; 1 more in the life of the process, for the firewall rules |
//! | `Instances::list` | 1, and 1 for each instance that was launched and does not show yet |
//! | `Instances::get`, `console_output` | 1 |
//! | `Instances::power` | 3; 1 where the instance is as asked |
//! | `Instances::label` | 2 and waiting; 1 where the labels are there |
//! | `Instances::destroy` | 2; for each static IP that ever pointed at it 1 more and waiting |
//! | `StaticIps::ensure` | 8 and waiting twice; 2 where it stands; with the option `labels` 1 more, and 1 and waiting to add them |
//! | `StaticIps::get` | 1; 2 where it points nowhere, 1 more while a move is under way |
//! | `StaticIps::assign` | 5 and waiting once; 2 where it points there |
//! | `StaticIps::label` | 5 and waiting twice; 3 where the labels are there |
//! | `StaticIps::unassign` | 3 and waiting twice; 2 where it points nowhere |
//! | `StaticIps::release` | 3 and waiting twice, and for each instance that it ever pointed at 1 more and waiting |
//! | `StaticIps::list` | 2 |
//! | `LoadBalancers::ensure` | 7; about 38 and waiting six times to create one, 8 more and waiting for other ports |
//! | `LoadBalancers::list` | 1, and 6 for each load balancer of the prefix |
//! | `LoadBalancers::get` | 7 |
//! | `LoadBalancers::members` | 2, and for each zone 3 |
//! | `LoadBalancers::attach` | 2, 1 for each instance, and for each zone 4 and waiting; 3 where they are members |
//! | `LoadBalancers::detach` | 1, 1 for each instance, and for each zone 3 and waiting |
//! | `LoadBalancers::destroy` | 16 and waiting seven times, and 1 and waiting for each zone more |
//! | `Strays::list` | 3; 1 more for each candidate, and where there is one 2 more |
//! | `Strays::remove` | 3 to 5 and waiting |
//! | `Markers::get` | 1 |
//! | `Markers::set`, `remove` | 2 and waiting; 1 where it is as asked |
//! | `DnsZones::zone` | 1 in the life of the process |
//! | `DnsZones::get` | 1 |
//! | `DnsZones::upsert`, `remove` | 2; 1 where the set is as asked |
//!
//! Which instance an address points at costs a call more for each instance, once in the life of the process.

mod client;
mod collision;
mod config;
mod credentials;
mod dns;
mod error;
mod image;
mod instance;
mod labelling;
mod load_balancer;
mod marker;
mod memory;
mod names;
mod operation;
mod pending;
mod provider;
mod relabel;
mod relay;
mod static_ip;
mod stray;
#[cfg(test)]
mod testing;

pub use config::{COMPUTE_URL, Config, DNS_URL, endpoints};
pub use credentials::{Found, find as find_credentials, from_file as credentials_from_file};
pub use provider::{ClientOptions, DESCRIPTOR, Gcp, ID, LIMITS, RATE};
