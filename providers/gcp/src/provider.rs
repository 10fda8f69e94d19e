//! The provider: its descriptor, how it is built, and the project behind it.

use std::{collections::HashSet, sync::Arc, time::Duration};

use async_trait::async_trait;
use futures::{FutureExt, future::BoxFuture};
use google_cloud_auth::credentials::Credentials;
use remint_core::provider::{
    Account, BaseCheck, BuildContext, Calls, Capability, Descriptor, DnsZones, Environment, EnvironmentId, Guest,
    GuestFile, Images, Instances, Limits, LoadBalancers, LoginKeys, Markers, PortMap, Provider, RatePolicy,
    Registration, Result, RetryPolicy, StaticIps, Strays, Usual,
    support::{Turns, is_local},
};
use tokio::sync::Mutex;

use crate::{
    client::Client,
    config::{COMPUTE_URL, Config, DNS_URL, endpoints},
    credentials,
    error::Subject,
    image::base,
    memory::{KnownZones, Memory},
};

/// The provider's id, as the manifest names it.
pub const ID: &str = "gcp";

/// What Google Cloud can do. Images are global, so there are no regions to copy them to.
pub static DESCRIPTOR: Descriptor = Descriptor {
    id: ID,
    title: "Google Cloud",
    capabilities: &[
        Capability::InstanceConsole,
        Capability::InstanceRelabel,
        Capability::StaticIp,
        Capability::StaticIpReassign,
        Capability::StaticIpLabels,
        Capability::LoadBalancer,
        Capability::LoadBalancerAddress,
        Capability::Dns,
        Capability::Marker,
        Capability::Strays,
    ],
    limits: LIMITS,
    guest: GUEST,
};

/// What Google's machines need. Their guest agent makes new host keys when it sees an instance for the first time, which is
/// after cloud-init has installed those of the user data; its README names the file and the setting. What a user has
/// written to that file stays, and of a setting that is there twice the agent takes the last.
const GUEST: Guest = Guest {
    files: &[GuestFile {
        path: "/etc/default/instance_configs.cfg",
        content: "\n[InstanceSetup]\nset_host_keys = false\n",
        append: true,
    }],
    host_keys: "google-guest-agent replaces the host keys of an instance at its first boot, unless \
                /etc/default/instance_configs.cfg says `set_host_keys = false`, which cloud-init writes from Remint's user data",
    // Metadata is text, and long enough.
    gzip: false,
};

/// What a plan must respect on Google Cloud. Sources: "Custom metadata limitations" (256 KiB for a value), the reference
/// of `instances.insert` (one instance a call; RFC 1035 names); the times are the shortest that are usually seen.
pub const LIMITS: Limits = Limits {
    user_data_bytes: 256 * 1024,
    launch_batch: 1,
    dns_min_ttl: Duration::from_secs(1),
    name_length: crate::names::LONGEST,
    launch_time: Duration::from_secs(10),
    capture_time: Duration::from_secs(30),
    assign_time: Duration::from_secs(3),
    balancer_time: Duration::from_secs(10),
    destroy_time: Duration::from_secs(30),
    settle_time: Limits::CLOUD_SETTLES,
};

/// What is known of an API of the same shape on this machine.
static LOCAL: Descriptor = Descriptor { limits: LIMITS.on_this_machine(), ..DESCRIPTOR };

/// The rate that a project has, by "Compute Engine rate quotas": 1,500 calls a minute in each group of methods, which
/// makes 25 a second, with some left for other programs.
pub const RATE: RatePolicy = RatePolicy { burst: 200, per_second: 20.0, reserved_for_mutations: 40 };

inventory::submit! {
    Registration::new(&DESCRIPTOR, options_schema, build)
        .with_environment(Environment {
            prefixes: &["CLOUDSDK_", "GOOGLE_"],
            // Those of other tools of Google's, too.
            credentials: &[
                "CLOUDSDK_AUTH_ACCESS_TOKEN",
                "CLOUDSDK_AUTH_CREDENTIAL_FILE_OVERRIDE",
                credentials::FILE_VARIABLE,
                "GOOGLE_CREDENTIALS",
                "GOOGLE_OAUTH_ACCESS_TOKEN",
            ],
            secret: None,
        })
        .with_usual(Usual {
            region: "us-central1-a",
            size: "e2-micro",
            base: "ubuntu-os-cloud/ubuntu-2404-lts-amd64",
            second_region: "us-east1-b",
        })
}

inventory::submit! {
    BaseCheck { provider: ID, check: base::check }
}

fn options_schema() -> schemars::Schema {
    schemars::schema_for!(Config)
}

fn build(context: BuildContext) -> BoxFuture<'static, Result<Arc<dyn Provider>>> {
    async move {
        let config = Config::from_context(&context)?;
        let (compute_url, dns_url) = endpoints(&context.env)?;
        let found = credentials::find(&context.env).await?;
        let project = config.project(&context.env, found.project.as_deref())?;
        let ports = PortMap::from_env(&context.env)?;
        let retry = RetryPolicy::from_env(&context.env)?;
        let own = ClientOptions::new(project, found.credentials);
        let (descriptor, look) =
            if is_local(&compute_url) { (&LOCAL, Limits::SOON) } else { (own.descriptor, own.look) };
        let service_ports = context.service_ports;
        let options =
            ClientOptions { compute_url, dns_url, config, service_ports, ports, descriptor, look, retry, ..own };
        Ok(Arc::new(Gcp::new(options).await?) as Arc<dyn Provider>)
    }
    .boxed()
}

/// How the provider talks to the APIs. [`ClientOptions::new`] fills in what holds for Google Cloud itself.
#[derive(Debug, Clone)]
pub struct ClientOptions {
    /// Where Compute Engine is, without `/compute/v1`.
    pub compute_url: String,
    /// Where Cloud DNS is, without `/dns/v1`.
    pub dns_url: String,
    /// What the provider can do, and what a plan must respect; [`DESCRIPTOR`] for Google Cloud itself.
    pub descriptor: &'static Descriptor,
    /// What signs the requests; it fetches access tokens itself.
    pub credentials: Credentials,
    /// The id of the project that all calls are about.
    pub project: String,
    /// Network, disk and service account of instances.
    pub config: Config,
    /// The ports that firewall rules open, beside 22.
    pub service_ports: Vec<u16>,
    /// Which ports of instances answer elsewhere.
    pub ports: PortMap,
    /// The rate that the project allows.
    pub rate: RatePolicy,
    /// How calls are repeated.
    pub retry: RetryPolicy,
    /// How long what was just made may be missing from the API's answers.
    pub grace: Duration,
    /// When an operation that was accepted is first looked at.
    pub look: Duration,
    /// How long an operation that a further step needs may take.
    pub patience: Duration,
}

impl ClientOptions {
    /// Options for Google Cloud itself.
    pub fn new(project: impl Into<String>, credentials: Credentials) -> Self {
        Self {
            compute_url: COMPUTE_URL.to_owned(),
            dns_url: DNS_URL.to_owned(),
            descriptor: &DESCRIPTOR,
            credentials,
            project: project.into(),
            config: Config::default(),
            service_ports: Vec::new(),
            ports: PortMap::default(),
            rate: RATE,
            retry: RetryPolicy::default(),
            grace: Duration::from_secs(60),
            look: Duration::from_secs(1),
            patience: Duration::from_secs(180),
        }
    }
}

/// A project of Google Cloud.
#[derive(Debug)]
pub struct Gcp {
    pub(crate) client: Client,
    pub(crate) descriptor: &'static Descriptor,
    /// Where Compute Engine and Cloud DNS are.
    endpoints: Vec<String>,
    pub(crate) config: Config,
    pub(crate) service_ports: Vec<u16>,
    pub(crate) ports: PortMap,
    pub(crate) grace: Duration,
    pub(crate) look: Duration,
    pub(crate) patience: Duration,
    pub(crate) memory: Memory,
    /// The environments whose firewall rules exist.
    pub(crate) firewalls: Mutex<HashSet<Option<EnvironmentId>>>,
    pub(crate) known_zones: Mutex<KnownZones>,
    /// Calls that change a load balancer take turns, by its name.
    pub(crate) turns: Turns,
}

impl Gcp {
    /// A provider with these options. Makes no call.
    ///
    /// # Errors
    ///
    /// `Unexpected` when the SDK's clients cannot be set up.
    pub async fn new(options: ClientOptions) -> Result<Self> {
        let calls = Calls::new(options.rate, options.retry);
        let (compute, dns, credentials) = (&options.compute_url, &options.dns_url, &options.credentials);
        Ok(Self {
            client: Client::new(options.project, compute, dns, credentials, calls).await?,
            endpoints: vec![options.compute_url, options.dns_url],
            descriptor: options.descriptor,
            config: options.config,
            service_ports: options.service_ports,
            ports: options.ports,
            grace: options.grace,
            look: options.look,
            patience: options.patience,
            memory: Memory::default(),
            firewalls: Mutex::default(),
            known_zones: Mutex::default(),
            turns: Turns::default(),
        })
    }
}

#[async_trait]
impl Provider for Gcp {
    fn descriptor(&self) -> &'static Descriptor {
        self.descriptor
    }

    async fn account(&self) -> Result<Account> {
        let (client, project) = (&self.client, &self.client.project);
        let subject = Subject::new("read project").about(project);
        let found = client.read(&subject, || client.projects.get().set_project(project).send()).await?;
        let id = found.id.map_or_else(|| project.clone(), |number| number.to_string());
        Ok(Account { id, name: found.name.unwrap_or_else(|| project.clone()), quotas: Vec::new() })
    }

    fn endpoints(&self) -> Vec<String> {
        let mut endpoints = self.endpoints.clone();
        endpoints.dedup();
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
