use std::collections::BTreeSet;

use remint_core::{
    provider::{Effect, ErrorKind, InstanceState, Instances, LaunchSpec, PowerOp, Provider, Selector, label},
    userdata::UserData,
};
use secrecy::ExposeSecret as _;
use wiremock::MockServer;

use super::launch::next_token;
use crate::testing::{
    actions, ec2, field, forms, instance, instances, launched, launcher, launcher_in_two_zones, provider, refusal,
    serve, serve_network, spec,
};

const ID: &str = "i-0123456789abcdef0";
const OLD: &str = "i-00000000000000001";

fn token(number: usize) -> String {
    let spec = spec("app-7-0");
    let mut spent = BTreeSet::new();
    for _ in 0..number {
        spent.insert(next_token(&spec, "app-7-0", None, &spent));
    }
    next_token(&spec, "app-7-0", None, &spent)
}

#[tokio::test]
async fn a_launch_is_tagged_from_the_first_and_takes_no_old_metadata() {
    let server = MockServer::start().await;
    serve(&server, "DescribeInstances", vec![instances(&[])]).await;
    serve_network(&server).await;
    serve(&server, "RunInstances", vec![launched(&instance(ID, "app-7-0", "pending", &token(0)))]).await;
    let aws = launcher(&server);
    let made = aws.launch(&spec("app-7-0")).await.unwrap().remove(0);
    assert_eq!((made.id.as_str(), made.state), (ID, InstanceState::Pending));
    assert_eq!(made.labels, spec("app-7-0").labels);
    assert_eq!(made.address.unwrap().endpoint(22).port(), 20022, "ports are moved as the settings say");
    let form = forms(&server, "RunInstances").await.remove(0);
    for (name, value) in [
        ("ClientToken", token(0).as_str()),
        ("MetadataOptions.HttpTokens", "required"),
        ("NetworkInterface.1.SubnetId", "subnet-0000000b"),
        ("NetworkInterface.1.SecurityGroupId.1", "sg-0a1b2c3d"),
        ("NetworkInterface.1.AssociatePublicIpAddress", "true"),
        ("TagSpecification.1.ResourceType", "instance"),
        ("TagSpecification.2.ResourceType", "volume"),
        ("UserData", "I2Nsb3VkLWNvbmZpZwo%3D"),
    ] {
        assert_eq!(field(&form, name).as_deref(), Some(value), "{name} in {form}");
    }
    // Not shown by any list yet, and there all the same.
    assert_eq!(aws.list(&Selector::all()).await.unwrap().len(), 1);
    serve(&server, "DescribeInstances", vec![instances(&[])]).await;
    assert_eq!(aws.get(&made.id).await.unwrap().id, made.id);
}

#[tokio::test]
async fn compressed_user_data_goes_out_as_it_is() {
    let server = MockServer::start().await;
    serve(&server, "DescribeInstances", vec![instances(&[])]).await;
    serve_network(&server).await;
    serve(&server, "RunInstances", vec![launched(&instance(ID, "app-7-0", "pending", &token(0)))]).await;
    let guest = crate::provider::DESCRIPTOR.guest;
    let script = format!("#!/bin/sh\n{}", "echo on and on\n".repeat(2_000));
    let data = UserData::new(&"PEM".into(), &guest).part("long.sh", &script.as_str().into()).unwrap();
    let data = data.build(16 * 1024).unwrap();
    launcher(&server).launch(&LaunchSpec { user_data: Some(data.clone()), ..spec("app-7-0") }).await.unwrap();
    let form = forms(&server, "RunInstances").await.remove(0);
    let sent = field(&form, "UserData").unwrap().replace("%3D", "=").replace("%2B", "+").replace("%2F", "/");
    assert!(sent.starts_with("H4sI") && sent == data.expose_secret(), "{sent}");
}

#[tokio::test]
async fn an_environment_has_a_group_of_its_own_which_says_so() {
    let server = MockServer::start().await;
    serve(&server, "DescribeInstances", vec![instances(&[])]).await;
    let none = ec2("DescribeSecurityGroups", "<securityGroupInfo/>");
    serve(&server, "DescribeSecurityGroups", vec![none]).await;
    serve_network(&server).await;
    serve(&server, "CreateSecurityGroup", vec![ec2("CreateSecurityGroup", "<groupId>sg-0d1e2f3a</groupId>")]).await;
    let opened = ec2("AuthorizeSecurityGroupIngress", "<return>true</return>");
    serve(&server, "AuthorizeSecurityGroupIngress", vec![opened]).await;
    serve(&server, "RunInstances", vec![launched(&instance(ID, "app-7-0", "pending", ""))]).await;
    let mut spec = spec("app-7-0");
    spec.labels = spec.labels.with(label::ENV_ID, "0a1b2c3d4e5f6071");
    let aws = launcher(&server);
    for name in ["app-7-0", "app-8-0"] {
        aws.launch(&remint_core::provider::LaunchSpec { names: vec![name.to_owned()], ..spec.clone() }).await.unwrap();
    }
    let made = forms(&server, "CreateSecurityGroup").await;
    assert_eq!(made.len(), 1, "known from then on");
    assert_eq!(field(&made[0], "GroupName").as_deref(), Some("remint-0a1b2c3d4e5f6071-22"));
    assert!(made[0].contains("Key=remint%3Aenv-id") && made[0].contains("Value=0a1b2c3d4e5f6071"), "{}", made[0]);
    let run = forms(&server, "RunInstances").await.remove(0);
    assert_eq!(field(&run, "NetworkInterface.1.SecurityGroupId.1").as_deref(), Some("sg-0d1e2f3a"));
}

#[tokio::test]
async fn the_token_of_an_instance_that_is_gone_is_not_used_again() {
    // EC2 still lists it.
    let server = MockServer::start().await;
    serve(&server, "DescribeInstances", vec![instances(&[instance(OLD, "app-7-0", "terminated", &token(0))])]).await;
    serve_network(&server).await;
    serve(&server, "RunInstances", vec![launched(&instance(ID, "app-7-0", "pending", ""))]).await;
    let made = launcher(&server).launch(&spec("app-7-0")).await.unwrap();
    assert_eq!(made[0].id.as_str(), ID);
    assert_eq!(field(&forms(&server, "RunInstances").await[0], "ClientToken"), Some(token(1)));

    // EC2 does not list it any more, and answers the token with it.
    let server = MockServer::start().await;
    serve(&server, "DescribeInstances", vec![instances(&[])]).await;
    serve_network(&server).await;
    let answers = ["terminated", "pending"].map(|state| {
        let id = if state == "pending" { ID } else { OLD };
        launched(&instance(id, "app-7-0", state, ""))
    });
    serve(&server, "RunInstances", answers.to_vec()).await;
    let made = launcher(&server).launch(&spec("app-7-0")).await.unwrap();
    assert_eq!(made[0].id.as_str(), ID);
    let sent: Vec<_> = forms(&server, "RunInstances").await.iter().filter_map(|f| field(f, "ClientToken")).collect();
    assert_eq!(sent, [token(0), token(1)]);
}

#[tokio::test]
async fn a_token_that_was_used_otherwise_finds_the_instance() {
    let server = MockServer::start().await;
    let shown = instances(&[instance(ID, "app-7-0", "running", &token(0))]);
    serve(&server, "DescribeInstances", vec![instances(&[]), instances(&[]), shown]).await;
    serve_network(&server).await;
    let mismatch = refusal(400, "IdempotentParameterMismatch", "Arguments on this idempotent request are inconsistent");
    serve(&server, "RunInstances", vec![mismatch]).await;
    let made = launcher(&server).launch(&spec("app-7-0")).await.unwrap();
    assert_eq!(made[0].id.as_str(), ID);
    assert_eq!(forms(&server, "RunInstances").await.len(), 1);
}

const NO_ROOM: &str = "We currently do not have sufficient t3.micro capacity in the Availability Zone you requested.";

/// The subnets and tokens of the launches that were asked for.
async fn launches(server: &MockServer) -> Vec<(String, String)> {
    let forms = forms(server, "RunInstances").await;
    let sent = |form: &String| {
        let subnet = field(form, "NetworkInterface.1.SubnetId").unwrap_or_default();
        (subnet, field(form, "ClientToken").unwrap_or_default())
    };
    forms.iter().map(sent).collect()
}

fn token_in(zone: Option<&str>) -> String {
    next_token(&spec("app-7-0"), "app-7-0", zone, &BTreeSet::new())
}

#[tokio::test]
async fn a_zone_without_room_is_left_for_the_next_under_a_token_of_its_own() {
    let server = MockServer::start().await;
    serve(&server, "DescribeInstances", vec![instances(&[])]).await;
    serve_network(&server).await;
    let full = refusal(500, "InsufficientInstanceCapacity", NO_ROOM);
    serve(&server, "RunInstances", vec![full, launched(&instance(ID, "app-7-0", "pending", ""))]).await;
    let aws = launcher_in_two_zones(&server);
    assert_eq!(aws.launch(&spec("app-7-0")).await.unwrap()[0].id.as_str(), ID);
    let other = token_in(Some("us-east-1b"));
    assert_eq!(
        launches(&server).await,
        [("subnet-0000000a".to_owned(), token_in(None)), ("subnet-0000000b".to_owned(), other)]
    );
    assert_ne!(token_in(None), token_in(Some("us-east-1b")), "a token holds for one subnet");
    assert_eq!(aws.calls().count().retries, 0, "the zone that is full is not asked again");
    // One look, the subnets, the group, two launches: the other zone costs one call.
    assert_eq!(actions(&server).await.len(), 5);
    aws.launch(&spec("app-8-0")).await.unwrap();
    assert_eq!(launches(&server).await[2].0, "subnet-0000000b", "the full zone is not asked first again so soon");
}

#[tokio::test]
async fn whoever_comes_after_a_crash_finds_what_the_other_zone_has() {
    // Its reply was lost, and no list shows it yet: the other zone's token is the same as before.
    let server = MockServer::start().await;
    serve(&server, "DescribeInstances", vec![instances(&[])]).await;
    serve_network(&server).await;
    let full = refusal(500, "InsufficientInstanceCapacity", NO_ROOM);
    let gone = full.clone();
    serve(&server, "RunInstances", vec![full, refusal(500, "InternalError", ""), gone]).await;
    let aws = launcher_in_two_zones(&server);
    let error = aws.launch(&spec("app-7-0")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Capacity, "{error:?}");
    let sent = launches(&server).await;
    assert_eq!(sent[1], sent[2], "repeated with the token of its zone");

    let server = MockServer::start().await;
    let shown = instances(&[instance(ID, "app-7-0", "pending", &token_in(Some("us-east-1b")))]);
    serve(&server, "DescribeInstances", vec![shown]).await;
    assert_eq!(launcher_in_two_zones(&server).launch(&spec("app-7-0")).await.unwrap()[0].id.as_str(), ID);
    assert_eq!(actions(&server).await, ["DescribeInstances"], "found by its name, whichever zone it is in");
}

#[tokio::test]
async fn several_instances_are_spread_over_the_zones() {
    let server = MockServer::start().await;
    serve(&server, "DescribeInstances", vec![instances(&[])]).await;
    serve_network(&server).await;
    let made = |name: &str| launched(&instance(ID, name, "pending", ""));
    serve(&server, "RunInstances", ["app-7-0", "app-7-1", "app-7-2"].map(made).to_vec()).await;
    let aws = launcher_in_two_zones(&server);
    for name in ["app-7-0", "app-7-1", "app-7-2"] {
        aws.launch(&spec(name)).await.unwrap();
    }
    let subnets: Vec<String> = launches(&server).await.into_iter().map(|(subnet, _)| subnet).collect();
    assert_eq!(subnets, ["subnet-0000000a", "subnet-0000000b", "subnet-0000000a"]);
}

#[tokio::test]
async fn an_error_lists_the_zones_that_were_tried() {
    let server = MockServer::start().await;
    serve(&server, "DescribeInstances", vec![instances(&[])]).await;
    serve_network(&server).await;
    let unsupported = "Your requested instance type (t3.micro) is not supported in your requested Availability Zone \
                       (us-east-1a). Please retry your request by not specifying an Availability Zone.";
    let answers = vec![refusal(400, "Unsupported", unsupported), refusal(500, "InsufficientInstanceCapacity", NO_ROOM)];
    serve(&server, "RunInstances", answers).await;
    let error = launcher_in_two_zones(&server).launch(&spec("app-7-0")).await.unwrap_err();
    assert_eq!((error.kind(), error.effect()), (ErrorKind::Capacity, Effect::NotApplied), "{error:?}");
    let tried =
        "no zone that was tried gives t3.micro now (us-east-1a: Unsupported; us-east-1b: InsufficientInstanceCapacity)";
    assert_eq!(error.message(), tried);
    assert!(!error.hint().unwrap().contains("subnet"), "{error:?}");
}

#[tokio::test]
async fn a_subnet_that_the_options_name_is_the_only_one_that_is_tried() {
    let server = MockServer::start().await;
    serve(&server, "DescribeInstances", vec![instances(&[])]).await;
    serve_network(&server).await;
    serve(&server, "RunInstances", vec![refusal(500, "InsufficientInstanceCapacity", NO_ROOM)]).await;
    let mut aws = launcher_in_two_zones(&server);
    aws.settings.config.subnet = Some("subnet-0000000b".to_owned());
    let error = aws.launch(&spec("app-7-0")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Capacity);
    assert!(error.hint().unwrap().contains("name a `subnet` of another zone"), "{error:?}");
    assert_eq!(launches(&server).await.len(), 1);
}

#[tokio::test]
async fn a_zone_that_accepted_and_then_had_no_room_is_tried_last() {
    let reason = "<stateReason><code>Server.InsufficientInstanceCapacity</code><message>Server.InsufficientInstanceCapacity: \
                  There is not enough capacity to fulfill your request</message></stateReason><placement>\
                  <availabilityZone>us-east-1a</availabilityZone></placement><clientToken>";
    let gone = instance(OLD, "app-7-0", "terminated", &token_in(None)).replace("<clientToken>", reason);
    let made = launched(&instance(ID, "app-7-0", "pending", ""));
    // Seen by the launch that comes after it, and by the launch itself.
    for (listed, answers) in [(vec![gone.clone()], vec![made.clone()]), (vec![], vec![launched(&gone), made])] {
        let server = MockServer::start().await;
        serve(&server, "DescribeInstances", vec![instances(&listed)]).await;
        serve_network(&server).await;
        serve(&server, "RunInstances", answers).await;
        let aws = launcher_in_two_zones(&server);
        assert_eq!(aws.launch(&spec("app-7-0")).await.unwrap()[0].id.as_str(), ID);
        assert_eq!(launches(&server).await.last().unwrap().0, "subnet-0000000b");
    }
    let server = MockServer::start().await;
    serve(&server, "DescribeInstances", vec![instances(&[gone])]).await;
    let error = provider(&server).get(&OLD.into()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound, "it is gone");
    assert!(error.message().contains("Server.InsufficientInstanceCapacity") && error.hint().is_some(), "{error:?}");
}

#[tokio::test]
async fn a_lost_reply_is_repeated_with_the_same_token() {
    let server = MockServer::start().await;
    serve(&server, "DescribeInstances", vec![instances(&[])]).await;
    serve_network(&server).await;
    let answers = vec![
        refusal(503, "Unavailable", "The server is overloaded"),
        launched(&instance(ID, "app-7-0", "pending", "")),
    ];
    serve(&server, "RunInstances", answers).await;
    let aws = launcher(&server);
    assert_eq!(aws.launch(&spec("app-7-0")).await.unwrap()[0].id.as_str(), ID);
    let sent: Vec<_> = forms(&server, "RunInstances").await.iter().filter_map(|f| field(f, "ClientToken")).collect();
    assert_eq!(sent, [token(0), token(0)]);
    assert_eq!(aws.calls().count().retries, 1, "counted in the one layer, and nowhere else");
}

#[tokio::test]
async fn a_name_that_is_taken_is_a_conflict_and_a_foreign_one_is_not() {
    let server = MockServer::start().await;
    let mut other = spec("app-7-0");
    other.labels = other.labels.with("remint:release", "8");
    serve(&server, "DescribeInstances", vec![instances(&[instance(ID, "app-7-0", "running", "")])]).await;
    let error = launcher(&server).launch(&other).await.unwrap_err();
    assert_eq!((error.kind(), error.effect()), (ErrorKind::Conflict, Effect::NotApplied));

    // `Name` tags are not unique: somebody else's instance is left alone.
    let server = MockServer::start().await;
    let foreign = instance(OLD, "app-7-0", "running", "").replace("remint:", "team:");
    serve(&server, "DescribeInstances", vec![instances(&[foreign])]).await;
    serve_network(&server).await;
    serve(&server, "RunInstances", vec![launched(&instance(ID, "app-7-0", "pending", ""))]).await;
    assert_eq!(launcher(&server).launch(&spec("app-7-0")).await.unwrap()[0].id.as_str(), ID);
}

#[tokio::test]
async fn what_is_terminated_is_not_found_and_has_no_power() {
    let server = MockServer::start().await;
    let body = instance(ID, "app-7-0", "terminated", "");
    serve(&server, "DescribeInstances", vec![instances(&[body])]).await;
    let aws = provider(&server);
    let id = ID.into();
    assert_eq!(aws.get(&id).await.unwrap_err().kind(), ErrorKind::NotFound);
    for op in [PowerOp::Start, PowerOp::Stop, PowerOp::ForceStop] {
        assert_eq!(aws.power(&id, op).await.unwrap_err().kind(), ErrorKind::NotFound);
    }
    aws.destroy(&id).await.unwrap();
    let asked = actions(&server).await;
    assert!(asked.iter().all(|action| action == "DescribeInstances"), "{asked:?}");
}

#[tokio::test]
async fn a_stop_that_comes_too_early_is_busy() {
    let server = MockServer::start().await;
    serve(&server, "DescribeInstances", vec![instances(&[instance(ID, "app-7-0", "pending", "")])]).await;
    let error = provider(&server).power(&ID.into(), PowerOp::Stop).await.unwrap_err();
    assert_eq!((error.kind(), error.effect()), (ErrorKind::Busy, Effect::NotApplied));
}

#[tokio::test]
async fn a_spot_request_is_cancelled_before_its_instance_is_terminated() {
    let server = MockServer::start().await;
    let body = instance(ID, "app-7-0", "running", "")
        .replace("<clientToken>", "<spotInstanceRequestId>sir-1</spotInstanceRequestId><clientToken>");
    serve(&server, "DescribeInstances", vec![instances(&[body])]).await;
    for action in ["CancelSpotInstanceRequests", "TerminateInstances"] {
        serve(&server, action, vec![crate::testing::ec2(action, "")]).await;
    }
    provider(&server).destroy(&ID.into()).await.unwrap();
    assert_eq!(actions(&server).await, ["DescribeInstances", "CancelSpotInstanceRequests", "TerminateInstances"]);
}
