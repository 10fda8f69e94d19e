//! What the options do, read back through the API of a sandbox with simulated machines.

#![expect(clippy::unwrap_used, reason = "a test whose sandbox does not start has failed")]

use std::time::Duration;

use remint_core::provider::{InstanceState, Instances, Labels, LaunchSpec, label};
use remint_digitalocean::{ClientOptions, Config, DigitalOcean};
use remint_sandbox::embedded::{Embedded, Options};
use secrecy::ExposeSecret;
use serde_json::Value;

const REGION: &str = "fra1";

async fn get(sandbox: &Embedded, path: &str) -> Value {
    let request = reqwest::Client::new().get(format!("{}{path}", sandbox.url()));
    request.bearer_auth(sandbox.token().expose_secret()).send().await.unwrap().json().await.unwrap()
}

#[tokio::test]
async fn a_droplet_is_made_with_the_options_and_its_labels_stay_what_they_are() {
    let sandbox = Embedded::start(Options::default()).await.unwrap();
    let vpcs = get(&sandbox, "/v2/vpcs").await;
    let of_region = |vpc: &&Value| vpc["region"] == REGION;
    let vpc = vpcs["vpcs"].as_array().unwrap().iter().find(of_region).unwrap()["id"].as_str().unwrap();
    let labels = Labels::new().with(label::SERVICE, "app").with(label::ENV_ID, "0a1b2c3d4e5f6071");
    let spec = |name: &str| LaunchSpec {
        names: vec![name.to_owned()],
        new_names: true,
        image: "debian-12-x64".into(),
        size: "s-1vcpu-1gb".into(),
        region: REGION.into(),
        labels: labels.clone(),
        user_data: None,
        login_keys: Vec::new(),
    };
    let provider = |config: Config| {
        let options = ClientOptions {
            config,
            home: Some(REGION.into()),
            ports: sandbox.ports(),
            ..ClientOptions::new(sandbox.url().parse().unwrap(), sandbox.token().clone())
        };
        DigitalOcean::new(options).unwrap()
    };
    let config = Config {
        vpc: Some(vpc.to_owned()),
        tags: vec!["web".to_owned(), "team:a".to_owned()],
        monitoring: true,
        ipv6: true,
    };
    let cloud = provider(config.clone());
    let made = cloud.launch(&spec("app-0")).await.unwrap().remove(0);
    while Instances::get(&cloud, &made.id).await.unwrap().state != InstanceState::Running {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let shown = get(&sandbox, &format!("/v2/droplets/{}", made.id)).await["droplet"].take();
    assert_eq!(shown["vpc_uuid"].as_str(), Some(vpc));
    let has = |list: &Value, text: &str| list.as_array().unwrap().iter().any(|item| item == text);
    for tag in ["web", "team:a", "remint:service:app"] {
        assert!(has(&shown["tags"], tag), "{shown}");
    }
    assert!(has(&shown["features"], "monitoring") && has(&shown["features"], "ipv6"), "{shown}");
    assert_eq!(shown["networks"]["v6"].as_array().map(Vec::len), Some(1), "{shown}");
    assert_eq!(Instances::get(&cloud, &made.id).await.unwrap().labels, labels);

    let plain = provider(Config::default()).launch(&spec("app-1")).await.unwrap().remove(0);
    let shown = get(&sandbox, &format!("/v2/droplets/{}", plain.id)).await["droplet"].take();
    assert!(!has(&shown["tags"], "web") && !has(&shown["features"], "monitoring"), "{shown}");

    let vpc = Some("5a4981aa-9653-4bd1-bef5-d6bff52042e4".to_owned());
    let error = provider(Config { vpc, ..config }).launch(&spec("app-2")).await.unwrap_err();
    assert!(error.message().contains("VPC"), "{error}");
}
