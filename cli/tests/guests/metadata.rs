//! The metadata service of one guest, as far as cloud-init 22.4 and Google's agent ask for it.
//!
//! Sources: cloud-init's `DataSourceDigitalOcean.py`, `DataSourceEc2.py` and `DataSourceGCE.py`; DigitalOcean's "Droplet Metadata
//! API", AWS's "Access instance metadata", Google's "About VM metadata".

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, Method, StatusCode, Uri},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::cloud::{Cloud, GUEST_ADDRESS, MAC, RESOLVER, ROUTER};

/// The version of EC2's metadata that is served; cloud-init takes the newest one that it knows and finds.
const EC2_VERSION: &str = "2021-03-23";
const EC2_TOKEN: &str = "the-token";
/// What Google's service says of the present state.
const ETAG: &str = "1a2b3c4d5e6f7081";

/// What the service knows, and what it was told.
#[derive(Debug)]
pub(crate) struct Metadata {
    cloud: Cloud,
    tree: Value,
    /// A line for each request.
    requests: Mutex<Vec<String>>,
    /// Host keys that the guest has published, the last one last.
    host_keys: Mutex<Vec<String>>,
}

impl Metadata {
    /// Serves on a free port of loopback, as long as the test's runtime lives.
    pub(crate) async fn serve(cloud: Cloud, user_data: &str, account_key: &str) -> (Arc<Self>, SocketAddr) {
        let tree = match cloud {
            Cloud::DigitalOcean => digitalocean(user_data, account_key),
            Cloud::Ec2 => ec2(user_data, account_key),
            Cloud::Gce => gce(user_data),
        };
        let metadata = Arc::new(Self { cloud, tree, requests: Mutex::default(), host_keys: Mutex::default() });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().fallback(answer).with_state(Arc::clone(&metadata));
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        (metadata, address)
    }

    /// What was asked for, and how it was answered.
    pub(crate) fn requests(&self) -> String {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).join("\n")
    }

    /// The ed25519 host keys that the guest has published, as lines of OpenSSH.
    pub(crate) fn host_keys(&self) -> Vec<String> {
        self.host_keys.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn find(&self, path: &[&str]) -> Option<&Value> {
        path.iter().try_fold(&self.tree, |node, part| node.get(part))
    }

    fn digitalocean(&self, path: &[&str]) -> Response {
        match path {
            ["metadata", "v1.json"] => self.tree.to_string().into_response(),
            _ => StatusCode::NOT_FOUND.into_response(),
        }
    }

    fn ec2(&self, method: &Method, path: &[&str], headers: &HeaderMap) -> Response {
        if method == Method::PUT && *path == ["latest", "api", "token"] {
            let ttl = headers.get("x-aws-ec2-metadata-token-ttl-seconds");
            let Some(ttl) = ttl else { return StatusCode::BAD_REQUEST.into_response() };
            return ([("x-aws-ec2-metadata-token-ttl-seconds", ttl.clone())], EC2_TOKEN).into_response();
        }
        if headers.get("x-aws-ec2-metadata-token").is_none_or(|token| token != EC2_TOKEN) {
            return StatusCode::UNAUTHORIZED.into_response();
        }
        let ["latest" | EC2_VERSION, path @ ..] = path else { return StatusCode::NOT_FOUND.into_response() };
        match self.find(path) {
            None => StatusCode::NOT_FOUND.into_response(),
            // A list of keys has names that are no part of their paths.
            Some(Value::Object(_)) if path.ends_with(&["public-keys"]) => "0=account".into_response(),
            Some(Value::Object(entries)) => {
                let name =
                    |(name, value): (&String, &Value)| format!("{name}{}", if value.is_object() { "/" } else { "" });
                entries.iter().map(name).collect::<Vec<_>>().join("\n").into_response()
            }
            Some(value) => text(value).into_response(),
        }
    }

    async fn gce(&self, method: &Method, uri: &Uri, path: &[&str], headers: &HeaderMap, body: &Bytes) -> Response {
        let flavor = [("metadata-flavor", "Google"), ("etag", ETAG)];
        let ["computeMetadata", "v1", path @ ..] = path else { return (flavor, "computeMetadata/\n").into_response() };
        if headers.get("metadata-flavor").is_none_or(|flavor| flavor != "Google") {
            return (StatusCode::FORBIDDEN, flavor).into_response();
        }
        if method == Method::PUT {
            if let ["instance", "guest-attributes", "hostkeys", "ssh-ed25519"] = path {
                let line = format!("ssh-ed25519 {}", String::from_utf8_lossy(body).trim());
                self.host_keys.lock().unwrap_or_else(PoisonError::into_inner).push(line);
            }
            return flavor.into_response();
        }
        let query = uri.query().unwrap_or_default().to_lowercase();
        if query.contains("wait_for_change=true") && query.contains(ETAG) {
            // Nothing ever changes.
            tokio::time::sleep(Duration::from_secs(3600)).await;
        }
        match self.find(path) {
            None => (StatusCode::NOT_FOUND, flavor).into_response(),
            Some(node) if query.contains("recursive=true") => {
                (flavor, [("content-type", "application/json")], node.to_string()).into_response()
            }
            Some(Value::Object(_)) => (flavor, "").into_response(),
            Some(value) => (flavor, text(value)).into_response(),
        }
    }
}

async fn answer(
    State(metadata): State<Arc<Metadata>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let path: Vec<_> = uri.path().split('/').filter(|part| !part.is_empty()).collect();
    let response = match metadata.cloud {
        Cloud::DigitalOcean => metadata.digitalocean(&path),
        Cloud::Ec2 => metadata.ec2(&method, &path, &headers),
        Cloud::Gce => metadata.gce(&method, &uri, &path, &headers, &body).await,
    };
    let line = format!("{method} {uri} -> {}", response.status().as_u16());
    metadata.requests.lock().unwrap_or_else(PoisonError::into_inner).push(line);
    response
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// DigitalOcean's vendor data gives root a password that has expired.
fn digitalocean(user_data: &str, account_key: &str) -> Value {
    let public = json!({
        "ipv4": { "ip_address": GUEST_ADDRESS, "netmask": "255.255.0.0", "gateway": ROUTER },
        "mac": MAC,
        "type": "public",
    });
    json!({
        "droplet_id": 12345,
        "hostname": "a-droplet",
        "region": "fra1",
        "user_data": user_data,
        "vendor_data": "#cloud-config\nchpasswd: {expire: true, list: \"root:it-has-expired\"}\n",
        "public_keys": [account_key],
        "interfaces": { "public": [public] },
        "dns": { "nameservers": [RESOLVER] },
    })
}

fn ec2(user_data: &str, account_key: &str) -> Value {
    let interface = json!({
        "device-number": "0",
        "interface-id": "eni-0123456789abcdef0",
        "local-hostname": "ip-169-254-0-15.ec2.internal",
        "local-ipv4s": GUEST_ADDRESS,
        "mac": MAC,
        "subnet-ipv4-cidr-block": "169.254.0.0/16",
    });
    json!({
        "user-data": user_data,
        "meta-data": {
            "ami-id": "ami-0123456789abcdef0",
            "hostname": "ip-169-254-0-15.ec2.internal",
            "instance-id": "i-0123456789abcdef0",
            "instance-type": "t3.micro",
            "local-hostname": "ip-169-254-0-15.ec2.internal",
            "local-ipv4": GUEST_ADDRESS,
            "mac": MAC,
            "network": { "interfaces": { "macs": { MAC: interface } } },
            "placement": { "availability-zone": "eu-central-1a", "region": "eu-central-1" },
            "public-keys": { "0": { "openssh-key": account_key } },
        },
        "dynamic": { "instance-identity": { "document": "{\"region\": \"eu-central-1\", \"instanceId\": \"i-0123456789abcdef0\"}" } },
    })
}

fn gce(user_data: &str) -> Value {
    let interface =
        json!({ "mac": MAC, "ip": GUEST_ADDRESS, "gateway": ROUTER, "subnetmask": "255.255.0.0", "forwardedIps": [] });
    json!({
        "instance": {
            "id": 1234567890123456789_u64,
            "zone": "projects/123456789/zones/europe-west3-a",
            "hostname": "an-instance.europe-west3-a.c.project.internal",
            "name": "an-instance",
            "machineType": "projects/123456789/machineTypes/e2-small",
            "attributes": { "user-data": user_data, "enable-guest-attributes": "TRUE" },
            "networkInterfaces": [interface],
            "virtualClock": { "driftToken": "0" },
        },
        "project": { "attributes": {}, "numericProjectId": 123456789, "projectId": "project" },
    })
}
