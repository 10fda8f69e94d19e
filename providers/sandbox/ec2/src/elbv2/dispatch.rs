//! The operations: what each takes, and where it is answered.

use super::{attributes, balancers, health, limits, listeners, tags, target_groups, targets};
use crate::{
    call::Call,
    reply::{refuse, unknown_action},
    xml::Xml,
};
use remint_sandbox_cloud::ApiResult;

type Run = fn(&Call<'_>, &mut Xml) -> ApiResult<()>;

const TAGS: &str = "Tags.member.N.Key Tags.member.N.Value";
const PAGED: &str = "Marker PageSize";
const CHECK: &str = "HealthCheckProtocol HealthCheckPort HealthCheckEnabled=true HealthCheckPath HealthCheckIntervalSeconds \
                     HealthCheckTimeoutSeconds HealthyThresholdCount UnhealthyThresholdCount Matcher.HttpCode";
const LISTENER: &str = "Port Protocol DefaultActions.member.N.Type DefaultActions.member.N.Order \
                        DefaultActions.member.N.TargetGroupArn \
                        DefaultActions.member.N.ForwardConfig.TargetGroups.member.N.TargetGroupArn \
                        DefaultActions.member.N.ForwardConfig.TargetGroups.member.N.Weight \
                        DefaultActions.member.N.ForwardConfig.TargetGroupStickinessConfig.Enabled=false \
                        Certificates.member.N.CertificateArn SslPolicy";

/// The operations that answer at once, and the parameters that each takes: see [`Params::only`](crate::query::Params::only).
const OPERATIONS: &[(&str, &[&str], Run)] = &[
    ("DescribeLoadBalancers", &[PAGED, "LoadBalancerArns.member.N Names.member.N"], balancers::describe),
    ("SetSecurityGroups", &["LoadBalancerArn SecurityGroups.member.N"], balancers::set_groups),
    (
        "SetSubnets",
        &["LoadBalancerArn Subnets.member.N SubnetMappings.member.N.SubnetId IpAddressType=ipv4"],
        balancers::set_subnets,
    ),
    ("DescribeLoadBalancerAttributes", &["LoadBalancerArn"], attributes::describe_balancer),
    (
        "ModifyLoadBalancerAttributes",
        &["LoadBalancerArn Attributes.member.N.Key Attributes.member.N.Value"],
        attributes::modify_balancer,
    ),
    (
        "CreateTargetGroup",
        &[TAGS, CHECK, "Name Protocol ProtocolVersion=HTTP1 Port VpcId TargetType=instance IpAddressType=ipv4"],
        target_groups::create,
    ),
    (
        "DescribeTargetGroups",
        &[PAGED, "LoadBalancerArn TargetGroupArns.member.N Names.member.N"],
        target_groups::describe,
    ),
    ("ModifyTargetGroup", &[CHECK, "TargetGroupArn"], target_groups::modify),
    ("DeleteTargetGroup", &["TargetGroupArn"], target_groups::delete),
    ("DescribeTargetGroupAttributes", &["TargetGroupArn"], attributes::describe_group),
    (
        "ModifyTargetGroupAttributes",
        &["TargetGroupArn Attributes.member.N.Key Attributes.member.N.Value"],
        attributes::modify_group,
    ),
    ("CreateListener", &[TAGS, LISTENER, "LoadBalancerArn"], listeners::create),
    ("DescribeListeners", &[PAGED, "LoadBalancerArn ListenerArns.member.N"], listeners::describe),
    ("ModifyListener", &[LISTENER, "ListenerArn"], listeners::modify),
    ("DeleteListener", &["ListenerArn"], listeners::delete),
    ("RegisterTargets", &["TargetGroupArn Targets.member.N.Id Targets.member.N.Port"], targets::register),
    ("DeregisterTargets", &["TargetGroupArn Targets.member.N.Id Targets.member.N.Port"], targets::deregister),
    ("AddTags", &[TAGS, "ResourceArns.member.N"], tags::add),
    ("RemoveTags", &["ResourceArns.member.N TagKeys.member.N"], tags::remove),
    ("DescribeTags", &["ResourceArns.member.N"], tags::describe),
    ("DescribeAccountLimits", &[PAGED], limits::describe),
];

/// The parameters of the operations that wait.
const CREATE: &str = "Name Subnets.member.N SubnetMappings.member.N.SubnetId SecurityGroups.member.N Scheme=internet-facing \
                      Type IpAddressType=ipv4";
const HEALTH: &str = "TargetGroupArn Targets.member.N.Id Targets.member.N.Port";
const DELETE: &str = "LoadBalancerArn";

/// The only version of the API that the sandbox has.
const VERSION: &str = "2015-12-01";

/// Answers a call.
pub(crate) async fn answer(call: &Call<'_>, xml: &mut Xml) -> ApiResult<()> {
    let operation = call.operation;
    if operation.is_empty() {
        return Err(refuse("MissingAction", "The request must contain the parameter Action"));
    }
    if let Some(other) = call.params.get("Version").filter(|version| *version != VERSION) {
        let message = format!(
            "The sandbox does not have version {other} of the service elasticloadbalancing: it has application and network \
             load balancers, which are version {VERSION}."
        );
        return Err(remint_sandbox_cloud::ApiError { status: 501, id: "NotImplemented", message });
    }
    match operation {
        "DescribeTargetHealth" => {
            call.params.only(operation, &[HEALTH])?;
            health::describe(call, xml).await
        }
        "CreateLoadBalancer" => {
            call.params.only(operation, &[TAGS, CREATE])?;
            balancers::create(call, xml).await
        }
        "DeleteLoadBalancer" => {
            call.params.only(operation, &[DELETE])?;
            balancers::delete(call).await
        }
        _ => {
            let known = OPERATIONS.iter().find(|(name, ..)| *name == operation);
            let (_, taken, run) = known.ok_or_else(|| unknown_action(operation))?;
            call.params.only(operation, taken)?;
            run(call, xml)
        }
    }
}
