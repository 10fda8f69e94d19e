//! What the fake cloud holds at one moment, and what happens in it by itself.

use std::{collections::BTreeMap, fmt::Display, net::IpAddr, sync::Arc};

use tokio::time::Instant;

use super::{
    Flavour, Pace,
    members::{Balancer, Turn},
};
use crate::provider::{
    CaptureSpec, EnvironmentId, Error, ErrorKind, Image, ImageId, ImageState, Instance, InstanceId, InstanceState,
    Labels, LoadBalancerId, LoginKey, LoginKeyId, RecordKind, RecordSet, Region, Regions, Result, StaticIp, StaticIpId,
};

/// An instance.
#[derive(Debug, Clone, PartialEq)]
pub struct Machine {
    /// As the contract shows it.
    pub instance: Instance,
    /// From when on lists show it.
    pub(super) listed_from: Instant,
    pub(super) running_at: Instant,
    pub(super) stopped_at: Option<Instant>,
    pub(super) gone_at: Option<Instant>,
    /// What it will be again where the order to destroy it comes to nothing.
    pub(super) returns: Option<InstanceState>,
    /// Whether its launch ends in an error, and the instance is gone then.
    pub(super) fails: bool,
    /// The fingerprint of its image: what runs on it.
    pub build: String,
    /// What it was told at its first boot; empty where that was nothing.
    pub user_data: Arc<str>,
    /// Whether its service has stopped answering by itself.
    pub unwell: bool,
}

/// A static IP.
#[derive(Debug, Clone, PartialEq)]
pub struct Ip {
    /// As the contract shows it.
    pub ip: StaticIp,
    /// The name that it was made with.
    pub name: String,
    /// Where it is going.
    pub moving: Option<Move>,
}

impl Ip {
    /// Where it points once it is there.
    pub fn end(&self) -> Option<&InstanceId> {
        self.moving.as_ref().map(|moving| &moving.to).or(self.ip.assigned_to.as_ref())
    }
}

/// A static IP on its way.
#[derive(Debug, Clone, PartialEq)]
pub struct Move {
    /// Where to.
    pub to: InstanceId,
    pub(super) at: Instant,
    /// Whether it ends where it began.
    pub(super) not_done: bool,
}

/// An image that is being captured.
#[derive(Debug, Clone, PartialEq)]
pub struct Capture {
    /// What was asked for.
    pub spec: CaptureSpec,
    /// The image, where it is there from the start.
    pub(super) image: Option<ImageId>,
    pub(super) at: Instant,
    /// Whether it ends in an error.
    pub(super) fails: bool,
}

/// The zone, the name below it, and the kind.
pub type RecordKey = (String, String, RecordKind);

/// Everything in the account.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct State {
    /// How long the cloud takes.
    pub(super) pace: Pace,
    /// In what it differs from others.
    pub(super) flavour: Flavour,
    /// The instances.
    pub machines: BTreeMap<InstanceId, Machine>,
    /// The images, and those that are only named so far.
    pub images: BTreeMap<ImageId, Image>,
    /// What is captured: by the image's name, where the request was not told to go on beside another one.
    pub captures: BTreeMap<String, Capture>,
    /// Copies of images that are on their way, and when they are there.
    pub(super) copies: BTreeMap<(ImageId, Region), Instant>,
    /// The static IPs.
    pub ips: BTreeMap<StaticIpId, Ip>,
    /// The load balancers.
    pub balancers: BTreeMap<LoadBalancerId, Balancer>,
    /// The zones.
    pub zones: Vec<String>,
    /// The record sets.
    pub records: BTreeMap<RecordKey, RecordSet>,
    /// The login keys, each with its public key.
    pub keys: BTreeMap<LoginKeyId, (LoginKey, String)>,
    /// The markers.
    pub markers: BTreeMap<String, String>,
    /// The security groups of environments, by their numbers.
    pub(super) groups: BTreeMap<u32, EnvironmentId>,
    pub(super) next: u32,
}

/// Something that happens by itself.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Event {
    Runs(InstanceId),
    Gone(InstanceId),
    Moved(StaticIpId),
    Captured(String),
    Stopped(InstanceId),
    Copied(ImageId, Region),
    Balancing(LoadBalancerId, Turn),
}

/// The error of a call about something that is not there.
pub(super) fn not_found(operation: &'static str, what: impl Display) -> Error {
    Error::new(ErrorKind::NotFound, operation, "").with_resource(what)
}

impl State {
    /// The instance of an id.
    ///
    /// # Errors
    ///
    /// `NotFound`, in the name of the operation.
    pub fn machine(&self, operation: &'static str, id: &InstanceId) -> Result<&Machine> {
        self.machines.get(id).ok_or_else(|| not_found(operation, id))
    }

    /// The instance of an id, to be changed.
    ///
    /// # Errors
    ///
    /// `NotFound`, in the name of the operation.
    pub fn machine_mut(&mut self, operation: &'static str, id: &InstanceId) -> Result<&mut Machine> {
        self.machines.get_mut(id).ok_or_else(|| not_found(operation, id))
    }

    /// The image of an id.
    ///
    /// # Errors
    ///
    /// `NotFound`, in the name of the operation.
    pub fn image(&self, operation: &'static str, id: &ImageId) -> Result<&Image> {
        self.images.get(id).ok_or_else(|| not_found(operation, id))
    }

    /// The image of an id, to be changed.
    ///
    /// # Errors
    ///
    /// `NotFound`, in the name of the operation.
    pub fn image_mut(&mut self, operation: &'static str, id: &ImageId) -> Result<&mut Image> {
        self.images.get_mut(id).ok_or_else(|| not_found(operation, id))
    }

    /// The static IP of an id.
    ///
    /// # Errors
    ///
    /// `NotFound`, in the name of the operation.
    pub fn ip(&self, operation: &'static str, id: &StaticIpId) -> Result<&Ip> {
        self.ips.get(id).ok_or_else(|| not_found(operation, id))
    }

    /// The static IP of an id, to be changed.
    ///
    /// # Errors
    ///
    /// `NotFound`, in the name of the operation.
    pub fn ip_mut(&mut self, operation: &'static str, id: &StaticIpId) -> Result<&mut Ip> {
        self.ips.get_mut(id).ok_or_else(|| not_found(operation, id))
    }

    /// Refuses a region that a strict cloud does not have.
    pub(super) fn check_region(&self, operation: &'static str, region: &Region) -> Result<()> {
        let regions = self.flavour.catalogue.regions;
        if !self.flavour.strict || regions.contains(&region.as_str()) {
            return Ok(());
        }
        let message = format!("unknown region {region}");
        let hint = format!("choose one of {}", regions.join(", "));
        Err(Error::new(ErrorKind::InvalidInput, operation, message).with_resource(region).with_hint(hint))
    }

    pub(super) fn number(&mut self) -> u32 {
        self.next += 1;
        self.next
    }

    /// What happens first by itself of all that is due, and when.
    pub(super) fn due(&self, now: Instant) -> Option<(Instant, Event)> {
        // Only what is due is copied: this is asked for at each turn.
        let due = |at: Instant| (at <= now).then_some(at);
        let machines = || self.machines.values();
        let id = |machine: &Machine| machine.instance.id.clone();
        let runs = machines().filter(|machine| machine.instance.state == InstanceState::Pending);
        let runs = runs.filter_map(|machine| Some((due(machine.running_at)?, Event::Runs(id(machine)))));
        let gone = machines().filter_map(|machine| Some((due(machine.gone_at?)?, Event::Gone(id(machine)))));
        let stopped = machines().filter_map(|machine| Some((due(machine.stopped_at?)?, Event::Stopped(id(machine)))));
        let moved = self.ips.values();
        let moved = moved.filter_map(|ip| Some((due(ip.moving.as_ref()?.at)?, Event::Moved(ip.ip.id.clone()))));
        let captured = self.captures.iter();
        let captured = captured.filter_map(|(key, capture)| Some((due(capture.at)?, Event::Captured(key.clone()))));
        let copied = self.copies.iter();
        let copied =
            copied.filter_map(|((id, region), at)| Some((due(*at)?, Event::Copied(id.clone(), region.clone()))));
        let balancing = self.balancers.iter().filter_map(|(id, balancer)| {
            let (at, turn) = balancer.due(now)?;
            Some((at, Event::Balancing(id.clone(), turn)))
        });
        runs.chain(gone).chain(stopped).chain(moved).chain(captured).chain(copied).chain(balancing).min()
    }

    /// Lets it happen, and says in words what it was. Returns where a static IP has arrived, too.
    pub(super) fn happen(&mut self, event: &Event) -> (String, Option<InstanceId>) {
        match event {
            Event::Runs(id) => {
                if self.machines.get(id).is_some_and(|machine| machine.fails) {
                    self.vanish(id);
                    return (format!("the launch of {id} ends in an error"), None);
                }
                if let Some(machine) = self.machines.get_mut(id) {
                    machine.instance.state = InstanceState::Running;
                    machine.instance.busy = false;
                }
                (format!("{id} runs"), None)
            }
            Event::Gone(id) => {
                if let Some(machine) = self.machines.get_mut(id)
                    && let Some(state) = machine.returns.take()
                {
                    machine.gone_at = None;
                    machine.instance.state = state;
                    return (format!("{id} is not destroyed after all"), None);
                }
                self.vanish(id);
                (format!("{id} is gone"), None)
            }
            Event::Moved(id) => self.arrive(id),
            Event::Captured(name) => {
                let fails = self.captures.get(name).is_some_and(|capture| capture.fails);
                self.finish_capture(name);
                (format!("{name} {}", if fails { "cannot be captured" } else { "is captured" }), None)
            }
            Event::Stopped(id) => {
                if let Some(machine) = self.machines.get_mut(id) {
                    machine.stopped_at = None;
                    if machine.instance.state == InstanceState::Stopping {
                        machine.instance.state = InstanceState::Stopped;
                        machine.instance.busy = false;
                    }
                }
                (format!("{id} is off"), None)
            }
            Event::Copied(id, region) => {
                self.copies.remove(&(id.clone(), region.clone()));
                self.arrive_copy(id, region);
                (format!("{id} is in {region}"), None)
            }
            Event::Balancing(id, turn) => (self.balance(id, turn), None),
        }
    }

    fn balance(&mut self, id: &LoadBalancerId, turn: &Turn) -> String {
        let named = self.flavour.balancing.named;
        let what = self.balancers.get_mut(id).and_then(|balancer| balancer.happen(turn, named));
        what.unwrap_or_else(|| {
            self.balancers.remove(id);
            format!("{id} is gone")
        })
    }

    /// Lets the load balancers ask their members.
    pub(super) fn check_members(&mut self, at: Instant, answers: fn(&Machine) -> bool) {
        let Self { balancers, machines, .. } = self;
        for balancer in balancers.values_mut() {
            balancer.check(at, |id| machines.get(id).is_some_and(answers));
        }
    }

    /// The instance that an address leads to, where that is its own or a static IP.
    pub fn instance_at(&self, address: IpAddr) -> Option<&InstanceId> {
        if let Some(ip) = self.ips.values().find(|ip| ip.ip.address.ip == address) {
            return ip.ip.assigned_to.as_ref();
        }
        let own = |machine: &&Machine| machine.instance.address.as_ref().is_some_and(|own| own.ip == address);
        self.machines.values().find(own).map(|machine| &machine.instance.id)
    }

    /// The load balancer whose address it is.
    pub fn balancer_at(&self, address: IpAddr) -> Option<&Balancer> {
        self.balancers.values().find(|balancer| balancer.address.ip == address)
    }

    /// The load balancer that a record with this value leads to.
    pub fn balancer_behind(&self, value: &str) -> Option<&Balancer> {
        let leads = |balancer: &&Balancer| {
            balancer.balancer.endpoint.as_ref().is_some_and(|endpoint| endpoint.record_value() == value)
                || value.parse() == Ok(balancer.address.ip)
        };
        self.balancers.values().find(leads)
    }

    /// An instance is there no more: no static IP points at it, and no load balancer has it.
    pub fn vanish(&mut self, id: &InstanceId) {
        self.machines.remove(id);
        for balancer in self.balancers.values_mut() {
            balancer.members.remove(id);
        }
        for ip in self.ips.values_mut() {
            if ip.ip.assigned_to.as_ref() == Some(id) {
                ip.ip.assigned_to = None;
            }
            if ip.moving.as_ref().is_some_and(|moving| moving.to == *id) {
                ip.moving = None;
                ip.ip.busy = false;
            }
        }
    }

    fn arrive(&mut self, id: &StaticIpId) -> (String, Option<InstanceId>) {
        let Some(ip) = self.ips.get_mut(id) else { return (String::new(), None) };
        let Some(moving) = ip.moving.take() else { return (String::new(), None) };
        ip.ip.busy = false;
        if moving.not_done {
            return (format!("{id} stays where it is"), None);
        }
        ip.ip.assigned_to = Some(moving.to.clone());
        if self.flavour.labelled_ips {
            // An instance has one: the former one is taken from it.
            for other in self.ips.values_mut().filter(|other| other.ip.id != *id) {
                if other.ip.assigned_to.as_ref() == Some(&moving.to) {
                    other.ip.assigned_to = None;
                }
            }
        }
        (format!("{id} points at {}", moving.to), Some(moving.to))
    }

    /// An image is in a region, too. Returns whether it was not before.
    pub(super) fn arrive_copy(&mut self, id: &ImageId, region: &Region) -> bool {
        match self.images.get_mut(id).map(|image| &mut image.regions) {
            Some(Regions::Only(regions)) if !regions.contains(region) => {
                regions.push(region.clone());
                true
            }
            _ => false,
        }
    }

    fn finish_capture(&mut self, key: &str) {
        let Some(capture) = self.captures.remove(key) else { return };
        let state = match capture.fails {
            true => ImageState::Failed("the disk could not be read".to_owned()),
            false => ImageState::Available,
        };
        if let Some(image) = capture.image.as_ref().and_then(|id| self.images.get_mut(id)) {
            image.state = state;
            return;
        }
        let mut image = self.new_image(&capture.spec, state);
        if !self.flavour.labelled_captures {
            image.labels = Labels::new();
        }
        self.images.insert(image.id.clone(), image);
    }

    pub(super) fn new_image(&mut self, spec: &CaptureSpec, state: ImageState) -> Image {
        let region = self.machines.get(&spec.instance).map(|machine| machine.instance.region.clone());
        Image {
            id: ImageId::new(format!("image-{}", self.number())),
            name: spec.name.clone(),
            labels: spec.labels.clone(),
            state,
            regions: Regions::Only(vec![region.unwrap_or_else(|| Region::from("here"))]),
            min_disk_gib: 10,
            size_bytes: None,
            created_at: Some(crate::clock::wall()),
        }
    }

    /// Whether an instance is being captured.
    pub(super) fn is_captured(&self, id: &InstanceId) -> bool {
        self.captures.values().any(|capture| capture.spec.instance == *id)
    }
}
