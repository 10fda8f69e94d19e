//! Clients of Amazon's APIs.

use remint_sandbox::cloud::Api;

use super::world::World;

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
