//! The access config of an instance, which gives it an external address.

use serde::Deserialize;

use super::{
    catalogue,
    error::{Refusal, Result},
    model::Access,
    static_address::unused,
};
use crate::State;

/// The only network interface.
pub(super) const INTERFACE: &str = "nic0";

/// The name of an access config that names none.
const NAME: &str = "External NAT";

/// An access config, as a client sends it.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct SentAccess {
    name: Option<String>,
    r#type: Option<String>,
    #[serde(rename = "natIP")]
    nat_ip: Option<String>,
    network_tier: Option<String>,
}

impl SentAccess {
    /// What was sent, after all checks.
    pub(super) fn read(&self, state: &State, zone: &str) -> Result<Access> {
        if let Some(kind) = self.r#type.as_deref().filter(|kind| *kind != "ONE_TO_ONE_NAT") {
            return Err(Refusal::invalid("accessConfig.type", kind, "Must be ONE_TO_ONE_NAT."));
        }
        let nat_ip = self.nat_ip.as_deref().filter(|text| !text.is_empty());
        let nat_ip = nat_ip.map(|text| {
            let in_use = |user: &str| {
                let why = format!("The specified external IP address '{text}' is already in use by '{user}'.");
                Refusal::new(400, "externalIpAddressInUse", why)
            };
            let field = "resource.networkInterfaces[0].accessConfigs[0].natIP";
            unused(state, catalogue::region_of(zone), field, text, |address| address.ip.to_string() == text, in_use)
        });
        Ok(Access {
            name: self.name.clone().unwrap_or_else(|| NAME.to_owned()),
            tier: self.network_tier.clone().unwrap_or_else(|| "PREMIUM".to_owned()),
            nat_ip: nat_ip.transpose()?,
        })
    }
}
