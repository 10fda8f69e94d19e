//! The cases, in one table for each concern.

mod cancellation;
mod concurrency;
mod consistency;
mod deletion;
mod descriptor;
mod dns;
mod errors;
mod idempotency;
mod images;
mod instances;
mod journeys;
mod labels;
mod limits;
mod load_balancers;
mod login_keys;
mod lost_replies;
mod markers;
mod members;
mod outages;
mod power;
mod refusals;
mod static_ips;
mod strays;
mod undeclared;
mod user_data;

pub use undeclared::PROBES;

use crate::Case;

/// Makes a table of `id, title, function, changes to the case`.
macro_rules! table {
    ($($id:literal, $title:literal, $run:path $(, $change:ident($($argument:expr)?))*;)*) => {
        &[$($crate::Case::new($id, $title, |context| Box::pin($run(context)))$(.$change($($argument)?))*,)*]
    };
}
use table;

/// All cases, one table a topic, in the order in which they are listed.
pub const TABLES: &[&[Case]] = &[
    descriptor::CASES,
    instances::CASES,
    power::CASES,
    images::CASES,
    static_ips::CASES,
    load_balancers::CASES,
    members::CASES,
    dns::CASES,
    login_keys::CASES,
    markers::CASES,
    strays::CASES,
    user_data::CASES,
    labels::CASES,
    limits::CASES,
    refusals::CASES,
    errors::CASES,
    outages::CASES,
    deletion::CASES,
    consistency::CASES,
    idempotency::CASES,
    lost_replies::CASES,
    concurrency::CASES,
    cancellation::CASES,
    journeys::CASES,
];

/// All cases, without the probes of what is not declared.
pub fn all() -> impl Iterator<Item = &'static Case> {
    TABLES.iter().copied().flatten()
}
