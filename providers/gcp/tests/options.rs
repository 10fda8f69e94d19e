//! The options of the manifest, against a sandbox: what they make is read back by the API.
#![expect(clippy::unwrap_used, reason = "a test may fail by unwrapping")]

use std::{collections::BTreeMap, path::Path, sync::Arc, time::Duration};

use google_cloud_auth::credentials::CacheableResource;
use http::HeaderMap;
use remint_core::provider::{
    BuildContext, CaptureProgress, CaptureSpec, Error, ErrorKind, Image, ImageId, Instance, InstanceState, Labels,
    LaunchSpec, PowerOp, Provider, Region, Registry, Selector, SizeName, StaticIp, StaticIpSpec, label,
};
use remint_gcp::{ID, credentials_from_file};
use remint_sandbox::{
    embedded::{Embedded, Options},
    gce::PROJECT,
};
use serde_json::{Value, json};

const ZONE: &str = "us-central1-a";
const BASE: &str = "ubuntu-os-cloud/ubuntu-2404-lts-amd64";
const ACCOUNT: &str = "app@remint-sandbox.iam.gserviceaccount.com";
/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// A sandbox, the provider as a manifest configures it, and a client that asks the API itself.
struct World {
    sandbox: Embedded,
    provider: Arc<dyn Provider>,
    http: reqwest::Client,
    bearer: HeaderMap,
}

/// What `build` is given in place of the process's variables.
fn variables(sandbox: &Embedded, key: &Path) -> BTreeMap<String, String> {
    let text = |text: &str| text.to_owned();
    [
        ("GOOGLE_APPLICATION_CREDENTIALS", key.display().to_string()),
        ("GOOGLE_CLOUD_PROJECT", text(PROJECT)),
        ("CLOUDSDK_API_ENDPOINT_OVERRIDES_COMPUTE", format!("{}/compute/v1/", sandbox.url())),
        ("CLOUDSDK_API_ENDPOINT_OVERRIDES_DNS", format!("{}/dns/v1/", sandbox.url())),
    ]
    .map(|(name, value)| (text(name), value))
    .into()
}

impl World {
    async fn new(options: &str) -> Self {
        let sandbox = Embedded::start(Options::default()).await.unwrap();
        let key = sandbox.service_account().unwrap().path;
        let context = BuildContext {
            options: options.parse().unwrap(),
            env: variables(&sandbox, &key),
            service_ports: vec![80],
            ..BuildContext::default()
        };
        let provider = (Registry::find(ID).unwrap().build)(context).await.unwrap();
        let credentials = credentials_from_file(&key).unwrap().credentials;
        let CacheableResource::New { data: bearer, .. } = credentials.headers(Default::default()).await.unwrap() else {
            panic!("no token");
        };
        Self { sandbox, provider, http: reqwest::Client::new(), bearer }
    }

    /// What the API shows, by the path below the project.
    async fn get(&self, below: &str) -> Value {
        let url = format!("{}/compute/v1/projects/{PROJECT}/{below}", self.sandbox.url());
        self.http.get(url).headers(self.bearer.clone()).send().await.unwrap().json().await.unwrap()
    }

    /// Sets a resource's labels, as somebody else would.
    async fn set_labels(&self, below: &str, labels: Value) {
        let fingerprint = self.get(below).await["labelFingerprint"].clone();
        let url = format!("{}/compute/v1/projects/{PROJECT}/{below}/setLabels", self.sandbox.url());
        let body = json!({ "labels": labels, "labelFingerprint": fingerprint });
        let sent = self.http.post(url).headers(self.bearer.clone()).body(body.to_string());
        let answer = sent.header("content-type", "application/json").send().await.unwrap();
        assert_eq!(answer.status(), 200);
        until("the labels are set", async || self.get(below).await["labels"] == labels).await;
    }

    async fn base(&self) -> ImageId {
        self.provider.images().resolve(BASE, &Region::new(ZONE)).await.unwrap().id
    }

    fn spec(image: ImageId) -> LaunchSpec {
        LaunchSpec {
            names: vec!["app-0".to_owned()],
            new_names: false,
            image,
            size: SizeName::new("e2-small"),
            region: Region::new(ZONE),
            labels: labels(),
            user_data: Some("#cloud-config\n".into()),
            login_keys: Vec::new(),
        }
    }

    async fn launch(&self) -> Result<Instance, Error> {
        let spec = Self::spec(self.base().await);
        Ok(self.provider.instances().launch(&spec).await?.remove(0))
    }

    /// An instance that runs, as the API shows it.
    async fn launched(&self) -> (Instance, Value) {
        let instance = self.launch().await.unwrap();
        self.reaches(&instance, InstanceState::Running).await;
        (instance, self.get(&format!("zones/{ZONE}/instances/app-0")).await)
    }

    async fn reaches(&self, instance: &Instance, state: InstanceState) {
        let is_so = async || {
            let found = self.provider.instances().get(&instance.id).await.unwrap();
            found.state == state && !found.busy
        };
        until("the instance is as asked", is_so).await;
    }

    async fn capture(&self, instance: &Instance) -> Image {
        self.provider.instances().power(&instance.id, PowerOp::Stop).await.unwrap();
        self.reaches(instance, InstanceState::Stopped).await;
        let spec = CaptureSpec { instance: instance.id.clone(), name: "app-image".to_owned(), labels: labels() };
        let end = tokio::time::Instant::now() + PATIENCE;
        loop {
            if let CaptureProgress::Done(image) = self.provider.images().capture(&spec).await.unwrap() {
                return image;
            }
            assert!(tokio::time::Instant::now() < end, "never captured");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn ensure_ip(&self, instance: &Instance) -> StaticIp {
        let (name, region) = ("app".to_owned(), Region::new(ZONE));
        let spec = StaticIpSpec { name, labels: labels(), region, instance: instance.id.clone() };
        self.provider.static_ips().unwrap().ensure(&spec).await.unwrap()
    }
}

fn labels() -> Labels {
    Labels::new().with(label::SERVICE, "app").with(label::ENV_ID, "0a1b2c3d4e5f6071")
}

async fn until(what: &str, is_so: impl AsyncFn() -> bool) {
    let end = tokio::time::Instant::now() + PATIENCE;
    while !is_so().await {
        assert!(tokio::time::Instant::now() < end, "never: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn ends_with(value: &Value, end: &str) -> bool {
    value.as_str().is_some_and(|text| text.ends_with(end))
}

#[tokio::test]
async fn without_options_there_are_no_credentials_and_no_os_login() {
    let world = World::new("").await;
    let (_, shown) = world.launched().await;
    assert!(shown.get("serviceAccounts").is_none(), "{shown:#}");
    let item = |key: &str| shown["metadata"]["items"].as_array().unwrap().iter().find(|item| item["key"] == key);
    assert_eq!(item("enable-oslogin").unwrap()["value"], "FALSE");
    assert_eq!(item("block-project-ssh-keys").unwrap()["value"], "TRUE");
    assert_eq!(shown["tags"]["items"].as_array().unwrap().len(), 2, "one for each port");
    let rules = world.get("global/firewalls").await;
    assert_eq!(rules["items"].as_array().unwrap().len(), 2, "{rules:#}");
    let disk = world.get(&format!("zones/{ZONE}/disks/app-0")).await;
    assert!(ends_with(&disk["type"], "/diskTypes/pd-balanced"), "{disk:#}");
}

#[tokio::test]
async fn network_disk_and_firewall_are_as_the_options_say() {
    let options = "network = 'projects/remint-sandbox/global/networks/default'\nsubnetwork = 'default'\ndisk_gib = 12\n\
                   disk_type = 'pd-ssd'\nfirewall = false\n";
    let world = World::new(options).await;
    let (_, shown) = world.launched().await;
    let interface = &shown["networkInterfaces"][0];
    assert!(ends_with(&interface["network"], "/global/networks/default"), "{interface:#}");
    assert!(ends_with(&interface["subnetwork"], "/regions/us-central1/subnetworks/default"), "{interface:#}");
    assert_eq!(shown["disks"][0]["diskSizeGb"], "12");
    assert!(shown["tags"].get("items").is_none(), "{shown:#}");
    assert!(world.get("global/firewalls").await.get("items").is_none());
    let disk = world.get(&format!("zones/{ZONE}/disks/app-0")).await;
    assert!(ends_with(&disk["type"], "/diskTypes/pd-ssd"), "{disk:#}");

    // The options reach the API: what does not exist there is refused.
    for options in ["network = 'other'", "subnetwork = 'other'", "disk_type = 'pd-floppy'"] {
        let error = World::new(options).await.launch().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{options}: {error}");
        assert!(error.message().contains("cannot be found"), "{options}: {error}");
    }
}

#[tokio::test]
async fn a_service_account_has_all_scopes_or_those_of_the_options() {
    let account = format!("service_account = '{ACCOUNT}'\n");
    let scopes = |names: &[&str]| -> Vec<String> {
        names.iter().map(|name| format!("https://www.googleapis.com/auth/{name}")).collect()
    };
    let (_, shown) = World::new(&account).await.launched().await;
    assert_eq!(shown["serviceAccounts"], json!([{ "email": ACCOUNT, "scopes": scopes(&["cloud-platform"]) }]));
    let narrow = scopes(&["devstorage.read_only", "logging.write"]);
    let (_, shown) = World::new(&format!("{account}scopes = {narrow:?}\n")).await.launched().await;
    assert_eq!(shown["serviceAccounts"], json!([{ "email": ACCOUNT, "scopes": narrow }]));
}

#[tokio::test]
async fn labels_of_the_options_are_on_everything_and_prove_nothing() {
    let world = World::new("[labels]\nteam = 'web'\ncost-centre = '42'\n").await;
    let (instance, _) = world.launched().await;
    assert_eq!(instance.labels, labels(), "they are not Remint's");
    let ip = world.ensure_ip(&instance).await;
    let image = world.capture(&instance).await;
    assert_eq!((&image.labels, &ip.labels), (&labels(), &labels()));
    let resources = [
        format!("zones/{ZONE}/instances/app-0"),
        format!("zones/{ZONE}/disks/app-0"),
        "global/images/app-image".to_owned(),
        "regions/us-central1/addresses/app".to_owned(),
    ];
    for below in &resources {
        let shown = world.get(below).await;
        assert_eq!(
            (&shown["labels"]["team"], &shown["labels"]["cost-centre"]),
            (&json!("web"), &json!("42")),
            "{shown:#}"
        );
        let marked = shown["labels"]["managed-by"] == "remint" || below.contains("addresses");
        assert!(marked, "{shown:#}");
    }

    // Remint's own labels that are added later leave them, and they are no selector.
    let images = world.provider.images();
    images.label(&image.id, &Labels::new().with(label::ROLE, "kept")).await.unwrap();
    let shown = world.get(&resources[2]).await;
    assert_eq!(
        (&shown["labels"]["team"], &shown["labels"]["remint-role"]),
        (&json!("web"), &json!("kept")),
        "{shown:#}"
    );
    let selector = Selector::all().with(label::SERVICE, "app");
    assert_eq!(images.list(&selector).await.unwrap().len(), 1);
    assert_eq!(world.provider.instances().list(&selector).await.unwrap().len(), 1);
    assert_eq!(world.provider.static_ips().unwrap().list(&selector).await.unwrap().len(), 1);

    // Somebody else changes them: what stands is found again, and nothing is made a second time.
    let own = |role: &str| json!({ "managed-by": "remint", "remint-service": "app", "remint-env-id": "0a1b2c3d4e5f6071", "team": role });
    world.set_labels(&resources[0], own("ops")).await;
    world.set_labels(&resources[2], own("ops")).await;
    world.set_labels(&resources[3], json!({ "team": "ops" })).await;
    assert_eq!(world.launch().await.unwrap().id, instance.id);
    assert_eq!(world.capture(&instance).await.id, image.id);
    assert_eq!(world.ensure_ip(&instance).await.address, ip.address);
    assert_eq!(world.get(&resources[0]).await["labels"]["team"], "ops", "theirs is left");
    assert_eq!(world.get(&resources[3]).await["labels"]["team"], "web", "an address gets them when it is asked for");
}
