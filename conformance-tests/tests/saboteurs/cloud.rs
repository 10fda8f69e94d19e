//! The cloud that the saboteurs are made from: core's cloud in memory, with everything declared and the habits that make real clouds
//! hard. It takes its time, answers in pages, lists what was made only some time later, refuses what is at work, counts addresses,
//! and loses replies when it is asked to.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use remint_conformance::{Connect, Interference, LostReply, Refusal, Setting, Settings, Target};
use remint_core::{
    fake::{Actor, Balancing, Catalogue, FakeCloud, Flavour, Pace, World},
    provider::{Capability, Descriptor, Error, ErrorKind, Guest, Limits, Provider},
};

/// The region where most things stand.
pub(crate) const HOME: &str = "north-1";
/// The other region.
pub(crate) const ELSEWHERE: &str = "south-1";
/// The zone of the account.
pub(crate) const ZONE: &str = "conformance.example";
/// How many instances or images one answer holds.
pub(crate) const PAGE: usize = 2;
/// How many static IPs the account may have.
const STATIC_IP_LIMIT: usize = 4;

const CATALOGUE: Catalogue = Catalogue {
    regions: &[HOME, ELSEWHERE],
    sizes: &[("small", 1, 1024, 15), ("medium", 2, 4096, 50)],
    bases: &["debian-12", "debian-13"],
    zones: &[ZONE],
    static_ips: Some(STATIC_IP_LIMIT),
    load_balancers: None,
    certificates: &["conformance"],
};

const BALANCING: Balancing = Balancing {
    hidden_drain: None,
    passes_through: false,
    fails_open: false,
    named: true,
    unknown_for: Duration::from_secs(3),
};

const FLAVOUR: Flavour = Flavour {
    labelled_ips: true,
    labelled_captures: false,
    strict: true,
    checks: true,
    looks_first: true,
    request_ids: true,
    security_groups: true,
    balancing: BALANCING,
    page: PAGE,
    catalogue: CATALOGUE,
};

const PACE: Pace = Pace {
    launch: Duration::from_secs(30),
    destroy: Duration::from_secs(5),
    assign: Duration::from_secs(6),
    balance: Duration::from_secs(40),
    capture: Duration::from_secs(60),
    power: Duration::from_secs(8),
    copy: Duration::from_secs(120),
    travel: Duration::from_millis(20),
    lag: Duration::from_millis(100),
};

/// The limits of the cloud.
pub(crate) const LIMITS: Limits = Limits {
    user_data_bytes: 32 * 1024,
    launch_batch: 5,
    dns_min_ttl: Duration::from_secs(30),
    name_length: 63,
    launch_time: Duration::from_secs(20),
    capture_time: Duration::from_secs(30),
    assign_time: Duration::from_secs(2),
    balancer_time: Duration::from_secs(10),
    destroy_time: Duration::from_secs(2),
    settle_time: Duration::from_secs(10),
};

/// Everything but addresses of load balancers: these have host names, to which records lead that are aliases.
const CAPABILITIES: &[Capability] = &[
    Capability::ImageCopyRegions,
    Capability::InstanceLaunchBatch,
    Capability::InstanceConsole,
    Capability::InstanceRelabel,
    Capability::StaticIp,
    Capability::StaticIpReassign,
    Capability::StaticIpLabels,
    Capability::LoadBalancer,
    Capability::LoadBalancerHttp,
    Capability::LoadBalancerTargetPort,
    Capability::LoadBalancerDrain,
    Capability::Dns,
    Capability::DnsAlias,
    Capability::LoginKey,
    Capability::Marker,
    Capability::Strays,
];

/// Everything is declared that goes together; other descriptors are made from this one.
pub(crate) const WHOLE: Descriptor = Descriptor {
    id: "fake",
    title: "A cloud that does not exist",
    capabilities: CAPABILITIES,
    limits: LIMITS,
    guest: Guest::CLOUD_INIT,
};

/// Everything is declared.
pub(crate) static FULL: Descriptor = WHOLE;

/// Nothing is declared.
pub(crate) static MODEST: Descriptor =
    Descriptor { capabilities: &[], limits: Limits { launch_batch: 1, ..LIMITS }, ..WHOLE };

/// What the cloud brings: everything but machines that boot.
pub(crate) const SETTINGS: Settings = &[
    Setting::SecondRegion,
    Setting::Zone,
    Setting::Stranger,
    Setting::Another,
    Setting::LostReplies,
    Setting::StaticIpLimit,
];

/// A target on a new cloud. Its clients declare what the descriptor says, and are then made into others.
pub(crate) fn target(
    descriptor: &'static Descriptor,
    make: impl Fn(FakeCloud) -> Arc<dyn Provider> + Send + Sync + 'static,
) -> Target {
    let world = World::new(PACE, FLAVOUR);
    let interference = Arc::new(Between(Arc::clone(&world)));
    let client = move || FakeCloud::connect(&world, Actor("client".to_owned())).declaring(descriptor);
    let stranger = make(client().refused());
    let connect: Connect = Arc::new(move || make(client()));
    Target {
        second_region: Some(ELSEWHERE.into()),
        zone: Some(ZONE.to_owned()),
        stranger: Some(stranger),
        boots: false,
        interference: Some(interference),
        static_ip_limit: u64::try_from(STATIC_IP_LIMIT).ok(),
        poll: Duration::from_secs(2),
        another: Some(Arc::clone(&connect)),
        ..Target::new(connect(), HOME.into(), "small".into(), "debian-12")
    }
}

/// An error of a call that changed nothing.
pub(crate) fn refusal(kind: ErrorKind, operation: &'static str, message: impl Into<String>) -> Error {
    Error::new(kind, operation, message)
}

/// The error of a call about something that is not there.
pub(crate) fn not_found(operation: &'static str, what: impl std::fmt::Display) -> Error {
    refusal(ErrorKind::NotFound, operation, "there is no such thing").with_resource(what)
}

/// What the cloud calls the request whose reply may be lost.
pub(crate) fn operation(call: LostReply) -> &'static str {
    match call {
        LostReply::Launch => "launch",
        LostReply::Power => "power",
        LostReply::Destroy => "destroy",
        LostReply::Label => "label",
        LostReply::Capture => "start capture",
        LostReply::DeleteImage => "delete image",
        LostReply::CopyImage => "copy image",
        LostReply::EnsureStaticIp => "ensure static IP",
        LostReply::AssignStaticIp => "assign",
        LostReply::ReleaseStaticIp => "release",
        LostReply::UpsertRecord => "upsert record",
        LostReply::RemoveRecord => "remove record",
        LostReply::EnsureLoginKey => "ensure login key",
        LostReply::EnsureLoadBalancer => "ensure load balancer",
        LostReply::AttachMembers => "attach members",
        LostReply::DetachMembers => "detach members",
        LostReply::DestroyLoadBalancer => "destroy load balancer",
    }
}

/// Gets between the cloud and its clients.
struct Between(Arc<World>);

#[async_trait]
impl Interference for Between {
    async fn lose_next(&self, reply: LostReply) -> Result<(), String> {
        self.0.lose_next(operation(reply));
        Ok(())
    }

    async fn refuse_next(&self, call: LostReply, refusal: Refusal, times: u64) -> Result<(), String> {
        let kind = match refusal {
            Refusal::RateLimited => ErrorKind::RateLimited,
            Refusal::Unavailable => ErrorKind::Unavailable,
        };
        self.0.refuse_next(operation(call), kind, times);
        Ok(())
    }

    async fn recover(&self) -> Result<(), String> {
        self.0.recover();
        Ok(())
    }

    async fn lost(&self) -> Result<u64, String> {
        Ok(self.0.hits())
    }
}
