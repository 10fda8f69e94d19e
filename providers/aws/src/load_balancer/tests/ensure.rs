use remint_core::provider::{Address, Endpoint, LoadBalancerState};

use super::*;
use crate::testing::{drop_once_asked, instance, instances, serve_late, serve_network};

#[tokio::test]
async fn one_that_is_as_asked_is_left_alone_and_shown_as_it_is() {
    let server = standing().await;
    let aws = provider(&server);
    let found = aws.ensure(&spec()).await.unwrap();
    assert_eq!(changes(&server).await, <[&str; 0]>::default());
    assert_eq!((found.id, found.name.as_str(), found.state), (id(), NAME, LoadBalancerState::Active));
    assert!(found.settings.is_as(&spec().settings), "{:?}", found.settings);
    let Some(Endpoint::Host { name, addresses }) = found.endpoint else { panic!("no host name") };
    let ips: Vec<String> = addresses.iter().map(|address: &Address| address.ip.to_string()).collect();
    assert_eq!((name.as_str(), ips), (HOST, vec!["203.0.113.8".to_owned(), "203.0.113.9".to_owned()]));
    let form = forms(&server, "DescribeNetworkInterfaces").await.remove(0);
    assert_eq!(field(&form, "Filter.1.Value.1").unwrap(), "ELB%20net%2Fremint-0123456789abcdef%2F50dc6c495c0c9188");
    assert_eq!(aws.get(&id()).await.unwrap(), aws.list("remint-").await.unwrap().remove(0));
    assert_eq!(aws.list("remint-1").await.unwrap(), []);
}

/// A server on which a load balancer can be created; it is shown once it was.
async fn empty(arn: &str, shows: Vec<ResponseTemplate>) -> MockServer {
    let server = MockServer::start().await;
    serve(&server, "DescribeLoadBalancers", shows).await;
    serve(&server, "DescribeTags", vec![tags_of(arn, ENVIRONMENT)]).await;
    serve(&server, "DescribeListeners", vec![listeners(&[])]).await;
    serve(&server, "DescribeTargetGroups", vec![groups(&[]), elb_refusal("TargetGroupNotFound"), groups(&[])]).await;
    serve(&server, "DescribeSecurityGroups", vec![no_firewall(), firewall(&[80])]).await;
    serve(&server, "DescribeNetworkInterfaces", vec![ec2("DescribeNetworkInterfaces", "<networkInterfaceSet/>")]).await;
    serve_network(&server).await;
    let created = format!("<groupId>{FIREWALL}</groupId>");
    serve(&server, "CreateSecurityGroup", vec![ec2("CreateSecurityGroup", &created)]).await;
    serve(&server, "CreateTargetGroup", vec![new_group(8080)]).await;
    serve(&server, "DescribeTargetGroupAttributes", vec![attributes(30 + LATE)]).await;
    accept_rules(&server).await;
    serve(&server, "DescribeLoadBalancerAttributes", vec![crosses_zones(false)]).await;
    accept(&server, &["ModifyLoadBalancerAttributes", "ModifyTargetGroupAttributes", "CreateListener"]).await;
    server
}

#[tokio::test]
async fn what_is_missing_is_created_with_all_its_parts() {
    let server = empty(ARN, vec![no_balancer()]).await;
    serve(&server, "CreateLoadBalancer", vec![made(ARN)]).await;
    let found = provider(&server).ensure(&spec()).await.unwrap();
    assert_eq!((found.state, found.endpoint), (LoadBalancerState::Pending, None), "nothing answers yet");
    let wanted = [
        "CreateSecurityGroup",
        "AuthorizeSecurityGroupIngress",
        "CreateLoadBalancer",
        "ModifyLoadBalancerAttributes",
        "CreateTargetGroup",
        "ModifyTargetGroupAttributes",
        "CreateListener",
    ];
    assert_eq!(changes(&server).await, wanted);
    let form = async |action: &str| forms(&server, action).await.remove(0);
    let balancer = form("CreateLoadBalancer").await;
    for (name, value) in [
        ("Name", NAME),
        ("Type", "network"),
        ("Subnets.member.1", "subnet-0000000a"),
        ("Subnets.member.2", "subnet-0000000b"),
        ("SecurityGroups.member.1", FIREWALL),
        ("Tags.member.1.Value", ENVIRONMENT),
    ] {
        assert_eq!(field(&balancer, name).as_deref(), Some(value), "{name}: {balancer}");
    }
    let group = form("CreateTargetGroup").await;
    for (name, value) in [
        ("Name", "remint-0123456789abcdef-8080"),
        ("Protocol", "TCP"),
        ("TargetType", "instance"),
        ("HealthCheckProtocol", "HTTP"),
        ("HealthCheckPath", "%2Fhealth"),
        ("Matcher.HttpCode", "200-299"),
        ("Tags.member.1.Value", ENVIRONMENT),
    ] {
        assert_eq!(field(&group, name).as_deref(), Some(value), "{name}: {group}");
    }
    let attributes = form("ModifyTargetGroupAttributes").await;
    assert!(attributes.contains("timeout_seconds&Attributes.member.1.Value=150&"), "{attributes}");
    let crossing = form("ModifyLoadBalancerAttributes").await;
    assert!(crossing.contains("load_balancing.cross_zone.enabled&Attributes.member.1.Value=true"), "{crossing}");
    let listener = form("CreateListener").await;
    assert_eq!((field(&listener, "Port").unwrap(), field(&listener, "Protocol").unwrap()), ("80".into(), "TCP".into()));
    let group = form("CreateSecurityGroup").await;
    assert_eq!(field(&group, "GroupName").as_deref(), Some("remint-lb-0123456789abcdef"));
    assert!(group.contains(ENVIRONMENT) && form("AuthorizeSecurityGroupIngress").await.contains("192.0.2.0%2F24"));
}

/// Lists show it late.
#[tokio::test]
async fn a_target_group_that_was_just_created_gets_members() {
    let server = empty(ARN, vec![no_balancer()]).await;
    serve(&server, "CreateLoadBalancer", vec![made(ARN)]).await;
    serve(&server, "DescribeTargetHealth", vec![health(&[])]).await;
    serve(&server, "DescribeInstances", vec![instances(&[instance(ONE, "app-7-0", "running", "")])]).await;
    accept(&server, &["RegisterTargets", "DeleteTargetGroup"]).await;
    let aws = provider(&server);
    aws.ensure(&spec()).await.unwrap();
    aws.attach(&id(), &ids(&[ONE])).await.unwrap();
    let registered = forms(&server, "RegisterTargets").await.remove(0);
    assert!(registered.contains("-8080") && registered.contains(ONE), "{registered}");
    aws.delete_group(DESTROY, &Region::new("us-east-1"), &group_arn(8080)).await.unwrap();
    assert_eq!(aws.members(&id()).await.unwrap(), [], "nothing is asked of one that was deleted");
    assert_eq!(forms(&server, "DescribeTargetHealth").await.len(), 1);
}

#[tokio::test]
async fn one_whose_reply_is_lost_is_found_by_its_name() {
    let server = empty(ARN, vec![no_balancer(), balancers(&[shown(ARN, "provisioning")])]).await;
    serve(&server, "CreateLoadBalancer", vec![refusal(503, "Unavailable", "")]).await;
    assert_eq!(provider(&server).ensure(&spec()).await.unwrap().id, id());
    assert_eq!(forms(&server, "CreateListener").await.len(), 1, "and it is set up");
}

#[tokio::test]
async fn one_that_is_being_created_for_a_dropped_call_is_the_one_of_the_next() {
    let server = MockServer::start().await;
    serve_parts(&server).await;
    serve_network(&server).await;
    let now = balancers(&[shown(ARN, "provisioning")]);
    serve_late(&server, ("CreateLoadBalancer", made(ARN)), ("DescribeLoadBalancers", no_balancer(), now)).await;
    let aws = provider(&server);
    drop_once_asked(&server, "CreateLoadBalancer", aws.ensure(&spec())).await;
    assert_eq!(aws.ensure(&spec()).await.unwrap().id, id());
    assert_eq!(forms(&server, "CreateLoadBalancer").await.len(), 1);
}

#[tokio::test]
async fn a_change_opens_first_and_closes_last_and_new_groups_have_the_members() {
    let server = MockServer::start().await;
    serve(
        &server,
        "DescribeTargetGroups",
        vec![groups(&[group(8080, ARN)]), elb_refusal("TargetGroupNotFound"), groups(&[group(9090, ARN)])],
    )
    .await;
    serve(&server, "DescribeLoadBalancers", vec![balancers(&[shown(ARN, "active")])]).await;
    serve_parts(&server).await;
    serve(&server, "CreateTargetGroup", vec![new_group(9090)]).await;
    serve(&server, "DescribeTargetHealth", vec![health(&[(ONE, "healthy"), (TWO, "draining")])]).await;
    accept_rules(&server).await;
    let accepted = ["ModifyTargetGroupAttributes", "RegisterTargets", "CreateListener", "DeleteListener"];
    accept(&server, &accepted).await;
    accept(&server, &["DeleteTargetGroup"]).await;
    let mut other = spec();
    other.settings.listeners[0] =
        Listener { port: 443, protocol: ListenerProtocol::Tcp, target_port: 9090, certificate: None };
    provider(&server).ensure(&other).await.unwrap();
    let wanted = [
        "AuthorizeSecurityGroupIngress",
        "CreateTargetGroup",
        "ModifyTargetGroupAttributes",
        "RegisterTargets",
        "CreateListener",
        "DeleteListener",
        "RevokeSecurityGroupIngress",
        "DeleteTargetGroup",
    ];
    assert_eq!(changes(&server).await, wanted);
    let form = forms(&server, "RegisterTargets").await.remove(0);
    assert!(form.contains(ONE) && !form.contains(TWO), "one that leaves goes on leaving: {form}");
    let form = forms(&server, "DeleteTargetGroup").await.remove(0);
    assert!(form.contains("-8080"), "{form}");
    for (action, port) in [("AuthorizeSecurityGroupIngress", "443"), ("RevokeSecurityGroupIngress", "80")] {
        let form = forms(&server, action).await.remove(0);
        let asked = ["GroupId", "IpPermissions.1.FromPort", "IpPermissions.2.FromPort"].map(|name| field(&form, name));
        assert_eq!(asked, [Some(FIREWALL.to_owned()), Some(port.to_owned()), None], "{form}");
    }
}

#[tokio::test]
async fn checks_the_drain_time_and_a_listener_change_in_place() {
    let server = standing().await;
    let changing = ["ModifyTargetGroup", "ModifyTargetGroupAttributes"];
    accept(&server, &changing).await;
    let mut other = spec();
    other.settings.check.protocol = CheckProtocol::Tcp;
    other.settings.drain = Some(Duration::from_secs(31));
    provider(&server).ensure(&other).await.unwrap();
    assert_eq!(changes(&server).await, changing);
    let form = forms(&server, "ModifyTargetGroup").await.remove(0);
    assert_eq!(field(&form, "HealthCheckProtocol").as_deref(), Some("TCP"), "{form}");
    assert_eq!(field(&form, "Matcher.HttpCode"), None, "{form}");
    let form = forms(&server, "ModifyTargetGroupAttributes").await.remove(0);
    assert!(form.contains("Value=151"), "{form}");

    // By hand, the listener was made to lead elsewhere.
    let server = MockServer::start().await;
    serve(&server, "DescribeListeners", vec![listeners(&[listener(80, 81)])]).await;
    serve(&server, "DescribeLoadBalancers", vec![balancers(&[shown(ARN, "active")])]).await;
    serve_parts(&server).await;
    accept(&server, &["ModifyListener"]).await;
    provider(&server).ensure(&spec()).await.unwrap();
    let form = forms(&server, "ModifyListener").await.remove(0);
    assert!(form.contains("-8080"), "{form}");
}

#[tokio::test]
async fn a_target_group_of_an_earlier_load_balancer_goes_with_its_targets() {
    let server = MockServer::start().await;
    serve(&server, "DescribeTargetGroups", vec![groups(&[]), groups(&[group(8080, "")])]).await;
    serve(&server, "DescribeListeners", vec![listeners(&[])]).await;
    serve(&server, "DescribeLoadBalancers", vec![balancers(&[shown(ARN, "active")])]).await;
    serve_parts(&server).await;
    serve(&server, "CreateTargetGroup", vec![new_group(8080)]).await;
    accept(&server, &["DeleteTargetGroup", "ModifyTargetGroupAttributes", "CreateListener"]).await;
    provider(&server).ensure(&spec()).await.unwrap();
    let wanted = ["DeleteTargetGroup", "CreateTargetGroup", "ModifyTargetGroupAttributes", "CreateListener"];
    assert_eq!(changes(&server).await, wanted);
}

#[tokio::test]
async fn a_target_group_of_another_load_balancer_is_a_conflict() {
    let server = MockServer::start().await;
    let other = ARN.replace("50dc6c495c0c9188", "ffffffffffffffff");
    serve(&server, "DescribeTargetGroups", vec![groups(&[]), groups(&[group(8080, &other)])]).await;
    serve(&server, "DescribeLoadBalancers", vec![balancers(&[shown(ARN, "active")])]).await;
    serve_parts(&server).await;
    let error = provider(&server).ensure(&spec()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
    assert_eq!(changes(&server).await, <[&str; 0]>::default());
}

#[tokio::test]
async fn labels_that_are_missing_are_added() {
    let server = standing().await;
    accept(&server, &["AddTags"]).await;
    let mut more = spec();
    more.labels = more.labels.with(label::ENV, "production");
    provider(&server).ensure(&more).await.unwrap();
    let form = forms(&server, "AddTags").await.remove(0);
    assert!(form.contains("production") && !form.contains("env-id"), "{form}");
}

#[tokio::test]
async fn what_was_created_for_a_certificate_that_is_refused_goes_again() {
    let server = MockServer::start().await;
    serve(&server, "CreateListener", vec![elb_refusal("CertificateNotFound")]).await;
    serve(&server, "DescribeLoadBalancers", vec![no_balancer()]).await;
    serve(&server, "DescribeListeners", vec![listeners(&[])]).await;
    let all = groups(&[group(8080, "")]);
    serve(&server, "DescribeTargetGroups", vec![groups(&[]), elb_refusal("TargetGroupNotFound"), all]).await;
    serve(&server, "DescribeSecurityGroups", vec![no_firewall(), firewall(&[443])]).await;
    serve(&server, "DescribeNetworkInterfaces", vec![interfaces()]).await;
    serve_network(&server).await;
    let group = format!("<groupId>{FIREWALL}</groupId>");
    serve(&server, "CreateSecurityGroup", vec![ec2("CreateSecurityGroup", &group)]).await;
    serve(&server, "CreateLoadBalancer", vec![made(APPLICATION)]).await;
    serve(&server, "CreateTargetGroup", vec![new_group(8080)]).await;
    accept_rules(&server).await;
    accept(&server, &["ModifyTargetGroupAttributes", "DeleteLoadBalancer", "DeleteTargetGroup"]).await;
    let mut spec = requests();
    let certificate = "arn:aws:acm:us-east-1:123456789012:certificate/12345678-1234-1234-1234-123456789012";
    spec.settings.listeners[0] = Listener {
        port: 443,
        protocol: ListenerProtocol::Https,
        target_port: 8080,
        certificate: Some(certificate.to_owned()),
    };
    let error = provider(&server).ensure(&spec).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
    assert!(error.hint().unwrap().contains("acm"), "{error:?}");
    let done = changes(&server).await;
    assert_eq!(done[done.len() - 3..], ["DeleteLoadBalancer", "DeleteTargetGroup", "DeleteSecurityGroup"]);
    let form = forms(&server, "CreateListener").await.remove(0);
    assert!(form.contains("TLS13") && form.contains("certificate%2F12345678"), "{form}");
}
