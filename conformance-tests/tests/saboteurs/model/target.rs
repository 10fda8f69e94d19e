//! A target around the model.

use std::{sync::Arc, time::Duration};

use remint_conformance::{Connect, Setting, Settings, Target};
use remint_core::provider::Provider;

use super::{
    Cloud, ELSEWHERE, HOME,
    cloud::{BASES, SIZES, STATIC_IP_LIMIT, ZONE},
};

/// What the model brings: everything but machines that boot.
pub(crate) const SETTINGS: Settings = &[
    Setting::SecondRegion,
    Setting::Zone,
    Setting::Stranger,
    Setting::Another,
    Setting::LostReplies,
    Setting::StaticIpLimit,
];

/// A target on a cloud: clients are made by `connect`, and `stranger` is one that the cloud refuses.
pub(crate) fn target(cloud: Arc<Cloud>, connect: Connect, stranger: Arc<dyn Provider>) -> Target {
    Target {
        second_region: Some(ELSEWHERE.into()),
        zone: Some(ZONE.to_owned()),
        stranger: Some(stranger),
        boots: false,
        interference: Some(cloud),
        static_ip_limit: u64::try_from(STATIC_IP_LIMIT).ok(),
        poll: Duration::from_secs(2),
        another: Some(Arc::clone(&connect)),
        ..Target::new(connect(), HOME.into(), SIZES[0].0.into(), BASES[0])
    }
}
