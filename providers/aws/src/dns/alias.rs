//! Aliases: record sets that lead to a load balancer of the account by its host name.
//!
//! Route 53 needs the zone of the host name, which only the load balancer itself tells. It is looked for in the region that the host
//! name holds: `NAME-ID.REGION.elb.amazonaws.com` for an Application Load Balancer, `NAME-ID.elb.REGION.amazonaws.com` for a Network
//! Load Balancer.

use std::time::Duration;

use aws_sdk_route53::types::AliasTarget;
use remint_core::provider::{Error, ErrorKind, Region, Result};

use crate::Aws;

/// How long resolvers keep what an alias of a load balancer answers.
pub(super) const TTL: Duration = Duration::from_secs(60);

/// Whether a label of a host name is written as a region: `us-east-1`, `us-gov-west-1`.
fn is_region(label: &str) -> bool {
    let parts: Vec<&str> = label.split('-').collect();
    let [first, middle @ .., last] = parts.as_slice() else { return false };
    let letters = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_lowercase());
    first.len() == 2
        && letters(first)
        && (1..=2).contains(&middle.len())
        && middle.iter().all(|part| letters(part))
        && (1..=2).contains(&last.len())
        && last.bytes().all(|byte| byte.is_ascii_digit())
}

/// The region that the host name of a load balancer holds.
fn region_of(host: &str) -> Option<Region> {
    let labels: Vec<&str> = host.split('.').collect();
    let place = labels.iter().position(|label| *label == "elb")?;
    // A load balancer may have any name, one that is written as a region included: it comes before.
    let around = [Some(place + 1), place.checked_sub(1)].into_iter().flatten();
    let label = around.filter_map(|place| labels.get(place)).find(|label| is_region(label))?;
    Some(Region::from(*label))
}

impl Aws {
    /// Where an alias of a host name leads; one call for each region that is looked at. Load balancers have no health in DNS
    /// here: one that is there is answered.
    pub(super) async fn alias_target(&self, operation: &'static str, host: &str) -> Result<AliasTarget> {
        let regions = match region_of(host) {
            Some(region) => vec![region],
            None => self.all_places(operation)?,
        };
        for region in &regions {
            let all = self.region_balancers(operation, region).await?;
            let is_it = |name: &str| name.eq_ignore_ascii_case(host);
            let found = all.iter().find(|body| body.dns_name().is_some_and(is_it));
            let Some(zone) = found.and_then(|body| body.canonical_hosted_zone_id()) else { continue };
            let target = AliasTarget::builder().hosted_zone_id(zone).dns_name(host).evaluate_target_health(false);
            return target.build().map_err(|error| {
                Error::new(ErrorKind::InvalidInput, operation, "the alias cannot be built").with_source(error)
            });
        }
        let places: Vec<&str> = regions.iter().map(Region::as_str).collect();
        let message = format!("the account has no load balancer of this host name in {}", places.join(", "));
        Err(Error::new(ErrorKind::InvalidInput, operation, message)
            .with_resource(host)
            .with_hint("an alias leads to a load balancer of the account; use a CNAME record for other hosts"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_name_of_a_load_balancer_holds_its_region() {
        for (host, region) in [
            ("remint-0a1b2c3d4e5f6071-123456789.eu-central-1.elb.amazonaws.com", Some("eu-central-1")),
            ("remint-0a1b2c3d4e5f6071-50dc6c495c0c9188.elb.us-gov-west-1.amazonaws.com", Some("us-gov-west-1")),
            ("my-app-12.elb.cn-north-1.amazonaws.com.cn", Some("cn-north-1")),
            ("www.example.com", None),
            ("elb", None),
        ] {
            assert_eq!(region_of(host).as_ref().map(Region::as_str), region, "{host}");
        }
    }
}
