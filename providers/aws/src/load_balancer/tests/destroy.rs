use remint_core::provider::Effect;

use super::*;

/// A server without a load balancer, with what one was made of; and with target groups that are none of it.
async fn left(balancers: ResponseTemplate) -> MockServer {
    let server = MockServer::start().await;
    serve(&server, "DescribeLoadBalancers", vec![balancers]).await;
    let other = group(8080, "").replace(NAME, "remint-ffffffffffffffff");
    serve(&server, "DescribeTargetGroups", vec![groups(&[group(8080, ""), other])]).await;
    serve(&server, "DescribeSecurityGroups", vec![firewall(&[80])]).await;
    serve(&server, "DeleteLoadBalancer", vec![elb("DeleteLoadBalancer", "")]).await;
    server
}

#[tokio::test]
async fn a_load_balancer_goes_with_its_parts_and_with_no_others() {
    let server = left(no_balancer()).await;
    let in_use = || elb_refusal("ResourceInUse");
    serve(&server, "DeleteTargetGroup", vec![in_use(), elb("DeleteTargetGroup", "")]).await;
    let kept = refusal(400, "DependencyViolation", "resource sg-0a1b2c3d has a dependent object");
    let gone = ec2("DeleteSecurityGroup", "<return>true</return>");
    serve(&server, "DeleteSecurityGroup", vec![kept, gone]).await;
    provider(&server).destroy(&id()).await.unwrap();
    let wanted =
        ["DeleteLoadBalancer", "DeleteTargetGroup", "DeleteTargetGroup", "DeleteSecurityGroup", "DeleteSecurityGroup"];
    assert_eq!(changes(&server).await, wanted);
    for form in forms(&server, "DeleteTargetGroup").await {
        assert!(form.contains(NAME), "{form}");
    }
    let form = forms(&server, "DescribeSecurityGroups").await.remove(0);
    assert_eq!(field(&form, "Filter.1.Value.1").as_deref(), Some("remint-lb-0123456789abcdef"));
}

#[tokio::test]
async fn what_one_that_is_gone_left_behind_goes_when_it_is_destroyed_again() {
    let server = MockServer::start().await;
    serve(&server, "DeleteLoadBalancer", vec![no_balancer()]).await;
    serve(&server, "DescribeLoadBalancers", vec![no_balancer()]).await;
    serve(&server, "DescribeTargetGroups", vec![groups(&[group(8080, "")])]).await;
    serve(&server, "DescribeSecurityGroups", vec![no_firewall()]).await;
    accept(&server, &["DeleteTargetGroup"]).await;
    let aws = provider(&server);
    aws.destroy(&id()).await.unwrap();
    assert_eq!(changes(&server).await, ["DeleteLoadBalancer", "DeleteTargetGroup"]);
    aws.destroy(&LoadBalancerId::new("no-such-balancer")).await.unwrap();
    assert_eq!(forms(&server, "DeleteLoadBalancer").await.len(), 1);
}

#[tokio::test]
async fn the_parts_of_another_one_that_has_the_name_now_stay() {
    let other = ARN.replace("50dc6c495c0c9188", "ffffffffffffffff");
    let server = left(balancers(&[shown(&other, "active")])).await;
    provider(&server).destroy(&id()).await.unwrap();
    assert_eq!(changes(&server).await, ["DeleteLoadBalancer"]);
}

#[tokio::test]
async fn a_target_group_that_stays_in_use_is_busy_and_a_security_group_is_left() {
    let server = left(no_balancer()).await;
    serve(&server, "DeleteTargetGroup", vec![elb_refusal("ResourceInUse")]).await;
    let error = provider(&server).destroy(&id()).await.unwrap_err();
    assert_eq!((error.kind(), error.effect()), (ErrorKind::Busy, Effect::Unknown), "{error}");

    let server = left(no_balancer()).await;
    accept(&server, &["DeleteTargetGroup"]).await;
    serve(&server, "DeleteSecurityGroup", vec![refusal(400, "DependencyViolation", "")]).await;
    provider(&server).destroy(&id()).await.unwrap();
    assert!(forms(&server, "DeleteSecurityGroup").await.len() > 1);
}

#[tokio::test]
async fn one_that_is_protected_stays_with_its_parts() {
    let server = MockServer::start().await;
    serve(&server, "DeleteLoadBalancer", vec![elb_refusal("OperationNotPermitted")]).await;
    let error = provider(&server).destroy(&id()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
    assert!(error.hint().unwrap().contains("deletion protection"), "{error:?}");
}
