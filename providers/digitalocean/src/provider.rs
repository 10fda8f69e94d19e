//! The provider: its descriptor, how it is built, and the account behind it.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use futures::{FutureExt, future::BoxFuture};
use remint_core::provider::{
    Account, BuildContext, Calls, Capability, Descriptor, DnsZones, Environment, Error, ErrorKind, Guest, Images,
    Instances, Limits, LoadBalancers, LoginKeys, Markers, PortMap, Provider, Quota, RatePolicy, Region, Registration,
    Result, RetryPolicy, StaticIps, Strays, Usual,
    support::{JsonRequest, Turns, is_local},
};
use secrecy::SecretString;
use tokio::sync::OnceCell;
use url::Url;

use crate::{
    client::Client,
    config::{Config, OPERATION, TOKEN_VARIABLES, api_url, token},
    memory::Memory,
    wire,
};

/// The provider's id, as the manifest names it.
pub const ID: &str = "digitalocean";

/// What DigitalOcean can do. It labels no static IPs, shows no consoles, and does not tell which connections to a former member
/// of a load balancer go on.
pub static DESCRIPTOR: Descriptor = Descriptor {
    id: ID,
    title: "DigitalOcean",
    capabilities: &[
        Capability::ImageCopyRegions,
        Capability::InstanceLaunchBatch,
        Capability::InstanceRelabel,
        Capability::StaticIp,
        Capability::StaticIpReassign,
        Capability::LoadBalancer,
        Capability::LoadBalancerHttp,
        Capability::LoadBalancerTargetPort,
        Capability::LoadBalancerAddress,
        Capability::Dns,
        Capability::LoginKey,
        Capability::Marker,
        Capability::Strays,
    ],
    limits: LIMITS,
    guest: Guest::CLOUD_INIT,
};

/// What a plan must respect on DigitalOcean. Sources: the API reference on droplets (user data, ten names a call) and
/// on domain records (TTL); the times are the shortest that are usually seen.
pub const LIMITS: Limits = Limits {
    user_data_bytes: 64 * 1024,
    launch_batch: 10,
    dns_min_ttl: Duration::from_secs(30),
    name_length: 63,
    launch_time: Duration::from_secs(20),
    capture_time: Duration::from_secs(60),
    assign_time: Duration::from_secs(5),
    balancer_time: Duration::from_secs(60),
    destroy_time: Duration::from_secs(5),
    settle_time: Limits::CLOUD_SETTLES,
};

/// What is known of an API of the same shape on this machine.
static LOCAL: Descriptor = Descriptor { limits: LIMITS.on_this_machine(), ..DESCRIPTOR };

/// The rate that an account has: 250 requests a minute and 5,000 an hour, with some left for other programs. In the
/// long run it is the hour that binds, at 1.38 a second. A burst and what a minute brings are below 250 together.
pub const RATE: RatePolicy = RatePolicy { burst: 170, per_second: 1.25, reserved_for_mutations: 40 };

/// A usual place: of the cloud, and of others that speak its API.
pub const USUAL: Usual = Usual { region: "nyc3", size: "s-1vcpu-1gb", base: "debian-12-x64", second_region: "ams3" };

inventory::submit! {
    Registration::new(&DESCRIPTOR, options_schema, build)
        .with_environment(Environment {
            prefixes: &["DIGITALOCEAN_"],
            credentials: &TOKEN_VARIABLES,
            secret: Some(TOKEN_VARIABLES[0]),
        })
        .with_usual(USUAL)
}

fn options_schema() -> schemars::Schema {
    schemars::schema_for!(Config)
}

fn build(context: BuildContext) -> BoxFuture<'static, Result<Arc<dyn Provider>>> {
    async move {
        let config = Config::from_context(&context)?;
        let api_url = api_url(&context.env)?;
        let token = token(&context.env)?;
        let ports = PortMap::from_env(&context.env)?;
        let descriptor = if is_local(api_url.as_str()) { &LOCAL } else { &DESCRIPTOR };
        let retry = RetryPolicy::from_env(&context.env)?;
        let home = context.region;
        let settle = descriptor.limits.settle_time;
        let options =
            ClientOptions { config, home, ports, descriptor, retry, settle, ..ClientOptions::new(api_url, token) };
        Ok(Arc::new(DigitalOcean::new(options)?) as Arc<dyn Provider>)
    }
    .boxed()
}

/// How the provider talks to an API that speaks DigitalOcean's version 2.
///
/// [`ClientOptions::new`] fills in what holds for DigitalOcean itself; another cloud of the same API sets its own.
#[derive(Debug, Clone)]
pub struct ClientOptions {
    /// Where the API is, without `/v2`. Plain HTTP only on loopback.
    pub api_url: Url,
    /// The API token that every request carries.
    pub token: SecretString,
    /// The options of the manifest: VPC, tags, monitoring, IPv6.
    pub config: Config,
    /// The region of the manifest's section, for which the options' ids hold; without one they hold everywhere.
    pub home: Option<Region>,
    /// The ports under which services on all of its addresses really answer.
    pub ports: PortMap,
    /// What the provider can do, and what a plan must respect; [`DESCRIPTOR`] for DigitalOcean itself.
    pub descriptor: &'static Descriptor,
    /// The rate that the account allows.
    pub rate: RatePolicy,
    /// How calls are repeated.
    pub retry: RetryPolicy,
    /// How long what was just made may be missing from the API's answers.
    pub grace: Duration,
    /// How long is looked for the effect of a mutation whose reply was lost, before it is repeated.
    pub settle: Duration,
    /// The path that serves an instance's console as plain text, with `{id}` for the instance; for clouds that declare
    /// [`Capability::InstanceConsole`], which DigitalOcean does not.
    pub console_path: Option<&'static str>,
}

impl ClientOptions {
    /// Options for DigitalOcean itself.
    pub fn new(api_url: Url, token: SecretString) -> Self {
        Self {
            api_url,
            token,
            config: Config::default(),
            home: None,
            ports: PortMap::default(),
            descriptor: &DESCRIPTOR,
            rate: RATE,
            retry: RetryPolicy::default(),
            grace: Duration::from_secs(60),
            settle: Duration::from_secs(30),
            console_path: None,
        }
    }
}

/// Requests for one action, the repetitions after lost replies included.
pub(crate) const ACTION_CALLS: u32 = 5;

/// An account of DigitalOcean, or of another cloud that speaks its API.
#[derive(Debug)]
pub struct DigitalOcean {
    pub(crate) client: Client,
    pub(crate) config: Config,
    pub(crate) home: Option<Region>,
    pub(crate) descriptor: &'static Descriptor,
    pub(crate) ports: PortMap,
    pub(crate) grace: Duration,
    pub(crate) settle: Duration,
    pub(crate) console_path: Option<&'static str>,
    pub(crate) memory: Memory,
    pub(crate) turns: Turns,
    pub(crate) sizes: OnceCell<Vec<wire::Size>>,
}

impl DigitalOcean {
    /// A provider with these options. Makes no call.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for an address over which a token must not go.
    pub fn new(options: ClientOptions) -> Result<Self> {
        let calls = Calls::new(options.rate, options.retry);
        Ok(Self {
            client: Client::new(OPERATION, options.api_url, options.token, calls)?,
            config: options.config,
            home: options.home,
            descriptor: options.descriptor,
            ports: options.ports,
            grace: options.grace,
            settle: options.settle,
            console_path: options.console_path,
            memory: Memory::default(),
            turns: Turns::default(),
            sizes: OnceCell::new(),
        })
    }

    /// How long is looked for the effect of an action whose reply was lost. An action sets a state, so that it can be repeated soon.
    pub(crate) fn look_for_action(&self) -> Duration {
        self.settle / 15
    }

    pub(crate) async fn fetch_account(&self) -> Result<Account> {
        let answer: wire::AccountAnswer =
            self.client.json(&JsonRequest::get("read account", &["v2", "account"])).await?;
        let account = answer.account;
        if account.status == "locked" {
            let message = format!("the account is locked: {}", account.status_message);
            return Err(Error::new(ErrorKind::Forbidden, "read account", message)
                .with_hint("request DigitalOcean's support why the account is locked"));
        }
        let quota = |what: &str, limit: Option<u64>| limit.map(|limit| Quota { what: what.to_owned(), limit });
        let addresses = account.reserved_ip_limit.or(account.floating_ip_limit);
        let quotas = [quota("instances", account.droplet_limit), quota("static_ips", addresses)];
        Ok(Account { id: account.uuid, name: account.email, quotas: quotas.into_iter().flatten().collect() })
    }
}

#[async_trait]
impl Provider for DigitalOcean {
    fn descriptor(&self) -> &'static Descriptor {
        self.descriptor
    }

    async fn account(&self) -> Result<Account> {
        self.fetch_account().await
    }

    fn endpoints(&self) -> Vec<String> {
        vec![self.client.endpoint().as_str().trim_end_matches('/').to_owned()]
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
        self.descriptor.has(Capability::StaticIp).then_some(self)
    }

    fn load_balancers(&self) -> Option<&dyn LoadBalancers> {
        self.descriptor.has(Capability::LoadBalancer).then_some(self)
    }

    fn dns_zones(&self) -> Option<&dyn DnsZones> {
        self.descriptor.has(Capability::Dns).then_some(self)
    }

    fn login_keys(&self) -> Option<&dyn LoginKeys> {
        self.descriptor.has(Capability::LoginKey).then_some(self)
    }

    fn markers(&self) -> Option<&dyn Markers> {
        self.descriptor.has(Capability::Marker).then_some(self)
    }

    fn strays(&self) -> Option<&dyn Strays> {
        self.descriptor.has(Capability::Strays).then_some(self)
    }
}
