//! The contracts as text, for a tool that writes the skeleton of a provider from them.

/// The source of each concern's trait, with its documentation, by the name of the file that a provider implements it in.
/// The first is [`super::Provider`] itself.
///
/// A skeleton made from these has every method, and says of each what the contract says, for as long as the traits live:
/// a copy would drift.
pub const CONTRACTS: &[(&str, &str)] = &[
    ("provider", include_str!("mod.rs")),
    ("image", include_str!("image.rs")),
    ("instance", include_str!("instance.rs")),
    ("static_ip", include_str!("static_ip.rs")),
    ("load_balancer", include_str!("load_balancer.rs")),
    ("dns", include_str!("dns.rs")),
    ("login_key", include_str!("login_key.rs")),
    ("marker", include_str!("marker.rs")),
    ("stray", include_str!("stray.rs")),
];
