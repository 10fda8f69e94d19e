//! The provider: its descriptor, how it is built, and the account behind it.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use aws_config::{BehaviorVersion, SdkConfig, retry::RetryConfig};
use aws_credential_types::{Credentials, provider::SharedCredentialsProvider};
use aws_sdk_ec2::types::{ResourceType, Tag, TagSpecification};
use futures::{FutureExt, future::BoxFuture};
use remint_core::provider::{
    Account, BuildContext, Calls, Capability, Descriptor, DnsZones, Environment, Guest, Images, Instances, Limits,
    LoadBalancers, LoginKeys, Markers, PortMap, Provider, RatePolicy, Region, Registration, Result, RetryPolicy,
    SizeName, StaticIps, Strays, Usual,
    support::{Call, Turns, is_local},
};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::OnceCell;

use crate::{
    client::Client,
    config::{Config, check_region, load, timeouts},
    masked::Masked,
    memory::Memory,
    networks::Networks,
    tags, transport,
};

/// The provider's id, as the manifest names it.
pub const ID: &str = "aws";

/// What AWS can do. One call launches one instance, so it has no `InstanceLaunchBatch`.
pub static DESCRIPTOR: Descriptor = Descriptor {
    id: ID,
    title: "Amazon Web Services",
    capabilities: &[
        Capability::ImageCopyRegions,
        Capability::InstanceConsole,
        Capability::InstanceRelabel,
        Capability::StaticIp,
        Capability::StaticIpReassign,
        Capability::StaticIpLabels,
        Capability::LoadBalancer,
        Capability::LoadBalancerHttp,
        Capability::LoadBalancerTargetPort,
        Capability::LoadBalancerDrain,
        Capability::Dns,
        Capability::DnsAlias,
        Capability::Marker,
        Capability::Strays,
    ],
    limits: LIMITS,
    guest: Guest { gzip: true, ..Guest::CLOUD_INIT },
};

/// What a plan must respect on AWS. Sources: the EC2 API reference on `RunInstances` (16 KiB of user data before it is
/// encoded; one call makes instances that are alike in all but nothing, so names go one by one), the Route 53 API reference
/// on `ResourceRecordSet` (a TTL from 0); the times are the shortest that are usually seen.
pub const LIMITS: Limits = Limits {
    user_data_bytes: 16 * 1024,
    launch_batch: 1,
    dns_min_ttl: Duration::ZERO,
    name_length: 63,
    launch_time: Duration::from_secs(8),
    capture_time: Duration::from_secs(30),
    assign_time: Duration::from_secs(1),
    balancer_time: Duration::from_secs(90),
    destroy_time: Duration::from_secs(10),
    settle_time: Limits::CLOUD_SETTLES,
};

/// What is known of an API of the same shape on this machine.
static LOCAL: Descriptor = Descriptor { limits: LIMITS.on_this_machine(), ..DESCRIPTOR };

/// The rate that an account has in a region: each group of EC2's actions has a bucket of 50 calls or more, which refills at
/// 5 a second or more (EC2 developer guide, "Request throttling"); Route 53 takes 5 a second. Some is left for others.
pub const RATE: RatePolicy = RatePolicy { burst: 50, per_second: 5.0, reserved_for_mutations: 10 };

inventory::submit! {
    Registration::new(&DESCRIPTOR, options_schema, build)
        .with_environment(Environment {
            prefixes: &["AWS_"],
            credentials: &[
                "AWS_ACCESS_KEY_ID",
                "AWS_CONTAINER_AUTHORIZATION_TOKEN",
                "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
                "AWS_SECRET_ACCESS_KEY",
                "AWS_SECURITY_TOKEN",
                "AWS_SESSION_TOKEN",
                "AWS_WEB_IDENTITY_TOKEN_FILE",
            ],
            secret: Some("AWS_SECRET_ACCESS_KEY"),
        })
        .with_usual(Usual {
            region: "us-east-1",
            size: "t3.micro",
            base: "136693071363/debian-12-amd64-*",
            second_region: "us-west-2",
        })
}

fn options_schema() -> schemars::Schema {
    schemars::schema_for!(Config)
}

fn build(context: BuildContext) -> BoxFuture<'static, Result<Arc<dyn Provider>>> {
    async move {
        let config = Config::from_context(&context)?;
        let calls = Calls::new(RATE, RetryPolicy::from_env(&context.env)?);
        let sdk = Masked::credentials_of(load(&config, &context.env, &calls).await);
        let chain = sdk.region().map(|region| Region::from(region.as_ref()));
        let home = config.region.clone().or_else(|| context.region.clone()).or(chain);
        for region in home.iter().chain(&context.region) {
            check_region(region)?;
        }
        let variable =
            |name: &&str| Some(((*name).to_owned(), context.env.get(*name).filter(|url| !url.is_empty())?.clone()));
        let descriptor = if sdk.endpoint_url().is_some_and(is_local) { &LOCAL } else { &DESCRIPTOR };
        let settings = Settings {
            config,
            service_ports: context.service_ports.clone(),
            ports: PortMap::from_env(&context.env)?,
            size: context.size.clone(),
            endpoints: SERVICE_VARIABLES.iter().filter_map(variable).collect(),
            descriptor,
            settle: descriptor.limits.settle_time,
            retry: *calls.retry_policy(),
            ..Settings::default()
        };
        let aws = Aws::from_sdk(sdk, home, settings, calls);
        // The caller's region is looked at, whatever the options call home: it may ask for one that the service has left.
        aws.memory.lock().regions.extend(context.region);
        Ok(Arc::new(aws) as Arc<dyn Provider>)
    }
    .boxed()
}

/// The variables by which the SDK finds single services elsewhere.
const SERVICE_VARIABLES: [&str; 5] = [
    "AWS_ENDPOINT_URL_EC2",
    "AWS_ENDPOINT_URL_ELASTIC_LOAD_BALANCING_V2",
    "AWS_ENDPOINT_URL_ROUTE_53",
    "AWS_ENDPOINT_URL_SSM",
    "AWS_ENDPOINT_URL_STS",
];

/// EC2's own address in a region.
fn own_endpoint(region: &Region) -> String {
    let partition = if region.as_str().starts_with("cn-") { ".cn" } else { "" };
    format!("https://ec2.{region}.amazonaws.com{partition}")
}

/// How the provider behaves, wherever it gets its credentials.
#[derive(Debug, Clone)]
pub struct Settings {
    /// What the provider can do, and what a plan must respect; [`DESCRIPTOR`] for AWS itself.
    pub descriptor: &'static Descriptor,
    /// The options of the manifest.
    pub config: Config,
    /// The size of the section's instances, where there is one: base images are chosen by its architecture.
    pub size: Option<SizeName>,
    /// The ports that Remint's own security group opens beside 22.
    pub service_ports: Vec<u16>,
    /// The ports under which services on all of its addresses really answer.
    pub ports: PortMap,
    /// The addresses of single services, by the variables of the SDK that set them.
    pub endpoints: BTreeMap<String, String>,
    /// The rate that the account allows.
    pub rate: RatePolicy,
    /// How calls are repeated.
    pub retry: RetryPolicy,
    /// How long what was just made may be missing from the API's answers.
    pub grace: Duration,
    /// How long is looked for the effect of a mutation whose reply was lost, before it is repeated.
    pub settle: Duration,
    /// Whether snapshots are tagged by the call that makes them; for emulators whose `CreateImage` cannot.
    pub tag_snapshots: bool,
    /// For how long a Network Load Balancer may send new connections to a target that was deregistered. AWS documents none; two
    /// minutes were seen by several. Its targets drain for so much longer.
    pub leaves_within: Duration,
    /// How long a change of DNS is watched until all of Route 53's servers have it.
    pub sync: Duration,
}

impl Default for Settings {
    /// What holds for AWS itself.
    fn default() -> Self {
        Self {
            descriptor: &DESCRIPTOR,
            config: Config::default(),
            size: None,
            service_ports: Vec::new(),
            ports: PortMap::default(),
            endpoints: BTreeMap::new(),
            rate: RATE,
            retry: RetryPolicy::default(),
            grace: Duration::from_secs(60),
            settle: Duration::from_secs(30),
            tag_snapshots: true,
            leaves_within: Duration::from_secs(120),
            sync: Duration::from_secs(120),
        }
    }
}

/// An endpoint and a key, given rather than found: for clouds that speak AWS's API, and for tests.
#[derive(Debug, Clone)]
pub struct ClientOptions {
    /// The one address of all services, in place of AWS's own.
    pub endpoint_url: String,
    /// The region in which things stand.
    pub region: Region,
    /// As in `AWS_ACCESS_KEY_ID`; it is no secret.
    pub access_key_id: String,
    /// The secret that requests are signed with, as in `AWS_SECRET_ACCESS_KEY`.
    pub secret_access_key: SecretString,
    /// How the provider behaves.
    pub settings: Settings,
}

/// The provider: an account of AWS, reached with one set of credentials.
#[derive(Debug)]
pub struct Aws {
    pub(crate) client: Client,
    pub(crate) home: Option<Region>,
    pub(crate) settings: Settings,
    pub(crate) memory: Memory,
    /// The regions that are enabled for the account.
    pub(crate) enabled: OnceCell<Vec<Region>>,
    pub(crate) networks: Networks,
    pub(crate) turns: Turns,
}

impl Aws {
    /// A provider at a given endpoint, with a given key. Makes no call.
    pub fn new(options: ClientOptions) -> Self {
        let calls = Calls::new(options.settings.rate, options.settings.retry);
        let secret = options.secret_access_key.expose_secret();
        let credentials = Credentials::new(options.access_key_id, secret, None, None, "options");
        let sdk = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .endpoint_url(options.endpoint_url)
            .region(aws_config::Region::new(options.region.as_str().to_owned()))
            .retry_config(RetryConfig::disabled())
            .timeout_config(timeouts(&calls))
            .http_client(transport::bounded(&calls))
            .build();
        Self::from_sdk(sdk, Some(options.region), options.settings, calls)
    }

    fn from_sdk(sdk: SdkConfig, home: Option<Region>, settings: Settings, calls: Calls) -> Self {
        Self {
            client: Client::new(sdk, calls),
            home,
            settings,
            memory: Memory::default(),
            enabled: OnceCell::new(),
            networks: Networks::default(),
            turns: Turns::default(),
        }
    }

    /// The tags of an image that is about to be made, and of its snapshots.
    pub(crate) fn image_tags(&self, all: &[Tag]) -> Vec<TagSpecification> {
        let all: Vec<Tag> = all.iter().cloned().chain(self.own_tags()).collect();
        let kinds = [ResourceType::Image, ResourceType::Snapshot];
        let wanted = kinds.into_iter().filter(|kind| *kind == ResourceType::Image || self.settings.tag_snapshots);
        wanted.map(|kind| tags::on_create(kind, &all)).collect()
    }
}

#[async_trait]
impl Provider for Aws {
    fn descriptor(&self) -> &'static Descriptor {
        self.settings.descriptor
    }

    async fn account(&self) -> Result<Account> {
        let request = self.client.sts(&self.any_region()).get_caller_identity();
        let caller = self.client.call(&Call::read("read account"), || request.clone().send()).await?;
        let id = caller.account().unwrap_or_default().to_owned();
        let name = caller.arn().unwrap_or(&id).to_owned();
        Ok(Account { id, name, quotas: Vec::new() })
    }

    fn endpoints(&self) -> Vec<String> {
        let everywhere = self.client.endpoint_url().map(str::to_owned);
        let mut endpoints = vec![everywhere.unwrap_or_else(|| own_endpoint(&self.any_region()))];
        let set = SERVICE_VARIABLES.iter().filter_map(|name| self.settings.endpoints.get(*name));
        endpoints.extend(set.cloned());
        endpoints
    }

    fn calls(&self) -> &Calls {
        self.client.calls()
    }

    fn images(&self) -> &dyn Images {
        self
    }

    fn instances(&self) -> &dyn Instances {
        self
    }

    fn static_ips(&self) -> Option<&dyn StaticIps> {
        Some(self)
    }

    fn load_balancers(&self) -> Option<&dyn LoadBalancers> {
        Some(self)
    }

    fn dns_zones(&self) -> Option<&dyn DnsZones> {
        Some(self)
    }

    fn login_keys(&self) -> Option<&dyn LoginKeys> {
        None
    }

    fn markers(&self) -> Option<&dyn Markers> {
        Some(self)
    }

    fn strays(&self) -> Option<&dyn Strays> {
        Some(self)
    }
}
