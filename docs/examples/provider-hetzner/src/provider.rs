//! The provider: what it says of itself, how it is built, and the project behind it.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use futures::{FutureExt, future::BoxFuture};
use remint_core::provider::{
    Account, BuildContext, Calls, Capability, Descriptor, DnsZones, Environment, Guest, Images, Instances, Limits,
    LoadBalancers, LoginKeys, Markers, Provider, Registration, Result, StaticIps, Strays,
    support::{JsonRequest, Turns},
};
use serde_json::Value;
use tokio::sync::{Mutex, OnceCell};

use crate::{Config, Options, catalogue::Catalogue, client::Client, config::OPERATION};

// ANCHOR: descriptor
/// The provider's id, as the manifest names it.
pub const ID: &str = "hetzner";

/// What Hetzner Cloud can do. Images are the same in all locations, so there is nothing to copy; a server is made by one call
/// each; and its console is a VNC session, not text.
pub static DESCRIPTOR: Descriptor = Descriptor {
    id: ID,
    title: "Hetzner Cloud",
    capabilities: &[
        Capability::InstanceRelabel,
        Capability::StaticIp,
        Capability::StaticIpReassign,
        Capability::StaticIpLabels,
        Capability::Dns,
        Capability::LoginKey,
        Capability::Marker,
    ],
    // From the API reference (user data, TTL, RFC 1123 names); the times are the shortest that are usually seen.
    limits: Limits {
        user_data_bytes: 32 * 1024,
        launch_batch: 1,
        dns_min_ttl: Duration::from_secs(60),
        name_length: 63,
        launch_time: Duration::from_secs(8),
        capture_time: Duration::from_secs(30),
        assign_time: Duration::from_secs(1),
        balancer_time: Duration::from_secs(30),
        destroy_time: Duration::from_secs(2),
        settle_time: Limits::CLOUD_SETTLES,
    },
    guest: Guest::CLOUD_INIT,
};

inventory::submit! {
    Registration::new(&DESCRIPTOR, || schemars::schema_for!(Config), build).with_environment(Environment {
        prefixes: &["HCLOUD_"],
        credentials: &["HCLOUD_TOKEN"],
        secret: Some("HCLOUD_TOKEN"),
    })
}

fn build(context: BuildContext) -> BoxFuture<'static, Result<Arc<dyn Provider>>> {
    async move { Ok(Arc::new(Cloud::new(Options::from_context(&context)?)?) as Arc<dyn Provider>) }.boxed()
}
// ANCHOR_END: descriptor

/// A project of Hetzner Cloud.
#[derive(Debug)]
pub struct Cloud {
    pub(crate) client: Client,
    pub(crate) catalogue: OnceCell<Catalogue>,
    /// Taken from a look until the write that follows from it, where the API has nothing that ties the two together.
    pub(crate) turns: Turns,
    /// Held while a zone is changed: the API locks it, and turns away whoever else comes.
    pub(crate) dns: Mutex<()>,
    /// The pause between two looks at an action.
    pub(crate) poll: Duration,
    project: String,
}

impl Cloud {
    /// The project that the options' token belongs to. Makes no call.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for an address over which a token must not go.
    pub fn new(options: Options) -> Result<Self> {
        let Options { endpoint, token, project, rate, retry, poll } = options;
        Ok(Self {
            client: Client::new(OPERATION, endpoint, token, Calls::new(rate, retry))?,
            catalogue: OnceCell::new(),
            turns: Turns::default(),
            dns: Mutex::default(),
            poll,
            project,
        })
    }
}

#[async_trait]
impl Provider for Cloud {
    fn descriptor(&self) -> &'static Descriptor {
        &DESCRIPTOR
    }

    /// A token belongs to one project, and no call tells which; any read tells whether it is good.
    async fn account(&self) -> Result<Account> {
        let request = JsonRequest::get("read account", &["servers"]).query("per_page", "1");
        self.client.json::<Value>(&request).await?;
        Ok(Account { id: self.project.clone(), name: format!("project {}", self.project), quotas: Vec::new() })
    }

    fn endpoints(&self) -> Vec<String> {
        vec![self.client.endpoint().to_string()]
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

    /// Hetzner has them, and this example does not write them.
    fn load_balancers(&self) -> Option<&dyn LoadBalancers> {
        None
    }

    fn dns_zones(&self) -> Option<&dyn DnsZones> {
        Some(self)
    }

    fn login_keys(&self) -> Option<&dyn LoginKeys> {
        Some(self)
    }

    fn markers(&self) -> Option<&dyn Markers> {
        Some(self)
    }

    /// Everything is made by one call, with its labels: nothing is left beside it.
    fn strays(&self) -> Option<&dyn Strays> {
        None
    }
}
