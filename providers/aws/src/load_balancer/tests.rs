//! What the tests of load balancers share: a load balancer as the APIs show it, and servers that have one.

use std::time::Duration;

use remint_core::provider::{
    CheckProtocol, ErrorKind, InstanceId, Listener, ListenerProtocol, LoadBalancerId, LoadBalancerSettings,
    LoadBalancerSpec, LoadBalancers, MemberCheck, label,
};
use wiremock::{MockServer, ResponseTemplate};

use super::*;
use crate::testing::{actions, ec2, elb, elb_refusal, field, forms, provider, refusal, serve};

mod destroy;
mod ensure;
mod members;
mod refused;

const NAME: &str = "remint-0123456789abcdef";
const ENVIRONMENT: &str = "0123456789abcdef";
const ARN: &str =
    "arn:aws:elasticloadbalancing:us-east-1:123456789012:loadbalancer/net/remint-0123456789abcdef/50dc6c495c0c9188";
const APPLICATION: &str =
    "arn:aws:elasticloadbalancing:us-east-1:123456789012:loadbalancer/app/remint-0123456789abcdef/50dc6c495c0c9188";
const HOST: &str = "remint-0123456789abcdef-50dc6c495c0c9188.elb.us-east-1.amazonaws.com";
const FIREWALL: &str = "sg-0a1b2c3d";
const ONE: &str = "i-0000000000000001";
const TWO: &str = "i-0000000000000002";
/// How long a Network Load Balancer's targets drain in addition, in seconds.
const LATE: u64 = 120;

fn spec() -> LoadBalancerSpec {
    let check = MemberCheck {
        protocol: CheckProtocol::Http { path: "/health".to_owned() },
        port: 8080,
        interval: Duration::from_secs(10),
        timeout: Duration::from_secs(5),
        healthy: 3,
        unhealthy: 5,
    };
    let listener = Listener { port: 80, protocol: ListenerProtocol::Tcp, target_port: 8080, certificate: None };
    let sources = ["192.0.2.0/24", "2001:db8::/32"].map(|net| net.parse().unwrap()).to_vec();
    let drain = Some(Duration::from_secs(30));
    LoadBalancerSpec {
        name: NAME.to_owned(),
        labels: Labels::new().with(label::SERVICE, "app").with(label::ENV_ID, ENVIRONMENT),
        region: Region::new("us-east-1"),
        settings: LoadBalancerSettings { listeners: vec![listener], check, drain, sources },
    }
}

/// The same for requests.
fn requests() -> LoadBalancerSpec {
    let mut spec = spec();
    spec.settings.listeners[0].protocol = ListenerProtocol::Http;
    spec
}

fn id() -> LoadBalancerId {
    LoadBalancerId::new(ARN)
}

fn ids(ids: &[&str]) -> Vec<InstanceId> {
    ids.iter().map(|id| InstanceId::new(*id)).collect()
}

/// The ARN of the target group of a port.
fn group_arn(port: u16) -> String {
    format!("arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/{NAME}-{port}/73e2d6bc24d8a067")
}

fn shown(arn: &str, state: &str) -> String {
    let kind = if arn == APPLICATION { "application" } else { "network" };
    format!(
        "<member><LoadBalancerArn>{arn}</LoadBalancerArn><LoadBalancerName>{NAME}</LoadBalancerName><Type>{kind}</Type>\
         <DNSName>{HOST}</DNSName><VpcId>vpc-0a1b2c3d</VpcId><State><Code>{state}</Code></State>\
         <SecurityGroups><member>{FIREWALL}</member></SecurityGroups></member>"
    )
}

fn balancers(items: &[String]) -> ResponseTemplate {
    elb("DescribeLoadBalancers", &format!("<LoadBalancers>{}</LoadBalancers>", items.concat()))
}

fn made(arn: &str) -> ResponseTemplate {
    let item = shown(arn, "provisioning");
    elb("CreateLoadBalancer", &format!("<LoadBalancers>{item}</LoadBalancers>"))
}

fn no_balancer() -> ResponseTemplate {
    elb_refusal("LoadBalancerNotFound")
}

fn tags_of(arn: &str, environment: &str) -> ResponseTemplate {
    let tag = |key: &str, value: &str| format!("<member><Key>{key}</Key><Value>{value}</Value></member>");
    let tags = [tag(label::SERVICE, "app"), tag(label::ENV_ID, environment)].concat();
    let one = format!("<member><ResourceArn>{arn}</ResourceArn><Tags>{tags}</Tags></member>");
    elb("DescribeTags", &format!("<TagDescriptions>{one}</TagDescriptions>"))
}

fn listener(port: u16, target: u16) -> String {
    format!(
        "<member><ListenerArn>listener-{port}</ListenerArn><Port>{port}</Port><Protocol>TCP</Protocol><DefaultActions>\
         <member><Type>forward</Type><TargetGroupArn>{}</TargetGroupArn></member></DefaultActions></member>",
        group_arn(target)
    )
}

fn listeners(items: &[String]) -> ResponseTemplate {
    elb("DescribeListeners", &format!("<Listeners>{}</Listeners>", items.concat()))
}

fn group(port: u16, balancer: &str) -> String {
    let used = if balancer.is_empty() { String::new() } else { format!("<member>{balancer}</member>") };
    format!(
        "<member><TargetGroupArn>{}</TargetGroupArn><TargetGroupName>{NAME}-{port}</TargetGroupName><Protocol>TCP</Protocol>\
         <Port>{port}</Port><HealthCheckProtocol>HTTP</HealthCheckProtocol><HealthCheckPort>8080</HealthCheckPort>\
         <HealthCheckPath>/health</HealthCheckPath><Matcher><HttpCode>200-299</HttpCode></Matcher>\
         <HealthCheckIntervalSeconds>10</HealthCheckIntervalSeconds><HealthCheckTimeoutSeconds>5</HealthCheckTimeoutSeconds>\
         <HealthyThresholdCount>3</HealthyThresholdCount><UnhealthyThresholdCount>5</UnhealthyThresholdCount>\
         <LoadBalancerArns>{used}</LoadBalancerArns></member>",
        group_arn(port)
    )
}

fn groups(items: &[String]) -> ResponseTemplate {
    elb("DescribeTargetGroups", &format!("<TargetGroups>{}</TargetGroups>", items.concat()))
}

fn new_group(port: u16) -> ResponseTemplate {
    elb("CreateTargetGroup", &format!("<TargetGroups>{}</TargetGroups>", group(port, "")))
}

fn attributes(delay: u64) -> ResponseTemplate {
    let pairs = [
        ("deregistration_delay.timeout_seconds", delay.to_string()),
        ("deregistration_delay.connection_termination.enabled", "true".to_owned()),
    ];
    let one = |(key, value)| format!("<member><Key>{key}</Key><Value>{value}</Value></member>");
    let all = pairs.map(one).concat();
    elb("DescribeTargetGroupAttributes", &format!("<Attributes>{all}</Attributes>"))
}

fn crosses_zones(does: bool) -> ResponseTemplate {
    let one = format!("<member><Key>load_balancing.cross_zone.enabled</Key><Value>{does}</Value></member>");
    elb("DescribeLoadBalancerAttributes", &format!("<Attributes>{one}</Attributes>"))
}

fn health(targets: &[(&str, &str)]) -> ResponseTemplate {
    let one = |(id, state): &(&str, &str)| {
        format!("<member><Target><Id>{id}</Id></Target><TargetHealth><State>{state}</State></TargetHealth></member>")
    };
    let all = targets.iter().map(one).collect::<String>();
    elb("DescribeTargetHealth", &format!("<TargetHealthDescriptions>{all}</TargetHealthDescriptions>"))
}

/// The load balancer's security group, which opens these ports to the sources of [`spec`].
fn firewall(ports: &[u16]) -> ResponseTemplate {
    let rule = |port: &u16| {
        format!(
            "<item><ipProtocol>tcp</ipProtocol><fromPort>{port}</fromPort><toPort>{port}</toPort><ipRanges><item>\
             <cidrIp>192.0.2.0/24</cidrIp></item></ipRanges><ipv6Ranges><item><cidrIpv6>2001:db8::/32</cidrIpv6></item>\
             </ipv6Ranges></item>"
        )
    };
    let rules = ports.iter().map(rule).collect::<String>();
    ec2(
        "DescribeSecurityGroups",
        &format!(
            "<securityGroupInfo><item><groupId>{FIREWALL}</groupId><groupName>remint-lb-{ENVIRONMENT}</groupName>\
             <ipPermissions>{rules}</ipPermissions></item></securityGroupInfo>"
        ),
    )
}

fn no_firewall() -> ResponseTemplate {
    ec2("DescribeSecurityGroups", "<securityGroupInfo/>")
}

fn interfaces() -> ResponseTemplate {
    let one = |ip: &str| format!("<item><association><publicIp>{ip}</publicIp></association></item>");
    let all = [one("203.0.113.9"), one("203.0.113.8"), "<item/>".to_owned()].concat();
    ec2("DescribeNetworkInterfaces", &format!("<networkInterfaceSet>{all}</networkInterfaceSet>"))
}

/// What the mock serves of a load balancer that is as [`spec`] asks.
async fn serve_parts(server: &MockServer) {
    serve(server, "DescribeTags", vec![tags_of(ARN, ENVIRONMENT)]).await;
    serve(server, "DescribeListeners", vec![listeners(&[listener(80, 8080)])]).await;
    serve(server, "DescribeTargetGroups", vec![groups(&[group(8080, ARN)])]).await;
    serve(server, "DescribeTargetGroupAttributes", vec![attributes(30 + LATE)]).await;
    serve(server, "DescribeLoadBalancerAttributes", vec![crosses_zones(true)]).await;
    serve(server, "DescribeSecurityGroups", vec![firewall(&[80])]).await;
    serve(server, "DescribeNetworkInterfaces", vec![interfaces()]).await;
}

/// A server with a load balancer that is as [`spec`] asks.
async fn standing() -> MockServer {
    let server = MockServer::start().await;
    serve(&server, "DescribeLoadBalancers", vec![balancers(&[shown(ARN, "active")])]).await;
    serve_parts(&server).await;
    server
}

/// Serves changes, which all succeed.
async fn accept(server: &MockServer, changes: &[&str]) {
    for action in changes {
        serve(server, action, vec![elb(action, "")]).await;
    }
}

async fn accept_rules(server: &MockServer) {
    for action in ["AuthorizeSecurityGroupIngress", "RevokeSecurityGroupIngress", "DeleteSecurityGroup"] {
        serve(server, action, vec![ec2(action, "<return>true</return>")]).await;
    }
}

/// The changes that were asked for, in order.
async fn changes(server: &MockServer) -> Vec<String> {
    actions(server).await.into_iter().filter(|action| !action.starts_with("Describe")).collect()
}
