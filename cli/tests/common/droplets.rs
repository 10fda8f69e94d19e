//! Waiting for what is asked of DigitalOcean's API in the sandbox, where it takes a moment.

use std::time::Duration;

use reqwest::Method;
use serde_json::Value;

use super::World;

impl World {
    /// Waits until a droplet has come up.
    pub(crate) async fn active(&self, id: u64) {
        let up = |answer: &Value| answer["droplet"]["status"] == "active" && answer["droplet"]["locked"] == false;
        self.look(&format!("/v2/droplets/{id}"), 200, up).await;
    }

    /// Waits until a droplet is gone.
    pub(crate) async fn gone(&self, id: u64) {
        self.look(&format!("/v2/droplets/{id}"), 404, |_| true).await;
    }

    /// Destroys a droplet by hand, and waits until it is gone.
    pub(crate) async fn destroy_by_hand(&self, id: u64) {
        let (status, answer) = self.api(Method::DELETE, &format!("/v2/droplets/{id}"), None).await;
        assert_eq!(status, 204, "{answer}");
        self.gone(id).await;
    }

    /// Moves a reserved IP by hand, and waits until it has moved.
    pub(crate) async fn assign_by_hand(&self, ip: &str, droplet: u64) {
        let order = serde_json::json!({ "type": "assign", "droplet_id": droplet });
        self.make(&format!("/v2/reserved_ips/{ip}/actions"), order).await;
        let points = |answer: &Value| answer["reserved_ip"]["droplet"]["id"] == droplet;
        self.look(&format!("/v2/reserved_ips/{ip}"), 200, points).await;
    }

    /// Makes a droplet by hand; its id, once it is up.
    pub(crate) async fn droplet_by_hand(&self, name: &str) -> u64 {
        let spec = serde_json::json!({
            "name": name, "region": "nyc3", "size": "s-1vcpu-1gb", "image": "debian-12-x64",
        });
        let id = self.make("/v2/droplets", spec).await["droplet"]["id"].as_u64().unwrap();
        self.active(id).await;
        id
    }

    /// A droplet's own address.
    pub(crate) async fn address_of(&self, id: u64) -> String {
        let (_, answer) = self.api(Method::GET, &format!("/v2/droplets/{id}"), None).await;
        let networks = answer["droplet"]["networks"]["v4"].as_array().unwrap().clone();
        let public = networks.iter().find(|network| network["type"] == "public").unwrap();
        public["ip_address"].as_str().unwrap().to_owned()
    }

    /// Waits until a droplet's own page, or its health route, no longer answers with success.
    pub(crate) async fn fails(&self, id: u64, path: &str) {
        let ip = self.address_of(id).await;
        for _ in 0..3000 {
            if self.page_at(&ip, path).await.0 != 200 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("{path} of droplet {id} goes on answering");
    }

    async fn look(&self, path: &str, status: u16, is: impl Fn(&Value) -> bool) {
        let mut last = Value::Null;
        for _ in 0..500 {
            let (found, answer) = self.api(Method::GET, path, None).await;
            if found == status && is(&answer) {
                return;
            }
            last = answer;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("{path}: {last}");
    }
}
