//! Creating and destroying droplets.

use std::{collections::BTreeSet, net::Ipv4Addr};

use serde::Deserialize;
use serde_json::Value;

use super::{
    Api, ApiError, ApiResult, Config, DelayKind,
    action::{Begin, now},
    catalogue::{self, Size},
    state::{Action, Droplet, Features, Image, Seed, State, Status, Work},
    tags,
};

/// The longest user data, in bytes.
const USER_DATA: usize = 64 * 1024;
/// How many names a create call takes.
const NAMES: usize = 10;

/// The body of `POST /v2/droplets`.
#[derive(Deserialize)]
pub(crate) struct CreateDroplets {
    pub(crate) name: Option<String>,
    pub(crate) names: Option<Vec<String>>,
    region: Option<String>,
    size: Option<String>,
    image: Option<Value>,
    ssh_keys: Option<Vec<Value>>,
    tags: Option<Vec<String>>,
    user_data: Option<String>,
    vpc_uuid: Option<String>,
    backups: Option<bool>,
    ipv6: Option<bool>,
    monitoring: Option<bool>,
    volumes: Option<Vec<Value>>,
}

/// Droplets to be made, one for each name and otherwise alike.
pub(crate) struct NewDroplets {
    pub(crate) names: Vec<String>,
    pub(crate) region: String,
    pub(crate) size: &'static Size,
    /// In GiB; not the size's own where an API lets the client choose.
    pub(crate) disk: u64,
    pub(crate) image: Image,
    /// Public keys, as OpenSSH lines.
    pub(crate) ssh_keys: Vec<String>,
    pub(crate) tags: BTreeSet<String>,
    pub(crate) user_data: Option<String>,
    pub(crate) features: Features,
}

impl State {
    /// Creates a droplet for each name, or none.
    pub(crate) fn create_droplets(
        &mut self,
        config: &Config,
        request: &CreateDroplets,
    ) -> ApiResult<Vec<(Droplet, Action)>> {
        let names = names(request)?;
        let size = request.size.as_deref().and_then(|slug| catalogue::find_size(self.api, slug));
        let size =
            size.ok_or_else(|| ApiError::unprocessable("You specified an invalid size for Droplet creation."))?;
        let image = self
            .image_for(request.image.as_ref())
            .cloned()
            .ok_or_else(|| ApiError::unprocessable("You specified an invalid image for Droplet creation."))?;
        let region = match &request.region {
            Some(slug) => catalogue::find_region(self.api, slug).map(|region| region.slug.to_owned()),
            None => image.regions.first().cloned(),
        };
        let region =
            region.ok_or_else(|| ApiError::unprocessable("You specified an invalid region for Droplet creation."))?;
        fits(&image, &region, size.disk)?;
        let ssh_keys = self.keys_for(request.ssh_keys.as_deref().unwrap_or_default())?;
        let tags = request.tags.as_deref().unwrap_or_default();
        tags::check_all(tags)?;
        if request.user_data.as_ref().is_some_and(|data| data.len() > USER_DATA) {
            return Err(ApiError::unprocessable("User data is too long (maximum is 64 KiB)."));
        }
        if request.vpc_uuid.as_ref().is_some_and(|uuid| *uuid != self.vpc_id(&region).to_string()) {
            return Err(ApiError::unprocessable("You specified an invalid VPC for Droplet creation."));
        }
        for (asked, what) in [
            (request.backups == Some(true), "backups"),
            (request.volumes.as_ref().is_some_and(|volumes| !volumes.is_empty()), "volumes"),
        ] {
            if asked {
                return Err(ApiError::not_implemented(what));
            }
        }
        if self.droplets.len() + names.len() > config.limits.droplets {
            return Err(ApiError::unprocessable("creating this/these droplet(s) will exceed your droplet limit"));
        }

        let tags = tags.iter().map(|tag| self.make_tag(tag)).collect();
        let user_data = request.user_data.clone();
        let features = Features { monitoring: request.monitoring == Some(true), ipv6: request.ipv6 == Some(true) };
        let new = NewDroplets { names, region, size, disk: size.disk, image, ssh_keys, tags, user_data, features };
        Ok(self.make_droplets(config, &new))
    }

    /// Makes droplets that were found to be right, and begins their creation.
    pub(crate) fn make_droplets(&mut self, config: &Config, new: &NewDroplets) -> Vec<(Droplet, Action)> {
        let create = |name: &String| {
            let id = self.next_id();
            let boot = self.draw(config, DelayKind::Boot, id.to_string());
            let droplet = Droplet {
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
            self.droplets.insert(id, droplet);
            let action = self.begin_on_droplet(config, id, &new.region, "create", Work::Create { droplet: id });
            // As it is now: locked by its creation.
            (self.droplets[&id].clone(), action)
        };
        new.names.iter().map(create).collect()
    }

    /// Gives a droplet that is off another size, from its next start on; its disk stays as it is.
    pub(crate) fn resize_stopped(&mut self, config: &Config, id: u64, size: &Size) {
        let Some(region) = self.droplets.get(&id).map(|droplet| droplet.region.clone()) else { return };
        let work = Work::Resize { droplet: id, size: size.slug.to_owned(), disk: false };
        self.begin_on_droplet(config, id, &region, "resize", work);
    }

    /// Begins to destroy a droplet.
    pub(crate) fn destroy_droplet(&mut self, config: &Config, id: u64) -> ApiResult<()> {
        let droplet = self.droplets.get(&id).ok_or_else(ApiError::not_found)?;
        if droplet.pending.is_some() {
            return Err(ApiError::pending_event());
        }
        let region = droplet.region.clone();
        self.begin_on_droplet(config, id, &region, "destroy", Work::Destroy { droplet: id });
        Ok(())
    }

    /// Begins to destroy all droplets with a tag, or none.
    pub(crate) fn destroy_tagged(&mut self, config: &Config, tag: &str) -> ApiResult<()> {
        let tagged: Vec<(u64, Option<u64>)> = self
            .droplets
            .values()
            .filter(|droplet| tags::carries(&droplet.tags, tag))
            .map(|droplet| (droplet.id, droplet.pending))
            .collect();
        if tagged.is_empty() && self.find_tag(tag).is_none() {
            return Err(ApiError::not_found());
        }
        let is_going = |action: Option<u64>| {
            action.and_then(|id| self.actions.get(&id)).is_some_and(|action| action.kind == "destroy")
        };
        let (going, staying): (Vec<_>, Vec<_>) = tagged.into_iter().partition(|(_, pending)| is_going(*pending));
        drop(going);
        if staying.iter().any(|(_, pending)| pending.is_some()) {
            return Err(ApiError::pending_event());
        }
        staying.into_iter().try_for_each(|(id, _)| self.destroy_droplet(config, id))
    }

    /// Begins an action on a droplet.
    pub(crate) fn begin_on_droplet(
        &mut self,
        config: &Config,
        droplet: u64,
        region: &str,
        kind: &'static str,
        work: Work,
    ) -> Action {
        let region = region.to_owned();
        self.begin(config, Begin { kind, resource_type: "droplet", resource_id: droplet, region, work })
    }

    /// The keys of a create call: ids or fingerprints, as numbers or text.
    fn keys_for(&self, identifiers: &[Value]) -> ApiResult<Vec<String>> {
        let find = |value: &Value| {
            let identifier = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            self.find_key(&identifier).map(|key| key.public_key.clone()).ok_or_else(|| {
                ApiError::unprocessable(format!("{identifier} are invalid key identifiers for Droplet creation."))
            })
        };
        identifiers.iter().map(find).collect()
    }

    /// The next free address of the account's part of the lower half of 127.slot.0.0/16; one that was in use comes again
    /// last.
    fn next_address(&mut self, slot: u8) -> Ipv4Addr {
        let mut offset = self.last_address;
        loop {
            offset = next_offset(self.api, offset);
            let address = address(slot, offset);
            if !self.droplets.values().any(|droplet| droplet.address == address) {
                self.last_address = offset;
                return address;
            }
        }
    }
}

/// The offset after this one, within the account's part of half a /16, whose first ten are kept for other uses. There are
/// more of them than an account can have droplets.
pub(crate) fn next_offset(api: Api, offset: u32) -> u32 {
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
pub(crate) fn address(slot: u8, offset: u32) -> Ipv4Addr {
    Ipv4Addr::from_bits(u32::from(Ipv4Addr::new(127, slot, 0, 0)) + offset)
}

/// Refuses an image that is not in the region, or does not fit on the disk.
pub(crate) fn fits(image: &Image, region: &str, disk: u64) -> ApiResult<()> {
    if !image.regions.contains(region) {
        return Err(ApiError::unprocessable("The image you specified is not available in the selected region."));
    }
    if image.min_disk_size > disk {
        return Err(ApiError::unprocessable(format!(
            "This size is not available because it has a smaller disk: the image needs {} GB, the disk has {disk} GB.",
            image.min_disk_size
        )));
    }
    Ok(())
}

/// Refuses what is not a host name.
pub(crate) fn check_name(name: &str) -> ApiResult<()> {
    let inner = |c: char| c.is_ascii_alphanumeric() || c == '.' || c == '-';
    let good = name.len() <= 255
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.ends_with(|c: char| c.is_ascii_alphanumeric())
        && name.chars().all(inner);
    good.then_some(())
        .ok_or_else(|| ApiError::unprocessable("Only valid hostname characters are allowed. (a-z, A-Z, 0-9, . and -)"))
}

fn names(request: &CreateDroplets) -> ApiResult<Vec<String>> {
    let names = match (&request.name, &request.names) {
        (Some(name), None) => vec![name.clone()],
        (None, Some(names)) if !names.is_empty() => names.clone(),
        (Some(_), Some(_)) => return Err(ApiError::unprocessable("Specify either name or names, not both.")),
        _ => return Err(ApiError::unprocessable("Name can't be blank")),
    };
    if names.len() > NAMES {
        return Err(ApiError::unprocessable(format!("You can create up to {NAMES} Droplets at once.")));
    }
    names.iter().try_for_each(|name| check_name(name))?;
    Ok(names)
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

    #[test]
    fn host_names() {
        for good in ["web-1", "a", "app.example.com", "A9"] {
            assert!(check_name(good).is_ok(), "{good}");
        }
        for bad in ["", "-a", "a-", "a b", "a_b", "é"] {
            assert!(check_name(bad).is_err(), "{bad}");
        }
    }
}
