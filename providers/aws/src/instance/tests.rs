use std::collections::BTreeSet;

use remint_core::provider::{Effect, ErrorKind, InstanceState, Instances, PowerOp, Provider, Selector, label};
use wiremock::MockServer;

use super::launch::next_token;
use crate::testing::{
    actions, ec2, field, forms, instance, instances, launched, launcher, provider, refusal, serve, serve_network, spec,
};

const ID: &str = "i-0123456789abcdef0";
const OLD: &str = "i-00000000000000001";

fn token(number: usize) -> String {
    let spec = spec("app-7-0");
    let mut spent = BTreeSet::new();
    for _ in 0..number {
        spent.insert(next_token(&spec, "app-7-0", &spent));
    }
    next_token(&spec, "app-7-0", &spent)
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
