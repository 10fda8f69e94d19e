//! What the ARN of a load balancer says: `arn:aws:elasticloadbalancing:REGION:ACCOUNT:loadbalancer/app/NAME/ID`.

use remint_core::provider::Region;

use super::Kind;
use crate::config::check_region;

/// The ARN of a load balancer of a kind that Remint creates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Arn<'a> {
    pub(crate) text: &'a str,
    pub(crate) region: Region,
    /// `app/NAME/ID`, as its network interfaces have it in their descriptions.
    pub(super) path: &'a str,
    pub(super) kind: Kind,
    pub(crate) name: &'a str,
}

impl<'a> Arn<'a> {
    /// `None` for what is no such ARN.
    pub(crate) fn parse(text: &'a str) -> Option<Self> {
        let mut parts = text.splitn(6, ':');
        let (arn, partition, service) = (parts.next()?, parts.next()?, parts.next()?);
        let (region, account, resource) = (Region::from(parts.next()?), parts.next()?, parts.next()?);
        let path = resource.strip_prefix("loadbalancer/")?;
        let mut names = path.split('/');
        let (kind, name, id) = (names.next()?, names.next()?, names.next()?);
        let plain = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        let fits = arn == "arn"
            && partition.starts_with("aws")
            && service == "elasticloadbalancing"
            && [partition, account, name, id].into_iter().all(plain)
            && names.next().is_none()
            && check_region(&region).is_ok();
        let kind = match kind {
            "app" => Kind::Application,
            "net" => Kind::Network,
            _ => return None,
        };
        fits.then_some(Self { text, region, path, kind, name })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arn_says_where_it_is_and_what() {
        let text =
            "arn:aws:elasticloadbalancing:eu-central-1:123456789012:loadbalancer/net/remint-0a1b/50dc6c495c0c9188";
        let arn = Arn::parse(text).unwrap();
        assert_eq!((arn.region.as_str(), arn.kind, arn.name), ("eu-central-1", Kind::Network, "remint-0a1b"));
        assert_eq!(arn.path, "net/remint-0a1b/50dc6c495c0c9188");
        for wrong in [
            "no-such-balancer",
            "../account",
            "arn:aws:elasticloadbalancing:evil.example/:123456789012:loadbalancer/net/remint-0a1b/50dc6c495c0c9188",
            "arn:aws:elasticloadbalancing:eu-central-1:123456789012:loadbalancer/gwy/remint-0a1b/50dc6c495c0c9188",
            "arn:aws:elasticloadbalancing:eu-central-1:123456789012:loadbalancer/remint-0a1b",
            "arn:aws:elasticloadbalancing:eu-central-1:123456789012:targetgroup/remint-0a1b/50dc6c495c0c9188",
            "arn:aws:elasticloadbalancing:eu-central-1:123456789012:loadbalancer/app/remint-0a1b/50dc/more",
        ] {
            assert_eq!(Arn::parse(wrong), None, "{wrong}");
        }
    }
}
