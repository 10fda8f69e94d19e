//! Reserved IPs: addresses of an account that point at one droplet of their region, or at none.

use std::net::Ipv4Addr;

use super::{
    ApiError, ApiResult, Config,
    action::{Begin, now},
    catalogue,
    droplets::{address, next_offset},
    state::{Action, ReservedIp, State, Work},
};

/// Where the upper half of a slot's network begins.
const UPPER_HALF: u32 = 128 * 256;

impl State {
    /// Reserves an address for a region, or in the region of a droplet and on its way to it.
    pub(crate) fn reserve_ip(
        &mut self,
        config: &Config,
        region: Option<&str>,
        droplet: Option<u64>,
    ) -> ApiResult<(ReservedIp, Option<Action>)> {
        let region = match (droplet, region) {
            (Some(id), _) => {
                self.check_target(id, None)?;
                self.droplets.get(&id).map(|droplet| droplet.region.clone())
            }
            (None, Some(slug)) => catalogue::find_region(self.api, slug).map(|region| region.slug.to_owned()),
            (None, None) => None,
        };
        let region = region.ok_or_else(|| ApiError::unprocessable("You specified an invalid region."))?;
        let limit = config.limits.reserved_ips;
        if self.reserved_ips.len() >= limit {
            return Err(ApiError::unprocessable(format!(
                "You have reached the limit of {limit} reserved IPs. Please open a support ticket to increase it."
            )));
        }
        let ip = self.next_reserved(config.slot);
        self.reserved_ips.insert(ip, ReservedIp { ip, region, droplet: None, pending: None, created_at: now() });
        let action = droplet.map(|droplet| self.begin_on_ip(config, ip, "assign_ip", Work::Assign { ip, droplet }));
        Ok((self.reserved_ips[&ip].clone(), action))
    }

    /// Begins to point a reserved IP at a droplet; one that points elsewhere moves.
    pub(crate) fn assign_ip(&mut self, config: &Config, ip: Ipv4Addr, droplet: u64) -> ApiResult<Action> {
        let reserved = self.unlocked_ip(ip)?;
        if reserved.droplet == Some(droplet) {
            return Err(ApiError::unprocessable("The reserved IP is already assigned to that Droplet."));
        }
        let region = reserved.region.clone();
        self.check_target(droplet, Some(ip))?;
        if self.droplets.get(&droplet).is_some_and(|droplet| droplet.region != region) {
            return Err(ApiError::unprocessable("The reserved IP and the Droplet must be in the same region."));
        }
        Ok(self.begin_on_ip(config, ip, "assign_ip", Work::Assign { ip, droplet }))
    }

    /// Begins to point a reserved IP at nothing.
    pub(crate) fn unassign_ip(&mut self, config: &Config, ip: Ipv4Addr) -> ApiResult<Action> {
        if self.unlocked_ip(ip)?.droplet.is_none() {
            return Err(ApiError::unprocessable("The reserved IP is not assigned to a Droplet."));
        }
        Ok(self.begin_on_ip(config, ip, "unassign_ip", Work::Unassign { ip }))
    }

    /// Releases a reserved IP, assigned or not.
    pub(crate) fn release_ip(&mut self, ip: Ipv4Addr) -> ApiResult<()> {
        self.unlocked_ip(ip)?;
        self.reserved_ips.remove(&ip);
        Ok(())
    }

    fn unlocked_ip(&self, ip: Ipv4Addr) -> ApiResult<&ReservedIp> {
        let reserved = self.reserved_ips.get(&ip).ok_or_else(ApiError::not_found)?;
        if reserved.pending.is_some() {
            return Err(ApiError::unprocessable("The reserved IP already has a pending event."));
        }
        Ok(reserved)
    }

    /// Refuses a droplet that cannot take a reserved IP now; `moving` is one that it may have already.
    fn check_target(&self, id: u64, moving: Option<Ipv4Addr>) -> ApiResult<()> {
        let droplet = self
            .droplets
            .get(&id)
            .ok_or_else(|| ApiError::unprocessable("The Droplet you specified does not exist."))?;
        if droplet.pending.is_some() {
            return Err(ApiError::pending_event());
        }
        let coming = |ip: &ReservedIp| {
            let action = ip.pending.and_then(|id| self.actions.get(&id)).and_then(|action| action.pending.as_ref());
            matches!(action, Some(pending) if matches!(pending.work, Work::Assign { droplet, .. } if droplet == id))
        };
        let taken = |ip: &ReservedIp| Some(ip.ip) != moving && (ip.droplet == Some(id) || coming(ip));
        if self.reserved_ips.values().any(taken) {
            return Err(ApiError::unprocessable("The Droplet already has a reserved IP."));
        }
        Ok(())
    }

    /// Begins an action on a reserved IP, which the caller has found unlocked.
    pub(crate) fn begin_on_ip(&mut self, config: &Config, ip: Ipv4Addr, kind: &'static str, work: Work) -> Action {
        let region = self.reserved_ips.get(&ip).map(|ip| ip.region.clone()).unwrap_or_default();
        let resource_id = u64::from(ip.to_bits());
        self.begin(config, Begin { kind, resource_type: "reserved_ip", resource_id, region, work })
    }

    /// The next free address of the upper half of 127.slot.0.0/16.
    pub(crate) fn next_reserved(&mut self, slot: u8) -> Ipv4Addr {
        let mut offset = self.last_reserved;
        loop {
            offset = next_offset(self.api, offset);
            let ip = address(slot, UPPER_HALF + offset);
            if !self.reserved_ips.contains_key(&ip) {
                self.last_reserved = offset;
                return ip;
            }
        }
    }
}
