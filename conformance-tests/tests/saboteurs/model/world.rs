//! What stands in the account, and what happens to it in time.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Display,
};

use remint_core::provider::{
    EnvironmentId, Error, ErrorKind, Image, ImageId, ImageState, Instance, InstanceId, InstanceState, LoginKey,
    LoginKeyId, RecordKind, RecordSet, Region, Regions, Result, StaticIp, StaticIpId,
};
use tokio::time::Instant;

use super::cloud::{PAGE, REGIONS};

#[derive(Debug, Clone)]
pub(crate) struct Machine {
    pub(crate) instance: Instance,
    /// From when on lists show it.
    pub(super) listed_from: Instant,
    /// The end of what it is doing: the state that it is in then, or none when it is gone.
    pub(super) due: Option<(Instant, Option<InstanceState>)>,
}

/// An image, or one that is being captured or copied.
#[derive(Debug, Clone)]
pub(crate) struct Disk {
    pub(crate) image: Image,
    /// What it was captured from.
    pub(crate) source: InstanceId,
    /// What is captured, and when that ends.
    pub(crate) capture: Option<(InstanceId, Instant)>,
    /// Where it is being copied to, and when that ends.
    pub(crate) copies: Vec<(Region, Instant)>,
}

/// A static IP.
#[derive(Debug, Clone)]
pub(crate) struct Ip {
    pub(crate) ip: StaticIp,
    pub(crate) name: String,
    /// Where it moves, and when it is there.
    pub(crate) moving: Option<(InstanceId, Instant)>,
}

/// What stands in the account. The methods are the cloud's API: each is carried out at once, wholly or not at all.
#[derive(Debug, Default)]
pub(crate) struct World {
    pub(crate) machines: BTreeMap<InstanceId, Machine>,
    pub(crate) disks: BTreeMap<ImageId, Disk>,
    pub(crate) ips: BTreeMap<StaticIpId, Ip>,
    pub(crate) records: BTreeMap<(String, String, RecordKind), RecordSet>,
    pub(crate) keys: BTreeMap<LoginKeyId, (LoginKey, String)>,
    pub(crate) markers: BTreeMap<String, String>,
    /// The names of images whose capture somebody has seen to its end: from then on they have their labels.
    pub(crate) labelled: BTreeSet<String>,
    /// The security groups of environments, by their numbers.
    pub(crate) groups: BTreeMap<u32, EnvironmentId>,
    /// Instances that are gone.
    pub(crate) gone: BTreeMap<InstanceId, Instance>,
    made: u32,
}

/// An error of a call that changed nothing.
pub(crate) fn refusal(kind: ErrorKind, operation: &'static str, message: impl Into<String>) -> Error {
    Error::new(kind, operation, message)
}

/// The error of a call about something that is not there.
pub(crate) fn not_found(operation: &'static str, what: impl Display) -> Error {
    refusal(ErrorKind::NotFound, operation, "there is no such thing").with_resource(what)
}

impl World {
    /// A number that nothing has yet.
    pub(super) fn number(&mut self) -> u32 {
        self.made += 1;
        self.made
    }

    /// Lets what is due by now happen.
    pub(super) fn tick(&mut self) {
        let now = Instant::now();
        for machine in self.machines.values_mut() {
            if let Some((at, Some(state))) = machine.due
                && at <= now
            {
                machine.due = None;
                machine.instance.state = state;
                machine.instance.busy = false;
            }
        }
        let is_gone = |machine: &Machine| matches!(machine.due, Some((at, None)) if at <= now);
        let gone = self.machines.extract_if(.., |_, machine| is_gone(machine));
        self.gone.extend(gone.map(|(id, machine)| (id, machine.instance)));
        self.tick_disks(now);
        for Ip { ip, moving, .. } in self.ips.values_mut() {
            if let Some((to, at)) = moving.clone()
                && at <= now
            {
                ip.assigned_to = Some(to);
                ip.busy = false;
                *moving = None;
            }
            if ip.assigned_to.as_ref().is_some_and(|to| !self.machines.contains_key(to)) {
                ip.assigned_to = None;
            }
        }
    }

    fn tick_disks(&mut self, now: Instant) {
        for disk in self.disks.values_mut() {
            if let Some((from, at)) = disk.capture.clone()
                && at <= now
            {
                disk.capture = None;
                disk.image.state = ImageState::Available;
                if let Some(machine) = self.machines.get_mut(&from) {
                    machine.instance.busy = false;
                }
            }
            for (region, _) in disk.copies.extract_if(.., |(_, at)| *at <= now) {
                if let Regions::Only(regions) = &mut disk.image.regions {
                    regions.push(region);
                }
            }
        }
    }

    /// Up to [`PAGE`] instances that lists show, those with the next ids.
    pub(crate) fn page_of_machines(&self, after: Option<&InstanceId>) -> Vec<Instance> {
        let now = Instant::now();
        let listed = self.machines.values().filter(|machine| machine.listed_from <= now);
        let listed = listed.map(|machine| machine.instance.clone());
        listed.filter(|instance| after.is_none_or(|after| instance.id > *after)).take(PAGE).collect()
    }

    /// Up to [`PAGE`] images that have their labels, those with the next ids.
    pub(crate) fn page_of_images(&self, after: Option<&ImageId>) -> Vec<Image> {
        let is_there = |disk: &&Disk| disk.capture.is_none() && self.labelled.contains(&disk.image.name);
        let there = self.disks.values().filter(is_there).map(|disk| disk.image.clone());
        there.filter(|image| after.is_none_or(|after| image.id > *after)).take(PAGE).collect()
    }
}

/// Refuses a region that there is not.
pub(crate) fn check_region(operation: &'static str, region: &Region) -> Result<()> {
    if REGIONS.contains(&region.as_str()) {
        return Ok(());
    }
    let hint = format!("choose one of {}", REGIONS.join(", "));
    Err(refusal(ErrorKind::InvalidInput, operation, format!("unknown region {region}")).with_hint(hint))
}
