//! What there can be none of in the sandbox: operations whose answer is always empty.

use super::request::Query;
use crate::{reply::Answer, xml::Xml};
use remint_sandbox_cloud::ApiResult;

/// How many items a page has at most.
const PAGE: usize = 100;

/// How such an answer looks: a list without pages, one with pages of which the answer says whether more follow, one with a size of
/// pages only, or a count.
#[derive(Clone, Copy)]
enum Shape {
    List,
    Pages,
    Sized,
    Count,
}

const NONE: [(&str, &str, Shape); 10] = [
    ("GetHealthCheckCount", "HealthCheckCount", Shape::Count),
    ("GetTrafficPolicyInstanceCount", "TrafficPolicyInstanceCount", Shape::Count),
    ("ListCidrCollections", "CidrCollections", Shape::List),
    ("ListHealthChecks", "HealthChecks", Shape::Pages),
    ("ListHostedZonesByVPC", "HostedZoneSummaries", Shape::Sized),
    ("ListQueryLoggingConfigs", "QueryLoggingConfigs", Shape::List),
    ("ListReusableDelegationSets", "DelegationSets", Shape::Pages),
    ("ListTrafficPolicies", "TrafficPolicySummaries", Shape::Pages),
    ("ListTrafficPolicyInstances", "TrafficPolicyInstances", Shape::Pages),
    ("ListTrafficPolicyInstancesByHostedZone", "TrafficPolicyInstances", Shape::Pages),
];

/// Whether an operation is one of these.
pub(super) fn is_known(operation: &str) -> bool {
    NONE.iter().any(|(name, ..)| *name == operation)
}

/// Answers one of these.
pub(super) fn answer(operation: &str, query: &Query) -> ApiResult<Answer> {
    let mut xml = Xml::default();
    let most = query.max_items(PAGE)?;
    for (_, element, shape) in NONE.iter().filter(|(name, ..)| *name == operation) {
        match shape {
            Shape::Count => xml.text(element, 0),
            Shape::List => xml.node(element, |_| {}),
            Shape::Sized => xml.node(element, |_| {}).text("MaxItems", most),
            Shape::Pages => {
                xml.node(element, |_| {}).maybe("Marker", query.get("marker")).text("IsTruncated", false);
                xml.text("MaxItems", most)
            }
        };
    }
    Ok(Answer::Xml(xml))
}
