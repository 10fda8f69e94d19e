//! What a load balancer is made of.

use std::{collections::BTreeMap, net::IpAddr, time::Duration};

use aws_sdk_ec2::types::SecurityGroup;
use aws_sdk_elasticloadbalancingv2::types::{Listener, TargetGroup};

use super::Body;

/// How long a target that was deregistered is shown, in seconds.
pub(super) const DELAY: &str = "deregistration_delay.timeout_seconds";

/// A load balancer, and what it is made of.
#[derive(Debug)]
pub(super) struct Parts {
    pub(super) body: Body,
    pub(super) listeners: Vec<Listener>,
    /// Those that its listeners lead to, by their ports.
    pub(super) groups: Vec<Group>,
    pub(super) firewall: Vec<SecurityGroup>,
    /// Where it can be reached now, in order.
    pub(super) addresses: Vec<IpAddr>,
}

/// A target group.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) body: TargetGroup,
    pub(super) attributes: BTreeMap<String, String>,
}

impl Group {
    pub(super) fn arn(&self) -> &str {
        self.body.target_group_arn().unwrap_or_default()
    }

    pub(super) fn name(&self) -> &str {
        self.body.target_group_name().unwrap_or_default()
    }

    /// How long a target that was deregistered is shown.
    pub(super) fn delay(&self) -> Option<Duration> {
        Some(Duration::from_secs(self.attributes.get(DELAY)?.parse().ok()?))
    }
}

impl Parts {
    pub(super) fn arn(&self) -> &str {
        self.body.load_balancer_arn().unwrap_or_default()
    }
}
