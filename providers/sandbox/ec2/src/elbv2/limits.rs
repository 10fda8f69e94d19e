//! The account's limits.

use super::{balancers, listeners, read::page, target_groups, targets};
use crate::{call::Call, xml::Xml};
use remint_sandbox_cloud::ApiResult;

/// `DescribeAccountLimits`.
pub(super) fn describe(call: &Call<'_>, xml: &mut Xml) -> ApiResult<()> {
    let all = vec![
        ("application-load-balancers", balancers::MOST),
        ("listeners-per-application-load-balancer", listeners::MOST),
        ("listeners-per-network-load-balancer", listeners::MOST),
        ("network-load-balancers", balancers::MOST),
        ("target-groups", target_groups::MOST),
        ("targets-per-application-load-balancer", targets::MOST),
        ("targets-per-network-load-balancer", targets::MOST),
    ];
    page(call, xml, "Limits", all, |xml, (name, most)| {
        xml.text("Name", name).text("Max", most);
    })
}
