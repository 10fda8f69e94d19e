//! One manifest on each of the three clouds, as the sandbox speaks their APIs, the zone at another one.
#![expect(clippy::unwrap_used, reason = "a test may fail by unwrapping")]

#[expect(dead_code, reason = "other test files use the rest")]
mod common;

use common::{Ended, World};
use serde_json::Value;

/// A world whose variables are those of all three accounts.
struct Clouds {
    world: World,
    variables: Vec<(String, String)>,
}

impl Clouds {
    async fn new() -> Self {
        let world = World::empty().await;
        let mut variables = Vec::new();
        for account in ["digitalocean", "aws", "gcp"] {
            variables.extend(world.variables(account).await);
        }
        world.remint(&["init", "--name", "hello"]).await.success();
        Self { world, variables }
    }

    async fn remint(&self, provider: &str, args: &[&str]) -> Ended {
        let args = [&["--provider", provider], args].concat();
        self.world.remint_with(&args, &self.variables).await
    }

    async fn status(&self, provider: &str) -> Value {
        self.remint(provider, &["--json", "status"]).await.success().result()
    }

    /// Instances, images and static IPs of all accounts.
    async fn standing(&self) -> Vec<u64> {
        let status = self.world.json(&["sandbox", "status"]).await;
        let accounts = status["cloud"]["accounts"].as_object().unwrap();
        let of = |kind: &str| accounts.values().map(|account| account[kind].as_u64().unwrap()).sum();
        ["droplets", "snapshots", "reserved_ips"].into_iter().map(of).collect()
    }

    /// What the sandbox's DNS server answers for a name.
    async fn dig(&self, name: &str) -> String {
        let (server, port) = (format!("@{}", self.world.dns.ip()), self.world.dns.port().to_string());
        let dig = tokio::process::Command::new("dig").args([&server, "-p", &port, "+short", name]).output();
        String::from_utf8(dig.await.unwrap().stdout).unwrap().trim().to_owned()
    }
}

async fn page(endpoint: &str) -> String {
    reqwest::get(format!("http://{endpoint}/")).await.unwrap().text().await.unwrap()
}

#[tokio::test]
async fn one_manifest_is_deployed_replaced_rolled_back_and_destroyed_on_each_cloud() {
    let clouds = Clouds::new().await;
    for provider in ["digitalocean", "aws", "gcp"] {
        clouds.remint(provider, &["deploy"]).await.success();
        let endpoint = clouds.status(provider).await["endpoint"].as_str().unwrap().to_owned();
        assert!(page(&endpoint).await.contains("version v1"), "{provider}");
        let replaced = clouds.remint(provider, &["--json", "deploy", "--var", "version=v2"]).await.success();
        let probed = &replaced.events("probed")[0];
        assert!(probed["sent"].as_u64().unwrap() > 0 && probed["failed"] == 0, "{provider}: {probed}");
        assert_eq!(clouds.status(provider).await["endpoint"], *endpoint, "{provider}: the address stays");
        assert!(page(&endpoint).await.contains("version v2"), "{provider}");
        clouds.remint(provider, &["rollback"]).await.success().says("nothing was baked");
        assert!(page(&endpoint).await.contains("version v1"), "{provider}");
        assert_eq!(clouds.standing().await, [1, 2, 1], "{provider}");
        clouds.remint(provider, &["destroy", "--images", "--yes"]).await.success();
        assert_eq!(clouds.standing().await, [0, 0, 0], "{provider}");
    }
}

#[tokio::test]
async fn a_zone_may_be_at_another_cloud() {
    let clouds = Clouds::new().await;
    clouds.world.remint(&["sandbox", "zone", "example.test", "--api", "aws"]).await.success();
    clouds.world.append("[dns]\nprovider = \"aws\"\nzone = \"example.test\"\nname = \"www\"\n");
    clouds.remint("gcp", &["deploy"]).await.success();
    let status = clouds.status("gcp").await;
    let endpoint = status["endpoint"].as_str().unwrap();
    let dig = clouds.dig("www.example.test").await;
    assert_eq!(dig, endpoint.split(':').next().unwrap(), "{status:#}");
    clouds.remint("gcp", &["destroy", "--images", "--yes"]).await.success();
    assert_eq!(clouds.dig("www.example.test").await, "");
    assert_eq!(clouds.standing().await, [0, 0, 0]);
}
