//! What launches and options do, read back through EC2's API of a sandbox with simulated machines.

#![expect(clippy::unwrap_used, reason = "a test whose sandbox does not start has failed")]

use std::time::Duration;

use aws_sdk_ec2::{
    config::{BehaviorVersion, Credentials, Region},
    types::Instance,
};
use remint_aws::{Aws, ClientOptions, Config, Settings};
use remint_core::provider::{ErrorKind, Images, Instances, Labels, LaunchSpec, RatePolicy, RetryPolicy, label};
use remint_sandbox::{
    embedded::{Embedded, Options},
    faults::{Fault, FaultRule},
};
use secrecy::ExposeSecret;

const REGION: &str = "us-east-1";
const BASE: &str = "136693071363/debian-12-amd64-20260101-0000";

struct Account {
    sandbox: Embedded,
    aws: Aws,
    ec2: aws_sdk_ec2::Client,
}

impl Account {
    async fn start(config: Config) -> Self {
        let sandbox = Embedded::start(Options::default()).await.unwrap();
        let key = sandbox.access_key();
        let pause = Duration::from_millis(20);
        let settings = Settings {
            config,
            ports: sandbox.ports(),
            rate: RatePolicy { burst: 10_000, per_second: 1000.0, reserved_for_mutations: 100 },
            retry: RetryPolicy { first_pause: pause, max_pause: pause, ..RetryPolicy::default() },
            settle: Duration::from_millis(600),
            ..Settings::default()
        };
        let aws = Aws::new(ClientOptions {
            endpoint_url: sandbox.url(),
            region: REGION.into(),
            access_key_id: key.id.clone(),
            secret_access_key: key.secret.clone(),
            settings,
        });
        let credentials = Credentials::new(key.id, key.secret.expose_secret(), None, None, "test");
        let ec2 = aws_sdk_ec2::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .endpoint_url(sandbox.url())
            .region(Region::new(REGION))
            .credentials_provider(credentials)
            .build();
        Self { sandbox, aws, ec2: aws_sdk_ec2::Client::from_conf(ec2) }
    }

    async fn launch(&self, name: &str) -> remint_core::provider::Result<Instance> {
        let image = self.aws.resolve(BASE, &REGION.into()).await?.id;
        let spec = LaunchSpec {
            names: vec![name.to_owned()],
            new_names: false,
            image,
            size: "t3.micro".into(),
            region: REGION.into(),
            labels: Labels::new().with(label::SERVICE, "app").with(label::ENV_ID, "0a1b2c3d4e5f6071"),
            user_data: None,
            login_keys: Vec::new(),
        };
        let id = self.aws.launch(&spec).await?.remove(0).id;
        let answer = self.ec2.describe_instances().instance_ids(id.as_str()).send().await.unwrap();
        Ok(answer.reservations()[0].instances()[0].clone())
    }

    fn fill(&self, zone: Option<&str>) {
        let rule = FaultRule {
            action: Some("RunInstances".to_owned()),
            count: 0,
            zone: zone.map(str::to_owned),
            ..FaultRule::new("POST", "/", Fault::NoCapacity)
        };
        self.sandbox.add_fault(rule).unwrap();
    }
}

fn zone(instance: &Instance) -> &str {
    instance.placement().unwrap().availability_zone().unwrap()
}

#[tokio::test]
async fn a_launch_goes_to_the_next_zone_that_has_room() {
    let account = Account::start(Config::default()).await;
    assert_eq!(zone(&account.launch("app-0").await.unwrap()), "us-east-1a");
    account.fill(Some("us-east-1a"));
    let made = account.launch("app-1").await.unwrap();
    assert_eq!(zone(&made), "us-east-1b");
    // Once there is room again, the name still means the instance that was made.
    account.sandbox.clear_faults();
    assert_eq!(account.launch("app-1").await.unwrap().instance_id(), made.instance_id());
    account.fill(None);
    let error = account.launch("app-2").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Capacity, "{error:?}");
    for zone in ["us-east-1a", "us-east-1b", "us-east-1c"] {
        assert!(error.message().contains(zone), "{error}");
    }
}
