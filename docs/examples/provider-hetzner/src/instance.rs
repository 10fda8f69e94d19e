//! Instances are servers.

use std::time::Duration;

use async_trait::async_trait;
use remint_core::provider::{
    Address, Capability, Error, ErrorKind, ImageId, Instance, InstanceId, InstanceState, Instances, Labels, LaunchSpec,
    PowerOp, Region, Result, Selector, Shape, SizeName,
    support::{CreateOnce, JsonRequest},
};
use secrecy::ExposeSecret;
use serde_json::json;

use crate::{Cloud, DESCRIPTOR, client::number, labels, wire};

/// A server in Remint's words.
fn instance(server: wire::Server) -> Instance {
    let state = match server.status.as_str() {
        "running" => InstanceState::Running,
        "stopping" => InstanceState::Stopping,
        "off" => InstanceState::Stopped,
        "deleting" => InstanceState::Destroying,
        _ => InstanceState::Pending, // initializing, starting, rebuilding, migrating
    };
    let address = server.public_net.ipv4.as_ref().and_then(|ipv4| ipv4.ip.parse().ok());
    Instance {
        region: region(&server),
        id: InstanceId::new(server.id.to_string()),
        name: server.name,
        labels: labels::read(&server.labels),
        state,
        busy: server.locked,
        address: address.map(Address::new),
        image: server.image.map(|image| ImageId::new(image.id.to_string())),
        size: SizeName::new(server.server_type.name),
        created_at: server.created,
    }
}

/// Hetzner takes any host name; Remint's are made of fewer characters, so that every cloud takes them.
fn is_name(name: &str) -> bool {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let edge = |c: char| inner(c) && c != '-';
    name.len() <= DESCRIPTOR.limits.name_length
        && name.starts_with(edge)
        && name.ends_with(edge)
        && name.chars().all(inner)
}

/// Newer answers say where a server is by its location, older ones by its data centre.
pub(crate) fn region(server: &wire::Server) -> Region {
    let location = server.location.as_ref().or(server.datacenter.as_ref().map(|datacenter| &datacenter.location));
    Region::new(location.map(|location| location.name.as_str()).unwrap_or_default())
}

impl Cloud {
    pub(crate) async fn server(&self, operation: &'static str, id: &InstanceId) -> Result<wire::Server> {
        let number = number(operation, id)?.to_string();
        let request = JsonRequest::get(operation, &["servers", &number]).about(id);
        Ok(self.client.json::<wire::ServerAnswer>(&request).await?.server)
    }

    /// The server of a name, which a project has at most one of.
    async fn server_named(&self, operation: &'static str, name: &str) -> Result<Option<Instance>> {
        let request = JsonRequest::get(operation, &["servers"]).about(name).query("name", name);
        Ok(self.client.list(&request, "servers").await?.into_iter().next().map(instance))
    }
}

#[async_trait]
impl Instances for Cloud {
    async fn shape(&self, size: &SizeName, region: &Region) -> Result<Shape> {
        self.find_shape("look up size", size, region).await
    }

    // ANCHOR: launch
    async fn launch(&self, spec: &LaunchSpec) -> Result<Vec<Instance>> {
        const OPERATION: &str = "launch instance";
        let invalid = |problem: &str| Err(Error::new(ErrorKind::InvalidInput, OPERATION, problem));
        let [name] = spec.names.as_slice() else { return invalid("one call makes one server") };
        if !is_name(name) || spec.labels.0.is_empty() {
            return invalid("a server needs labels, and a name of at most 63 of a-z, 0-9 and -");
        }
        let user_data = spec.user_data.as_ref().map(|data| data.expose_secret());
        if user_data.is_some_and(|data| data.len() > DESCRIPTOR.limits.user_data_bytes) {
            return invalid("the user data is longer than 32 KiB");
        }
        let tags = labels::write(OPERATION, &spec.labels)?;
        self.find_shape(OPERATION, &spec.size, &spec.region).await?;
        let keys = spec.login_keys.iter().map(|key| number(OPERATION, key)).collect::<Result<Vec<_>>>()?;
        let mut body = json!({
            "name": name, "server_type": spec.size, "image": spec.image, "location": spec.region, "labels": tags,
            "ssh_keys": keys,
        });
        if let Some(data) = user_data {
            body["user_data"] = data.into();
        }
        // The name is unique, so the call may be repeated: it makes one server, or says that there is one.
        let create = JsonRequest::post(OPERATION, &["servers"], body).about(name).idempotent();
        let look = || async { Ok(self.server_named(OPERATION, name).await?.into()) };
        let launch = |()| async { Ok(instance(self.client.json::<wire::ServerAnswer>(&create).await?.server)) };
        let made: Instance = CreateOnce::new(&create.call, Duration::ZERO).run(look, launch).await?;
        if made.labels != spec.labels {
            return Err(Error::new(ErrorKind::Conflict, OPERATION, "a server of this name has other labels")
                .with_resource(name)
                .with_hint("delete that server, or choose another name"));
        }
        Ok(vec![made])
    }
    // ANCHOR_END: launch

    async fn list(&self, selector: &Selector) -> Result<Vec<Instance>> {
        const OPERATION: &str = "list instances";
        let mut request = JsonRequest::get(OPERATION, &["servers"]);
        if let Some(query) = labels::query(OPERATION, selector)? {
            request = request.query("label_selector", query);
        }
        let all = self.client.list(&request, "servers").await?.into_iter().map(instance);
        Ok(all.filter(|found| !found.labels.0.is_empty() && found.labels.matches(selector)).collect())
    }

    async fn get(&self, id: &InstanceId) -> Result<Instance> {
        Ok(instance(self.server("get instance", id).await?))
    }

    async fn power(&self, id: &InstanceId, op: PowerOp) -> Result<()> {
        const OPERATION: &str = "switch instance";
        let (action, done): (_, &[&str]) = match op {
            PowerOp::Stop => ("shutdown", &["off", "stopping"]),
            PowerOp::ForceStop => ("poweroff", &["off"]),
            PowerOp::Start => ("poweron", &["running", "starting"]),
        };
        let server = self.server(OPERATION, id).await?;
        if done.contains(&server.status.as_str()) {
            return Ok(());
        }
        let path = ["servers", &server.id.to_string(), "actions", action];
        self.client
            .json::<wire::ActionAnswer>(&JsonRequest::post(OPERATION, &path, json!({})).about(id).idempotent())
            .await?;
        Ok(())
    }

    async fn label(&self, id: &InstanceId, added: &Labels) -> Result<()> {
        const OPERATION: &str = "label instance";
        // Labels are written as a whole: two writers would undo one another's.
        let turn = self.turns.take([format!("labels of {id}")]).await;
        let server = self.server(OPERATION, id).await?;
        let tags = labels::merge(OPERATION, &server.labels, added)?;
        let request =
            JsonRequest::put(OPERATION, &["servers", &server.id.to_string()], json!({ "labels": tags })).about(id);
        self.client.json_within::<wire::ServerAnswer>(&turn, &request).await?;
        Ok(())
    }

    async fn withdraw_user_data(&self, _: &InstanceId) -> Result<bool> {
        // A server keeps the user data of its creation.
        Ok(false)
    }

    async fn destroy(&self, id: &InstanceId) -> Result<()> {
        const OPERATION: &str = "destroy instance";
        let number = number(OPERATION, id)?.to_string();
        self.client.remove(&JsonRequest::delete(OPERATION, &["servers", &number]).about(id)).await
    }

    async fn console_output(&self, _id: &InstanceId) -> Result<String> {
        Err(Error::unsupported("read console", Capability::InstanceConsole))
    }
}
