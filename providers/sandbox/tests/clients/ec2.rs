//! Clients of Amazon's APIs.

use remint_sandbox::cloud::Api;

use super::world::{World, python, run, text};

/// What a launch asks for is shown afterwards, or refused.
#[tokio::test]
async fn boto3_sees_each_option_kept_or_refused() {
    World::start().await.python(Api::Ec2, "ec2_options.py").await;
}

/// What clients look at on their way, with the waiters and the resources of the SDK.
#[tokio::test]
async fn boto3_finds_what_ordinary_clients_look_at() {
    World::start().await.python(Api::Ec2, "ec2_describes.py").await;
}

/// Each filter of the SDK's documentation, and images that a parameter names.
#[tokio::test]
async fn boto3_filters_by_what_ec2_documents() {
    World::start().await.python(Api::Ec2, "ec2_filters.py").await;
}

/// Addresses of calls that somebody else may make, which have the signature in their query.
#[tokio::test]
async fn boto3_signs_an_address_for_somebody_else() {
    World::start().await.python(Api::Ec2, "ec2_presigned.py").await;
}

/// Whoever asks for a service that the sandbox does not have is told so at once, in the form of that service.
#[tokio::test]
async fn the_command_line_says_which_services_are_not_there() {
    let world = World::start().await;
    std::fs::write(world.sandbox.dir().join("main"), "main").unwrap();
    for (service, words) in [
        ("iam", "iam list-users"),
        ("autoscaling", "autoscaling describe-auto-scaling-groups"),
        ("monitoring", "cloudwatch describe-alarms"),
        ("s3", "s3api list-buckets"),
        ("s3", "s3 ls"),
        ("s3", "s3 mb s3://some-bucket"),
        ("s3", "s3 cp main s3://some-bucket/main"),
        ("lambda", "lambda list-functions"),
        ("logs", "logs describe-log-groups"),
        ("sns", "sns list-topics"),
        ("dynamodb", "dynamodb list-tables"),
    ] {
        let mut command = world.client(Api::Ec2, python("aws"));
        command.args(words.split(' '));
        let output = run(command).await;
        let said = text(&output);
        let named = said.contains("NotImplemented") && said.contains(&format!("does not have the service {service}."));
        assert!(!output.status.success() && named && !said.contains("retries"), "{words}: {said}");
    }
    // Classic load balancers are another version of a service that is there.
    let mut command = world.client(Api::Ec2, python("aws"));
    command.args(["elb", "describe-load-balancers"]);
    let output = run(command).await;
    let said = text(&output);
    assert!(!output.status.success() && said.contains("does not have version 2012-06-01"), "{said}");
}

/// Load balancers, with the waiters of the SDK. It needs HAProxy, which `.ci/setup test` installs.
#[tokio::test]
async fn boto3_balances_over_instances() {
    World::start().await.python(Api::Ec2, "ec2_balancer.py").await;
}

/// octoDNS looks for health checks before it changes anything.
#[tokio::test]
async fn octodns_works_with_route_53() {
    World::start().await.python(Api::Ec2, "ec2_octodns.py").await;
}

/// What can only be empty in Route 53.
#[tokio::test]
async fn boto3_finds_nothing_beside_the_zones_of_route_53() {
    World::start().await.python(Api::Ec2, "ec2_route53.py").await;
}
