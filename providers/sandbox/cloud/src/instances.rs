//! Creating and destroying instances.

use std::{collections::BTreeSet, net::Ipv4Addr};

use super::{
    Api, Config, DelayKind, Front,
    action::{Begin, now},
    catalogue::Size,
    state::{Action, Features, Image, Instance, Resource, Seed, State, Status, Work},
};

/// Instances to be made, one for each name and otherwise alike.
pub struct NewInstances {
    /// The names, which become host names.
    pub names: Vec<String>,
    /// The slug of the region.
    pub region: String,
    /// Processors and memory.
    pub size: &'static Size,
    /// In GiB; not the size's own where an API lets the client choose.
    pub disk: u64,
    /// What its disk starts from.
    pub image: Image,
    /// Public keys, as OpenSSH lines.
    pub ssh_keys: Vec<String>,
    /// Names that they carry.
    pub tags: BTreeSet<String>,
    /// cloud-init user data.
    pub user_data: Option<String>,
    /// What is only shown.
    pub features: Features,
}

impl<F: Front> State<F> {
    /// Makes instances that were found to be right, and begins their creation.
    pub fn make_instances(&mut self, config: &Config, new: &NewInstances) -> Vec<(Instance, Action)> {
        let create = |name: &String| {
            let id = self.next_id();
            let boot = self.draw(config, DelayKind::Boot, id.to_string());
            let instance = Instance {
                id,
                name: name.clone(),
                region: new.region.clone(),
                size: new.size.slug.to_owned(),
                disk: new.disk,
                image: new.image.clone(),
                status: Status::New,
                address: self.next_address(config.slot),
                networked: false,
                tags: new.tags.clone(),
                created_at: now(),
                pending: None,
                seed: Some(Seed {
                    user_data: new.user_data.clone(),
                    ssh_keys: new.ssh_keys.clone(),
                    boot_delay_ms: u64::try_from(boot.as_millis()).unwrap_or(u64::MAX),
                }),
                asked_off: false,
                features: new.features,
                epoch: 0,
            };
            self.instances.insert(id, instance);
            let action = self.begin_on_instance(config, id, &new.region, "create", Work::Create { instance: id });
            // As it is now: locked by its creation.
            (self.instances[&id].clone(), action)
        };
        new.names.iter().map(create).collect()
    }

    /// Gives an instance that is off another size, from its next start on; its disk stays as it is.
    pub fn resize_stopped(&mut self, config: &Config, id: u64, size: &Size) {
        let Some(region) = self.instances.get(&id).map(|instance| instance.region.clone()) else { return };
        let work = Work::Resize { instance: id, size: size.slug.to_owned(), disk: false };
        self.begin_on_instance(config, id, &region, "resize", work);
    }

    /// Begins an action on an instance.
    pub fn begin_on_instance(
        &mut self,
        config: &Config,
        instance: u64,
        region: &str,
        kind: &'static str,
        work: Work,
    ) -> Action {
        let region = region.to_owned();
        self.begin(config, Begin { kind, resource: Resource::Instance, resource_id: instance, region, work })
    }

    /// The next free address of the account's part of the lower half of 127.slot.0.0/16; one that was in use comes again
    /// last.
    fn next_address(&mut self, slot: u8) -> Ipv4Addr {
        let mut offset = self.last_address;
        loop {
            offset = next_offset(self.api, offset);
            let address = address(slot, offset);
            if !self.instances.values().any(|instance| instance.address == address) {
                self.last_address = offset;
                return address;
            }
        }
    }
}

/// The offset after this one, within the account's part of half a /16, whose first ten are kept for other uses. There are
/// more of them than an account can have instances.
pub(super) fn next_offset(api: Api, offset: u32) -> u32 {
    let mut next = offset + 1;
    // Addresses that end in 0 or 255 look like a network's or a broadcast's, and some programs refuse them.
    while matches!(next % 256, 0 | 255) {
        next += 1;
    }
    let offsets = api.offsets();
    let first = offsets.start + 10;
    if (first..offsets.end).contains(&next) { next } else { first }
}

/// The address in a slot's network.
pub(super) fn address(slot: u8, offset: u32) -> Ipv4Addr {
    Ipv4Addr::from_bits(u32::from(Ipv4Addr::new(127, slot, 0, 0)) + offset)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_begin_at_ten_stay_in_their_accounts_part_and_avoid_the_ends() {
        for (api, blocks) in [(Api::DigitalOcean, 0..40), (Api::Ec2, 40..80), (Api::Gce, 80..120)] {
            let mut offset = api.offsets().start;
            assert_eq!(address(7, next_offset(api, offset)), Ipv4Addr::new(127, 7, blocks.start, 10));
            for _ in 0..12_000 {
                offset = next_offset(api, offset);
                let [a, b, c, d] = address(7, offset).octets();
                assert!((a, b) == (127, 7) && blocks.contains(&c) && d != 0 && d != 255, "{a}.{b}.{c}.{d}");
            }
        }
    }
}
