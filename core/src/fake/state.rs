//! What the fake cloud holds at one moment, and what happens in it by itself.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tokio::time::Instant;

use crate::provider::{
    CaptureSpec, Image, ImageId, ImageState, Instance, InstanceId, InstanceState, Labels, LoginKey, LoginKeyId,
    RecordKind, RecordSet, Region, Regions, StaticIp, StaticIpId,
};

/// How long the fake cloud takes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    pub(crate) launch: Duration,
    pub(crate) destroy: Duration,
    pub(crate) assign: Duration,
    pub(crate) capture: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self { launch: seconds(30), destroy: seconds(3), assign: seconds(10), capture: seconds(90) }
    }
}

/// In what clouds differ.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Flavour {
    /// Static IPs carry labels: one call makes them, and another points them at an instance. Without, one call does both, and
    /// an instance has one static IP at most.
    pub(crate) labelled_ips: bool,
    /// Images carry labels from the start of their capture, rather than from the call that first sees them.
    pub(crate) labelled_captures: bool,
    /// Refuses what a test that looks at something else need not prepare: unknown images, regions that do not fit, a capture of
    /// what runs.
    pub(crate) strict: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Machine {
    pub(crate) instance: Instance,
    pub(super) running_at: Instant,
    pub(super) gone_at: Option<Instant>,
    /// What it will be again where the order to destroy it comes to nothing.
    pub(super) returns: Option<InstanceState>,
    /// Whether its launch ends in an error, and the instance is gone then.
    pub(super) fails: bool,
    /// The fingerprint of its image: what runs on it.
    pub(crate) build: String,
    /// What it was told at its first boot.
    pub(crate) user_data: Arc<str>,
    /// Whether its service has stopped answering by itself.
    pub(crate) unwell: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Ip {
    pub(crate) ip: StaticIp,
    pub(crate) moving: Option<Move>,
}

/// A static IP on its way.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Move {
    pub(crate) to: InstanceId,
    pub(super) at: Instant,
    /// Whether it ends where it began.
    pub(super) not_done: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Capture {
    pub(crate) spec: CaptureSpec,
    pub(super) at: Instant,
    /// Whether it ends in an error.
    pub(super) fails: bool,
}

/// The name below a zone, and the kind.
pub(crate) type RecordKey = (String, String, RecordKind);

/// Everything in the account.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct State {
    pub(crate) machines: BTreeMap<InstanceId, Machine>,
    pub(crate) images: BTreeMap<ImageId, Image>,
    pub(crate) captures: BTreeMap<String, Capture>,
    pub(crate) ips: BTreeMap<StaticIpId, Ip>,
    pub(crate) zones: Vec<String>,
    pub(crate) records: BTreeMap<RecordKey, RecordSet>,
    /// With the public key.
    pub(crate) keys: BTreeMap<LoginKeyId, (LoginKey, String)>,
    pub(crate) markers: BTreeMap<String, String>,
    pub(super) next: u32,
}

/// Something that happens by itself.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Event {
    Runs(InstanceId),
    Gone(InstanceId),
    Moved(StaticIpId),
    Captured(String),
}

impl State {
    pub(super) fn number(&mut self) -> u32 {
        self.next += 1;
        self.next
    }

    /// What happens next by itself, and when.
    pub(super) fn next_event(&self) -> Option<(Instant, Event)> {
        let pending = |machine: &&Machine| machine.instance.state == InstanceState::Pending;
        let runs = self.machines.values().filter(pending);
        let runs = runs.map(|machine| (machine.running_at, Event::Runs(machine.instance.id.clone())));
        let gone = self.machines.values();
        let gone = gone.filter_map(|machine| Some((machine.gone_at?, Event::Gone(machine.instance.id.clone()))));
        let moved = self.ips.values();
        let moved = moved.filter_map(|ip| Some((ip.moving.as_ref()?.at, Event::Moved(ip.ip.id.clone()))));
        let captured = self.captures.values().map(|capture| (capture.at, Event::Captured(capture.spec.name.clone())));
        runs.chain(gone).chain(moved).chain(captured).min()
    }

    /// Lets it happen, and says in words what it was. Returns where a static IP has arrived, too.
    pub(super) fn happen(&mut self, event: &Event, flavour: Flavour) -> (String, Option<InstanceId>) {
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
            Event::Moved(id) => self.arrive(id, flavour),
            Event::Captured(name) => {
                let fails = self.captures.get(name).is_some_and(|capture| capture.fails);
                self.finish_capture(name, flavour);
                (format!("{name} {}", if fails { "cannot be captured" } else { "is captured" }), None)
            }
        }
    }

    /// An instance is there no more, and no static IP points at it.
    pub(crate) fn vanish(&mut self, id: &InstanceId) {
        self.machines.remove(id);
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

    fn arrive(&mut self, id: &StaticIpId, flavour: Flavour) -> (String, Option<InstanceId>) {
        let Some(ip) = self.ips.get_mut(id) else { return (String::new(), None) };
        let Some(moving) = ip.moving.take() else { return (String::new(), None) };
        ip.ip.busy = false;
        if moving.not_done {
            return (format!("{id} stays where it is"), None);
        }
        ip.ip.assigned_to = Some(moving.to.clone());
        if flavour.labelled_ips {
            // An instance has one: the former one is taken from it.
            for other in self.ips.values_mut().filter(|other| other.ip.id != *id) {
                if other.ip.assigned_to.as_ref() == Some(&moving.to) {
                    other.ip.assigned_to = None;
                }
            }
        }
        (format!("{id} points at {}", moving.to), Some(moving.to))
    }

    fn finish_capture(&mut self, name: &str, flavour: Flavour) {
        let Some(capture) = self.captures.remove(name) else { return };
        let state = match capture.fails {
            true => ImageState::Failed("the disk could not be read".to_owned()),
            false => ImageState::Available,
        };
        if let Some(image) = self.images.values_mut().find(|image| image.name == name) {
            image.state = state;
            return;
        }
        let mut image = self.new_image(&capture.spec, state);
        if !flavour.labelled_captures {
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
            created_at: None,
        }
    }

    /// Whether an instance is being captured.
    pub(super) fn is_captured(&self, id: &InstanceId) -> bool {
        self.captures.values().any(|capture| capture.spec.instance == *id)
    }
}
