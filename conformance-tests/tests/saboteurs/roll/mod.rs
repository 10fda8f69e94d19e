//! The saboteurs, in one table for each concern.

mod account;
mod captures;
mod destroying;
mod dns;
mod dropped;
mod images;
mod labels;
mod launching;
mod listing;
mod load_balancers;
mod login_keys;
mod lost;
mod markers;
mod members;
mod outages;
mod power;
mod relabelling;
mod static_ips;
mod strays;
mod together;
mod undeclared;

use crate::sabotage::Saboteur;

const TABLES: &[&[Saboteur]] = &[
    account::SABOTEURS,
    launching::SABOTEURS,
    listing::SABOTEURS,
    labels::SABOTEURS,
    power::SABOTEURS,
    destroying::SABOTEURS,
    captures::SABOTEURS,
    images::SABOTEURS,
    static_ips::SABOTEURS,
    load_balancers::SABOTEURS,
    members::SABOTEURS,
    relabelling::SABOTEURS,
    strays::SABOTEURS,
    dns::SABOTEURS,
    login_keys::SABOTEURS,
    markers::SABOTEURS,
    outages::SABOTEURS,
    lost::SABOTEURS,
    dropped::SABOTEURS,
    together::SABOTEURS,
    undeclared::SABOTEURS,
    undeclared::PASSING_BALANCERS,
    undeclared::ZONES,
    relabelling::UNDECLARED,
];

/// All saboteurs.
pub(crate) fn all() -> impl Iterator<Item = &'static Saboteur> {
    TABLES.iter().copied().flatten()
}
