use super::*;
use crate::testing::{serve_network, settings};
use crate::{ClientOptions, Config};

async fn refused(server: &MockServer, spec: &LoadBalancerSpec, kind: ErrorKind) -> Error {
    let error = provider(server).ensure(spec).await.unwrap_err();
    assert_eq!(error.kind(), kind, "{error}");
    assert_eq!(changes(server).await, <[&str; 0]>::default());
    error
}

#[tokio::test]
async fn what_aws_cannot_hold_is_refused_before_anything_is_asked() {
    type Change = fn(&mut LoadBalancerSpec);
    let changes: [(&str, Change); 13] = [
        ("requests and bytes", |spec| {
            spec.settings.listeners.push(Listener {
                port: 443,
                protocol: ListenerProtocol::Tcp,
                target_port: 443,
                certificate: None,
            });
        }),
        ("asks for a path", |spec| spec.settings.check.protocol = CheckProtocol::Tcp),
        ("5 to 300 s", |spec| spec.settings.check.interval = Duration::from_secs(301)),
        ("5 to 300 s", |spec| {
            (spec.settings.check.interval, spec.settings.check.timeout) =
                (Duration::from_secs(4), Duration::from_secs(2));
        }),
        ("2 to 120 s", |spec| spec.settings.check.timeout = Duration::from_secs(1)),
        ("shorter time", |spec| spec.settings.check.timeout = spec.settings.check.interval),
        ("2 to 10", |spec| spec.settings.check.healthy = 1),
        ("2 to 10", |spec| spec.settings.check.unhealthy = 11),
        ("32 characters", |spec| spec.name.push_str("01234")),
        ("3600 s at most", |spec| spec.settings.drain = Some(Duration::from_secs(3601))),
        ("3480 s at most", |spec| {
            spec.settings.listeners[0].protocol = ListenerProtocol::Tcp;
            spec.settings.drain = Some(Duration::from_secs(3481));
        }),
        ("not the ARN", |spec| {
            spec.settings.listeners[0].protocol = ListenerProtocol::Https;
            spec.settings.listeners[0].certificate = Some("www.example.com".to_owned());
        }),
        ("in eu-central-1", |spec| {
            let arn = "arn:aws:acm:eu-central-1:123456789012:certificate/12345678-1234-1234-1234-123456789012";
            spec.settings.listeners[0].protocol = ListenerProtocol::Https;
            spec.settings.listeners[0].certificate = Some(arn.to_owned());
        }),
    ];
    let server = MockServer::start().await;
    for (said, change) in changes {
        let mut spec = requests();
        change(&mut spec);
        let error = refused(&server, &spec, ErrorKind::InvalidInput).await;
        assert!(error.message().contains(said), "{said}: {error}");
        assert!(error.hint().is_some(), "{error:?}");
    }
    assert_eq!(actions(&server).await, <[&str; 0]>::default());
}

#[tokio::test]
async fn one_of_the_name_in_another_region_is_a_conflict() {
    let server = standing().await;
    let elsewhere = LoadBalancerSpec { region: Region::new("us-west-2"), ..spec() };
    let error = refused(&server, &elsewhere, ErrorKind::Conflict).await;
    assert!(error.message().contains("us-east-1"), "{error}");
}

#[tokio::test]
async fn one_that_does_not_carry_our_id_is_a_conflict() {
    let server = MockServer::start().await;
    serve(&server, "DescribeLoadBalancers", vec![balancers(&[shown(ARN, "active")])]).await;
    serve(&server, "DescribeTags", vec![tags_of(ARN, "ffffffffffffffff")]).await;
    refused(&server, &spec(), ErrorKind::Conflict).await;
}

#[tokio::test]
async fn one_of_another_type_cannot_be_changed_in_place() {
    let server = standing().await;
    let error = refused(&server, &requests(), ErrorKind::InvalidInput).await;
    assert!(error.message().contains("is a Network Load Balancer"), "{error}");
    assert!(error.hint().unwrap().contains("add it again"), "{error:?}");
}

#[tokio::test]
async fn an_application_load_balancer_needs_two_zones() {
    let server = MockServer::start().await;
    serve(&server, "DescribeLoadBalancers", vec![no_balancer()]).await;
    let subnet = "<subnetSet><item><subnetId>subnet-0000000a</subnetId><vpcId>vpc-0a1b2c3d</vpcId>\
                  <availabilityZone>us-east-1a</availabilityZone></item></subnetSet>";
    serve(&server, "DescribeSubnets", vec![ec2("DescribeSubnets", subnet)]).await;
    serve_network(&server).await;
    let error = refused(&server, &requests(), ErrorKind::InvalidInput).await;
    assert!(error.message().contains("2 zones, and vpc-0a1b2c3d has 1"), "{error}");
    assert!(error.hint().unwrap().contains("another zone"), "{error:?}");

    let config = Config { subnet: Some("subnet-0000000a".to_owned()), ..Config::default() };
    let aws = Aws::new(ClientOptions {
        endpoint_url: server.uri(),
        region: "us-east-1".into(),
        access_key_id: "AKIDEXAMPLE".to_owned(),
        secret_access_key: crate::testing::SECRET.into(),
        settings: crate::Settings { config, ..settings() },
    });
    let error = aws.ensure(&requests()).await.unwrap_err();
    assert!(error.hint().unwrap().contains("in place of `subnet`"), "{error:?}");
}
