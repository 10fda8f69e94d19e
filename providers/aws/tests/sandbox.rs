//! What launches and options do, read back through EC2's API of a sandbox with simulated machines.

#![expect(clippy::unwrap_used, reason = "a test whose sandbox does not start has failed")]

use std::time::Duration;

use aws_sdk_ec2::{
    config::{BehaviorVersion, Credentials, Region},
    types::{Instance, Tag},
};
use remint_aws::{Aws, ClientOptions, Config, Settings};
use remint_core::provider::{
    CaptureProgress, CaptureSpec, ErrorKind, Images, InstanceId, InstanceState, Instances, Labels, LaunchSpec, PowerOp,
    RatePolicy, Result, RetryPolicy, SizeName, StaticIpSpec, StaticIps, label,
};
use remint_sandbox::{
    embedded::{Embedded, Options},
    faults::{Fault, FaultRule},
};
use secrecy::ExposeSecret;

const REGION: &str = "us-east-1";
const SIZE: &str = "t3.micro";
const ARN: &str = "arn:aws:iam::123456789012:instance-profile/web";
const BASE: &str = "136693071363/debian-12-amd64-20260101-0000";

struct Account {
    sandbox: Embedded,
    ec2: aws_sdk_ec2::Client,
}

impl Account {
    async fn start() -> Self {
        let sandbox = Embedded::start(Options::default()).await.unwrap();
        let key = sandbox.access_key();
        let credentials = Credentials::new(key.id, key.secret.expose_secret(), None, None, "test");
        let ec2 = aws_sdk_ec2::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .endpoint_url(sandbox.url())
            .region(Region::new(REGION))
            .credentials_provider(credentials)
            .build();
        Self { sandbox, ec2: aws_sdk_ec2::Client::from_conf(ec2) }
    }

    fn provider(&self, config: Config, size: Option<&str>) -> Aws {
        let key = self.sandbox.access_key();
        let pause = Duration::from_millis(20);
        let settings = Settings {
            config,
            size: size.map(SizeName::from),
            ports: self.sandbox.ports(),
            rate: RatePolicy { burst: 10_000, per_second: 1000.0, reserved_for_mutations: 100 },
            retry: RetryPolicy { first_pause: pause, max_pause: pause, ..RetryPolicy::default() },
            settle: Duration::from_millis(600),
            ..Settings::default()
        };
        Aws::new(ClientOptions {
            endpoint_url: self.sandbox.url(),
            region: REGION.into(),
            access_key_id: key.id,
            secret_access_key: key.secret,
            settings,
        })
    }

    async fn show(&self, id: &InstanceId) -> Instance {
        let answer = self.ec2.describe_instances().instance_ids(id.as_str()).send().await.unwrap();
        answer.reservations()[0].instances()[0].clone()
    }

    async fn group(&self, name: &str) -> String {
        let made = self.ec2.create_security_group().group_name(name).description("for a test").send().await.unwrap();
        made.group_id().unwrap().to_owned()
    }

    async fn subnet(&self, zone: &str) -> String {
        let all = self.ec2.describe_subnets().send().await.unwrap();
        let found = all.subnets().iter().find(|subnet| subnet.availability_zone() == Some(zone)).unwrap();
        found.subnet_id().unwrap().to_owned()
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

fn labels() -> Labels {
    Labels::new().with(label::SERVICE, "app").with(label::ENV_ID, "0a1b2c3d4e5f6071")
}

async fn launch(aws: &Aws, name: &str, size: &str) -> Result<InstanceId> {
    let spec = LaunchSpec {
        names: vec![name.to_owned()],
        new_names: false,
        image: aws.resolve(BASE, &REGION.into()).await?.id,
        size: size.into(),
        region: REGION.into(),
        labels: labels(),
        user_data: None,
        login_keys: Vec::new(),
    };
    Ok(aws.launch(&spec).await?.remove(0).id)
}

fn tag<'a>(tags: &'a [Tag], key: &str) -> Option<&'a str> {
    tags.iter().find(|tag| tag.key() == Some(key)).and_then(Tag::value)
}

fn zone(instance: &Instance) -> &str {
    instance.placement().unwrap().availability_zone().unwrap()
}

#[tokio::test]
async fn a_launch_goes_to_the_next_zone_that_has_room() {
    let account = Account::start().await;
    let aws = account.provider(Config::default(), None);
    let first = launch(&aws, "app-0", SIZE).await.unwrap();
    assert_eq!(zone(&account.show(&first).await), "us-east-1a");
    account.fill(Some("us-east-1a"));
    // There are three zones: this one begins with the first, too.
    let made = launch(&aws, "app-3", SIZE).await.unwrap();
    assert_eq!(zone(&account.show(&made).await), "us-east-1b");
    // Once there is room again, the name still means the instance that was made, in another process too.
    account.sandbox.clear_faults();
    assert_eq!(launch(&account.provider(Config::default(), None), "app-3", SIZE).await.unwrap(), made);
    account.fill(None);
    let error = launch(&aws, "app-2", SIZE).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Capacity, "{error:?}");
    for zone in ["us-east-1a", "us-east-1b", "us-east-1c"] {
        assert!(error.message().contains(zone), "{error}");
    }
}

#[tokio::test]
async fn a_launch_stays_in_the_subnet_that_the_options_name() {
    let account = Account::start().await;
    let subnet = Some(account.subnet("us-east-1b").await);
    let aws = account.provider(Config { subnet, ..Config::default() }, None);
    let made = launch(&aws, "app-0", SIZE).await.unwrap();
    assert_eq!(zone(&account.show(&made).await), "us-east-1b");
    account.fill(Some("us-east-1b"));
    let error = launch(&aws, "app-1", SIZE).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Capacity, "{error:?}");
    assert!(!error.message().contains("us-east-1a"), "{error}");
}

#[tokio::test]
async fn an_instance_has_the_groups_and_the_profile_of_the_options() {
    let account = Account::start().await;
    let groups = vec![account.group("web").await, account.group("metrics").await];
    for (profile, shown) in [("web", "web"), (ARN, ARN)] {
        let config =
            Config { security_groups: groups.clone(), instance_profile: Some(profile.to_owned()), ..Config::default() };
        let made = launch(&account.provider(config, None), &format!("app-{}", shown.len()), SIZE).await.unwrap();
        let shown_now = account.show(&made).await;
        let mut ids: Vec<&str> = shown_now.security_groups().iter().filter_map(|group| group.group_id()).collect();
        ids.sort_unstable();
        let mut wanted: Vec<&str> = groups.iter().map(String::as_str).collect();
        wanted.sort_unstable();
        assert_eq!(ids, wanted);
        let arn = shown_now.iam_instance_profile().and_then(|profile| profile.arn()).unwrap_or_default();
        assert!(arn.ends_with(shown), "{arn}");
    }
}

#[tokio::test]
async fn what_is_made_carries_the_tags_of_the_options_and_its_labels_stay_what_they_are() {
    let account = Account::start().await;
    let tags = [("team", "web"), ("cost centre", "4711")].map(|(key, value)| (key.to_owned(), value.to_owned()));
    let aws = account.provider(Config { tags: tags.into(), ..Config::default() }, None);
    let made = launch(&aws, "app-0", SIZE).await.unwrap();
    let instance = account.show(&made).await;
    assert_eq!((tag(instance.tags(), "team"), tag(instance.tags(), "cost centre")), (Some("web"), Some("4711")));
    let volume = instance.block_device_mappings()[0].ebs().unwrap().volume_id().unwrap();
    let volumes = account.ec2.describe_volumes().volume_ids(volume).send().await.unwrap();
    assert_eq!(tag(volumes.volumes()[0].tags(), "team"), Some("web"));
    let shown = Instances::get(&aws, &made).await.unwrap();
    assert_eq!((shown.name.as_str(), shown.labels), ("app-0", labels()));

    let spec = StaticIpSpec { name: "app".to_owned(), labels: labels(), region: REGION.into(), instance: made.clone() };
    let address = aws.ensure(&spec).await.unwrap();
    let addresses = account.ec2.describe_addresses().allocation_ids(address.id.as_str()).send().await.unwrap();
    assert_eq!(tag(addresses.addresses()[0].tags(), "team"), Some("web"));
    assert_eq!(StaticIps::get(&aws, &address.id).await.unwrap().labels, labels());

    aws.power(&made, PowerOp::ForceStop).await.unwrap();
    while Instances::get(&aws, &made).await.unwrap().state != InstanceState::Stopped {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let spec = CaptureSpec { instance: made, name: "app-image".into(), labels: labels() };
    let image = loop {
        if let CaptureProgress::Done(image) = aws.capture(&spec).await.unwrap() {
            break image;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert_eq!(image.labels, labels());
    let images = account.ec2.describe_images().image_ids(image.id.as_str()).send().await.unwrap();
    assert_eq!(tag(images.images()[0].tags(), "team"), Some("web"));
}

#[tokio::test]
async fn an_image_for_another_architecture_than_the_size_is_refused() {
    let account = Account::start().await;
    let error = account.provider(Config::default(), Some("t4g.micro")).resolve(BASE, &REGION.into()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert_eq!(error.message(), "the image is for x86_64, and size t4g.micro runs arm64");
    account.provider(Config::default(), Some(SIZE)).resolve(BASE, &REGION.into()).await.unwrap();
    // EC2's own word, where the section's size says nothing of the builder's.
    let error = launch(&account.provider(Config::default(), Some(SIZE)), "app-0", "t4g.micro").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.hint().unwrap().contains("builder_size"), "{error:?}");
}
