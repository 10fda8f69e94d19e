//! Clients of Amazon's APIs.

use remint_sandbox::cloud::Api;

use super::world::World;

/// What a launch asks for is shown afterwards, or refused.
#[tokio::test]
async fn boto3_sees_each_option_kept_or_refused() {
    World::start().await.python(Api::Ec2, "ec2_options.py").await;
}
