use remint_core::provider::MemberHealth;

use super::*;
use crate::testing::{instance, instances};

/// A server with a load balancer of two ports, whose target groups show these targets.
async fn balancing(targets: [ResponseTemplate; 2]) -> MockServer {
    let server = MockServer::start().await;
    serve(&server, "DescribeTargetGroups", vec![groups(&[group(8080, ARN), group(9090, ARN)])]).await;
    let [first, second] = targets;
    serve(&server, "DescribeTargetHealth", vec![first, second]).await;
    accept(&server, &["RegisterTargets", "DeregisterTargets"]).await;
    server
}

#[tokio::test]
async fn an_instance_is_in_service_where_all_target_groups_say_so() {
    let targets = [health(&[(ONE, "healthy"), (TWO, "healthy")]), health(&[(ONE, "healthy"), (TWO, "initial")])];
    let server = balancing(targets).await;
    let members = provider(&server).members(&id()).await.unwrap();
    let found: Vec<_> = members.iter().map(|member| (member.instance.as_str(), member.health.clone())).collect();
    assert_eq!(found, [(ONE, MemberHealth::InService), (TWO, MemberHealth::Initial)]);
    assert_eq!(actions(&server).await.len(), 3, "one call, and one for each target group");
}

#[tokio::test]
async fn an_unknown_load_balancer_has_no_members() {
    let server = MockServer::start().await;
    serve(&server, "DescribeTargetGroups", vec![no_balancer()]).await;
    let aws = provider(&server);
    for id in [id(), LoadBalancerId::new("../account")] {
        assert_eq!(aws.members(&id).await.unwrap_err().kind(), ErrorKind::NotFound);
        assert_eq!(aws.attach(&id, &ids(&[ONE])).await.unwrap_err().kind(), ErrorKind::NotFound);
        assert_eq!(aws.detach(&id, &ids(&[ONE])).await.unwrap_err().kind(), ErrorKind::NotFound);
    }
}

#[tokio::test]
async fn only_what_is_missing_is_registered() {
    let targets = [health(&[(ONE, "healthy"), (TWO, "draining")]), health(&[(ONE, "initial"), (TWO, "healthy")])];
    let server = balancing(targets).await;
    serve(&server, "DescribeInstances", vec![instances(&[instance(TWO, "app-7-1", "running", "")])]).await;
    provider(&server).attach(&id(), &ids(&[ONE, TWO])).await.unwrap();
    let all = forms(&server, "RegisterTargets").await;
    assert_eq!(all.len(), 1, "{all:?}");
    assert!(all[0].contains("-8080") && all[0].contains(TWO) && !all[0].contains(ONE), "{all:?}");
}

#[tokio::test]
async fn an_instance_that_cannot_be_a_member_is_refused_before_it_is_registered() {
    for (state, kind) in [("pending", ErrorKind::Busy), ("terminated", ErrorKind::NotFound)] {
        let server = balancing([health(&[]), health(&[])]).await;
        serve(&server, "DescribeInstances", vec![instances(&[instance(ONE, "app-7-0", state, "")])]).await;
        serve(&server, "DescribeRegions", vec![ec2("DescribeRegions", "<regionInfo/>")]).await;
        let error = provider(&server).attach(&id(), &ids(&[ONE])).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert_eq!(changes(&server).await, <[&str; 0]>::default());
    }
}

#[tokio::test]
async fn an_instance_in_another_region_is_refused_with_its_region() {
    let server = balancing([health(&[]), health(&[])]).await;
    let regions = ["us-east-1", "us-west-2"].map(|name| format!("<item><regionName>{name}</regionName></item>"));
    let regions = format!("<regionInfo>{}</regionInfo>", regions.concat());
    serve(&server, "DescribeRegions", vec![ec2("DescribeRegions", &regions)]).await;
    let there = instances(&[instance(ONE, "app-7-0", "running", "")]);
    let missing = refusal(400, "InvalidInstanceID.NotFound", "The instance ID does not exist");
    serve(&server, "DescribeInstances", vec![missing, there]).await;
    let error = provider(&server).attach(&id(), &ids(&[ONE])).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
    assert!(error.message().contains("us-west-2"), "{error}");
    assert_eq!(changes(&server).await, <[&str; 0]>::default());
}

#[tokio::test]
async fn only_members_that_stay_are_deregistered() {
    let targets = [health(&[(ONE, "healthy"), (TWO, "healthy")]), health(&[(ONE, "draining"), (TWO, "healthy")])];
    let server = balancing(targets).await;
    provider(&server).detach(&id(), &ids(&[ONE, "no-such-instance"])).await.unwrap();
    let all = forms(&server, "DeregisterTargets").await;
    assert_eq!(all.len(), 1, "{all:?}");
    assert!(all[0].contains("-8080") && all[0].contains(ONE) && !all[0].contains("no-such"), "{all:?}");
}

#[tokio::test]
async fn what_was_registered_a_moment_ago_is_deregistered_before_it_shows() {
    let server = balancing([health(&[]), health(&[])]).await;
    serve(&server, "DescribeInstances", vec![instances(&[instance(ONE, "app-7-0", "running", "")])]).await;
    let aws = provider(&server);
    aws.attach(&id(), &ids(&[ONE])).await.unwrap();
    aws.detach(&id(), &ids(&[ONE])).await.unwrap();
    assert_eq!(
        changes(&server).await,
        ["RegisterTargets", "RegisterTargets", "DeregisterTargets", "DeregisterTargets"]
    );
}
